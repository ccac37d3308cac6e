package loss_test

import (
	"errors"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestLinearFaults: what the losses of linear logits refuse, with the text and the kind of the
// error.
func TestLinearFaults(t *testing.T) {
	type shapes struct{ hidden, weight, labels, bias []int }
	fits := shapes{[]int{2, 3}, []int{4, 3}, []int{2}, []int{4}}
	build := func(s shapes, labels []int, opts ...loss.Option) func() (*G.Node, error) {
		return func() (*G.Node, error) {
			g := G.NewGraph()
			zero := func(name string, s []int) *G.Node {
				return floatLeaf(g, tensor.Float64, name, s, make([]float64, tensor.Shape(s).TotalSize()))
			}
			if s.bias != nil {
				opts = append(opts, loss.WithBias(zero("bias", s.bias)))
			}
			return loss.LinearCrossEntropy(zero("hidden", s.hidden), zero("weight", s.weight), labelLeaf(g, tensor.Int, "labels", s.labels, labels), opts...)
		}
	}
	soft := func(dt tensor.Dtype, shape []int, target ...float64) func() (*G.Node, error) {
		return func() (*G.Node, error) {
			g := G.NewGraph()
			return loss.LinearCrossEntropy(floatLeaf(g, tensor.Float64, "hidden", []int{2, 1}, []float64{0, 0}),
				floatLeaf(g, tensor.Float64, "weight", []int{2, 1}, []float64{0, 0}), floatLeaf(g, dt, "target", shape, target))
		}
	}
	with := func(change func(s *shapes)) shapes {
		s := fits
		change(&s)
		return s
	}
	good := []int{0, 3}
	for _, c := range []struct {
		want  string
		kind  error
		build func() (*G.Node, error)
	}{
		{"loss.LinearCrossEntropy: hidden has shape (6), want (N, H)", loss.ErrShape, build(with(func(s *shapes) { s.hidden = []int{6} }), good)},
		{"loss.LinearCrossEntropy: weight has shape (4, 2), want (C, 3) to match hidden", loss.ErrShape, build(with(func(s *shapes) { s.weight = []int{4, 2} }), good)},
		{"loss.LinearCrossEntropy: labels have shape (3), want (2) to match hidden", loss.ErrShape,
			build(with(func(s *shapes) { s.labels = []int{3} }), []int{0, 1, 2})},
		{"loss.LinearCrossEntropy: bias has shape (3), want (4) to match weight", loss.ErrShape, build(with(func(s *shapes) { s.bias = []int{3} }), good)},
		{"loss.LinearCrossEntropy: target has shape (2, 3), want (2, 2) to match hidden and weight", loss.ErrShape,
			soft(tensor.Float64, []int{2, 3}, 0, 0, 0, 0, 0, 0)},
		{"loss.LinearCrossEntropy: target has dtype float32, want float64 like hidden, or Int, Int64, Int32 or Uint8 labels", loss.ErrDType,
			soft(tensor.Float32, []int{2, 2}, 0, 0, 0, 0)},
		{"loss.LinearCrossEntropy: target is -1 at row 1 class 0, want finite numbers >= 0", loss.ErrValue, soft(tensor.Float64, []int{2, 2}, 0, 1, -1, 1)},
		{"loss.LinearCrossEntropy: label is 4 at row 1, want one in [0, 4)", loss.ErrValue, build(fits, []int{0, 4})},
		{"loss.LinearCrossEntropy: WithClassWeights has 2 entries, want 4, one for each class", loss.ErrOption, build(fits, good, loss.WithClassWeights([]float64{1, 2}))},
		{"loss.LinearCrossEntropy: WithBias is nil", loss.ErrOption, build(with(func(s *shapes) { s.bias = nil }), good, loss.WithBias(nil))},
		{"loss.CrossEntropy: WithBias is not an option of this loss, which takes WithReduction, WithAxis, WithIgnoreIndex, WithWeights, WithMask, WithClassWeights, WithNormalizer, WithNormalizerNode, WithLabelSmoothing, WithTemperature, WithSoftcap, WithZLoss, WithLogPrior, WithShard",
			loss.ErrOption, func() (*G.Node, error) {
				g := G.NewGraph()
				x := floatLeaf(g, tensor.Float64, "x", []int{1, 2}, []float64{0, 0})
				return loss.CrossEntropy(x, labelLeaf(g, tensor.Int, "y", []int{1}, []int{0}), loss.WithBias(x))
			}},
		{"loss.EntropyTerm: node is nil", loss.ErrShape, func() (*G.Node, error) { return loss.EntropyTerm(nil) }},
	} {
		n, err := c.build()
		if err == nil {
			_, err = runTape(n.Graph(), n)
			err = loss.Cause(err)
		}
		if err == nil || err.Error() != c.want || !errors.Is(err, c.kind) {
			t.Errorf("error %v, want %q of kind %v", err, c.want, c.kind)
		}
	}
}
