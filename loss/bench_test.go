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

// benchShapes are the shapes of every benchmark of this module: tiny, an image classifier, and two
// vocabularies.
var benchShapes = [][2]int{{64, 10}, {1024, 1000}, {512, 32000}, {128, 128256}}

// fewClasses are many rows of few classes: a small vocabulary, pixels, digits, yes or no.
var fewClasses = [][2]int{{8192, 128}, {65536, 21}, {100000, 10}, {1000000, 2}}

// optionShapes are the shapes of the benchmarks with options: an image classifier and pixels.
var optionShapes = [][2]int{{1024, 1000}, {65536, 21}}

// A graphBenchmark is a loss with one option, and the data that it is measured on.
type graphBenchmark struct {
	loss, option string
	fn           loss.Func
	target       func(x []float64, classes int) []float64 // nil for labels
	opts         func(d *graphData) []loss.Option
	none         bool // reduction None, and the gradient for a random upstream
	nchw         bool // the same numbers as (1, classes, rows), with the classes along axis 1
	ignored      bool // every second label is ignored
}

func (c graphBenchmark) name(dt tensor.Dtype, shape [2]int) string {
	option := ""
	if c.option != "" {
		option = "option=" + c.option + "/"
	}
	return fmt.Sprintf("loss=%s/%sdtype=%s/shape=%dx%d/pass=both", c.loss, option, dtypeName(dt), shape[0], shape[1])
}

// The losses without options.
var plainGraphs = []graphBenchmark{
	{loss: "CrossEntropy", fn: loss.CrossEntropy},
	{loss: "CrossEntropySoft", fn: loss.CrossEntropy, target: reversedSoftmax},
	{loss: "KL", fn: loss.KL, target: reversedSoftmax},
	{loss: "BinaryCrossEntropy", fn: loss.BinaryCrossEntropy, target: reversedSigmoid},
	{loss: "MSE", fn: loss.MSE, target: reversedSigmoid},
	{loss: "Huber", fn: loss.Huber, target: reversedSigmoid},
}

// BenchmarkGraph measures one RunAll of a machine over a loss and its gradient by the
// prediction: the plain forms, those for few classes, and those with an option.
func BenchmarkGraph(b *testing.B) {
	run := func(c graphBenchmark, shapes [][2]int) {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, shape := range shapes {
				b.Run(c.name(dt, shape), func(b *testing.B) { c.run(b, dt, shape[0], shape[1]) })
			}
		}
	}
	for _, c := range plainGraphs {
		run(c, benchShapes)
		if c.loss == "CrossEntropy" || c.loss == "KL" {
			run(c, fewClasses)
		}
	}
	run(graphBenchmark{loss: "SoftmaxFocal", fn: loss.SoftmaxFocal}, fewClasses)
	for _, c := range optionGraphs {
		run(c, optionShapes)
	}
	for _, c := range rowGraphs {
		run(c, optionShapes)
	}
	for _, c := range listGraphs {
		run(c, listShapes)
	}
	benchEmbeddings(b)
	for _, f := range familyGraphs {
		b.Run(f.name, f.run)
	}
}

// familyGraphs are the benchmarks of losses of other shapes, listed by their families.
var familyGraphs []struct {
	name string
	run  func(b *testing.B)
}

// graphData is the data of a benchmark while its graph is built.
type graphData struct {
	g             *G.ExprGraph
	r             *rand.Rand
	dt            tensor.Dtype
	rows, classes int
}

// run builds the graph and measures its runs.
func (c graphBenchmark) run(b *testing.B, dt tensor.Dtype, rows, classes int) {
	d := &graphData{G.NewGraph(), rand.New(rand.NewPCG(1, 2)), dt, rows, classes}
	x := make([]float64, rows*classes)
	for i := range x {
		x[i] = 3 * d.r.NormFloat64()
	}
	opts := []loss.Option{loss.WithBufferReuse()}
	shape, labelShape := []int{rows, classes}, []int{rows}
	if c.nchw {
		shape, labelShape = []int{1, classes, rows}, []int{1, rows}
		opts = append(opts, loss.WithAxis(1))
	}
	pred := benchInput(d.g, dt, "pred", x, shape...)
	var target *G.Node
	if c.target == nil {
		labels := make([]int, rows)
		for i := range labels {
			if labels[i] = d.r.IntN(classes); c.ignored && i%2 == 1 {
				labels[i] = -100
			}
		}
		target = G.NewTensor(d.g, tensor.Int, len(labelShape), G.WithName("labels"), G.WithShape(labelShape...),
			G.WithValue(tensor.New(tensor.WithShape(labelShape...), tensor.WithBacking(labels))))
	} else {
		target = benchInput(d.g, dt, "target", c.target(x, classes), shape...)
	}
	if c.opts != nil {
		opts = append(opts, c.opts(d)...)
	}
	if !c.none {
		benchRuns(b, c.fn, pred, target, opts...)
		return
	}
	out, err := c.fn(pred, target, append(opts, loss.WithReduction(loss.None))...)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := loss.VJP(out, benchInput(d.g, dt, "upstream", d.uniform(out.Shape().TotalSize(), 0, 1), out.Shape()...), pred); err != nil {
		b.Fatal(err)
	}
	benchMachine(b, pred, out)
}

// benchRuns measures runs of a machine over a loss and its gradient by the prediction.
func benchRuns(b *testing.B, fn loss.Func, pred, target *G.Node, opts ...loss.Option) {
	cost, err := fn(pred, target, append(opts, loss.WithBufferReuse())...)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := loss.Gradients(cost, pred); err != nil {
		b.Fatal(err)
	}
	benchMachine(b, pred, cost)
}

// benchMachine measures runs of a machine over the graph of pred and cost.
func benchMachine(b *testing.B, pred, cost *G.Node) {
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
	if v := floats(cost.Value())[0]; math.IsNaN(v) {
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
