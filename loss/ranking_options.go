package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
)

// WithTopK restricts a loss to the first k >= 1 places of a ranking. [ListMLE] keeps its first k
// terms; in losses based on gains the discount is 0 beyond rank k and the ideal order has k places.
// The documentation of each loss gives the details. Default: all places.
func WithTopK(k int) Option { return integer(core.OptTopK, k) }

// WithTieKey orders items of equal relevance by an entry of key, a node of the shape and dtype of
// the scores: smaller ones first, and those with the same key by position. Finite numbers drawn at
// random for every step shuffle the ties. There is no gradient with respect to key.
func WithTieKey(key *G.Node) Option { return operand(core.OptTieKey, key) }

// WithLinearGain makes the relevance y itself the gain of an item, instead of 2^y - 1.
func WithLinearGain() Option { return core.OptLinearGain.Flag }

// WithSigma sets the steepness σ > 0 of a logistic function of score differences. Default 1.
func WithSigma(sigma float64) Option { return number(core.OptSigma, sigma) }

// WithPairSum makes the value of a list the sum over its pairs instead of their mean, and its
// contribution to the denominator the weight of those pairs. [Mean] is then the mean over all pairs
// of the batch instead of the mean over lists.
func WithPairSum() Option { return core.OptPairSum.Flag }

// A PairWeight is a rule for the weight of a pair of items.
type PairWeight uint8

const (
	// PairEqual gives every pair the factor 1. It is the default.
	PairEqual PairWeight = iota
	// PairLabelDiff is the difference of the two relevances.
	PairLabelDiff
	// PairDCG is the change of the normalised discounted cumulative gain if the two items exchanged
	// their ranks.
	PairDCG
)

// WithPairWeights multiplies the loss of each pair by a factor λ:
//
//	PairLabelDiff   |y_i - y_j|
//	PairDCG         |g_i - g_j|·|1/log₂(1+r_i) - 1/log₂(1+r_j)|/IDCG
//
// with g the gain 2^y - 1 (y under [WithLinearGain]), r the rank by score with ties broken by
// position, and IDCG the discounted sum of the gains in the ideal order; under [WithTopK] the
// discount is 0 beyond rank k. λ is not part of the denominator and is held constant in all
// derivatives. Default [PairEqual].
func WithPairWeights(w PairWeight) Option {
	return func(s *core.Settings) error {
		return core.Choice(s, core.OptPairWeights, &s.Ranking.PairWeights, uint8(w), int(PairDCG)+1)
	}
}

// EmptyLists is a way of treating lists without relevant items.
type EmptyLists uint8

const (
	// EmptySkip leaves them out. It is the default.
	EmptySkip EmptyLists = iota
	// EmptyZero gives them the loss 0 and counts them.
	EmptyZero
	// EmptyOne gives them the loss 1 and counts them.
	EmptyOne
)

// WithEmptyLists sets how lists without relevant items, whose IDCG is 0, are treated: [EmptySkip]
// (default), [EmptyZero] or [EmptyOne]. Their gradient is 0. Lists without items are always left
// out.
func WithEmptyLists(e EmptyLists) Option {
	return func(s *core.Settings) error {
		return core.Choice(s, core.OptEmptyLists, &s.Ranking.EmptyLists, uint8(e), int(EmptyOne)+1)
	}
}

// ofItems is the grouping of losses of lists whose weights may also be those of items.
func ofItems(s *core.Settings) core.Grouping {
	g := ofLists(s)
	g.Items = true
	return g
}

// itemWeight is the weight of item i.
func itemWeight(g *core.Group, i int) float64 {
	if g.Weight == nil {
		return 1
	}
	return g.Weight[i]
}

// partOf makes the parts of lists: part returns that of a list in the denominator, 0 for a list
// that has none.
func partOf(part func(g *core.Group) float64) core.PartsFunc {
	return func(g *core.Group) error {
		for i, w := range g.Weight {
			if w < 0 {
				return g.Errorf("weight is %v at item %d of list %d, want a number >= 0 for an item", w, g.Position(i), g.Index)
			}
		}
		if g.Den[0] = part(g); g.Den[0] == 0 {
			g.Parts[0] = 0
		}
		return nil
	}
}

// relevant is the part of a list in losses that need a relevant item.
func relevant(g *core.Group) float64 {
	for i, y := range g.X[1] {
		if y > 0 && itemWeight(g, i) > 0 {
			return 1
		}
	}
	return 0
}
