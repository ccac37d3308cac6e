package tensorops

import (
	"fmt"

	"gorgonia.org/tensor"
)

// LogSumExp returns log Σ exp(x) along an axis of x, which the result does not have:
//
//	dst[..] = log Σ_j exp(x[.., j, ..])
//
// x is float32 or float64, of rank 1 or more and of any layout: transposed by T, a sliced view,
// column-major. A negative axis counts from the end. The sum over a vector is a tensor of shape ().
//
// dst takes the result and is returned; it has the dtype of x and the shape of the result, in any
// layout. With a nil dst the result is a new row-major tensor. Memory that dst shares with x is
// dealt with by a copy of x.
//
// The error wraps [ErrDType] or [ErrShape]: another dtype, rank 0, an axis out of range, no
// elements, a masked or nil tensor, memory that the processor cannot reach, a dst that does not
// fit.
func LogSumExp(dst, x *tensor.Dense, axis int) (*tensor.Dense, error) {
	return alongAxis("LogSumExp", opLogSumExp, dst, x, axis)
}

// Softmax returns exp(x) / Σ exp(x), the sum being taken along an axis of x; the result has the
// shape of x. Tensors, axis, dst and errors are as for [LogSumExp], but dst may be x itself.
func Softmax(dst, x *tensor.Dense, axis int) (*tensor.Dense, error) {
	return alongAxis("Softmax", opSoftmax, dst, x, axis)
}

// LogSoftmax returns x - log Σ exp(x), the sum being taken along an axis of x; the result has the
// shape of x. Tensors, axis, dst and errors are as for [LogSumExp], but dst may be x itself.
func LogSoftmax(dst, x *tensor.Dense, axis int) (*tensor.Dense, error) {
	return alongAxis("LogSoftmax", opLogSoftmax, dst, x, axis)
}

func alongAxis(name string, op rowOp, dst, x *tensor.Dense, axis int) (*tensor.Dense, error) {
	if err := checkOperand(name, "x", x); err != nil {
		return nil, err
	}
	rank := x.Dims()
	if rank == 0 {
		return nil, fmt.Errorf("tensorops.%s: %w: x is a scalar, want rank 1 or more", name, ErrShape)
	}
	if axis < -rank || axis >= rank {
		return nil, fmt.Errorf("tensorops.%s: %w: axis %d is out of range for x of shape %v", name, ErrShape, axis, x.Shape())
	}
	if axis < 0 {
		axis += rank
	}
	removed := -1
	if op == opLogSumExp {
		removed = axis
	}
	if dst == nil {
		dst = tensor.New(tensor.Of(x.Dtype()), tensor.WithShape(shapeWithout(x.Shape(), removed)...))
	} else if err := checkDst(name, dst, x, removed); err != nil {
		return nil, err
	}
	if x.Dtype() == tensor.Float32 {
		runDense(op, dst, x, dst.Float32s(), x.Float32s(), axis)
	} else {
		runDense(op, dst, x, dst.Float64s(), x.Float64s(), axis)
	}
	return dst, nil
}

func checkOperand(name, operand string, t *tensor.Dense) error {
	switch {
	case t == nil || t.Dtype().Type == nil:
		return fmt.Errorf("tensorops.%s: %w: %s is nil or was never given a shape", name, ErrShape, operand)
	case t.Dtype() != tensor.Float32 && t.Dtype() != tensor.Float64:
		return fmt.Errorf("tensorops.%s: %w: %s is %v, want float32 or float64", name, ErrDType, operand, t.Dtype())
	case t.Shape().TotalSize() == 0:
		return fmt.Errorf("tensorops.%s: %w: %s has no elements, its shape is %v", name, ErrShape, operand, t.Shape())
	case t.IsMasked():
		return fmt.Errorf("tensorops.%s: %w: %s is a masked tensor", name, ErrShape, operand)
	case !t.IsNativelyAccessible():
		return fmt.Errorf("tensorops.%s: %w: the memory of %s cannot be read", name, ErrShape, operand)
	case len(t.Strides()) != t.Dims() && longAxes(t.Shape()) > 1:
		return fmt.Errorf("tensorops.%s: %w: %s has shape %v and strides %v", name, ErrShape, operand, t.Shape(),
			t.Strides())
	}
	return nil
}

func checkDst(name string, dst, x *tensor.Dense, removed int) error {
	if err := checkOperand(name, "dst", dst); err != nil {
		return err
	}
	if dst.Dtype() != x.Dtype() {
		return fmt.Errorf("tensorops.%s: %w: dst is %v, want %v as x is", name, ErrDType, dst.Dtype(), x.Dtype())
	}
	if !sameShape(dst.Shape(), x.Shape(), removed) {
		return fmt.Errorf("tensorops.%s: %w: dst has shape %v, want %v for x of shape %v", name, ErrShape,
			dst.Shape(), tensor.Shape(shapeWithout(x.Shape(), removed)), x.Shape())
	}
	return nil
}

// longAxes counts the axes that are longer than 1.
func longAxes(shape tensor.Shape) (n int) {
	for _, s := range shape {
		if s > 1 {
			n++
		}
	}
	return n
}

// shapeWithout returns a copy of shape without the given axis; -1 removes none.
func shapeWithout(shape tensor.Shape, axis int) []int {
	out := make([]int, 0, len(shape))
	for i, n := range shape {
		if i != axis {
			out = append(out, n)
		}
	}
	return out
}

// sameShape reports whether a is b without the given axis.
func sameShape(a, b tensor.Shape, axis int) bool {
	if axis >= 0 {
		return len(a) == len(b)-1 && equal(a[:axis], b[:axis]) && equal(a[axis:], b[axis+1:])
	}
	return equal(a, b)
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
