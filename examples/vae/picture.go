package main

import (
	"context"
	"image"
	"io"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/report"
)

// draw writes pictures of new digits, of test images over what is left of them behind their code,
// and of the way from one code to another.
func draw(ctx context.Context, w io.Writer, encoder, decoder *train.Net, test data.Records, seed uint64, out string) error {
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
	for _, p := range []struct {
		name    string
		columns int
		before  []float32 // pixels of images above those of the codes
		codes   []float32
	}{
		{"samples.png", 10, nil, fresh},
		{"reconstructions.png", pairs, slices.Clone(batch.Out["image"].F32[:pairs*pixels]), mean[:pairs*width]},
		{"between.png", steps, nil, between},
	} {
		logits, err := decoded(ctx, decoder, p.codes)
		if err != nil {
			return err
		}
		for _, z := range logits {
			p.before = append(p.before, float32(1/(1+math.Exp(-float64(z)))))
		}
		var images []image.Image
		for one := range slices.Chunk(p.before, pixels) {
			images = append(images, digits.Picture(one, digits.Side))
		}
		picture, err := report.Images(images, p.columns, 5)
		if err != nil {
			return err
		}
		if err := program.Save(w, out, p.name, picture); err != nil {
			return err
		}
	}
	return nil
}
