package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// Losses of the error in proportion to the size of the target.
var relativeLosses = []entry{
	{&mape, MAPE},
	{&smape, SMAPE},
	{&msle, MSLE},
}

// MAPE returns the absolute error of pred as a fraction of the size of target.
//
// With e = pred - target and m = max(|target|, ε),
//
//	l = |e|/m        dl/dpred = sign(e)/m
//	                 dl/dtarget = -sign(e)·pred/(target·|target|), or -sign(e)/ε where |target| <= ε
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithEpsilon] (ε > 0, default 1e-7), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The result is a fraction, not a percentage as Keras's: 0.25 where pred is a quarter off. The
// derivatives at e = 0 are 0. An infinite target gives NaN.
//
// [SMAPE] is bounded; [MSLE] weighs ratios alike in both directions.
//
// Reference: standard.
func MAPE(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&mape, opts, pred, target)
}

var mape = core.Definition{
	Name: "MAPE", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptEpsilon), Defaults: core.Settings{Epsilon: 1e-7},
	Kernel: points(false, func(s *core.Settings) tensorops.Point { return tensorops.Point{Loss: tensorops.MAPE, A: s.Epsilon} }),
	Laws:   core.NonNegative | core.ZeroAtEqual | core.Convex,
	Keras:  "MeanAbsolutePercentageError / 100",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		eps := s.Epsilon
		return formula.FirstOrder{
			Value: func(r *core.Block, dst []float64) {
				t := r.X[1][:len(dst)]
				for i, p := range r.X[0] {
					m := math.Abs(t[i])
					dst[i] = math.Abs(p-t[i]) / formula.Pick(m <= eps, eps, m)
				}
			},
			Deriv: func(r *core.Block, dst []float64) {
				t := r.X[1][:len(dst)]
				for i, p := range r.X[0] {
					m := math.Abs(t[i])
					dst[i] = formula.Sign(p-t[i]) / formula.Pick(m <= eps, eps, m)
				}
			},
		}.Completed(formula.Bivariate(func(p, t float64, _ int) formula.Partials {
			e, m := p-t, math.Abs(t)
			if m <= eps {
				return formula.Partials{T: -formula.Sign(e) / eps}
			}
			d, u := formula.Sign(e)/m, formula.Sign(t)/m
			return formula.Partials{T: -d * u * p, PT: -d * u, TT: 2 * d * u * (p / t)}
		}))
	},
	Check: positiveEpsilon,
}

// SMAPE returns the absolute error of pred against target as a fraction of their mean size.
//
//	l = 2·|p - t|/(|p| + |t|)        dl/dp = 4·|t|·sign(p - t)/(p + t)² where p and t have one sign
//	                                 dl/dp = 0 where they have not: there l = 2
//
// pred p and target t have the same shape (any rank). The result is a scalar, or has the shape of
// pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The result is a fraction in [0, 2], and 0 where both are 0. It is constant, and does not teach,
// where pred and target differ in sign. Derivatives on a corner (p = t, p = 0 or t = 0) are the
// mean of their sides. One infinite operand gives the limit 2.
//
// [MAPE] divides by the target alone.
//
// Reference: S. Makridakis, Accuracy Measures: Theoretical and Practical Concerns, 1993.
func SMAPE(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&smape, opts, pred, target)
}

var smape = core.Definition{
	Name: "SMAPE", Operands: elements("pred", core.Real, "target", core.Real), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.SMAPE)),
	Laws:   core.NonNegative | core.ZeroAtEqual,
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return formula.FirstOrder{
			Value: func(r *core.Block, dst []float64) {
				t := r.X[1][:len(dst)]
				for i, p := range r.X[0] {
					size := math.Abs(p) + math.Abs(t[i])
					dst[i] = 2 * (math.Abs(p-t[i]) / size)
					if !(size > 0 && size < wide) {
						dst[i] = smapeJet(p, t[i], 0).L
					}
				}
			},
			Deriv: func(r *core.Block, dst []float64) {
				t := r.X[1][:len(dst)]
				for i, p := range r.X[0] {
					a, b := math.Abs(p), math.Abs(t[i])
					rest := 1 / (a + b)
					d := 4 * formula.Sign(p-t[i]) * b * rest * rest
					dst[i] = formula.Pick(p*t[i] > 0, d, 0)
					if !(min(a, b) > 1/wide && max(a, b) < wide) {
						dst[i] = smapeJet(p, t[i], 0).P
					}
				}
			},
		}.Completed(formula.Bivariate(smapeJet))
	},
}

