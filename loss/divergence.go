package loss

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
)

var divergenceLosses = []entry{
	{&kl, KL},
	{&klFromLogProb, KLFromLogProb},
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
// 0·log 0 is 0. A class with probability 0 and a positive target makes the value +Inf.
//
// [CrossEntropy] is KL plus the entropy of the target and has the same gradient for logits.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func KL(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return kl.build(logits, target, opts)
}

var kl = definition{
	name: "KL", takes: rowKnobs | knobLogTarget | knobTargetLogits | knobTemperature,
	defaults: settings{axis: -1, temperature: 1}, pred: Logits, target: SoftTargets,
	retarget: targetDomain,
	laws:     ShiftInvariant | NonNegative | ZeroAtEqual | Convex,
	torch:    "kl_div(log_softmax(x), t, reduction=\"batchmean\")", optax: "kl_divergence",
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
			value := t.mean(t.log)
			if g := r.grad[0]; g != nil {
				for j, q := range t.t {
					if q == t.mass {
						g[j] = -q * p.others(j) / s.temperature
					} else {
						g[j] = (t.mass*p.p[j] - q) / s.temperature
					}
				}
			}
			t.gradient(r.grad[1], value, s)
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
					t.hessian(h, nil, d, value, s)
				}
				if v := r.dir[1]; v != nil {
					d := r.buf(len(v))
					t.move(d, v, s)
					t.hessian(h, d, nil, value, s)
				}
			}
			return value
		}
	},
	check: func(s *settings, _ Domain, _ int) error {
		if s.logTarget && s.targetLogits {
			return fmt.Errorf("WithLogTarget and WithTargetLogits exclude each other")
		}
		return nil
	},
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

// A goal is the target row of a divergence: t, its logarithm (after use log t - log p), and Σ t.
type goal struct {
	t, log []float64
	mass   float64
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
		return g
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
	for _, t := range g.t {
		g.mass += t
	}
	return g
}

// mean is Σ t·a with 0·Inf = 0.
func (g *goal) mean(a []float64) float64 {
	sum := 0.0
	for j, t := range g.t {
		sum += times(t, a[j])
	}
	return sum
}

// gradient writes the derivative by the target's own parametrisation; g.log holds a = log t - log p.
func (g *goal) gradient(dst []float64, value float64, s *settings) {
	for j := range dst {
		switch t, a := g.t[j], g.log[j]; {
		case t == 0:
			dst[j] = 0
		case s.targetLogits:
			dst[j] = t * (a - value) / s.temperature
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
func (g *goal) hessian(dst, dt, dq []float64, value float64, s *settings) {
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
	moved := 0.0 // the change of the value
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
			dst[j] += (d*(g.log[j]-value) + t*(da-moved)) / s.temperature
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
			value := t.mean(t.log)
			if g := r.grad[0]; g != nil {
				for j, p := range t.t {
					g[j] = -p
				}
			}
			t.gradient(r.grad[1], value, s)
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
					t.hessian(h, nil, d, value, s)
				}
				if v := r.dir[1]; v != nil {
					d := r.buf(len(v))
					t.move(d, v, s)
					t.hessian(h, d, nil, value, s)
				}
			}
			return value
		}
	},
}
