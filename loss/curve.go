package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// Elementwise losses as loops over a run of elements. What they are measured by is that half of the elements lie on one side of
// a corner and half on the other: a branch costs more than the arithmetic of both sides, so sides are picked, and
// a branch is left only for what ordinary numbers never do. Exponentials and logarithms are computed for the whole run.

// A profile is a function of one number e: value and derivatives write to dst what they are at each element of e.
type profile struct{ value, slope, bend func(dst, e []float64) }

// row lifts the profile to a row function of e = pred - target.
func (f profile) row(r *row) float64 { return f.scaled(1)(r) }

// scaled lifts the profile to a row function of e = (pred - target)/c.
func (f profile) scaled(c float64) rowFunc {
	return func(r *row) float64 {
		e := r.residuals()
		over(e, c)
		if r.out != nil {
			f.value(r.out, e)
		}
		for k, sign := range [2]float64{1, -1} {
			if g := r.grad[k]; g != nil {
				f.slope(g, e)
				over(g, sign*c)
			}
			if h := r.hess[k]; h != nil {
				f.bend(h, e)
				for i, dd := range h {
					h[i] = sign * times(r.approach(i), dd) / c / c
				}
			}
		}
		return 0
	}
}

// residuals returns pred - target.
func (r *row) residuals() []float64 {
	e := r.buf(len(r.x[0]))
	t := r.x[1][:len(e)]
	for i, p := range r.x[0] {
		e[i] = p - t[i]
	}
	return e
}

// margin lifts the profile to a row function of the margin m = y·x of a logit x and its sign y.
func (f profile) margin(r *row) float64 {
	m := r.buf(len(r.x[0]))
	x, y := r.x[0][:len(m)], r.x[1][:len(m)]
	for i := range m {
		m[i] = y[i] * x[i]
	}
	if r.out != nil {
		f.value(r.out, m)
	}
	if g := r.grad[0]; g != nil {
		f.slope(g, m)
		for i, s := range y {
			g[i] *= s
		}
	}
	if g := r.grad[1]; g != nil {
		f.slope(g, m)
		for i, d := range g {
			g[i] = times(d, x[i])
		}
	}
	if r.hess[0] != nil || r.hess[1] != nil {
		d, dd := r.buf(len(m)), r.buf(len(m))
		f.slope(d, m)
		f.bend(dd, m)
		r.bend(func(i int) jet {
			return jet{pp: y[i] * y[i] * dd[i], pt: d[i] + times(dd[i], m[i]), tt: times(dd[i], x[i]*x[i])}
		})
	}
	return 0
}

// negate writes -x to dst.
func negate(dst, x []float64) {
	for i, v := range x {
		dst[i] = -v
	}
}

// over divides dst by c.
func over(dst []float64, c float64) {
	switch c {
	case 1:
	case -1:
		negate(dst, dst)
	default:
		for i, v := range dst {
			dst[i] = v / c
		}
	}
}

// scale multiplies dst by a.
func scale(dst []float64, a float64) {
	for i := range dst {
		dst[i] *= a
	}
}

// pick returns a where the condition holds, else b. Both are numbers already when the condition is asked, which
// lets the compiler move one over the other instead of branching.
func pick(condition bool, a, b float64) float64 {
	yes, bits := math.Float64bits(a), math.Float64bits(b)
	if condition {
		bits = yes
	}
	return math.Float64frombits(bits)
}

// sign returns -1, 0 or 1, and NaN for NaN.
func sign(x float64) float64 {
	unit, bits := math.Float64bits(math.Copysign(1, x)), math.Float64bits(x)
	if math.Abs(x) > 0 {
		bits = unit
	}
	return math.Float64frombits(bits)
}

// constant makes the function of a run that is c everywhere.
func constant(c float64) func(dst, e []float64) { return func(dst, _ []float64) { fill(dst, c) } }

// each makes the function of a run from that of an element.
func each(f func(e float64) float64) func(dst, e []float64) {
	return func(dst, e []float64) {
		for i, v := range e {
			dst[i] = f(v)
		}
	}
}

// square and logOfSquare go around log1p to make log(1 + x²) without overflow: beyond 1e16, where the 1 does not count, square
// is |x| and its logarithm is doubled.
func square(x float64) float64 {
	if a := math.Abs(x); a > 1e16 {
		return a
	}
	return x * x
}

func logOfSquare(x, log float64) float64 {
	if math.Abs(x) > 1e16 {
		return 2 * log
	}
	return log
}

// logOfSquares writes log(1 + z²/b), without overflow.
func logOfSquares(dst, z []float64, b float64) {
	root, far := math.Sqrt(1/b), false
	for i, v := range z {
		x := v * root
		dst[i] = x * x
		far = far || math.Abs(x) > wide
	}
	vec.Log1p(dst, dst)
	for i := 0; far && i < len(z); i++ {
		if x := math.Abs(z[i] * root); x > wide {
			dst[i] = 2 * math.Log(x)
		}
	}
}

// surfaceBy is surface with two numbers y and z for each element, which prelude computes for the whole run.
func surfaceBy(prelude func(r *row) (y, z []float64), f func(p, t, y, z float64) jet) rowFunc {
	return func(r *row) float64 {
		y, z := prelude(r)
		return surface(func(p, t float64, i int) jet {
			i -= r.at
			return f(p, t, y[i], z[i])
		})(r)
	}
}
