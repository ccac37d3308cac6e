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

// A Row holds the numbers of one example, or the model's outputs for it, by field name: "input" and
// "output" for a [Model].
type Row map[string]data.Column

// PredictRow returns the model's outputs for one example, without a dataset and at the cost of one
// row. A server calls it for each request.
//
//	out, err := net.PredictRow(ctx, train.Row{"input": {F32: pixels}})
//	logits := out["output"].F32
//
// The row must hold every input of the model, with the right number of finite values; floats of
// either type and whole numbers are converted. Other entries are ignored. Calls are safe for
// concurrent use, like those of [Net.Predict], and return the same bits.
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

// Predictions iterates over the model's outputs for the examples of ds, in order. It holds a few
// batches of 256 rows in memory, however many examples there are, and computes one batch on each
// processor. An error ends the iteration.
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

// PredictStream iterates over the model's outputs for a stream of rows, in order. The rows may come
// from a file, a network connection or a channel, and their number need not be known. It reads size
// rows, at most 256, predicts them as one batch and yields the results; the last batch may be
// smaller. With size 1 each row is answered before the next is read. A row must not change until
// its batch has been predicted.
//
// An error of the stream is yielded after the results of the rows before it and ends the iteration,
// as do an error of the model and the end of the context. The stream is read on the caller's
// goroutine.
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
