package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// pairOptions are the options that every loss of pairs takes.
var pairOptions = core.Options(listOptions, core.OptPairSum, core.OptPairWeights, core.OptTopK, core.OptLinearGain)

// ofPairs completes the definition of a loss of pairs.
func ofPairs(d core.Definition, l func(s *core.Settings) pairLoss) core.Definition {
	d.Grouped, d.Check = ofItems, checkPairs
	if d.Operands == nil {
		d.Operands = lists("scores", core.Real, "relevance", core.FiniteReal)
		d.Target = func(s *core.Settings) core.Domain {
			if s.Ranking.PairWeights == uint8(PairDCG) {
				return core.Counts
			}
			return core.FiniteReal
		}
	}
	d.Parts = func(s *core.Settings, _ *core.GroupDims) core.PartsFunc {
		all := l(s).all
		return partOf(func(g *core.Group) float64 { return pairPart(g, s.Ranking.PairSum, all) })
	}
	d.Group = func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		p := l(s)
		return func(g *core.Group) error { p.group(g, s); return nil }
	}
	return d
}

// checkPairs refuses options without effect.
func checkPairs(s *core.Settings) error {
	for _, o := range []core.OptionSet{core.OptTopK, core.OptLinearGain} {
		if s.Has(o) && s.Ranking.PairWeights != uint8(PairDCG) {
			return fmt.Errorf("%s needs WithPairWeights(PairDCG)", o.Name())
		}
	}
	return nil
}

// RankNet returns the logistic loss of the score differences of all pairs of items of different
// relevance, in each list.
//
// With s the scores, y the relevances, w the weights of the items and λ those of the pairs (1
// without them), over the pairs with y_i > y_j and with d = s_i - s_j,
//
//	l = Σ w_i·λ_ij·log(1 + exp(-σd)) / Σ w_i
//	dl/ds_i = -Σ_j w_i·λ_ij·σ/(1 + exp(σd)) / Σ w_i
//
// and dl/ds_j has the same terms with the opposite sign. scores and relevance (any finite numbers,
// >= 0 under [PairDCG]) have the same dtype and the shape (N, L), one list per row, or (L) for a
// single list. The result is a scalar, or has the shape (N) under [None]. There is no gradient with
// respect to relevance.
//
// Options: [WithSigma] (σ, default 1), [WithPairSum], [WithPairWeights], [WithTopK] and
// [WithLinearGain] (of [PairDCG]), [WithSegments], [WithReduction], [WithWeights] ((N), or the
// shape of scores for items), [WithMask] (that shape), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists without a pair do not count. The loss is not divided by σ, so
// its gradient grows with σ.
//
// [LambdaRank] weights each pair by its effect on the quality of the ranking. [PairwiseHinge] and
// [PairwiseSoftZeroOne] use other functions of d.
//
// Reference: C. Burges et al., Learning to Rank using Gradient Descent, 2005.
func RankNet(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&rankNet, opts, scores, relevance)
}

var rankNet = ofPairs(core.Definition{
	Name: "RankNet", Takes: core.Options(pairOptions, core.OptSigma), Defaults: core.Settings{Ranking: core.Ranking{Sigma: 1}},
	Laws:   core.NonNegative | core.Convex,
	Others: "rax pairwise_logistic_loss: WithPairSum; allRank rankNet: WithPairSum; TF-Ranking PairwiseLogisticLoss",
}, logisticPairs)

// LambdaRank returns the logistic loss of all pairs of items of different relevance, weighted by
// how much the normalised discounted cumulative gain of the list would change if the two exchanged
// their ranks.
//
// It is [RankNet] with [PairDCG]: over the pairs with y_i > y_j and with d = s_i - s_j,
//
//	l = Σ w_i·λ_ij·log(1 + exp(-σd)) / Σ w_i
//	dl/ds_i = -Σ_j w_i·λ_ij·σ/(1 + exp(σd)) / Σ w_i
//	λ_ij = |g_i - g_j|·|1/log₂(1+r_i) - 1/log₂(1+r_j)|/IDCG
//
// with g = 2^y - 1, r the rank by score with ties broken by position, and IDCG the discounted sum
// of the gains in the ideal order. λ is held constant in all derivatives, although it jumps where
// ranks change. scores and relevance (>= 0) have the same dtype and the shape (N, L), one list per
// row, or (L) for a single list. The result is a scalar, or has the shape (N) under [None]. There
// is no gradient with respect to relevance.
//
// Options: [WithSigma] (σ, default 1), [WithTopK] (no discount beyond rank k, default all),
// [WithLinearGain], [WithPairSum], [WithSegments], [WithReduction], [WithWeights] ((N), or the
// shape of scores for items), [WithMask] (that shape), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists without a pair do not count. Relevance that is negative or not
// finite is an error when the graph runs.
//
// [ApproxNDCG] smooths the ranks themselves.
//
// Reference: C. Burges, R. Ragno, Q. V. Le, Learning to Rank with Nonsmooth Cost Functions, 2006.
func LambdaRank(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&lambdaRank, opts, scores, relevance)
}

