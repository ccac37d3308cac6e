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

// Losses of a predicted logarithm of the mean, for targets that are counted or measured and never
// negative.
var countLosses = []entry{
	{&poissonNLL, PoissonNLL},
	{&gamma, Gamma},
	{&tweedie, Tweedie},
	{&negativeBinomial, NegativeBinomial},
}

// PoissonNLL returns the negative log-likelihood of counts under Poisson distributions whose
// log-rates are predicted.
//
// With x the log-rate and t the target,
//
//	l = exp(x) - t·x        dl/dx = exp(x) - t        dl/dt = -x
//
// and with [WithFull] for t > 1 Stirling's approximation of log t!, t·log t - t + log(2πt)/2.
//
// pred x and target t have the same shape (any rank); targets are finite and >= 0. The result is a
// scalar, or has the shape of pred under [None].
//
// Options: [WithFull], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// A log-rate of -Inf gives 0 for a target of 0 and +Inf for others. Targets need not be whole
// numbers.
//
// A model that predicts rates λ > 0 passes their logarithms, as the example does: l = λ - t·log λ
// with dl/dλ = 1 - t/λ. Where a rate may be 0, log(λ + ε) is finite: up to the constant ε that is
// PyTorch's log_input=False with ε = 1e-8, and Keras's Poisson with 1e-7.
//
// It is [Tweedie] with power 1. [NegativeBinomial] is for counts whose variance exceeds their mean.
//
// Reference: standard.
func PoissonNLL(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&poissonNLL, opts, pred, target)
}

var poissonNLL = core.Definition{
	Name: "PoissonNLL", Operands: elements("pred", core.Real, "target", core.Counts),
	Takes:  core.Options(core.ReduceOptions, core.OptFull),
	Kernel: points(false, poissonPoint),
	Laws:   core.Convex,
	Torch:  "poisson_nll_loss", Keras: "Poisson (of rates: exp of pred)",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		if !s.Full {
			return poissonRow
		}
		return formula.BivariateBy(rates, func(x, t, rate, _ float64) formula.Partials {
			j := poissonJet(x, t, rate, rate)
			if t > 1 {
				log := math.Log(t)
				if d := rate - t; math.Abs(d) <= t/2 { // the terms that grow with t cancel
					j.L = t*formula.Log1pmx(d/t) + (math.Log(2*math.Pi)+log)/2
				} else {
					j.L += t*log - t + (math.Log(2*math.Pi)+log)/2
				}
				j.T += log + 1/(2*t)
				j.TT = 1/t - 1/(2*t*t)
			}
			return j
		})
	},
}

// poissonRow is exp(x) - t·x.
var poissonRow = formula.FirstOrder{
	Value: func(r *core.Block, dst []float64) {
		vec.Exp(dst, r.X[0])
		x, t := r.X[0][:len(dst)], r.X[1][:len(dst)]
		for i, rate := range dst {
			if dst[i] = rate - t[i]*x[i]; !(rate > 0 && rate <= math.MaxFloat64) {
				dst[i] = poissonJet(x[i], t[i], rate, rate).L
			}
		}
	},
	Deriv: func(r *core.Block, dst []float64) {
		vec.Exp(dst, r.X[0])
		t := r.X[1][:len(dst)]
		for i, rate := range dst {
			dst[i] = rate - t[i]
		}
	},
}.Completed(formula.BivariateBy(rates, poissonJet))

// rates are exp(x).
func rates(r *core.Block) (y, z []float64) {
	y = r.Buf(len(r.X[0]))
	vec.Exp(y, r.X[0])
	return y, y
}

func poissonJet(x, t, rate, _ float64) formula.Partials {
	l := rate
	if rate <= math.MaxFloat64 {
		l -= formula.Times(t, x)
	}
	return formula.Partials{L: l, P: rate - t, T: -x, PP: rate, PT: -1}
}

