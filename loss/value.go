package loss

import (
	"fmt"

	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

type float interface{ float32 | float64 }

// flat returns the n entries of a value in row-major order, as [tensorops.Elements] does for tensors.
func flat[T any](v G.Value, n int) ([]T, error) {
	switch v := v.(type) {
	case *tensor.Dense:
		if size := v.Shape().TotalSize(); size != n {
			return nil, fmt.Errorf("shape %s, want %d entries", shapeText(v.Shape()), n)
		}
		return tensorops.Elements[T](v)
	default:
		switch d := v.Data().(type) {
		case T:
			if n != 1 {
				return nil, fmt.Errorf("a scalar, want %d entries", n)
			}
			return []T{d}, nil
		case []T:
			return nil, fmt.Errorf("a %T, want a dense tensor", v)
		}
	}
	var want T
	return nil, fmt.Errorf("data of type %T, want %T", v.Data(), want)
}

// wrap makes the value of a node of the shape: a scalar for rank 0, because Gorgonia cannot use a tensor there.
func wrap[F float](data []F, shape tensor.Shape) G.Value {
	if len(shape) > 0 {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	}
	switch x := any(data[0]).(type) {
	case float32:
		return G.NewF32(x)
	case float64:
		return G.NewF64(x)
	}
	panic("unreachable: float is float32 or float64")
}

// accumulate adds a gradient to the live buffer of a LispMachine.
func accumulate(into, g G.Value) error {
	switch into := into.(type) {
	case *G.F64:
		*into += *g.(*G.F64)
		return nil
	case *G.F32:
		*into += *g.(*G.F32)
		return nil
	case *tensor.Dense:
		switch d := into.Data().(type) {
		case []float64:
			return addInto(into, d, g)
		case []float32:
			return addInto(into, d, g)
		case float64: // a tensor of one element
			v, err := flat[float64](g, 1)
			if err != nil {
				return err
			}
			return into.SetAt(d+v[0], make([]int, into.Dims())...)
		case float32:
			v, err := flat[float32](g, 1)
			if err != nil {
				return err
			}
			return into.SetAt(d+v[0], make([]int, into.Dims())...)
		}
	}
	return fmt.Errorf("gradient buffer is a %T, want a float tensor or scalar", into)
}

func addInto[F float](into *tensor.Dense, d []F, g G.Value) error {
	v, err := flat[F](g, into.Shape().TotalSize())
	if err != nil {
		return err
	}
	tensorops.EachElement(into, func(i, at int) { d[at] += v[i] })
	return nil
}

// labelReader returns the integer labels of a value as a function of the row.
func labelReader(v G.Value, n int) (func(i int) int, error) {
	switch v.Dtype() {
	case tensor.Int:
		return reader[int](v, n)
	case tensor.Int64:
		return reader[int64](v, n)
	case tensor.Int32:
		return reader[int32](v, n)
	case tensor.Uint8:
		return reader[uint8](v, n)
	}
	return nil, fmt.Errorf("dtype %v, want Int, Int64, Int32 or Uint8", v.Dtype())
}

func reader[T int | int64 | int32 | uint8](v G.Value, n int) (func(i int) int, error) {
	data, err := flat[T](v, n)
	if err != nil {
		return nil, err
	}
	return func(i int) int { return int(data[i]) }, nil
}
