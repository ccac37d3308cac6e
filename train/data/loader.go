package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A Batch is up to a fixed number of examples, read.
type Batch struct {
	Rows    []int             // the examples' indices in the dataset
	In, Out map[string]Column // their inputs and targets by name, then room up to the fixed size
	W       []float64         // their sample weights
	Mask    map[string][]bool // by name of the targets that are masked, which of their elements count

	size     int
	maskSize map[string]int // by name, for each row
}

// NewBatch makes room for size examples, floats as float32 or float64. A size below 1 makes a batch
// without room.
func NewBatch(f Fields, size int, single bool) *Batch {
	size = max(size, 0)
	b := &Batch{In: makeColumns(f.Inputs, size, single), Out: makeColumns(f.Targets, size, single),
		W: make([]float64, 0, size), Mask: make(map[string][]bool), size: size, maskSize: make(map[string]int)}
	for name := range f.Masked {
		b.maskSize[name] = f.Targets[name].Size()
		b.Mask[name] = make([]bool, 0, size*b.maskSize[name])
	}
	return b
}

func makeColumns(fields map[string]Field, n int, single bool) map[string]Column {
	columns := make(map[string]Column, len(fields))
	for name, f := range fields {
		columns[name] = makeColumn(f, n, single)
	}
	return columns
}

func makeColumn(f Field, n int, single bool) Column {
	n *= f.Size()
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

// SetLen makes the batch one of n rows, numbered from 0, that all count; their inputs and targets
// are for the caller to fill in. It panics where the batch has no room for n.
func (b *Batch) SetLen(n int) {
	if n < 0 || n > b.size {
		panic(fmt.Sprintf("data.SetLen: %d rows, and the batch has room for %d", n, b.size))
	}
	b.setLen(n)
}

func (b *Batch) setLen(n int) {
	b.Rows, b.W = slices.Grow(b.Rows[:0], n)[:n], slices.Grow(b.W[:0], n)[:n]
	for i := range n {
		b.Rows[i], b.W[i] = i, 1
	}
	for name, mask := range b.Mask {
		mask = mask[:0]
		for range n * b.maskSize[name] {
			mask = append(mask, true)
		}
		b.Mask[name] = mask
	}
}

// Fill reads examples into the batch, which was made for the fields of r, with a check that every
// float that counts is finite: a NaN among the features would turn all parameters into NaN, one
// step later and without a trace.
func (b *Batch) Fill(r Records, rows []int) error {
	if r == nil {
		return errors.New("records are nil")
	}
	f := r.Fields()
	if len(rows) > b.size {
		return fmt.Errorf("%d rows, and the batch has room for %d", len(rows), b.size)
	}
	b.setLen(len(rows))
	copy(b.Rows, rows)
	if err := r.ReadBatch(b); err != nil {
		return err
	}
	for _, part := range f.parts() {
		columns, masks := b.In, map[string][]bool(nil)
		if part.role == TargetName {
			columns, masks = b.Out, b.Mask
		}
		for name, field := range part.fields {
			size := field.Size()
			if i := firstNonFinite(columns[name].Slice(0, len(rows)*size), masks[name]); i >= 0 {
				return fmt.Errorf("%s of row %d has %s at element %d, want finite numbers",
					Label(part.role, name), rows[i/size], columns[name].text(i), i%size)
			}
		}
	}
	if i := nonFinite(b.W); i >= 0 {
		return fmt.Errorf("weight of row %d is %v, want a finite number", rows[i], b.W[i])
	}
	return nil
}

func (c Column) text(i int) string {
	if c.F32 != nil {
		return fmt.Sprint(c.F32[i])
	}
	return fmt.Sprint(c.F64[i])
}

// A Loader reads the batches of one pass after another, ahead of their use when it has more than one
// buffer.
type Loader struct {
	from    Records
	rows    []int
	size    int
	most    int // buffers that are read ahead of their use
	single  bool
	pos     int
	fault   error // in the loader's own arguments
	buffers []*Batch
	free    chan *Batch
	ready   chan loaded // nil where batches are read when they are asked for
	current *Batch
	stop    context.CancelFunc
	done    chan struct{}
}

type loaded struct {
	batch *Batch
	err   error
}

// NewLoader starts a pass over the given examples in batches of size. With ahead = 0, and in a pass
// of one batch, batches are read when they are asked for; otherwise a goroutine keeps up to ahead of
// them ready. The batches are the same in both cases. Close ends it. Where r is nil or size is below
// 1, Next returns an error.
func NewLoader(r Records, rows []int, size, ahead int, single bool) *Loader {
	l := &Loader{size: size, most: max(ahead, 0), single: single}
	l.Restart(r, rows)
	return l
}

// Restart closes the pass and starts another one with the same memory, over other rows or over other
// records with the same fields.
func (l *Loader) Restart(r Records, rows []int) {
	l.Close()
	l.from, l.rows, l.pos, l.fault = r, rows, 0, nil
	l.ready, l.current, l.stop = nil, nil, nil
	switch {
	case r == nil:
		l.fault = errors.New("data.NewLoader: records are nil")
		return
	case l.size < 1:
		l.fault = fmt.Errorf("data.NewLoader: batches of %d rows, want at least 1", l.size)
		return
	}
	ahead := 0
	if len(rows) > l.size {
		ahead = l.most
	}
	for len(l.buffers) < ahead+1 {
		l.buffers = append(l.buffers, NewBatch(r.Fields(), l.size, l.single))
	}
	if ahead == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop, l.done = cancel, make(chan struct{})
	l.free, l.ready = make(chan *Batch, ahead+1), make(chan loaded, ahead)
	for _, b := range l.buffers {
		l.free <- b
	}
	go l.read(ctx)
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
		err := fill(b, l.from, l.rows[pos:min(pos+l.size, len(l.rows))])
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
func fill(b *Batch, from Records, rows []int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reading rows %v: %v", rows, r)
		}
	}()
	return b.Fill(from, rows)
}

// Next returns the next batch, valid until the following call, or nil at the end of the pass.
func (l *Loader) Next() (*Batch, error) {
	if l.fault != nil {
		return nil, l.fault
	}
	if l.ready == nil {
		if l.pos >= len(l.rows) {
			return nil, nil
		}
		b, from := l.buffers[0], l.pos
		l.pos = min(from+l.size, len(l.rows))
		return b, fill(b, l.from, l.rows[from:l.pos])
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
