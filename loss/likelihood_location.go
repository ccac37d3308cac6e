package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// Likelihoods of a target under a distribution whose location and width are both predicted.
var likelihoodLosses = []*core.Definition{&gaussianNLL, &laplaceNLL, &studentTNLL}

// located lifts a function of e = mean - target and a width s to a block function of the three
// operands: logs writes the part of its value that takes logarithms, and f is the rest of the value
// with the derivatives of the whole, in (e, s).
func located(logs func(r *core.Block, dst, e, s []float64), f func(e, s float64) formula.Partials) core.BlockFunc {
	return func(r *core.Block) {
		e, s := formula.Residuals(r), r.X[2]
		at := func(i int) formula.Partials { return f(e[i], s[i]) }
		if r.Out != nil {
			logs(r, r.Out, e, s)
		}
		for i := range r.Out {
			r.Out[i] += at(i).L
		}
		for k, sign := range [3]float64{1, -1, 0} {
			for i := range r.Grad[k] {
				if j := at(i); k == 2 {
					r.Grad[2][i] = j.T
				} else {
					r.Grad[k][i] = sign * j.P
				}
			}
			for i := range r.Hess[k] {
				ve, vs := formula.ResidualDir(r, i), 0.0
				if r.Dir[2] != nil {
					vs = r.Dir[2][i]
				}
				if j := at(i); k == 2 {
					r.Hess[2][i] = formula.Times(ve, j.PT) + formula.Times(vs, j.TT)
				} else {
					r.Hess[k][i] = sign * (formula.Times(ve, j.PP) + formula.Times(vs, j.PT))
				}
			}
		}
	}
}

// GaussianNLL returns the negative log-likelihood of target under normal distributions whose mean
// and variance are predicted.
//
// With e = mean - target and v = max(variance, ε),
//
//	l = (log v + e²/v)/2        dl/dmean = e/v = -dl/dtarget
//	                            dl/dvariance = (1 - e²/v)/(2v)
//
// and with [WithFull] log(2π)/2 more. mean, target and variance have the same shape (any rank);
// variances are >= 0. The result is a scalar, or has the shape of mean under [None].
//
// Options: [WithEpsilon] (ε > 0, default 1e-6), [WithFull], [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Below the floor the derivative by the variance is that at the floor, so that a variance of 0 can
// recover. A negative variance is an error when the graph runs.
//
// [LaplaceNLL] and [StudentTNLL] have heavier tails. With a constant variance it teaches like
// [HalfSquared].
//
// Reference: D. A. Nix, A. S. Weigend, Estimating the Mean and Variance of the Target Probability
// Distribution, 1994.
func GaussianNLL(mean, target, variance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&gaussianNLL, opts, mean, target, variance)
}

var gaussianNLL = core.Definition{
	Name: "GaussianNLL", Operands: []core.Operand{{Name: "mean", Holds: core.Real, Shape: "*"}, {Name: "target", Holds: core.Real, Shape: "*"}, {Name: "variance", Holds: core.Variances, Shape: "*"}}, Takes: core.Options(core.ReduceOptions, core.OptEpsilon, core.OptFull),
	Defaults: core.Settings{Epsilon: 1e-6},

	Torch: "gaussian_nll_loss",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		full := 0.0
		if s.Full {
			full = math.Log(2*math.Pi) / 2
		}
		logs := func(_ *core.Block, dst, _, variance []float64) {
			for i, v := range variance {
				dst[i] = max(v, s.Epsilon)
			}
			vec.Log(dst, dst)
			formula.Scale(dst, 0.5)
		}
		return located(logs, func(e, variance float64) formula.Partials {
			v := max(variance, s.Epsilon)
			z := e / v
			q := e * z // e²/v
			return formula.Partials{
				L: q/2 + full, P: z, T: (1 - q) / v / 2,
				PP: 1 / v, PT: -z / v, TT: (q - 0.5) / v / v,
			}
		})
	},
	Check: positiveEpsilon,
}

// LaplaceNLL returns the negative log-likelihood of target under Laplace distributions whose mean
// and scale are predicted.
//
// With e = mean - target and b the scale,
//
//	l = log(2b) + |e|/b        dl/dmean = sign(e)/b = -dl/dtarget, 0 at e = 0
//	                           dl/dscale = (1 - |e|/b)/b
//
// mean, target and scale have the same shape (any rank); scales are > 0. The result is a scalar, or
// has the shape of mean under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A scale that is not above 0 is an error when the graph runs.
//
// With a constant scale it teaches like [MAE]; [GaussianNLL] is its relative for squared errors.
//
// Reference: standard.
func LaplaceNLL(mean, target, scale *G.Node, opts ...Option) (*G.Node, error) {
	return build(&laplaceNLL, opts, mean, target, scale)
}

