package graph

import (
	"fmt"
	"unsafe"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Given describes a node to the core.
func Given(n *G.Node) core.Given {
	return core.Given{Shape: core.Shape(n.Shape()), DType: core.DType(n.Dtype().String())}
}

// dtypeOf is Gorgonia's name of an element type.
func dtypeOf(t core.DType) tensor.Dtype {
	switch t {
	case core.Float32:
		return tensor.Float32
	case core.Int:
		return tensor.Int
	case core.Int64:
		return tensor.Int64
	case core.Int32:
		return tensor.Int32
	case core.Uint8:
		return tensor.Uint8
	case core.Bool:
		return tensor.Bool
	}
	return tensor.Float64
}

func tensorShape(s core.Shape) tensor.Shape {
	if len(s) == 0 {
		return tensor.ScalarShape()
	}
	return tensor.Shape(s).Clone()
}

// read takes the inputs of a bound loss from the values of an operation's children.
func read[F core.Float](o *Op, in []G.Value) (*core.Inputs[F], error) {
	b := o.b
	r := new(core.Inputs[F])
	for k := range o.floats() {
		if err := fill(&r.X[k], in[k], b.ShapeOf(k)); err != nil {
			return nil, operandFault(b, fmt.Sprintf("operand %d has", k), err)
		}
	}
	if err := readIntegers(r, o, in); err != nil {
		return nil, err
	}
	if b.Weighted {
		if err := fill(&r.Weights, in[o.weightsAt()], b.WeightShape); err != nil {
			return nil, operandFault(b, "weights have", err)
		}
	}
	if b.MaskType != "" {
		if err := readMask(r, in[o.maskAt()], b.MaskType, b.MaskShape.Size()); err != nil {
			return nil, operandFault(b, "mask has", err)
		}
	}
	if b.Normalized {
		var v []F
		if err := fill(&v, in[o.normalizerAt()], nil); err != nil {
			return nil, operandFault(b, "normalizer has", err)
		}
		r.Normalizer = float64(v[0])
	}
	if o.hasUpstream() {
		if err := fill(&r.Upstream, in[o.upstreamAt()], b.Result()); err != nil {
			return nil, operandFault(b, "upstream gradient has", err)
		}
	}
	if o.hasDirection() {
		if err := fill(&r.Dir, in[o.directionAt()], b.ShapeOf(o.wrt)); err != nil {
			return nil, operandFault(b, "direction has", err)
		}
	}
	return r, nil
}

// fill sets x to the entries of a value of the shape.
func fill[T any](x *[]T, v G.Value, s core.Shape) (err error) {
	*x, err = flat[T](v, s.Size())
	return err
}

// operandFault is the error of an operand that is not what the graph says.
func operandFault(b *core.Bound, what string, err error) error {
	return core.Faultf(core.ErrShape, b.Def.Name, "%s %v", what, err)
}

// readIntegers takes the integer operands.
func readIntegers[F core.Float](r *core.Inputs[F], o *Op, in []G.Value) (err error) {
	for k := range o.b.Integers {
		if r.Ints[k], err = integers(in[o.integersAt()+k], o.b.Integers[k].Shape.Size()); err != nil {
			name := o.b.IntegerName(k)
			verb := "has"
			if core.Plural(name) {
				verb = "have"
			}
			return operandFault(o.b, name+" "+verb, err)
		}
	}
	return nil
}

// readMask takes a mask of any of its types.
func readMask[F core.Float](r *core.Inputs[F], v G.Value, t core.DType, n int) (err error) {
	switch t {
	case core.Bool:
		r.Mask, err = bools(v, n)
	case core.Uint8:
		r.Mask, err = flat[uint8](v, n)
	default:
		r.MaskF, err = flat[F](v, n)
	}
	return err
}

// bools takes the n entries of a Bool as bytes of 0 or 1.
func bools(v G.Value, n int) ([]uint8, error) {
	m, err := flat[bool](v, n)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*uint8)(unsafe.Pointer(&m[0])), n), nil
}

// integers takes labels of any of their types.
func integers(v G.Value, n int) (r core.Ints, err error) {
	switch v.Dtype() {
	case tensor.Int:
		r.Int, err = flat[int](v, n)
	case tensor.Int64:
		r.Int64, err = flat[int64](v, n)
	case tensor.Int32:
		r.Int32, err = flat[int32](v, n)
	case tensor.Uint8:
		r.Uint8, err = flat[uint8](v, n)
	case tensor.Bool:
		r.Uint8, err = bools(v, n)
	default:
		err = fmt.Errorf("dtype %v, want Int, Int64, Int32 or Uint8", v.Dtype())
	}
	return r, err
}

// flat returns the n entries of a value in row-major order, as [tensorops.Elements] does for
// tensors.
func flat[T any](v G.Value, n int) ([]T, error) {
	switch v := v.(type) {
	case *tensor.Dense:
		if size := v.Shape().TotalSize(); size != n {
			return nil, fmt.Errorf("shape %s, want %d entries", core.Shape(v.Shape()), n)
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

// wrap makes the value of a node of the shape: a scalar for rank 0, because Gorgonia cannot use a
// tensor there.
func wrap[F core.Float](data []F, shape core.Shape) G.Value {
	if len(shape) > 0 {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	}
	switch x := any(data[0]).(type) {
	case float32:
		return G.NewF32(x)
	case float64:
		return G.NewF64(x)
	}
	panic("unreachable: core.Float is float32 or float64")
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

func addInto[F core.Float](into *tensor.Dense, d []F, g G.Value) error {
	v, err := flat[F](g, into.Shape().TotalSize())
	if err != nil {
		return err
	}
	tensorops.EachElement(into, func(i, at int) { d[at] += v[i] })
	return nil
}
