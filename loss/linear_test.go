package loss_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// linearSample is data of a linear cross-entropy.
type linearSample struct {
	n, h, c                                       int
	hidden, weight, bias, soft, weights, mask, up []float64
	labels                                        []int
}

func newLinearSample(n, h, c int) *linearSample {
	r := rand.New(rand.NewPCG(uint64(n), uint64(c)))
	normal := func(n int, scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = scale * r.NormFloat64()
		}
		return x
	}
	s := &linearSample{n: n, h: h, c: c, hidden: normal(n*h, 1), weight: normal(c*h, 0.5), bias: normal(c, 1), weights: normal(n, 1), up: normal(n, 1)}
	for range n * c {
		s.soft = append(s.soft, r.Float64())
	}
	for i := range n {
		s.labels, s.mask = append(s.labels, r.IntN(c)), append(s.mask, float64(r.IntN(3)&1^1))
		if i%5 == 1 {
			s.labels[i] = -100
		}
		if i%4 == 3 {
			s.weights[i] = 0
		}
	}
	return s
}

// linearForm builds a loss of the sample: through the link, or of the product that Gorgonia
// computes.
func (s *linearSample) build(g *G.ExprGraph, dt tensor.Dtype, dense, soft, bias bool, opts []loss.Option, data ...string) (cost *G.Node, wrt G.Nodes, err error) {
	x, w := floatLeaf(g, dt, "hidden", []int{s.n, s.h}, s.hidden), floatLeaf(g, dt, "weight", []int{s.c, s.h}, s.weight)
	wrt = G.Nodes{x, w}
	opts = slices.Clone(opts)
	if slices.Contains(data, "weights") {
		opts = append(opts, loss.WithWeights(floatLeaf(g, dt, "weights", []int{s.n}, s.weights)))
	}
	if slices.Contains(data, "mask") {
		opts = append(opts, loss.WithMask(floatLeaf(g, dt, "mask", []int{s.n}, s.mask)))
	}
	var b, t *G.Node
	if bias {
		b = floatLeaf(g, dt, "bias", []int{s.c}, s.bias)
		wrt = append(wrt, b)
	}
	if soft {
		t = floatLeaf(g, dt, "target", []int{s.n, s.c}, s.soft)
		wrt = append(wrt, t)
	} else {
		t = labelLeaf(g, tensor.Int32, "labels", []int{s.n}, s.labels)
	}
	if !dense {
		if bias {
			opts = append(opts, loss.WithBias(b))
		}
		cost, err = loss.LinearCrossEntropy(x, w, t, opts...)
		return cost, wrt, err
	}
	wt, err := G.Transpose(w, 1, 0)
	if err != nil {
		return nil, nil, err
	}
	z, err := G.Mul(x, wt)
	if err == nil && bias {
		z, err = G.BroadcastAdd(z, b, nil, []byte{0})
	}
	if err != nil {
		return nil, nil, err
	}
	cost, err = loss.CrossEntropy(z, t, opts...)
	return cost, wrt, err
}

// run returns the value and the gradients.
func (s *linearSample) run(dt tensor.Dtype, dense, soft, bias bool, opts []loss.Option, data ...string) ([][]float64, error) {
	g := G.NewGraph()
	cost, wrt, err := s.build(g, dt, dense, soft, bias, opts, data...)
	if err != nil {
		return nil, err
	}
	var grads G.Nodes
	if cost.IsScalar() {
		grads, err = loss.Gradients(cost, wrt...)
	} else {
		grads, err = loss.VJP(cost, floatLeaf(g, dt, "up", []int{s.n}, s.up), wrt...)
	}
	if err != nil {
		return nil, err
	}
	return runTape(g, append(G.Nodes{cost}, grads...)...)
}

// The linear form is the dense form under every option, reduction, weight and mask, for labels and
// soft targets, with and without a bias. float64: both sum products of 7 terms of size 1 in some
// order, 1e-12 is a thousand roundings. float32: logits of size up to 10 are off by 7·2^-24·10 =
// 4e-6 in each form; gradients add up 13 rows.
func TestLinearIsDense(t *testing.T) {
	s := newLinearSample(13, 7, 21)
	classWeights := make([]float64, s.c)
	for i := range classWeights {
		classWeights[i] = float64(i % 4)
	}
	for name, opts := range map[string][]loss.Option{
		"plain": nil, "smoothing": {loss.WithLabelSmoothing(0.2)}, "classWeights": {loss.WithClassWeights(classWeights)},
		"temperature": {loss.WithTemperature(1.7)}, "softcap": {loss.WithSoftcap(3)}, "zloss": {loss.WithZLoss(0.01)},
		"prior": {loss.WithLogPrior(s.bias)},
		"all": {loss.WithLabelSmoothing(0.1), loss.WithClassWeights(classWeights), loss.WithTemperature(2),
			loss.WithSoftcap(4), loss.WithZLoss(0.1)},
	} {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			tolerance := 1e-12
			if dt == tensor.Float32 {
				tolerance = 4e-5
			}
			for _, reduction := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
				for _, data := range [][]string{nil, {"weights"}, {"mask"}, {"weights", "mask"}} {
					for k := range 4 {
						soft, bias := k&1 != 0, k&2 != 0
						opts := append(slices.Clone(opts), loss.WithReduction(reduction))
						title := fmt.Sprintf("%s %v %v %v soft=%t bias=%t", name, dt, reduction, data, soft, bias)
						got, err := s.run(dt, false, soft, bias, opts, data...)
						if err != nil {
							t.Fatalf("%s: %v", title, err)
						}
						want, err := s.run(dt, true, soft, bias, opts, data...)
						if err != nil {
							t.Fatalf("%s, dense: %v", title, err)
						}
						for i := range want {
							for j, w := range want[i] {
								if d := math.Abs(got[i][j] - w); !(d <= tolerance*max(1, math.Abs(w))) {
									t.Fatalf("%s: result %d[%d] is %v, dense %v", title, i, j, got[i][j], w)
								}
							}
						}
					}
				}
			}
		}
	}
}

