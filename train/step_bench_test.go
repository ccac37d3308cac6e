package train

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// benchSteps measures the steps of a run: reading a batch, forward, backward and the update, as Fit
// makes them.
func benchSteps(b *testing.B, model Model, fn loss.Func, ds data.Dataset, cfg Config) {
	cfg.Epochs, cfg.Optimizer, cfg.KeepOrder = 1, optim.Adam(1e-3), true
	from := data.AsRecords(ds)
	r, err := newRun(background, model.network(), objectiveOf(fn), from, cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer r.close()
	rows, err := r.order(1)
	if err != nil {
		b.Fatal(err)
	}
	loader := data.NewLoader(from, nil, r.graph.batch, 0, r.graph.single)
	defer func() { loader.Close() }()
	b.ReportAllocs()
	for b.Loop() {
		if r.at.Batch == 0 {
			loader.Close()
			loader = data.NewLoader(from, rows, r.graph.batch, 0, r.graph.single)
		}
		if _, _, err := r.step(background, loader); err != nil {
			b.Fatal(err)
		}
		if r.at.Batch == r.batches {
			r.at.Batch = 0
		}
	}
}

// BenchmarkStep is a step of a network with one hidden layer, CrossEntropy and Adam; shapes are
// batch, inputs, hidden units and classes.
func BenchmarkStep(b *testing.B) {
	for _, dt := range []struct {
		name string
		of   tensor.Dtype
	}{{"f32", tensor.Float32}, {"f64", tensor.Float64}} {
		for _, s := range [][4]int{{32, 64, 128, 10}, {128, 784, 256, 10}} {
			b.Run(fmt.Sprintf("dtype=%s/shape=%dx%dx%dx%d", dt.name, s[0], s[1], s[2], s[3]), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 2))
				n := 8 * s[0]
				x, y := make([]float32, n*s[1]), make([]int, n)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				for i := range y {
					y[i] = rng.IntN(s[3])
				}
				spec := data.Spec{Input: data.Field{Kind: data.Float, Shape: []int{s[1]}}, Target: data.Field{Kind: data.Int}}
				ds, err := data.NewTable(n, spec, data.Column{F32: x}, data.Column{Int: y})
				if err != nil {
					b.Fatal(err)
				}
				model := func(m *Builder, x *G.Node) (*G.Node, error) {
					h, err := m.Dense("hidden", x, s[2])
					if err != nil {
						return nil, err
					}
					if h, err = G.Rectify(h); err != nil {
						return nil, err
					}
					return m.Dense("out", h, s[3])
				}
				benchSteps(b, model, loss.CrossEntropy, ds, Config{BatchSize: s[0], DType: dt.of})
			})
		}
	}
}

// BenchmarkWeightedStep is a step of an autoencoder 784-16-784 with an elementwise loss, whose time
// is mostly the loss's: on rows that count alike, on rows with random weights and with a random
// mask of the targets.
func BenchmarkWeightedStep(b *testing.B) {
	const batch, width = 256, 784
	rng := rand.New(rand.NewPCG(3, 4))
	x, weights, mask := make([]float32, 4*batch*width), make([]float64, 4*batch), make([]bool, 4*batch*width)
	for i := range x {
		x[i], mask[i] = rng.Float32(), rng.IntN(2) == 0
	}
	for i := range weights {
		weights[i] = 2 * rng.Float64()
	}
	field := data.Field{Kind: data.Float, Shape: []int{width}}
	plain, err := data.NewTable(4*batch, data.Spec{Input: field, Target: field}, data.Column{F32: x}, data.Column{F32: x})
	if err != nil {
		b.Fatal(err)
	}
	weighted, err := plain.WithWeights(weights)
	if err != nil {
		b.Fatal(err)
	}
	masked, err := data.WithMask(plain, mask)
	if err != nil {
		b.Fatal(err)
	}
	model := func(m *Builder, x *G.Node) (*G.Node, error) {
		h, err := m.Dense("encoder", x, 16)
		if err != nil {
			return nil, err
		}
		return m.Dense("decoder", h, width)
	}
	for _, c := range []struct {
		name string
		ds   data.Dataset
	}{{"none", plain}, {"rows", weighted}, {"mask", masked}} {
		b.Run("weights="+c.name, func(b *testing.B) {
			benchSteps(b, model, loss.BinaryCrossEntropy, c.ds, Config{BatchSize: batch})
		})
	}
}
