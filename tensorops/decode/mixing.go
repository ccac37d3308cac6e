package decode

import "slices"

// mixing accelerates the iteration of a map x -> y by Anderson's method: of the last points and
// their images it takes the combination, with factors that sum to 1, whose residual y - x is the
// smallest.
//
// Reference: D. G. Anderson, Iterative Procedures for Nonlinear Integral Equations, 1965.
type mixing struct {
	x, y   []float64   // the last point and its image
	dr, dy [][]float64 // differences of residuals and of images before, the newest last
}

// depth is the number of differences that are kept. More of them are nearly dependent.
const depth = 5

// add appends a point and its image.
func (m *mixing) add(x, y []float64) {
	if m.x != nil {
		dr, dy := make([]float64, len(x)), make([]float64, len(x))
		for i := range x {
			dy[i] = y[i] - m.y[i]
			dr[i] = dy[i] - (x[i] - m.x[i])
		}
		if len(m.dr) == depth {
			m.dr, m.dy = m.dr[1:], m.dy[1:]
		}
		m.dr, m.dy = append(m.dr, dr), append(m.dy, dy)
	}
	m.x, m.y = append(m.x[:0], x...), append(m.y[:0], y...)
}

// next sets dst to the next point. w are the weights of the elements in the sum of squares; an
// element of weight 0 becomes its image.
func (m *mixing) next(dst, w []float64) {
	residual := make([]float64, len(w))
	for i, y := range m.y {
		residual[i] = y - m.x[i]
	}
	copy(dst, m.y)
	// The differences are made orthogonal, the newest first, and those of the images follow them.
	var dr, dy [][]float64
	for a := len(m.dr) - 1; a >= 0; a-- {
		r, y := slices.Clone(m.dr[a]), slices.Clone(m.dy[a])
		whole := product(w, r, r)
		for b := range dr {
			f := product(w, dr[b], r) / product(w, dr[b], dr[b])
			add(r, -f, dr[b])
			add(y, -f, dy[b])
		}
		square := product(w, r, r)
		if !(square > 1e-24*whole) { // the others determine it but for rounding
			continue
		}
		f := product(w, r, residual) / square
		add(residual, -f, r)
		for i, v := range w {
			if v > 0 {
				dst[i] -= f * y[i]
			}
		}
		dr, dy = append(dr, r), append(dy, y)
	}
}

// product returns Σ w x y over the weights that are not 0.
func product(w, x, y []float64) float64 {
	var sum float64
	for i, v := range w {
		if v > 0 {
			sum += v * x[i] * y[i]
		}
	}
	return sum
}

// add adds f·x to dst.
func add(dst []float64, f float64, x []float64) {
	for i, v := range x {
		dst[i] += f * v
	}
}
