package data

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// An Example is the numbers of one example of a [Stream], by the names of its fields.
type Example struct {
	In, Out map[string]Column
	Mask    map[string][]bool // of each masked target, which of its elements count
	Weight  float64           // sample weight, where the stream has weights
}

// A Stream is [Records] that come one after the other and need not fit in memory: the lines of
// files, or what a generator makes. A training run reads each epoch once, from its first example to
// its last, never shuffled, and one that is resumed goes on in the middle of an epoch.
//
// Reading rows in any other order works and is slow: each jump opens the stream anew. A stream is
// for one goroutine at a time.
type Stream struct {
	rows     int
	fields   Fields
	open     func(epoch, from int) iter.Seq2[Example, error]
	epoch    int
	weighted bool

	next func() (Example, error, bool) // nil where nothing is open
	stop func()
	at   int // the row that next returns
}

// NewStream returns a stream with a number of examples in each epoch. open returns the examples of
// an epoch, counted from 1, from the row from on, counted from 0. It may be called any number of
// times, and the same epoch and row always give the same examples: a generator takes its random
// numbers from [Rand] with the epoch or the row as index. What it yields after the last row of an
// epoch is not read; where it ends earlier, reading is an error.
//
//	s, err := data.NewStream(10_000, fields, func(epoch, from int) iter.Seq2[data.Example, error] {
//		return func(yield func(data.Example, error) bool) {
//			for row := from; ; row++ {
//				rng := data.Rand(seed, fmt.Sprint("row of epoch ", epoch), uint64(row))
//				...
//			}
//		}
//	})
//
// The numbers of an example may be overwritten once the next one is taken. Floats convert to the
// type of the run. An example has a mask for each target in fields.Masked. [Stream.WithWeights]
// gives examples weights.
func NewStream(rows int, fields Fields, open func(epoch, from int) iter.Seq2[Example, error]) (*Stream, error) {
	err := fields.Check()
	switch {
	case err != nil:
	case rows < 1:
		err = fmt.Errorf("%d examples in an epoch, want at least 1", rows)
	case open == nil:
		err = errors.New("open is nil")
	}
	if err != nil {
		return nil, fmt.Errorf("data.NewStream: %w", err)
	}
	return &Stream{rows: rows, fields: fields, open: open, epoch: 1}, nil
}

// WithWeights returns the stream, with nothing open, as one whose examples have weights: each counts
// by its Weight, as in [Table.WithWeights].
func (s *Stream) WithWeights() *Stream {
	w := s.Epoch(s.epoch)
	w.weighted = true
	return w
}

// Epoch returns the stream of another epoch, with nothing open. NewStream returns that of epoch 1.
func (s *Stream) Epoch(epoch int) *Stream {
	return &Stream{rows: s.rows, fields: s.fields, open: s.open, epoch: epoch, weighted: s.weighted}
}

// Len returns the number of examples in an epoch.
func (s *Stream) Len() int { return s.rows }

// Fields describes every example.
func (s *Stream) Fields() Fields { return s.fields }

// Close ends reading where it stands; a later ReadBatch opens the stream anew. A stream that was
// read to its end is closed.
func (s *Stream) Close() {
	if s.next != nil {
		s.stop()
		s.next, s.stop = nil, nil
	}
}

// ReadBatch reads the examples with the indices b.Rows.
func (s *Stream) ReadBatch(b *Batch) error {
	for i, row := range b.Rows {
		if row < 0 || row >= s.rows {
			return fmt.Errorf("data.Stream: row %d, want a row in [0, %d)", row, s.rows)
		}
		if err := s.read(b, i, row); err != nil {
			s.Close()
			return fmt.Errorf("data.Stream: epoch %d, row %d: %w", s.epoch, row, err)
		}
		if s.at == s.rows {
			s.Close()
		}
	}
	return nil
}

// read copies an example to the i-th place of a batch.
func (s *Stream) read(b *Batch, i, row int) error {
	if s.next == nil || s.at != row {
		s.Close()
		seq := s.open(s.epoch, row)
		if seq == nil {
			return errors.New("open returned nil")
		}
		s.next, s.stop = iter.Pull2(seq)
		s.at = row
	}
	e, err, ok := s.next()
	switch {
	case !ok:
		return fmt.Errorf("the stream has ended, and an epoch has %d examples", s.rows)
	case err != nil:
		return err
	}
	s.at++
	if err := copyFields(InputName, s.fields.Inputs, b.In, e.In, i); err != nil {
		return err
	}
	if err := copyFields(TargetName, s.fields.Targets, b.Out, e.Out, i); err != nil {
		return err
	}
	if s.weighted {
		b.W[i] = e.Weight
	} else if e.Weight != 0 {
		return fmt.Errorf("the example has the weight %v, and the stream is one without weights: Stream.WithWeights makes it one with", e.Weight)
	}
	return s.copyMasks(b, e.Mask, i)
}

// copyMasks copies the masks of one example to the i-th place of a batch.
func (s *Stream) copyMasks(b *Batch, from map[string][]bool, i int) error {
	for name, masked := range s.fields.Masked {
		n := s.fields.Targets[name].Size()
		switch mask, ok := from[name]; {
		case !masked:
		case !ok:
			return fmt.Errorf("the example has no mask of %s, only of %q", Label(TargetName, name), slices.Sorted(maps.Keys(from)))
		case len(mask) != n:
			return fmt.Errorf("the mask of %s has %d elements, want %d", Label(TargetName, name), len(mask), n)
		default:
			copy(b.Mask[name][i*n:], mask)
		}
	}
	for name := range from {
		if !s.fields.Masked[name] {
			return fmt.Errorf("the example has a mask of %q, which is no masked target of the stream", name)
		}
	}
	return nil
}

// copyFields copies the numbers of one example to the i-th place of columns.
func copyFields(role string, fields map[string]Field, into, from map[string]Column, i int) error {
	for name, f := range fields {
		c, ok := from[name]
		n := f.Size()
		switch {
		case !ok:
			return fmt.Errorf("the example has no %s, only %q", Label(role, name), slices.Sorted(maps.Keys(from)))
		case c.Len() != n:
			return fmt.Errorf("%s has %d numbers, want %d", Label(role, name), c.Len(), n)
		}
		if err := into[name].Slice(i*n, (i+1)*n).Copy(c); err != nil {
			return fmt.Errorf("%s: %w", Label(role, name), err)
		}
	}
	for name := range from {
		if _, ok := fields[name]; !ok {
			return fmt.Errorf("the example has the %s, which is no field", Label(role, name))
		}
	}
	return nil
}