// smapeJet is SMAPE of prediction p and target t.
func smapeJet(p, t float64, _ int) formula.Partials {
	a, b := math.Abs(p), math.Abs(t)
	size := a + b
	switch side := formula.Sign(p) * formula.Sign(t); {
	case size == size && math.IsInf(p, 0) != math.IsInf(t, 0):
		return formula.Partials{L: 2}
	case size == 0:
		return formula.Partials{}
	case side < 0:
		return formula.Partials{L: 2}
	case side == 0: // one of them 0
		return formula.Partials{L: 2, P: 2 * (formula.Sign(p-t) - formula.Sign(p)) / size, T: 2 * (formula.Sign(t-p) - formula.Sign(t)) / size}
	}
	if math.IsInf(size, 1) && core.Finite(p) { // l is of ratios
		const unit = 0x1p-2
		j := smapeJet(p*unit, t*unit, 0)
		return formula.Partials{L: j.L, P: j.P * unit, T: j.T * unit, PP: j.PP * unit * unit, PT: j.PT * unit * unit, TT: j.TT * unit * unit}
	}
	// l = 2·|a - b|/size and a moves with formula.Sign(p)·p, b with formula.Sign(t)·t, the same
	// sign.
	r, s := formula.Sign(a-b), formula.Sign(p)
	x, y := a/size, b/size
	l := 2 * (math.Abs(p-t) / size)
	return formula.Partials{
		L: l,
		P: 4 * r * s * y / size, T: -4 * r * s * x / size,
		PP: -8 * r * y / size / size, PT: 2 * l / size / size, TT: 8 * r * x / size / size,
	}
}

// logFloor is the number at which MSLE clamps both of its operands, as Keras does.
const logFloor = 1e-7

// MSLE returns the squared difference of the logarithms of 1 + pred and 1 + target, both taken as
// at least 1e-7.
//
//	l = D², D = log(1+p) - log(1+t)        dl/dp = 2D/(1+p)
//	                                       dl/dt = -2D/(1+t)
//
// pred p and target t have the same shape (any rank). The result is a scalar, or has the shape of
// pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// An operand below 1e-7 has derivative 0. D is computed from the difference p - t, so it keeps its
// relative accuracy where they are close.
//
// It is for quantities that spread over orders of magnitude; [MAPE] never charges more than 1 for a
// positive prediction that is too low.
//
// Reference: standard.
func MSLE(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&msle, opts, pred, target)
}

var msle = core.Definition{
	Name: "MSLE", Operands: elements("pred", core.Real, "target", core.Real), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.MSLE)),
	Laws:   core.NonNegative | core.ZeroAtEqual,
	Keras:  "MeanSquaredLogarithmicError",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return formula.FirstOrder{
			Value: func(r *core.Block, dst []float64) {
				logDistances(r, dst)
				for i, size := range dst {
					dst[i] = size * size
				}
			},
			Deriv: func(r *core.Block, dst []float64) {
				logDistances(r, dst)
				t := r.X[1][:len(dst)]
				for i, p := range r.X[0] {
					d := math.Copysign(dst[i], p-t[i])
					dst[i] = formula.Pick(p < logFloor, d*0, 2*d/(1+p))
					if d > math.MaxFloat64 || d < -math.MaxFloat64 {
						dst[i] = 0
					}
				}
			},
		}.Completed(formula.BivariateBy(func(r *core.Block) (y, z []float64) {
			y = r.Buf(len(r.X[0]))
			logDistances(r, y)
			return y, y
		}, func(p, t, size, _ float64) formula.Partials {
			if math.IsInf(size, 0) {
				return formula.Partials{}
			}
			d := math.Copysign(size, p-t)
			a, b := clampedSlope(p), clampedSlope(t)
			return formula.Partials{T: -2 * d * b, PP: 2 * (1 - d) * a * a, PT: -2 * a * b, TT: 2 * (1 + d) * b * b}
		}))
	},
}

// logGaps writes |log(1+p) - log(1+t)| of the clamped operands.
func logDistances(r *core.Block, dst []float64) {
	t := r.X[1][:len(dst)]
	for i, p := range r.X[0] {
		a, b := formula.Pick(p < logFloor, logFloor, p), formula.Pick(t[i] < logFloor, logFloor, t[i])
		dst[i] = math.Abs(a-b) / (1 + formula.Pick(a < b, a, b))
	}
	vec.Log1p(dst, dst)
}

// clampedSlope is the derivative of log(1 + max(x, logFloor)).
func clampedSlope(x float64) float64 {
	if x < logFloor {
		return 0
	}
	return 1 / (1 + x)
}
