package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/tensorops/info"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
)

// batchOf reads all examples.
func batchOf(r data.Records) (*data.Batch, error) {
	rows := make([]int, r.Len())
	for i := range rows {
		rows[i] = i
	}
	b := data.NewBatch(r.Fields(), len(rows), true)
	return b, b.Fill(r, rows)
}

// decoded returns the logits of the images of codes.
func decoded(ctx context.Context, decoder *train.Net, codes []float32) ([]float32, error) {
	field := decoder.Fields().Inputs["code"]
	frame, err := data.NewFrame(map[string]data.Series{"code": data.NewSeries(field, data.Column{F32: codes})}, nil)
	if err != nil {
		return nil, err
	}
	out, err := decoder.PredictNamed(ctx, frame)
	if err != nil {
		return nil, err
	}
	return out["image"].Data().([]float32), nil
}

// encoded returns the means and the logarithms of the variances of the codes of images.
func encoded(ctx context.Context, encoder *train.Net, images data.Records) (mean, logvar []float32, err error) {
	out, err := encoder.PredictNamed(ctx, images)
	if err != nil {
		return nil, nil, err
	}
	return out["mean"].Data().([]float32), out["logvar"].Data().([]float32), nil
}

// measure tells what a test image costs: with codes drawn from what the encoder says of it, as in
// training, beside what it costs without a model and what grey pixels cost at least.
func measure(ctx context.Context, w io.Writer, encoder, decoder *train.Net, training, test data.Records, seed uint64) error {
	const draws = 20 // of a code for each image
	bce, err := eager.BinaryCrossEntropy(loss.WithReduction(loss.Sum))
	if err != nil {
		return err
	}
	kl, err := eager.StandardGaussianKL()
	if err != nil {
		return err
	}
	known, err := batchOf(training)
	if err != nil {
		return err
	}
	batch, err := batchOf(test)
	if err != nil {
		return err
	}
	n := test.Len()
	target := batch.Out["image"].F32
	mean, logvar, err := encoded(ctx, encoder, test)
	if err != nil {
		return err
	}
	code, err := kl.Value(eager.Data{}, eager.Slice(mean, n, width), eager.Slice(logvar, n, width))
	if err != nil {
		return err
	}
	var image float64
	for i := range draws {
		r := data.Rand(seed, "measure", uint64(i))
		codes := make([]float32, len(mean))
		for k, m := range mean {
			codes[k] = m + float32(math.Exp(float64(logvar[k])/2)*r.NormFloat64())
		}
		logits, err := decoded(ctx, decoder, codes)
		if err != nil {
			return err
		}
		v, err := bce.Value(eager.Data{}, eager.Slice(logits, n, pixels), eager.Slice(target, n, pixels))
		if err != nil {
			return err
		}
		image += v / float64(n*draws)
	}
	// Without a model each pixel has the probability that it has over all training images, add-one.
	count := make([]float64, pixels)
	for i, v := range known.Out["image"].F32 {
		count[i%pixels] += float64(v)
	}
	var alone, least float64
	for i, v := range target {
		p, y := (count[i%pixels]+1)/float64(training.Len()+2), float64(v)
		cost, err := info.CrossEntropy([]float64{y, 1 - y}, []float64{p, 1 - p}, info.Nats)
		if err != nil {
			return err
		}
		entropy, err := info.Entropy([]float64{y, 1 - y}, info.Nats)
		if err != nil {
			return err
		}
		alone, least = alone+cost/float64(n), least+entropy/float64(n)
	}
	fmt.Fprintf(w, "nats per test image: %.2f (%.2f for the pixels, %.2f for the code); %.2f with each pixel by itself;\n"+
		"%.2f are the entropy of grey pixels, which no model gets below\n", image+code, image, code, alone, least)
	return nil
}
