// Package formula lifts formulas of a few numbers to the block functions of package core: functions
// of a residual, of a margin, of two to four numbers, of a logistic or a softmax, separable sums,
// and compositions of those.
package formula

import "github.com/surprisal-go/surprisal/loss/internal/core"

// Partials are the value of a function of a prediction p and a target t, and its derivatives up to
// the second.
type Partials struct{ L, P, T, PP, PT, TT float64 }

// Swapped returns the partials of the function with its arguments exchanged.
func (j Partials) Swapped() Partials {
	return Partials{L: j.L, P: j.T, T: j.P, PP: j.TT, PT: j.PT, TT: j.PP}
}

// WriteTo writes the derivatives of a term at place i to what the row requests.
func (j Partials) WriteTo(r *core.Block, i int) {
	for k, d := range [2]float64{j.P, j.T} {
		if r.Grad[k] != nil {
			r.Grad[k][i] = d
		}
	}
	for k, h := range [2][2]float64{{j.PP, j.PT}, {j.PT, j.TT}} {
		if r.Hess[k] == nil {
			continue
		}
		sum := 0.0
		for m := range h {
			if r.Dir[m] != nil {
				sum += h[m] * r.Dir[m][i]
			}
		}
		r.Hess[k][i] = sum
	}
}

// Bivariate lifts a function of a prediction and a target; i is the element's place in the block.
func Bivariate(f func(p, t float64, i int) Partials) core.BlockFunc {
	return func(b *core.Block) {
		p, t, out, gp, gt := b.X[0], b.X[1], b.Out, b.Grad[0], b.Grad[1]
		if out != nil || gp != nil || gt != nil {
			for i := range p {
				j := f(p[i], t[i], i)
				if out != nil {
					out[i] = j.L
				}
				if gp != nil {
					gp[i] = j.P
				}
				if gt != nil {
					gt[i] = j.T
				}
			}
		}
		SecondOrder(b, func(i int) Partials { return f(p[i], t[i], i) })
	}
}

// BivariateBy is Bivariate with two numbers y and z for each element that prepare computes for the
// whole block.
func BivariateBy(prepare func(b *core.Block) (y, z []float64), f func(p, t, y, z float64) Partials) core.BlockFunc {
	return func(b *core.Block) {
		y, z := prepare(b)
		Bivariate(func(p, t float64, i int) Partials { return f(p, t, y[i], z[i]) })(b)
	}
}

// SecondOrder writes the second derivatives that b requests from the partials of each element.
func SecondOrder(b *core.Block, at func(i int) Partials) {
	for k := range 2 {
		for i := range b.Hess[k] {
			j := at(i)
			h := [2][2]float64{{j.PP, j.PT}, {j.PT, j.TT}}[k]
			b.Hess[k][i] = 0
			for m := range h {
				if b.Dir[m] != nil {
					b.Hess[k][i] += Times(b.Dir[m][i], h[m])
				}
			}
		}
	}
}

// ResidualDir is the change of pred - target of element i along the directions.
func ResidualDir(b *core.Block, i int) float64 {
	v := 0.0
	if b.Dir[0] != nil {
		v += b.Dir[0][i]
	}
	if b.Dir[1] != nil {
		v -= b.Dir[1][i]
	}
	return v
}

// FirstOrder is loops over a block for the value and the derivative by the prediction, which
// training needs.
type FirstOrder struct {
	Value, Deriv func(b *core.Block, dst []float64)
	// Both stands in the place of the two where they share most of their work; nil is not requested.
	Both func(b *core.Block, value, deriv []float64)
}

// Completed adds a block function for the other derivatives.
func (f FirstOrder) Completed(others core.BlockFunc) core.BlockFunc {
	return func(b *core.Block) {
		out, g := b.Out, b.Grad[0]
		if f.Both != nil && (out != nil || g != nil) {
			f.Both(b, out, g)
		}
		if f.Value != nil && out != nil {
			f.Value(b, out)
		}
		if f.Deriv != nil && g != nil {
			f.Deriv(b, g)
		}
		if b.Grad[1] != nil || b.Hess[0] != nil || b.Hess[1] != nil {
			b.Out, b.Grad[0] = nil, nil
			others(b)
			b.Out, b.Grad[0] = out, g
		}
	}
}

// MultiPartials are the value, gradient and Hessian of a function of up to core.MaxOperands
// numbers; the Hessian is symmetric, both halves filled.
type MultiPartials struct {
	L float64
	D [core.MaxOperands]float64
	H [core.MaxOperands][core.MaxOperands]float64
}

// Multivariate lifts a function of n operands, called with their entries at one place.
func Multivariate(n int, f func(x [core.MaxOperands]float64) MultiPartials) core.BlockFunc {
	return func(b *core.Block) {
		for i := range b.X[0] {
			var x [core.MaxOperands]float64
			for k := range n {
				x[k] = b.X[k][i]
			}
			j := f(x)
			if b.Out != nil {
				b.Out[i] = j.L
			}
			for k := range n {
				if b.Grad[k] != nil {
					b.Grad[k][i] = j.D[k]
				}
				if b.Hess[k] == nil {
					continue
				}
				sum := 0.0
				for m := range n {
					if b.Dir[m] != nil {
						sum += Times(b.Dir[m][i], j.H[k][m])
					}
				}
				b.Hess[k][i] = sum
			}
		}
	}
}
