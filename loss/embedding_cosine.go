package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// Losses of the direction of vectors.
var directionLosses = []entry{
	{&cosineDistance, CosineDistance},
}

// CosineDistance returns 1 minus the cosine of the angle between pred and target along an axis.
//
// With u = x/max(‖x‖, ε) and v = y/max(‖y‖, ε) for the vectors x of pred and y of target,
//
//	l = 1 - u·v        dl/dx = -(v - (u·v)·u)/‖x‖, or -v/ε where ‖x‖ <= ε
//
// and the same for y. pred and target have the same shape (any rank above 0). The result is a
// scalar, or has that shape without the axis under [None].
//
// Options: [WithEpsilon] (ε > 0, default 1e-8), [WithAxis] (default -1), [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A zero vector has distance 1 to everything and a finite gradient. Long vectors do not overflow;
// an infinite entry gives NaN. It is computed as half the squared distance of u and v, which is
// never negative, and 0 between a vector and itself; for an angle θ the relative error is of the
// order 1e-16/θ, where that of 1 - u·v is 1e-16/θ².
//
// Reference: standard.
func CosineDistance(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&cosineDistance, opts, pred, target)
}

var cosineDistance = core.Definition{
	Name: "CosineDistance", Operands: rows("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.RowOptions, core.OptEpsilon), Defaults: core.Settings{Epsilon: 1e-8},
	Laws:  core.NonNegative | core.ZeroAtEqual,
	Torch: "1 - cosine_similarity", Keras: "1 + CosineSimilarity", Optax: "cosine_distance",
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return func(r *core.Block) float64 {
			a, b := directionOf(r, 0, s.Epsilon), directionOf(r, 1, s.Epsilon)
			l := 1 - core.Dot(a.u, b.u)
			if a.free && b.free {
				l = 0
				for i, u := range a.u {
					l += (u - b.u[i]) * (u - b.u[i]) / 2
				}
			}
			for k, side := range [2][2]direction{{a, b}, {b, a}} {
				x, y := side[0], side[1]
				if g := r.Grad[k]; g != nil {
					x.pull(g, y.u, l)
				}
				if h := r.Hess[k]; h != nil {
					formula.Fill(h, 0)
					if v := r.Dir[k]; v != nil {
						x.curve(h, y.u, v, l, r)
					}
					if v := r.Dir[1-k]; v != nil {
						moved := r.Buf(len(v))
						y.move(moved, v)
						x.move(moved, moved)
						for i, m := range moved {
							h[i] -= m
						}
					}
				}
			}
			return l
		}
	},
	Kernel: tiles(core.Real, core.Real, cosineTile[float32], cosineTile[float64]),
	Check:  positiveEpsilon,
}

// A direction is a vector divided by its length or by ε, whichever is greater.
type direction struct {
	u      []float64
	length float64 // what the vector was divided by
	free   bool    // that is the vector's length, not ε
}

// direction returns that of operand k.
func directionOf(r *core.Block, k int, eps float64) direction {
	x := r.X[k]
	largest := 0.0
	for _, v := range x {
		largest = max(largest, math.Abs(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += (v / largest) * (v / largest)
	}
	d := direction{u: r.Buf(len(x)), length: largest * math.Sqrt(sum)}
	if d.free = !(d.length <= eps || largest == 0); !d.free {
		d.length = eps
	}
	for i, v := range x {
		d.u[i] = v / d.length
	}
	return d
}

// move writes to dst how the direction moves when its vector moves along v. dst may be v.
func (d *direction) move(dst, v []float64) {
	along := 0.0
	if d.free {
		along = core.Dot(d.u, v)
	}
	for i, w := range v {
		dst[i] = (w - along*d.u[i]) / d.length
	}
}

// pull writes the gradient of the distance l to another direction w, -(w - (1-l)·u)/length; w - u
// is small where l is.
func (d *direction) pull(dst, w []float64, l float64) {
	for i, u := range d.u {
		if d.free {
			dst[i] = -((w[i] - u) + l*u) / d.length
		} else {
			dst[i] = -w[i] / d.length
		}
	}
}

// curve writes how the gradient moves when the vector moves along v.
func (d *direction) curve(dst, w, v []float64, l float64, r *core.Block) {
	if !d.free {
		return
	}
	du := r.Buf(len(v))
	d.move(du, v)
	d.pull(dst, w, l)
	along, turned := core.Dot(d.u, v), core.Dot(du, w)
	for i, u := range d.u {
		dst[i] = ((1-l)*du[i] + u*turned - dst[i]*along) / d.length
	}
}
