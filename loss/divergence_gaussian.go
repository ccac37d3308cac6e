package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// GaussianKL returns the Kullback-Leibler divergence of normal distributions, element by element.
//
// With m₁, m₂ entries of the means, s₁, s₂ of the standard deviations, ρ = s₁/s₂ and e =
// (m₁-m₂)/s₂,
//
//	l = ½·(ρ² - 1 + e²) - log ρ      dl/dm₁ = e/s₂            dl/dm₂ = -e/s₂
//	                                 dl/ds₁ = (ρ²-1)/s₁       dl/ds₂ = (1-ρ²-e²)/s₂
//
// which is KL(N(m₁, s₁²) ‖ N(m₂, s₂²)): the first distribution is averaged over. The four operands
// have the same shape (any rank) and dtype. The result is a scalar, or has that shape under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A standard deviation that is not > 0 is an error; one of +Inf gives the value +Inf and no
// derivatives. Nearly equal distributions keep their digits; equal ones give 0.
//
// [StandardGaussianKL] is the divergence from the standard normal distribution, summed over an
// axis.
//
// Reference: S. Kullback, Information Theory and Statistics, 1959, chapter 9.
func GaussianKL(mean1, std1, mean2, std2 *G.Node, opts ...Option) (*G.Node, error) {
	return build(&gaussianKL, opts, mean1, std1, mean2, std2)
}

var gaussianKL = core.Definition{
	Name: "GaussianKL", Operands: []core.Operand{{Name: "mean1", Holds: core.Real, Shape: "*"}, {Name: "std1", Holds: core.Scales, Shape: "*"}, {Name: "mean2", Holds: core.Real, Shape: "*"}, {Name: "std2", Holds: core.Scales, Shape: "*"}}, Takes: core.ReduceOptions,

	Laws:  core.NonNegative | core.ZeroAtEqual,
	Torch: "distributions.kl_divergence(Normal, Normal)",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		bends := formula.Multivariate(4, gaussianBends)
		return func(r *core.Block) {
			m1, s1, m2, s2 := r.X[0], r.X[1], r.X[2], r.X[3]
			for k := range r.Hess {
				if r.Hess[k] != nil {
					bends(r)
					return
				}
			}
			gaussianValues(r)
			for k, g := range r.Grad[:4] {
				if g == nil {
					continue
				}
				switch k {
				case 0, 2: // ±(m₁-m₂)/s₂²
					formula.Blend(g, m1, m2, float64(1-k), float64(k-1))
					vec.Divide(g, g, s2)
					vec.Divide(g, g, s2)
				case 1: // (ρ²-1)/s₁
					squareLess1(r, g, s1, s2)
					vec.Divide(g, g, s1)
				case 3: // (1-ρ²-e²)/s₂
					e := r.Buf(len(g))
					squareLess1(r, g, s1, s2)
					formula.Blend(e, m1, m2, 1, -1)
					vec.Divide(e, e, s2)
					for i, v := range e {
						g[i] = -(g[i] + v*v)
					}
					vec.Divide(g, g, s2)
				}
			}
		}
	},
}

// squareLess1 writes (a/b)² - 1 to dst.
func squareLess1(r *core.Block, dst, a, b []float64) {
	ratio := r.Buf(len(dst))
	formula.Blend(dst, a, b, 1, -1)
	vec.Divide(dst, dst, b)
	vec.Divide(ratio, a, b)
	for i, rho := range ratio {
		dst[i] *= rho + 1
	}
	if vec.Within(b, 0, math.MaxFloat64) {
		return
	}
	for i, v := range b {
		if math.IsInf(v, 1) && !math.IsInf(a[i], 1) {
			dst[i] = -1
		}
	}
}

// gaussianValues writes the values of GaussianKL where they are requested.
func gaussianValues(r *core.Block) {
	if r.Out == nil {
		return
	}
	m1, s1, m2, s2, out := r.X[0], r.X[1], r.X[2], r.X[3], r.Out
	ratio, log, width := r.Buf(len(out)), r.Buf(len(out)), r.Buf(len(out))
	vec.Divide(ratio, s1, s2)
	vec.Log(log, ratio)
	squareLess1(r, width, s1, s2)
	formula.Blend(out, m1, m2, 1, -1)
	vec.Divide(out, out, s2)
	// (ρ²-1) - log ρ² has a series near 0; what takes it is gathered, without branches
	near, at, n := r.Buf(len(out)+1), r.Buf(len(out)+1), 0
	for i, w := range width {
		near[n], at[n] = w, float64(i)
		n += formula.Indicator(math.Abs(w) <= 0.5)
	}
	formula.Log1pmxs(near[:n])
	if !vec.Within(ratio, 0x1p-1022, math.MaxFloat64) {
		for i, rho := range ratio {
			if !(rho >= 0x1p-1022 && rho <= math.MaxFloat64) {
				if log[i] = 0; !math.IsInf(width[i], 1) {
					log[i] = formula.LogRatio(s1[i], s2[i])
				}
			}
		}
	}
	formula.Blend(width, width, log, 1, -2)
	for k, w := range near[:n] {
		width[int(at[k])] = w
	}
	vec.Multiply(out, out, out)
	formula.Blend(out, width, out, 0.5, 0.5)
}

