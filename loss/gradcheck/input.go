package gradcheck

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A Builder adds the function under test to the graph g and returns its node: a scalar, or any
// shape together with [WithUpstream]. dt is the dtype of this build, and in holds one node per
// [Input], in order, with the input's name and shape. Check calls it several times, each time with
// a new graph, and for a float32 check with both dtypes; it must build the same function each time.
type Builder func(g *G.ExprGraph, dt tensor.Dtype, in G.Nodes) (*G.Node, error)

// An Input is one operand of the function under test and the point at which the function is
// checked.
type Input struct {
	// Name is the node's name; it must not be empty and differ from the names of the other inputs.
	Name string
	// Value is a *tensor.Dense of any layout, a []float64, []float32, []int, []int64, []int32,
	// []uint8 or []bool (a vector), or one number of those types (a scalar). It is copied. Floating
	// values are converted to the dtype of the check; integers and booleans are passed through as
	// data.
	Value any
	// Data marks a floating input that has no gradient, such as sample weights.
	Data bool
}

// Var returns a floating input of the shape with these values in row-major order; without a shape,
// a scalar.
func Var(name string, values []float64, shape ...int) Input {
	if len(shape) == 0 && len(values) == 1 {
		return Input{Name: name, Value: values[0]}
	}
	if len(shape) == 0 {
		return Input{Name: name, Value: values}
	}
	return Input{Name: name, Value: shaped{values, shape}}
}

// Data returns an input without a gradient: labels, weights, a mask.
func Data(name string, value any) Input { return Input{Name: name, Value: value, Data: true} }

// shaped delays building the tensor, so that a wrong shape is an error of Check and not a panic.
type shaped struct {
	values []float64
	shape  []int
}

// operand is an input in one dtype, with memory of its own.
type operand struct {
	name  string
	shape tensor.Shape
	dtype tensor.Dtype
	fixed bool // no gradient is checked
	// pristine holds the floating values, rounded to the dtype of the check; nil for integers and
	// booleans
	pristine []float64
	value    G.Value
	f64      []float64
	f32      []float32
	s64      *G.F64
	s32      *G.F32
	unit     float64 // typical magnitude of the values
}

func isFloat(dt tensor.Dtype) bool { return dt == tensor.Float64 || dt == tensor.Float32 }

// parse reads an input into flat values (floats) or a tensor or scalar of its own (anything else).
func parse(in Input) (floats []float64, other G.Value, shape tensor.Shape, err error) {
	switch v := in.Value.(type) {
	case shaped:
		if n := tensor.Shape(v.shape).TotalSize(); n != len(v.values) || n == 0 {
			return nil, nil, nil, fmt.Errorf("has %d values, want %d > 0 for shape %s", len(v.values), n, shapeText(v.shape))
		}
		return append([]float64(nil), v.values...), nil, append(tensor.Shape(nil), v.shape...), nil
	case float64:
		return []float64{v}, nil, tensor.ScalarShape(), nil
	case float32:
		return []float64{float64(v)}, nil, tensor.ScalarShape(), nil
	case []float64:
		floats = append(floats, v...)
	case []float32:
		for _, x := range v {
			floats = append(floats, float64(x))
		}
	case G.Value:
		return parseValue(v)
	case []int, []int64, []int32, []uint8, []bool:
		return parseSlice(v)
	case int:
		return nil, G.NewI(v), tensor.ScalarShape(), nil
	case int64:
		return nil, G.NewI64(v), tensor.ScalarShape(), nil
	case int32:
		return nil, G.NewI32(v), tensor.ScalarShape(), nil
	case uint8:
		return nil, G.NewU8(v), tensor.ScalarShape(), nil
	case bool:
		return nil, G.NewB(v), tensor.ScalarShape(), nil
	default:
		return nil, nil, nil, fmt.Errorf("has a value of type %T, want a tensor, slice or number", in.Value)
	}
	if len(floats) == 0 {
		return nil, nil, nil, fmt.Errorf("is empty, want at least one value")
	}
	return floats, nil, tensor.Shape{len(floats)}, nil
}

