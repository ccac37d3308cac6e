package loss_test

import (
	"maps"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// rankingOptions are the options of losses of lists by their names in the files.
var rankingOptions = map[string]func(any) loss.Option{
	"epsilon": numberOption(loss.WithEpsilon), "sigma": numberOption(loss.WithSigma),
	"margin":   numberOption(loss.WithMargin),
	"quantile": numberOption(loss.WithQuantile), "temperature": numberOption(loss.WithTemperature),
	"top_k": integerOption(loss.WithTopK), "iterations": integerOption(loss.WithIterations),
	"linear_gain": flagOption(loss.WithLinearGain), "pair_sum": flagOption(loss.WithPairSum),
	"squared": flagOption(loss.WithSquared),
	"pair_weights": func(v any) loss.Option {
		return loss.WithPairWeights(map[string]loss.PairWeight{"labeldiff": loss.PairLabelDiff, "dcg": loss.PairDCG}[v.(string)])
	},
	"empty_lists": func(v any) loss.Option {
		return loss.WithEmptyLists(map[any]loss.EmptyLists{"skip": loss.EmptySkip, 0.0: loss.EmptyZero, 1.0: loss.EmptyOne}[v])
	},
}

// ofLists builds the cases of a loss of lists; always are options that the file does not name.
func ofLists(name, relevance string, always ...string) adapter {
	s := second{loss: name, operands: []string{"scores", relevance}, options: rankingOptions,
		nodes: map[string]func(*G.Node) loss.Option{"tie_key": loss.WithTieKey}}
	return func(b *refGraph) (*G.Node, error) {
		c := *b.c
		c.Options = maps.Clone(c.Options)
		for _, o := range always {
			if c.Options == nil {
				c.Options = make(map[string]any)
			}
			c.Options[o] = map[string]any{"reduction": "none", "pair_sum": true}[o]
		}
		b.c = &c
		return s.build(b)
	}
}

func init() {
	exceptions = append(exceptions, exception{file: "listmle", cases: `^scores-1e4/float64`, hessian: orderHessian,
		why: "PyTorch loses digits: 1.2e-12 where the probabilities are 1 and 0"})
	for name, l := range map[string]struct {
		loss string
		want tally
	}{
		"listnet":                {"ListNet", tally{24, 24, 0, 0, 0, 12}},
		"listmle":                {"ListMLE", tally{28, 28, 0, 0, 0, 14}},
		"lambdarank":             {"LambdaRank", tally{34, 34, 0, 0, 0, 17}},
		"ranknet":                {"RankNet", tally{36, 36, 0, 0, 0, 18}},
		"approx_ndcg":            {"ApproxNDCG", tally{40, 40, 0, 0, 0, 20}},
		"approx_mrr":             {"ApproxMRR", tally{34, 34, 0, 0, 0, 17}},
		"neural_ndcg":            {"NeuralNDCG", tally{36, 36, 0, 0, 0, 18}},
		"ranking_softmax":        {"RankingSoftmax", tally{28, 28, 0, 0, 0, 14}},
		"unique_softmax":         {"UniqueSoftmax", tally{26, 26, 0, 0, 0, 13}},
		"pairwise_hinge":         {"PairwiseHinge", tally{26, 26, 0, 0, 0, 13}},
		"pairwise_mse":           {"PairwiseMSE", tally{26, 26, 0, 0, 0, 13}},
		"pairwise_quantile":      {"PairwiseQuantile", tally{26, 26, 0, 0, 0, 13}},
		"pairwise_soft_zero_one": {"PairwiseSoftZeroOne", tally{24, 24, 0, 0, 0, 12}},
	} {
		adapters[name] = reference{ofLists(l.loss, "relevance"), l.want}
	}
	for name, a := range map[string]adapter{
		"listnet_composite":         ofLists("ListNet", "rel", "reduction"),
		"listmle_composite":         ofLists("ListMLE", "rel", "reduction"),
		"ranknet_composite":         ofLists("RankNet", "rel", "reduction", "pair_sum"),
		"lambdarank_composite":      ofLists("LambdaRank", "rel", "reduction", "pair_sum"),
		"approx_ndcg_composite":     ofLists("ApproxNDCG", "rel", "reduction"),
		"ranking_softmax_composite": ofLists("RankingSoftmax", "rel", "reduction"),
	} {
		adapters[name] = reference{a, tally{2, 2, 0, 0, 0, 0}}
	}
	margin := map[string]func(any) loss.Option{"margin": numberOption(loss.WithMargin)}
	adapters["margin_ranking"] = reference{second{loss: "MarginRanking", operands: []string{"x1", "x2", "y"}, options: margin}.build, tally{10, 10, 0, 0, 0, 5}}
	adapters["margin_ranking_loss"] = reference{second{loss: "MarginRanking", operands: []string{"input1", "input2", "target"}, options: margin}.build, tally{12, 12, 0, 0, 0, 0}}
}

// orderHessian is the Hessian-vector product of the one case whose scores are all far apart but for
// two equal ones, which share two terms of their list: 2·½·½ of the difference of their directions.
func orderHessian(c *refCase) *refArray {
	v := c.HVP["v"].values()
	half := refNumber((v[5] - v[6]) / 2)
	return &refArray{Shape: []int{2, 4}, Data: []refNumber{0, 0, 0, 0, 0, half, -half, 0}}
}
