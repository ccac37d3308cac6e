package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// Likelihoods of a target under a distribution whose location and width are both predicted.
var likelihoodLosses = []*core.Definition{&gaussianNLL, &laplaceNLL, &studentTNLL}

// A location is a likelihood of a target under a distribution with a mean and a width: functions of
// e = mean - target and the width s. value, byMean and byWidth write the value and its derivatives by
// e and by s for a whole block; second returns those of second order, PP, PT and TT, for an element.
type location struct {
	value, byMean, byWidth func(b *core.Block, dst, e, s []float64)
	second                 func(e, s float64) formula.Partials
}

// block is the block function of the three operands.
func (l location) block(b *core.Block) {
	e, s := formula.Residuals(b), b.X[2]
	if b.Out != nil {
		l.value(b, b.Out, e, s)
	}
	for k, g := range b.Grad[:3] {
		switch {
		case g == nil:
		case k == 2:
			l.byWidth(b, g, e, s)
		default:
			if l.byMean(b, g, e, s); k == 1 {
				formula.Negate(g, g)
			}
		}
	}
	for k, h := range b.Hess[:3] {
		for i := range h {
			ve, vs := formula.ResidualDir(b, i), 0.0
			if b.Dir[2] != nil {
				vs = b.Dir[2][i]
			}
			switch j := l.second(e[i], s[i]); k {
			case 0:
				h[i] = formula.Times(ve, j.PP) + formula.Times(vs, j.PT)
			case 1:
				h[i] = -(formula.Times(ve, j.PP) + formula.Times(vs, j.PT))
			default:
				h[i] = formula.Times(ve, j.PT) + formula.Times(vs, j.TT)
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
		floored := func(b *core.Block, variance []float64) []float64 {
			if vec.Within(variance, s.Epsilon, math.MaxFloat64) {
				return variance
			}
			v := b.Buf(len(variance))
			for i, x := range variance {
				v[i] = max(x, s.Epsilon)
			}
			return v
		}
		return location{
			value: func(b *core.Block, dst, e, variance []float64) {
				v, log := floored(b, variance), b.Buf(len(e))
				vec.Log(log, v)
				vec.Divide(dst, e, v)
				vec.Multiply(dst, e, dst) // e²/v
				for i, l := range log {
					dst[i] = l/2 + (dst[i]/2 + full)
				}
			},
			byMean: func(b *core.Block, dst, e, variance []float64) { vec.Divide(dst, e, floored(b, variance)) },
			byWidth: func(b *core.Block, dst, e, variance []float64) {
				v := floored(b, variance)
				vec.Divide(dst, e, v)
				vec.Multiply(dst, e, dst)
				for i, q := range dst {
					dst[i] = (1 - q) / 2
				}
				vec.Divide(dst, dst, v)
			},
			second: func(e, variance float64) formula.Partials {
				v := max(variance, s.Epsilon)
				z := e / v
				return formula.Partials{PP: 1 / v, PT: -z / v, TT: (e*z - 0.5) / v / v}
			},
		}.block
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
		return location{
			value: func(b *core.Block, dst, e, scale []float64) {
				log := b.Buf(len(e))
				vec.Log(log, scale)
				vec.Divide(dst, e, scale)
				for i, l := range log {
					dst[i] = l + (math.Ln2 + math.Abs(dst[i]))
				}
			},
			byMean: func(b *core.Block, dst, e, scale []float64) {
				zero := b.Buf(len(e))
				clear(zero)
				tensorops.AbsoluteErrorGrad(dst, e, zero, 1)
				vec.Divide(dst, dst, scale)
			},
			byWidth: func(_ *core.Block, dst, e, scale []float64) {
				vec.Divide(dst, e, scale)
				for i, q := range dst {
					dst[i] = 1 - math.Abs(q)
				}
				vec.Divide(dst, dst, scale)
			},
			second: func(e, b float64) formula.Partials {
				q, d := math.Abs(e)/b, formula.Sign(e)/b
				return formula.Partials{PT: -d / b, TT: (2*q - 1) / b / b}
			},
		}.block
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
		// scaled writes x = e/σ/√ν to dst and returns 1 + x². Beyond wide x² may leave the range.
		scaled := func(b *core.Block, dst, e, sigma []float64) (rest []float64, far bool) {
			rest = b.Buf(len(e))
			vec.Divide(dst, e, sigma)
			tensorops.Quotients(dst, dst, root)
			for i, x := range dst {
				rest[i] = 1 + x*x
			}
			return rest, !vec.Within(dst, -wide, wide)
		}
		m := nu + 1
		return location{
			value: func(b *core.Block, dst, e, sigma []float64) {
				x, log := b.Buf(len(e)), b.Buf(len(e))
				vec.Divide(x, e, sigma)
				tensorops.Quotients(x, x, root)
				for i, v := range x {
					log[i] = formula.Square(v)
				}
				vec.Log1p(log, log)
				vec.Log(dst, sigma)
				for i, v := range log {
					dst[i] = dst[i] + m/2*formula.LogOfSquare(x[i], v) + constant
				}
			},
			byMean: func(b *core.Block, dst, e, sigma []float64) {
				rest, far := scaled(b, dst, e, sigma)
				for i, x := range dst {
					if far && math.Abs(x) > wide {
						rest[i] = 1/x + x
						x = 1
					}
					dst[i] = m / root * x
				}
				vec.Divide(dst, dst, rest)
				vec.Divide(dst, dst, sigma)
			},
			byWidth: func(b *core.Block, dst, e, sigma []float64) {
				rest, far := scaled(b, dst, e, sigma)
				for i, x := range dst {
					if dst[i] = 1 - nu*(x*x); far && math.Abs(x) > wide {
						dst[i], rest[i] = -nu, 1
					}
				}
				vec.Divide(dst, dst, rest) // (1 - νx²)/(1 + x²)
				vec.Divide(dst, dst, sigma)
			},
			second: func(e, scale float64) formula.Partials {
				x := e / scale / root
				rest, share := 1/(1+x*x), 1/(1+1/(x*x)) // of 1 and of x² in 1 + x²
				pull := reciprocal(x, 1) / root         // z/(ν + z²)
				return formula.Partials{
					PP: m / nu * rest * (rest - share) / scale / scale,
					PT: -2 * m * rest * pull / scale / scale,
					TT: (nu*share*(1+2*rest) + rest*(share-rest)) / scale / scale,
				}
			},
		}.block
	},
	Check: func(s *core.Settings) error {
		if s.Alpha <= 0 {
			return fmt.Errorf("WithAlpha is %v, want a number > 0", s.Alpha)
		}
		return nil
	},
}