var laplaceNLL = core.Definition{
	Name: "LaplaceNLL", Operands: []core.Operand{{Name: "mean", Holds: core.Real, Shape: "*"}, {Name: "target", Holds: core.Real, Shape: "*"}, {Name: "scale", Holds: core.Scales, Shape: "*"}}, Takes: core.ReduceOptions,

	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		logs := func(_ *core.Block, dst, _, b []float64) { vec.Log(dst, b) }
		return located(logs, func(e, b float64) formula.Partials {
			q, d := math.Abs(e)/b, formula.Sign(e)/b
			return formula.Partials{L: math.Ln2 + q, P: d, T: (1 - q) / b, PT: -d / b, TT: (2*q - 1) / b / b}
		})
	},
}

// StudentTNLL returns the negative log-likelihood of target under Student's t distributions whose
// location and scale are predicted.
//
// With e = mean - target, σ the scale, z = e/σ and ν the degrees of freedom,
//
//	l = log σ + (ν+1)/2·log(1 + z²/ν) + c(ν)        dl/dmean = (ν+1)·z/(ν + z²)/σ = -dl/dtarget
//	                                                dl/dscale = (1 - (ν+1)·z²/(ν + z²))/σ
//
// with c(ν) = log Γ(ν/2) - log Γ((ν+1)/2) + log(νπ)/2. mean, target and scale have the same shape
// (any rank); scales are > 0. The result is a scalar, or has the shape of mean under [None].
//
// Options: [WithAlpha] (ν > 0, default 4), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// A scale that is not above 0 is an error when the graph runs. The constant keeps its accuracy for
// large ν, where it approaches log(2π)/2.
//
// As ν grows it becomes [GaussianNLL] under [WithFull] with variance σ²; with ν = 1 it is [Cauchy]
// with c = σ/√2 beside log πσ.
//
// Reference: K. L. Lange, R. J. A. Little, J. M. G. Taylor, Robust Statistical Modeling Using the t
// Distribution, 1989.
func StudentTNLL(mean, target, scale *G.Node, opts ...Option) (*G.Node, error) {
	return build(&studentTNLL, opts, mean, target, scale)
}

var studentTNLL = core.Definition{
	Name: "StudentTNLL", Operands: []core.Operand{{Name: "mean", Holds: core.Real, Shape: "*"}, {Name: "target", Holds: core.Real, Shape: "*"}, {Name: "scale", Holds: core.Scales, Shape: "*"}}, Takes: core.Options(core.ReduceOptions, core.OptAlpha), Defaults: core.Settings{Alpha: 4},

	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		nu := s.Alpha
		root := math.Sqrt(nu)
		// log Γ(ν/2) - log Γ(ν/2 + 1/2) + log(ν/2)/2 is what remains of large terms
		constant := math.Log(2*math.Pi) / 2
		if nu >= 1 {
			constant += gammaGap(0.5, nu/2)
		} else {
			constant += lgamma(nu/2) - lgamma(nu/2+0.5) + formula.Log(nu/2)/2
		}
		logs := func(r *core.Block, dst, e, sigma []float64) {
			x, log := r.Buf(len(e)), r.Buf(len(e))
			for i, v := range e {
				x[i] = v / sigma[i] / root
				log[i] = formula.Square(x[i])
			}
			vec.Log1p(log, log)
			vec.Log(dst, sigma)
			for i, v := range log {
				dst[i] += (nu + 1) / 2 * formula.LogOfSquare(x[i], v)
			}
		}
		return located(logs, func(e, scale float64) formula.Partials {
			z := e / scale
			x := z / root
			rest, share := 1/(1+x*x), 1/(1+1/(x*x)) // of 1 and of x² in 1 + x²
			pull := reciprocal(x, 1) / root         // z/(ν + z²)
			m := nu + 1
			return formula.Partials{
				L: constant, P: m * pull / scale, T: (rest - nu*share) / scale,
				PP: m / nu * rest * (rest - share) / scale / scale,
				PT: -2 * m * rest * pull / scale / scale,
				TT: (nu*share*(1+2*rest) + rest*(share-rest)) / scale / scale,
			}
		})
	},
	Check: func(s *core.Settings) error {
		if s.Alpha <= 0 {
			return fmt.Errorf("WithAlpha is %v, want a number > 0", s.Alpha)
		}
		return nil
	},
}
