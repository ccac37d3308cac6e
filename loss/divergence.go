package loss

import (
	"fmt"
	"math"

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

// KL returns the Kullback-Leibler divergence of the softmax of logits from target: the nats lost by coding the
// target with the model's distribution instead of its own.
//
// With x a row of logits divided by the temperature, p = softmax(x), t the target and T = Σ t (1 for a distribution),
//
//	l = Σ_c t_c·(log t_c - log p_c)      dl/dx_j = T·p_j - t_j
//	                                     dl/dt_j = log t_j + 1 - log p_j, 0 where t_j = 0
//
// For a target of log-probabilities τ ([WithLogTarget]) t = e^τ and dl/dτ_j = t_j·(τ_j - log p_j + 1); for a target of
// logits z ([WithTargetLogits]) t = softmax(z) and dl/dz_j = t_j·(log t_j - log p_j - l).
//
// logits and target have the same shape and dtype. The result is a scalar, or has that shape without the class
// axis under [None]: the divergence is summed over the classes, then reduced over the rows.
//
// Options: [WithLogTarget], [WithTargetLogits] (not both), [WithTemperature] (T > 0, default 1; divides target logits
// too; there is no factor T²), [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// 0·log 0 is 0. A class with probability 0 and a positive target makes the value +Inf. Where the two distributions
// are nearly equal the value keeps its digits, is never negative, and is 0 for equal logits.
//
// [ReverseKL] exchanges the two distributions. [CrossEntropy] is KL plus the entropy of the target and has the same gradient for logits.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func KL(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return kl.build(logits, target, opts)
}

var kl = definition{
	name: "KL", takes: rowKnobs | knobLogTarget | knobTargetLogits | knobTemperature,
	defaults: settings{axis: -1, temperature: 1}, pred: Logits, target: SoftTargets,
	retarget: targetDomain,
	fast:     fast{klDirect[float32], klDirect[float64], klFew}, careful: 1. / 16,
	laws:  ShiftInvariant | NonNegative | ZeroAtEqual | Convex,
	torch: "kl_div(log_softmax(x), t, reduction=\"batchmean\")", optax: "kl_divergence",
	rows: func(s *settings, _, _ int) rowFunc {
		return func(r *row) float64 {
			p := r.softmax(0, s.temperature)
			t := r.target(s)
			if p.l1 != p.l1 || t.mass != t.mass {
				return r.poison()
			}
			for j := range t.t {
				t.log[j] += p.nll(j) // log t - log p
			}
			value, mean := t.against(p.p, 0)
			if g := r.grad[0]; g != nil {
				for j, q := range t.t {
					if q == t.mass {
						g[j] = -q * p.others(j) / s.temperature
					} else {
						g[j] = (t.mass*p.p[j] - q) / s.temperature
					}
				}
			}
			t.gradient(r.grad[1], mean, s)
			if h := r.hess[0]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					p.jacobian(h, v, t.mass/(s.temperature*s.temperature))
				}
				if v := r.dir[1]; v != nil {
					d := r.buf(len(v))
					moved := t.move(d, v, s)
					for j, u := range d {
						h[j] += (moved*p.p[j] - u) / s.temperature
					}
				}
			}
			if h := r.hess[1]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					// log t - log p moves by -(v - ⟨p, v⟩)
					d := r.buf(len(v))
					p.along(d, v, -1/s.temperature)
					t.hessian(h, nil, d, mean, s)
				}
				if v := r.dir[1]; v != nil {
					d := r.buf(len(v))
					t.move(d, v, s)
					t.hessian(h, d, nil, mean, s)
				}
			}
			return value
		}
	},
	check: oneTarget,
}

// oneTarget refuses a target that is to be read in two ways.
func oneTarget(s *settings, _ Domain, _ int) error {
	if s.logTarget && s.targetLogits {
		return fmt.Errorf("WithLogTarget and WithTargetLogits exclude each other")
	}
	return nil
}

// targetDomain is the domain of a divergence's target under its settings.
func targetDomain(s *settings) Domain {
	switch {
	case s.logTarget:
		return LogProbabilities
	case s.targetLogits:
		return Logits
	}
	return SoftTargets
}

// A goal is the target row of a divergence: t, its logarithm (after use log t - log p), and Σ t = 1 + over.
type goal struct {
	t, log     []float64
	mass, over float64
}

// target reads operand 1 as the settings say. Where it holds a NaN the mass is NaN.
func (r *row) target(s *settings) goal {
	x := r.x[1]
	g := goal{t: x, log: r.buf(len(x))}
	switch {
	case s.targetLogits:
		z := r.softmax(1, s.temperature)
		g.t = z.p
		for j := range x {
			g.log[j] = -z.nll(j)
		}
		g.mass = 1 + 0*z.l1
		return g // over is 0
	case s.logTarget:
		g.t = r.buf(len(x))
		copy(g.log, x)
		for j, l := range x {
			g.t[j] = math.Exp(l)
		}
	default:
		for j, t := range x {
			g.log[j] = ln(t)
		}
	}
	g.over = overUnity(g.t)
	g.mass = 1 + g.over
	return g
}

