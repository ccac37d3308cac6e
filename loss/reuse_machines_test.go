package loss_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// softGraph is a loss of (rows, classes) float32 zeros against a target, with its gradient.
func softGraph(t *testing.T, fn loss.Func, rows, classes int, opts ...loss.Option) (g *G.ExprGraph, cost, grad *G.Node, x, target []float32) {
	t.Helper()
	x, target = make([]float32, rows*classes), make([]float32, rows*classes)
	for i := range rows {
		target[i*classes] = 1
	}
	g = G.NewGraph()
	leaf := func(name string, data []float32) *G.Node {
		return G.NewMatrix(g, tensor.Float32, G.WithName(name), G.WithShape(rows, classes),
			G.WithValue(tensor.New(tensor.WithShape(rows, classes), tensor.WithBacking(data))))
	}
	cost, err := fn(leaf("x", x), leaf("t", target), opts...)
	if err != nil {
		t.Fatal(err)
	}
	grads, err := loss.Gradients(cost, cost.Graph().AllNodes()[0])
	if err != nil {
		t.Fatal(err)
	}
	return g, cost, grads[0], x, target
}

// TestBufferReuseInTwoMachines: a machine that runs the gradient alone does not take one that
// another machine has computed of data that has changed since.
func TestBufferReuseInTwoMachines(t *testing.T) {
	for name, fn := range map[string]loss.Func{"CrossEntropy": loss.CrossEntropy, "MSE": loss.MSE} {
		for _, classes := range []int{10, 300} {
			first := map[bool]float32{}
			for _, reuse := range []bool{false, true} {
				var opts []loss.Option
				if reuse {
					opts = append(opts, loss.WithBufferReuse())
				}
				g, cost, grad, x, _ := softGraph(t, fn, 20, classes, opts...)
				value, gradient := G.NewTapeMachine(g.SubgraphRoots(cost)), G.NewTapeMachine(g.SubgraphRoots(grad))
				runOnce(t, value)
				x[0] = 3
				runOnce(t, gradient)
				first[reuse] = grad.Value().Data().([]float32)[0]
				value.Close()
				gradient.Close()
			}
			if first[true] != first[false] {
				t.Errorf("%s, %d classes: gradient %v in kept memory, %v in fresh", name, classes, first[true],
					first[false])
			}
		}
	}
}

// TestGradientAloneRefusesTargets: the domain of the targets is checked where the value does not
// run, too.
func TestGradientAloneRefusesTargets(t *testing.T) {
	for name, c := range map[string]struct {
		fn     loss.Func
		target float32
	}{"CrossEntropy": {loss.CrossEntropy, -5}, "BinaryCrossEntropy": {loss.BinaryCrossEntropy, 2}} {
		for _, classes := range []int{10, 300} {
			g, _, grad, _, target := softGraph(t, c.fn, 20, classes)
			target[1] = c.target
			m := G.NewTapeMachine(g.SubgraphRoots(grad))
			if err := m.RunAll(); err == nil || !strings.Contains(err.Error(), "loss."+name+": ") {
				t.Errorf("%s, %d classes: error %v, want one about target[0, 1]", name, classes, err)
			}
			m.Close()
		}
	}
}

// TestUpstreamsBesideIgnoredRows: an upstream that is not finite leaves the zeros of rows that do
// not count.
func TestUpstreamsBesideIgnoredRows(t *testing.T) {
	for _, classes := range []int{10, 300} {
		for _, scale := range []float32{float32(math.Inf(1)), float32(math.NaN())} {
			m, grad, _, labels := crossEntropyGraph(t, 4, classes, scale, loss.WithBufferReuse())
			labels[2] = -100
			for range 2 {
				runOnce(t, m)
				for i, v := range grad.Value().Data().([]float32)[2*classes : 3*classes] {
					if v != 0 {
						t.Fatalf("%d classes, upstream %v: gradient[2, %d] of an ignored row is %v", classes, scale, i, v)
					}
				}
			}
			m.Close()
		}
	}
}

// TestBufferReuseOfOverlappingMachines does what two machines do whose runs overlap: the second
// runs the value between the value and the derivative of the first, of other logits or of other
// targets. Both get their own gradient, and keep it.
func TestBufferReuseOfOverlappingMachines(t *testing.T) {
	for name, fn := range map[string]loss.Func{"CrossEntropy": loss.CrossEntropy, "MSE": loss.MSE} {
		for _, classes := range []int{10, 300} {
			const rows = 20
			value := func(first float32) G.Value {
				data := make([]float32, rows*classes)
				for i := range data {
					data[i] = first / float32(1+i%7)
				}
				return tensor.New(tensor.WithShape(rows, classes), tensor.WithBacking(data))
			}
			run := func(n *G.Node, in ...G.Value) []float32 {
				t.Helper()
				v, err := n.Op().Do(in...)
				if err != nil {
					t.Fatal(err)
				}
				if data, ok := v.Data().([]float32); ok {
					return data
				}
				return nil
			}
			x, y, other := value(1), value(0.5), value(0.25)
			up := G.NewF32(1)
			_, freshCost, freshGrad, _, _ := softGraph(t, fn, rows, classes)
			cost := freshCost.Op()
			mean, err := cost.Do(x, y)
			if err != nil {
				t.Fatal(err)
			}
			for what, second := range map[string][2]G.Value{"logits": {value(2), y}, "targets": {x, other}} {
				_, cost, grad, _, _ := softGraph(t, fn, rows, classes, loss.WithBufferReuse())
				for range 2 {
					run(cost, x, y)
					run(cost, second[0], second[1])
					a := run(grad, x, y, up, mean)
					b := run(grad, second[0], second[1], up, mean)
					if want := run(freshGrad, x, y, up); !slices.Equal(a, want) {
						t.Errorf("%s, %d classes, other %s: the first machine's gradient is %v, want %v", name,
							classes, what, a[:4], want[:4])
					}
					if want := run(freshGrad, second[0], second[1], up); !slices.Equal(b, want) {
						t.Errorf("%s, %d classes, other %s: the second machine's gradient is %v, want %v", name,
							classes, what, b[:4], want[:4])
					}
				}
			}
		}
	}
}

// TestBufferReuseReadsOnce: value and gradient of one run come from one reading of the operands.
func TestBufferReuseReadsOnce(t *testing.T) {
	for reuse, want := range map[bool]int64{false: 2, true: 1} {
		var opts []loss.Option
		if reuse {
			opts = append(opts, loss.WithBufferReuse())
		}
		m, _, _, _ := crossEntropyGraph(t, 20, 10, 1, opts...)
		paths := core.CountPaths(func() { runOnce(t, m) })
		if got := paths.Kernel + paths.Block; got != want {
			t.Errorf("kept memory %v: %d readings, want %d", reuse, got, want)
		}
		m.Close()
	}
}
