package train

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestGradients holds the gradients of every layer against central differences of the loss.
func TestGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const rows, vocabulary = 5, 7
	var ids, labels []int
	for range rows {
		ids = append(ids, rng.IntN(3), rng.IntN(vocabulary)) // tokens repeat
		labels = append(labels, rng.IntN(4))
	}
	spec := data.Spec{Input: data.Field{Kind: data.Int, Shape: []int{2}}, Target: data.Field{Kind: data.Int}}
	ds, err := data.NewTable(rows, spec, data.Column{Int: ids}, data.Column{Int: labels})
	if err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		e, err := b.Embedding("embed", x, vocabulary, 3)
		if err != nil {
			return nil, err
		}
		if e, err = G.Reshape(e, tensor.Shape{b.Batch(), 6}); err != nil {
			return nil, err
		}
		h, err := b.Dense("hidden", e, 5)
		if err != nil {
			return nil, err
		}
		if h, err = G.Tanh(h); err != nil {
			return nil, err
		}
		if h, err = b.Dropout("drop", h, 0.3); err != nil {
			return nil, err
		}
		return b.DenseWith("out", h, 4, Glorot(), nil)
	}
	r, err := newRun(background, Model(model).network(), objectiveOf(loss.CrossEntropy), data.AsRecords(ds), Config{Epochs: 1, BatchSize: 8, Optimizer: optim.SGD(1), DType: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	batch := data.NewBatch(spec.Fields(), 8, false)
	if err := batch.Fill(data.AsRecords(ds), []int{0, 1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	value := func() float64 {
		if err := r.forwardBatch(background, batch, func(float64) error { return nil }); err != nil {
			t.Fatal(err)
		}
		return r.graph.loss()
	}
	value()
	var analytic [][]float64
	for _, g := range r.graph.grads {
		analytic = append(analytic, append([]float64(nil), g.F64...))
	}
	for i, p := range r.net.params.list {
		for k := range p.F64 {
			const h = 1e-5
			old := p.F64[k]
			p.F64[k] = old + h
			up := value()
			p.F64[k] = old - h
			down := value()
			p.F64[k] = old
			// Central differences at this step are right to about h² and ε/h, both near 1e-10.
			if want := (up - down) / (2 * h); math.Abs(analytic[i][k]-want) > 1e-8 {
				t.Errorf("gradient of %s at %d is %v, want %v", p.Name, k, analytic[i][k], want)
			}
		}
	}
}

// TestDropout: the mean over many masks is the input, the mask changes from step to step and is the
// same for the same step.
func TestDropout(t *testing.T) {
	n := &noise{name: "d", p: 0.3, buf: data.Column{F64: make([]float64, 10000)}}
	n.draw(1, 1)
	first := append([]float64(nil), n.buf.F64...)
	zeros, total := 0, 0.0
	for _, v := range first {
		switch v {
		case 0:
			zeros++
		case 1 / 0.7:
		default:
			t.Fatalf("mask has %v, want 0 or %v", v, 1/0.7)
		}
		total += v
	}
	// Four standard deviations of 10000 draws.
	if got := float64(zeros) / 10000; math.Abs(got-0.3) > 4*math.Sqrt(.21/10000) {
		t.Errorf("share of zeros is %v, want 0.3", got)
	}
	if got := total / 10000; math.Abs(got-1) > 0.03 {
		t.Errorf("mean of the mask is %v, want 1", got)
	}
	n.draw(1, 2)
	same := 0
	for i, v := range n.buf.F64 {
		if v == first[i] {
			same++
		}
	}
	if same > 7000 {
		t.Errorf("%d of 10000 numbers agree in two steps, want about 5800", same)
	}
	n.draw(1, 1)
	for i, v := range n.buf.F64 {
		if v != first[i] {
			t.Fatal("the mask of a step differs the second time")
		}
	}
}

// TestEvaluationLeavesWeightsAlone: graphs share the numbers of the parameters, and running one
// must not change them.
func TestEvaluationLeavesWeightsAlone(t *testing.T) {
	ds := blobs(t, 100, 1)
	plain := func(b *Builder, x *G.Node) (*G.Node, error) {
		w, err := b.Param("w", Normal(1), 3, 3)
		if err != nil {
			return nil, err
		}
		v, err := b.Param("v", Normal(1), 3, 3)
		if err != nil {
			return nil, err
		}
		if x, err = G.Mul(x, w); err != nil { // Gorgonia's own product transposes operands while it works
			return nil, err
		}
		if x, err = G.Tanh(x); err != nil {
			return nil, err
		}
		return G.Mul(x, v)
	}
	res := mustFit(t, plain, ds, Config{Epochs: 1, Optimizer: optim.SGD(0.1)})
	before := res.Params()
	for range 3 {
		if _, err := res.Evaluate(background, loss.CrossEntropy, ds, metric.NewAccuracy()); err != nil {
			t.Fatal(err)
		}
		if _, err := res.Predict(background, ds); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range res.Params() {
		for k, v := range p.F32 {
			if v != before[i].F32[k] {
				t.Fatalf("%s changed at %d", p.Name, k)
			}
		}
	}
}

func TestEmbeddingIndexOutOfRange(t *testing.T) {
	spec := data.Spec{Input: data.Field{Kind: data.Int, Shape: []int{1}}, Target: data.Field{Kind: data.Int}}
	ds, err := data.NewTable(2, spec, data.Column{Int: []int{1, 9}}, data.Column{Int: []int{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	m := func(b *Builder, x *G.Node) (*G.Node, error) {
		e, err := b.Embedding("e", x, 5, 2)
		if err != nil {
			return nil, err
		}
		return G.Reshape(e, tensor.Shape{b.Batch(), 2})
	}
	_, err = Fit(background, m, loss.CrossEntropy, ds, Config{Epochs: 1, Optimizer: optim.SGD(1), KeepOrder: true})
	if want := "embedding index 1 is 9, want an index in [0, 5)"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}
