package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

var divergenceLosses = []entry{
	{&kl, KL},
	{&klFromLogProb, KLFromLogProb},
	{&reverseKL, ReverseKL},
	{&jensenShannon, JensenShannon},
	{&totalVariation, TotalVariation},
	{&hellinger, Hellinger},
	{&bhattacharyya, Bhattacharyya},
	{&generalizedKL, GeneralizedKL},
	{&renyi, Renyi},
	{&alphaDivergence, AlphaDivergence},
	{&standardGaussianKL, StandardGaussianKL},
	{&bernoulliKL, BernoulliKL},
}

// KL returns the Kullback-Leibler divergence of the softmax of logits from target: the nats lost by
// coding the target with the model's distribution instead of its own.
//
// With x a row of logits divided by the temperature, p = softmax(x), t the target and T = Σ t (1
// for a distribution),
//
//	l = Σ_c t_c·(log t_c - log p_c)      dl/dx_j = T·p_j - t_j
//	                                     dl/dt_j = log t_j + 1 - log p_j, 0 where t_j = 0
//
// For a target of log-probabilities τ ([WithLogTarget]) t = e^τ and dl/dτ_j = t_j·(τ_j - log p_j +
// 1); for a target of logits z ([WithTargetLogits]) t = softmax(z) and dl/dz_j = t_j·(log t_j - log
// p_j - l).
//
// logits and target have the same shape and dtype. The result is a scalar, or has that shape
// without the class axis under [None]: the divergence is summed over the classes, then reduced over
// the rows.
//
// Options: [WithLogTarget], [WithTargetLogits] (not both), [WithTemperature] (T > 0, default 1;
// divides target logits too; there is no factor T²), [WithAxis] (default -1), [WithShard] (without
// WithTargetLogits), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// 0·log 0 is 0. A class with probability 0 and a positive target makes the value +Inf. Where the
// two distributions are nearly equal the value keeps its digits, is never negative, and is 0 for
// equal logits.
//
// [ReverseKL] exchanges the two distributions. [CrossEntropy] is KL plus the entropy of the target
// and has the same gradient for logits.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func KL(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&kl, opts, logits, target)
}

var kl = core.Definition{
	Name: "KL", Operands: rows("logits", core.Logits, "target", core.SoftTargets), Takes: core.Options(core.RowOptions, core.OptLogTarget, core.OptTargetLogits, core.OptTemperature, core.OptShard),
	Kernel:   klKernels,
	Defaults: core.Settings{Temperature: 1},
	Target:   targetDomain,
	Laws:     core.ShiftInvariant | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Torch:    "kl_div(log_softmax(x), t, reduction=\"batchmean\")", Optax: "kl_divergence",
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return func(r *core.Block) float64 {
			p := formula.Softmax(r, 0, s.Temperature)
			t := targetOf(r, s)
			beside := r.Beside()
			if beside != nil {
				t.over += beside.Mass + beside.Lost
				t.mass = 1 + t.over
			}
			if p.L1 != p.L1 || t.mass != t.mass {
				return formula.SetNaN(r)
			}
			t.compare(r, &p, s)
			whole := wholeRow
			switch {
			case beside == nil:
			case r.Owned():
				whole = firstShard
			default:
				whole = otherShard
			}
			value, mean := t.against(p.P, 0, whole)
			if g := r.Grad[0]; g != nil {
				// T·p - t, at the largest t from what the other classes have
				top, rest := t.largest()
				if beside != nil {
					rest += beside.Mass + beside.Lost
				}
				for j, q := range t.t {
					if j == top {
						g[j] = (rest*p.P[j] - q*p.OneMinus(j)) / s.Temperature
					} else {
						g[j] = (t.over*p.P[j] - probDifference(q, p.P[j], t.log[j])) / s.Temperature
					}
				}
			}
			t.gradient(r.Grad[1], mean, s)
			if h := r.Hess[0]; h != nil {
				formula.Fill(h, 0)
				if v := r.Dir[0]; v != nil {
					p.Jacobian(h, v, t.mass/(s.Temperature*s.Temperature))
				}
				if v := r.Dir[1]; v != nil {
					d := r.Buf(len(v))
					moved := t.move(d, v, s)
					if beside != nil {
						moved += beside.Moved
					}
					for j, u := range d {
						h[j] += (moved*p.P[j] - u) / s.Temperature
					}
				}
			}
			t.secondDerivative(r, mean, s, func(d, v []float64) { p.LogProbDeriv(d, v, -1/s.Temperature) })
			return value
		}
	},
	Check: func(s *core.Settings) error {
		if s.Sharded() && s.TargetLogits {
			return fmt.Errorf("WithShard takes targets and log-targets, WithTargetLogits needs the softmax of all classes")
		}
		return oneTarget(s)
	},
	Part: klPart,
}