// against is Σ t·(log t - log p) with 0·Inf = 0, where log holds the difference and p sums to 1 + over. mean is
// that sum as it stands, without care for its second-order digits, for derivatives.
func (g *goal) against(p []float64, over float64) (value, mean float64) {
	sum := 0.0
	for j, t := range g.t {
		mean += times(t, g.log[j])
		sum += gap(t, p[j], g.log[j])
	}
	if nearUnity(over, g.over) {
		return settle(sum, over, g.over, -1, 1), mean
	}
	return mean, mean
}

// tilt is w·(a - mean) where mean is Σ w·a over a distribution w: how a mean moves when mass moves to an entry. An infinite a
// makes the mean infinite, and moving mass there or away from there moves it without bound, if there is
// mass to move.
func tilt(w, a, mean float64) float64 {
	switch {
	case w == 0 || w == 1 && math.IsInf(mean, 1):
		return 0
	case math.IsInf(mean, 1) && math.IsInf(a, 1):
		return math.Inf(1)
	}
	return w * (a - mean)
}

// gradient writes the derivative by the target's own parametrisation; g.log holds a = log t - log p.
func (g *goal) gradient(dst []float64, mean float64, s *settings) {
	for j := range dst {
		switch t, a := g.t[j], g.log[j]; {
		case t == 0:
			dst[j] = 0
		case s.targetLogits:
			dst[j] = tilt(t, a, mean) / s.temperature
		case s.logTarget:
			dst[j] = t * (a + 1)
		default:
			dst[j] = a + 1
		}
	}
}

// move writes to dst how t moves when its parameters move along v, and returns the change of its mass. An entry of 0 stays.
func (g *goal) move(dst, v []float64, s *settings) (mass float64) {
	mean := 0.0
	if s.targetLogits {
		mean = dot(g.t, v)
	}
	for j, u := range v {
		switch t := g.t[j]; {
		case t == 0:
			dst[j] = 0
		case s.targetLogits:
			dst[j] = t * (u - mean) / s.temperature
		case s.logTarget:
			dst[j] = t * u
		default:
			dst[j] = u
		}
		mass += dst[j]
	}
	return mass
}

// hessian adds to dst the change of gradient when t moves by dt (nil for 0), which moves log t by dt/t, and
// -log p by dq (nil for 0).
func (g *goal) hessian(dst, dt, dq []float64, mean float64, s *settings) {
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
	if s.targetLogits {
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
		case s.targetLogits:
			dst[j] += (d*(g.log[j]-mean) + t*(da-moved)) / s.temperature
		case s.logTarget:
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
// logProb and target have the same shape and dtype. The result is a scalar, or has that shape without the class
// axis under [None]: the divergence is summed over the classes, then reduced over the rows, which PyTorch's kl_div
// calls "batchmean".
//
// Options: [WithLogTarget], [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// 0·log 0 is 0, also against a log-probability of -Inf. logProb is taken as it is and need not be normalised.
//
// [KL] takes logits and is the better choice where they are at hand.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func KLFromLogProb(logProb, target *G.Node, opts ...Option) (*G.Node, error) {
	return klFromLogProb.build(logProb, target, opts)
}

var klFromLogProb = definition{
	name: "KLFromLogProb", takes: rowKnobs | knobLogTarget,
	defaults: settings{axis: -1}, pred: LogProbabilities, target: SoftTargets, retarget: targetDomain,
	laws:  ZeroAtEqual | Convex,
	torch: "kl_div(reduction=\"batchmean\")", keras: "KLDivergence", optax: "kl_divergence, kl_divergence_with_log_targets",
	rows: func(s *settings, _, _ int) rowFunc {
		return func(r *row) float64 {
			q := r.x[0]
			t := r.target(s)
			if hasNaN(q) || t.mass != t.mass {
				return r.poison()
			}
			for j := range t.t {
				t.log[j] -= q[j]
			}
			e := r.buf(len(q))
			for j, l := range q {
				e[j] = math.Exp(l)
			}
			value, mean := t.against(e, overUnity(e))
			if g := r.grad[0]; g != nil {
				for j, p := range t.t {
					g[j] = -p
				}
			}
			t.gradient(r.grad[1], mean, s)
			if h := r.hess[0]; h != nil {
				fill(h, 0)
				if v := r.dir[1]; v != nil {
					t.move(h, v, s)
					for j := range h {
						h[j] = -h[j]
					}
				}
			}
			if h := r.hess[1]; h != nil {
				fill(h, 0)
				if v := r.dir[0]; v != nil {
					d := r.buf(len(v))
					for j, u := range v {
						d[j] = -u
					}
					t.hessian(h, nil, d, mean, s)
				}
				if v := r.dir[1]; v != nil {
					d := r.buf(len(v))
					t.move(d, v, s)
					t.hessian(h, d, nil, mean, s)
				}
			}
			return value
		}
	},
}

// ReverseKL returns the Kullback-Leibler divergence of target from the softmax of logits: the model's distribution is the one
// that is averaged over, so it may leave out what the target has but not add to it.
//
// With x a row of logits divided by the temperature, p = softmax(x) and t the target,
//
//	l = Σ_c p_c·(log p_c - log t_c)      dl/dx_j = p_j·(log p_j - log t_j - l)
//	                                     dl/dt_j = -p_j/t_j, 0 where p_j = 0
//
// For a target of log-probabilities τ ([WithLogTarget]) t = e^τ and dl/dτ_j = -p_j; for a target of logits z
// ([WithTargetLogits]) t = softmax(z) and dl/dz_j = t_j - p_j.
//
// logits and target have the same shape and dtype. The result is a scalar, or has that shape without the class
// axis under [None].
//
// Options: [WithLogTarget], [WithTargetLogits] (not both), [WithTemperature] (T > 0, default 1; divides target logits
// too; there is no factor T²), [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// 0·log 0 is 0. A class with target 0 and a positive probability makes the value +Inf, with the gradient +Inf for the logits
// of such classes and -Inf for the others.
//
// [KL] exchanges the two distributions. [JensenShannon] lies between them and is finite.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func ReverseKL(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return reverseKL.build(logits, target, opts)
}

