package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
)

// measure times steps of the network with 784 inputs, on random images of MNIST's size. The
// quickest step is the one that nothing else on the machine disturbed.
func measure(ctx context.Context, w io.Writer, c comm.Comm, steps, batch int, anyOrder bool) error {
	const inputs, batches = 784, 4
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := make([]float32, batches*batch*inputs), make([]int, batches*batch)
	for i := range x {
		x[i] = rng.Float32()
	}
	for i := range y {
		y[i] = rng.IntN(10)
	}
	spec := data.Spec{Input: data.Field{Kind: data.Float, Shape: []int{inputs}}, Target: data.Field{Kind: data.Int}}
	images, err := data.NewTable(len(y), spec, data.Column{F32: x}, data.Column{Int: y})
	if err != nil {
		return err
	}
	var took []time.Duration
	last := time.Now()
	clock := train.CallbackFunc(func(_ context.Context, e train.Event) error {
		now := time.Now()
		if e.Kind == train.StepDone && e.InEpoch > 1 { // the first of an epoch has the end of the one before
			took = append(took, now.Sub(last))
		}
		last = now
		return nil
	})
	res, err := train.Fit(ctx, network, loss.CrossEntropy, images, train.Config{Epochs: (steps + batches - 1) / batches, BatchSize: batch,
		Optimizer: optim.Adam(1e-3), KeepOrder: true, Comm: c, AnyOrder: anyOrder, Callbacks: []train.Callback{clock}})
	if err != nil || c.Rank() != 0 {
		return err
	}
	slices.Sort(took)
	fmt.Fprintf(w, "%d ranks, batch %d: quickest step %.2f ms, median %.2f ms; %.0f %% of the run between ranks\n", c.Size(), batch,
		1e3*took[0].Seconds(), 1e3*took[len(took)/2].Seconds(), 100*res.Time.Exchange.Seconds()/(res.Time.Total-res.Time.Setup).Seconds())
	return nil
}
