// Gan trains a generative adversarial network of handwritten digits: a generator that makes images
// from random numbers, and a critic that learns to score true images above generated ones while the
// generator learns to raise the scores of its own. A penalty keeps the slope of the critic's scores
// near 1, so that the loss contains a gradient and training takes derivatives of second order.
//
//	go run ./examples/gan
//
// What the generator has learned is measured by what neither network has seen: the optimal
// transport from its images to the test images, and the classes that a classifier assigns to them.
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
	updates := program.Int("updates", 3000, stages, "number of the generator's updates")
	out := program.Out("gan")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, *seed, *updates, *out) })
}

const (
	stages  = 4  // of the training, between which it is measured
	columns = 20 // of images in a picture
)

func run(ctx context.Context, w io.Writer, seed uint64, updates int, out string) error {
	e, err := newEvaluator(ctx, seed)
	if err != nil {
		return err
	}
	g, err := newGame(e.training, seed)
	if err != nil {
		return err
	}
	defer g.Close()
	fmt.Fprintf(w, "the classifier is right about %.1f%% of the test images\n\n", 100*e.accuracy)
	fmt.Fprintf(w, "%-26s%12s%16s%13s%10s\n", fmt.Sprint(len(e.test), " images"), "transport", "classes, bits", "confidence", "nearest")
	if err := e.measure(ctx, w, "other training images", e.training[len(e.training)-len(e.test):]); err != nil {
		return err
	}
	if err := e.measure(ctx, w, "each pixel by itself", e.shuffled(seed)); err != nil {
		return err
	}
	var critic train.Values
	var first, last [][]float64
	start := time.Now()
	for stage := range stages + 1 {
		for g.generator.Updates() < updates*stage/stages {
			if critic, err = g.play(ctx); err != nil {
				return err
			}
		}
		if last, err = g.generated(ctx, len(e.test)); err != nil {
			return err
		}
		if err := e.measure(ctx, w, fmt.Sprintf("generated, %d updates", g.generator.Updates()), last); err != nil {
			return err
		}
		first = append(first, last[:columns]...)
	}
	fmt.Fprintf(w, "\n%.1f s; true images score %.2f above generated ones, and the slope of the score is within %.2f of 1\n",
		time.Since(start).Seconds(), critic["true"]-critic["false"], math.Sqrt(critic["excess"]))
	for _, p := range []struct {
		name   string
		images [][]float64
	}{{"generated.png", last[:5*columns]}, {"stages.png", first}} {
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
