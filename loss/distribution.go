package loss

import (
	"math"

	G "gorgonia.org/gorgonia"
)

// GaussianKL returns the Kullback-Leibler divergence of normal distributions, element by element.
//
// With m₁, m₂ entries of the means, s₁, s₂ of the standard deviations, ρ = s₁/s₂ and e = (m₁-m₂)/s₂,
//
//	l = ½·(ρ² - 1 + e²) - log ρ      dl/dm₁ = e/s₂            dl/dm₂ = -e/s₂
//	                                 dl/ds₁ = (ρ²-1)/s₁       dl/ds₂ = (1-ρ²-e²)/s₂
//
// which is KL(N(m₁, s₁²) ‖ N(m₂, s₂²)): the first distribution is averaged over. The four operands have the same shape
// (any rank) and dtype. The result is a scalar, or has that shape under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Standard deviations are finite and > 0, others are an error. Nearly equal distributions keep their digits; equal ones give 0.
//
// [StandardGaussianKL] is the divergence from the standard normal distribution, summed over an axis.
//
// Reference: S. Kullback, Information Theory and Statistics, 1959, chapter 9.
func GaussianKL(mean1, std1, mean2, std2 *G.Node, opts ...Option) (*G.Node, error) {
	return gaussianKL.assemble(opts, mean1, std1, mean2, std2)
}

var gaussianKL = definition{
	name: "GaussianKL", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	target: Positive, extra: []Domain{Real, Positive}, names: []string{"mean1", "std1", "mean2", "std2"},
	laws:  NonNegative | ZeroAtEqual,
	torch: "distributions.kl_divergence(Normal, Normal)",
	rows: func(*settings, int, int) rowFunc {
		return volume(4, func(x [maxOperands]float64) multiJet {
			m1, s1, m2, s2 := x[0], x[1], x[2], x[3]
			rho, e := s1/s2, (m1-m2)/s2
			spread := (s1 - s2) / s2 * (rho + 1) // ρ² - 1
			log := logRatio(s1, s2)
			j := multiJet{
				l: (expExcess(2*log) + e*e) / 2,
				d: [maxOperands]float64{e / s2, spread / s1, -e / s2, (-spread - e*e) / s2},
			}
			if math.Abs(log) > 0.25 {
				j.l = (spread+e*e)/2 - log
			}
			one := 1 / s2 / s2
			j.h = [maxOperands][maxOperands]float64{
				{one, 0, -one, -2 * e * one},
				{0, one + 1/s1/s1, 0, -2 * rho * one},
				{-one, 0, one, 2 * e * one},
				{-2 * e * one, -2 * rho * one, 2 * e * one, (3*(rho*rho+e*e) - 1) * one},
			}
			return j
		})
	},
}

// StandardGaussianKL returns the Kullback-Leibler divergence of a diagonal normal distribution from the standard one: the
// regulariser of a variational autoencoder.
//
// With m a row of mean and v a row of logVar,
//
//	l = ½·Σ_c m_c² + e^v_c - 1 - v_c      dl/dm_j = m_j
//	                                      dl/dv_j = ½·(e^v_j - 1)
//
// mean and logVar, the logarithm of the variance, have the same shape and dtype; the last axis is that of the latent
// variables. The result is a scalar, or has that shape without the axis under [None].
//
// Options: [WithAxis] (the axis that is summed, default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Near the standard normal distribution the value keeps its digits. A variance of 0 or +Inf (logVar ±Inf) gives +Inf.
//
// [GaussianKL] is the divergence of any two normal distributions.
//
// Reference: D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, 2014, appendix B.
func StandardGaussianKL(mean, logVar *G.Node, opts ...Option) (*G.Node, error) {
	return standardGaussianKL.build(mean, logVar, opts)
}

var standardGaussianKL = definition{
	name: "StandardGaussianKL", takes: rowKnobs, defaults: settings{axis: -1}, names: []string{"mean", "logVar"},
	laws:  NonNegative | Convex,
	torch: "distributions.kl_divergence(Normal, Normal)",
	rows: func(*settings, int, int) rowFunc {
		return separable{term: func(m, v float64) jet {
			return jet{l: (m*m + expExcess(v)) / 2, p: m, t: math.Expm1(v) / 2, pp: 1, tt: math.Exp(v) / 2}
		}}.rows()
	},
}

// BernoulliKL returns the Kullback-Leibler divergence of Bernoulli distributions, element by element, from their logits.
//
// With a an entry of logits1, b of logits2 and σ the sigmoid,
//
//	l = σ(a)·(a - b) + log(1+e^b) - log(1+e^a)      dl/da = σ(a)·σ(-a)·(a - b)
//	                                                dl/db = σ(b) - σ(a)
//
// which is KL(Bernoulli(σ(a)) ‖ Bernoulli(σ(b))): the first distribution is averaged over. logits1 and logits2 have the
// same shape (any rank) and dtype. The result is a scalar, or has that shape under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Nearly equal logits keep their digits in the value and both derivatives. Equal ones give 0, infinite ones too; a certain b
// that contradicts a gives +Inf.
//
// [KL] is for one distribution over several classes, [BinaryCrossEntropy] for a target that is a probability.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func BernoulliKL(logits1, logits2 *G.Node, opts ...Option) (*G.Node, error) {
	return bernoulliKL.build(logits1, logits2, opts)
}

var bernoulliKL = definition{
	name: "BernoulliKL", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	pred: Logits, target: Logits, names: []string{"logits1", "logits2"},
	laws:  NonNegative | ZeroAtEqual,
	torch: "distributions.kl_divergence(Bernoulli, Bernoulli)",
	rows: func(*settings, int, int) rowFunc {
		return surface(func(a, b float64, _ int) jet {
			if a > 0 { // exchanging yes and no loses no digits of 1 - σ(a)
				j := bernoulli(-a, -b)
				j.p, j.t = -j.p, -j.t
				return j
			}
			return bernoulli(a, b)
		})
	},
}

// bernoulli is BernoulliKL for a <= 0.
func bernoulli(a, b float64) jet {
	p, np, q, nq := sigmoid(a), sigmoid(-a), sigmoid(b), sigmoid(-b)
	d := a - b
	if a == b {
		d = 0
	}
	j := jet{p: times(p*np, d), pp: p * np, pt: -p * np, tt: q * nq}
	j.pp += times(p*np*(np-p), d)
	switch u := math.Expm1(-d); {
	case math.Abs(d) <= 0.5:
		// log((1+e^b)/(1+e^a)) = log(1 + pu), and the parts of first order in u cancel
		j.l = p*excess(u) - excess(p*u)
		j.t = p * np * u / (1 + p*u)
	case math.IsInf(b, 1):
		j.l, j.t = b, np
	default:
		j.l, j.t = times(p, d)+(softplus(b)-softplus(a)), q-p
	}
	return j
}
