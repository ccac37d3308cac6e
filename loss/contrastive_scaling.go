package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
)

// A scaling makes logits of cosines, z = σ·c + b, with the derivatives by σ and b: those of each
// row are kept apart, so that their sum does not depend on the cores.
type scaling struct {
	g                *core.Group
	scale, bias      [2]float64 // with their changes along the direction
	grad, hess       [2][]float64
	learned, shifted bool
}

// scalingOf returns the scaling of a loss with n rows of pairs.
func scalingOf(g *core.Group, scale, bias float64, n int) *scaling {
	y := &scaling{g: g, learned: g.X[scaleAt] != nil, shifted: bias != 0 || g.X[biasAt] != nil}
	for k, p := range [2]*[2]float64{&y.scale, &y.bias} {
		at := scaleAt + k
		p[0] = [2]float64{scale, bias}[k]
		if g.X[at] != nil {
			p[0] = g.X[at][0]
		}
		if g.Dir[at] != nil {
			p[1] = g.Dir[at][0]
		}
		if g.Grad[at] != nil || g.Hess[at] != nil {
			y.grad[k], y.hess[k] = g.Zeros(n), g.Zeros(n)
		}
	}
	return y
}

// pairs returns the pairs of points: their logits where the scaling is a constant factor.
func (y *scaling) pairs(a, b *formula.Points, factor []float64, float32 bool) *formula.Pairs {
	p := formula.NewPairs(y.g, formula.Products, a, b, float32)
	if p.Factor = factor; !y.learned {
		p.Scale = y.scale[0]
	}
	return p
}

// row calls f for a row of logits; place is where the row keeps the derivatives by σ and b.
func (y *scaling) row(r *formula.PairRow, place int, idle bool, f func(r *formula.PairRow) float64) float64 {
	if !y.learned && !y.shifted {
		return f(r)
	}
	if !y.learned {
		for j := range r.S {
			r.S[j] += y.bias[0]
		}
	} else {
		c, dc := r.Buf[1], r.Buf[2]
		copy(c, r.S)
		copy(dc, r.DS)
		for j, v := range c {
			r.S[j] = y.scale[0]*v + y.bias[0]
			if r.DS != nil {
				r.DS[j] = y.scale[0]*dc[j] + y.scale[1]*v
			}
		}
	}
	for j := range r.DS {
		r.DS[j] += y.bias[1]
	}
	v := f(r)
	if idle {
		return v
	}
	c, dc := r.Buf[1], r.Buf[2]
	for j, d := range r.G {
		if y.grad[0] != nil {
			y.grad[0][place] += d * c[j]
		}
		if y.grad[1] != nil {
			y.grad[1][place] += d
		}
		if r.DG == nil {
			continue
		}
		if y.hess[0] != nil {
			y.hess[0][place] += r.DG[j]*c[j] + d*dc[j]
		}
		if y.hess[1] != nil {
			y.hess[1][place] += r.DG[j]
		}
	}
	if y.learned {
		for j, d := range r.G {
			r.G[j] = y.scale[0] * d
			if r.DG != nil {
				r.DG[j] = y.scale[0]*r.DG[j] + y.scale[1]*d
			}
		}
	}
	return v
}

// first returns where the first n rows keep the derivative by σ; nil: it is not requested.
func (y *scaling) first(n int) []float64 {
	if y.grad[0] == nil {
		return nil
	}
	return y.grad[0][:n]
}

// finish writes the derivatives by σ and b.
func (y *scaling) finish() {
	for k := range 2 {
		for _, to := range [2]struct{ dst, rows []float64 }{{y.g.Grad[scaleAt+k], y.grad[k]}, {y.g.Hess[scaleAt+k], y.hess[k]}} {
			if to.dst == nil {
				continue
			}
			to.dst[0] = 0
			for _, v := range to.rows {
				to.dst[0] += v
			}
		}
	}
}
