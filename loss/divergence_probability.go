package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// JensenShannon returns the Jensen-Shannon divergence of two rows of probabilities: the divergence
// of both from their mixture.
//
// With p a row of prob, t the target and m = βt + (1-β)p,
//
//	l = Σ_c β·t_c·log(t_c/m_c) + (1-β)·p_c·log(p_c/m_c)      dl/dp_j = (1-β)·log(p_j/m_j), 0 where p_j = 0
//	                                                         dl/dt_j = β·log(t_j/m_j), 0 where t_j = 0
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that
// shape without the class axis under [None].
//
// Options: [WithBeta] (β in [0, 1], default 0.5), [WithAxis] (default -1), [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// It is at most the entropy of (β, 1-β), log 2 by default, for any two distributions. At β = 0,
// where the formula would be 0, it is KL(t‖p) by definition, and at β = 1 KL(p‖t): the limits of
// the value over β and over 1-β. Nearly equal rows keep their digits; equal ones give exactly 0.
//
// [KL] and [ReverseKL] take logits.
//
// Reference: J. Lin, Divergence Measures Based on the Shannon Entropy, 1991; the ends from R.
// Agarwal et al., On-Policy Distillation of Language Models, 2024.
func JensenShannon(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&jensenShannon, opts, prob, target)
}

var jensenShannon = core.Definition{
	Name: "JensenShannon", Operands: rows("prob", core.Probabilities, "target", core.SoftTargets),
	Takes: core.Options(core.RowOptions, core.OptBeta), Defaults: core.Settings{Beta: 0.5},

	Laws: core.NonNegative | core.ZeroAtEqual | core.Convex,
	Check: func(s *core.Settings) error {
		if s.Beta > 1 {
			return fmt.Errorf("WithBeta is %v, want a number in [0, 1]", s.Beta)
		}
		return nil
	},
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		b, c := s.Beta, 1-s.Beta
		switch {
		case b == 0:
			return formula.FiniteRows(klOfProbabilities.Rows())
		case c == 0:
			return formula.FiniteRows(reverseKLOfProbabilities.Rows())
		}
		return formula.FiniteRows(formula.Separable{Term: func(p, t float64) formula.Partials {
			m := b*t + c*p
			at, ap := mixed(t, p, m, c), mixed(p, t, m, b)
			j := formula.Partials{L: b*formula.KLTerm(t, m, at) + c*formula.KLTerm(p, m, ap)}
			if t != 0 {
				j.T = b * at
			}
			if p != 0 {
				j.P = c * ap
			}
			if p != 0 && t != 0 {
				j.PP, j.PT, j.TT = b*c*(t/p/m), -b*c/m, b*c*(p/t/m)
			}
			return j
		}}.Rows())
	},
	Kernel: func(s *core.Settings, d core.Dims) core.Kernels {
		switch s.Beta {
		case 0:
			return kullbackRows(d, true, false)
		case 1:
			return kullbackRows(d, true, true)
		}
		return mixedRows(d, s.Beta)
	},
}

// mixed returns log(x/m) where m is x moved by the share toward y.
func mixed(x, y, m, share float64) float64 {
	if d := share * ((y - x) / x); math.Abs(d) <= 0.5 {
		return -math.Log1p(d)
	}
	return formula.LogRatio(x, m)
}

// klOfProbabilities is Σ t·log(t/p).
var klOfProbabilities = formula.Separable{
	CP: -1, CT: 1,
	Term: func(p, t float64) formula.Partials {
		if t == 0 {
			return formula.Partials{L: p}
		}
		a := formula.LogRatio(t, p)
		return formula.Partials{L: formula.KLTerm(t, p, a), P: -t / p, T: a + 1, PP: t / p / p, PT: -1 / p, TT: 1 / t}
	},
	Plain: func(p, t float64) float64 {
		if t == 0 {
			return 0
		}
		return t * formula.LogRatio(t, p)
	},
}

// reverseKLOfProbabilities is Σ p·log(p/t).
var reverseKLOfProbabilities = formula.Separable{
	CP: 1, CT: -1,
	Term: func(p, t float64) formula.Partials { return klOfProbabilities.Term(t, p).Swapped() },
	Plain: func(p, t float64) float64 {
		return klOfProbabilities.Plain(t, p)
	},
}

// TotalVariation returns the total variation distance of two rows of probabilities: the largest
// difference that they give to the probability of any event.
//
// With p a row of prob and t the target,
//
//	l = ½·Σ_c |p_c - t_c|      dl/dp_j = ½·sign(p_j - t_j), 0 where they are equal
//	                           dl/dt_j = -dl/dp_j
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that
// shape without the class axis under [None].
//
// Options: [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The second derivative is 0 everywhere. The value of two distributions lies in [0, 1] and is at
// most √(KL/2).
//
// [Hellinger] is smooth where the rows differ.
//
// Reference: A. B. Tsybakov, Introduction to Nonparametric Estimation, 2009, section 2.4.
func TotalVariation(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&totalVariation, opts, prob, target)
}

var totalVariation = core.Definition{
	Name: "TotalVariation", Operands: rows("prob", core.Probabilities, "target", core.SoftTargets), Takes: core.RowOptions,
	Laws: core.NonNegative | core.ZeroAtEqual | core.Convex,
	Row: func(*core.Settings, core.Dims) core.RowFunc {
		return formula.FiniteRows(formula.Separable{Term: func(p, t float64) formula.Partials {
			if p == t {
				return formula.Partials{}
			}
			d := math.Copysign(0.5, p-t)
			return formula.Partials{L: math.Abs(p-t) / 2, P: d, T: -d}
		}}.Rows())
	},
	Kernel: totalVariationRows,
}

// GeneralizedKL returns the Kullback-Leibler divergence of measures, which need not sum to 1: also
// known as I-divergence and, in matrix factorisation, as KL divergence.
//
// With p a row of prob and t the target,
//
//	l = Σ_c t_c·log(t_c/p_c) + p_c - t_c      dl/dp_j = 1 - t_j/p_j
//	                                          dl/dt_j = log(t_j/p_j), 0 where t_j = 0
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that
// shape without the class axis under [None].
//
// Options: [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// It is 0 for equal rows and only for them, whatever they sum to. 0·log 0 is 0; an entry of 0 with
// a positive target makes the value +Inf.
//
// For two distributions it is [KL].
//
// Reference: I. Csiszár, Why Least Squares and Maximum Entropy?, 1991.
func GeneralizedKL(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&generalizedKL, opts, prob, target)
}

var generalizedKL = core.Definition{
	Name: "GeneralizedKL", Operands: rows("prob", core.Probabilities, "target", core.SoftTargets), Takes: core.RowOptions,
	Laws:  core.NonNegative | core.ZeroAtEqual | core.Convex,
	Optax: "convex_kl_divergence",
	Row: func(*core.Settings, core.Dims) core.RowFunc {
		return formula.FiniteRows(formula.Separable{Term: func(p, t float64) formula.Partials {
			if t == 0 {
				return formula.Partials{L: p, P: 1}
			}
			a := formula.LogRatio(t, p)
			return formula.Partials{L: formula.KLTerm(t, p, a), P: (p - t) / p, T: a, PP: t / p / p, PT: -1 / p, TT: 1 / t}
		}}.Rows())
	},
	Kernel: func(_ *core.Settings, d core.Dims) core.Kernels { return kullbackRows(d, false, false) },
}
