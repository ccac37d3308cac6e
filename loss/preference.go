package loss

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// preferenceLosses lists the preference losses that have two operands, preferenceWide the others
// and the policy losses.
var preferenceLosses = []entry{
	{&simPO, SimPO},
	{&cpo, CPO},
	{&orpo, ORPO},
	{&bradleyTerry, BradleyTerry},
}

var preferenceWide = []*core.Definition{&dpo, &dpoHinge, &ipo, &apoZero, &apoDown, &nca, &kto, &grpo, &ppo, &ppoValue, &sequenceLogProb, &ktoBaseline}

// policyPairs declares the operands of a loss of log-probabilities under a policy and a reference.
func policyPairs() []core.Operand {
	var out []core.Operand
	for _, name := range []string{"chosen", "rejected", "refChosen", "refRejected"} {
		out = append(out, core.Operand{Name: name, Holds: core.Real, Shape: "*"})
	}
	return out
}

// WithRobust makes [DPO] the robust form, whose expectation does not depend on the share ε of
// swapped labels, the one of [WithLabelSmoothing]; ε < ½.
func WithRobust() Option { return core.OptRobust.Flag }

// DPO returns the loss of direct preference optimisation: the logistic loss of the policy's
// preference for the chosen completion over the rejected one, beyond the preference of a reference.
//
// With c, r the log-probabilities of the chosen and the rejected completion, c', r' those under the
// reference, u = β·(c - c'), v = β·(r - r') and d = u - v,
//
//	l = -(1-ε)·log σ(d) - ε·log σ(-d)                  dl/dc = -dl/dr = -dl/dc' = dl/dr' = β·(ε·σ(d) - (1-ε)·σ(-d))
//	l = (-(1-ε)·log σ(d) + ε·log σ(-d))/(1-2ε)         [WithRobust]
//	                                                   dl/dc = -β·((1-ε)·σ(-d) + ε·σ(d))/(1-2ε)
//
// chosen, rejected, refChosen and refRejected are sums over tokens, as [SequenceLogProb] returns
// them, of one shape, (N), and one dtype. All four are differentiable; for a constant reference pass
// constant nodes, for none zeros. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithBeta] (β > 0, default 0.1), [WithLabelSmoothing] (ε in [0, 1], default 0),
// [WithRobust], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The robust form may be negative.
//
// [IPO] has a target for the difference, [DPOHinge] a margin; [SimPO] and [ORPO] need no reference.
//
// Reference: R. Rafailov et al., Direct Preference Optimization, 2023; S. R. Chowdhury et al.,
// Provably Robust DPO, 2024.
func DPO(chosen, rejected, refChosen, refRejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&dpo, opts, chosen, rejected, refChosen, refRejected)
}

var dpo = core.Definition{
	Name: "DPO", Operands: policyPairs(), Takes: core.Options(core.ReduceOptions, core.OptBeta, core.OptLabelSmoothing, core.OptRobust), Defaults: core.Settings{Beta: 0.1},
	Others: "trl loss_type sigmoid; robust: WithRobust",
	Check: func(s *core.Settings) error {
		if s.Preference.Robust && !(s.Smoothing < 0.5) {
			return fmt.Errorf("WithLabelSmoothing is %v, want a number in [0, 0.5) with WithRobust", s.Smoothing)
		}
		return positiveBeta(s)
	},
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		eps, robust := s.Smoothing, s.Preference.Robust
		all := formula.PolicyPairs(s.Beta, func(_, _ float64, odds *[2]formula.Odds) formula.Partials {
			o := &odds[0]
			if robust {
				return formula.OfDifference((formula.Times(1-eps, o.Won)-formula.Times(eps, o.Lost))/(1-2*eps), -((1-eps)*o.No+eps*o.Yes)/(1-2*eps), o.Yes*o.No)
			}
			return formula.OfDifference(o.Preferred(eps))
		}, preferenceLogit)
		if robust {
			return all
		}
		return formula.PreferredPairs(s.Beta, eps, all)
	},
}

// positiveBeta refuses a β of 0.
// The logits whose odds losses of u and v read.
func chosenLogit(u, _ float64) float64     { return u }
func rejectedLogit(_, v float64) float64   { return v }
func preferenceLogit(u, v float64) float64 { return u - v }

func positiveBeta(s *core.Settings) error {
	if s.Beta == 0 {
		return fmt.Errorf("WithBeta is 0, want a number > 0")
	}
	return nil
}

