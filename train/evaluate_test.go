package train

import (
	"hash"
	"hash/fnv"
	"maps"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestEvaluateBuildsOnce: a later call with the same loss builds no model, and one with another
// loss, whatever it hides its difference in, gets its own values.
func TestEvaluateBuildsOnce(t *testing.T) {
	net, ds, sizes := trained(t, tensor.Float64)
	gamma := 1.0
	focal := func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		return loss.SoftmaxFocal(pred, target, append(opts, loss.WithGamma(gamma))...)
	}
	factor := func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		x := tensor.New(tensor.WithShape(pred.Shape()...), tensor.WithBacking(make([]float64, pred.Shape().TotalSize())))
		if err := x.Memset(gamma); err != nil {
			return nil, err
		}
		leaf := G.NewMatrix(pred.Graph(), tensor.Float64, G.WithShape(x.Shape()...), G.WithName("factor"), G.WithValue(x))
		scaled, err := G.HadamardProd(pred, leaf)
		if err != nil {
			return nil, err
		}
		return loss.CrossEntropy(scaled, target, opts...)
	}
	values := map[string]map[float64]float64{"focal": {}, "factor": {}}
	for round, g := range []float64{1, 1, 3, 1, 3} {
		gamma = g
		for name, fn := range map[string]loss.Func{"focal": focal, "factor": factor} {
			*sizes = nil
			v, err := net.Evaluate(background, fn, ds, metric.NewAccuracy())
			if err != nil {
				t.Fatal(err)
			}
			old, known := values[name][g]
			if built := len(*sizes) > 0; built == known {
				t.Errorf("round %d of %s: a model was built: %v, want %v", round, name, built, !known)
			}
			if known && v["loss"] != old {
				t.Errorf("round %d of %s: the loss is %v, was %v", round, name, v["loss"], old)
			}
			values[name][g] = v["loss"]
		}
	}
	for name, v := range values {
		if v[1] == v[3] {
			t.Errorf("%s: the loss is %v for either factor", name, v[1])
		}
	}
	// As many rows, other targets.
	masked, err := data.WithMask(ds, make([]bool, ds.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := net.Evaluate(background, focal, masked); err == nil {
		t.Errorf("values %v of rows that are all masked", v)
	}
	if n := len(net.evaluators.idle); n > 2*runtime.GOMAXPROCS(0) {
		t.Errorf("%d graphs are kept", n)
	}
}

// TestEvaluateNamedBuildsOnce: graphs are told apart by the terms, with their factors, names and
// what they hide, and by what the metrics compare, in their order. Each case has the values of a
// model without kept graphs, and a second call builds nothing.
func TestEvaluateNamedBuildsOnce(t *testing.T) {
	ds := garden(t, 30, 5)
	built := 0
	model := func(b *Builder, in Nodes) (Nodes, error) {
		built++
		return gardener(b, in)
	}
	net, err := FitNamed(background, model, harvest(), ds, Config{Epochs: 1, Optimizer: optim.Adam(0.02), DType: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	other := func(change func(o Objective)) Objective {
		o := harvest()
		change(o)
		return o
	}
	delta := 1.0
	hidden := func(out, target Nodes, opts ...loss.Option) (*G.Node, error) {
		return loss.Huber(out["height"], target["height"], append(opts, loss.WithDelta(delta))...)
	}
	cases := map[string]struct {
		o       Objective
		delta   float64
		metrics []metric.Metric
	}{
		"no metrics": {o: harvest()},
		"of species": {harvest(), 1, []metric.Metric{metric.NewAccuracy()}},
		"species, tags": {harvest(), 1,
			[]metric.Metric{On("species", "species", metric.NewAccuracy()), On("tags", "tags", metric.NewAccuracy())}},
		"tags, species": {harvest(), 1,
			[]metric.Metric{On("tags", "tags", metric.NewAccuracy()), On("species", "species", metric.NewAccuracy())}},
		"factor":          {o: other(func(o Objective) { o[1].Factor = 0.5 })},
		"name":            {o: other(func(o Objective) { o[2].Name = "distance" })},
		"order":           {o: other(slices.Reverse[Objective])},
		"hidden delta 1":  {o: other(func(o Objective) { o[1].Loss, o[1].Build = nil, hidden }), delta: 1},
		"hidden delta .2": {o: other(func(o Objective) { o[1].Loss, o[1].Build = nil, hidden }), delta: 0.2},
	}
	evaluate := func(net *Net, name string) Values {
		c := cases[name]
		delta = c.delta
		v, err := net.EvaluateNamed(background, c.o, ds, fresh(c.metrics)...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return v
	}
	for range 2 {
		for name := range cases {
			alone := evaluate(&Net{model: net.model, about: net.about, params: net.params}, name)
			first := evaluate(net.Net, name)
			built = 0
			second := evaluate(net.Net, name)
			if !maps.Equal(first, alone) || !maps.Equal(second, alone) {
				t.Errorf("%s: values %v and %v, want %v", name, first, second, alone)
			}
			if built > 0 {
				t.Errorf("%s: the second call builds %d models", name, built)
			}
		}
	}
	// A kept graph reads the records of its call.
	few, err := data.SubsetRecords(ds, []int{0, 0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 0})
	if err != nil {
		t.Fatal(err)
	}
	all := evaluate(net.Net, "factor")
	built = 0
	if v, err := net.EvaluateNamed(background, cases["factor"].o, few); err != nil || v["loss"] == all["loss"] || built > 0 {
		t.Errorf("other rows have the values %v after %v, with %d models built (error %v)", v, all, built, err)
	}
}

// opaque is an operation whose name and hash do not say what it does.
type opaque struct {
	G.Op
	factor float64
}

func (opaque) WriteHash(h hash.Hash) { h.Write([]byte("opaque")) }

func (o opaque) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o opaque) Do(in ...G.Value) (G.Value, error) {
	v, err := o.Op.Do(in...)
	if err != nil {
		return nil, err
	}
	for i, x := range v.Data().([]float64) {
		v.Data().([]float64)[i] = o.factor * x
	}
	return v, nil
}

// TestEvaluateOfOpaqueLoss: a graph with an operation that may hold anything is not used again.
func TestEvaluateOfOpaqueLoss(t *testing.T) {
	net, ds, _ := trained(t, tensor.Float64)
	factor := 1.0
	fn := func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		square, err := G.Square(pred)
		if err != nil {
			return nil, err
		}
		scaled, err := G.ApplyOp(opaque{square.Op(), factor}, pred)
		if err != nil {
			return nil, err
		}
		return loss.CrossEntropy(scaled, target, opts...)
	}
	var before float64
	for i := range 3 {
		factor = float64(i) + 1
		v, err := net.Evaluate(background, fn, ds)
		if err != nil {
			t.Fatal(err)
		}
		if v["loss"] == before || math.IsNaN(v["loss"]) {
			t.Errorf("the loss is %v with the factors %v and %v", before, factor-1, factor)
		}
		before = v["loss"]
	}
	if n := len(net.evaluators.idle); n != 0 {
		t.Errorf("%d graphs are kept", n)
	}
}

// BenchmarkEvaluate measures one row and 600, whose graphs were built before.
func BenchmarkEvaluate(b *testing.B) {
	net, ds, _ := trained(b, tensor.Float32)
	one, err := data.Subset(ds, []int{7})
	if err != nil {
		b.Fatal(err)
	}
	for name, ds := range map[string]data.Dataset{"rows=1": one, "rows=600": ds} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := net.Evaluate(background, loss.CrossEntropy, ds, metric.NewAccuracy()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
