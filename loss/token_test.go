package loss_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// tokens builds the log-probabilities of a sample's labels with its mask, through the link or of
// the product that Gorgonia computes, and the entropies.
func (s *linearSample) tokens(g *G.ExprGraph, dt tensor.Dtype, dense bool, opts []loss.Option) (nodes, wrt G.Nodes, err error) {
	x, w, b := floatLeaf(g, dt, "hidden", []int{s.n, s.h}, s.hidden), floatLeaf(g, dt, "weight", []int{s.c, s.h}, s.weight), floatLeaf(g, dt, "bias", []int{s.c}, s.bias)
	labels := labelLeaf(g, tensor.Int64, "labels", []int{s.n}, s.labels)
	opts = append(slices.Clone(opts), loss.WithMask(floatLeaf(g, dt, "mask", []int{s.n}, s.mask)))
	var node *G.Node
	if dense {
		z := G.Must(G.BroadcastAdd(G.Must(G.Mul(x, G.Must(G.Transpose(w, 1, 0)))), b, nil, []byte{0}))
		node, err = loss.TokenLogProb(z, labels, opts...)
	} else {
		node, err = loss.LinearTokenLogProb(x, w, labels, append(opts, loss.WithBias(b))...)
	}
	if err != nil {
		return nil, nil, err
	}
	h, err := loss.EntropyTerm(node)
	return G.Nodes{node, h}, G.Nodes{x, w, b}, err
}

// The linear form is the dense form, for log-probabilities and entropies, with gradients by all
// operands for any upstream. Rows that are ignored or masked are 0 with gradient 0 whatever they
// hold. The tolerances are those of TestLinearIsDense.
func TestLinearTokensAreDense(t *testing.T) {
	s := newLinearSample(13, 7, 21)
	s.mask[0], s.labels[0] = 0, 99
	for name, opts := range map[string][]loss.Option{
		"plain": nil, "temperature": {loss.WithTemperature(0.7)}, "softcap": {loss.WithSoftcap(3)},
		"both":   {loss.WithTemperature(2), loss.WithSoftcap(4)},
		"ignore": {loss.WithIgnoreIndex(-100, 2)},
	} {
		for dt, tolerance := range map[tensor.Dtype]float64{tensor.Float64: 1e-12, tensor.Float32: 4e-5} {
			for k, what := range []string{"log p", "entropy"} {
				run := func(dense bool) [][]float64 {
					g := G.NewGraph()
					nodes, wrt, err := s.tokens(g, dt, dense, opts)
					if err != nil {
						t.Fatal(err)
					}
					grads, err := loss.VJP(nodes[k], floatLeaf(g, dt, "up", []int{s.n}, s.up), wrt...)
					if err != nil {
						t.Fatal(err)
					}
					values, err := runTape(g, append(G.Nodes{nodes[k]}, grads...)...)
					if err != nil {
						t.Fatal(err)
					}
					return values
				}
				got, want := run(false), run(true)
				for i := range want {
					for j, w := range want[i] {
						if d := math.Abs(got[i][j] - w); !(d <= tolerance*max(1, math.Abs(w))) {
							t.Fatalf("%s, %s of %v: result %d[%d] is %v, dense %v", name, what, dt, i, j, got[i][j], w)
						}
					}
				}
				for j, m := range s.mask {
					if out := m == 0 || s.labels[j] == -100; out && (got[0][j] != 0 || slices.ContainsFunc(got[1][j*s.h:(j+1)*s.h], func(v float64) bool { return v != 0 })) {
						t.Errorf("%s, %s of %v: row %d does not count and is %v", name, what, dt, j, got[0][j])
					}
				}
			}
		}
	}
}

// Rows that do not count are never read: with NaN and labels out of range in them nothing changes.
func TestTokensLeaveRowsOut(t *testing.T) {
	s := newLinearSample(12, 3, 5)
	s.mask[0], s.labels[1] = 0, -100
	for _, dense := range []bool{false, true} {
		run := func() [][]float64 {
			g := G.NewGraph()
			nodes, _, err := s.tokens(g, tensor.Float32, dense, nil)
			if err != nil {
				t.Fatal(err)
			}
			values, err := runTape(g, nodes...)
			if err != nil {
				t.Fatal(err)
			}
			return values
		}
		before := slices.Clone(s.hidden)
		want := run()
		s.hidden[0], s.hidden[3], s.labels[0] = math.NaN(), math.Inf(1), 99
		if got := run(); !slices.EqualFunc(got, want, slices.Equal[[]float64]) {
			t.Errorf("dense=%t: %v, want %v", dense, got, want)
		}
		s.hidden, s.labels[0] = before, 0
	}
}

// Log-probabilities are at most 0 and entropies lie in [0, log C], on logits of any size: an error
// of one unit in the last place above log C is a rounding.
func TestTokenRanges(t *testing.T) {
	const rows, classes = 40, 9
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		limit, ulp := math.Log(classes), 0x1p-51
		if dt == tensor.Float32 {
			ulp = 0x1p-22
		}
		for _, scale := range []float64{0, 1e-3, 1, 1e3, 1e37} {
			x, labels := make([]float64, rows*classes), make([]int, rows)
			for i := range x {
				x[i] = scale * math.Sin(float64(i*i))
			}
			for i := range labels {
				labels[i] = i % classes
			}
			g := G.NewGraph()
			node, err := loss.TokenLogProb(floatLeaf(g, dt, "logits", []int{rows, classes}, x), labelLeaf(g, tensor.Int, "labels", []int{rows}, labels))
			if err != nil {
				t.Fatal(err)
			}
			h, err := loss.EntropyTerm(node)
			if err != nil {
				t.Fatal(err)
			}
			values, err := runTape(g, node, h)
			if err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				if p, h := values[0][i], values[1][i]; !(p <= 0) || !(h >= 0 && h <= limit+ulp) {
					t.Errorf("%v, scale %v: row %d has log p %v and entropy %v", dt, scale, i, p, h)
				}
			}
		}
	}
}

// What is no option of these nodes is refused, and so is a node that is none of them.
func TestTokenFaults(t *testing.T) {
	g := G.NewGraph()
	x := floatLeaf(g, tensor.Float64, "x", []int{2}, []float64{1, 2})
	build := func(opts ...loss.Option) error {
		_, err := loss.TokenLogProb(floatLeaf(g, tensor.Float64, "logits", []int{2, 2}, make([]float64, 4)), labelLeaf(g, tensor.Int, "labels", []int{2}, []int{0, 1}), opts...)
		return err
	}
	for name, o := range map[string]loss.Option{
		"WithReduction": loss.WithReduction(loss.Sum), "WithWeights": loss.WithWeights(x),
		"WithClassWeights":   loss.WithClassWeights([]float64{1, 2}),
		"WithLabelSmoothing": loss.WithLabelSmoothing(0.1), "WithZLoss": loss.WithZLoss(1),
		"WithNormalizer": loss.WithNormalizer(2), "WithBias": loss.WithBias(x),
	} {
		want := fmt.Sprintf("loss.TokenLogProb: %s is not an option of this loss, which takes ", name)
		if err := build(o); !errors.Is(err, loss.ErrOption) || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
	if _, err := loss.EntropyTerm(x); !errors.Is(err, loss.ErrOption) {
		t.Errorf("the entropy of an input: error %v", err)
	}
}
