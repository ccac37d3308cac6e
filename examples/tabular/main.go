// Tabular classifies irises by three numbers and a category, the petal's width as a botanist might
// note it: narrow, medium or wide. The category goes through an embedding. For comparison there is
// the same network with all four numbers.
//
//	go run ./examples/tabular
//
// Accuracy, loss and calibration are those of cross-validation: each flower is predicted by a model
// that has not seen it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/report"
	"gonum.org/v1/gonum/stat"
	G "gorgonia.org/gorgonia"
)

func main() {
	seed := program.Seed("folds, initial weights and shuffling")
	times := program.Int("times", 10, 1, "number of cross-validations")
	out := program.Out("tabular")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, *seed, *times, *out) })
}

// hidden is the rest of the network behind what it knows of a flower.
func hidden(b *train.Builder, x *G.Node) (train.Nodes, error) {
	h := G.Must(b.Dense("hidden", x, 16))
	scores, err := b.Dense("species", G.Must(G.Tanh(h)), len(species))
	return train.Nodes{"species": scores}, err
}

// plain takes numbers alone.
func plain(b *train.Builder, in train.Nodes) (train.Nodes, error) { return hidden(b, in["numbers"]) }

// mixed takes numbers and a category, which it learns two numbers for.
func mixed(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	width := G.Must(b.Embedding("width", in["width"], len(widths), 2))
	return hidden(b, G.Must(b.Concat(in["numbers"], width)))
}

const folds = 10

func run(ctx context.Context, w io.Writer, seed uint64, times int, out string) error {
	flowers, err := load()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d irises, %d cross-validations in %d parts; mean and deviation of the %d\n\n", len(flowers.label), times, folds, times)
	fmt.Fprintf(w, "%-36s%14s%18s%20s\n", "", "accuracy", "bits a flower", "calibration error")
	var reliabilities []*report.Picture
	for _, m := range []struct {
		name   string
		model  train.Network
		inputs func() map[string]data.Series
	}{
		{"four numbers", plain, flowers.numbers},
		{"three numbers and a category", mixed, flowers.mixed},
		{"three numbers, without the category", plain, flowers.without},
	} {
		records, err := data.NewFrame(m.inputs(), map[string]data.Series{"species": data.Labels(flowers.label)})
		if err != nil {
			return err
		}
		var accuracies, bits, errors []float64
		all := metric.NewCalibrationError(10) // of all cross-validations
		for i := range times {
			accuracy, surprise, calibration := metric.NewAccuracy(), metric.NewBits(), metric.NewCalibrationError(10)
			if err := validate(ctx, m.model, records, flowers.parts(seed, i), seed, accuracy, surprise, calibration); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if err := all.Merge(calibration); err != nil {
				return err
			}
			accuracies, bits, errors = append(accuracies, accuracy.Value()), append(bits, surprise.Value()), append(errors, calibration.Value())
		}
		fmt.Fprintf(w, "%-36s%14s%18s%20s\n", m.name, spread(accuracies), spread(bits), spread(errors))
		picture, err := report.Reliability("Irises by "+m.name, all.Bins())
		if err != nil {
			return err
		}
		reliabilities = append(reliabilities, picture)
	}
	all, err := report.Tiles(len(reliabilities), reliabilities...)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	return program.Save(w, out, "reliability.png", all)
}

// validate predicts each part by a model of the others and adds it to the metrics.
func validate(ctx context.Context, model train.Network, records data.Records, part []int, seed uint64, metrics ...metric.Metric) error {
	objective := train.Objective{{Output: "species", Target: "species", Loss: loss.CrossEntropy}}
	for k := range folds {
		rest, held, err := data.SplitRecords(records, func(row int) bool { return part[row] == k })
		if err != nil {
			return err
		}
		scaling, err := data.Standardize(rest, "numbers")
		if err != nil {
			return err
		}
		res, err := train.FitNamed(ctx, model, objective, rest, train.Config{
			Epochs: 60, BatchSize: 16, Optimizer: optim.Adam(0.01), Seed: seed, Scaling: map[string]data.Scaling{"numbers": scaling},
		})
		if err != nil {
			return err
		}
		if _, err := res.EvaluateNamed(ctx, objective, held, metrics...); err != nil {
			return err
		}
	}
	return nil
}

func spread(values []float64) string {
	mean, deviation := stat.PopMeanStdDev(values, nil)
	return fmt.Sprintf("%.3f ± %.3f", mean, deviation)
}
