package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
)

// images are the probabilities of ink that logits say.
func images(logits []float32) (all [][]float64) {
	for i, z := range logits {
		if i%pixels == 0 {
			all = append(all, make([]float64, pixels))
		}
		all[i/pixels][i%pixels] = 1 / (1 + math.Exp(-float64(z)))
	}
	return all
}

// draw writes pictures of new digits, of test images over what is left of them behind their code,
// and of the way from one code to another.
func draw(ctx context.Context, w io.Writer, encoder, decoder *train.Net, test data.Records, seed uint64, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	r := data.Rand(seed, "samples", 0)
	fresh := make([]float32, 100*width)
	for i := range fresh {
		fresh[i] = float32(r.NormFloat64())
	}
	batch, err := batchOf(test)
	if err != nil {
		return err
	}
	mean, _, err := encoded(ctx, encoder, test)
	if err != nil {
		return err
	}
	const pairs, steps = 20, 12
	var between []float32
	for i := range 8 {
		from, to := mean[2*i*width:], mean[(2*i+1)*width:]
		for s := range steps {
			t := float32(s) / (steps - 1)
			for k := range width {
				between = append(between, from[k]+t*(to[k]-from[k]))
			}
		}
	}
	var pictures [3][][]float64
	for i, codes := range [][]float32{fresh, mean[:pairs*width], between} {
		logits, err := decoded(ctx, decoder, codes)
		if err != nil {
			return err
		}
		pictures[i] = images(logits)
	}
	originals := make([][]float64, pairs)
	for i := range originals {
		for _, v := range batch.Out["image"].F32[i*pixels : (i+1)*pixels] {
			originals[i] = append(originals[i], float64(v))
		}
	}
	pictures[1] = append(originals, pictures[1]...)
	for i, p := range []struct {
		name    string
		columns int
	}{{"samples.png", 10}, {"reconstructions.png", pairs}, {"between.png", steps}} {
		file := filepath.Join(out, p.name)
		if err := digits.Save(file, pictures[i], digits.Side, p.columns, 5); err != nil {
			return err
		}
		fmt.Fprintln(w, "wrote", file)
	}
	return nil
}
