package loss_test

import (
	"maps"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// listOf reads a list of numbers in which there may be "-inf".
func listOf(with func([]float64) loss.Option) func(any) loss.Option {
	return func(v any) loss.Option {
		var list []float64
		for _, x := range v.([]any) {
			if f, ok := x.(float64); ok {
				list = append(list, f)
			} else {
				list = append(list, math.Inf(-1))
			}
		}
		return with(list)
	}
}

func init() {
	maps.Copy(adapters, scoreAdapters)
	exceptions = append(exceptions,
		exception{file: "cumulative_link", cases: `^not-increasing/`, why: "thresholds that fall", refused: loss.ErrValue},
		exception{file: "discrete_hazard", cases: `^interval-out-of-range/`, why: "interval 3 of 3",
			refused: loss.ErrValue},
		exception{file: "gaussian_crps", cases: `^negative-std/`, why: "a negative standard deviation",
			refused: loss.ErrValue})
}

// classScore builds cases of a loss on logits and labels or a soft target.
func classScore(name string, options map[string]func(any) loss.Option) adapter {
	return func(b *refGraph) (*G.Node, error) {
		target := "labels"
		if b.has("target") {
			target = "target"
		}
		return second{loss: name, operands: []string{"logits", target}, options: options}.build(b)
	}
}

var scoreAdapters = map[string]reference{
	"brier":              {classScore("Brier", nil), tally{13, 13, 0, 0, 0, 7}},
	"spherical_score":    {classScore("SphericalScore", nil), tally{13, 13, 0, 0, 0, 7}},
	"ranked_probability": {classScore("RankedProbability", nil), tally{13, 13, 0, 0, 0, 7}},
	"cross_entropy_log_prior": {classScore("CrossEntropy", map[string]func(any) loss.Option{"log_prior": listOf(loss.WithLogPrior), "z_loss": numberOption(loss.WithZLoss), "softcap": numberOption(loss.WithSoftcap),
		"temperature":     numberOption(loss.WithTemperature),
		"label_smoothing": numberOption(loss.WithLabelSmoothing)}), tally{11, 11, 0, 0, 0, 6}},
	"ldam": {classScore("LDAM", map[string]func(any) loss.Option{"counts": listOption(loss.WithCounts), "scale": numberOption(loss.WithScale)}), tally{11, 11, 0, 0, 0, 6}},
	"cumulative_link": {second{loss: "CumulativeLink", operands: []string{"score", "thresholds", "labels"},
		options: map[string]func(any) loss.Option{"binary_tasks": flagOption(loss.WithBinaryTasks)}}.build, tally{13,
		12, 0, 1, 0, 7}},
	"gaussian_crps": {second{loss: "GaussianCRPS", operands: []string{"mean", "target", "std"}}.build,
		tally{10, 9, 0, 1, 0, 5}},
	"ensemble_crps": {second{loss: "EnsembleCRPS", operands: []string{"ensemble", "target"},
		options: map[string]func(any) loss.Option{"fair": flagOption(loss.WithFair)}}.build, tally{18, 18, 0, 0, 0, 8}},
	"quantile_crps": {second{loss: "QuantileCRPS", operands: []string{"quantiles", "target"},
		options: map[string]func(any) loss.Option{"levels": listOption(func(q []float64) loss.Option { return loss.WithLevels(q...) })}}.build, tally{11, 11, 0, 0, 0, 6}},
	"cox_partial_likelihood": {second{loss: "CoxPartialLikelihood", operands: []string{"risk", "time", "event"},
		options: map[string]func(any) loss.Option{"efron": flagOption(loss.WithEfron)}}.build, tally{25, 25, 0, 0, 0, 14}},
	"discrete_hazard": {second{loss: "DiscreteHazard", operands: []string{"logits", "interval", "event"}}.build,
		tally{12, 11, 0, 1, 0, 6}},
	"asymmetric_loss": {func(b *refGraph) (*G.Node, error) {
		opts := []loss.Option{b.reduction(), loss.WithGammas(b.option("gamma_pos", 1), b.option("gamma_neg", 4)), loss.WithClip(b.option("clip", .05))}
		if b.has("mask") {
			opts = append(opts, loss.WithMask(b.input("mask")))
		}
		return loss.AsymmetricLoss(b.input("logits"), b.input("target"), opts...)
	}, tally{13, 13, 0, 0, 0, 7}},
}
