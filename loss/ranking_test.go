package loss_test

import (
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
)

// The items of three lists of four. No difference of scores lies at a kink or near 0: the ranks,
// and with them the weights of pairs by PairDCG, which are constants in derivatives, stay the same
// under the steps of differences.
var (
	listScores    = []float64{0.53, -1.04, 2.11, 0.27, 1.48, -0.71, 0.06, 3.02, -1.97, 1.25, 0.79, -0.57}
	listRelevance = []float64{0, 1, 3, 2, 1, 0, 0, 2, 1, 1, 0, 2}
	listKeys      = []float64{0.3, 0.1, 0.9, 0.2, 0.8, 0.5, 0.4, 0.6, 0.7, 0.2, 0.1, 0.4}
)

// rankingVariants are the options of each loss of lists that are held to the contract.
var rankingVariants = map[string]map[string][]loss.Option{
	"ListNet":        {"": nil},
	"RankingSoftmax": {"": nil, "epsilon": {loss.WithEpsilon(0.5)}},
	"UniqueSoftmax":  {"": nil, "linear gain": {loss.WithLinearGain()}},
	"ListMLE":        {"": nil, "top 2": {loss.WithTopK(2)}},
	"RankNet": {"": nil, "sigma": {loss.WithSigma(2)},
		"sum, label differences": {loss.WithPairSum(), loss.WithPairWeights(loss.PairLabelDiff)}},
	"LambdaRank":          {"": nil, "sum, top 2, linear gain, sigma": {loss.WithPairSum(), loss.WithTopK(2), loss.WithLinearGain(), loss.WithSigma(0.5)}},
	"PairwiseHinge":       {"": nil, "margin": {loss.WithMargin(1.7), loss.WithPairWeights(loss.PairDCG)}},
	"PairwiseMSE":         {"": nil, "sum, label differences": {loss.WithPairSum(), loss.WithPairWeights(loss.PairLabelDiff)}},
	"PairwiseQuantile":    {"": nil, "squared": {loss.WithSquared(), loss.WithQuantile(0.8), loss.WithPairSum()}},
	"PairwiseSoftZeroOne": {"": nil, "sigma": {loss.WithSigma(1.5), loss.WithPairWeights(loss.PairDCG), loss.WithTopK(3)}},
	"ApproxNDCG": {"": nil, "temperature": {loss.WithTemperature(0.5), loss.WithLinearGain()}, "top 2": {loss.WithTopK(2)},
		"empty": {loss.WithEmptyLists(loss.EmptyOne)}},
	"ApproxMRR": {"": nil, "temperature": {loss.WithTemperature(0.5)}, "linear gain, top 2": {loss.WithTopK(2), loss.WithLinearGain()},
		"empty": {loss.WithEmptyLists(loss.EmptyOne)}},
	"NeuralNDCG": {"": nil, "no iterations": {loss.WithIterations(0)},
		"top 2": {loss.WithTopK(2), loss.WithIterations(3), loss.WithTemperature(2), loss.WithLinearGain()}},
}

// withItemWeights lists the losses whose weights may be those of items, with the options under
// which they count.
var withItemWeights = map[string][]loss.Option{"RankingSoftmax": {loss.WithEpsilon(0.25)}, "UniqueSoftmax": nil, "RankNet": nil, "LambdaRank": nil, "PairwiseHinge": nil,
	"PairwiseMSE": nil, "PairwiseQuantile": nil, "PairwiseSoftZeroOne": {loss.WithPairSum()}, "ApproxNDCG": nil, "ApproxMRR": {loss.WithLinearGain()}, "NeuralNDCG": nil}

func init() {
	item := everyRow(1)
	lists := []groupInput{{name: "scores", shape: []int{3, 4}, x: listScores, masked: item},
		{name: "relevance", shape: []int{3, 4}, x: listRelevance, data: true, masked: item}}
	row := []groupInput{{name: "scores", shape: []int{12}, x: listScores, masked: item},
		{name: "relevance", shape: []int{12}, x: listRelevance, data: true, masked: item}}
	segments := append(row[:2:2], groupInput{name: "segments", shape: []int{12}, ints: []int{7, 2, 7, -1, 2, 7, 9, 9, 2, -4, 7, 9},
		with: loss.WithSegments, field: func(d *eager.Data) *eager.Operand { return &d.Segments }})
	empty := append(lists[:1:1], groupInput{name: "relevance", shape: []int{3, 4}, x: []float64{0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0}, data: true, masked: item})
	keys := func(in []groupInput) []groupInput {
		return append(in[:len(in):len(in)], groupInput{name: "tieKey", shape: in[0].shape, x: listKeys, data: true, masked: item,
			with: loss.WithTieKey, field: func(d *eager.Data) *eager.Operand { return &d.TieKey }})
	}
	add := func(p groupProblem) { groupProblems = append(groupProblems, p) }
	for name, variants := range rankingVariants {
		for title, opts := range variants {
			inputs := lists
			if title == "empty" {
				inputs = empty
			}
			add(groupProblem{loss: name, title: "lists, " + title, opts: opts, inputs: inputs, mask: []int{3, 4}, weights: []int{3}})
		}
		add(groupProblem{loss: name, title: "one list", inputs: row, mask: []int{12}})
		add(groupProblem{loss: name, title: "segments", inputs: segments, mask: []int{12}})
	}
	add(groupProblem{loss: "ListMLE", title: "keys", inputs: keys(lists), mask: []int{3, 4}, weights: []int{3}})
	add(groupProblem{loss: "ListMLE", title: "keys, one list", opts: []loss.Option{loss.WithTopK(5)}, inputs: keys(row), mask: []int{12}})
	add(groupProblem{loss: "ListMLE", title: "keys, segments", inputs: keys(segments), mask: []int{12}})
	for name, opts := range withItemWeights {
		weights := groupInput{name: "w", shape: []int{3, 4}, x: []float64{1, 2, 0.5, 0, 0.25, 1, 1, 3, 0.5, 2, 1, 1.5}, data: true,
			with: func(n *G.Node) loss.Option { return loss.WithWeights(n) }, field: func(d *eager.Data) *eager.Operand { return &d.Weights }}
		add(groupProblem{loss: name, title: "weights of items", opts: opts, inputs: append(lists[:2:2], weights), mask: []int{3, 4}})
	}
}
