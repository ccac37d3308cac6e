package loss

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
)

// Losses whose minimiser is another statistic than mean or median, and the one that tolerates small errors.
var quantileLosses = []entry{
	{&quantile, Quantile},
	{&expectile, Expectile},
	{&epsilonInsensitive, EpsilonInsensitive},
}

// Quantile returns the quantile (pinball) loss of pred against target, whose minimiser is the τ-quantile of the targets.
//
// With e = pred - target,
//
//	l(e) = (1-τ)·e   e > 0        dl/de = 1-τ
//	l(e) = τ·|e|     e < 0        dl/de = -τ
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithQuantile] (τ in (0, 1), default 0.5), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The derivative at e = 0 is the mean of its sides, 1/2 - τ; the second derivative is 0 everywhere.
//
// τ = 1/2 is half of [MAE]. [Expectile] is the squared form.
//
// Reference: R. Koenker, G. Bassett, Regression Quantiles, 1978.
func Quantile(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return quantile.build(pred, target, opts)
}

var quantile = definition{
	name: "Quantile", takes: reduceKnobs | knobQuantile, defaults: settings{axis: -1, quantile: 0.5}, elementwise: true,
	laws: NonNegative | ZeroAtEqual | Convex,
	rows: func(s *settings, _, _ int) rowFunc {
		tau := s.quantile
		return profile{
			value: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = pick(v > 0, 1-tau, -tau) * v
				}
			},
			slope: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = pick(v > 0, 1-tau, pick(v < 0, -tau, v+(0.5-tau)))
				}
			},
			bend: constant(0),
		}.row
	},
}

// Expectile returns the asymmetric squared error of pred against target, whose minimiser is the τ-expectile of the targets.
//
// With e = pred - target,
//
//	l(e) = (1-τ)·e²   e > 0        dl/de = 2(1-τ)·e
//	l(e) = τ·e²       e < 0        dl/de = 2τ·e
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithTau] (τ in (0, 1), default 0.5), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The second derivative at e = 0 is the mean of its sides, 1.
//
// τ = 1/2 is half of [MSE]. [Quantile] is the linear form.
//
// Reference: W. K. Newey, J. L. Powell, Asymmetric Least Squares Estimation and Testing, 1987.
func Expectile(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return expectile.build(pred, target, opts)
}

var expectile = definition{
	name: "Expectile", takes: reduceKnobs | knobTau, defaults: settings{axis: -1, tau: 0.5}, elementwise: true,
	laws: NonNegative | ZeroAtEqual | Convex,
	rows: func(s *settings, _, _ int) rowFunc {
		tau := s.tau
		return profile{
			value: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = pick(v > 0, 1-tau, tau) * v * v
				}
			},
			slope: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = 2 * pick(v > 0, 1-tau, tau) * v
				}
			},
			bend: each(func(e float64) float64 { return 2 * pick(e > 0, 1-tau, pick(e < 0, tau, 0.5)) }),
		}.row
	},
}

// EpsilonInsensitive returns the absolute error of pred against target beyond a tolerance ε, as in support vector regression.
//
// With e = pred - target,
//
//	l(e) = max(0, |e| - ε)        dl/de = sign(e) where |e| > ε, else 0
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithEpsilon] (ε >= 0, default 0.1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The second derivative is 0 everywhere. ε = 0 is [MAE].
//
// Reference: V. Vapnik, The Nature of Statistical Learning Theory, 1995.
func EpsilonInsensitive(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return epsilonInsensitive.build(pred, target, opts)
}

var epsilonInsensitive = definition{
	name: "EpsilonInsensitive", takes: reduceKnobs | knobEpsilon, defaults: settings{axis: -1, epsilon: 0.1}, elementwise: true,
	laws: Symmetric | NonNegative | ZeroAtEqual | Convex,
	rows: func(s *settings, _, _ int) rowFunc {
		eps := s.epsilon
		return profile{
			value: func(dst, e []float64) {
				for i, v := range e {
					a := math.Abs(v)
					dst[i] = pick(a <= eps, 0, a-eps)
				}
			},
			slope: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = pick(math.Abs(v) <= eps, 0, sign(v))
				}
			},
			bend: constant(0),
		}.row
	},
	check: func(s *settings, _ Domain, _ int) error {
		if s.epsilon < 0 {
			return fmt.Errorf("WithEpsilon is %v, want a number >= 0", s.epsilon)
		}
		return nil
	},
}
