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
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/train"
)

func main() {
	seed := flag.Uint64("seed", 0, "decides initial weights and all random numbers")
	updates := flag.Int("updates", 3000, "number of the forger's updates")
	out := flag.String("out", filepath.Join(os.TempDir(), "surprisal-gan"), "directory for the pictures")
	flag.Parse()
	if *updates < stages {
		log.Fatalf("-updates is %d, want at least %d", *updates, stages)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *seed, *updates, *out); err != nil {
		log.Fatal(err)
	}
}

const (
	stages  = 4  // of the training, between which it is measured
	columns = 20 // of images in a picture
)

func run(ctx context.Context, w io.Writer, seed uint64, updates int, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
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
		file := filepath.Join(out, p.name)
		if err := digits.Save(file, p.images, digits.Side, columns, 5); err != nil {
			return err
		}
		fmt.Fprintln(w, "wrote", file)
	}
	return nil
}
