package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// Elementwise losses are loops over a block. In ordinary data half of the elements lie on each side
// of a corner, where a branch costs more than the arithmetic of both sides: sides are picked, and
// branches are left for rare numbers only. Exponentials and logarithms are computed for the whole
// block.

// A Curve is a function of one number: Value, Deriv and Second write its value and derivatives at
// each element of e to dst.
type Curve struct {
	Value, Deriv, Second func(dst, e []float64)
}

// Residual lifts the curve to a block function of e = pred - target.
func (f Curve) Residual(b *core.Block) { f.ScaledResidual(1)(b) }

// ScaledResidual lifts the curve to a block function of e = (pred - target)/c.
func (f Curve) ScaledResidual(c float64) core.BlockFunc {
	return func(r *core.Block) {
		e := Residuals(r)
		Divide(e, c)
		if r.Out != nil {
			f.Value(r.Out, e)
		}
		for k, sign := range [2]float64{1, -1} {
			if g := r.Grad[k]; g != nil {
				f.Deriv(g, e)
				Divide(g, sign*c)
			}
			if h := r.Hess[k]; h != nil {
				f.Second(h, e)
				for i, dd := range h {
					h[i] = sign * Times(ResidualDir(r, i), dd) / c / c
				}
			}
		}
	}
}

// Residuals returns pred - target.
func Residuals(r *core.Block) []float64 {
	e := r.Buf(len(r.X[0]))
	t := r.X[1][:len(e)]
	for i, p := range r.X[0] {
		e[i] = p - t[i]
	}
	return e
}

// Margin lifts the curve to a block function of the margin m = y·x of a logit x and its sign y.
func (f Curve) Margin(r *core.Block) {
	m := r.Buf(len(r.X[0]))
	x, y := r.X[0][:len(m)], r.X[1][:len(m)]
	for i := range m {
		m[i] = y[i] * x[i]
	}
	if r.Out != nil {
		f.Value(r.Out, m)
	}
	if g := r.Grad[0]; g != nil {
		f.Deriv(g, m)
		for i, s := range y {
			g[i] *= s
		}
	}
	if g := r.Grad[1]; g != nil {
		f.Deriv(g, m)
		for i, d := range g {
			g[i] = Times(d, x[i])
		}
	}
	if r.Hess[0] != nil || r.Hess[1] != nil {
		d, dd := r.Buf(len(m)), r.Buf(len(m))
		f.Deriv(d, m)
		f.Second(dd, m)
		SecondOrder(r, func(i int) Partials {
			return Partials{PP: y[i] * y[i] * dd[i], PT: d[i] + Times(dd[i], m[i]), TT: Times(dd[i], x[i]*x[i])}
		})
	}
}

// Negate writes -x to dst.
func Negate(dst, x []float64) {
	for i, v := range x {
		dst[i] = -v
	}
}

// Divide divides dst by c.
func Divide(dst []float64, c float64) {
	switch c {
	case 1:
	case -1:
		Negate(dst, dst)
	default:
		tensorops.Quotients(dst, dst, c)
	}
}

// Scale multiplies dst by a.
func Scale(dst []float64, a float64) {
	for i := range dst {
		dst[i] *= a
	}
}

// Pick returns a where the condition holds, else b. Both are numbers already when the condition is
// evaluated, which lets the compiler move one over the other instead of branching.
func Pick(condition bool, a, b float64) float64 {
	yes, bits := math.Float64bits(a), math.Float64bits(b)
	if condition {
		bits = yes
	}
	return math.Float64frombits(bits)
}

// Sign returns -1, 0 or 1, and NaN for NaN.
func Sign(x float64) float64 {
	unit, bits := math.Float64bits(math.Copysign(1, x)), math.Float64bits(x)
	if math.Abs(x) > 0 {
		bits = unit
	}
	return math.Float64frombits(bits)
}

// Constant makes the function that is c everywhere.
func Constant(c float64) func(dst, e []float64) { return func(dst, _ []float64) { Fill(dst, c) } }

// Each makes the function of all elements from the function of one.
func Each(f func(e float64) float64) func(dst, e []float64) {
	return func(dst, e []float64) {
		for i, v := range e {
			dst[i] = f(v)
		}
	}
}

// Square and LogOfSquare go around log1p to make log(1 + x²) without overflow: beyond 1e16, where
// the 1 does not count, square is |x| and its logarithm is doubled.
func Square(x float64) float64 {
	if a := math.Abs(x); a > 1e16 {
		return a
	}
	return x * x
}

// LogOfSquare returns log(1 + x²) from log, the log1p of Square(x).
func LogOfSquare(x, log float64) float64 {
	if math.Abs(x) > 1e16 {
		return 2 * log
	}
	return log
}

// LogOfSquares writes log(1 + z²/b), without overflow.
func LogOfSquares(dst, z []float64, b float64) {
	root, far := math.Sqrt(1/b), false
	for i, v := range z {
		x := v * root
		dst[i] = x * x
		far = far || math.Abs(x) > Wide
	}
	vec.Log1p(dst, dst)
	for i := 0; far && i < len(z); i++ {
		if x := math.Abs(z[i] * root); x > Wide {
			dst[i] = 2 * math.Log(x)
		}
	}
}

// Wide is the magnitude beyond which the square of a number, or products of some of them, may leave
// float64.
const Wide = 0x1p500

// Times returns a·b, and 0 where a is 0 whatever b is: what has no weight adds nothing, even if it
// is infinite.
func Times(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a * b
}

// Quotient returns a/b with 0/0 = 0.
func Quotient(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a / b
}

// Indicator returns 1 where the condition holds, else 0.
func Indicator(condition bool) int {
	if condition {
		return 1
	}
	return 0
}