var reverseKL = definition{
	name: "ReverseKL", takes: rowKnobs | knobLogTarget | knobTargetLogits | knobTemperature,
	defaults: settings{axis: -1, temperature: 1}, pred: Logits, target: SoftTargets,
	retarget: targetDomain, check: oneTarget,
	laws: ShiftInvariant | NonNegative | ZeroAtEqual,
	rows: func(s *settings, _, _ int) rowFunc {
		return func(r *row) float64 {
			x, t := r.softmax(0, s.temperature), r.target(s)
			if x.l1 != x.l1 || t.mass != t.mass {
				return r.poison()
			}
			p := goal{t: x.p, log: r.buf(len(x.p)), mass: 1}
			for j := range p.log {
				p.log[j] = -x.nll(j) - t.log[j]
			}
			value, mean := p.against(t.t, t.over)
			for j := range r.grad[0] {
				r.grad[0][j] = tilt(p.t[j], p.log[j], mean) / s.temperature
			}
			for j := range r.grad[1] {
				r.grad[1][j] = t.slope(p.t[j], j, s)
			}
			if r.hess[0] == nil && r.hess[1] == nil {
				return value
			}
			dp, dlog := r.buf(len(p.t)), r.buf(len(p.t)) // how p and log p - log t move
			fill(dp, 0)
			fill(dlog, 0)
			if v := r.dir[0]; v != nil {
				x.jacobian(dp, v, 1/s.temperature)
				x.along(dlog, v, 1/s.temperature)
			}
			if v := r.dir[1]; v != nil {
				t.moveLog(dlog, v, s)
			}
			moved := 0.0
			for j, q := range p.t {
				moved += times(dp[j], p.log[j]) + times(q, dlog[j])
			}
			for j := range r.hess[0] {
				r.hess[0][j] = (times(dp[j], p.log[j]-mean) + times(p.t[j], dlog[j]-moved)) / s.temperature
			}
			if h := r.hess[1]; h != nil {
				fill(h, 0)
				if v := r.dir[1]; v != nil {
					t.move(h, v, s)
				}
				for j, dt := range h {
					h[j] = t.bend(p.t[j], dp[j], dt, j, s)
				}
			}
			return value
		}
	},
}

// slope is the derivative of -Σ p·log t by parameter j of the target, for Σ p = 1.
func (g *goal) slope(p float64, j int, s *settings) float64 {
	switch {
	case s.targetLogits:
		return (g.t[j] - p) / s.temperature
	case s.logTarget:
		return -p
	}
	if p == 0 {
		return 0
	}
	return -p / g.t[j]
}

// bend is how slope moves when p moves by dp and t by dt.
func (g *goal) bend(p, dp, dt float64, j int, s *settings) float64 {
	switch t := g.t[j]; {
	case s.targetLogits:
		return (dt - dp) / s.temperature
	case s.logTarget:
		return -dp
	case p == 0:
		return 0
	default:
		return (p*dt/t - dp) / t
	}
}

// moveLog subtracts from dst how log t moves when the target's parameters move along v.
func (g *goal) moveLog(dst, v []float64, s *settings) {
	mean := 0.0
	if s.targetLogits {
		mean = dot(g.t, v)
	}
	for j, u := range v {
		switch {
		case s.targetLogits:
			dst[j] -= (u - mean) / s.temperature
		case s.logTarget:
			dst[j] -= u
		case g.t[j] != 0:
			dst[j] -= u / g.t[j]
		}
	}
}