// Gamma returns the negative log-likelihood, up to terms of the target and a factor, of targets
// under gamma distributions whose log-means are predicted.
//
// With f the log-mean and t the target,
//
//	l = t·exp(-f) + f        dl/df = 1 - t·exp(-f)        dl/dt = exp(-f)
//
// pred f and target t have the same shape (any rank); targets are finite and > 0. The result is a
// scalar, or has the shape of pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The smallest value, at f = log t, is 1 + log t. A log-mean of ±Inf has loss +Inf.
//
// It is [Tweedie] with power 2, and with the shape parameter k as a factor the likelihood's part
// that depends on f.
//
// Reference: P. McCullagh, J. A. Nelder, Generalized Linear Models, 1989.
func Gamma(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&gamma, opts, pred, target)
}

var gamma = core.Definition{
	Name: "Gamma", Operands: elements("pred", core.Real, "target", core.Positive), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.Gamma)),
	Laws:   core.Convex,
	Block:  func(*core.Settings, core.Dims) core.BlockFunc { return gammaRow },
}

// gammaRow is t·exp(-f) + f.
var gammaRow = formula.FirstOrder{
	Value: func(r *core.Block, dst []float64) {
		formula.Negate(dst, r.X[0])
		vec.Exp(dst, dst)
		f, t := r.X[0][:len(dst)], r.X[1][:len(dst)]
		for i, g := range dst {
			if dst[i] = t[i]*g + f[i]; !(t[i]*g <= math.MaxFloat64) {
				dst[i] = t[i] * g
			}
		}
	},
	Deriv: func(r *core.Block, dst []float64) {
		formula.Negate(dst, r.X[0])
		vec.Exp(dst, dst)
		t := r.X[1][:len(dst)]
		for i, g := range dst {
			dst[i] = 1 - t[i]*g
		}
	},
}.Completed(formula.BivariateBy(inverseMeans, gammaJet))

// inverseMeans are exp(-f).
func inverseMeans(r *core.Block) (y, z []float64) {
	y = r.Buf(len(r.X[0]))
	formula.Negate(y, r.X[0])
	vec.Exp(y, y)
	return y, y
}

func gammaJet(_, t, g, _ float64) formula.Partials {
	return formula.Partials{T: g, PP: t * g, PT: -g}
}

// Tweedie returns the negative log-likelihood, up to terms of the target and a factor, of targets
// under Tweedie distributions whose log-means are predicted: between the Poisson (power 1) and the
// gamma distribution (power 2), with a share of exact zeros.
//
// With f the log-mean, t the target and p the power,
//
//	l = -t·exp((1-p)f)/(1-p) + exp((2-p)f)/(2-p)        dl/df = exp((2-p)f) - t·exp((1-p)f)
//	                                                    dl/dt = -exp((1-p)f)/(1-p)
//
// p = 1 is [PoissonNLL], exp(f) - t·f, and p = 2 is [Gamma], t·exp(-f) + f: the constants -t/(1-p)
// and 1/(2-p), without which the formula has these limits, are part of the value for other powers.
//
// pred f and target t have the same shape (any rank); targets are finite and >= 0, for p = 2 > 0.
// The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithPower] (p in [1, 2], default 1.5), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The derivatives by f are continuous in p.
//
// Reference: B. Jørgensen, Exponential Dispersion Models, 1987.
func Tweedie(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&tweedie, opts, pred, target)
}

