package formula

import (
	"cmp"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/tensorops"
)

// An errorAt is the error of a pixel, which is not negative.
type errorAt struct {
	e     float64
	pixel int
	hit   bool // the pixel is of the class
}

// Lovasz is the extension of the Jaccard loss to errors e >= 0: with the errors sorted downwards,
// ties by position,
//
//	Σ_k e_(k)·(J_k - J_(k-1))    J_k = 1 - |T without the first k| / |T or one of the first k|
//
// It returns the value and replaces the errors by their coefficients, J_k - J_(k-1). A NaN among
// the errors makes both NaN.
func Lovasz(e []float64, hit func(i int) bool) (value float64) {
	if HasNaN(e) {
		Fill(e, math.NaN())
		return math.NaN()
	}
	order := make([]errorAt, len(e))
	left, union := 0, 0
	for i, v := range e {
		order[i] = errorAt{v, i, hit(i)}
		if order[i].hit {
			left++
		}
	}
	slices.SortFunc(order, func(a, b errorAt) int {
		if c := cmp.Compare(b.e, a.e); c != 0 {
			return c
		}
		return a.pixel - b.pixel
	})
	union = left
	for _, o := range order {
		step := 0.0
		switch {
		case o.hit:
			step = 1 / float64(union)
			left--
		case union == 0:
			step, union = 1, 1
		default:
			step = float64(left) / float64(union) / float64(union+1)
			union++
		}
		value += Times(step, o.e)
		e[o.pixel] = step
	}
	return value
}

// Lovasz computes the loss of [Lovasz] of each class of a group of labelled pixels, with the errors
// |t - p|: the values, and the derivatives times the factors.
func (x *Pixels) Lovasz() {
	g, second := x.g, x.g.Second()
	e := g.Buf(g.N * x.classes)
	x.each(false, func(b *pixelBlock, _ int) {
		for c := range x.classes {
			to, p, q := e[c*g.N+b.lo:], b.plane(b.p, c), b.plane(b.q, c)
			for i, t := range b.plane(b.t, c) {
				if to[i] = p[i]; t == 1 {
					to[i] = q[i]
				}
			}
		}
	})
	y := g.Int[1]
	tensorops.ParallelFor(x.classes, 1, func(c, _ int) {
		label := c
		if x.classes == 1 {
			label = 1
		}
		plane := e[c*g.N : (c+1)*g.N]
		value := Lovasz(plane, func(i int) bool { return y[i] == label })
		if g.Value != nil {
			g.Value[c] = value
		}
		for i, v := range plane {
			if plane[i] = Times(g.Factor[c], v); y[i] == label {
				plane[i] = -plane[i]
			}
		}
	})
	if g.Grad[0] == nil && !second {
		return
	}
	x.each(second, func(b *pixelBlock, _ int) {
		for c := range x.classes {
			copy(b.plane(b.u, c), e[c*g.N+b.lo:])
		}
		if second {
			clear(b.du)
		}
		x.write(b)
	})
}