// gaussianBends are the second derivatives of GaussianKL.
func gaussianBends(x [core.MaxOperands]float64) (j formula.MultiPartials) {
	rho, e, one := x[1]/x[3], (x[0]-x[2])/x[3], 1/x[3]/x[3]
	j.H = [core.MaxOperands][core.MaxOperands]float64{
		{one, 0, -one, -2 * e * one},
		{0, one + 1/x[1]/x[1], 0, -2 * rho * one},
		{-one, 0, one, 2 * e * one},
		{-2 * e * one, -2 * rho * one, 2 * e * one, (3*(rho*rho+e*e) - 1) * one},
	}
	return j
}

// StandardGaussianKL returns the Kullback-Leibler divergence of a diagonal normal distribution from
// the standard one: the regulariser of a variational autoencoder.
//
// With m a row of mean and v a row of logVar,
//
//	l = ½·Σ_c m_c² + e^v_c - 1 - v_c      dl/dm_j = m_j
//	                                      dl/dv_j = ½·(e^v_j - 1)
//
// mean and logVar, the logarithm of the variance, have the same shape and dtype; the last axis is
// that of the latent variables. The result is a scalar, or has that shape without the axis under
// [None].
//
// Options: [WithAxis] (the axis that is summed, default -1), [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Near the standard normal distribution the value keeps its digits. A variance of 0 or +Inf (logVar
// ±Inf) gives +Inf.
//
// [GaussianKL] is the divergence of any two normal distributions.
//
// Reference: D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, 2014, appendix B.
func StandardGaussianKL(mean, logVar *G.Node, opts ...Option) (*G.Node, error) {
	return build(&standardGaussianKL, opts, mean, logVar)
}

var standardGaussianKL = core.Definition{
	Name: "StandardGaussianKL", Operands: rows("mean", core.Real, "logVar", core.Real), Takes: core.RowOptions,
	Kernel: gaussianKernels,
	Laws:   core.NonNegative | core.Convex,
	Torch:  "distributions.kl_divergence(Normal, Normal)",
	Row: func(*core.Settings, core.Dims) core.RowFunc {
		return func(r *core.Block) float64 {
			m, v, e := r.X[0], r.X[1], r.Buf(len(r.X[1]))
			vec.Expm1(e, v)
			value := 0.0
			for i, d := range e {
				value += (m[i]*m[i] + formula.Expm1mxOf(v[i], d)) / 2
			}
			copy(r.Grad[0], m)
			for i := range r.Grad[1] {
				r.Grad[1][i] = e[i] / 2
			}
			formula.SecondOrder(r, func(i int) formula.Partials { return formula.Partials{PP: 1, TT: math.Exp(v[i]) / 2} })
			return value
		}
	},
}

// BernoulliKL returns the Kullback-Leibler divergence of Bernoulli distributions, element by
// element, from their logits.
//
// With a an entry of logits1, b of logits2 and σ the sigmoid,
//
//	l = σ(a)·(a - b) + log(1+e^b) - log(1+e^a)      dl/da = σ(a)·σ(-a)·(a - b)
//	                                                dl/db = σ(b) - σ(a)
//
// which is KL(Bernoulli(σ(a)) ‖ Bernoulli(σ(b))): the first distribution is averaged over. logits1
// and logits2 have the same shape (any rank) and dtype. The result is a scalar, or has that shape
// under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Nearly equal logits keep their digits in the value and both derivatives. Equal ones give 0,
// infinite ones too; a certain b that contradicts a gives +Inf.
//
// [KL] is for one distribution over several classes, [BinaryCrossEntropy] for a target that is a
// probability.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func BernoulliKL(logits1, logits2 *G.Node, opts ...Option) (*G.Node, error) {
	return build(&bernoulliKL, opts, logits1, logits2)
}

var bernoulliKL = core.Definition{
	Name: "BernoulliKL", Operands: elements("logits1", core.Logits, "logits2", core.Logits), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.BernoulliKL)),
	Laws:   core.NonNegative | core.ZeroAtEqual,
	Torch:  "distributions.kl_divergence(Bernoulli, Bernoulli)",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return func(r *core.Block) {
			a, b := r.X[0], r.X[1]
			if r.Out != nil {
				bernoulliValues(r)
			}
			if r.Grad[0] != nil {
				bernoulliDerivs(r)
			}
			if r.Grad[1] != nil {
				bernoulliPulls(r)
			}
			if r.Hess[0] == nil && r.Hess[1] == nil {
				return
			}
			la, lb := formula.LogisticOf(r, a, false), formula.LogisticOf(r, b, false)
			formula.SecondOrder(r, func(i int) formula.Partials { return bernoulliBend(&la, &lb, i) })
		}
	},
}

