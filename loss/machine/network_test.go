package machine_test

import (
	"fmt"
	"testing"

	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// network is a graph that is trained, with a Read statement for its cost.
type network struct {
	g       *G.ExprGraph
	x, y    *G.Node
	weights G.Nodes
	cost    *G.Node
	value   G.Value
}

// newDense is a dense network with tanh between its layers and the mean squared error of its
// outputs.
func newDense(t testing.TB, dt tensor.Dtype, batch int, widths ...int) *network {
	t.Helper()
	n := &network{g: G.NewGraph()}
	n.x = newInput(n.g, dt, "x", batch, widths[0])
	h := n.x
	for i, out := range widths[1:] {
		w := newInput(n.g, dt, fmt.Sprintf("%d weight", i), widths[i], out)
		b := newInput(n.g, dt, fmt.Sprintf("%d bias", i), 1, out)
		n.weights = append(n.weights, w, b)
		h = G.Must(G.BroadcastAdd(G.Must(G.Mul(h, w)), b, nil, []byte{0}))
		if i+2 < len(widths) {
			h = G.Must(G.Tanh(h))
		}
	}
	return n.finish(t, dt, h, batch, widths[len(widths)-1])
}

// newConvolutional is a network of a convolution, pooling and a dense layer.
func newConvolutional(t testing.TB, dt tensor.Dtype, batch int) *network {
	t.Helper()
	n := &network{g: G.NewGraph()}
	n.x = newInput(n.g, dt, "x", batch, 1, 8, 8)
	kernel := newInput(n.g, dt, "kernel", 4, 1, 3, 3)
	dense := newInput(n.g, dt, "dense", 4*4*4, 5)
	n.weights = G.Nodes{kernel, dense}
	h := G.Must(G.Conv2d(n.x, kernel, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
	h = G.Must(G.MaxPool2D(G.Must(G.Rectify(h)), tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
	h = G.Must(G.Mul(G.Must(G.Reshape(h, tensor.Shape{batch, 4 * 4 * 4})), dense))
	return n.finish(t, dt, h, batch, 5)
}

func (n *network) finish(t testing.TB, dt tensor.Dtype, out *G.Node, rows, columns int) *network {
	t.Helper()
	n.y = newInput(n.g, dt, "y", rows, columns)
	n.cost = G.Must(G.Mean(G.Must(G.Square(G.Must(G.Sub(out, n.y))))))
	if _, err := G.Grad(n.cost, n.weights...); err != nil {
		t.Fatal(err)
	}
	G.Read(n.cost, &n.value)
	return n
}

// trajectory makes ten steps of Adam, each with another batch, and returns the costs and the last
// weights to the bit.
func (n *network) trajectory(t *testing.T, vm G.VM) (out []string) {
	t.Helper()
	defer vm.Close()
	solver := G.NewAdamSolver(G.WithLearnRate(0.01))
	for step := range 10 {
		batch := newInput(G.NewGraph(), n.x.Dtype(), fmt.Sprintf("%d%*d", step, step+1, 0), n.x.Shape()...)
		if err := G.Let(n.x, batch.Value()); err != nil {
			t.Fatal(err)
		}
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		if err := solver.Step(G.NodesToValueGrads(n.weights)); err != nil {
			t.Fatal(err)
		}
		vm.Reset()
		out = append(out, bits(n.value))
	}
	for _, w := range n.weights {
		out = append(out, bits(w.Value()))
	}
	return out
}

// TestTrainingEqualsTheTapeMachine makes ten steps of Adam of two networks on a TapeMachine with
// BindDualValues and on the machine.
func TestTrainingEqualsTheTapeMachine(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		// Widths of whole cache lines: gonum's float32 sums depend on how a row is aligned, which
		// the allocator decides.
		for name, build := range map[string]func() *network{
			"dense":         func() *network { return newDense(t, dt, 16, 32, 16, 16) },
			"convolutional": func() *network { return newConvolutional(t, dt, 8) },
		} {
			n := build()
			want := n.trajectory(t, G.NewTapeMachine(n.g, G.BindDualValues(n.weights...)))
			for mode, opts := range map[string][]machine.Option{
				"plain":       nil,
				"with reuse":  {machine.WithBufferReuse()},
				"all options": {machine.WithOutputs(), machine.WithBufferReuse()},
			} {
				n := build()
				m, err := machine.New(n.g, append(opts, machine.WithGradients(n.weights...))...)
				if err != nil {
					t.Fatal(err)
				}
				got := n.trajectory(t, m)
				for i := range want {
					if got[i] != want[i] {
						t.Errorf("%s network of %v, %s: result %d is %.80s, on the TapeMachine %.80s", name, dt, mode,
							i, got[i], want[i])
						break
					}
				}
			}
		}
	}
}
