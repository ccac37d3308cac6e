package data

import (
	"errors"
	"fmt"
	"math"
)

// A Table is a Dataset in memory.
type Table struct {
	n       int
	spec    Spec
	x, y    Column
	weights []float64
}

// NewTable makes a dataset of n examples from columns that it keeps without copying.
func NewTable(n int, spec Spec, x, y Column) (*Table, error) {
	t := &Table{n: n, spec: spec, x: x, y: y}
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("data.NewTable: %w", err)
	}
	if n <= 0 {
		return nil, fmt.Errorf("data.NewTable: %d rows, want at least 1", n)
	}
	for _, c := range []struct {
		name string
		Field
		Column
	}{{"input", spec.Input, x}, {"target", spec.Target, y}} {
		size := c.Field.Size()
		if size > 0 && n > math.MaxInt/size {
			return nil, fmt.Errorf("data.NewTable: %d rows of %s %v are too large", n, c.name, c.Field)
		}
		if got, want := c.Column.Len(), n*size; got != want {
			return nil, fmt.Errorf("data.NewTable: %s has %d numbers, want %d for %d rows of %v", c.name, got, want, n, c.Field)
		}
		if want := c.Field.Kind == Int; want != (c.Column.Int != nil) {
			return nil, fmt.Errorf("data.NewTable: %s is %v and its column holds %s", c.name, c.Field, c.Column.kind())
		}
	}
	return t, nil
}

func (c Column) kind() string {
	switch {
	case c.Int != nil:
		return "ints"
	case c.F32 != nil:
		return "float32s"
	case c.F64 != nil:
		return "float64s"
	}
	return "nothing"
}

// Classes makes a dataset of feature rows with one class label each. The rows have one length; they
// are copied.
func Classes[F float32 | float64](x [][]F, labels []int) (*Table, error) {
	if len(labels) != len(x) {
		return nil, fmt.Errorf("data.Classes: %d labels, want %d to match the rows", len(labels), len(x))
	}
	col, width, err := flatten("data.Classes", "input", x)
	if err != nil {
		return nil, err
	}
	spec := Spec{Field{Float, []int{width}}, Field{Int, nil}}
	return NewTable(len(x), spec, col, Column{Int: append([]int(nil), labels...)})
}

// Values makes a dataset of feature rows with a row of real targets each, for regression, binary
// and soft labels. They are copied.
func Values[F float32 | float64](x, y [][]F) (*Table, error) {
	if len(y) != len(x) {
		return nil, fmt.Errorf("data.Values: %d target rows, want %d to match the input rows", len(y), len(x))
	}
	xcol, xw, err := flatten("data.Values", "input", x)
	if err != nil {
		return nil, err
	}
	ycol, yw, err := flatten("data.Values", "target", y)
	if err != nil {
		return nil, err
	}
	return NewTable(len(x), Spec{Field{Float, []int{xw}}, Field{Float, []int{yw}}}, xcol, ycol)
}

// Rows makes a dataset of feature rows without targets, for prediction. They are copied.
func Rows[F float32 | float64](x [][]F) (*Table, error) {
	col, width, err := flatten("data.Rows", "input", x)
	if err != nil {
		return nil, err
	}
	return NewTable(len(x), Spec{Input: Field{Float, []int{width}}}, col, Column{})
}

// flatten lays rows of one length end to end.
func flatten[F float32 | float64](fn, name string, rows [][]F) (Column, int, error) {
	if len(rows) == 0 {
		return Column{}, 0, fmt.Errorf("%s: no rows", fn)
	}
	width := len(rows[0])
	if width == 0 {
		return Column{}, 0, fmt.Errorf("%s: %s row 0 is empty", fn, name)
	}
	flat := make([]F, 0, len(rows)*width)
	for i, r := range rows {
		if len(r) != width {
			return Column{}, 0, fmt.Errorf("%s: %s row %d has %d numbers, want %d as in row 0", fn, name, i, len(r), width)
		}
		flat = append(flat, r...)
	}
	switch v := any(flat).(type) {
	case []float32:
		return Column{F32: v}, width, nil
	case []float64:
		return Column{F64: v}, width, nil
	}
	return Column{}, 0, errors.New("data: unreachable element type")
}

// WithWeights returns the same examples with one finite sample weight each; a weight of 2 counts
// like the example given twice, 0 leaves it out of losses and metrics, and a negative one, which
// metrics refuse, turns its loss around. w is copied.
func (t *Table) WithWeights(w []float64) (*Table, error) {
	if len(w) != t.n {
		return nil, fmt.Errorf("data.WithWeights: %d weights, want %d to match the rows", len(w), t.n)
	}
	for i, v := range w {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("data.WithWeights: weight %d is %v, want a finite number", i, v)
		}
	}
	c := *t
	c.weights = append([]float64(nil), w...)
	return &c, nil
}

// Len returns the number of examples.
func (t *Table) Len() int { return t.n }

// Spec describes the examples.
func (t *Table) Spec() Spec { return t.spec }

// Weight returns the sample weight of an example.
func (t *Table) Weight(row int) float64 {
	if t.weights == nil {
		return 1
	}
	return t.weights[row]
}

// Input returns the input of an example, sharing the table's memory.
func (t *Table) Input(row int) Column {
	w := t.spec.Input.Size()
	return t.x.Slice(row*w, (row+1)*w)
}

// Target returns the target of an example, sharing the table's memory.
func (t *Table) Target(row int) Column {
	w := t.spec.Target.Size()
	return t.y.Slice(row*w, (row+1)*w)
}

// Labels returns the class labels of all examples, or nil when the target is not one whole number.
func (t *Table) Labels() []int {
	if t.spec.Target.Kind != Int || t.spec.Target.Size() != 1 {
		return nil
	}
	return append([]int(nil), t.y.Int...)
}

// Read copies examples into x and y.
func (t *Table) Read(rows []int, x, y Column) error {
	if err := gather(t.x, t.spec.Input.Size(), rows, t.n, x); err != nil {
		return err
	}
	if t.spec.Target.Kind == None {
		return nil
	}
	return gather(t.y, t.spec.Target.Size(), rows, t.n, y)
}

// gather copies rows of src to the front of dst, those that lie one after the other at once.
func gather(src Column, width int, rows []int, n int, dst Column) error {
	for _, r := range rows {
		if r < 0 || r >= n {
			return fmt.Errorf("data: row %d, want a row in [0, %d)", r, n)
		}
	}
	for i, end := 0, 0; i < len(rows); i = end {
		first := rows[i]
		for end = i + 1; end < len(rows) && rows[end] == first+end-i; end++ {
		}
		if err := dst.Slice(i*width, end*width).Copy(src.Slice(first*width, (first+end-i)*width)); err != nil {
			return err
		}
	}
	return nil
}
