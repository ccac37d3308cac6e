package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// Likelihoods of a target under a distribution whose location and width are both predicted.
var likelihoodLosses = []*definition{&gaussianNLL, &laplaceNLL, &studentTNLL}

// located lifts a function of e = mean - target and a width s to a row function of the three operands: logs writes the part of
// its value that takes logarithms, for a run of elements, and f is the rest of the value with the derivatives of the
// whole, a jet in (e, s).
func located(logs func(r *row, dst, e, s []float64), f func(e, s float64) jet) rowFunc {
	return func(r *row) float64 {
		e, s := r.residuals(), r.x[2]
		at := func(i int) jet { return f(e[i], s[i]) }
		if r.out != nil {
			logs(r, r.out, e, s)
		}
		for i := range r.out {
			r.out[i] += at(i).l
		}
		for k, sign := range [3]float64{1, -1, 0} {
			for i := range r.grad[k] {
				if j := at(i); k == 2 {
					r.grad[2][i] = j.t
				} else {
					r.grad[k][i] = sign * j.p
				}
			}
			for i := range r.hess[k] {
				ve, vs := r.approach(i), 0.0
				if r.dir[2] != nil {
					vs = r.dir[2][i]
				}
				if j := at(i); k == 2 {
					r.hess[2][i] = times(ve, j.pt) + times(vs, j.tt)
				} else {
					r.hess[k][i] = sign * (times(ve, j.pp) + times(vs, j.pt))
				}
			}
		}
		return 0
	}
}

// GaussianNLL returns the negative log-likelihood of target under normal distributions whose mean and variance are predicted.
//
// With e = mean - target and v = max(variance, ε),
//
//	l = (log v + e²/v)/2        dl/dmean = e/v = -dl/dtarget
//	                            dl/dvariance = (1 - e²/v)/(2v)
//
// and with [WithFull] log(2π)/2 more. mean, target and variance have the same shape (any rank); variances are >= 0. The
// result is a scalar, or has the shape of mean under [None].
//
// Options: [WithEpsilon] (ε > 0, default 1e-6), [WithFull], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Below the floor the derivative by the variance is that at the floor, so that a variance of 0 can recover. A negative variance is
// an error when the graph runs.
//
// [LaplaceNLL] and [StudentTNLL] have heavier tails. With a constant variance it teaches like [HalfSquared].
//
// Reference: D. A. Nix, A. S. Weigend, Estimating the Mean and Variance of the Target Probability Distribution, 1994.
func GaussianNLL(mean, target, variance *G.Node, opts ...Option) (*G.Node, error) {
	return gaussianNLL.assemble(opts, mean, target, variance)
}

var gaussianNLL = definition{
	name: "GaussianNLL", takes: reduceKnobs | knobEpsilon | knobFull,
	defaults: settings{axis: -1, epsilon: 1e-6}, elementwise: true,
	extra: []Domain{Variances}, names: []string{"mean", "target", "variance"},
	torch: "gaussian_nll_loss",
	rows: func(s *settings, _, _ int) rowFunc {
		full := 0.0
		if s.full {
			full = math.Log(2*math.Pi) / 2
		}
		logs := func(_ *row, dst, _, variance []float64) {
			for i, v := range variance {
				dst[i] = max(v, s.epsilon)
			}
			vec.Log(dst, dst)
			scale(dst, 0.5)
		}
		return located(logs, func(e, variance float64) jet {
			v := max(variance, s.epsilon)
			z := e / v
			q := e * z // e²/v
			return jet{
				l: q/2 + full, p: z, t: (1 - q) / v / 2,
				pp: 1 / v, pt: -z / v, tt: (q - 0.5) / v / v,
			}
		})
	},
	check: positiveEpsilon,
}

// LaplaceNLL returns the negative log-likelihood of target under Laplace distributions whose mean and scale are predicted.
//
// With e = mean - target and b the scale,
//
//	l = log(2b) + |e|/b        dl/dmean = sign(e)/b = -dl/dtarget, 0 at e = 0
//	                           dl/dscale = (1 - |e|/b)/b
//
// mean, target and scale have the same shape (any rank); scales are > 0. The result is a scalar, or has the shape of mean
// under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A scale that is not above 0 is an error when the graph runs.
//
// With a constant scale it teaches like [MAE]; [GaussianNLL] is its relative for squared errors.
//
// Reference: standard.
func LaplaceNLL(mean, target, scale *G.Node, opts ...Option) (*G.Node, error) {
	return laplaceNLL.assemble(opts, mean, target, scale)
}

