// Retrieval embeds images of digits so that images of the same digit are close together, including
// digits that were not in the training data: it learns from 0 to 6 and searches among 7, 8 and 9.
//
//	go run ./examples/retrieval
//
// The means of five seeds:
//
//	                recall@1  MAP
//	cross-entropy   0.864     0.598
//	triplet         0.946     0.673  +0.075, better with 5 of 5 seeds: earns its place (≥ 0.020)
//	NTXent          0.939     0.653  +0.055, better with 5 of 5 seeds: earns its place (≥ 0.020)
//	SupCon          0.926     0.636  +0.038, better with 5 of 5 seeds: earns its place (≥ 0.020)
//	InfoNCE         0.983     0.760  +0.162, better with 5 of 5 seeds: earns its place (≥ 0.020)
//	pixels          0.992     0.773  images so small and well centred need no embedding
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/paired"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/report"
)

func main() {
	seeds := program.Int("seeds", 5, 1, "number of runs of each loss")
	epochs := program.Int("epochs", 20, 1, "passes over the training images")
	out := program.Out("retrieval")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, *seeds, *epochs, *out) })
}

// gallery is images with the digits that they show: as records, and as they are.
type gallery struct {
	*data.Frame
	pixels []float64 // of one image after the other
	shown  []int
}

// images returns those of the digits from one to another.
func images(from, to int) (g gallery, err error) {
	pixels, labels, err := digits.Images()
	if err != nil {
		return g, err
	}
	var rows [][]float64
	for i, d := range labels {
		if d >= from && d <= to {
			rows, g.pixels, g.shown = append(rows, pixels[i]), append(g.pixels, pixels[i]...), append(g.shown, d)
		}
	}
	g.Frame, err = data.NewFrame(map[string]data.Series{"image": data.Numbers(rows)}, map[string]data.Series{"digit": data.Labels(g.shown)})
	return g, err
}

// embed trains with a term on some images and embeds others.
func embed(ctx context.Context, t train.Term, known, test gallery, epochs int, seed uint64) (embeddings []float64, err error) {
	records := known.Frame
	if t.Target == "" {
		if records, err = known.Select([]string{"image"}, nil); err != nil {
			return nil, err
		}
	}
	res, err := train.FitNamed(ctx, network, append(train.Objective{t}, predicted...), records, train.Config{
		Epochs: epochs, BatchSize: 64, Optimizer: optim.Adam(1e-3), Seed: seed})
	if err != nil {
		return nil, err
	}
	out, err := res.PredictNamed(ctx, test)
	if err != nil {
		return nil, err
	}
	for _, v := range out["first"].Data().([]float32) {
		embeddings = append(embeddings, float64(v))
	}
	return embeddings, nil
}

// measure returns how well embeddings find those with their label by cosine: the share whose
// nearest other has it (recall@1), and the mean average precision.
func measure(embeddings []float64, labels []int) ([]float64, error) {
	b := metric.Batch{Width: len(embeddings) / len(labels), Scores: embeddings, Labels: labels}
	first, all := metric.NewRetrieval(metric.NewHitRate(1), metric.Cosine), metric.NewRetrieval(metric.NewMAP(0), metric.Cosine)
	if err := first.Update(b); err != nil {
		return nil, err
	}
	err := all.Update(b)
	return []float64{first.Value(), all.Value()}, err
}

// worth is the gain in mean average precision from which on a loss earns its place.
const worth = .02

func run(ctx context.Context, w io.Writer, seeds, epochs int, out string) error {
	known, err := images(0, 6)
	if err != nil {
		return err
	}
	test, err := images(7, 9)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d images of 7, 8 and 9, embedded after training on %d of 0 to 6; means of %d seeds\n\n", test.Len(), known.Len(), seeds)
	var panels []*report.Picture
	err = paired.Compare(w, methods, seeds, worth, []string{"recall@1", "MAP"}, func(t train.Term, seed uint64) ([]float64, error) {
		embeddings := test.pixels
		if t.Loss != nil || t.Build != nil {
			if embeddings, err = embed(ctx, t, known, test, epochs, seed); err != nil {
				return nil, err
			}
		}
		if seed == 0 {
			p, err := report.Embedding(methods[len(panels)].Name, metric.Cosine, embeddings, test.shown, nil)
			if err != nil {
				return nil, err
			}
			panels = append(panels, p)
		}
		return measure(embeddings, test.shown)
	})
	if err != nil {
		return err
	}
	picture, err := report.Tiles(3, panels...)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	return program.Save(w, out, "retrieval.png", picture)
}
