package loss

import (
	"testing"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Value and gradients of the losses of logits that are products, and of log-probabilities of
// tokens, come from kernels alone under every option; their entropies have none.
func TestLinearPaths(t *testing.T) {
	n, h, c := 12, 3, 7
	fill := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(i*7%11) / 11
		}
		return x
	}
	labels := make([]int, n)
	for i := range labels {
		labels[i] = i % c
	}
	for name, opt := range optionValues(c) {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, loss := range []string{"LinearCrossEntropy", "LinearCrossEntropy soft", "LinearTokenLogProb", "TokenLogProb"} {
				g := G.NewGraph()
				hidden, weight := node(g, "hidden", dt, []int{n, h}, fill(n*h)), node(g, "weight", dt, []int{c, h}, fill(c*h))
				y := G.NewTensor(g, tensor.Int, 1, G.WithName("y"), G.WithShape(n), G.WithValue(tensor.New(tensor.WithShape(n), tensor.WithBacking(labels))))
				build, target := LinearCrossEntropy, y
				switch loss {
				case "LinearCrossEntropy soft":
					target = node(g, "target", dt, []int{n, c}, fill(n*c))
				case "LinearTokenLogProb":
					build = LinearTokenLogProb
				case "TokenLogProb":
					build = func(_, _, y *G.Node, opts ...Option) (*G.Node, error) {
						hidden = node(g, "logits", dt, []int{n, c}, fill(n*c))
						return TokenLogProb(hidden, y, opts...)
					}
				}
				var opts []Option
				if opt != nil {
					opts = append(opts, opt)
				}
				cost, err := build(hidden, weight, target, opts...)
				if err != nil {
					continue // not an option of this loss
				}
				if cost.IsScalar() {
					_, err = Gradients(cost, hidden)
				} else {
					_, err = VJP(cost, node(g, "up", dt, []int{n}, fill(n)), hidden)
				}
				if err != nil {
					t.Fatal(err)
				}
				m := G.NewTapeMachine(g)
				paths := core.CountPaths(func() { err = m.RunAll() })
				if err != nil || paths.Kernel == 0 || paths.Block+paths.Refused+paths.Mended != 0 {
					t.Errorf("%s %s %v: %+v, error %v", loss, name, dt, paths, err)
				}
				m.Close()
			}
		}
	}
}