var tweedie = core.Definition{
	Name: "Tweedie", Operands: elements("pred", core.Real, "target", core.Counts),
	Takes: core.Options(core.ReduceOptions, core.OptPower), Defaults: core.Settings{Power: 1.5},
	Kernel: points(false, func(s *core.Settings) tensorops.Point { return tensorops.Point{Loss: tensorops.Tweedie, A: s.Power} }),
	Laws:   core.Convex,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		switch s.Power {
		case 1:
			return poissonRow
		case 2:
			return gammaRow
		}
		a, b := 1-s.Power, 2-s.Power
		perA, perB := 1/a, 1/b
		powers := func(r *core.Block) (u, v []float64) {
			u, v = r.Buf(len(r.X[0])), r.Buf(len(r.X[0]))
			for i, f := range r.X[0] {
				u[i], v[i] = a*f, b*f
			}
			vec.Exp(u, u)
			vec.Exp(v, v)
			return u, v
		}
		return formula.FirstOrder{
			Value: func(r *core.Block, dst []float64) {
				u, v := powers(r)
				t := r.X[1][:len(dst)]
				for i := range dst {
					dst[i] = v[i]*perB - t[i]*u[i]*perA
					if u[i] > math.MaxFloat64 {
						dst[i] = v[i]*perB - formula.Times(t[i], u[i])*perA
					}
				}
			},
			Deriv: func(r *core.Block, dst []float64) {
				u, v := powers(r)
				t := r.X[1][:len(dst)]
				for i := range dst {
					if dst[i] = v[i] - t[i]*u[i]; u[i] > math.MaxFloat64 {
						dst[i] = v[i] - formula.Times(t[i], u[i])
					}
				}
			},
		}.Completed(formula.BivariateBy(powers, func(_, t, u, v float64) formula.Partials {
			return formula.Partials{T: -u / a, PP: b*v - a*formula.Times(t, u), PT: -u}
		}))
	},
	Target: func(s *core.Settings) Domain {
		if s.Power == 2 {
			return Positive
		}
		return Counts
	},
	Check: func(s *core.Settings) error {
		if s.Power < 1 || s.Power > 2 {
			return fmt.Errorf("WithPower is %v, want a number in [1, 2]", s.Power)
		}
		return nil
	},
}

// NegativeBinomial returns the negative log-likelihood of counts under negative binomial
// distributions whose log-means are predicted; their variance is μ + α·μ².
//
// With f the log-mean, μ = exp(f), t the target, α the dispersion and r = 1/α,
//
//	l = (t + r)·log(1 + αμ) - t·f        dl/df = (μ - t)/(1 + αμ)
//	                                     dl/dt = log(1 + αμ) - f
//
// and with [WithFull] the terms of t and α alone, log Γ(t+1) + log Γ(r) - log Γ(t+r) - t·log α.
//
// With [WithDispersion] the α of each element is an operand, and all terms of α belong to the loss:
// log Γ(r) - log Γ(t+r) - t·log α is added, and log Γ(t+1) only under WithFull. With ψ the
// derivative of log Γ,
//
//	dl/dα = r²·(ψ(t+r) - ψ(r) - log(1 + αμ) + (μ - t)/(r + μ))
//
// and dl/dt has log r - ψ(t+r) more. Under WithFull dl/dt has ψ(t+1) + log r - ψ(t+r) more, with
// either option for α.
//
// pred f and target t have the same shape (any rank); targets are finite and >= 0, and dispersions
// > 0. The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithAlpha] (α > 0, default 1), [WithDispersion], [WithFull], [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// WithAlpha and WithDispersion exclude each other. A dispersion that is not above 0 is an error
// when the graph runs.
//
// Neither large log-means nor small or large α cost accuracy. A log-mean of -Inf gives 0 for a
// target of 0 and +Inf for others. Targets need not be whole numbers.
//
// As α falls to 0 it becomes [PoissonNLL] (with the exact log t! under WithFull), and dl/dα
// approaches (t - (μ - t)²)/2.
//
// Reference: J. M. Hilbe, Negative Binomial Regression, 2011.
func NegativeBinomial(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&negativeBinomial, opts, pred, target)
}

