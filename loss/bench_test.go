package loss_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// benchShapes are the shapes of every benchmark of this module: tiny, an image classifier, and two vocabularies.
var benchShapes = [][2]int{{64, 10}, {1024, 1000}, {512, 32000}, {128, 128256}}

// BenchmarkGraph measures one RunAll of a machine over a loss and its gradient by the prediction.
func BenchmarkGraph(b *testing.B) {
	cases := []struct {
		name   string
		fn     loss.Func
		target func(x []float64, classes int) []float64 // nil for labels
	}{
		{"CrossEntropy", loss.CrossEntropy, nil},
		{"CrossEntropySoft", loss.CrossEntropy, reversedSoftmax},
		{"KL", loss.KL, reversedSoftmax},
		{"BinaryCrossEntropy", loss.BinaryCrossEntropy, reversedSigmoid},
		{"MSE", loss.MSE, reversedSigmoid},
		{"Huber", loss.Huber, reversedSigmoid},
	}
	for _, c := range cases {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, shape := range benchShapes {
				bits := 8 * int(dt.Size())
				name := fmt.Sprintf("loss=%s/dtype=f%d/shape=%dx%d/pass=both", c.name, bits, shape[0], shape[1])
				b.Run(name, func(b *testing.B) { benchGraph(b, c.fn, c.target, dt, shape[0], shape[1]) })
			}
		}
	}
}

func benchGraph(b *testing.B, fn loss.Func, target func([]float64, int) []float64, dt tensor.Dtype, rows, classes int) {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, rows*classes)
	for i := range x {
		x[i] = 3 * r.NormFloat64()
	}
	g := G.NewGraph()
	pred := benchInput(g, dt, "pred", x, rows, classes)
	var t *G.Node
	if target == nil {
		labels := make([]int, rows)
		for i := range labels {
			labels[i] = r.IntN(classes)
		}
		t = G.NewVector(g, tensor.Int, G.WithName("labels"), G.WithShape(rows),
			G.WithValue(tensor.New(tensor.WithShape(rows), tensor.WithBacking(labels))))
	} else {
		t = benchInput(g, dt, "target", target(x, classes), rows, classes)
	}
	benchRuns(b, fn, pred, t)
}

// benchRuns measures runs of a machine over a loss and its gradient by the prediction.
func benchRuns(b *testing.B, fn loss.Func, pred, target *G.Node) {
	cost, err := fn(pred, target, loss.WithBufferReuse())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := loss.Gradients(cost, pred); err != nil {
		b.Fatal(err)
	}
	m, err := machine.New(pred.Graph())
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	// The first run takes the memory that the others keep.
	if err := m.RunAll(); err != nil {
		b.Fatal(err)
	}
	m.Reset()
	b.SetBytes(int64(pred.Shape().TotalSize()) * int64(pred.Dtype().Size()))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.RunAll(); err != nil {
			b.Fatal(err)
		}
		m.Reset()
	}
	if v, ok := cost.Value().Data().(float64); ok && math.IsNaN(v) {
		b.Fatal("the loss is NaN")
	}
}

func benchInput(g *G.ExprGraph, dt tensor.Dtype, name string, x []float64, shape ...int) *G.Node {
	var backing any = x
	if dt == tensor.Float32 {
		narrow := make([]float32, len(x))
		for i, v := range x {
			narrow[i] = float32(v)
		}
		backing = narrow
	}
	return G.NewTensor(g, dt, len(shape), G.WithName(name), G.WithShape(shape...),
		G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing))))
}

// reversedSoftmax returns the distributions whose logits are the rows of x in reverse order.
func reversedSoftmax(x []float64, classes int) []float64 {
	out := make([]float64, len(x))
	for lo := 0; lo < len(x); lo += classes {
		from := x[len(x)-lo-classes : len(x)-lo]
		sum := 0.0
		for i, v := range from {
			out[lo+i] = math.Exp(v)
			sum += out[lo+i]
		}
		for i := range from {
			out[lo+i] /= sum
		}
	}
	return out
}

// reversedSigmoid returns a probability for every element.
func reversedSigmoid(x []float64, _ int) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[len(x)-1-i] = 1 / (1 + math.Exp(-v))
	}
	return out
}