// klPart writes what a row of a shard comes to.
func klPart(s *core.Settings, _ core.Dims) core.RowFunc {
	return func(r *core.Block) float64 {
		p, t, part := formula.Softmax(r, 0, s.Temperature), targetOf(r, s), r.PartOf()
		*part = p.Part()
		part.Mass, part.Lost = t.mass, t.over-(t.mass-1)
		if v := r.Dir[0]; v != nil && !math.IsInf(part.Max, -1) {
			part.Along = p.Mean(v) / s.Temperature
		}
		if v := r.Dir[1]; v != nil {
			part.Moved = t.move(r.Buf(len(v)), v, s)
		}
		return 0
	}
}

// oneTarget refuses a target that is to be read in two ways.
func oneTarget(s *core.Settings) error {
	if s.LogTarget && s.TargetLogits {
		return fmt.Errorf("WithLogTarget and WithTargetLogits exclude each other")
	}
	return nil
}

// targetDomain is the domain of a divergence's target under its settings.
func targetDomain(s *core.Settings) Domain {
	switch {
	case s.LogTarget:
		return LogProbabilities
	case s.TargetLogits:
		return Logits
	}
	return SoftTargets
}

// A goal is the target row of a divergence: t, its logarithm (after use log t - log p), and Σ t = 1
// + over.
type goal struct {
	t, log     []float64
	mass, over float64
	logits     formula.SoftmaxRow // of a target of logits
}

// compare makes log t - log p of log t, p being the softmax of operand 0. Logits of rows whose largest
// are near each other are subtracted first: that loses no digits where they are nearly equal.
func (g *goal) compare(r *core.Block, p *formula.SoftmaxRow, s *core.Settings) {
	shift := (p.Max - g.logits.Max) + (p.L1 - g.logits.L1)
	if !s.TargetLogits || !(math.Abs(shift) <= 8) {
		for j := range g.log {
			g.log[j] += p.NLL(j)
		}
		return
	}
	for j, x := range r.X[0] {
		g.log[j] = (r.X[1][j]-x)/s.Temperature + shift
	}
}

// largest returns the class of the largest t and the sum of the others.
func (g *goal) largest() (class int, others float64) {
	for j, t := range g.t {
		if t > g.t[class] {
			class = j
		}
	}
	for j, t := range g.t {
		if j != class {
			others += t
		}
	}
	return class, others
}

// probDifference returns t - p, where a is log(t/p).
func probDifference(t, p, a float64) float64 {
	if math.Abs(a) <= 0.5 {
		return p * math.Expm1(a)
	}
	return t - p
}

// target reads operand 1 as the settings say. Where it holds a NaN the mass is NaN.
func targetOf(r *core.Block, s *core.Settings) goal {
	x := r.X[1]
	g := goal{t: x, log: r.Buf(len(x))}
	switch {
	case s.TargetLogits:
		z := formula.Softmax(r, 1, s.Temperature)
		g.t = z.P
		for j := range x {
			g.log[j] = -z.NLL(j)
		}
		g.mass, g.logits = 1+0*z.L1, z
		return g // over is 0
	case s.LogTarget:
		g.t = r.Buf(len(x))
		copy(g.log, x)
		vec.Exp(g.t, x)
	default:
		formula.Logs(g.log, x)
	}
	g.over = formula.SumMinusOne(g.t)
	g.mass = 1 + g.over
	return g
}

// A rowShare is the part of a row that is present.
type rowShare uint8

const (
	wholeRow rowShare = iota
	firstShard
	otherShard
)

// against is Σ t·(log t - log p) with 0·Inf = 0, where log holds the difference and p sums to 1 +
// over, or the part of it that a shard has; the first one makes up for sums that are not 1. mean is that sum as it stands, without care for its second-order digits, for derivatives.
func (g *goal) against(p []float64, over float64, of rowShare) (value, mean float64) {
	sum := 0.0
	for j, t := range g.t {
		mean += formula.Times(t, g.log[j])
		sum += formula.KLTerm(t, p[j], g.log[j])
	}
	switch {
	case !formula.NearUnity(over, g.over):
	case of == otherShard:
		return sum, mean
	case of == firstShard && math.Abs(g.over) > 0x1p-48: // the sum of all shards is not known here
		return sum + g.over, mean
	default:
		return formula.AddMass(sum, over, g.over, -1, 1), mean
	}
	return mean, mean
}

// tilt is w·(a - mean) where mean is Σ w·a over a distribution w: how a mean moves when mass moves
// to an entry. An infinite a makes the mean infinite, and moving mass there or away from there
// moves it without bound, if there is mass to move.
func tilt(w, a, mean float64) float64 {
	switch {
	case w == 0 || w == 1 && math.IsInf(mean, 1):
		return 0
	case math.IsInf(mean, 1) && math.IsInf(a, 1):
		return math.Inf(1)
	}
	return w * (a - mean)
}

// gradient writes the derivative by the target's own parametrisation; g.log holds a = log t - log
// p.
func (g *goal) gradient(dst []float64, mean float64, s *core.Settings) {
	for j := range dst {
		switch t, a := g.t[j], g.log[j]; {
		case t == 0:
			dst[j] = 0
		case s.TargetLogits:
			dst[j] = tilt(t, a, mean) / s.Temperature
		case s.LogTarget:
			dst[j] = t * (a + 1)
		default:
			dst[j] = a + 1
		}
	}
}