var negativeBinomial = core.Definition{
	Name: "NegativeBinomial", Operands: append(elements("pred", core.Real, "target", core.Counts),
		core.Operand{Name: "dispersion", Holds: core.Scales, Shape: "*", Option: core.OptDispersion}),
	Takes:    core.Options(core.ReduceOptions, core.OptAlpha, core.OptDispersion, core.OptFull),
	Kernel:   points(false, negativeBinomialPoint),
	Defaults: core.Settings{Alpha: 1},
	Laws:     core.Convex,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		if s.Has(core.OptDispersion) {
			return dispersedCounts(s.Full)
		}
		alpha, shape, logAlpha := s.Alpha, 1/s.Alpha, formula.Log(s.Alpha)
		// The odds u = αμ, and log1p of u or 1/u, whichever is the smaller.
		odds := func(row *core.Block) (u, log []float64) {
			u, log = row.Buf(len(row.X[0])), row.Buf(len(row.X[0]))
			vec.Exp(u, row.X[0])
			formula.Scale(u, alpha)
			for i, v := range u {
				log[i] = formula.Pick(v > 1, 1/v, v)
			}
			vec.Log1p(log, log)
			return u, log
		}
		at := func(f, t, u, log float64) formula.Partials {
			var j formula.Partials
			rise, fall, miss := logsOfOdds(f, u, log, logAlpha)
			if u <= 1 {
				mu := u * shape
				j.P, j.PT = (mu-t)/(1+u), -1/(1+u)
				j.PP = (1 + alpha*t) * mu / ((1 + u) * (1 + u))
			} else {
				v := 1 / u
				j.P, j.PT = (shape-t*v)/(1+v), -v/(1+v)
				j.PP = (t + shape) * v / ((1 + v) * (1 + v))
			}
			j.L, j.T = shape*rise+formula.Times(t, fall), fall
			if s.Full {
				first, second := psiGap(t, shape)
				j.T, j.TT = miss+first, second
				j.L = withGammas(j.L, f, t, shape, rise, miss, true)
			}
			return j
		}
		if s.Full {
			return formula.BivariateBy(odds, at)
		}
		return formula.FirstOrder{
			Value: func(r *core.Block, dst []float64) {
				u, log := odds(r)
				f, t := r.X[0][:len(dst)], r.X[1][:len(dst)]
				for i, l := range log {
					fall := l + formula.Pick(u[i] <= 1, -f[i], logAlpha)
					dst[i] = shape*formula.Pick(u[i] <= 1, l, f[i]+fall) + t[i]*fall
					if u[i] == 0 {
						dst[i] = at(f[i], t[i], 0, 0).L
					}
				}
			},
			Deriv: func(r *core.Block, dst []float64) {
				vec.Exp(dst, r.X[0])
				t := r.X[1][:len(dst)]
				for i, mu := range dst {
					u := alpha * mu
					if dst[i] = (mu - t[i]) / (1 + u); !(mu < wide && u < wide) {
						dst[i] = at(r.X[0][i], t[i], u, 0).P
					}
				}
			},
		}.Completed(formula.BivariateBy(odds, at))
	},
	Check: func(s *core.Settings) error {
		if s.Has(core.OptAlpha) && s.Has(core.OptDispersion) {
			return fmt.Errorf("WithAlpha and WithDispersion exclude each other")
		}
		if !(s.Alpha > 0 && core.Finite(1/s.Alpha)) {
			return fmt.Errorf("WithAlpha is %v, want a number > 0", s.Alpha)
		}
		return nil
	},
}

// logsOfOdds returns log(1+u), log(1+u) - f and log(1+1/u) from log, the log1p of u or 1/u,
// whichever is the smaller.
func logsOfOdds(f, u, log, logAlpha float64) (rise, fall, miss float64) {
	if u <= 1 {
		return log, log - f, log - f - logAlpha
	}
	fall = log + logAlpha
	return f + fall, fall, log
}