var lambdaRank = ofPairs(core.Definition{
	Name: "LambdaRank", Operands: lists("scores", core.Real, "relevance", core.Counts),
	Takes:    core.Options(listOptions, core.OptSigma, core.OptTopK, core.OptLinearGain, core.OptPairSum),
	Defaults: core.Settings{Ranking: core.Ranking{Sigma: 1, PairWeights: uint8(PairDCG)}},
	Laws:     core.NonNegative, Others: "LightGBM lambdarank; allRank lambdaLoss, times 1/ln 2: WithPairSum, WithReduction(Sum)",
}, logisticPairs)

// PairwiseHinge returns the amount by which the score differences of all pairs of items of
// different relevance fall short of a margin, in each list.
//
// With s the scores, y the relevances, w the weights of the items and λ those of the pairs (1
// without them), over the pairs with y_i > y_j and with d = s_i - s_j,
//
//	l = Σ w_i·λ_ij·max(0, m - d) / Σ w_i        dl/ds_i = -Σ_(j: d < m) w_i·λ_ij / Σ w_i
//
// and dl/ds_j has the same terms with the opposite sign. scores and relevance (any finite numbers,
// >= 0 under [PairDCG]) have the same dtype and the shape (N, L), one list per row, or (L) for a
// single list. The result is a scalar, or has the shape (N) under [None]. There is no gradient with
// respect to relevance.
//
// Options: [WithMargin] (m, default 1), [WithPairSum], [WithPairWeights], [WithTopK] and
// [WithLinearGain] (of [PairDCG]), [WithSegments], [WithReduction], [WithWeights] ((N), or the
// shape of scores for items), [WithMask] (that shape), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists without a pair do not count. At d = m the derivative is 0; the
// second derivative is 0 everywhere.
//
// [RankNet] is smooth. [MarginRanking] takes given pairs.
//
// Reference: R. Herbrich, T. Graepel, K. Obermayer, Large Margin Rank Boundaries for Ordinal
// Regression, 2000.
func PairwiseHinge(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&pairwiseHinge, opts, scores, relevance)
}

var pairwiseHinge = ofPairs(core.Definition{
	Name: "PairwiseHinge", Takes: core.Options(pairOptions, core.OptMargin), Defaults: core.Settings{Margin: 1},
	Laws:   core.NonNegative | core.Convex,
	Others: "rax pairwise_hinge_loss: WithPairSum; TF-Ranking PairwiseHingeLoss",
}, func(s *core.Settings) pairLoss {
	return pairLoss{curve: formula.Curve{
		Value:  formula.Each(func(x float64) float64 { return formula.Pick(x+s.Margin <= 0, 0, x+s.Margin) }),
		Deriv:  formula.Each(func(x float64) float64 { return aboveZero(x + s.Margin) }),
		Second: formula.Constant(0),
	}}
})

// aboveZero is the derivative of max(0, x), 0 at 0 and NaN for NaN.
func aboveZero(x float64) float64 {
	return formula.Pick(x > 0, 1, formula.Pick(x <= 0, 0, x))
}

