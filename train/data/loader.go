package data

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// A Batch is up to a fixed number of examples, read.
type Batch struct {
	Rows []int     // the examples' indices in the dataset
	X, Y Column    // their inputs and targets, then room up to the fixed size
	W    []float64 // their sample weights
	Mask []bool    // of a [Masker]: which elements of their targets count
}

// NewBatch makes room for size examples of spec, floats as float32 or float64. A size below 1 makes
// a batch without room.
func NewBatch(spec Spec, size int, single bool) *Batch {
	return &Batch{X: makeColumn(spec.Input, size, single), Y: makeColumn(spec.Target, size, single), W: make([]float64, 0, max(size, 0))}
}

func makeColumn(f Field, n int, single bool) Column {
	n = max(n, 0) * f.Size()
	switch {
	case f.Kind == Int:
		return Column{Int: make([]int, n)}
	case f.Kind == None:
		return Column{}
	case single:
		return Column{F32: make([]float32, n)}
	}
	return Column{F64: make([]float64, n)}
}

// Fill reads examples into the batch, with a check that every float that counts is finite: a NaN
// among the features would turn all parameters into NaN, one step later and without a trace.
func (b *Batch) Fill(ds Dataset, rows []int) error {
	if ds == nil {
		return errors.New("dataset is nil")
	}
	if have, want := b.X.Len(), len(rows)*ds.Spec().Input.Size(); have < want {
		return fmt.Errorf("%d rows need room for %d numbers, and the batch has room for %d", len(rows), want, have)
	}
	b.Rows = append(b.Rows[:0], rows...)
	b.W = b.W[:0]
	if err := ds.Read(rows, b.X, b.Y); err != nil {
		return err
	}
	if err := b.readMask(ds, rows); err != nil {
		return err
	}
	spec := ds.Spec()
	for _, c := range []struct {
		name string
		Column
		size int
		mask []bool
	}{{"input", b.X, spec.Input.Size(), nil}, {"target", b.Y, spec.Target.Size(), b.Mask}} {
		if c.size == 0 {
			continue
		}
		if i := firstNonFinite(c.Column.Slice(0, len(rows)*c.size), c.mask); i >= 0 {
			return fmt.Errorf("%s of row %d has %s at element %d, want finite numbers", c.name, rows[i/c.size], c.Column.text(i), i%c.size)
		}
	}
	for _, r := range rows {
		w := WeightOf(ds, r)
		if math.IsNaN(w) || math.IsInf(w, 0) {
			return fmt.Errorf("weight of row %d is %v, want a finite number", r, w)
		}
		b.W = append(b.W, w)
	}
	return nil
}

func (c Column) text(i int) string {
	if c.F32 != nil {
		return fmt.Sprint(c.F32[i])
	}
	return fmt.Sprint(c.F64[i])
}

// A Loader reads the batches of one pass, ahead of their use when it has more than one buffer.
type Loader struct {
	ds      Dataset
	rows    []int
	size    int
	pos     int
	fault   error // in the loader's own arguments
	direct  *Batch
	free    chan *Batch
	ready   chan loaded
	current *Batch
	stop    context.CancelFunc
	done    chan struct{}
}

type loaded struct {
	batch *Batch
	err   error
}

// NewLoader starts a pass over the given examples in batches of size. With ahead = 0 batches are
// read when they are asked for; otherwise a goroutine keeps up to ahead of them ready. The batches
// are the same in both cases. Close ends it. Where ds is nil or size is below 1, Next returns an
// error.
func NewLoader(ds Dataset, rows []int, size, ahead int, single bool) *Loader {
	l := &Loader{ds: ds, rows: rows, size: size}
	switch {
	case ds == nil:
		l.fault = errors.New("data.NewLoader: dataset is nil")
		return l
	case size < 1:
		l.fault = fmt.Errorf("data.NewLoader: batches of %d rows, want at least 1", size)
		return l
	}
	if ahead <= 0 {
		l.direct = NewBatch(ds.Spec(), size, single)
		return l
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop, l.done = cancel, make(chan struct{})
	l.free, l.ready = make(chan *Batch, ahead+1), make(chan loaded, ahead)
	for range ahead + 1 {
		l.free <- NewBatch(ds.Spec(), size, single)
	}
	go l.read(ctx)
	return l
}

// read is the goroutine that fills buffers until the rows or the interest end.
func (l *Loader) read(ctx context.Context) {
	defer close(l.done)
	defer close(l.ready)
	for pos := 0; pos < len(l.rows); pos += l.size {
		var b *Batch
		select {
		case b = <-l.free:
		case <-ctx.Done():
			return
		}
		err := fill(b, l.ds, l.rows[pos:min(pos+l.size, len(l.rows))])
		select {
		case l.ready <- loaded{b, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// fill turns a panic in a foreign Read into an error: on the reading goroutine it would end the
// process.
func fill(b *Batch, ds Dataset, rows []int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reading rows %v: %v", rows, r)
		}
	}()
	return b.Fill(ds, rows)
}

// Next returns the next batch, valid until the following call, or nil at the end of the pass.
func (l *Loader) Next() (*Batch, error) {
	if l.fault != nil {
		return nil, l.fault
	}
	if l.direct != nil {
		if l.pos >= len(l.rows) {
			return nil, nil
		}
		from := l.pos
		l.pos = min(from+l.size, len(l.rows))
		return l.direct, fill(l.direct, l.ds, l.rows[from:l.pos])
	}
	if l.current != nil {
		l.free <- l.current
		l.current = nil
	}
	next, ok := <-l.ready
	if !ok {
		return nil, nil
	}
	l.current = next.batch
	return next.batch, next.err
}

// Close ends the pass and waits for its goroutine. It may be called at any time, more than once.
func (l *Loader) Close() {
	if l.stop != nil {
		l.stop()
		<-l.done
	}
}