// DPOHinge returns the hinge loss of the policy's preference for the chosen completion over the
// rejected one, beyond the preference of a reference.
//
// In the notation of [DPO],
//
//	l = max(0, 1 - d)        dl/dc = -dl/dr = -dl/dc' = dl/dr' = -β where d < 1, else 0
//
// The operands and the result are those of [DPO].
//
// Options: [WithBeta] (β > 0, default 0.1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The second derivative is 0.
//
// [DPO] is the logistic form.
//
// Reference: Y. Zhao et al., SLiC-HF: Sequence Likelihood Calibration with Human Feedback, 2023.
func DPOHinge(chosen, rejected, refChosen, refRejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&dpoHinge, opts, chosen, rejected, refChosen, refRejected)
}

// preferenceOptions are the options of losses of pairs.
var preferenceOptions = core.Options(core.ReduceOptions, core.OptBeta)

var dpoHinge = core.Definition{
	Name: "DPOHinge", Operands: policyPairs(), Takes: preferenceOptions, Defaults: core.Settings{Beta: 0.1}, Check: positiveBeta,
	Laws: core.NonNegative, Others: "trl loss_type hinge",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return formula.PolicyPairs(s.Beta, func(u, v float64, _ *[2]formula.Odds) formula.Partials {
			switch d := u - v; {
			case d < 1:
				return formula.OfDifference(1-d, -1, 0)
			case d != d:
				return formula.OfDifference(d, d, d)
			}
			return formula.Partials{}
		})
	},
}

// IPO returns the loss of identity preference optimisation: the squared distance of the policy's
// preference, beyond that of the reference, from a target.
//
// In the notation of [DPO], with means over tokens and h = (c - c') - (r - r'),
//
//	l = (h - 1/(2β))²        dl/dc = -dl/dr = -dl/dc' = dl/dr' = 2·(h - 1/(2β))
//
// The operands and the result are those of [DPO], the operands as means over tokens
// ([SequenceLogProb] with [WithMean]).
//
// Options: [WithBeta] (β > 0, default 0.1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// [DPO] is the logistic form.
//
// Reference: M. G. Azar et al., A General Theoretical Paradigm to Understand Learning from Human
// Preferences, 2023.
func IPO(chosen, rejected, refChosen, refRejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&ipo, opts, chosen, rejected, refChosen, refRejected)
}

var ipo = core.Definition{
	Name: "IPO", Operands: policyPairs(), Takes: preferenceOptions, Defaults: core.Settings{Beta: 0.1}, Check: positiveBeta,
	Laws: core.NonNegative, Others: "trl loss_type ipo",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		goal := 1 / (2 * s.Beta)
		return formula.PolicyPairs(1, func(u, v float64, _ *[2]formula.Odds) formula.Partials {
			e := u - v - goal
			return formula.OfDifference(e*e, 2*e, 2)
		})
	},
}

// APOZero returns the loss of anchored preference optimisation that raises the chosen completion and
// lowers the rejected one.
//
// In the notation of [DPO],
//
//	l = σ(-u) + σ(v)        dl/dc = -dl/dc' = -β·σ(u)·σ(-u)
//	                        dl/dr = -dl/dr' = β·σ(v)·σ(-v)
//
// The operands and the result are those of [DPO].
//
// Options: [WithBeta] (β > 0, default 0.1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// It suits chosen completions that are better than the policy's own.
//
// [APODown] lowers both, the rejected one more.
//
// Reference: K. D'Oosterlinck et al., Anchored Preference Optimization and Contrastive Revisions,
// 2024.
func APOZero(chosen, rejected, refChosen, refRejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&apoZero, opts, chosen, rejected, refChosen, refRejected)
}

var apoZero = core.Definition{
	Name: "APOZero", Operands: policyPairs(), Takes: preferenceOptions, Defaults: core.Settings{Beta: 0.1}, Check: positiveBeta,
	Laws: core.NonNegative, Others: "trl loss_type apo_zero",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return formula.PolicyPairs(s.Beta, func(_, _ float64, o *[2]formula.Odds) formula.Partials {
			a, da, dda := o[0].Reversed().Sigmoid()
			b, db, ddb := o[1].Sigmoid()
			return formula.Partials{L: a + b, P: -da, T: db, PP: dda, TT: ddb}
		}, chosenLogit, rejectedLogit)
	},
}

