package train

import (
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const benchRows, benchBatch, benchIn, benchHidden, benchOut = 2560, 128, 784, 256, 10

// benchData is like MNIST: four pixels of five are 0.
func benchData() (x []float32, y []int) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y = make([]float32, benchRows*benchIn), make([]int, benchRows)
	for i := range x {
		if rng.IntN(5) == 0 {
			x[i] = rng.Float32()
		}
	}
	for i := range y {
		y[i] = rng.IntN(benchOut)
	}
	return x, y
}

// BenchmarkEpoch is an epoch of 20 batches of a network 784-256-10 with Adam: with this package,
// and with Gorgonia's own parts put together as its examples do (whose softmax is stable here only
// because the logits are small).
func BenchmarkEpoch(b *testing.B) {
	x, y := benchData()
	b.Run("impl=train", func(b *testing.B) {
		spec := data.Spec{Input: data.Field{Kind: data.Float, Shape: []int{benchIn}}, Target: data.Field{Kind: data.Int}}
		ds, err := data.NewTable(benchRows, spec, data.Column{F32: x}, data.Column{Int: y})
		if err != nil {
			b.Fatal(err)
		}
		model := func(m *Builder, x *G.Node) (*G.Node, error) {
			h, err := m.Dense("hidden", x, benchHidden)
			if err != nil {
				return nil, err
			}
			if h, err = G.Rectify(h); err != nil {
				return nil, err
			}
			return m.Dense("out", h, benchOut)
		}
		b.ReportAllocs()
		res, err := Fit(background, model, loss.CrossEntropy, ds, Config{Epochs: max(1, b.N), BatchSize: benchBatch, Optimizer: optim.Adam(1e-3), Prefetch: 2})
		if err != nil {
			b.Fatal(err)
		}
		t := res.Time
		b.ReportMetric(100*t.Overhead(), "%overhead")
		b.ReportMetric(100*float64(t.Update)/float64(t.Total-t.Setup), "%update")
	})
	b.Run("impl=gorgonia", func(b *testing.B) {
		g := G.NewGraph()
		matrix := func(name string, r, c int, opts ...G.NodeConsOpt) *G.Node {
			return G.NewMatrix(g, tensor.Float32, append([]G.NodeConsOpt{G.WithShape(r, c), G.WithName(name)}, opts...)...)
		}
		in, target := matrix("x", benchBatch, benchIn), matrix("y", benchBatch, benchOut)
		w1, w2 := matrix("w1", benchIn, benchHidden, G.WithInit(G.GlorotU(1))), matrix("w2", benchHidden, benchOut, G.WithInit(G.GlorotU(1)))
		b1, b2 := matrix("b1", 1, benchHidden, G.WithInit(G.Zeroes())), matrix("b2", 1, benchOut, G.WithInit(G.Zeroes()))
		h := G.Must(G.Rectify(G.Must(G.BroadcastAdd(G.Must(G.Mul(in, w1)), b1, nil, []byte{0}))))
		p := G.Must(G.SoftMax(G.Must(G.BroadcastAdd(G.Must(G.Mul(h, w2)), b2, nil, []byte{0}))))
		cost := G.Must(G.Neg(G.Must(G.Mean(G.Must(G.Sum(G.Must(G.HadamardProd(target, G.Must(G.Log(p)))), 1))))))
		learn := G.Nodes{w1, b1, w2, b2}
		if _, err := G.Grad(cost, learn...); err != nil {
			b.Fatal(err)
		}
		vm := G.NewTapeMachine(g, G.BindDualValues(learn...))
		defer vm.Close()
		solver := G.NewAdamSolver(G.WithLearnRate(1e-3))
		hot := make([]float32, benchRows*benchOut)
		for i, c := range y {
			hot[i*benchOut+c] = 1
		}
		b.ReportAllocs()
		for b.Loop() {
			for i := 0; i < benchRows; i += benchBatch {
				if err := G.Let(in, dense(x[i*benchIn:(i+benchBatch)*benchIn], benchBatch, benchIn)); err != nil {
					b.Fatal(err)
				}
				if err := G.Let(target, dense(hot[i*benchOut:(i+benchBatch)*benchOut], benchBatch, benchOut)); err != nil {
					b.Fatal(err)
				}
				if err := vm.RunAll(); err != nil {
					b.Fatal(err)
				}
				if err := solver.Step(G.NodesToValueGrads(learn)); err != nil {
					b.Fatal(err)
				}
				vm.Reset()
			}
		}
	})
}
