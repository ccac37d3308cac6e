package tensorops

import (
	"fmt"

	"gorgonia.org/tensor"
)

// Elements returns the elements of t in row-major order: t's own memory where that is their order,
// a copy for transposed, sliced and column-major tensors. The strides alone decide; what a Dense
// says of itself (RequiresIterator, Materialize) takes a column-major tensor for a row-major one.
//
// The error says what t is and what is wanted, without a prefix, for callers to add theirs. It
// wraps [ErrDType] for elements of another type than T, and [ErrShape] for a nil or masked tensor,
// less memory than elements, or strides that do not fit the shape.
func Elements[T any](t *tensor.Dense) ([]T, error) {
	if t == nil || t.Dtype().Type == nil {
		return nil, &Fault{ErrShape, "no tensor, or one that was never given a shape"}
	}
	if t.IsMasked() {
		return nil, &Fault{ErrShape, "a masked tensor, want one without"}
	}
	data, ok := numbers[T](t)
	if !ok {
		data, ok = t.Data().([]T)
	}
	if !ok {
		one, scalar := t.Data().(T)
		if !scalar {
			return nil, &Fault{ErrDType, fmt.Sprintf("data of type %T, want %T", t.Data(), *new(T))}
		}
		data = []T{one}
	}
	n, shape, strides := t.Shape().TotalSize(), t.Shape(), t.Strides()
	if len(strides) != len(shape) {
		if longAxes(shape) > 1 {
			return nil, &Fault{ErrShape, fmt.Sprintf("shape %v with strides %v, want as many strides as axes", shape, strides)}
		}
		strides = stridesOf(t)
	}
	if last := offset(n-1, shape, strides, -1); n > 0 && (last < 0 || last >= len(data)) {
		return nil, &Fault{ErrShape, fmt.Sprintf("%d entries of memory, want %d", len(data), last+1)}
	}
	if rowMajor(shape, strides, len(shape)) {
		return data[:n], nil
	}
	return copied(t, data), nil
}

// numbers returns the memory of a tensor of floating-point numbers as T, which they are. Data, which
// does that for every type, makes a new interface.
func numbers[T any](t *tensor.Dense) (data []T, ok bool) {
	switch d := any(&data).(type) {
	case *[]float32:
		if ok = t.Dtype() == tensor.Float32 && !t.IsScalar(); ok {
			*d = t.Float32s()
		}
	case *[]float64:
		if ok = t.Dtype() == tensor.Float64 && !t.IsScalar(); ok {
			*d = t.Float64s()
		}
	}
	return data, ok
}

// copied returns a row-major copy of t, data being its memory.
func copied[T any](t *tensor.Dense, data []T) []T {
	out := make([]T, t.Shape().TotalSize())
	EachElement(t, func(i, at int) { out[i] = data[at] })
	return out
}

// EachElement calls f with the row-major number i of every element of t, in order, and its place in
// t's memory. t is a tensor that [Elements] takes.
func EachElement(t *tensor.Dense, f func(i, at int)) {
	shape, strides := t.Shape(), stridesOf(t)
	index := make([]int, len(shape))
	at := 0
	for i := range shape.TotalSize() {
		f(i, at)
		for a := len(index) - 1; a >= 0; a-- {
			at += strides[a]
			if index[a]++; index[a] < shape[a] {
				break
			}
			at -= shape[a] * strides[a]
			index[a] = 0
		}
	}
}
