package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

// pixels is the number of inputs of the model.
const pixels = digits.Side * digits.Side

// network has a hidden layer of 128 rectified units.
func network(b *train.Builder, x *G.Node) (*G.Node, error) {
	h := G.Must(b.Dense("hidden", x, 128))
	return b.Dense("out", G.Must(G.Rectify(h)), 10)
}

// shift moves a picture by at most one pixel to any side: drawings are not as well centred as the
// training images.
func shift(rng *rand.Rand, inputs, _ train.Row) error {
	x := inputs[data.InputName].F32
	from := slices.Clone(x)
	down, right := rng.IntN(3)-1, rng.IntN(3)-1
	for i := range x {
		row, column := i/digits.Side-down, i%digits.Side-right
		x[i] = 0
		if row >= 0 && row < digits.Side && column >= 0 && column < digits.Side {
			x[i] = from[row*digits.Side+column]
		}
	}
	return nil
}

// newNet loads the model of a file that an earlier run saved or, without a file, trains one.
func newNet(ctx context.Context, path string, epochs int, w, progress io.Writer) (*train.Net, error) {
	if path != "" {
		net, err := train.Load(path, network)
		if err == nil && net.Fields().Inputs[data.InputName].Size() != pixels {
			err = fmt.Errorf("%s takes %v, want %d pixels", path, net.Fields().Inputs[data.InputName], pixels)
		}
		return net, err
	}
	images, test, err := digits.Split()
	if err != nil {
		return nil, err
	}
	// The scaling and the names of the classes are saved with the parameters: whoever loads the
	// file gives it pixels in [0, 1] and gets names.
	scaling, names := data.Scaling{Mean: []float64{0.3}, Std: []float64{0.38}}, make([]string, 10)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	res, err := train.Fit(ctx, network, loss.CrossEntropy, images, train.Config{
		Epochs: epochs, Optimizer: optim.AdamW(2e-3), Schedule: optim.Cosine(0, 0.01), Seed: 1, Validation: test,
		Metrics: []metric.Metric{metric.NewAccuracy()}, Progress: progress,
		Augment: shift,
		Scaling: map[string]data.Scaling{data.InputName: scaling}, Classes: map[string][]string{data.TargetName: names},
	})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(w, "trained on %d images in %.1f s, accuracy on %d others %.4f\n",
		images.Len(), res.History.Seconds(), test.Len(), res.History.Last("val_accuracy"))
	return res.Net, nil
}
