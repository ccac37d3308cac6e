// Digits trains three classifiers of handwritten digits on images that are part of the program, and
// draws how it went: softmax regression, a network with one hidden layer, and a convolutional
// network with batch normalisation and pooling.
//
//	go run ./examples/digits
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func main() {
	seed := program.Seed("initial weights and shuffling")
	epochs := program.Int("epochs", 50, 1, "passes over the training images")
	out := program.Out("digits")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, os.Stderr, *seed, *epochs, *out) })
}

// regression is softmax regression: one score per class.
func regression(b *train.Builder, x *G.Node) (*G.Node, error) {
	return b.Dense("out", x, 10)
}

// network has a hidden layer of 128 rectified units.
func network(b *train.Builder, x *G.Node) (*G.Node, error) {
	h := G.Must(b.Dense("hidden", x, 128))
	return b.Dense("out", G.Must(G.Rectify(h)), 10)
}

// convolution normalises over batches, and pools from 8 by 8 pixels to one number for each of 32
// features.
func convolution(b *train.Builder, x *G.Node) (*G.Node, error) {
	x = G.Must(G.Reshape(x, tensor.Shape{b.Batch(), digits.Side, digits.Side, 1}))
	layer := func(name string, units int) *G.Node {
		h := G.Must(b.Conv2D(name, x, units, train.Window{Height: 3, Width: 3, Pad: 1}))
		return G.Must(G.Rectify(G.Must(b.BatchNorm(name+".norm", h))))
	}
	x = layer("first", 16)
	x = G.Must(b.MaxPool2D(x, train.Window{Height: 2, Width: 2, Stride: 2}))
	x = layer("second", 32)
	x = G.Must(b.MeanPool2D(x, train.Window{Height: 4, Width: 4}))
	return b.Dense("out", G.Must(G.Reshape(x, tensor.Shape{b.Batch(), 32})), 10)
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
		schedule  optim.Schedule
	}{
		{"softmax regression", regression, optim.SGD(0.5), nil},
		{"network 64-128-10", network, optim.Adam(1e-3), nil},
		{"convolutions", convolution, optim.Adam(1e-2), optim.Cosine(0, 0)},
	} {
		res, err := train.Fit(ctx, m.model, loss.CrossEntropy, images, train.Config{
			Epochs: epochs, BatchSize: 32, Optimizer: m.optimizer, Schedule: m.schedule, Seed: seed, Validation: test,
			Metrics: []metric.Metric{metric.NewAccuracy()}, Progress: progress,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-18s  test accuracy %.4f  test loss %.4f  %d epochs in %.2f s\n", m.name,
			res.History.Last("val_accuracy"), res.History.Last("val_loss"), len(res.History.Epochs), res.History.Seconds())
		runs = append(runs, trained{m.name, res})
	}
	rates, err := train.FindRate(ctx, convolution, loss.CrossEntropy, images, train.Config{Optimizer: optim.Adam(1e-3), Seed: seed}, train.RateTest{})
	if err != nil {
		return err
	}
	return draw(ctx, w, out, test, runs, rates)
}
