package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/surprisal-go/surprisal/train/data"
	"gorgonia.org/tensor"
)

// TestPredictRow: one row by itself is what it is among others, to the bit, for a model of one
// input and one of many, from every goroutine.
func TestPredictRow(t *testing.T) {
	net, ds, sizes := trained(t, tensor.Float32)
	all, err := net.Predict(background, ds)
	if err != nil {
		t.Fatal(err)
	}
	want := all.Data().([]float32)
	*sizes = nil
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				out, err := net.PredictRow(background, Row{"input": ds.Input(i)})
				if err != nil || !slices.Equal(out["output"].F32, want[3*i:3*i+3]) {
					t.Errorf("row %d is %v, want %v (%v)", i, out, want[3*i:3*i+3], err)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(*sizes) > runtime.GOMAXPROCS(0) {
		t.Errorf("graphs of %v rows were built, want at most one for each processor", *sizes)
	}
	g := garden(t, 20, 1)
	res := mustFitNamed(t, g, gardenConfig(t, ""))
	named, err := res.PredictNamed(background, g)
	if err != nil {
		t.Fatal(err)
	}
	b := data.NewBatch(g.Fields(), 1, true)
	if err := b.Fill(g, []int{7}); err != nil {
		t.Fatal(err)
	}
	out, err := res.PredictRow(background, Row(b.In))
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range named {
		width := d.Shape().TotalSize() / 20
		if !slices.Equal(out[name].F32, d.Data().([]float32)[7*width:8*width]) {
			t.Errorf("%s of row 7 differs", name)
		}
	}
}

// TestPredictRowFaults: a request that does not fit is an error that says so, and the next one is
// answered.
func TestPredictRowFaults(t *testing.T) {
	net, ds, _ := trained(t, tensor.Float32)
	cancelled, cancel := context.WithCancel(background)
	cancel()
	row := func(v ...float64) Row { return Row{"input": {F64: v}} }
	for want, f := range map[string]func() (Row, error){
		"input has 2 numbers, want 3":        func() (Row, error) { return net.PredictRow(background, row(1, 2)) },
		"input has 2621440 numbers, want 3":  func() (Row, error) { return net.PredictRow(background, Row{"input": {F32: make([]float32, 10<<20/4)}}) },
		"input has 0 numbers, want 3":        func() (Row, error) { return net.PredictRow(background, Row{"input": {}}) },
		"input is not finite at element 1":   func() (Row, error) { return net.PredictRow(background, row(1, math.NaN(), 2)) },
		"input is not finite at element 2":   func() (Row, error) { return net.PredictRow(background, row(1, 2, math.Inf(-1))) },
		"out of the range of float32 at ele": func() (Row, error) { return net.PredictRow(background, row(1, 2, 1e300)) },
		`it has no input, only ["x"]`:        func() (Row, error) { return net.PredictRow(background, Row{"x": {}}) },
		"context is nil":                     func() (Row, error) { return net.PredictRow(nilContext(), row(1, 2, 3)) },
		"context canceled":                   func() (Row, error) { return net.PredictRow(cancelled, row(1, 2, 3)) },
		"the Net is empty":                   func() (Row, error) { return new(Net).PredictRow(background, row(1, 2, 3)) },
	} {
		if _, err := f(); err == nil || !strings.HasPrefix(err.Error(), "train.PredictRow: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := net.PredictRow(background, Row{"input": ds.Input(0)}); err != nil {
			t.Errorf("after %q: %v", want, err)
		}
	}
	if out, err := net.PredictRow(background, Row{"input": {Int: []int{1, 2, 3}}}); err != nil || out["output"].Len() != 3 {
		t.Errorf("whole numbers: %v, %v", out, err)
	}
	g := garden(t, 20, 1)
	res := mustFitNamed(t, g, gardenConfig(t, ""))
	b := data.NewBatch(g.Fields(), 1, true)
	if err := b.Fill(g, []int{7}); err != nil {
		t.Fatal(err)
	}
	b.In["colour"] = data.Column{F64: []float64{1}}
	if _, err := res.PredictRow(background, Row(b.In)); err == nil || !strings.Contains(err.Error(), `input "colour": data: floats do not convert`) {
		t.Errorf("error %v of a category that is a float", err)
	}
	b.In["colour"] = data.Column{Int: []int{9}}
	if _, err := res.PredictRow(background, Row(b.In)); err == nil || !strings.Contains(err.Error(), "embedding index 0 is 9") {
		t.Errorf("error %v of a category that is not there", err)
	}
}

// TestPredictWaits: a call that waits for a processor ends with its context.
func TestPredictWaits(t *testing.T) {
	net, ds, _ := trained(t, tensor.Float32)
	var taken []*program
	for range runtime.GOMAXPROCS(0) {
		p, err := net.take(background, 1)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, p)
	}
	ctx, cancel := context.WithCancel(background)
	done := make(chan error)
	go func() {
		_, err := net.PredictRow(ctx, Row{"input": ds.Input(0)})
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	for _, p := range taken {
		net.give(p)
	}
	if _, err := net.PredictRow(background, Row{"input": ds.Input(0)}); err != nil {
		t.Error(err)
	}
}

// failing are records that count their batches and fail or panic at a row.
type failing struct {
	data.Records
	batches *atomic.Int32
	fail    int
	panics  bool
}

var errSource = errors.New("the source has failed")

func (c failing) ReadBatch(b *data.Batch) error {
	c.batches.Add(1)
	if slices.Contains(b.Rows, c.fail) {
		if c.panics {
			panic("no such row")
		}
		return errSource
	}
	return c.Records.ReadBatch(b)
}

// TestPredictions: all rows come in their order with the numbers of Predict, nothing is read far
// ahead, and every end is an end.
func TestPredictions(t *testing.T) {
	net, ds, _ := trained(t, tensor.Float64)
	many := make([]int, 5000)
	for i := range many {
		many[i] = i % 600
	}
	long, err := data.SubsetRecords(data.AsRecords(ds), many)
	if err != nil {
		t.Fatal(err)
	}
	all, err := net.PredictNamed(background, long)
	if err != nil {
		t.Fatal(err)
	}
	want := all["output"].Data().([]float64)
	source := failing{long, new(atomic.Int32), -1, false}
	i := 0
	for row, err := range net.Predictions(background, source) {
		if err != nil || !slices.Equal(row["output"].F64, want[3*i:3*i+3]) {
			t.Fatalf("row %d is %v (%v)", i, row, err)
		}
		if i++; i == 1 {
			// The first batch, a queue of one for each processor, and one that waits for a place.
			if n, most := int(source.batches.Load()), runtime.GOMAXPROCS(0)+2; n > most {
				t.Errorf("%d batches were read before the first row was used, want at most %d", n, most)
			}
		}
	}
	if i != 5000 {
		t.Errorf("%d rows, want 5000", i)
	}
	for range net.Predictions(background, long) {
		break
	}
	count := func(ctx context.Context, ds data.Records, each func(i int)) (n int, err error) {
		for _, err := range net.Predictions(ctx, ds) {
			if err != nil {
				return n, err
			}
			n++
			each(n)
		}
		return n, nil
	}
	nothing := func(int) {}
	if n, err := count(background, failing{long, new(atomic.Int32), 700, false}, nothing); n != 512 || !errors.Is(err, errSource) {
		t.Errorf("%d rows and %v of a source that fails at row 700, want 512 and its error", n, err)
	}
	if n, err := count(background, failing{long, new(atomic.Int32), 3, true}, nothing); n != 0 || err == nil || !strings.Contains(err.Error(), "no such row") {
		t.Errorf("%d rows and %v of a source that panics", n, err)
	}
	ctx, cancel := context.WithCancel(background)
	if n, err := count(ctx, long, func(i int) {
		if i == 10 {
			cancel()
		}
	}); n > 256*(runtime.GOMAXPROCS(0)+2) || !errors.Is(err, context.Canceled) {
		t.Errorf("%d rows and %v of a context that ends at row 10", n, err)
	}
	if _, err := count(nilContext(), long, nothing); err == nil {
		t.Error("no error for a nil context")
	}
	if _, err := count(background, garden(t, 4, 1), nothing); err == nil || !strings.Contains(err.Error(), "has no input") {
		t.Errorf("error %v of records without the input", err)
	}
}

// TestPredictStream: rows of a stream are answered in order and in groups, and an end before time
// loses nothing that came before it.
func TestPredictStream(t *testing.T) {
	net, ds, _ := trained(t, tensor.Float64)
	taken := 0
	stream := func(n int, end error) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			taken = 0
			for i := range n {
				taken++
				if !yield(Row{"input": ds.Input(i)}, nil) {
					return
				}
			}
			if end != nil {
				yield(nil, end)
			}
		}
	}
	all, err := net.Predict(background, ds)
	if err != nil {
		t.Fatal(err)
	}
	want := all.Data().([]float64)
	for _, size := range []int{1, 3, 256} {
		i := 0
		for row, err := range net.PredictStream(background, stream(10, nil), size) {
			if err != nil || !slices.Equal(row["output"].F64, want[3*i:3*i+3]) {
				t.Fatalf("size %d: row %d is %v (%v)", size, i, row, err)
			}
			if ahead := min(10, (i/size+1)*size); taken != ahead {
				t.Errorf("size %d: %d rows were taken before row %d was answered, want %d", size, taken, i, ahead)
			}
			i++
		}
		if i != 10 {
			t.Errorf("size %d: %d rows, want 10", size, i)
		}
	}
	last := func(seq iter.Seq2[Row, error]) (n int, err error) {
		for _, err = range seq {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	if n, err := last(net.PredictStream(background, stream(5, errSource), 3)); n != 5 || !errors.Is(err, errSource) || !strings.Contains(err.Error(), "row 5") {
		t.Errorf("%d rows and %v of a stream that fails after 5", n, err)
	}
	bad := func(yield func(Row, error) bool) {
		_ = yield(Row{"input": ds.Input(0)}, nil) && yield(Row{"input": {F64: []float64{1}}}, nil)
	}
	if n, err := last(net.PredictStream(background, bad, 1)); n != 1 || err == nil || !strings.Contains(err.Error(), "row 1: input has 1 numbers, want 3") {
		t.Errorf("%d rows and %v of a stream with a short row", n, err)
	}
	cancelled, cancel := context.WithCancel(background)
	cancel()
	if n, err := last(net.PredictStream(cancelled, stream(5, nil), 1)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d rows and %v with a context that has ended", n, err)
	}
	for _, size := range []int{0, 257} {
		if _, err := last(net.PredictStream(background, stream(5, nil), size)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("groups of %d rows", size)) {
			t.Errorf("error %v of size %d", err, size)
		}
	}
	for range net.PredictStream(background, stream(5, nil), 2) {
		break
	}
	if taken != 2 {
		t.Errorf("%d rows were taken by a loop that ended with the first, want 2", taken)
	}
}
