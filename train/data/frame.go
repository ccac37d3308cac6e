package data

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// A Series is the numbers of one field for all examples of a [Frame]. What is wrong with one is
// reported by [NewFrame].
type Series struct {
	field  Field
	values Column
	mask   []bool
	err    error
}

// NewSeries makes a series of a column that it keeps without copying.
func NewSeries(f Field, values Column) Series {
	s := Series{field: f, values: values}
	if want := f.Kind == Int; want != (values.Int != nil) {
		s.err = fmt.Errorf("the field is %v and its column holds %s", f, values.kind())
	}
	return s
}

// Numbers makes a series of rows of real numbers, which have one length and are copied: each row is
// the field of one example.
func Numbers[F float32 | float64](rows [][]F) Series {
	flat, width, err := flatten("data.Numbers", "series", rows)
	return Series{field: Field{Float, []int{width}}, values: flat, err: err}
}

// Labels makes a series of one whole number for each example, such as a class, a category or the
// length of a sequence. v is copied.
func Labels(v []int) Series {
	return NewSeries(Field{Kind: Int}, Column{Int: append([]int{}, v...)})
}

// Sequences makes a series of sequences of whole numbers, such as tokens or the numbers of lists,
// of at most width each. Shorter ones are filled up with fill: a token for padding, as an input, or
// a label that losses ignore, such as -100, as a target. [Lengths] gives the model the lengths.
func Sequences(sequences [][]int, width, fill int) Series {
	s := Series{field: Field{Int, []int{width}}}
	if width < 1 {
		s.err = fmt.Errorf("sequences of at most %d, want at least 1", width)
		return s
	}
	s.values.Int = make([]int, 0, len(sequences)*width)
	for i, q := range sequences {
		if len(q) > width {
			s.err = fmt.Errorf("sequence %d has %d numbers, want at most %d", i, len(q), width)
			return s
		}
		s.values.Int = append(s.values.Int, q...)
		for range width - len(q) {
			s.values.Int = append(s.values.Int, fill)
		}
	}
	return s
}

// Lengths makes a series of the lengths of sequences.
func Lengths[E any](sequences [][]E) Series {
	lengths := make([]int, len(sequences))
	for i, q := range sequences {
		lengths[i] = len(q)
	}
	return Labels(lengths)
}

// WithMask returns the series of a target with a mask for its numbers: where it is false a number
// has no part in losses and metrics and is not looked at. mask is copied.
func (s Series) WithMask(mask []bool) Series {
	if got, want := len(mask), s.values.Len(); got != want && s.err == nil {
		s.err = fmt.Errorf("the mask has %d entries, want %d to match the numbers", got, want)
	}
	s.mask = append([]bool{}, mask...)
	return s
}

// WithoutMissing returns the series with a mask that leaves out every NaN.
func (s Series) WithoutMissing() Series {
	s.mask = make([]bool, s.values.Len())
	for i := range s.mask {
		s.mask[i] = true
	}
	for i, v := range s.values.F32 {
		s.mask[i] = v == v
	}
	for i, v := range s.values.F64 {
		s.mask[i] = v == v
	}
	return s
}

// rows returns the number of examples in the series.
func (s Series) rows() (int, error) {
	size := s.field.Size()
	if s.values.Len()%size != 0 {
		return 0, fmt.Errorf("%d numbers, want a multiple of %d for %v", s.values.Len(), size, s.field)
	}
	return s.values.Len() / size, nil
}

// A Frame is [Records] in memory.
type Frame struct {
	n               int
	fields          Fields
	inputs, targets map[string]Series
	weights         []float64
}