// PairwiseSoftZeroOne returns the share of pairs of items of different relevance that are in the
// wrong order, smoothed by the sigmoid, in each list.
//
// With s the scores, y the relevances, w the weights of the items and λ those of the pairs (1
// without them), over the pairs with y_i > y_j and with p = 1/(1 + exp(σ·(s_i-s_j))),
//
//	l = Σ w_i·λ_ij·p / Σ w_i        dl/ds_i = -Σ_j w_i·λ_ij·σ·p·(1-p) / Σ w_i
//
// and dl/ds_j has the same terms with the opposite sign. scores and relevance (any finite numbers,
// >= 0 under [PairDCG]) have the same dtype and the shape (N, L), one list per row, or (L) for a
// single list. The result is a scalar, or has the shape (N) under [None]. There is no gradient with
// respect to relevance.
//
// Options: [WithSigma] (σ, default 1), [WithPairSum], [WithPairWeights], [WithTopK] and
// [WithLinearGain] (of [PairDCG]), [WithSegments], [WithReduction], [WithWeights] ((N), or the
// shape of scores for items), [WithMask] (that shape), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists without a pair do not count. The loss is bounded, so pairs that
// are far in the wrong order have almost no gradient.
//
// [RankNet] is its convex counterpart.
//
// Reference: standard.
func PairwiseSoftZeroOne(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&pairwiseSoftZeroOne, opts, scores, relevance)
}

var pairwiseSoftZeroOne = ofPairs(core.Definition{
	Name: "PairwiseSoftZeroOne", Takes: core.Options(pairOptions, core.OptSigma), Defaults: core.Settings{Ranking: core.Ranking{Sigma: 1}},
	Laws:   core.NonNegative,
	Others: "rax pairwise_soft_zero_one_loss: WithPairSum; TF-Ranking PairwiseSoftZeroOneLoss",
}, func(s *core.Settings) pairLoss {
	sigma := s.Ranking.Sigma
	bend := func(f func(p, q float64) float64) func(dst, x []float64) {
		return func(dst, x []float64) {
			sigmoids(dst, x, sigma)
			for i, p := range dst {
				dst[i] = f(p, oppositeOf(p, x[i], sigma))
			}
		}
	}
	return pairLoss{curve: formula.Curve{
		Value:  func(dst, x []float64) { sigmoids(dst, x, sigma) },
		Deriv:  bend(func(p, q float64) float64 { return sigma * p * q }),
		Second: bend(func(p, q float64) float64 { return sigma * sigma * p * q * (q - p) }),
	}}
})

// oppositeOf is 1 - p of p = sigmoid(σx).
func oppositeOf(p, x, sigma float64) float64 {
	if p <= 0.5 {
		return 1 - p
	}
	e := math.Exp(-sigma * x)
	return e / (1 + e)
}

// PairwiseMSE returns the mean squared difference between the score differences of all pairs of
// items and their differences of relevance, in each list.
//
// With s the scores, y the relevances, w the weights of the items and λ those of the pairs (1
// without them), over all ordered pairs i ≠ j and with u = (y_i - y_j) - (s_i - s_j),
//
//	l = Σ w_i·λ_ij·u² / Σ w_i        dl/ds_i = -2·Σ_j (w_i + w_j)·λ_ij·u / Σ w_i
//
// scores and relevance (any finite numbers, >= 0 under [PairDCG]) have the same dtype and the shape
// (N, L), one list per row, or (L) for a single list. The result is a scalar, or has the shape (N)
// under [None]. There is no gradient with respect to relevance.
//
// Options: [WithPairSum], [WithPairWeights], [WithTopK] and [WithLinearGain] (of [PairDCG]),
// [WithSegments], [WithReduction], [WithWeights] ((N), or the shape of scores for items),
// [WithMask] (that shape), [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists of one item do not count. Adding a constant to all scores of a
// list changes nothing, unlike in [MSE].
//
// [PairwiseQuantile] is the asymmetric form for pairs of different relevance.
//
// Reference: standard.
func PairwiseMSE(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&pairwiseMSE, opts, scores, relevance)
}

var pairwiseMSE = ofPairs(core.Definition{
	Name: "PairwiseMSE", Takes: pairOptions, Laws: core.NonNegative | core.Convex,
	Others: "rax pairwise_mse_loss: WithPairSum, WithNormalizer(Σ L²); TF-Ranking PairwiseMSELoss",
}, func(*core.Settings) pairLoss {
	return pairLoss{all: true, gaps: true, curve: formula.Curve{
		Value:  formula.Each(formula.Square),
		Deriv:  formula.Each(func(u float64) float64 { return 2 * u }),
		Second: formula.Constant(2),
	}}
})

