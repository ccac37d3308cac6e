package formula

import "github.com/surprisal-go/surprisal/loss/internal/core"

// Compose returns the loss f of z, where inner writes z, an elementwise function of operand 0, with
// its first and second derivative d and dd:
//
//	∂l/∂x = d·∂l/∂z        ∂²l/∂x²·v = d·∂²l/∂z²·(d·v) + dd·v·∂l/∂z
func Compose(inner func(r *core.Block, z, d, dd []float64), f core.RowFunc) core.RowFunc {
	return func(r *core.Block) float64 {
		n := len(r.X[0])
		z, d, dd := r.Buf(n), r.Buf(n), r.Buf(n)
		inner(r, z, d, dd)
		x, grad, v := r.X[0], r.Grad[0], r.Dir[0]
		r.X[0] = z
		if grad == nil && r.Hess[0] != nil {
			r.Grad[0] = r.Buf(n)
		}
		if v != nil {
			r.Dir[0] = r.Buf(n)
			for i, u := range v {
				r.Dir[0][i] = d[i] * u
			}
		}
		l := f(r)
		g := r.Grad[0]
		r.X[0], r.Grad[0], r.Dir[0] = x, grad, v
		for i := range r.Hess[0] {
			r.Hess[0][i] *= d[i]
			if v != nil {
				r.Hess[0][i] += Times(dd[i], v[i]*g[i])
			}
		}
		for i := range grad {
			grad[i] = Times(d[i], grad[i])
		}
		return l
	}
}

// ByClassWeight multiplies the loss f by the class weight w_y of the label or, with a soft target
// t, by m = Σ_c w_c·t_c:
//
//	∂(m·l)/∂x = m·∂l/∂x        ∂(m·l)/∂t = m·∂l/∂t + w·l
func ByClassWeight(s *core.Settings, f core.RowFunc) core.RowFunc {
	w := s.ClassWeights
	if w == nil {
		return f
	}
	return func(r *core.Block) float64 {
		soft := r.Class() < 0
		m := 0.0
		if soft {
			m = core.Dot(w, r.X[1])
		} else {
			m = w[r.Class()]
		}
		grad := r.Grad
		for k := range r.Hess {
			// The mixed derivatives of m·l have the gradient of l.
			if soft && r.Grad[k] == nil && (r.Hess[0] != nil || r.Hess[1] != nil) && r.X[k] != nil {
				r.Grad[k] = r.Buf(len(w))
			}
		}
		l := f(r)
		moved := 0.0 // the change of m along the direction
		if soft && r.Dir[1] != nil {
			moved = core.Dot(w, r.Dir[1])
		}
		for k, h := range r.Hess {
			for i := range h {
				h[i] = Times(m, h[i])
				if moved != 0 {
					h[i] += moved * r.Grad[k][i]
				}
			}
		}
		if h := r.Hess[1]; soft && h != nil {
			slope := 0.0 // the change of l
			for k, v := range r.Dir {
				if v != nil {
					slope += core.Dot(r.Grad[k], v)
				}
			}
			for i := range h {
				h[i] += Times(w[i], slope)
			}
		}
		r.Grad = grad
		for k, g := range r.Grad {
			for i := range g {
				g[i] = Times(m, g[i])
				if soft && k == 1 {
					g[i] += Times(w[i], l)
				}
			}
		}
		return Times(m, l)
	}
}

// Mixture returns a·f + b·g. A part with the factor 0 is not computed.
func Mixture(a float64, f core.RowFunc, b float64, g core.RowFunc) core.RowFunc {
	scaled := func(a float64, f core.RowFunc) core.RowFunc {
		return func(r *core.Block) float64 {
			l := f(r)
			for k := range r.Grad {
				for i := range r.Grad[k] {
					r.Grad[k][i] *= a
				}
				for i := range r.Hess[k] {
					r.Hess[k][i] *= a
				}
			}
			return a * l
		}
	}
	switch {
	case b == 0:
		return scaled(a, f)
	case a == 0:
		return scaled(b, g)
	}
	f, g = scaled(a, f), scaled(b, g)
	return func(r *core.Block) float64 {
		var first [2][core.MaxOperands][]float64
		l := f(r)
		for k := range r.Grad {
			for d, part := range [2][]float64{r.Grad[k], r.Hess[k]} {
				if part != nil {
					first[d][k] = r.Buf(len(part))
					copy(first[d][k], part)
				}
			}
		}
		l += g(r)
		for k := range r.Grad {
			if r.Grad[k] != nil {
				AddTo(r.Grad[k], first[0][k])
			}
			if r.Hess[k] != nil {
				AddTo(r.Hess[k], first[1][k])
			}
		}
		return l
	}
}