// NewFrame makes records of the series of their inputs and targets, all of the same number of
// examples.
//
//	ds, err := data.NewFrame(
//		map[string]data.Series{"sizes": data.Numbers(sizes), "colour": data.Labels(colours)},
//		map[string]data.Series{"species": data.Labels(species)})
func NewFrame(inputs, targets map[string]Series) (*Frame, error) {
	f := &Frame{n: -1, inputs: maps.Clone(inputs), targets: maps.Clone(targets),
		fields: Fields{Inputs: make(map[string]Field), Targets: make(map[string]Field), Masked: make(map[string]bool)}}
	first := ""
	for _, part := range []struct {
		role   string
		series map[string]Series
		fields map[string]Field
	}{{InputName, inputs, f.fields.Inputs}, {TargetName, targets, f.fields.Targets}} {
		for _, name := range slices.Sorted(maps.Keys(part.series)) {
			s, label := part.series[name], Label(part.role, name)
			err := s.err
			if err == nil {
				err = s.field.check("the field")
			}
			n := 0
			if err == nil {
				n, err = s.rows()
			}
			if err != nil {
				return nil, fmt.Errorf("data.NewFrame: %s: %w", label, err)
			}
			if f.n < 0 {
				f.n, first = n, label
			}
			if n != f.n {
				return nil, fmt.Errorf("data.NewFrame: %s has %d rows, want %d as %s has", label, n, f.n, first)
			}
			part.fields[name] = s.field
			if s.mask == nil {
				continue
			}
			if part.role == InputName {
				return nil, fmt.Errorf("data.NewFrame: %s has a mask, which only targets have; give the model an input of zeros and ones", label)
			}
			f.fields.Masked[name] = true
		}
	}
	if err := f.fields.Check(); err != nil {
		return nil, fmt.Errorf("data.NewFrame: %w", err)
	}
	if f.n == 0 {
		return nil, errors.New("data.NewFrame: no rows")
	}
	return f, nil
}

// WithWeights returns the same examples with one finite sample weight each, as [Table.WithWeights]
// does. w is copied.
func (f *Frame) WithWeights(w []float64) (*Frame, error) {
	if len(w) != f.n {
		return nil, fmt.Errorf("data.WithWeights: %d weights, want %d to match the rows", len(w), f.n)
	}
	for i, v := range w {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("data.WithWeights: weight %d is %v, want a finite number", i, v)
		}
	}
	c := *f
	c.weights = slices.Clone(w)
	return &c, nil
}

// Select returns the same examples with the named inputs and targets alone, for a model that uses
// no others.
func (f *Frame) Select(inputs, targets []string) (*Frame, error) {
	pick := func(role string, names []string, from map[string]Series) (map[string]Series, error) {
		into := make(map[string]Series)
		for _, name := range names {
			s, ok := from[name]
			if !ok {
				return nil, fmt.Errorf("data.Select: there is no %s %q, only %q", role, name, slices.Sorted(maps.Keys(from)))
			}
			into[name] = s
		}
		return into, nil
	}
	in, err := pick(InputName, inputs, f.inputs)
	if err != nil {
		return nil, err
	}
	out, err := pick(TargetName, targets, f.targets)
	if err != nil {
		return nil, err
	}
	s, err := NewFrame(in, out)
	if err != nil {
		return nil, err
	}
	s.weights = f.weights
	return s, nil
}

// Len returns the number of examples.
func (f *Frame) Len() int { return f.n }

// Fields describes the examples.
func (f *Frame) Fields() Fields { return f.fields }

// ReadBatch copies examples into a batch.
func (f *Frame) ReadBatch(b *Batch) error {
	for name, s := range f.inputs {
		if err := gather(s.values, s.field.Size(), b.Rows, f.n, b.In[name]); err != nil {
			return err
		}
	}
	for name, s := range f.targets {
		size := s.field.Size()
		if err := gather(s.values, size, b.Rows, f.n, b.Out[name]); err != nil {
			return err
		}
		if s.mask != nil {
			for i, r := range b.Rows {
				copy(b.Mask[name][i*size:(i+1)*size], s.mask[r*size:])
			}
		}
	}
	if f.weights != nil {
		for i, r := range b.Rows {
			b.W[i] = f.weights[r]
		}
	}
	return nil
}
