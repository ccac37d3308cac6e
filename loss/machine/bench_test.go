package machine_test

import (
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BenchmarkEmpty measures a run of a graph that consists of one input.
func BenchmarkEmpty(b *testing.B) {
	benchmarkMachines(b, func(*testing.B) *network {
		n := &network{g: G.NewGraph()}
		newInput(n.g, tensor.Float32, "x", 2, 2)
		return n
	})
}

// BenchmarkStep measures forward and backward of a dense network of 784-256-10 with a batch of 128,
// of Gorgonia's own operations.
func BenchmarkStep(b *testing.B) {
	benchmarkMachines(b, func(b *testing.B) *network {
		return newDense(b, tensor.Float32, 128, 784, 256, 10)
	})
}

func benchmarkMachines(b *testing.B, build func(b *testing.B) *network) {
	for name, opts := range map[string][]machine.Option{
		"plain": nil, "needed": {machine.WithOutputs()}, "needed with reuse": {machine.WithOutputs(), machine.WithBufferReuse()}} {
		b.Run("vm="+name, func(b *testing.B) {
			n := build(b)
			own := slices.Clone(opts)
			if len(n.weights) > 0 {
				own = append(own, machine.WithGradients(n.weights...))
			}
			m, err := machine.New(n.g, own...)
			if err != nil {
				b.Fatal(err)
			}
			benchmarkRuns(b, m)
		})
	}
	b.Run("vm=tape", func(b *testing.B) {
		n := build(b)
		benchmarkRuns(b, G.NewTapeMachine(n.g, G.BindDualValues(n.weights...)))
	})
}

func benchmarkRuns(b *testing.B, vm G.VM) {
	defer vm.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := vm.RunAll(); err != nil {
			b.Fatal(err)
		}
		vm.Reset()
	}
}