func parseSlice(v any) ([]float64, G.Value, tensor.Shape, error) {
	n := 0
	switch s := v.(type) {
	case []int:
		v, n = append([]int(nil), s...), len(s)
	case []int64:
		v, n = append([]int64(nil), s...), len(s)
	case []int32:
		v, n = append([]int32(nil), s...), len(s)
	case []uint8:
		v, n = append([]uint8(nil), s...), len(s)
	case []bool:
		v, n = append([]bool(nil), s...), len(s)
	}
	if n == 0 {
		return nil, nil, nil, fmt.Errorf("is empty, want at least one value")
	}
	return nil, tensor.New(tensor.WithShape(n), tensor.WithBacking(v)), tensor.Shape{n}, nil
}

func parseValue(v G.Value) ([]float64, G.Value, tensor.Shape, error) {
	shape := v.Shape().Clone()
	if isFloat(v.Dtype()) {
		floats, err := flatten(v, nil)
		return floats, nil, shape, err
	}
	c, err := G.CloneValue(v)
	return nil, c, shape, err
}

// newOperand makes the operand of an input for the dtype of the check, at the precision of narrow.
func newOperand(in Input, dt, narrow tensor.Dtype) (*operand, error) {
	floats, other, shape, err := parse(in)
	if err != nil {
		return nil, fmt.Errorf("input %q %w", in.Name, err)
	}
	o := &operand{name: in.Name, shape: shape, dtype: dt, fixed: in.Data || floats == nil, pristine: floats}
	if floats == nil {
		o.dtype, o.value = other.Dtype(), other
		return o, nil
	}
	for i, x := range floats {
		if narrow == tensor.Float32 {
			floats[i] = float64(float32(x))
		}
		if math.IsNaN(x) && !o.fixed {
			return nil, fmt.Errorf("input %q is NaN at %s, want a number", in.Name, indexText(indexOf(i, shape)))
		}
	}
	o.unit = typical(floats)
	o.allocate()
	o.restore()
	return o, nil
}

// typical is the root mean square of the finite values, 1 where all are 0.
func typical(x []float64) float64 {
	big := 0.0
	for _, v := range x {
		if a := math.Abs(v); a > big && !math.IsInf(a, 0) {
			big = a
		}
	}
	if big == 0 {
		return 1
	}
	sum, n := 0.0, 0.0
	for _, v := range x {
		if r := v / big; r != 0 && !math.IsInf(r, 0) && !math.IsNaN(r) {
			sum += r * r
			n++
		}
	}
	return big * math.Sqrt(sum/n)
}

func (o *operand) allocate() {
	n := len(o.pristine)
	switch {
	case o.dtype == tensor.Float64 && len(o.shape) == 0:
		o.s64 = G.NewF64(0)
		o.value = o.s64
	case len(o.shape) == 0:
		o.s32 = G.NewF32(0)
		o.value = o.s32
	case o.dtype == tensor.Float64:
		o.f64 = make([]float64, n)
		o.value = tensor.New(tensor.WithShape(o.shape...), tensor.WithBacking(o.f64))
	default:
		o.f32 = make([]float32, n)
		o.value = tensor.New(tensor.WithShape(o.shape...), tensor.WithBacking(o.f32))
	}
}

// set writes element i and returns what was stored, which float32 rounds.
func (o *operand) set(i int, x float64) float64 {
	switch {
	case o.f64 != nil:
		o.f64[i] = x
	case o.f32 != nil:
		o.f32[i] = float32(x)
		return float64(float32(x))
	case o.s64 != nil:
		*o.s64 = G.F64(x)
	case o.s32 != nil:
		*o.s32 = G.F32(x)
		return float64(float32(x))
	}
	return x
}

func (o *operand) get(i int) float64 {
	switch {
	case o.f64 != nil:
		return o.f64[i]
	case o.f32 != nil:
		return float64(o.f32[i])
	case o.s64 != nil:
		return float64(*o.s64)
	}
	return float64(*o.s32)
}

func (o *operand) restore() { o.load(o.pristine) }

func (o *operand) load(x []float64) {
	if o.f64 != nil {
		copy(o.f64, x)
		return
	}
	for i, v := range x {
		o.set(i, v)
	}
}

// node adds the operand's node to a graph.
func (o *operand) node(g *G.ExprGraph) *G.Node {
	if len(o.shape) == 0 {
		return G.NewScalar(g, o.dtype, G.WithName(o.name))
	}
	return G.NewTensor(g, o.dtype, len(o.shape), G.WithShape(o.shape...), G.WithName(o.name))
}
