package data

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Fields describes the examples of [Records].
type Fields struct {
	Inputs, Targets map[string]Field // by name; an input and a target may have one name
	Masked          map[string]bool  // the targets of which not every element counts
}

// The names that the fields of a [Dataset] have.
const (
	InputName  = "input"
	TargetName = "target"
)

// Fields returns the fields of a dataset with the spec: an input with the name "input", and where
// it has a target one with the name "target".
func (s Spec) Fields() Fields {
	f := Fields{Inputs: map[string]Field{InputName: s.Input}}
	if s.Target.Kind != None {
		f.Targets = map[string]Field{TargetName: s.Target}
	}
	return f
}

// Spec returns the spec of a dataset whose fields these are.
func (f Fields) Spec() Spec { return Spec{f.Inputs[InputName], f.Targets[TargetName]} }

// Check returns an error where there is no input, a name is empty, a field is not of the kind Float
// or Int, a dimension is not positive, the size of a field overflows, or a mask is one of no
// target.
func (f Fields) Check() error {
	if len(f.Inputs) == 0 {
		return errors.New("there are no inputs")
	}
	for _, part := range f.parts() {
		for _, name := range slices.Sorted(maps.Keys(part.fields)) {
			if name == "" {
				return fmt.Errorf("an %s has an empty name", part.role)
			}
			if err := part.fields[name].check(Label(part.role, name)); err != nil {
				return err
			}
		}
	}
	for name := range f.Masked {
		if _, ok := f.Targets[name]; !ok {
			return fmt.Errorf("%q is masked and no target; targets are %q", name, slices.Sorted(maps.Keys(f.Targets)))
		}
	}
	return nil
}

type part struct {
	role   string
	fields map[string]Field
}

func (f Fields) parts() []part { return []part{{InputName, f.Inputs}, {TargetName, f.Targets}} }

func (f Field) check(label string) error {
	if f.Kind != Float && f.Kind != Int {
		return fmt.Errorf("%s has kind %v, want float or int", label, f.Kind)
	}
	size := 1
	for _, d := range f.Shape {
		if d <= 0 {
			return fmt.Errorf("%s has shape %v, want positive dimensions", label, f.Shape)
		}
		if size > math.MaxInt/d {
			return fmt.Errorf("%s has shape %v, which is too large", label, f.Shape)
		}
		size *= d
	}
	return nil
}

// Label names a field in a text by its role, "input" or "target", and its name, as in `input
// "image"`; the fields of a [Dataset] are called by their role alone.
func Label(role, name string) string {
	if name == role {
		return role
	}
	return fmt.Sprintf("%s %q", role, name)
}

// Records are a fixed number of examples with any number of inputs and targets, by name, that can
// be read in any order, any number of times. [NewFrame] makes them of columns in memory, and
// [AsRecords] of a [Dataset].
type Records interface {
	// Len returns the number of examples.
	Len() int
	// Fields describes every example. It is always the same.
	Fields() Fields
	// ReadBatch copies the examples with the indices b.Rows, in [0, Len()), to the front of the
	// columns of b, which have room for them, one example after the other. b.W holds 1 for each of
	// them and b.Mask, for the targets that are masked, true for each element; ReadBatch changes
	// what is otherwise. Apart from that the rules of [Dataset] hold.
	ReadBatch(b *Batch) error
}

// AsRecords returns a dataset, with its weights and mask, as records. Fields are named as
// [Spec.Fields] names them.
func AsRecords(ds Dataset) Records {
	r := &single{Dataset: ds, fields: ds.Spec().Fields()}
	r.weighter, _ = ds.(Weighter)
	if m, ok := ds.(Masker); ok && len(r.fields.Targets) > 0 {
		r.masker, r.fields.Masked = m, map[string]bool{TargetName: true}
	}
	return r
}

// single is a dataset as records.
type single struct {
	Dataset
	fields   Fields
	weighter Weighter
	masker   Masker
}

func (s *single) Fields() Fields { return s.fields }

func (s *single) ReadBatch(b *Batch) error {
	if err := s.Read(b.Rows, b.In[InputName], b.Out[TargetName]); err != nil {
		return err
	}
	if s.weighter != nil {
		for i, r := range b.Rows {
			b.W[i] = s.weighter.Weight(r)
		}
	}
	if s.masker != nil {
		return s.masker.ReadMask(b.Rows, b.Mask[TargetName])
	}
	return nil
}

// chosen presents some of the examples of records, in an order of its own.
type chosen struct {
	Records
	rows []int
}

// SubsetRecords returns the examples of r with the given indices, in that order and with
// repetitions. Nothing is copied but rows.
func SubsetRecords(r Records, rows []int) (Records, error) {
	if r == nil {
		return nil, errors.New("data.SubsetRecords: records are nil")
	}
	if err := checkRows(rows, r.Len()); err != nil {
		return nil, fmt.Errorf("data.SubsetRecords: %w", err)
	}
	return &chosen{r, slices.Clone(rows)}, nil
}

// SplitRecords divides the examples of r into those of which test says false and those of which it
// says true, each in order.
func SplitRecords(r Records, test func(row int) bool) (train, held Records, err error) {
	if r == nil || test == nil {
		return nil, nil, errors.New("data.SplitRecords: records or test is nil")
	}
	var rows [2][]int
	for i := range r.Len() {
		k := 0
		if test(i) {
			k = 1
		}
		rows[k] = append(rows[k], i)
	}
	return &chosen{r, rows[0]}, &chosen{r, rows[1]}, nil
}

func (c *chosen) Len() int { return len(c.rows) }

func (c *chosen) ReadBatch(b *Batch) error {
	inner := *b // the caller's batch keeps the rows that it was asked for
	inner.Rows = make([]int, len(b.Rows))
	for i, r := range b.Rows {
		if r < 0 || r >= len(c.rows) {
			return fmt.Errorf("data: row %d, want a row in [0, %d)", r, len(c.rows))
		}
		inner.Rows[i] = c.rows[r]
	}
	return c.Records.ReadBatch(&inner)
}

// checkRows returns an error for an index outside of n rows.
func checkRows(rows []int, n int) error {
	for i, r := range rows {
		if r < 0 || r >= n {
			return fmt.Errorf("index %d is row %d, want a row in [0, %d)", i, r, n)
		}
	}
	return nil
}
