package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// WithMarginNode subtracts m, a node of the shape and dtype of the scores, from the difference of
// the scores in [BradleyTerry]. There is no gradient with respect to m.
func WithMarginNode(m *G.Node) Option { return operand(core.OptMarginNode, m) }

// BradleyTerry returns the negative log-likelihood of preferences between scored completions: the
// loss of reward models.
//
// With c, r the scores of the chosen and the rejected completion, m the margin (0 by default) and d
// = c - r - m,
//
//	l = -log σ(d)        dl/dc = -dl/dr = -σ(-d)
//
// chosen and rejected have the shape (N) and one dtype. The result is a scalar, or has the shape (N)
// under [None].
//
// Options: [WithMarginNode], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Adding a constant to all scores changes nothing; a penalty for their sum is a term of its own.
//
// Reference: R. A. Bradley, M. E. Terry, Rank Analysis of Incomplete Block Designs, 1952.
func BradleyTerry(chosen, rejected *G.Node, opts ...Option) (*G.Node, error) {
	return build(&bradleyTerry, opts, chosen, rejected)
}

var bradleyTerry = core.Definition{
	Name: "BradleyTerry", Operands: []core.Operand{{Name: "chosen", Holds: core.Real, Shape: "N"}, {Name: "rejected", Holds: core.Real, Shape: "N"},
		{Name: "margin", Holds: core.Real, Shape: "N", Option: core.OptMarginNode, Data: true}},
	Takes: core.Options(core.ReduceOptions, core.OptMarginNode), Laws: core.NonNegative | core.Convex, Others: "trl RewardTrainer",
	Grouped: perEntry,
	Group: func(*core.Settings, *core.GroupDims) core.GroupFunc {
		return entrywise(func(x [core.MaxPlaces]float64) formula.MultiPartials {
			o := formula.OddsOf(x[0] - x[1] - x[2])
			l, d, dd := o.Preferred(0)
			return formula.MultiPartials{L: l, D: [core.MaxOperands]float64{d, -d}, H: [core.MaxOperands][core.MaxOperands]float64{{dd, -dd}, {-dd, dd}}}
		})
	},
}

// perEntry is the grouping of losses with a value for each entry of one axis, all in one group.
func perEntry(*core.Settings) core.Grouping {
	return core.Grouping{Entries: "N", Values: "N", Apart: true}
}

// entrywise lifts a function of the entries of all operands at one place to a group; operands of one
// number are the same everywhere, and those that are not there are 0.
func entrywise(f func(x [core.MaxPlaces]float64) formula.MultiPartials) core.GroupFunc {
	return func(g *core.Group) error {
		for i := range g.N {
			var x, v [core.MaxPlaces]float64
			for k, all := range g.X {
				switch {
				case len(all) == g.N:
					x[k] = all[i]
				case len(all) == 1:
					x[k] = all[0]
				}
				if g.Dir[k] != nil {
					v[k] = g.Dir[k][i]
				}
			}
			j := f(x)
			if g.Value != nil {
				g.Value[i] = j.L
			}
			for k := range core.MaxOperands {
				if g.Grad[k] != nil {
					g.Grad[k][i] = formula.Times(g.Factor[i], j.D[k])
				}
				if g.Hess[k] == nil {
					continue
				}
				sum := 0.0
				for m := range core.MaxOperands {
					sum += formula.Times(v[m], j.H[k][m])
				}
				g.Hess[k][i] = formula.Times(g.Factor[i], sum)
			}
		}
		return nil
	}
}

// WithKL gives [KTO] its reference point, an estimate of the divergence of the policy from the
// reference: a scalar node of the dtype of logp, such as [KTOBaseline] returns. Below 0 it counts as
// 0. It is a constant for the derivative.
func WithKL(kl *G.Node) Option { return operand(core.OptKL, kl) }

