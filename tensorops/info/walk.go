package info

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops"
	"gorgonia.org/tensor"
)

// An operand is a tensor with the name that errors call it by.
type operand struct {
	name string
	x    *tensor.Dense
}

// pairs evaluates a measure of two distributions on every line of p and q along the axis.
func pairs(name string, in input, unit Unit, axis int, f func(p, q vec[float64], u Unit) float64,
	p, q *tensor.Dense) (*tensor.Dense, error) {
	return lines(name, in, unit, axis, func(x []vec[float64]) float64 {
		return f(x[0], x[1], unit)
	}, operand{"p", p}, operand{"q", q})
}

// lines evaluates f on every line of the operands along the axis.
func lines(name string, in input, unit Unit, axis int, f func([]vec[float64]) float64,
	operands ...operand) (*tensor.Dense, error) {
	if err := check(name, in, unit, operands); err != nil {
		return nil, err
	}
	x := operands[0]
	at, err := resolve(name, "axis", axis, x)
	if err != nil {
		return nil, err
	}
	return walk(name, in, []int{at}, f, operands)
}

// tables evaluates the mutual information of every table that two axes make up.
func tables(name string, in input, unit Unit, rows, cols int, joint *tensor.Dense) (*tensor.Dense, error) {
	x := operand{"joint", joint}
	if err := check(name, in, unit, []operand{x}); err != nil {
		return nil, err
	}
	r, err := resolve(name, "rows", rows, x)
	if err != nil {
		return nil, err
	}
	c, err := resolve(name, "cols", cols, x)
	if err != nil {
		return nil, err
	}
	if r == c {
		return nil, refuse(ErrAxis, "info.%s: rows and cols are both axis %d, want two axes", name, r)
	}
	width := joint.Shape()[c]
	return walk(name, in, []int{r, c}, func(x []vec[float64]) float64 {
		return mutualInformation(x[0], width, unit)
	}, []operand{x})
}

// check refuses what can be refused without looking at the elements.
func check(name string, in input, unit Unit, operands []operand) error {
	if err := checkUnit(name, unit); err != nil {
		return err
	}
	for _, o := range operands {
		if o.x == nil || o.x.Dtype().Type == nil {
			return refuse(ErrShape, "info.%s: %s is nil or was never given a shape", name, o.name)
		}
		switch o.x.Dtype() {
		case tensor.Float32, tensor.Float64:
		case tensor.Int, tensor.Int64, tensor.Int32, tensor.Uint8:
			if !in.weights {
				return refuse(ErrDType, "info.%s: %s has dtype %v, want float32 or float64 (the Weights form takes counts)",
					name, o.name, o.x.Dtype())
			}
		default:
			return refuse(ErrDType, "info.%s: %s has dtype %v, want float32 or float64", name, o.name, o.x.Dtype())
		}
		if o.x.IsMasked() {
			return refuse(ErrShape, "info.%s: %s is a masked tensor, want one without a mask", name, o.name)
		}
		if !o.x.IsNativelyAccessible() {
			return refuse(ErrShape, "info.%s: %s is not in memory that Go can read", name, o.name)
		}
		first := operands[0]
		if o.x.Dtype() != first.x.Dtype() {
			return refuse(ErrDType, "info.%s: %s has dtype %v, want %v to match %s", name, o.name, o.x.Dtype(),
				first.x.Dtype(), first.name)
		}
		if !slices.Equal(o.x.Shape(), first.x.Shape()) {
			return refuse(ErrShape, "info.%s: %s has shape %v, want %v to match %s", name, o.name, o.x.Shape(),
				first.x.Shape(), first.name)
		}
	}
	return nil
}

// resolve returns the axis counted from the front.
func resolve(name, what string, axis int, o operand) (int, error) {
	dims := o.x.Dims()
	if axis < -dims || axis >= dims {
		return 0, refuse(ErrAxis, "info.%s: %s is %d, want one of the %d axes of %s with shape %v", name, what, axis,
			dims, o.name, o.x.Shape())
	}
	if axis < 0 {
		axis += dims
	}
	return axis, nil
}

