package data

import (
	"errors"
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A Kind says what the numbers of a field are.
type Kind uint8

const (
	// None is the kind of a target that does not exist.
	None Kind = iota
	// Float is a real number: a feature or a regression target.
	Float
	// Int is a whole number: a class label or a token.
	Int
)

// String returns "none", "float" or "int".
func (k Kind) String() string {
	switch k {
	case None:
		return "none"
	case Float:
		return "float"
	case Int:
		return "int"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// A Field describes the input or the target of one example.
type Field struct {
	Kind  Kind
	Shape []int // dimensions of one example; empty for a single number
}

// Size returns how many numbers one example has in the field: 0 for the kind None. [Spec.Check]
// refuses a shape whose size no int holds.
func (f Field) Size() int {
	if f.Kind == None {
		return 0
	}
	n := 1
	for _, d := range f.Shape {
		n *= d
	}
	return n
}

// Equal reports whether two fields have the same kind and shape.
func (f Field) Equal(g Field) bool {
	if f.Kind != g.Kind || len(f.Shape) != len(g.Shape) {
		return false
	}
	for i, d := range f.Shape {
		if d != g.Shape[i] {
			return false
		}
	}
	return true
}

// String prints the kind and the shape, as in "float (28, 28)".
func (f Field) String() string {
	if f.Kind == None {
		return "none"
	}
	text := f.Kind.String() + " ("
	for i, d := range f.Shape {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(d)
	}
	return text + ")"
}

// A Spec describes the examples of a dataset.
type Spec struct {
	Input, Target Field
}

// Check returns an error when the input is missing, a dimension is not positive or the size of a
// field overflows.
func (s Spec) Check() error { return s.Fields().Check() }

// A Column is the numbers of one field of consecutive examples, one example after the other. The
// slice that fits the field is used, Int for the kind Int and F32 or F64 for the kind Float; the
// others are nil.
type Column struct {
	F32 []float32
	F64 []float64
	Int []int
}

// Len returns how many numbers the column holds.
func (c Column) Len() int { return len(c.F32) + len(c.F64) + len(c.Int) }

// Slice returns the numbers [i, j) of the column, sharing its memory.
func (c Column) Slice(i, j int) Column {
	switch {
	case c.F32 != nil:
		return Column{F32: c.F32[i:j]}
	case c.F64 != nil:
		return Column{F64: c.F64[i:j]}
	case c.Int != nil:
		return Column{Int: c.Int[i:j]}
	}
	return Column{}
}

// Copy converts the numbers of src into c; both have the same length. Floats are rounded to float32
// where c holds them. Whole numbers convert to floats and never the other way: that returns an
// error.
func (c Column) Copy(src Column) error {
	if c.Len() != src.Len() {
		return fmt.Errorf("data: copy of %d numbers into %d", src.Len(), c.Len())
	}
	switch {
	case c.F32 != nil && src.F32 != nil:
		copy(c.F32, src.F32)
	case c.F64 != nil && src.F64 != nil:
		copy(c.F64, src.F64)
	case c.Int != nil && src.Int != nil:
		copy(c.Int, src.Int)
	case c.F32 != nil && src.F64 != nil:
		for i, v := range src.F64 {
			c.F32[i] = float32(v)
		}
	case c.F64 != nil && src.F32 != nil:
		for i, v := range src.F32 {
			c.F64[i] = float64(v)
		}
	case c.F32 != nil && src.Int != nil:
		for i, v := range src.Int {
			c.F32[i] = float32(v)
		}
	case c.F64 != nil && src.Int != nil:
		for i, v := range src.Int {
			c.F64[i] = float64(v)
		}
	case c.Int != nil:
		return errors.New("data: floats do not convert to whole numbers")
	}
	return nil
}

// NonFinite returns the index of the first NaN or infinity in the column, or -1.
func (c Column) NonFinite() int {
	if c.F32 != nil {
		return nonFinite(c.F32)
	}
	return nonFinite(c.F64)
}

// nonFinite looks at all numbers at once first: every batch is looked at, and hardly ever is there
// anything to find.
func nonFinite[F float32 | float64](x []F) int {
	top := F(math.MaxFloat32)
	if _, single := any(top).(float32); !single {
		wide := math.MaxFloat64 // a constant would not fit float32
		top = F(wide)
	}
	if vec.Within(x, -top, top) {
		return -1
	}
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}

// A Dataset is a fixed number of examples that can be read in any order, any number of times.
type Dataset interface {
	// Len returns the number of examples.
	Len() int
	// Spec describes every example.
	Spec() Spec
	// Read copies the examples with the given indices, in [0, Len()), to the front of x and y,
	// which have room for them. It converts floats to the slice that x and y hold. y is empty when
	// there is no target. The same index always gives the same numbers. Read may be called from any
	// one goroutine at a time, and from several at once only where a program hands the dataset to
	// calls that run at the same time. The datasets of this package allow that.
	Read(rows []int, x, y Column) error
}

// A Weighter is a Dataset whose examples do not all count the same.
type Weighter interface {
	Dataset
	// Weight returns the sample weight of an example, a finite number; the weight of an example in
	// any other Dataset is 1. A negative weight turns an example's loss around, and is an error to
	// metrics.
	Weight(row int) float64
}

// WeightOf returns the sample weight of an example: 1 unless ds is a [Weighter].
func WeightOf(ds Dataset, row int) float64 {
	if w, ok := ds.(Weighter); ok {
		return w.Weight(row)
	}
	return 1
}

// subset presents some of the examples of a dataset, in an order of its own.
type subset struct {
	Dataset
	rows []int
}

// Subset returns the examples of ds with the given indices, in that order and with repetitions.
// Nothing is copied but rows.
func Subset(ds Dataset, rows []int) (Dataset, error) {
	if ds == nil {
		return nil, errors.New("data.Subset: dataset is nil")
	}
	if err := checkRows(rows, ds.Len()); err != nil {
		return nil, fmt.Errorf("data.Subset: %w", err)
	}
	return newSubset(ds, append([]int(nil), rows...)), nil
}

func newSubset(ds Dataset, rows []int) Dataset {
	s := &subset{Dataset: ds, rows: rows}
	if m, ok := ds.(Masker); ok {
		return &maskedSubset{subset: s, from: m}
	}
	return s
}

// Split divides the examples of ds into those of which test says false and those of which it says
// true, each in order.
func Split(ds Dataset, test func(row int) bool) (train, held Dataset, err error) {
	if ds == nil || test == nil {
		return nil, nil, errors.New("data.Split: dataset or test is nil")
	}
	var a, b []int
	for i := range ds.Len() {
		if test(i) {
			b = append(b, i)
		} else {
			a = append(a, i)
		}
	}
	return newSubset(ds, a), newSubset(ds, b), nil
}

func (s *subset) Len() int { return len(s.rows) }

func (s *subset) Read(rows []int, x, y Column) error {
	inner, err := s.inner(rows)
	if err != nil {
		return err
	}
	return s.Dataset.Read(inner, x, y)
}

// inner returns the numbers that rows of the subset have in its dataset.
func (s *subset) inner(rows []int) ([]int, error) {
	inner := make([]int, len(rows)) // and not a field: calls may come at the same time
	for i, r := range rows {
		if r < 0 || r >= len(s.rows) {
			return nil, fmt.Errorf("data: row %d, want a row in [0, %d)", r, len(s.rows))
		}
		inner[i] = s.rows[r]
	}
	return inner, nil
}

func (s *subset) Weight(row int) float64 { return WeightOf(s.Dataset, s.rows[row]) }
