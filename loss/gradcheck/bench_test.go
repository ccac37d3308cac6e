package gradcheck_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func crossEntropy(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
	return loss.CrossEntropy(in[0], in[1])
}

func logits(rows, cols int) []gradcheck.Input {
	rng := rand.New(rand.NewPCG(1, 2))
	y := make([]int, rows)
	for i := range y {
		y[i] = rng.IntN(cols)
	}
	return []gradcheck.Input{normal(rng, "logits", 2, rows, cols), gradcheck.Data("labels", y)}
}

// BenchmarkFull is a full check of a cross-entropy of 32 rows and 100 classes: 3200 derivatives.
func BenchmarkFull(b *testing.B) {
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		b.Run(fmt.Sprintf("dtype=%v/rows=32/cols=100", dt), func(b *testing.B) {
			in := logits(32, 100)
			for b.Loop() {
				gradcheck.Test(b, crossEntropy, in, gradcheck.WithDType(dt))
			}
		})
	}
}

// BenchmarkContract is a check of the size that a test of many losses makes: 12 derivatives by two
// passes, to second order.
func BenchmarkContract(b *testing.B) {
	in := logits(4, 3)
	for b.Loop() {
		gradcheck.Test(b, crossEntropy, in, gradcheck.WithPasses(gradcheck.Reverse, gradcheck.Lisp),
			gradcheck.WithSecondOrder(2))
	}
}

// network is a batch through two layers: 3500·2500 + 2500·500 = 10 million parameters.
func network(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
	h, err := G.Mul(in[2], in[0])
	if err != nil {
		return nil, err
	}
	if h, err = G.Tanh(h); err != nil {
		return nil, err
	}
	if h, err = G.Mul(h, in[1]); err != nil {
		return nil, err
	}
	return loss.CrossEntropy(h, in[3])
}

// BenchmarkDirections checks 10 million parameters along 10 directions. passes/direction is its
// time per direction in units of one forward and backward pass on a TapeMachine.
func BenchmarkDirections(b *testing.B) {
	const directions = 10
	rng := rand.New(rand.NewPCG(1, 2))
	in := []gradcheck.Input{normal(rng, "w1", 0.02, 3500, 2500), normal(rng, "w2", 0.02, 2500, 500)}
	batch := normal(rng, "x", 1, 32, 3500)
	batch.Data = true
	labels := make([]int, 32)
	for i := range labels {
		labels[i] = rng.IntN(500)
	}
	in = append(in, batch, gradcheck.Data("labels", labels))
	pass := onePass(b, in)
	b.ResetTimer()
	for b.Loop() {
		gradcheck.Test(b, network, in, gradcheck.WithDirections(directions), gradcheck.WithPasses(gradcheck.Reverse))
	}
	b.StopTimer()
	// half before and half after, because other programs may have run in between
	pass = (pass + onePass(b, in)) / 2
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/directions/pass.Seconds(), "passes/direction")
}

// onePass is the mean time of forward and backward on a TapeMachine.
func onePass(b *testing.B, in []gradcheck.Input) time.Duration {
	g := G.NewGraph()
	var nodes G.Nodes
	for i, shape := range []tensor.Shape{{3500, 2500}, {2500, 500}, {32, 3500}} {
		n := G.NewTensor(g, tensor.Float64, 2, G.WithShape(shape...), G.WithName(in[i].Name))
		x := make([]float64, shape.TotalSize())
		rng := rand.New(rand.NewPCG(3, 4))
		for e := range x {
			x[e] = 0.02 * rng.NormFloat64()
		}
		if err := G.Let(n, tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))); err != nil {
			b.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	y := G.NewVector(g, tensor.Int, G.WithShape(32), G.WithName("y"))
	if err := G.Let(y, tensor.New(tensor.WithShape(32), tensor.WithBacking(in[3].Value))); err != nil {
		b.Fatal(err)
	}
	cost, err := network(g, tensor.Float64, append(nodes, y))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := loss.Gradients(cost, nodes[:2]...); err != nil {
		b.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	const runs = 5
	start := time.Now()
	for range runs {
		if err := vm.RunAll(); err != nil {
			b.Fatal(err)
		}
		vm.Reset()
	}
	return time.Since(start) / runs
}