// move writes to dst how t moves when its parameters move along v, and returns the change of its
// mass. An entry of 0 stays.
func (g *goal) move(dst, v []float64, s *core.Settings) (mass float64) {
	mean := 0.0
	if s.TargetLogits {
		mean = core.Dot(g.t, v)
	}
	for j, u := range v {
		switch t := g.t[j]; {
		case t == 0:
			dst[j] = 0
		case s.TargetLogits:
			dst[j] = t * (u - mean) / s.Temperature
		case s.LogTarget:
			dst[j] = t * u
		default:
			dst[j] = u
		}
		mass += dst[j]
	}
	return mass
}

// secondDerivative writes the derivative of gradient along the directions of r; dq writes how -log
// p moves when the first operand moves along v.
func (g *goal) secondDerivative(r *core.Block, mean float64, s *core.Settings, dq func(dst, v []float64)) {
	h := r.Hess[1]
	if h == nil {
		return
	}
	formula.Fill(h, 0)
	if v := r.Dir[0]; v != nil {
		d := r.Buf(len(v))
		dq(d, v)
		g.hessian(h, nil, d, mean, s)
	}
	if v := r.Dir[1]; v != nil {
		d := r.Buf(len(v))
		g.move(d, v, s)
		g.hessian(h, d, nil, mean, s)
	}
}

// hessian adds to dst the change of gradient when t moves by dt (nil for 0), which moves log t by
// dt/t, and -log p by dq (nil for 0).
func (g *goal) hessian(dst, dt, dq []float64, mean float64, s *core.Settings) {
	change := func(j int) (da, d float64) {
		if dt != nil {
			d = dt[j]
			da = d / g.t[j]
		}
		if dq != nil {
			da += dq[j]
		}
		return da, d
	}
	moved := 0.0 // the change of the mean
	if s.TargetLogits {
		for j, t := range g.t {
			if t != 0 {
				da, d := change(j)
				moved += d*g.log[j] + t*da
			}
		}
	}
	for j, t := range g.t {
		if t == 0 {
			continue
		}
		da, d := change(j)
		switch {
		case s.TargetLogits:
			dst[j] += (d*(g.log[j]-mean) + t*(da-moved)) / s.Temperature
		case s.LogTarget:
			dst[j] += d*(g.log[j]+1) + t*da
		default:
			dst[j] += da
		}
	}
}

// KLFromLogProb returns the Kullback-Leibler divergence of given log-probabilities from target.
//
// With q a row of log-probabilities and t the target,
//
//	l = Σ_c t_c·(log t_c - q_c)      dl/dq_j = -t_j
//	                                 dl/dt_j = log t_j + 1 - q_j, 0 where t_j = 0
//
// For a target of log-probabilities τ ([WithLogTarget]) t = e^τ and dl/dτ_j = t_j·(τ_j - q_j + 1).
//
// logProb and target have the same shape and dtype. The result is a scalar, or has that shape
// without the class axis under [None]: the divergence is summed over the classes, then reduced over
// the rows, which PyTorch's kl_div calls "batchmean".
//
// Options: [WithLogTarget], [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// 0·log 0 is 0, also against a log-probability of -Inf. logProb is taken as it is and need not be
// normalised.
//
// Keras's KLDivergence takes probabilities. [KL] takes logits and is the better choice where they
// are at hand.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func KLFromLogProb(logProb, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&klFromLogProb, opts, logProb, target)
}

var klFromLogProb = core.Definition{
	Kernel: logProbRows,
	Name:   "KLFromLogProb", Operands: rows("logProb", core.LogProbabilities, "target", core.SoftTargets), Takes: core.Options(core.RowOptions, core.OptLogTarget),
	Target: targetDomain,
	Laws:   core.ZeroAtEqual | core.Convex,
	Torch:  "kl_div(reduction=\"batchmean\")", Keras: "KLDivergence (of probabilities)", Optax: "kl_divergence, kl_divergence_with_log_targets",
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return func(r *core.Block) float64 {
			q := r.X[0]
			t := targetOf(r, s)
			if formula.HasNaN(q) || t.mass != t.mass {
				return formula.SetNaN(r)
			}
			for j := range t.t {
				t.log[j] -= q[j]
			}
			e := r.Buf(len(q))
			vec.Exp(e, q)
			value, mean := t.against(e, formula.SumMinusOne(e), wholeRow)
			if g := r.Grad[0]; g != nil {
				for j, p := range t.t {
					g[j] = -p
				}
			}
			t.gradient(r.Grad[1], mean, s)
			if h := r.Hess[0]; h != nil {
				formula.Fill(h, 0)
				if v := r.Dir[1]; v != nil {
					t.move(h, v, s)
					for j := range h {
						h[j] = -h[j]
					}
				}
			}
			t.secondDerivative(r, mean, s, formula.Negate)
			return value
		}
	},
}
