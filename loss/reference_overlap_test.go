package loss_test

import (
	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

func init() {
	options := map[string]func(any) loss.Option{
		"smooth": numberOption(loss.WithSmooth), "epsilon": numberOption(loss.WithEpsilon),
		"alpha": numberOption(loss.WithAlpha),
		"beta":  numberOption(loss.WithBeta), "gamma": numberOption(loss.WithGamma), "power": numberOption(loss.WithPower),
		"axis": integerOption(loss.WithAxis), "squared": flagOption(loss.WithSquared),
		"semimetric":  flagOption(loss.WithSemimetric),
		"multi_label": flagOption(loss.WithMultiLabel), "pooled": flagOption(loss.WithPooled),
		"present_only": flagOption(loss.WithPresentOnly),
		"background":   func(v any) loss.Option { return loss.WithBackground(v.(bool)) },
		"ignore_index": func(v any) loss.Option { return loss.WithIgnoreIndex(int(v.([]any)[0].(float64))) },
	}
	file := func(name, function string, want tally) {
		operand := "logits"
		if len(function) > 8 && function[len(function)-8:] == "FromProb" {
			operand = "prob"
		}
		adapters[name] = reference{second{loss: function, operands: []string{operand, "target"}, options: options}.build, want}
	}
	file("dice", "Dice", tally{28, 28, 0, 0, 0, 14})
	file("dice_from_prob", "DiceFromProb", tally{12, 12, 0, 0, 0, 6})
	file("generalized_dice", "GeneralizedDice", tally{28, 28, 0, 0, 0, 14})
	file("generalized_dice_from_prob", "GeneralizedDiceFromProb", tally{8, 8, 0, 0, 0, 4})
	file("tversky", "Tversky", tally{30, 30, 0, 0, 0, 15})
	file("tversky_from_prob", "TverskyFromProb", tally{8, 8, 0, 0, 0, 4})
	file("focal_tversky", "FocalTversky", tally{28, 28, 0, 0, 0, 14})
	file("focal_tversky_from_prob", "FocalTverskyFromProb", tally{10, 10, 0, 0, 0, 5})
	file("jaccard", "Jaccard", tally{28, 28, 0, 0, 0, 14})
	file("jaccard_from_prob", "JaccardFromProb", tally{8, 8, 0, 0, 0, 4})
	file("lovasz_softmax", "LovaszSoftmax", tally{22, 22, 0, 0, 0, 11})
	file("lovasz_softmax_from_prob", "LovaszSoftmaxFromProb", tally{8, 8, 0, 0, 0, 4})
	file("lovasz_hinge", "LovaszHinge", tally{16, 16, 0, 0, 0, 8})

	// These files have images by pixels by classes, and the mean over classes; the last has one
	// image without an axis of images.
	adapters["tversky_axis_last"] = reference{func(b *refGraph) (*G.Node, error) {
		return meanOfClasses(loss.TverskyFromProb(b.input("prob"), b.input("target"), loss.WithAxis(-1), loss.WithReduction(loss.None),
			loss.WithSmooth(b.option("smooth", 1)), loss.WithAlpha(b.option("alpha", 0.5)), loss.WithBeta(b.option("beta", 0.5))))
	}, tally{6, 6, 0, 0, 0, 0}}
	adapters["jaccard_axis_last"] = reference{func(b *refGraph) (*G.Node, error) {
		return meanOfClasses(loss.JaccardFromProb(b.input("prob"), b.input("target"), loss.WithAxis(-1), loss.WithReduction(loss.None),
			loss.WithSmooth(b.option("smooth", 1))))
	}, tally{2, 2, 0, 0, 0, 0}}
	adapters["lovasz_hinge_one"] = reference{func(b *refGraph) (*G.Node, error) {
		y := make([]int, b.c.Inputs["target"].size())
		for i, v := range b.c.Inputs["target"].values() {
			y[i] = int(v)
		}
		return loss.LovaszHinge(b.input("input", 1, len(y)), labelLeaf(b.g, G.Int, "target", []int{1, len(y)}, y))
	}, tally{2, 2, 0, 0, 0, 0}}
}

func meanOfClasses(values *G.Node, err error) (*G.Node, error) {
	if err != nil {
		return nil, err
	}
	return G.Mean(values, 1)
}
