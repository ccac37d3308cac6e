package loss

// Row functions made of row functions.

// through is the loss f of z, where inner writes z, an elementwise function of operand 0, with its first and second
// derivative d and dd:
//
//	∂l/∂x = d·∂l/∂z        ∂²l/∂x²·v = d·∂²l/∂z²·(d·v) + dd·v·∂l/∂z
func through(inner func(r *row, z, d, dd []float64), f rowFunc) rowFunc {
	return func(r *row) float64 {
		n := len(r.x[0])
		z, d, dd := r.buf(n), r.buf(n), r.buf(n)
		inner(r, z, d, dd)
		x, grad, v := r.x[0], r.grad[0], r.dir[0]
		r.x[0] = z
		if grad == nil && r.hess[0] != nil {
			r.grad[0] = r.buf(n)
		}
		if v != nil {
			r.dir[0] = r.buf(n)
			for i, u := range v {
				r.dir[0][i] = d[i] * u
			}
		}
		l := f(r)
		g := r.grad[0]
		r.x[0], r.grad[0], r.dir[0] = x, grad, v
		for i := range r.hess[0] {
			r.hess[0][i] *= d[i]
			if v != nil {
				r.hess[0][i] += times(dd[i], v[i]*g[i])
			}
		}
		for i := range grad {
			grad[i] = times(d[i], grad[i])
		}
		return l
	}
}

// byClassWeight multiplies the loss f by the class weight w_y of the label or, with a soft target t, by m = Σ_c w_c·t_c:
//
//	∂(m·l)/∂x = m·∂l/∂x        ∂(m·l)/∂t = m·∂l/∂t + w·l
func byClassWeight(s *settings, f rowFunc) rowFunc {
	w := s.classWeights
	if w == nil {
		return f
	}
	return func(r *row) float64 {
		soft := r.label < 0
		m := 0.0
		if soft {
			m = dot(w, r.x[1])
		} else {
			m = w[r.label]
		}
		grad := r.grad
		for k := range r.hess {
			// The mixed derivatives of m·l have the gradient of l.
			if soft && r.grad[k] == nil && (r.hess[0] != nil || r.hess[1] != nil) && r.x[k] != nil {
				r.grad[k] = r.buf(len(w))
			}
		}
		l := f(r)
		moved := 0.0 // the change of m along the direction
		if soft && r.dir[1] != nil {
			moved = dot(w, r.dir[1])
		}
		for k, h := range r.hess {
			for i := range h {
				h[i] = times(m, h[i])
				if moved != 0 {
					h[i] += moved * r.grad[k][i]
				}
			}
		}
		if h := r.hess[1]; soft && h != nil {
			slope := 0.0 // the change of l
			for k, v := range r.dir {
				if v != nil {
					slope += dot(r.grad[k], v)
				}
			}
			for i := range h {
				h[i] += times(w[i], slope)
			}
		}
		r.grad = grad
		for k, g := range r.grad {
			for i := range g {
				g[i] = times(m, g[i])
				if soft && k == 1 {
					g[i] += times(w[i], l)
				}
			}
		}
		return times(m, l)
	}
}

// mixture is a·f + b·g. A part of weight 0 is not computed.
func mixture(a float64, f rowFunc, b float64, g rowFunc) rowFunc {
	scaled := func(a float64, f rowFunc) rowFunc {
		return func(r *row) float64 {
			l := f(r)
			for k := range r.grad {
				for i := range r.grad[k] {
					r.grad[k][i] *= a
				}
				for i := range r.hess[k] {
					r.hess[k][i] *= a
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
	return func(r *row) float64 {
		var first [2][maxOperands][]float64
		l := f(r)
		for k := range r.grad {
			for d, part := range [2][]float64{r.grad[k], r.hess[k]} {
				if part != nil {
					first[d][k] = r.buf(len(part))
					copy(first[d][k], part)
				}
			}
		}
		l += g(r)
		for k := range r.grad {
			if r.grad[k] != nil {
				addTo(r.grad[k], first[0][k])
			}
			if r.hess[k] != nil {
				addTo(r.hess[k], first[1][k])
			}
		}
		return l
	}
}
