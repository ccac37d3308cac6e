package eager

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"gorgonia.org/tensor"
)

// Element is the element type of an operand: numbers, integer labels, or the entries of a mask.
type Element interface {
	float32 | float64 | int | int64 | int32 | uint8 | bool
}

// An Operand is data with a shape, in row-major order. The zero value is no operand.
type Operand struct {
	data   any // a slice
	given  core.Given
	copied bool  // data is a copy that the caller does not see, so nothing can be written to it
	err    error // found when it was made, reported when it is used
}

// Slice returns data with a shape; without one it has one axis, of all its elements. The data is
// not copied.
//
// A shape that does not multiply out to the number of elements is an error of the call that uses
// the operand.
func Slice[T Element](data []T, shape ...int) Operand {
	s := slices.Clone(core.Shape(shape))
	if shape == nil {
		s = core.Shape{len(data)}
	}
	o := Operand{data: data, given: core.Given{Shape: s, DType: dtypeOf[T]()}}
	for _, d := range s {
		if d < 0 {
			o.err = fmt.Errorf("shape %s, want no negative length", s)
			return o
		}
	}
	if n := s.Size(); n != len(data) {
		o.err = fmt.Errorf("%d elements, want %d for shape %s", len(data), n, s)
	}
	return o
}

// Scalar returns a single number of shape (). It is a copy, so that no result can be written to it.
func Scalar[T Element](v T) Operand {
	return Operand{data: []T{v}, given: core.Given{DType: dtypeOf[T]()}, copied: true}
}

// Variable returns the number that p points to, of shape (). Unlike [Scalar] it can take a result,
// such as the gradient with respect to a scale.
func Variable[T Element](p *T) Operand {
	if p == nil {
		return Operand{err: fmt.Errorf("a nil pointer")}
	}
	return Operand{data: unsafe.Slice(p, 1), given: core.Given{DType: dtypeOf[T]()}}
}

// Dense returns the elements of a tensor: its own memory where that is in row-major order, a copy
// for scalar, transposed, sliced and column-major tensors. A result cannot be written to a copy:
// that is an error of the call.
func Dense(t *tensor.Dense) Operand {
	if t == nil {
		return Operand{err: fmt.Errorf("a nil tensor")}
	}
	switch t.Dtype() {
	case tensor.Float32:
		return dense[float32](t)
	case tensor.Float64:
		return dense[float64](t)
	case tensor.Int:
		return dense[int](t)
	case tensor.Int64:
		return dense[int64](t)
	case tensor.Int32:
		return dense[int32](t)
	case tensor.Uint8:
		return dense[uint8](t)
	case tensor.Bool:
		return dense[bool](t)
	}
	return Operand{err: fmt.Errorf("dtype %v, want a float, an integer or a Bool", t.Dtype())}
}

func dense[T Element](t *tensor.Dense) Operand {
	data, err := tensorops.Elements[T](t)
	if err != nil {
		return Operand{err: err}
	}
	o := Slice(data, t.Shape()...)
	if t.Shape().IsScalar() {
		o.given.Shape, o.err = nil, nil
	}
	o.copied = len(data) > 0 && uintptr(unsafe.Pointer(&data[0])) != t.Uintptr()
	return o
}

func dtypeOf[T Element]() core.DType {
	var z T
	return core.DType(fmt.Sprintf("%T", z))
}

// bytesOf returns the entries of a mask of bytes or bools.
func (o *Operand) bytesOf() []uint8 {
	switch m := o.data.(type) {
	case []uint8:
		return m
	case []bool:
		if len(m) > 0 {
			return unsafe.Slice((*uint8)(unsafe.Pointer(&m[0])), len(m)) // a bool is a byte of 0 or 1
		}
	}
	return nil
}

// ints returns the entries of integer data.
func (o *Operand) ints() (i core.Ints) {
	switch d := o.data.(type) {
	case []int:
		i.Int = d
	case []int64:
		i.Int64 = d
	case []int32:
		i.Int32 = d
	case []uint8, []bool:
		i.Uint8 = o.bytesOf()
	}
	return i
}

// span returns the addresses of the first byte of the data and of the one after the last.
func (o *Operand) span() (lo, hi uintptr) {
	switch d := o.data.(type) {
	case []float32:
		return bounds(d)
	case []float64:
		return bounds(d)
	case []int:
		return bounds(d)
	case []int64:
		return bounds(d)
	case []int32:
		return bounds(d)
	case []uint8:
		return bounds(d)
	case []bool:
		return bounds(d)
	}
	return 0, 0
}

func bounds[T any](d []T) (lo, hi uintptr) {
	if len(d) == 0 {
		return 0, 0
	}
	lo = uintptr(unsafe.Pointer(&d[0]))
	return lo, lo + uintptr(len(d))*unsafe.Sizeof(d[0])
}

// overlaps reports whether two operands share memory.
func (o *Operand) overlaps(p *Operand) bool {
	a, b := o.span()
	c, d := p.span()
	return a < d && c < b
}