// APODown returns the loss of anchored preference optimisation that lowers the chosen completion and
// the rejected one more.
//
// In the notation of [DPO],
//
//	l = σ(u) + σ(-d)        dl/dc = -dl/dc' = β·(σ(u)·σ(-u) - σ(d)·σ(-d))
//	                        dl/dr = -dl/dr' = β·σ(d)·σ(-d)
//
// The operands and the result are those of [DPO].
//
// Options: [WithBeta] (β > 0, default 0.1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// It suits chosen completions that are worse than the policy's own.
//
// [APOZero] raises the chosen one.
//
// Reference: K. D'Oosterlinck et al., Anchored Preference Optimization and Contrastive Revisions,
// 2024.
func APODown(chosen, rejected, refChosen, refRejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&apoDown, opts, chosen, rejected, refChosen, refRejected)
}

var apoDown = core.Definition{
	Name: "APODown", Operands: policyPairs(), Takes: preferenceOptions, Defaults: core.Settings{Beta: 0.1}, Check: positiveBeta,
	Laws: core.NonNegative, Others: "trl loss_type apo_down",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return formula.PolicyPairs(s.Beta, func(_, _ float64, o *[2]formula.Odds) formula.Partials {
			a, da, dda := o[0].Sigmoid()
			b, db, ddb := o[1].Reversed().Sigmoid()
			return formula.Partials{L: a + b, P: da - db, T: db, PP: dda + ddb, PT: -ddb, TT: ddb}
		}, chosenLogit, preferenceLogit)
	},
}

// NCA returns the loss of noise contrastive alignment of pairs, which keeps the likelihood of the
// chosen completion high.
//
// In the notation of [DPO],
//
//	l = -log σ(u) - ½·log σ(-u) - ½·log σ(-v)        dl/dc = -dl/dc' = β·(½·σ(u) - σ(-u))
//	                                                 dl/dr = -dl/dr' = ½·β·σ(v)
//
// The operands and the result are those of [DPO].
//
// Options: [WithBeta] (β > 0, default 0.1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// [DPO] depends on the difference alone.
//
// Reference: H. Chen et al., Noise Contrastive Alignment of Language Models with Explicit Rewards,
// 2024.
func NCA(chosen, rejected, refChosen, refRejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&nca, opts, chosen, rejected, refChosen, refRejected)
}

var nca = core.Definition{
	Name: "NCA", Operands: policyPairs(), Takes: preferenceOptions, Defaults: core.Settings{Beta: 0.1}, Check: positiveBeta,
	Laws: core.NonNegative | core.Convex, Others: "trl loss_type nca_pair",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return formula.PolicyPairs(s.Beta, func(_, _ float64, o *[2]formula.Odds) formula.Partials {
			a, da, dda := o[0].Softplus()
			b, db, ddb := o[0].Reversed().Softplus()
			c, dc, ddc := o[1].Softplus()
			return formula.Partials{L: b + a/2 + c/2, P: da/2 - db, T: dc / 2, PP: dda/2 + ddb, TT: ddc / 2}
		}, chosenLogit, rejectedLogit)
	},
}

// SimPO returns the loss of simple preference optimisation: the logistic loss of the difference of
// two completions beyond a margin, without a reference.
//
// With c, r the mean log-probabilities of the tokens of the chosen and the rejected completion and
// d = β·(c - r) - γ,
//
//	l = -(1-ε)·log σ(d) - ε·log σ(-d)        dl/dc = -dl/dr = β·(ε·σ(d) - (1-ε)·σ(-d))
//
// chosen and rejected are means over tokens ([SequenceLogProb] with [WithMean]) of one shape, (N),
// and dtype. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithBeta] (β > 0, default 2), [WithGamma] (γ >= 0, default 0.5), [WithLabelSmoothing]
// (ε in [0, 1], default 0), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The margin is absolute: for the ratio ρ = γ/β of the paper, pass γ = ρβ.
//
// [CPO] has no margin; [DPO] has a reference.
//
// Reference: Y. Meng, M. Xia, D. Chen, SimPO: Simple Preference Optimization with a Reference-Free
// Reward, 2024.
func SimPO(chosen, rejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&simPO, opts, chosen, rejected)
}

var simPO = core.Definition{
	Name: "SimPO", Operands: elements("chosen", core.Real, "rejected", core.Real),
	Takes: core.Options(preferenceOptions, core.OptGamma, core.OptLabelSmoothing), Defaults: core.Settings{Beta: 2, Gamma: 0.5}, Check: positiveBeta,
	Laws: core.NonNegative | core.Convex, Others: "trl CPOTrainer loss_type simpo: simpo_gamma is WithGamma",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc { return preferredBy(s, s.Gamma) },
}

