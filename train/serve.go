package train

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/surprisal-go/surprisal/train/data"
	"gorgonia.org/tensor"
)

// A Row is the numbers of one example, or those that a model makes of it, by the name of their
// field: "input" and "output" for a [Model].
type Row map[string]data.Column

// PredictRow returns the model's outputs for one example, at the cost of one row and without a
// dataset: what a server calls for a request.
//
//	out, err := net.PredictRow(ctx, train.Row{"input": {F32: pixels}})
//	logits := out["output"].F32
//
// The row has each input of the model, with as many numbers as it takes, all finite; floats of
// either type, or whole numbers, are converted. What else the row has is left alone. Calls run at
// the same time as those of [Net.Predict] do, and what is predicted is the same to the bit.
func (n *Net) PredictRow(ctx context.Context, row Row) (Row, error) {
	out, err := n.predictRows(ctx, 0, row)
	if err != nil {
		return nil, fmt.Errorf("train.PredictRow: %w", err)
	}
	return out[0], nil
}

// predictRows predicts a batch of rows, the first of which has a number.
func (n *Net) predictRows(ctx context.Context, first int, rows ...Row) ([]Row, error) {
	switch {
	case ctx == nil:
		return nil, errNoContext
	case n.params == nil:
		return nil, errNoModel
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	size := graphSize(len(rows))
	n.params.mu.RLock()
	defer n.params.mu.RUnlock()
	p, err := n.take(ctx, size)
	if err != nil {
		return nil, err
	}
	defer n.give(p)
	if p.rows == nil {
		p.rows = data.NewBatch(data.Fields{Inputs: n.about.fields.Inputs}, size, p.single)
	}
	p.rows.SetLen(len(rows))
	for i, row := range rows {
		if err := p.fillRow(i, row); err != nil {
			return nil, fmt.Errorf("row %d: %w", first+i, err)
		}
	}
	if err := p.load(p.rows, nil); err != nil {
		return nil, err
	}
	if err := p.run(ctx); err != nil {
		return nil, err
	}
	return p.outputRows(len(rows))
}

// fillRow copies the inputs of a row into the batch of the graph.
func (pr *program) fillRow(i int, row Row) error {
	for _, c := range pr.in {
		label, size := data.Label(data.InputName, c.name), c.field.Size()
		from, ok := row[c.name]
		switch {
		case !ok:
			return fmt.Errorf("it has no %s, only %q", label, slices.Sorted(maps.Keys(row)))
		case from.Len() != size:
			return fmt.Errorf("%s has %d numbers, want %d", label, from.Len(), size)
		}
		if k := from.NonFinite(); k >= 0 {
			return fmt.Errorf("%s is not finite at element %d", label, k)
		}
		to := pr.rows.In[c.name].Slice(i*size, (i+1)*size)
		if err := to.Copy(from); err != nil {
			return fmt.Errorf("%s: %w", label, err)
		}
		if k := to.NonFinite(); k >= 0 { // of a float64 that float32 does not hold
			return fmt.Errorf("%s is out of the range of float32 at element %d", label, k)
		}
	}
	return nil
}

// outputRows returns copies of the outputs of the first rows.
func (pr *program) outputRows(n int) ([]Row, error) {
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = make(Row, len(pr.read))
	}
	for name, from := range pr.read {
		width := from.Len() / pr.batch
		all := pr.buffer(n * width)
		if err := all.Copy(from.Slice(0, n*width)); err != nil {
			return nil, err
		}
		for i := range rows {
			rows[i][name] = all.Slice(i*width, (i+1)*width)
		}
	}
	return rows, nil
}

// Predictions iterates over the model's outputs for the examples of ds, in order, with memory for a
// few batches of 256 rows, however many examples there are. They are computed at the same time, one
// batch on each processor. An error ends the iteration.
//
//	for row, err := range net.Predictions(ctx, ds) { ... }
func (n *Net) Predictions(ctx context.Context, ds data.Records) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		fail := func(err error) { yield(nil, fmt.Errorf("train.Predictions: %w", err)) }
		if ctx == nil {
			fail(errNoContext)
			return
		}
		if err := n.checkInput("dataset", ds); err != nil {
			fail(err)
			return
		}
		type result struct {
			rows []Row
			err  error
		}
		inner, cancel := context.WithCancel(ctx)
		workers := runtime.GOMAXPROCS(0)
		queue := make(chan chan result, workers) // in the order of the batches
		free := make(chan *data.Batch, workers+1)
		for range workers + 1 {
			free <- data.NewBatch(ds.Fields(), predictBatch, n.params.dtype == tensor.Float32)
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() {
			defer close(queue)
			for from := 0; from < ds.Len(); from += predictBatch {
				var b *data.Batch
				c := make(chan result, 1)
				select {
				case b = <-free:
				case <-inner.Done():
					return
				}
				select {
				case queue <- c:
				case <-inner.Done():
					return
				}
				rows := make([]int, min(predictBatch, ds.Len()-from))
				for i := range rows {
					rows[i] = from + i
				}
				if err := fillBatch(b, ds, rows); err != nil {
					c <- result{err: err}
					return
				}
				wg.Go(func() {
					var r result
					n.params.mu.RLock()
					r.err = n.runBatch(inner, graphSize(len(rows)), b, func(p *program) (err error) {
						r.rows, err = p.outputRows(len(rows))
						return err
					})
					n.params.mu.RUnlock()
					free <- b
					c <- r
				})
			}
		})
		for c := range queue {
			r := <-c
			if r.err != nil {
				fail(r.err)
				return
			}
			for _, row := range r.rows {
				if !yield(row, nil) {
					return
				}
			}
		}
		if err := ctx.Err(); err != nil {
			fail(err)
		}
	}
}

// fillBatch turns a panic of a stranger's records into an error: on the reading goroutine it would
// end the process.
func fillBatch(b *data.Batch, ds data.Records, rows []int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reading the rows %s: %v", someRows(rows), r)
		}
	}()
	return b.Fill(ds, rows)
}

// PredictStream iterates over the model's outputs for a stream of rows, in order: rows that come
// from a file, a network or a channel, and of which nobody knows how many there are. It takes size
// rows of the stream, at most 256, predicts them together and yields what it made of them; a size
// of 1 answers each row before it takes the next. The last ones may be fewer. The numbers of a row
// stay as they are until its group is predicted.
//
// An error of the stream comes through after the rows before it, and ends the iteration, as an
// error of the model and the end of the context do. The stream is read on the caller's goroutine.
func (n *Net) PredictStream(ctx context.Context, rows iter.Seq2[Row, error], size int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var group []Row
		first := 0
		// flush predicts the rows of the group and reports whether to go on.
		flush := func() bool {
			if len(group) == 0 {
				return true
			}
			out, err := n.predictRows(ctx, first, group...)
			if err != nil {
				yield(nil, fmt.Errorf("train.PredictStream: %w", err))
				return false
			}
			first += len(group)
			group = group[:0]
			for _, row := range out {
				if !yield(row, nil) {
					return false
				}
			}
			return true
		}
		if rows == nil || size < 1 || size > predictBatch {
			yield(nil, fmt.Errorf("train.PredictStream: groups of %d rows of a stream, want 1 to %d", size, predictBatch))
			return
		}
		for row, err := range rows {
			if err != nil {
				if flush() {
					yield(nil, fmt.Errorf("train.PredictStream: row %d: %w", first, err))
				}
				return
			}
			if group = append(group, row); len(group) == size && !flush() {
				return
			}
		}
		flush()
	}
}