// Rows that are ignored, masked or of weight 0 are never read: NaN and labels out of range in them
// change nothing.
func TestLinearLeavesRowsOut(t *testing.T) {
	s := newLinearSample(12, 3, 5)
	s.mask[0], s.labels[1], s.weights[2] = 0, -100, 0
	opts := []loss.Option{loss.WithReduction(loss.Mean)}
	want, err := s.run(tensor.Float64, false, false, true, opts, "weights", "mask")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for j := range s.h {
			s.hidden[i*s.h+j] = []float64{math.NaN(), math.Inf(1), 3e38}[i]
		}
	}
	s.labels[0], s.labels[2], s.weights[0], s.weights[1] = 99, -7, math.NaN(), math.Inf(1)
	got, err := s.run(tensor.Float64, false, false, true, opts, "weights", "mask")
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("result %d is %v, want %v as without the rows' content", i, got[i], want[i])
		}
	}
	for j, v := range got[1][:3*s.h] {
		if v != 0 {
			t.Errorf("the gradient of hidden has %v at %d, in a row that does not count", v, j)
		}
	}
}

// All rows left out: the loss and every gradient are exactly 0.
func TestLinearOfNothing(t *testing.T) {
	s := newLinearSample(4, 3, 5)
	for i := range s.labels {
		s.labels[i] = -100
	}
	s.weight[0], s.hidden[0] = math.NaN(), math.Inf(1)
	for _, reduction := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
		got, err := s.run(tensor.Float32, false, false, true, []loss.Option{loss.WithReduction(reduction)})
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range got {
			for _, v := range x {
				if v != 0 {
					t.Errorf("%v: result %d is %v, want zeros", reduction, i, x)
					break
				}
			}
		}
	}
}

// A row with NaN is NaN alone; a bias of -Inf masks its class, which then has no gradient.
func TestLinearHostileValues(t *testing.T) {
	s := newLinearSample(4, 2, 3)
	s.labels = []int{0, 1, 0, 1}
	s.hidden[2] = math.NaN() // row 1
	s.bias[2] = math.Inf(-1)
	got, err := s.run(tensor.Float64, false, false, true, []loss.Option{loss.WithReduction(loss.None)})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got[0] {
		if math.IsNaN(v) != (i == 1) {
			t.Errorf("value %d is %v", i, v)
		}
	}
	s.hidden[2] = 1
	if got, err = s.run(tensor.Float64, false, false, true, nil); err != nil {
		t.Fatal(err)
	}
	if w, b := got[2][4:], got[3][2]; w[0] != 0 || w[1] != 0 || b != 0 {
		t.Errorf("the masked class has the gradients %v and %v, want 0", w, b)
	}
	for i, v := range slices.Concat(got...) {
		if v-v != 0 {
			t.Errorf("number %d is %v, want it finite", i, v)
		}
	}
}

// More logits than are held at once: the rows are computed some after others, and the result is
// that of each row alone. Rows of 200,000 classes come in 16 or so at a time.
func TestLinearChunks(t *testing.T) {
	s := newLinearSample(70, 2, 200_000)
	l, err := eager.LinearCrossEntropy(loss.WithReduction(loss.Sum))
	if err != nil {
		t.Fatal(err)
	}
	weight := eager.Slice(s.weight, s.c, s.h)
	dst := make([]float64, s.c*s.h)
	whole, err := l.ValueGradients([]eager.Operand{{}, eager.Slice(dst, s.c, s.h)}, eager.Data{}, eager.Slice(s.hidden, s.n, s.h), weight, eager.Slice(s.labels))
	if err != nil {
		t.Fatal(err)
	}
	sum, grad, one := 0.0, make([]float64, len(dst)), make([]float64, len(dst))
	for i := range s.n {
		v, err := l.ValueGradients([]eager.Operand{{}, eager.Slice(one, s.c, s.h)}, eager.Data{}, eager.Slice(s.hidden[i*s.h:(i+1)*s.h], 1, s.h), weight, eager.Slice(s.labels[i:i+1]))
		if err != nil {
			t.Fatal(err)
		}
		sum += v
		for j := range grad {
			grad[j] += one[j]
		}
	}
	// 70 terms of size 10 in float64
	if math.Abs(whole-sum) > 1e-11 {
		t.Errorf("the sum is %v, that of the rows %v", whole, sum)
	}
	for j := range grad {
		if math.Abs(dst[j]-grad[j]) > 1e-13 {
			t.Fatalf("the gradient of weight at %d is %v, the rows' %v", j, dst[j], grad[j])
		}
	}
}
