package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var background = context.Background()

// blobs makes n rows of three features around one of three centres each.
func blobs(t testing.TB, n int, seed uint64) *data.Table {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var x [][]float64
	var y []int
	for i := range n {
		row := []float64{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}
		row[i%3] += 2
		x, y = append(x, row), append(y, i%3)
	}
	ds, err := data.Classes(x, y)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func linear3(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("out", x, 3) }

func mlp(b *Builder, x *G.Node) (*G.Node, error) {
	h, err := b.Dense("hidden", x, 8)
	if err != nil {
		return nil, err
	}
	if h, err = G.Tanh(h); err != nil {
		return nil, err
	}
	if h, err = b.Dropout("drop", h, 0.25); err != nil {
		return nil, err
	}
	return b.Dense("out", h, 3)
}

func mustFit(t testing.TB, m Model, ds data.Dataset, cfg Config) *Result {
	t.Helper()
	res, err := Fit(background, m, loss.CrossEntropy, ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func sameParams(a, b *Net) bool {
	pa, pb := a.Params(), b.Params()
	return slices.EqualFunc(pa, pb, func(x, y *arrayT) bool {
		return x.Name == y.Name && slices.Equal(x.F32, y.F32) && slices.Equal(x.F64, y.F64)
	})
}

// softmaxStep is one gradient step of softmax regression written out: the loss before it and the
// parameters changed in place.
func softmaxStep(x [][]float64, y []int, w, b []float64, rate float64) float64 {
	classes := len(b)
	dw, db := make([]float64, len(w)), make([]float64, classes)
	var total float64
	for i, row := range x {
		z := slices.Clone(b)
		for j, v := range row {
			for c := range z {
				z[c] += v * w[j*classes+c]
			}
		}
		top := slices.Max(z)
		var s float64
		for _, v := range z {
			s += math.Exp(v - top)
		}
		total += top + math.Log(s) - z[y[i]]
		for c := range z {
			d := math.Exp(z[c]-top) / s
			if c == y[i] {
				d--
			}
			db[c] += d
			for j, v := range row {
				dw[j*classes+c] += v * d
			}
		}
	}
	n := float64(len(x))
	for i := range w {
		w[i] -= rate * dw[i] / n
	}
	for i := range b {
		b[i] -= rate * db[i] / n
	}
	return total / n
}

// TestShortLastBatch holds a run whose last batch has 2 of 4 rows against the same steps written
// out.
func TestShortLastBatch(t *testing.T) {
	ds := blobs(t, 10, 3)
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		tol := 1e-13 // float64: a few dozen roundings
		if dt == tensor.Float32 {
			tol = 2e-6
		}
		zero := func(b *Builder, x *G.Node) (*G.Node, error) {
			return b.DenseWith("out", x, 3, Constant(0.1), Constant(0))
		}
		res := mustFit(t, zero, ds, Config{Epochs: 2, BatchSize: 4, Optimizer: optim.SGD(0.5), KeepOrder: true, DType: dt})
		w, b := slices.Repeat([]float64{0.1}, 9), make([]float64, 3)
		for epoch := range 2 {
			var sum float64
			for from := 0; from < 10; from += 4 {
				var x [][]float64
				var y []int
				for i := from; i < min(from+4, 10); i++ {
					x, y = append(x, ds.Input(i).F64), append(y, ds.Target(i).Int[0])
				}
				sum += softmaxStep(x, y, w, b, 0.5) * float64(len(x))
			}
			if got, want := res.History.Epochs[epoch].Values["loss"], sum/10; math.Abs(got-want) > tol {
				t.Errorf("%v: loss of epoch %d is %v, want %v", dt, epoch+1, got, want)
			}
		}
		got := data.Column{F64: make([]float64, 9)}
		p := res.Params()[0]
		if err := got.Copy(data.Column{F32: p.F32, F64: p.F64}); err != nil {
			t.Fatal(err)
		}
		for i := range w {
			if math.Abs(got.F64[i]-w[i]) > tol {
				t.Errorf("%v: weight %d is %v, want %v", dt, i, got.F64[i], w[i])
			}
		}
	}
}

// TestEvaluationDoesNotDependOnBatches measures with padding in different places.
func TestEvaluationDoesNotDependOnBatches(t *testing.T) {
	ds := blobs(t, 300, 4) // 256 + 44 rows
	res := mustFit(t, linear3, ds, Config{Epochs: 1, Optimizer: optim.SGD(0.1), DType: tensor.Float64, Validation: ds, ValidationBatch: 7,
		Metrics: []metric.Metric{metric.NewAccuracy()}})
	v, err := res.Evaluate(background, loss.CrossEntropy, ds, metric.NewAccuracy())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := v["loss"], res.History.Last("val_loss"); math.Abs(got-want) > 1e-13 {
		t.Errorf("loss %v in batches of 256, %v in batches of 7", got, want)
	}
	if got, want := v["accuracy"], res.History.Last("val_accuracy"); got != want {
		t.Errorf("accuracy %v in batches of 256, %v in batches of 7", got, want)
	}
}

// TestSeedDecides runs on one and several cores, with and without reading ahead.
func TestSeedDecides(t *testing.T) {
	ds := blobs(t, 100, 5)
	cfg := Config{Epochs: 3, BatchSize: 16, Optimizer: optim.Adam(0.01), Seed: 7, Validation: ds, Metrics: []metric.Metric{metric.NewAccuracy()}}
	first := mustFit(t, mlp, ds, cfg)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	cfg.Prefetch = 3
	second := mustFit(t, mlp, ds, cfg)
	if !sameParams(first.Net, second.Net) {
		t.Error("the same seed gave other parameters on one core with reading ahead")
	}
	for i, e := range first.History.Epochs {
		for name, v := range e.Values {
			if got := second.History.Epochs[i].Values[name]; got != v {
				t.Errorf("epoch %d: %s is %v and %v for the same seed", i+1, name, v, got)
			}
		}
	}
	cfg.Seed = 8
	if third := mustFit(t, mlp, ds, cfg); sameParams(first.Net, third.Net) {
		t.Error("another seed gave the same parameters")
	}
}

func TestLearns(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		res := mustFit(t, mlp, blobs(t, 300, 1), Config{Epochs: 20, Optimizer: optim.Adam(0.01), DType: dt,
			Validation: blobs(t, 300, 2), Metrics: []metric.Metric{metric.NewAccuracy()}})
		// The best possible classifier of these three clouds is right in 88 % of all cases.
		if got := res.History.Last("val_accuracy"); got < 0.8 {
			t.Errorf("%v: accuracy %v after 20 epochs, want at least 0.8", dt, got)
		}
	}
}

func TestNonFinite(t *testing.T) {
	x, y := [][]float64{{1}, {2}, {3}, {4}}, [][]float64{{1}, {2}, {3}, {4}}
	ds, err := data.Values(x, y)
	if err != nil {
		t.Fatal(err)
	}
	m := func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("line", x, 1) }
	res, err := Fit(background, m, loss.MSE, ds, Config{Epochs: 100, BatchSize: 2, Optimizer: optim.SGD(1e12), KeepOrder: true})
	var bad *NonFiniteError
	if !errors.As(err, &bad) {
		t.Fatalf("error is %v, want a NonFiniteError", err)
	}
	if bad.Step < 2 || len(bad.Rows) != 2 || !strings.Contains(err.Error(), "step") || !strings.HasPrefix(err.Error(), "train.Fit: ") {
		t.Errorf("error %q with step %d and rows %v", err, bad.Step, bad.Rows)
	}
	if bad.What == "loss" && bad.Node == "" {
		t.Errorf("error %q names no node", err)
	}
	if res == nil || res.Steps != bad.Step-1 {
		t.Fatalf("result %+v, want one after %d steps", res, bad.Step-1)
	}
	for _, p := range res.Params() {
		if p.NonFinite() >= 0 {
			t.Errorf("parameter %q is not finite after the guard", p.Name)
		}
	}
}

