package loss

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
)

// ArcFace returns the cross-entropy of scaled cosines in which the angle to the true class is made larger by a margin.
//
// With c a row of cosines between an embedding and the classes' directions, y its label, θ_y = arccos c_y, s the scale, m
// the margin, w the class weights (1 by default) and p = softmax(z),
//
//	z_y = s·cos(θ_y + m) = s·(c_y·cos m - √(1-c_y²)·sin m)        z_j = s·c_j
//	l = w_y·(log Σ exp(z) - z_y)        dl/dc_j = w_y·s·p_j
//	                                    dl/dc_y = w_y·s·(p_y - 1)·(cos m + c_y/√(1-c_y²)·sin m)
//
// cosines have the shape (N, C), or any other with a class axis, and lie in [-1, 1]; labels (Int, Int64, Int32 or Uint8)
// have that shape without the axis. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithScale] (s > 0, default 64), [WithMargin] (m in radians, in [0, π], default 0.5), [WithAxis] (the class axis,
// default -1), [WithIgnoreIndex] (default -100), [WithClassWeights], [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// There is no fallback for θ_y + m > π ("easy margin"). Up to 1e-4 beyond ±1 is rounding and has a sine of 0. Where the sine
// is 0 its derivatives, which are infinite there, are taken as 0. The scale makes float32 cosines a coarse input: one rounding
// step moves z by 4e-6.
//
// [CosFace] takes the margin from the cosine.
//
// Reference: J. Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition, 2019.
func ArcFace(cosines, labels *G.Node, opts ...Option) (*G.Node, error) {
	return arcFace.build(cosines, labels, opts)
}

var arcFace = definition{
	name: "ArcFace", takes: classKnobs | knobScale | knobMargin,
	defaults: settings{axis: -1, ignore: []int{-100}, temperature: 1, scale: 64, margin: 0.5}, pred: Cosines, target: Labels,
	laws: NonNegative,
	check: func(s *settings, _ Domain, _ int) error {
		if s.margin < 0 || s.margin > math.Pi {
			return fmt.Errorf("WithMargin is %v, want a number in [0, π]", s.margin)
		}
		return nil
	},
	rows: func(s *settings, _, _ int) rowFunc {
		sin, cos := math.Sincos(s.margin)
		return scaled(s, func(c float64) (z, d, dd float64) {
			sine := math.Sqrt(max(0, (1-c)*(1+c)))
			z, d = c*cos-sine*sin, cos
			if sine > 0 {
				d += c / sine * sin
				dd = sin / sine / sine / sine
			}
			return z, d, dd
		})
	},
}

// CosFace returns the cross-entropy of scaled cosines from which, for the true class, a margin is taken.
//
// With c a row of cosines between an embedding and the classes' directions, y its label, s the scale, m the margin, w the
// class weights (1 by default) and p = softmax(z),
//
//	z_y = s·(c_y - m)        z_j = s·c_j
//	l = w_y·(log Σ exp(z) - z_y)        dl/dc_j = w_y·s·(p_j - [j = y])
//
// cosines have the shape (N, C), or any other with a class axis, and lie in [-1, 1]; labels (Int, Int64, Int32 or Uint8)
// have that shape without the axis. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithScale] (s > 0, default 64), [WithMargin] (m >= 0, default 0.35), [WithAxis] (the class axis, default -1),
// [WithIgnoreIndex] (default -100), [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Up to 1e-4 beyond ±1 is taken for rounding.
//
// [ArcFace] adds the margin to the angle.
//
// Reference: H. Wang et al., CosFace: Large Margin Cosine Loss for Deep Face Recognition, 2018.
func CosFace(cosines, labels *G.Node, opts ...Option) (*G.Node, error) {
	return cosFace.build(cosines, labels, opts)
}

var cosFace = definition{
	name: "CosFace", takes: classKnobs | knobScale | knobMargin,
	defaults: settings{axis: -1, ignore: []int{-100}, temperature: 1, scale: 64, margin: 0.35}, pred: Cosines, target: Labels,
	laws: NonNegative | Convex,
	check: func(s *settings, _ Domain, _ int) error {
		if s.margin < 0 {
			return fmt.Errorf("WithMargin is %v, want a number >= 0", s.margin)
		}
		return nil
	},
	rows: func(s *settings, _, _ int) rowFunc {
		return scaled(s, func(c float64) (z, d, dd float64) { return c - s.margin, 1, 0 })
	},
}

// scaled is the cross-entropy of scaled cosines of which the true class's goes through a curve before.
func scaled(s *settings, curve func(c float64) (z, d, dd float64)) rowFunc {
	return through(func(r *row, z, d, dd []float64) {
		for j, c := range r.x[0] {
			z[j], d[j], dd[j] = c, 1, 0
			if j == r.label {
				z[j], d[j], dd[j] = curve(c)
			}
			z[j], d[j], dd[j] = s.scale*z[j], s.scale*d[j], s.scale*dd[j]
		}
	}, crossEntropyRow(s))
}
