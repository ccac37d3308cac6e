package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/info"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"gonum.org/v1/gonum/floats"
	G "gorgonia.org/gorgonia"
)

// evaluator measures images by the test images and by a classifier, neither of which the generator
// and the critic have seen.
type evaluator struct {
	training, test [][]float64
	classifier     *train.Net
	accuracy       float64 // of the classifier on the test images
}

func newEvaluator(ctx context.Context, seed uint64) (*evaluator, error) {
	e := new(evaluator)
	var err error
	if e.training, _, err = digits.Part(false); err != nil {
		return nil, err
	}
	if e.test, _, err = digits.Part(true); err != nil {
		return nil, err
	}
	training, test, err := digits.Split()
	if err != nil {
		return nil, err
	}
	network := func(b *train.Builder, x *G.Node) (*G.Node, error) {
		return b.Dense("class", G.Must(G.Rectify(G.Must(b.Dense("hidden", x, 128)))), 10)
	}
	res, err := train.Fit(ctx, network, loss.CrossEntropy, training, train.Config{Epochs: 40, Optimizer: optim.Adam(1e-3), Seed: seed})
	if err != nil {
		return nil, err
	}
	e.classifier = res.Net
	values, err := res.Evaluate(ctx, nil, test, metric.NewAccuracy())
	e.accuracy = values["accuracy"]
	return e, err
}

// shuffled are images whose pixels come from training images of their own.
func (e *evaluator) shuffled(seed uint64) [][]float64 {
	r := data.Rand(seed, "shuffled", 0)
	images := make([][]float64, len(e.test))
	for i := range images {
		for k := range pixels {
			images[i] = append(images[i], e.training[r.IntN(len(e.training))][k])
		}
	}
	return images
}

// square is the squared distance of two images.
func square(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += (v - b[i]) * (v - b[i])
	}
	return sum
}

// measure writes a line on images: the Sinkhorn divergence from the test images, the entropy of the
// classes over all of them, how sure the classifier is of each, and how far the nearest training
// image is.
func (e *evaluator) measure(ctx context.Context, w io.Writer, name string, images [][]float64) error {
	transport, err := eager.SinkhornDivergence(loss.WithEpsilon(0.5), loss.WithThreshold(1e-6))
	if err != nil {
		return err
	}
	cost, err := transport.Value(eager.Data{}, eager.Slice(slices.Concat(images...), len(images), pixels), eager.Slice(slices.Concat(e.test...), len(e.test), pixels))
	if err != nil {
		return err
	}
	rows, err := data.Rows(images)
	if err != nil {
		return err
	}
	scores, err := e.classifier.Predict(ctx, rows)
	if err != nil {
		return err
	}
	logits := scores.Data().([]float32)
	share, sure, nearest := make([]float64, 10), 0.0, 0.0
	p := make([]float32, 10)
	for i, m := range images {
		tensorops.SoftmaxRows(p, logits[10*i:10*i+10], 10)
		sure += float64(slices.Max(p)) / float64(len(images))
		for c, v := range p {
			share[c] += float64(v)
		}
		best := math.Inf(1)
		for _, known := range e.training {
			if &known[0] != &m[0] { // no image is its own neighbour
				best = min(best, square(m, known))
			}
		}
		nearest += math.Sqrt(best) / float64(len(images))
	}
	floats.Scale(1/floats.Sum(share), share)
	bits, err := info.Entropy(share, info.Bits)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%-26s%12.2f%16.2f%12.1f%%%10.2f\n", name, cost, bits, 100*sure, nearest)
	return err
}
