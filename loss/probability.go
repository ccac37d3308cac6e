package loss

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
)

// JensenShannon returns the Jensen-Shannon divergence of two rows of probabilities: the divergence of both from their mixture.
//
// With p a row of prob, t the target and m = βt + (1-β)p,
//
//	l = Σ_c β·t_c·log(t_c/m_c) + (1-β)·p_c·log(p_c/m_c)      dl/dp_j = (1-β)·log(p_j/m_j), 0 where p_j = 0
//	                                                         dl/dt_j = β·log(t_j/m_j), 0 where t_j = 0
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that shape without the class
// axis under [None].
//
// Options: [WithBeta] (β in [0, 1], default 0.5), [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// It is at most the entropy of (β, 1-β), log 2 by default, for any two distributions. At β = 0, where the formula would
// be 0, it is KL(t‖p) by definition, and at β = 1 KL(p‖t): the limits of the value over β and over 1-β. Nearly equal rows
// keep their digits; equal ones give exactly 0.
//
// [KL] and [ReverseKL] take logits.
//
// Reference: J. Lin, Divergence Measures Based on the Shannon Entropy, 1991; the ends from R. Agarwal et al., On-Policy
// Distillation of Language Models, 2024.
func JensenShannon(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return jensenShannon.build(prob, target, opts)
}

var jensenShannon = definition{
	name: "JensenShannon", takes: rowKnobs | knobBeta, defaults: settings{axis: -1, beta: 0.5},
	pred: Probabilities, target: SoftTargets,
	laws: NonNegative | ZeroAtEqual | Convex,
	check: func(s *settings, _ Domain, _ int) error {
		if s.beta > 1 {
			return fmt.Errorf("WithBeta is %v, want a number in [0, 1]", s.beta)
		}
		return nil
	},
	rows: func(s *settings, _, _ int) rowFunc {
		b, c := s.beta, 1-s.beta
		switch {
		case b == 0:
			return proper(klOfProbabilities.rows())
		case c == 0:
			return proper(reverseKLOfProbabilities.rows())
		}
		return proper(separable{term: func(p, t float64) jet {
			m := b*t + c*p
			at, ap := mixed(t, p, m, c), mixed(p, t, m, b)
			j := jet{l: b*gap(t, m, at) + c*gap(p, m, ap)}
			if t != 0 {
				j.t = b * at
			}
			if p != 0 {
				j.p = c * ap
			}
			if p != 0 && t != 0 {
				j.pp, j.pt, j.tt = b*c*(t/p/m), -b*c/m, b*c*(p/t/m)
			}
			return j
		}}.rows())
	},
}

// mixed returns log(x/m) where m is x moved by the share toward y.
func mixed(x, y, m, share float64) float64 {
	if d := share * (y - x); math.Abs(d) <= x/2 {
		return -math.Log1p(d / x)
	}
	return logRatio(x, m)
}

// klOfProbabilities is Σ t·log(t/p).
var klOfProbabilities = separable{
	cp: -1, ct: 1,
	term: func(p, t float64) jet {
		if t == 0 {
			return jet{l: p}
		}
		a := logRatio(t, p)
		return jet{l: gap(t, p, a), p: -t / p, t: a + 1, pp: t / p / p, pt: -1 / p, tt: 1 / t}
	},
	plain: func(p, t float64) float64 {
		if t == 0 {
			return 0
		}
		return t * logRatio(t, p)
	},
}

// reverseKLOfProbabilities is Σ p·log(p/t).
var reverseKLOfProbabilities = separable{
	cp: 1, ct: -1,
	term: func(p, t float64) jet { return klOfProbabilities.term(t, p).swapped() },
	plain: func(p, t float64) float64 {
		return klOfProbabilities.plain(t, p)
	},
}

// swapped is the jet of the function with its operands exchanged.
func (j jet) swapped() jet { return jet{l: j.l, p: j.t, t: j.p, pp: j.tt, pt: j.pt, tt: j.pp} }

// TotalVariation returns the total variation distance of two rows of probabilities: the largest difference that they give to
// the probability of any event.
//
// With p a row of prob and t the target,
//
//	l = ½·Σ_c |p_c - t_c|      dl/dp_j = ½·sign(p_j - t_j), 0 where they are equal
//	                           dl/dt_j = -dl/dp_j
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that shape without the class
// axis under [None].
//
// Options: [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The second derivative is 0 everywhere. The value of two distributions lies in [0, 1] and is at most √(KL/2).
//
// [Hellinger] is smooth where the rows differ.
//
// Reference: A. B. Tsybakov, Introduction to Nonparametric Estimation, 2009, section 2.4.
func TotalVariation(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return totalVariation.build(prob, target, opts)
}

var totalVariation = definition{
	name: "TotalVariation", takes: rowKnobs, defaults: settings{axis: -1}, pred: Probabilities, target: SoftTargets,
	laws: NonNegative | ZeroAtEqual | Convex,
	rows: func(*settings, int, int) rowFunc {
		return proper(separable{term: func(p, t float64) jet {
			if p == t {
				return jet{}
			}
			d := math.Copysign(0.5, p-t)
			return jet{l: math.Abs(p-t) / 2, p: d, t: -d}
		}}.rows())
	},
}

// GeneralizedKL returns the Kullback-Leibler divergence of measures, which need not sum to 1: also known as I-divergence and,
// in matrix factorisation, as KL divergence.
//
// With p a row of prob and t the target,
//
//	l = Σ_c t_c·log(t_c/p_c) + p_c - t_c      dl/dp_j = 1 - t_j/p_j
//	                                          dl/dt_j = log(t_j/p_j), 0 where t_j = 0
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that shape without the class
// axis under [None].
//
// Options: [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// It is 0 for equal rows and only for them, whatever they sum to. 0·log 0 is 0; an entry of 0 with a positive target makes
// the value +Inf.
//
// For two distributions it is [KL].
//
// Reference: I. Csiszár, Why Least Squares and Maximum Entropy?, 1991.
func GeneralizedKL(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return generalizedKL.build(prob, target, opts)
}

var generalizedKL = definition{
	name: "GeneralizedKL", takes: rowKnobs, defaults: settings{axis: -1}, pred: Probabilities, target: SoftTargets,
	laws:  NonNegative | ZeroAtEqual | Convex,
	optax: "convex_kl_divergence",
	rows: func(*settings, int, int) rowFunc {
		return proper(separable{term: func(p, t float64) jet {
			if t == 0 {
				return jet{l: p, p: 1}
			}
			a := logRatio(t, p)
			return jet{l: gap(t, p, a), p: (p - t) / p, t: a, pp: t / p / p, pt: -1 / p, tt: 1 / t}
		}}.rows())
	},
}
