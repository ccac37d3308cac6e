// Segmentation finds the pixels of handwritten digits in noise by a small convolutional network,
// trained by cross-entropy and by losses of overlap with the same seeds.
//
//	go run ./examples/segmentation
//
// The means of five seeds, with the threshold that is best on the training scenes and without:
//
//	                best threshold  IoU
//	cross-entropy   0.500           0.467
//	Dice            0.505           0.506  +0.038, better with 5 of 5 seeds: earns its place (≥ 0.020)
//	Tversky         0.505           0.501  +0.034, better with 5 of 5 seeds: earns its place (≥ 0.020)
//	Lovász          0.506           0.506  +0.039, better with 5 of 5 seeds: earns its place (≥ 0.020)
//
// Cross-entropy marks too few pixels: most of what the others gain is that they need no threshold.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/paired"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

func main() {
	seeds := program.Int("seeds", 5, 1, "number of runs of each loss")
	images := program.Int("images", 300, 1, "number of training scenes, and of test scenes")
	epochs := program.Int("epochs", 12, 1, "passes over the training scenes")
	out := program.Out("segmentation")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, *seeds, *images, *epochs, *out) })
}

// network has three convolutions, from pixels to two logits for each: of the background and of the
// digit.
func network(b *train.Builder, x *G.Node) (*G.Node, error) {
	window := train.Window{Height: 3, Width: 3, Pad: 1}
	for _, name := range []string{"first", "second"} {
		h := G.Must(b.BatchNorm(name+".norm", G.Must(b.Conv2D(name, x, 8, window))))
		x = G.Must(G.Rectify(h))
	}
	return b.Conv2D("out", x, 2, window)
}

// losses have the classes on the last axis. Dice and Tversky are of the digits alone; the Lovász
// extension is of both classes, since of the digits alone it begins where no pixel is found and its
// gradient is nearly 0.
var losses = []paired.Candidate[loss.Func]{
	{Name: "cross-entropy", Loss: loss.CrossEntropy},
	{Name: "Dice", Loss: loss.With(loss.Dice, loss.WithAxis(-1), loss.WithBackground(false))},
	{Name: "Tversky", Loss: loss.With(loss.Tversky, loss.WithAxis(-1), loss.WithBackground(false), loss.WithAlpha(.4), loss.WithBeta(.6))},
	{Name: "Lovász", Loss: loss.With(loss.LovaszSoftmax, loss.WithAxis(-1))},
}

// worth is the gain in IoU from which on a loss earns its place.
const worth = .02

func run(ctx context.Context, w io.Writer, seeds, images, epochs int, out string) error {
	var shown *data.Table // the test scenes of the first seed
	var found [][]float32 // the logits that each loss leads to there
	fmt.Fprintf(w, "IoU of digits in noise, %d training and %d test scenes; means of %d seeds\n\n", images, images, seeds)
	err := paired.Compare(w, losses, seeds, worth, []string{"best threshold", "IoU"}, func(l loss.Func, seed uint64) ([]float64, error) {
		known, err := scenes(seed, images, false)
		if err != nil {
			return nil, err
		}
		test, err := scenes(seed, images, true)
		if err != nil {
			return nil, err
		}
		res, err := train.Fit(ctx, network, l, known, train.Config{
			Epochs: epochs, BatchSize: 20, Optimizer: optim.Adam(1e-2), Schedule: optim.Cosine(0, 0), Seed: seed})
		if err != nil {
			return nil, err
		}
		logits, err := res.Predict(ctx, test)
		if err != nil {
			return nil, err
		}
		if seed == 0 {
			shown, found = test, append(found, logits.Data().([]float32))
		}
		best := metric.NewBestF1() // has the threshold of the best IoU too
		if _, err := res.Evaluate(ctx, nil, known, best); err != nil {
			return nil, err
		}
		iou, moved := metric.NewIoU(2, metric.Positive), metric.NewIoU(2, metric.Positive)
		_, err = res.Evaluate(ctx, nil, test, iou, metric.Threshold(moved, best.Threshold()))
		return []float64{moved.Value(), iou.Value()}, err
	})
	if err != nil {
		return err
	}
	return draw(w, out, shown, found)
}
