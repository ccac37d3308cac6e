// Digits trains two classifiers of handwritten digits, softmax regression and a network with one
// hidden layer, on images that are part of the program, and draws how it went.
//
//	go run ./examples/digits
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

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

func main() {
	seed := flag.Uint64("seed", 0, "decides initial weights and shuffling")
	epochs := flag.Int("epochs", 50, "passes over the training images")
	out := flag.String("out", filepath.Join(os.TempDir(), "surprisal-digits"), "directory for the pictures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Stderr, *seed, *epochs, *out); err != nil {
		log.Fatal(err)
	}
}

// regression is softmax regression: one score per class.
func regression(b *train.Builder, x *G.Node) (*G.Node, error) {
	return b.Dense("out", x, 10)
}

// network has a hidden layer of 128 rectified units.
func network(b *train.Builder, x *G.Node) (*G.Node, error) {
	h, err := b.Dense("hidden", x, 128)
	if err != nil {
		return nil, err
	}
	if h, err = G.Rectify(h); err != nil {
		return nil, err
	}
	return b.Dense("out", h, 10)
}

func run(ctx context.Context, w, progress io.Writer, seed uint64, epochs int, out string) error {
	images, test, err := digits.Split()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d training images, %d test images\n", images.Len(), test.Len())
	var runs []trained
	for _, m := range []struct {
		name      string
		model     train.Model
		optimizer optim.Optimizer
	}{
		{"softmax regression", regression, optim.SGD(0.5)},
		{"network 64-128-10", network, optim.Adam(1e-3)},
	} {
		res, err := train.Fit(ctx, m.model, loss.CrossEntropy, images, train.Config{
			Epochs: epochs, BatchSize: 32, Optimizer: m.optimizer, Seed: seed, Validation: test,
			Metrics: []metric.Metric{metric.NewAccuracy()}, Progress: progress,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-18s  test accuracy %.4f  test loss %.4f  %d epochs in %.2f s\n", m.name,
			res.History.Last("val_accuracy"), res.History.Last("val_loss"), len(res.History.Epochs), res.History.Seconds())
		runs = append(runs, trained{m.name, res})
	}
	rates, err := train.FindRate(ctx, network, loss.CrossEntropy, images, train.Config{Optimizer: optim.Adam(1e-3), Seed: seed}, train.RateTest{})
	if err != nil {
		return err
	}
	files, err := draw(ctx, out, test, runs, rates)
	for _, f := range files {
		fmt.Fprintln(w, "wrote", f)
	}
	return err
}
