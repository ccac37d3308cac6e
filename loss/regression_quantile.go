package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
)

// Losses whose minimiser is another statistic than mean or median, and the one that tolerates small
// errors.
var quantileLosses = []entry{
	{&quantile, Quantile},
	{&expectile, Expectile},
	{&epsilonInsensitive, EpsilonInsensitive},
}

// Quantile returns the quantile (pinball) loss of pred against target, whose minimiser is the
// τ-quantile of the targets.
//
// With e = pred - target,
//
//	l(e) = (1-τ)·e   e > 0        dl/de = 1-τ
//	l(e) = τ·|e|     e < 0        dl/de = -τ
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithQuantile] (τ in (0, 1), default 0.5), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The derivative at e = 0 is the mean of its sides, 1/2 - τ; the second derivative is 0 everywhere.
//
// τ = 1/2 is half of [MAE]. [Expectile] is the squared form.
//
// Reference: R. Koenker, G. Bassett, Regression Quantiles, 1978.
func Quantile(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&quantile, opts, pred, target)
}

var quantile = core.Definition{
	Name: "Quantile", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptQuantile), Defaults: core.Settings{Quantile: 0.5},
	Kernel: points(true, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.Quantile, A: s.Quantile}
	}),
	Laws: core.NonNegative | core.ZeroAtEqual | core.Convex,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		tau := s.Quantile
		return formula.Curve{
			Value: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = formula.Pick(v > 0, 1-tau, -tau) * v
				}
			},
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = formula.Pick(v > 0, 1-tau, formula.Pick(v < 0, -tau, v+(0.5-tau)))
				}
			},
			Second: formula.Constant(0),
		}.Residual
	},
	Check: func(s *core.Settings) error {
		if s.Quantile == 0 || s.Quantile == 1 {
			return fmt.Errorf("WithQuantile is %v, want a number in (0, 1)", s.Quantile)
		}
		return nil
	},
}

// Expectile returns the asymmetric squared error of pred against target, whose minimiser is the
// τ-expectile of the targets.
//
// With e = pred - target,
//
//	l(e) = (1-τ)·e²   e > 0        dl/de = 2(1-τ)·e
//	l(e) = τ·e²       e < 0        dl/de = 2τ·e
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithTau] (τ in (0, 1), default 0.5), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The second derivative at e = 0 is the mean of its sides, 1.
//
// τ = 1/2 is half of [MSE]. [Quantile] is the linear form.
//
// Reference: W. K. Newey, J. L. Powell, Asymmetric Least Squares Estimation and Testing, 1987.
func Expectile(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&expectile, opts, pred, target)
}

var expectile = core.Definition{
	Name: "Expectile", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptTau), Defaults: core.Settings{Tau: 0.5},
	Kernel: points(true, func(s *core.Settings) tensorops.Point { return tensorops.Point{Loss: tensorops.Expectile, A: s.Tau} }),
	Laws:   core.NonNegative | core.ZeroAtEqual | core.Convex,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		tau := s.Tau
		return formula.Curve{
			Value: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = formula.Pick(v > 0, 1-tau, tau) * v * v
				}
			},
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = 2 * formula.Pick(v > 0, 1-tau, tau) * v
				}
			},
			Second: formula.Each(func(e float64) float64 { return 2 * formula.Pick(e > 0, 1-tau, formula.Pick(e < 0, tau, 0.5)) }),
		}.Residual
	},
}

// EpsilonInsensitive returns the absolute error of pred against target beyond a tolerance ε, as in
// support vector regression.
//
// With e = pred - target,
//
//	l(e) = max(0, |e| - ε)        dl/de = sign(e) where |e| > ε, else 0
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithEpsilon] (ε >= 0, default 0.1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The second derivative is 0 everywhere. ε = 0 is [MAE].
//
// Reference: V. Vapnik, The Nature of Statistical Learning Theory, 1995.
func EpsilonInsensitive(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&epsilonInsensitive, opts, pred, target)
}

var epsilonInsensitive = core.Definition{
	Name: "EpsilonInsensitive", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptEpsilon), Defaults: core.Settings{Epsilon: 0.1},
	Kernel: points(true, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.EpsilonInsensitive, A: s.Epsilon}
	}),
	Laws: core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		eps := s.Epsilon
		return formula.Curve{
			Value: func(dst, e []float64) {
				for i, v := range e {
					a := math.Abs(v)
					dst[i] = formula.Pick(a <= eps, 0, a-eps)
				}
			},
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = formula.Pick(math.Abs(v) <= eps, 0, formula.Sign(v))
				}
			},
			Second: formula.Constant(0),
		}.Residual
	},
	Check: func(s *core.Settings) error {
		if s.Epsilon < 0 {
			return fmt.Errorf("WithEpsilon is %v, want a number >= 0", s.Epsilon)
		}
		return nil
	},
}
