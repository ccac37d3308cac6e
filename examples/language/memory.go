package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// compareMemory prints the memory of the output layer with its loss and gradients, for a batch,
// with and without a matrix of all scores.
func compareMemory(w io.Writer, vocabulary int) error {
	linear, err := memory(vocabulary, func(hidden *G.Node, out layer, next *G.Node) (*G.Node, error) {
		return loss.LinearCrossEntropy(hidden, out.weight, next, loss.WithBias(out.bias))
	})
	if err != nil {
		return err
	}
	dense, err := memory(vocabulary, func(hidden *G.Node, out layer, next *G.Node) (*G.Node, error) {
		transposed, err := G.Transpose(out.weight)
		if err != nil {
			return nil, err
		}
		scores, err := G.Mul(hidden, transposed)
		if err != nil {
			return nil, err
		}
		if scores, err = G.BroadcastAdd(scores, out.bias, nil, []byte{0}); err != nil {
			return nil, err
		}
		return loss.CrossEntropy(scores, next)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "output layer:       %.1f MB a step beside its gradients, %.1f MB with all %d x %d scores: %.1f MB saved\n",
		linear, dense, batch, vocabulary, dense-linear)
	return nil
}

// memory returns the megabytes that a loss of the output layer allocates for a batch, with the
// gradients by the layer and its input, but without what those take themselves.
func memory(vocabulary int, build func(hidden *G.Node, out layer, next *G.Node) (*G.Node, error)) (float64, error) {
	g := G.NewGraph()
	hidden := G.NewMatrix(g, tensor.Float32, G.WithName("hidden"), G.WithShape(batch, width), G.WithInit(G.Zeroes()))
	next := G.NewVector(g, tensor.Int, G.WithName("next"), G.WithShape(batch),
		G.WithValue(tensor.New(tensor.WithShape(batch), tensor.Of(tensor.Int))))
	out := newLayer(g, vocabulary)
	cost, err := build(hidden, out, next)
	if err != nil {
		return 0, err
	}
	grads, err := loss.Gradients(cost, hidden, out.weight, out.bias)
	if err != nil {
		return 0, err
	}
	m, err := machine.New(g, machine.WithOutputs(append(grads, cost)...))
	if err != nil {
		return 0, err
	}
	defer m.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := m.RunAll(); err != nil {
		return 0, err
	}
	runtime.ReadMemStats(&after)
	bytes := after.TotalAlloc - before.TotalAlloc
	for _, n := range grads {
		bytes -= uint64(n.Value().MemSize())
	}
	return float64(bytes) / 1e6, nil
}
