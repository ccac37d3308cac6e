package train

import (
	"context"
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

// sequences makes n rows of two features with several labels each, of which some are ignored.
func sequences(t *testing.T, n, labels, classes int, ignored bool) *data.Table {
	t.Helper()
	rng := rand.New(rand.NewPCG(4, 1))
	var x data.Column
	var y data.Column
	for i := range n {
		x.F64 = append(x.F64, rng.NormFloat64(), rng.NormFloat64())
		for j := range labels {
			y.Int = append(y.Int, rng.IntN(classes))
			if ignored && (i+j)%4 == 0 {
				y.Int[len(y.Int)-1] = metric.Ignored
			}
		}
	}
	ds, err := data.NewTable(n, data.Spec{Input: data.Field{Kind: data.Float, Shape: []int{2}}, Target: data.Field{Kind: data.Int, Shape: []int{labels}}}, x, y)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// shaped is a linear model whose output has the given axes after the rows.
func shaped(axes ...int) Model {
	return func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("out", x, total(axes))
		if err != nil {
			return nil, err
		}
		return G.Reshape(h, append(tensor.Shape{b.Batch()}, axes...))
	}
}

// onAxis is cross-entropy of classes on an axis.
func onAxis(axis int) loss.Func {
	return func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		return loss.CrossEntropy(pred, target, append(opts, loss.WithAxis(axis))...)
	}
}

// TestClassesOnAnyAxis: the accuracy of a sequence is what its predictions say, whichever axis has
// the classes, also where all axes have one length, and with ignored labels.
func TestClassesOnAnyAxis(t *testing.T) {
	for _, c := range []struct{ labels, classes int }{{2, 5}, {5, 2}, {3, 3}, {1, 3}, {1, 1}} {
		for _, first := range []bool{false, true} {
			for _, ignored := range []bool{false, true} {
				ds := sequences(t, 21, c.labels, c.classes, ignored)
				model, fn := shaped(c.labels, c.classes), onAxis(-1)
				if first {
					model, fn = shaped(c.classes, c.labels), onAxis(1)
				}
				res, err := Fit(background, model, fn, ds, Config{Epochs: 2, BatchSize: 4, Optimizer: optim.SGD(0.1), DType: tensor.Float64,
					Validation: ds, Metrics: []metric.Metric{metric.NewAccuracy()}})
				if err != nil {
					t.Errorf("%+v, classes first %v, ignored %v: %v", c, first, ignored, err)
					continue
				}
				out, err := res.Predict(background, ds)
				if err != nil {
					t.Fatal(err)
				}
				scores := out.Data().([]float64)
				hits, n := 0.0, 0.0
				for i := range ds.Len() {
					for j, label := range ds.Target(i).Int {
						if label == metric.Ignored {
							continue
						}
						at := func(k int) float64 {
							if first {
								return scores[(i*c.classes+k)*c.labels+j]
							}
							return scores[(i*c.labels+j)*c.classes+k]
						}
						best := 0
						for k := range c.classes {
							if at(k) > at(best) {
								best = k
							}
						}
						n++
						if best == label {
							hits++
						}
					}
				}
				if got := res.History.Epochs[1].Values["val_accuracy"]; got != hits/n {
					t.Errorf("%+v, classes first %v, ignored %v: accuracy %v, want %v", c, first, ignored, got, hits/n)
				}
			}
		}
	}
}

// TestNoClassAxis: outputs in which metrics cannot find the classes are refused, while a loss alone
// is measured.
func TestNoClassAxis(t *testing.T) {
	accuracy := []metric.Metric{metric.NewAccuracy()}
	cfg := Config{Epochs: 1, BatchSize: 4, Optimizer: optim.SGD(0.1)}
	square := sequences(t, 8, 3, 3, false)
	res, err := Fit(background, shaped(3, 3), onAxis(1), square, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := res.Evaluate(background, nil, square, accuracy...); err == nil || !strings.Contains(err.Error(), "cannot tell classes from labels in the output (8, 3, 3)") {
		t.Errorf("no loss to tell by: error %v", err)
	}
	if _, err := res.Evaluate(background, onAxis(1), square, accuracy...); err != nil {
		t.Error(err)
	}
	// A loss of its own shape: three labels of two classes in an output of 6 numbers that has
	// neither axis.
	flat := func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		rows := pred.Shape()[0]
		p, err := G.Reshape(pred, tensor.Shape{rows, 3, 2})
		if err != nil {
			return nil, err
		}
		return loss.CrossEntropy(p, target, opts...)
	}
	ds := sequences(t, 8, 3, 2, false)
	if _, err := Fit(background, shaped(1, 2, 3), flat, ds, cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Metrics = accuracy
	if _, err := Fit(background, shaped(1, 6), flat, ds, cfg); err == nil || !strings.Contains(err.Error(), "metrics have no classes to compare") {
		t.Errorf("no axis of classes: error %v", err)
	}
}

// TestMetricsAreFilled: after a run the metrics of its configuration hold what the last epoch
// measured.
func TestMetricsAreFilled(t *testing.T) {
	train, val := blobs(t, 30, 1), blobs(t, 45, 2)
	for _, held := range []data.Dataset{nil, val} {
		c := metric.NewConfusion(3)
		cfg := Config{Epochs: 3, BatchSize: 8, Optimizer: optim.SGD(0.1), Validation: held, Metrics: []metric.Metric{c, metric.NewAccuracy()}}
		name, rows := "accuracy", train.Len()
		if held != nil {
			name, rows = "val_accuracy", held.Len()
		}
		var seen []float64
		cfg.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == EpochDone {
				seen = append(seen, c.Value()-e.Record.Values[name])
			}
			return nil
		})}
		res := mustFit(t, linear3, train, cfg)
		var n float64
		for _, row := range c.Counts() {
			for _, v := range row {
				n += v
			}
		}
		if got, want := c.Value(), res.History.Epochs[2].Values[name]; n != float64(rows) || got != want {
			t.Errorf("%s: the matrix has %v rows and the accuracy %v, want %d and %v", name, n, got, rows, want)
		}
		for i, d := range seen {
			if d != 0 {
				t.Errorf("%s: at the end of epoch %d the matrix is off by %v", name, i+1, d)
			}
		}
	}
}

func TestMetricFaults(t *testing.T) {
	ds := blobs(t, 12, 1)
	cfg := Config{Epochs: 1, BatchSize: 4, Optimizer: optim.SGD(0.1), Metrics: []metric.Metric{metric.NewTopK(0)}}
	if _, err := Fit(background, linear3, loss.CrossEntropy, ds, cfg); err == nil || !strings.Contains(err.Error(), "metric.TopK: K is 0") || strings.Contains(err.Error(), "step") {
		t.Errorf("error %v, want one before the first step", err)
	}
	cfg.Metrics = nil
	res := mustFit(t, linear3, ds, cfg)
	if _, err := res.Evaluate(background, nil, ds, metric.NewConfusion(0)); err == nil || !strings.Contains(err.Error(), "number of classes is 0") {
		t.Errorf("error %v", err)
	}
	// Rows are those of the dataset: the last of 300 lies in the second batch of an evaluation.
	labels := make([]int, 300)
	labels[299] = 8
	x := make([][]float64, 300)
	for i := range x {
		x[i] = []float64{1, 2, 3}
	}
	bad, err := data.Classes(x, labels)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := res.Evaluate(background, nil, bad, metric.NewAccuracy()); err == nil || !strings.Contains(err.Error(), "label of row 299 is 8") {
		t.Errorf("error %v, want one of row 299", err)
	}
}