// PairwiseQuantile returns the quantile loss between the score differences of all pairs of items of
// different relevance and their differences of relevance, in each list.
//
// With s the scores, y the relevances, w the weights of the items and λ those of the pairs (1
// without them), over the pairs with y_i > y_j and with u = (y_i - y_j) - (s_i - s_j),
//
//	l = Σ w_i·λ_ij·q(u) / Σ w_i        dl/ds_i = -Σ_j w_i·λ_ij·q'(u) / Σ w_i
//	q(u) = τ·max(0, u) + (1-τ)·max(0, -u)
//
// and dl/ds_j has the same terms with the opposite sign. scores and relevance (any finite numbers,
// >= 0 under [PairDCG]) have the same dtype and the shape (N, L), one list per row, or (L) for a
// single list. The result is a scalar, or has the shape (N) under [None]. There is no gradient with
// respect to relevance.
//
// Options: [WithQuantile] (τ in [0, 1], default 0.5), [WithSquared] (the square of each maximum),
// [WithPairSum], [WithPairWeights], [WithTopK] and [WithLinearGain] (of [PairDCG]), [WithSegments],
// [WithReduction], [WithWeights] ((N), or the shape of scores for items), [WithMask] (that shape),
// [WithNormalizer], [WithNormalizerNode].
//
// Masked items are left out. Lists without a pair do not count. At u = 0 the derivative is 0, and
// under [WithSquared] the second derivative is the mean of its one-sided limits, 1.
//
// [Quantile] is the same loss of individual predictions.
//
// Reference: R. Koenker, G. Bassett, Regression Quantiles, 1978.
func PairwiseQuantile(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&pairwiseQuantile, opts, scores, relevance)
}

var pairwiseQuantile = ofPairs(core.Definition{
	Name: "PairwiseQuantile", Takes: core.Options(pairOptions, core.OptQuantile, core.OptSquared), Defaults: core.Settings{Quantile: 0.5},
	Laws:   core.NonNegative | core.Convex,
	Others: "rax pairwise_qr_loss: WithPairSum, WithSquared",
}, func(s *core.Settings) pairLoss {
	side := func(u float64) float64 {
		return formula.Pick(u > 0, s.Quantile, formula.Pick(u < 0, 1-s.Quantile, u))
	}
	c := formula.Curve{
		Value:  formula.Each(func(u float64) float64 { return side(u) * math.Abs(u) }),
		Deriv:  formula.Each(func(u float64) float64 { return side(u) * formula.Sign(u) }),
		Second: formula.Constant(0),
	}
	if s.Squared {
		c = formula.Curve{
			Value:  formula.Each(func(u float64) float64 { return side(u) * u * u }),
			Deriv:  formula.Each(func(u float64) float64 { return 2 * side(u) * u }),
			Second: formula.Each(func(u float64) float64 { return 2 * formula.Pick(u == 0, 0.5, side(u)) }),
		}
	}
	return pairLoss{gaps: true, curve: c}
})

// logisticPairs is the loss of RankNet and LambdaRank.
func logisticPairs(s *core.Settings) pairLoss {
	sigma := s.Ranking.Sigma
	return pairLoss{sigma: sigma, curve: formula.Curve{
		Value: func(dst, x []float64) {
			decays(dst, x, sigma)
			vec.Log1p(dst, dst)
			for i, v := range x {
				dst[i] += formula.Pick(v > 0, sigma*v, 0)
			}
		},
		Deriv: func(dst, x []float64) {
			sigmoids(dst, x, sigma)
			formula.Scale(dst, sigma)
		},
		Second: func(dst, x []float64) {
			decays(dst, x, sigma)
			for i, e := range dst {
				dst[i] = sigma * sigma * e / ((1 + e) * (1 + e))
			}
		},
	}}
}

// decays writes exp(-|σx|).
func decays(dst, x []float64, sigma float64) {
	for i, v := range x {
		dst[i] = -math.Abs(sigma * v)
	}
	vec.Exp(dst, dst)
}

// sigmoids writes 1/(1 + exp(-σx)).
func sigmoids(dst, x []float64, sigma float64) {
	decays(dst, x, sigma)
	for i, e := range dst {
		dst[i] = formula.Pick(x[i] < 0, e, 1) / (1 + e)
	}
}