// difference is a - b, 0 for equal infinities.
func difference(a, b float64) float64 {
	if a == b {
		return 0
	}
	return a - b
}

// bernoulliValues writes the values of BernoulliKL. With yes and no exchanged where a > 0, which
// changes nothing, 1 - σ(a) loses no digits. Then with p = σ(a), d = a - b and u = e^-d - 1,
//
//	l = p·d + log(1 + p·u), since (1+e^b)/(1+e^a) = 1 + p·u
//
// whose terms cancel for small d, and u overflows for large ones: bernoulli computes those elements
// again.
func bernoulliValues(r *core.Block) {
	a, b := r.X[0], r.X[1][:len(r.X[0])]
	p, d, u := r.Buf(len(a)), r.Buf(len(a)), r.Buf(len(a))
	for i, x := range a {
		p[i] = -math.Abs(x)
		gap := x - b[i]
		d[i] = formula.Pick(x > 0, gap, -gap)
	}
	vec.Exp(p, p)
	vec.Expm1(u, d)
	for i, e := range p {
		p[i] = e / (1 + e)
		u[i] *= p[i]
	}
	vec.Log1p(r.Out, u)
	for i, gap := range d {
		r.Out[i] -= p[i] * gap
		if size := math.Abs(gap); !(size > 0.25 && size < ordinaryLogit) {
			r.Out[i] = bernoulli(a[i], b[i])
		}
	}
}

// bernoulliSlopes writes the derivatives of BernoulliKL by the first logits.
func bernoulliDerivs(r *core.Block) {
	a, b, g := r.X[0], r.X[1][:len(r.X[0])], r.Grad[0]
	for i, x := range a {
		g[i] = -math.Abs(x)
	}
	vec.Exp(g, g)
	for i, e := range g {
		rate := e / ((1 + e) * (1 + e))
		gap := a[i] - b[i]
		if g[i] = rate * gap; !(math.Abs(gap) <= math.MaxFloat64) {
			g[i] = formula.Times(rate, difference(a[i], b[i]))
		}
	}
}

// bernoulli is the value of BernoulliKL at logits a and b.
func bernoulli(a, b float64) float64 {
	if a > 0 {
		a, b = -a, -b
	}
	e := math.Exp(a)
	p := e / (1 + e)
	switch d := difference(a, b); {
	case math.Abs(d) <= 0.5:
		// log((1+e^b)/(1+e^a)) = log(1 + pu), and the parts of first order in u cancel
		u := math.Expm1(-d)
		return p*formula.Log1pmx(u) - formula.Log1pmx(p*u)
	case math.IsInf(b, 1):
		return b
	default:
		return formula.Times(p, d) + (max(b, 0) + math.Log1p(math.Exp(-math.Abs(b))) - math.Log1p(e))
	}
}

// bernoulliPulls writes the derivatives by the second logits, σ(b) - σ(a). With the signs of both
// turned so that a is not positive, p = σ(a) and u = e^(b-a) - 1, it is p(1-p)u/(1 + pu), in which
// nothing cancels.
func bernoulliPulls(r *core.Block) {
	a, b, g := r.X[0], r.X[1], r.Grad[1]
	e, u := r.Buf(len(a)), r.Buf(len(a))
	for i, x := range a {
		e[i] = -math.Abs(x)
		gap := b[i] - x
		u[i] = formula.Pick(x > 0, -gap, gap)
	}
	vec.Exp(e, e)
	vec.Expm1(u, u)
	for i, v := range e {
		rest, up := 1+v, u[i]
		pull := v * up / (rest * (rest + v*up)) // p = v/rest
		g[i] = formula.Pick(a[i] > 0, -pull, pull)
		if !(math.Abs(up) < 0x1p500 && v > 0x1p-500) {
			g[i] = differenceOfSigmoids(a[i], b[i])
		}
	}
}

// differenceOfSigmoids is σ(b) - σ(a) for logits that lie far apart, or are large.
func differenceOfSigmoids(a, b float64) float64 {
	p, np := formula.Sigmoids(a)
	q, nq := formula.Sigmoids(b)
	switch d := difference(a, b); {
	case math.Abs(d) <= 0.5:
		u := math.Expm1(-d)
		return p * np * u / (1 + p*u)
	case a > 0:
		return np - nq
	}
	return q - p
}

// bernoulliBend is the second derivatives of BernoulliKL at element i.
func bernoulliBend(la, lb *formula.Logistic, i int) formula.Partials {
	p, np := la.Sigmoids(i)
	q, nq := lb.Sigmoids(i)
	return formula.Partials{PP: p*np + formula.Times(p*np*(np-p), difference(la.X[i], lb.X[i])), PT: -p * np, TT: q * nq}
}
