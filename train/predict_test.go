package train

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// trained returns a model of blobs and the sizes of the graphs that are built after its training.
func trained(t testing.TB, dtype tensor.Dtype) (*Net, *data.Table, *[]int) {
	t.Helper()
	var sizes []int
	var busy atomic.Int32
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		if busy.Add(1) > 1 {
			t.Error("the model is built twice at the same time")
		}
		defer busy.Add(-1)
		sizes = append(sizes, b.Batch())
		return mlp(b, x)
	}
	ds := blobs(t, 600, 3)
	res := mustFit(t, model, ds, Config{Epochs: 1, Optimizer: optim.Adam(.01), DType: dtype})
	sizes = nil
	return res.Net, ds, &sizes
}

// TestPredictBatches: n rows are predicted in graphs of 256 rows and of the next power of two,
// which later calls use again, and a row's prediction is the same to the bit in each of them.
func TestPredictBatches(t *testing.T) {
	net, ds, sizes := trained(t, tensor.Float64)
	all, err := net.Predict(background, ds)
	if err != nil {
		t.Fatal(err)
	}
	want := all.Data().([]float64)
	// The first call, of 600 rows, built graphs of 256 and, for the 88 that are left, of 128 rows.
	for _, c := range []struct {
		rows  int
		built []int
	}{{600, nil}, {1, []int{1}}, {1, nil}, {2, []int{2}}, {3, []int{4}}, {5, []int{8}}, {255, nil}, {256, nil}, {257, nil}, {300, []int{64}}, {512, nil}, {100, nil}, {129, nil}} {
		*sizes = nil
		rows := make([]int, c.rows)
		for i := range rows {
			rows[i] = len(want)/3 - 1 - i
		}
		sub, err := data.Subset(ds, rows)
		if err != nil {
			t.Fatal(err)
		}
		out, err := net.Predict(background, sub)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(*sizes, c.built) {
			t.Errorf("%d rows: graphs of %v rows were built, want %v", c.rows, *sizes, c.built)
		}
		got := out.Data().([]float64)
		if len(got) != 3*c.rows {
			t.Fatalf("%d rows: %d numbers", c.rows, len(got))
		}
		for i, r := range rows {
			if !slices.Equal(got[3*i:3*i+3], want[3*r:3*r+3]) {
				t.Fatalf("%d rows: row %d is %v, want %v", c.rows, r, got[3*i:3*i+3], want[3*r:3*r+3])
			}
		}
	}
}

// meeting is a dataset whose reader waits until several calls read at the same time.
type meeting struct {
	data.Dataset
	here *atomic.Int32
	all  chan struct{}
	n    int32
}

func (m meeting) Read(rows []int, x, y data.Column) error {
	if m.here.Add(1) == m.n {
		close(m.all)
	}
	select {
	case <-m.all:
		return m.Dataset.Read(rows, x, y)
	case <-time.After(time.Minute): // only where calls wait for each other
		return context.DeadlineExceeded
	}
}

// TestConcurrentCalls: calls of Predict and Evaluate read, and so run, at the same time, with the
// results of calls one after the other.
func TestConcurrentCalls(t *testing.T) {
	net, ds, _ := trained(t, tensor.Float32)
	one, err := data.Subset(ds, []int{7, 8, 9})
	if err != nil {
		t.Fatal(err)
	}
	out, err := net.Predict(background, one)
	if err != nil {
		t.Fatal(err)
	}
	want := out.Data().([]float32)
	values, err := net.Evaluate(background, loss.CrossEntropy, one, metric.NewAccuracy())
	if err != nil {
		t.Fatal(err)
	}
	const calls = 32
	meet := meeting{one, new(atomic.Int32), make(chan struct{}), 2 * calls}
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			out, err := net.Predict(background, meet)
			if err != nil {
				t.Error(err)
			} else if got := out.Data().([]float32); !slices.Equal(got, want) {
				t.Errorf("prediction %v, want %v", got, want)
			}
		})
		wg.Go(func() {
			v, err := net.Evaluate(background, loss.CrossEntropy, meet, metric.NewAccuracy())
			if err != nil {
				t.Error(err)
			} else if v["loss"] != values["loss"] || v["accuracy"] != values["accuracy"] {
				t.Errorf("values %v, want %v", v, values)
			}
		})
	}
	wg.Wait()
	for size, idle := range net.predictors.idle {
		if len(idle) > runtime.GOMAXPROCS(0) {
			t.Errorf("%d graphs of %d rows are kept, want at most one for each processor", len(idle), size)
		}
	}
}

// TestPredictWhileTraining: a model under training predicts and is saved between its steps.
func TestPredictWhileTraining(t *testing.T) {
	ds := blobs(t, 64, 1)
	path := t.TempDir() + "/w.safetensors"
	stop := make(chan struct{})
	var wg sync.WaitGroup
	begin := CallbackFunc(func(_ context.Context, e Event) error {
		if e.Kind != RunBegin {
			return nil
		}
		for range 3 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := e.Net.Predict(background, ds); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Go(func() {
			if err := e.Net.Save(path); err != nil {
				t.Error(err)
			}
		})
		return nil
	})
	alone := mustFit(t, linear3, ds, Config{Epochs: 5, BatchSize: 8, Optimizer: optim.SGD(.1)})
	watched := mustFit(t, linear3, ds, Config{Epochs: 5, BatchSize: 8, Optimizer: optim.SGD(.1), Callbacks: []Callback{begin}})
	close(stop)
	wg.Wait()
	if !sameParams(alone.Net, watched.Net) {
		t.Error("a run that is watched ends with other parameters")
	}
}
