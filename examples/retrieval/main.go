// Retrieval embeds images of digits so that those of one digit find each other, even digits that
// were not there in training: it learns from 0 to 6 and searches among 7, 8 and 9.
//
//	go run ./examples/retrieval
//
// The means of five seeds:
//
//	                recall@1  MAP
//	cross-entropy   0.864     0.598
//	triplet         0.946     0.673  +0.075, better with 5 of 5 seeds: earns its place, which takes 0.020
//	NTXent          0.939     0.653  +0.055, better with 5 of 5 seeds: earns its place, which takes 0.020
//	SupCon          0.926     0.636  +0.038, better with 5 of 5 seeds: earns its place, which takes 0.020
//	InfoNCE         0.983     0.760  +0.162, better with 5 of 5 seeds: earns its place, which takes 0.020
//	pixels          0.992     0.773  of the 64 pixels themselves: images as small and as well centred as these need no
//	                                 embedding to be compared
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/paired"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"gonum.org/v1/gonum/stat"
)

func main() {
	seeds := flag.Int("seeds", 5, "number of runs of each loss")
	epochs := flag.Int("epochs", 20, "passes over the training images")
	out := flag.String("out", filepath.Join(os.TempDir(), "surprisal-retrieval"), "directory for the picture")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *seeds, *epochs, *out); err != nil {
		log.Fatal(err)
	}
}

// gallery is images with the digits that they show.
type gallery struct {
	pixels [][]float64
	shown  []int
}

// images returns those of the digits from one to another.
func images(from, to int) (g gallery, err error) {
	pixels, labels, err := digits.Images()
	for i, d := range labels {
		if d >= from && d <= to {
			g.pixels, g.shown = append(g.pixels, pixels[i]), append(g.shown, d)
		}
	}
	return g, err
}

// measure returns how well rows of numbers find those of the same digit by cosine: the share of
// rows whose nearest other is one (recall@1), and the mean average precision.
func (g gallery) measure(rows []float64) (recall, precision float64, err error) {
	b := metric.Batch{Width: len(rows) / len(g.shown), Scores: rows, Labels: g.shown}
	first, all := metric.NewRetrieval(metric.NewHitRate(1), metric.Cosine), metric.NewRetrieval(metric.NewMAP(0), metric.Cosine)
	if err := first.Update(b); err != nil {
		return 0, 0, err
	}
	err = all.Update(b)
	return first.Value(), all.Value(), err
}

// fit trains by a method on some images and embeds others.
func fit(ctx context.Context, m method, known, test gallery, epochs int, seed uint64) ([]float64, error) {
	series := func(g gallery) map[string]data.Series { return map[string]data.Series{"image": data.Numbers(g.pixels)} }
	targets := map[string]data.Series{}
	if m.Target != "" {
		targets[m.Target] = data.Labels(known.shown)
	}
	ds, err := data.NewFrame(series(known), targets)
	if err != nil {
		return nil, err
	}
	res, err := train.FitNamed(ctx, network, append(train.Objective{m.Term}, predicted...), ds, train.Config{
		Epochs: epochs, BatchSize: 64, Optimizer: optim.Adam(1e-3), Seed: seed})
	if err != nil {
		return nil, err
	}
	if ds, err = data.NewFrame(series(test), nil); err != nil {
		return nil, err
	}
	out, err := res.PredictNamed(ctx, ds)
	if err != nil {
		return nil, err
	}
	var rows []float64
	for _, v := range out["first"].Data().([]float32) {
		rows = append(rows, float64(v))
	}
	return rows, nil
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
	fmt.Fprintf(w, "%d images of 7, 8 and 9, embedded after training on %d of 0 to 6; means of %d seeds\n\n", len(test.shown), len(known.shown), seeds)
	fmt.Fprintf(w, "%-14s  recall@1  MAP\n", "")
	var panels []panel
	var naive []float64
	for _, m := range methods {
		recalls, precisions := make([]float64, seeds), make([]float64, seeds)
		for seed := range seeds {
			rows, err := fit(ctx, m, known, test, epochs, uint64(seed))
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if recalls[seed], precisions[seed], err = test.measure(rows); err != nil {
				return err
			}
			if seed == 0 {
				panels = append(panels, panel{m.name, rows})
			}
		}
		fmt.Fprintf(w, "%-14s  %.3f     %.3f", m.name, stat.Mean(recalls, nil), stat.Mean(precisions, nil))
		if naive == nil {
			naive = precisions
		} else {
			fmt.Fprint(w, "  ", paired.Verdict(naive, precisions, worth))
		}
		fmt.Fprintln(w)
	}
	pixels := slices.Concat(test.pixels...)
	recall, precision, err := test.measure(pixels)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-14s  %.3f     %.3f  of the 64 pixels themselves: images as small and as well centred as these need no\n"+
		"%33sembedding to be compared\n", "pixels", recall, precision, "")
	file, err := draw(out, append(panels, panel{"pixels", pixels}), test.shown)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, "\nwrote", file)
	return err
}