// TestFirstBadNode plants the logarithm of a negative number behind a sound layer, alone and behind
// nodes of which Gorgonia rewrites some.
func TestFirstBadNode(t *testing.T) {
	for name, between := range map[string]func(h *G.Node) (*G.Node, error){
		"layer": func(h *G.Node) (*G.Node, error) { return h, nil },
		"cross-entropy of Gorgonia": func(h *G.Node) (*G.Node, error) {
			h, err := G.BinaryXent(G.Must(G.Sigmoid(h)), G.Must(G.Sigmoid(G.Must(G.Tanh(h)))))
			if err != nil {
				return nil, err
			}
			return G.Neg(G.Must(G.Exp(h)))
		},
	} {
		m := func(b *Builder, x *G.Node) (*G.Node, error) {
			h, err := b.DenseWith("in", x, 3, Constant(1), Constant(-100))
			if err != nil {
				return nil, err
			}
			if h, err = between(h); err != nil {
				return nil, err
			}
			if h, err = G.Log(h); err != nil {
				return nil, err
			}
			return b.Dense("out", h, 3)
		}
		_, err := Fit(background, m, loss.CrossEntropy, blobs(t, 9, 1), Config{Epochs: 1, Optimizer: optim.SGD(0.1), KeepOrder: true})
		var bad *NonFiniteError
		if !errors.As(err, &bad) || bad.Step != 1 || !strings.HasPrefix(bad.Node, `"ln"`) || strings.Contains(bad.Node, "loss.") {
			t.Fatalf("%s: error %v, want one at step 1 that names the logarithm", name, err)
		}
		if !slices.Equal(bad.Rows, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}) {
			t.Errorf("%s: rows %v", name, bad.Rows)
		}
	}
}

func TestCancel(t *testing.T) {
	ds := blobs(t, 64, 1)
	ctx, cancel := context.WithCancel(background)
	cfg := Config{Epochs: 50, BatchSize: 16, Optimizer: optim.SGD(0.1), Prefetch: 2,
		Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == StepDone && e.Step == 6 {
				cancel()
			}
			return nil
		})}}
	res, err := Fit(ctx, linear3, loss.CrossEntropy, ds, cfg)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "step 6") {
		t.Errorf("error %v, want the cancellation after step 6", err)
	}
	if res == nil || res.Steps != 6 || len(res.History.Epochs) != 1 {
		t.Errorf("result %+v, want 6 steps and one whole epoch", res)
	}
	if _, err := Fit(ctx, linear3, loss.CrossEntropy, ds, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of a context that was cancelled before, want its own", err)
	}
}

func TestStopFromCallback(t *testing.T) {
	res := mustFit(t, linear3, blobs(t, 64, 1), Config{Epochs: 50, Optimizer: optim.SGD(0.1),
		Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == EpochDone && e.Epoch == 3 {
				return ErrStop
			}
			return nil
		})}})
	if res.Stopped != "callback" || len(res.History.Epochs) != 3 {
		t.Errorf("stopped by %q after %d epochs, want by the callback after 3", res.Stopped, len(res.History.Epochs))
	}
}

func TestProgressLines(t *testing.T) {
	var buf bytes.Buffer
	mustFit(t, linear3, blobs(t, 64, 1), Config{Epochs: 2, Optimizer: optim.SGD(0.1), Progress: &buf})
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], "epoch 2/2  loss ") {
		t.Errorf("progress off a terminal is\n%s", buf.String())
	}
}
