package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// ArcFace returns the cross-entropy of scaled cosines in which the angle to the true class is made
// larger by a margin.
//
// With c a row of cosines between an embedding and the classes' directions, y its label, θ_y =
// arccos c_y, s the scale, m the margin, w the class weights (1 by default) and p = softmax(z),
//
//	z_y = s·cos(θ_y + m) = s·(c_y·cos m - √(1-c_y²)·sin m)        z_j = s·c_j
//	l = w_y·(log Σ exp(z) - z_y)        dl/dc_j = w_y·s·p_j
//	                                    dl/dc_y = w_y·s·(p_y - 1)·(cos m + c_y/√(1-c_y²)·sin m)
//
// cosines have the shape (N, C), or any other with a class axis, and lie in [-1, 1]; labels (Int,
// Int64, Int32 or Uint8) have that shape without the axis. The result is a scalar, or has the
// labels' shape under [None].
//
// Options: [WithScale] (s > 0, default 64), [WithMargin] (m in radians, in [0, π], default 0.5),
// [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (default -100), [WithClassWeights],
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// There is no fallback for θ_y + m > π ("easy margin"). Up to 1e-4 beyond ±1 is rounding and has a
// sine of 0. Where the sine is 0 its derivatives, which are infinite there, are taken as 0. The
// scale makes float32 cosines a coarse input: one rounding step moves z by 4e-6.
//
// [CosFace] takes the margin from the cosine.
//
// Reference: J. Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition, 2019.
func ArcFace(cosines, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&arcFace, opts, cosines, labels)
}

var arcFace = core.Definition{
	Name: "ArcFace", Operands: rows("cosines", core.Cosines, "labels", core.Labels),
	Takes:    core.Options(core.ClassOptions, core.OptScale, core.OptMargin),
	Defaults: core.Settings{Ignore: []int{-100}, Temperature: 1, Scale: 64, Margin: 0.5},
	Laws:     core.NonNegative,
	Check: func(s *core.Settings) error {
		if s.Margin < 0 || s.Margin > math.Pi {
			return fmt.Errorf("WithMargin is %v, want a number in [0, π]", s.Margin)
		}
		return nil
	},
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return scaled(s, turnedCosine(s))
	},
	Kernel: tiles(core.Cosines, core.Labels, scaledTile[float32](turnedCosine), scaledTile[float64](turnedCosine)),
}

// turnedCosine is the cosine of an angle that a margin is added to, as a function of its cosine.
func turnedCosine(s *core.Settings) func(_ int, c float64) (z, d, dd float64) {
	sin, cos := math.Sincos(s.Margin)
	return func(_ int, c float64) (z, d, dd float64) {
		sine := math.Sqrt(max(0, (1-c)*(1+c)))
		z, d = c*cos-sine*sin, cos
		if sine > 0 {
			d += c / sine * sin
			dd = sin / sine / sine / sine
		}
		return z, d, dd
	}
}

// CosFace returns the cross-entropy of scaled cosines from which, for the true class, a margin is
// taken.
//
// With c a row of cosines between an embedding and the classes' directions, y its label, s the
// scale, m the margin, w the class weights (1 by default) and p = softmax(z),
//
//	z_y = s·(c_y - m)        z_j = s·c_j
//	l = w_y·(log Σ exp(z) - z_y)        dl/dc_j = w_y·s·(p_j - [j = y])
//
// cosines have the shape (N, C), or any other with a class axis, and lie in [-1, 1]; labels (Int,
// Int64, Int32 or Uint8) have that shape without the axis. The result is a scalar, or has the
// labels' shape under [None].
//
// Options: [WithScale] (s > 0, default 64), [WithMargin] (m >= 0, default 0.35), [WithAxis] (the
// class axis, default -1), [WithIgnoreIndex] (default -100), [WithClassWeights], [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Up to 1e-4 beyond ±1 is taken for rounding.
//
// [ArcFace] adds the margin to the angle.
//
// Reference: H. Wang et al., CosFace: Large Margin Cosine Loss for Deep Face Recognition, 2018.
func CosFace(cosines, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&cosFace, opts, cosines, labels)
}

var cosFace = core.Definition{
	Name: "CosFace", Operands: rows("cosines", core.Cosines, "labels", core.Labels),
	Takes:    core.Options(core.ClassOptions, core.OptScale, core.OptMargin),
	Defaults: core.Settings{Ignore: []int{-100}, Temperature: 1, Scale: 64, Margin: 0.35},
	Laws:     core.NonNegative | core.Convex,
	Check: func(s *core.Settings) error {
		if s.Margin < 0 {
			return fmt.Errorf("WithMargin is %v, want a number >= 0", s.Margin)
		}
		return nil
	},
	Kernel: tiles(core.Cosines, core.Labels, scaledTile[float32](lessCosine), scaledTile[float64](lessCosine)),
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return scaled(s, lessCosine(s))
	},
}

// lessCosine is a cosine less the margin.
func lessCosine(s *core.Settings) func(_ int, c float64) (z, d, dd float64) {
	return func(_ int, c float64) (z, d, dd float64) { return c - s.Margin, 1, 0 }
}

// scaled is the cross-entropy of scaled cosines of which the true class's goes through a curve
// before.
func scaled(s *core.Settings, curve func(class int, x float64) (z, d, dd float64)) core.RowFunc {
	return formula.Compose(func(r *core.Block, z, d, dd []float64) {
		for j, c := range r.X[0] {
			z[j], d[j], dd[j] = c, 1, 0
			if j == r.Class() {
				z[j], d[j], dd[j] = curve(j, c)
			}
			z[j], d[j], dd[j] = s.Scale*z[j], s.Scale*d[j], s.Scale*dd[j]
		}
	}, crossEntropyRow(s))
}