// KTO returns the loss of Kahneman-Tversky optimisation: it learns from completions that are each
// called desirable or undesirable.
//
// With w = β·(logp - refLogp - max(0, kl)) and a_1, a_0 the weights of desirable and undesirable
// completions,
//
//	l = a_1·σ(-w)   for a label of 1        dl/dlogp = -dl/drefLogp = -β·a_1·σ(w)·σ(-w)
//	l = a_0·σ(w)    for a label of 0        dl/dlogp = -dl/drefLogp = β·a_0·σ(w)·σ(-w)
//
// logp and refLogp are log-probabilities of whole completions of the shape (N) and one dtype; labels
// (0 or 1, of an integer type or the dtype of logp) have the shape (N). The result is a scalar, or
// has the shape (N) under [None].
//
// Options: [WithKL] (default 0), [WithBeta] (β > 0, default 0.1), [WithClassWeights] (a_0, a_1),
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The mean divides by Σ s·a of the labels, as everywhere; for the sum divided by the number of
// completions, as in trl, pass [WithNormalizer]. The reference point is the same for all, and its
// own gradient would cancel that of the loss, so it has none.
//
// [DPO] needs pairs.
//
// Reference: K. Ethayarajh et al., KTO: Model Alignment as Prospect Theoretic Optimization, 2024.
func KTO(logp, refLogp, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&kto, opts, logp, refLogp, labels)
}

var kto = core.Definition{
	Name: "KTO", Operands: []core.Operand{{Name: "logp", Holds: core.Real, Shape: "N"}, {Name: "refLogp", Holds: core.Real, Shape: "N"},
		{Name: "labels", Holds: core.Flags, Shape: "N", Data: true}, {Name: "kl", Holds: core.Real, Shape: "", Option: core.OptKL, Data: true}},
	Takes: core.Options(preferenceOptions, core.OptKL, core.OptClassWeights), Defaults: core.Settings{Beta: 0.1}, Check: positiveBeta,
	Laws: core.NonNegative, Others: "trl KTOTrainer: WithNormalizer(N)",
	Grouped: func(*core.Settings) core.Grouping {
		return core.Grouping{Entries: "N", Values: "N", Apart: true, Classes: func(*core.GroupDims) int { return 2 }}
	},
	Parts: func(s *core.Settings, _ *core.GroupDims) core.PartsFunc {
		return func(g *core.Group) error {
			for i, y := range g.X[2] {
				if s.ClassWeights != nil {
					g.Parts[i] = s.ClassWeights[int(y)]
					g.Den[i] = g.Parts[i]
				}
			}
			return nil
		}
	},
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		b := s.Beta
		return entrywise(func(x [core.MaxPlaces]float64) formula.MultiPartials {
			sign := 1.0 // of w
			if x[2] == 1 {
				sign = -1
			}
			o := formula.OddsOf(sign * b * (x[0] - x[1] - max(0, x[3])))
			l, d, dd := o.Sigmoid()
			d *= sign * b
			dd *= b * b
			return formula.MultiPartials{L: l, D: [core.MaxOperands]float64{d, -d}, H: [core.MaxOperands][core.MaxOperands]float64{{dd, -dd}, {-dd, dd}}}
		})
	},
}

// KTOBaseline returns an estimate of the divergence of the policy from the reference, for [WithKL]:
// the mean log-ratio of completions that belong to other prompts, or 0 where that is negative.
//
//	y = max(0, Σ_i (logp_i - refLogp_i)/M)        dy/dlogp = 0
//
// logp and refLogp have the shape (M) and one dtype; masked entries are left out. The result is a
// scalar: this is a node, not a loss. It is a constant for every derivative.
//
// Options: [WithMask].
//
// Without an entry it is 0.
//
// Reference: K. Ethayarajh et al., KTO: Model Alignment as Prospect Theoretic Optimization, 2024.
func KTOBaseline(logp, refLogp *G.Node, opts ...Option) (*G.Node, error) {
	return buildValues(&ktoBaseline, opts, logp, refLogp)
}

var ktoBaseline = core.Definition{
	Name: "KTOBaseline", Operands: []core.Operand{{Name: "logp", Holds: core.Real, Shape: "N"}, {Name: "refLogp", Holds: core.Real, Shape: "N"}},
	Takes: core.OptMask, Node: true, Observed: true,
	Grouped: func(*core.Settings) core.Grouping { return core.Grouping{Entries: "N"} },
	Group: func(*core.Settings, *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			sum := 0.0
			for i, v := range g.X[0] {
				sum += v - g.X[1][i]
			}
			if g.Value != nil {
				g.Value[0] = max(0, sum/float64(g.N))
			}
			return nil
		}
	},
}