// preferredBy is the logistic loss of β·(c - r) - γ.
func preferredBy(s *core.Settings, gamma float64) core.BlockFunc {
	return func(b *core.Block) {
		d := formula.Residuals(b)
		for i, e := range d {
			d[i] = s.Beta*e - gamma
		}
		if b.Hess[0] == nil && b.Hess[1] == nil {
			deriv := b.Buf(len(d))
			formula.Preferences(b, b.Out, deriv, d, s.Smoothing)
			for k, g := range b.Grad[:2] {
				if g != nil {
					formula.Blend(g, deriv, deriv, [2]float64{s.Beta, -s.Beta}[k], 0)
				}
			}
			return
		}
		odds := formula.LogisticOf(b, d, true)
		formula.Bivariate(func(_, _ float64, i int) formula.Partials {
			o := odds.Odds(i)
			l, first, second := o.Preferred(s.Smoothing)
			return formula.OfDifference(l, s.Beta*first, s.Beta*s.Beta*second)
		})(b)
	}
}

// CPO returns the preference term of contrastive preference optimisation: the logistic loss of the
// difference of two completions, without a reference.
//
// The formula is that of [SimPO] with γ = 0, for sums over tokens:
//
//	l = -(1-ε)·log σ(d) - ε·log σ(-d)        dl/dc = -dl/dr = β·(ε·σ(d) - (1-ε)·σ(-d))
//
// chosen and rejected have one shape, (N), and one dtype. The result is a scalar, or has the shape
// (N) under [None].
//
// Options: [WithBeta] (β > 0, default 0.1), [WithLabelSmoothing] (ε in [0, 1], default 0),
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The likelihood of the chosen completion, which the authors add, is a term of its own: see
// [Weighted].
//
// [SimPO] takes means over tokens and a margin.
//
// Reference: H. Xu et al., Contrastive Preference Optimization, 2024.
func CPO(chosen, rejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&cpo, opts, chosen, rejected)
}

var cpo = core.Definition{
	Name: "CPO", Operands: elements("chosen", core.Real, "rejected", core.Real), Takes: core.Options(preferenceOptions, core.OptLabelSmoothing),
	Defaults: core.Settings{Beta: 0.1}, Check: positiveBeta, Laws: core.NonNegative | core.Convex,
	Others: "trl CPOTrainer loss_type sigmoid: cpo_alpha weighs the likelihood beside it",
	Block:  func(s *core.Settings, _ core.Dims) core.BlockFunc { return preferredBy(s, 0) },
}

// ORPO returns the odds-ratio term of odds ratio preference optimisation.
//
// With c, r of [SimPO], p = e^c and q = e^r,
//
//	l = β·log(1 + q(1-p)/(p(1-q)))        dl/dc = -β·q/(p(1-q) + q(1-p))
//	                                      dl/dr = -dl/dc·(1-p)/(1-q)
//
// chosen and rejected are means over tokens ([SequenceLogProb] with [WithMean]), <= 0, of one shape,
// (N), and dtype. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithBeta] (β > 0, default 0.1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// Probabilities near 1 keep their digits. c = 0 > r gives 0, r = 0 > c gives +Inf, and c = r = 0
// gives β·log 2 with infinite gradients. The likelihood of the chosen completion, which the authors
// add, is a term of its own: see [Weighted].
//
// Reference: J. Hong, N. Lee, J. Thorne, ORPO: Monolithic Preference Optimization without Reference
// Model, 2024.
func ORPO(chosen, rejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&orpo, opts, chosen, rejected)
}

var orpo = core.Definition{
	Name: "ORPO", Operands: elements("chosen", core.NonPositive, "rejected", core.NonPositive), Takes: preferenceOptions,
	Defaults: core.Settings{Beta: 0.1}, Check: positiveBeta, Laws: core.NonNegative, Others: "trl ORPOTrainer: the term beside the likelihood",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return formula.Bivariate(func(c, r float64, _ int) formula.Partials {
			j := formula.OddsRatio(c, r)
			return formula.Partials{L: s.Beta * j.L, P: s.Beta * j.P, T: s.Beta * j.T, PP: s.Beta * j.PP, PT: s.Beta * j.PT, TT: s.Beta * j.TT}
		})
	},
}
