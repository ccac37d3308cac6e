// Gan trains a generative adversarial network of handwritten digits: a forger that makes images of
// random numbers, and a critic whose scores tell its images from true ones and which it learns to
// please. A penalty keeps the slope of the critic's scores near 1, so the loss has the gradient of a
// gradient in it, a derivative of second order.
//
//	go run ./examples/gan
//
// Whether the forger has learned anything is measured by what neither of the two has seen: the
// optimal transport from its images to the test images, and what a classifier takes them for.
//
// Reference: I. Gulrajani et al., Improved Training of Wasserstein GANs, 2017.
package main

import (
	"context"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"time"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/report"
)

func main() {
	seed := program.Seed("initial weights and all random numbers")
	updates := program.Int("updates", 3000, stages, "number of the forger's updates")
	out := program.Out("gan")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, *seed, *updates, *out) })
}

const (
	stages  = 4  // of the training, between which it is measured
	columns = 20 // of images in a picture
)

func run(ctx context.Context, w io.Writer, seed uint64, updates int, out string) error {
	j, err := newJury(ctx, seed)
	if err != nil {
		return err
	}
	g, err := newGame(j.training, seed)
	if err != nil {
		return err
	}
	defer g.Close()
	fmt.Fprintf(w, "the classifier is right about %.1f%% of the test images\n\n", 100*j.accuracy)
	fmt.Fprintf(w, "%-26s%12s%16s%13s%10s\n", fmt.Sprint(len(j.test), " images"), "transport", "classes, bits", "confidence", "nearest")
	if err := j.judge(ctx, w, "other training images", j.training[len(j.training)-len(j.test):]); err != nil {
		return err
	}
	if err := j.judge(ctx, w, "each pixel by itself", j.shuffled(seed)); err != nil {
		return err
	}
	var critic train.Values
	var first, last [][]float64
	start := time.Now()
	for stage := range stages + 1 {
		for g.forger.Updates() < updates*stage/stages {
			if critic, err = g.play(ctx); err != nil {
				return err
			}
		}
		if last, err = g.forged(ctx, len(j.test)); err != nil {
			return err
		}
		if err := j.judge(ctx, w, fmt.Sprintf("forged, %d updates", g.forger.Updates()), last); err != nil {
			return err
		}
		first = append(first, last[:columns]...)
	}
	fmt.Fprintf(w, "\n%.1f s; true images score %.2f above forged ones, and the slope of the score is within %.2f of 1\n",
		time.Since(start).Seconds(), critic["true"]-critic["false"], math.Sqrt(critic["excess"]))
	for _, p := range []struct {
		name   string
		images [][]float64
	}{{"forged.png", last[:5*columns]}, {"stages.png", first}} {
		var tiles []image.Image
		for _, m := range p.images {
			tiles = append(tiles, digits.Picture(m, digits.Side))
		}
		picture, err := report.Images(tiles, columns, 5)
		if err != nil {
			return err
		}
		if err := program.Save(w, out, p.name, picture); err != nil {
			return err
		}
	}
	return nil
}