// withGammas returns the likelihood with its terms of t and r alone, under full log Γ(t+1) too,
// from l without them.
func withGammas(l, f, t, shape, rise, miss float64, full bool) float64 {
	d := math.Exp(f) - t
	switch {
	case t == 0:
		return l
	case full && min(t, shape) >= 10 && math.Abs(d) <= t/2:
		// The terms that grow with t and r cancel. What is left of them is written in two ways, of
		// which one does not cancel.
		sum := t + shape
		rest := t*formula.Log1pmx(d/t) - sum*formula.Log1pmx(d/sum)
		if t > shape {
			y := -d / (t + d)
			rest = shape*formula.Log1pmx(y) - sum*formula.Log1pmx(shape/sum*y)
		}
		return rest + math.Log(2*math.Pi*t)/2 + math.Log1p(t/shape)/2 + stirling(t) + (stirling(shape) - stirling(sum))
	case t <= shape && full:
		return l + (lgamma(t+1) + gammaGap(t, shape))
	case t <= shape:
		return l + gammaGap(t, shape)
	}
	// log Γ(t) and log Γ(t+shape) are both large
	l = shape*rise + t*miss + lgamma(shape) + gammaGap(shape, t)
	if full {
		return l + (1-shape)*math.Log(t)
	}
	return l - shape*math.Log(t) - lgamma(t)
}

func lgamma(x float64) float64 {
	l, _ := math.Lgamma(x)
	return l
}

// gammaGap returns log Γ(b) - log Γ(a+b) + a·log b for 0 <= a <= b, a difference of terms that grow
// with b and itself does not.
func gammaGap(a, b float64) float64 {
	if b < 10 {
		return lgamma(b) - lgamma(a+b) + a*math.Log(b)
	}
	return a - (a+b-0.5)*math.Log1p(a/b) + (stirling(b) - stirling(a+b))
}

// stirling returns log Γ(x) - (x - 1/2)·log x + x - log(2π)/2 for x >= 10. The first term left out
// is below 4e-17 there.
func stirling(x float64) float64 {
	y := 1 / (x * x)
	// B_2k/(2k(2k-1)) for k = 1 to 7
	return (1./12 - y*(1./360-y*(1./1260-y*(1./1680-y*(1./1188-y*(691./360360-y/156)))))) / x
}

// psiGap returns ψ(t+1) - ψ(t+r) and its derivative by t, with ψ the derivative of log Γ.
func psiGap(t, r float64) (first, second float64) {
	a, b, d := t+1, t+r, r-1
	for min(a, b) < 10 { // ψ(x) = ψ(x+1) - 1/x
		first -= d / a / b
		second += d / a / b * (1/a + 1/b)
		a, b = a+1, b+1
	}
	// ψ(x) = log x - 1/(2x) - tail(x)/x², ψ'(x) = 1/x + 1/(2x²) + tails(x)/x³; the leading terms
	// are subtracted by hand.
	tail := func(x float64) float64 { // B_2k/2k
		y := 1 / (x * x)
		return y * (1./12 - y*(1./120-y*(1./252-y*(1./240-y*(1./132-y*(691./32760-y/12))))))
	}
	tails := func(x float64) float64 { // B_2k
		y := 1 / (x * x)
		return y / x * (1./6 - y*(1./30-y*(1./42-y*(1./30-y*(5./66-y*(691./2730-y*7/6))))))
	}
	log := math.Log(a / b)
	if math.Abs(d) < b/2 {
		log = math.Log1p(-d / b)
	}
	first += log - d/a/b/2 - (tail(a) - tail(b))
	second += d/a/b*(1+(1/a+1/b)/2) + (tails(a) - tails(b))
	return first, second
}

// poissonPoint is the likelihood without the terms of the target, which kernels lack.
func poissonPoint(s *core.Settings) tensorops.Point {
	if s.Full {
		return noPoint
	}
	return tensorops.Point{Loss: tensorops.Poisson}
}

func negativeBinomialPoint(s *core.Settings) tensorops.Point {
	if s.Full || s.Has(core.OptDispersion) {
		return noPoint
	}
	return tensorops.Point{Loss: tensorops.NegativeBinomial, A: s.Alpha}
}
