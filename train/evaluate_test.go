package train

import (
	"hash"
	"hash/fnv"
	"math"
	"runtime"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
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
