package loss

import (
	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
)

// rankingLosses lists the ranking losses.
var rankingLosses = []entry{
	{&listNet, ListNet},
	{&rankingSoftmax, RankingSoftmax},
	{&uniqueSoftmax, UniqueSoftmax},
	{&listMLE, ListMLE},
	{&rankNet, RankNet},
	{&lambdaRank, LambdaRank},
	{&pairwiseHinge, PairwiseHinge},
	{&pairwiseMSE, PairwiseMSE},
	{&pairwiseQuantile, PairwiseQuantile},
	{&pairwiseSoftZeroOne, PairwiseSoftZeroOne},
	{&approxNDCG, ApproxNDCG},
	{&approxMRR, ApproxMRR},
	{&neuralNDCG, NeuralNDCG},
}

// rankingWide are those of other than two operands.
var rankingWide = []*core.Definition{&marginRanking}

// WithSegments declares that the items of all lists, or the tokens of all sequences, are
// concatenated without padding: items with the same integer in ids belong together. ids (Int,
// Int64, Int32 or Uint8) has the shape of the operands without the list axis, (L). A segment need
// not be contiguous; items with a negative integer are padding and are never read.
//
// Under [None] the value of a segment is at its first item, and all other entries are 0. Weights
// are given for each item; weights of lists must agree within a list.
func WithSegments(ids *G.Node) Option { return operand(core.OptSegments, ids) }

// lists declares the operands of a loss with one value per list of items.
func lists(scores string, holds core.Domain, relevance string, target core.Domain) []core.Operand {
	return []core.Operand{{Name: scores, Holds: holds, Shape: "N L"}, {Name: relevance, Holds: target, Shape: "N L", Data: true},
		{Name: "segments", Holds: core.Identifiers, Shape: "L", Option: core.OptSegments}}
}

// ofLists is the grouping of losses of lists.
func ofLists(*core.Settings) core.Grouping {
	return core.Grouping{Over: "N", Entries: "L", Values: "N"}
}

// listOptions are the options that every loss of lists takes.
var listOptions = core.Options(core.ReduceOptions, core.OptSegments)

// ListNet returns the cross-entropy between the top-one probabilities of relevance and of scores
// in each list.
//
// With s the scores and y the relevances of a list,
//
//	l = -Σ_i softmax(y)_i·log softmax(s)_i        dl/ds_i = softmax(s)_i - softmax(y)_i
//
// scores and relevance (any finite numbers) have the same dtype and the shape (N, L), one list per
// row, or (L) for a single list. The result is a scalar, or has the shape (N) under [None]. There
// is no gradient with respect to relevance.
//
// Options: [WithSegments], [WithReduction], [WithWeights] (N), [WithMask] (N, L), [WithNormalizer],
// [WithNormalizerNode].
//
// Masked items are left out. A list of one item has the value 0 and counts; an empty list does not
// count. Where all relevances are equal, the target is uniform. Float32 lists of more than 64 items
// are computed in float32, shorter ones in float64 and rounded once.
//
// Reference: Z. Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, 2007.
func ListNet(scores, relevance *G.Node, opts ...Option) (*G.Node, error) {
	return build(&listNet, opts, scores, relevance)
}

// topOne are the targets of [ListNet].
var topOne = formula.ListTargets{
	Exact: func(t, y []float64) { tensorops.SoftmaxRows(t, y, len(y)) },
	Native: func(t, y []float32) ([]float32, float64) {
		_, sum := tensorops.ExpTerms(t, y)
		return t, sum
	},
}

var listNet = core.Definition{
	Name: "ListNet", Operands: lists("scores", core.Logits, "relevance", core.FiniteReal), Takes: listOptions, Grouped: ofLists,
	Laws: core.NonNegative, Others: "allRank listNet",
	GroupKernel: func(*core.Settings, *core.GroupDims) core.GroupKernels { return topOne.Kernels() },
	Group: func(*core.Settings, *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			scores, f := g.X[0], g.Factor[0]
			if h := g.Hess[0]; h != nil {
				p := formula.SoftmaxOf(g, scores)
				p.Jacobian(h, g.Dir[0], f)
				return nil
			}
			t, v := g.Buf(g.N), 0.0
			tensorops.SoftmaxRows(t, g.X[1], g.N)
			if d := g.Grad[0]; d != nil {
				v = tensorops.SoftCrossEntropyGradRow(d, scores, t, f, nil)
			} else {
				v = tensorops.SoftCrossEntropyRow(scores, t, nil)
			}
			if g.Value != nil {
				g.Value[0] = v
			}
			return nil
		}
	},
}
