package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// ReverseKL returns the Kullback-Leibler divergence of target from the softmax of logits: the
// model's distribution is the one that is averaged over, so it may leave out what the target has
// but not add to it.
//
// With x a row of logits divided by the temperature, p = softmax(x) and t the target,
//
//	l = Σ_c p_c·(log p_c - log t_c)      dl/dx_j = p_j·(log p_j - log t_j - l)
//	                                     dl/dt_j = -p_j/t_j, 0 where p_j = 0
//
// For a target of log-probabilities τ ([WithLogTarget]) t = e^τ and dl/dτ_j = -p_j; for a target of
// logits z ([WithTargetLogits]) t = softmax(z) and dl/dz_j = t_j - p_j.
//
// logits and target have the same shape and dtype. The result is a scalar, or has that shape
// without the class axis under [None].
//
// Options: [WithLogTarget], [WithTargetLogits] (not both), [WithTemperature] (T > 0, default 1;
// divides target logits too; there is no factor T²), [WithAxis] (default -1), [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// 0·log 0 is 0. A class with target 0 and a positive probability makes the value +Inf, with the
// gradient +Inf for the logits of such classes and -Inf for the others.
//
// [KL] exchanges the two distributions. [JensenShannon] lies between them and is finite.
//
// Reference: S. Kullback, R. A. Leibler, On Information and Sufficiency, 1951.
func ReverseKL(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&reverseKL, opts, logits, target)
}

var reverseKL = core.Definition{
	Name: "ReverseKL", Operands: rows("logits", core.Logits, "target", core.SoftTargets), Takes: core.Options(core.RowOptions, core.OptLogTarget, core.OptTargetLogits, core.OptTemperature),
	Defaults: core.Settings{Temperature: 1},
	Kernel:   reverseKLKernels,
	Target:   targetDomain, Check: oneTarget,
	Laws: core.ShiftInvariant | core.NonNegative | core.ZeroAtEqual,
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return func(r *core.Block) float64 {
			x, t := formula.Softmax(r, 0, s.Temperature), targetOf(r, s)
			if x.L1 != x.L1 || t.mass != t.mass {
				return formula.SetNaN(r)
			}
			p := goal{t: x.P, log: r.Buf(len(x.P)), mass: 1}
			t.compare(r, &x, s)
			for j, a := range t.log {
				p.log[j] = -a
			}
			value, mean := p.against(t.t, t.over, wholeRow)
			for j := range r.Grad[0] {
				r.Grad[0][j] = tilt(p.t[j], p.log[j], mean) / s.Temperature
			}
			for j := range r.Grad[1] {
				r.Grad[1][j] = t.slope(p.t[j], p.log[j], j, s)
			}
			if r.Hess[0] == nil && r.Hess[1] == nil {
				return value
			}
			dp, dlog := r.Buf(len(p.t)), r.Buf(len(p.t)) // how p and log p - log t move
			formula.Fill(dp, 0)
			formula.Fill(dlog, 0)
			if v := r.Dir[0]; v != nil {
				x.Jacobian(dp, v, 1/s.Temperature)
				x.LogProbDeriv(dlog, v, 1/s.Temperature)
			}
			if v := r.Dir[1]; v != nil {
				t.moveLog(dlog, v, s)
			}
			moved := 0.0
			for j, q := range p.t {
				moved += formula.Times(dp[j], p.log[j]) + formula.Times(q, dlog[j])
			}
			for j := range r.Hess[0] {
				r.Hess[0][j] = (formula.Times(dp[j], p.log[j]-mean) + formula.Times(p.t[j], dlog[j]-moved)) / s.Temperature
			}
			if h := r.Hess[1]; h != nil {
				formula.Fill(h, 0)
				if v := r.Dir[1]; v != nil {
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

// slope is the derivative of -Σ p·log t by parameter j of the target, for Σ p = 1; a is log p - log
// t_j.
func (g *goal) slope(p, a float64, j int, s *core.Settings) float64 {
	switch {
	case s.TargetLogits:
		return -probDifference(p, g.t[j], a) / s.Temperature
	case s.LogTarget:
		return -p
	}
	if p == 0 {
		return 0
	}
	return -p / g.t[j]
}

// bend is how slope moves when p moves by dp and t by dt.
func (g *goal) bend(p, dp, dt float64, j int, s *core.Settings) float64 {
	switch t := g.t[j]; {
	case s.TargetLogits:
		return (dt - dp) / s.Temperature
	case s.LogTarget:
		return -dp
	case p == 0:
		return 0
	default:
		return (p*dt/t - dp) / t
	}
}

// moveLog subtracts from dst how log t moves when the target's parameters move along v.
func (g *goal) moveLog(dst, v []float64, s *core.Settings) {
	mean := 0.0
	if s.TargetLogits {
		mean = core.Dot(g.t, v)
	}
	for j, u := range v {
		switch {
		case s.TargetLogits:
			dst[j] -= (u - mean) / s.Temperature
		case s.LogTarget:
			dst[j] -= u
		case g.t[j] != 0:
			dst[j] -= u / g.t[j]
		}
	}
}