var laplaceNLL = definition{
	name: "LaplaceNLL", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	extra: []Domain{Scales}, names: []string{"mean", "target", "scale"},
	rows: func(*settings, int, int) rowFunc {
		logs := func(_ *row, dst, _, b []float64) { vec.Log(dst, b) }
		return located(logs, func(e, b float64) jet {
			q, d := math.Abs(e)/b, sign(e)/b
			return jet{l: math.Ln2 + q, p: d, t: (1 - q) / b, pt: -d / b, tt: (2*q - 1) / b / b}
		})
	},
}

// StudentTNLL returns the negative log-likelihood of target under Student's t distributions whose location and scale are
// predicted.
//
// With e = mean - target, σ the scale, z = e/σ and ν the degrees of freedom,
//
//	l = log σ + (ν+1)/2·log(1 + z²/ν) + c(ν)        dl/dmean = (ν+1)·z/(ν + z²)/σ = -dl/dtarget
//	                                                dl/dscale = (1 - (ν+1)·z²/(ν + z²))/σ
//
// with c(ν) = log Γ(ν/2) - log Γ((ν+1)/2) + log(νπ)/2. mean, target and scale have the same shape (any rank); scales are
// > 0. The result is a scalar, or has the shape of mean under [None].
//
// Options: [WithAlpha] (ν > 0, default 4), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A scale that is not above 0 is an error when the graph runs. The constant keeps its accuracy for large ν, where it approaches
// log(2π)/2.
//
// As ν grows it becomes [GaussianNLL] under [WithFull] with variance σ²; with ν = 1 it is [Cauchy] with c = σ/√2 beside log πσ.
//
// Reference: K. L. Lange, R. J. A. Little, J. M. G. Taylor, Robust Statistical Modeling Using the t Distribution, 1989.
func StudentTNLL(mean, target, scale *G.Node, opts ...Option) (*G.Node, error) {
	return studentTNLL.assemble(opts, mean, target, scale)
}

var studentTNLL = definition{
	name: "StudentTNLL", takes: reduceKnobs | knobAlpha, defaults: settings{axis: -1, alpha: 4}, elementwise: true,
	extra: []Domain{Scales}, names: []string{"mean", "target", "scale"},
	rows: func(s *settings, _, _ int) rowFunc {
		nu := s.alpha
		root := math.Sqrt(nu)
		// log Γ(ν/2) - log Γ(ν/2 + 1/2) + log(ν/2)/2 is what remains of large terms
		constant := math.Log(2*math.Pi) / 2
		if nu >= 1 {
			constant += gammaGap(0.5, nu/2)
		} else {
			constant += lgamma(nu/2) - lgamma(nu/2+0.5) + ln(nu/2)/2
		}
		logs := func(r *row, dst, e, sigma []float64) {
			x, log := r.buf(len(e)), r.buf(len(e))
			for i, v := range e {
				x[i] = v / sigma[i] / root
				log[i] = square(x[i])
			}
			vec.Log1p(log, log)
			vec.Log(dst, sigma)
			for i, v := range log {
				dst[i] += (nu + 1) / 2 * logOfSquare(x[i], v)
			}
		}
		return located(logs, func(e, scale float64) jet {
			z := e / scale
			x := z / root
			rest, share := 1/(1+x*x), 1/(1+1/(x*x)) // of 1 and of x² in 1 + x²
			pull := reciprocal(x, 1) / root         // z/(ν + z²)
			m := nu + 1
			return jet{
				l: constant, p: m * pull / scale, t: (rest - nu*share) / scale,
				pp: m / nu * rest * (rest - share) / scale / scale,
				pt: -2 * m * rest * pull / scale / scale,
				tt: (nu*share*(1+2*rest) + rest*(share-rest)) / scale / scale,
			}
		})
	},
	check: func(s *settings, _ Domain, _ int) error {
		if s.alpha <= 0 {
			return fmt.Errorf("WithAlpha is %v, want a number > 0", s.alpha)
		}
		return nil
	},
}