// walk evaluates f on the sub-tensors that axes span, one for each position on the other axes, and
// returns the results with the shape of the other axes.
func walk(name string, in input, axes []int, f func([]vec[float64]) float64, operands []operand) (*tensor.Dense, error) {
	first := operands[0].x
	if first.Dtype() == tensor.Float32 {
		in.roundoff = roundoff32
	} else {
		in.roundoff = roundoff64
	}
	shape := first.Shape()
	var outer []int // the other axes
	var kept tensor.Shape
	count, size := 1, 1
	for d, n := range shape {
		if slices.Contains(axes, d) {
			size *= n
		} else {
			outer, kept, count = append(outer, d), append(kept, n), count*n
		}
	}
	if count == 0 || size == 0 {
		return nil, refuse(ErrEmpty, "info.%s: %s has shape %v, want at least 1 element", name, operands[0].name, shape)
	}
	data := make([]any, len(operands))
	for i, o := range operands {
		data[i] = o.x.Data()
	}
	result := make([]float64, count)
	// Ranges of about 4096 elements take tens of microseconds, some hundred times what handing one
	// out costs.
	grain := max(1, 4096/size)
	failed := make([]error, (count+grain-1)/grain)
	tensorops.ParallelFor(count, grain, func(lo, hi int) {
		line := make([][]float64, len(operands))
		for i := range line {
			line[i] = make([]float64, size)
		}
		x := make([]vec[float64], len(operands))
		for k := lo; k < hi; k++ {
			for i, o := range operands {
				gather(line[i], data[i], o.x, offset(o.x, outer, kept, k), axes)
				v, bad := read(line[i], in)
				if bad != nil {
					failed[lo/grain] = bad.in(name, position(o.name, bad.index, shape, axes, outer, kept, k))
					return
				}
				x[i] = v
			}
			result[k] = f(x)
		}
	})
	for _, err := range failed { // in order: the first line that is wrong, on any number of cores
		if err != nil {
			return nil, err
		}
	}
	if len(kept) == 0 {
		return tensor.New(tensor.FromScalar(result[0])), nil
	}
	return tensor.New(tensor.WithShape(kept...), tensor.WithBacking(result)), nil
}

// unravel calls f with every kept axis and the coordinate on it of position k.
func unravel(kept tensor.Shape, k int, f func(i, coordinate int)) {
	for i := len(kept) - 1; i >= 0; i-- {
		f(i, k%kept[i])
		k /= kept[i]
	}
}

// offset is where in x's data the sub-tensor at position k of the outer axes begins.
func offset(x *tensor.Dense, outer []int, kept tensor.Shape, k int) int {
	at, strides := 0, x.Strides()
	unravel(kept, k, func(i, coordinate int) { at += coordinate * strides[outer[i]] })
	return at
}

// gather copies the sub-tensor of x that one or two axes span and that begins at start of x's data.
// It goes by the strides alone: RequiresIterator and Materialize of tensor v0.9.24 take a
// column-major tensor for a row-major one.
func gather(dst []float64, data any, x *tensor.Dense, start int, axes []int) {
	switch data := data.(type) {
	case []float64:
		gatherFrom(dst, data, x, start, axes)
	case []float32:
		gatherFrom(dst, data, x, start, axes)
	case []int:
		gatherFrom(dst, data, x, start, axes)
	case []int64:
		gatherFrom(dst, data, x, start, axes)
	case []int32:
		gatherFrom(dst, data, x, start, axes)
	case []uint8:
		gatherFrom(dst, data, x, start, axes)
	}
}

func gatherFrom[T Weight](dst []float64, data []T, x *tensor.Dense, start int, axes []int) {
	shape, strides := x.Shape(), x.Strides()
	rows, rowStep := 1, 0
	if len(axes) == 2 {
		rows, rowStep = shape[axes[0]], strides[axes[0]]
	}
	last := axes[len(axes)-1]
	step := strides[last]
	for r := range rows {
		at := start + r*rowStep
		row := dst[r*shape[last]:][:shape[last]]
		for i := range row {
			row[i] = float64(data[at])
			at += step
		}
	}
}

// position names the element of an operand that is wrong, "p[1, 0, 2]", or the line, "p[1, :, 2]",
// if index is negative.
func position(operand string, index int, shape tensor.Shape, axes, outer []int, kept tensor.Shape, k int) string {
	if len(outer) == 0 && index < 0 {
		return operand
	}
	coordinates := make([]string, len(shape))
	for i := len(axes) - 1; i >= 0; i-- {
		coordinates[axes[i]] = ":"
		if index >= 0 {
			coordinates[axes[i]] = fmt.Sprint(index % shape[axes[i]])
			index /= shape[axes[i]]
		}
	}
	unravel(kept, k, func(i, coordinate int) { coordinates[outer[i]] = fmt.Sprint(coordinate) })
	return operand + "[" + strings.Join(coordinates, ", ") + "]"
}
