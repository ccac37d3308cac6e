package loss_test

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// floatLeaf is an input node with a value; shape () makes a scalar.
func floatLeaf(g *G.ExprGraph, dt tensor.Dtype, name string, shape []int, data []float64) *G.Node {
	if len(shape) == 0 {
		if dt == tensor.Float32 {
			return G.NewScalar(g, dt, G.WithName(name), G.WithValue(float32(data[0])))
		}
		return G.NewScalar(g, dt, G.WithName(name), G.WithValue(data[0]))
	}
	var backing any = append([]float64(nil), data...)
	if dt == tensor.Float32 {
		f := make([]float32, len(data))
		for i, v := range data {
			f[i] = float32(v)
		}
		backing = f
	}
	return tensorLeaf(g, dt, name, shape, backing)
}

// labelLeaf is an input node with integer values of the dtype.
func labelLeaf(g *G.ExprGraph, dt tensor.Dtype, name string, shape, labels []int) *G.Node {
	var backing any
	var scalar any
	switch dt {
	case tensor.Int64:
		backing, scalar = integers[int64](labels)
	case tensor.Int32:
		backing, scalar = integers[int32](labels)
	case tensor.Uint8:
		backing, scalar = integers[uint8](labels)
	default:
		backing, scalar = integers[int](labels)
	}
	if len(shape) == 0 {
		return G.NewScalar(g, dt, G.WithName(name), G.WithValue(scalar))
	}
	return tensorLeaf(g, dt, name, shape, backing)
}

func integers[T int | int64 | int32 | uint8](v []int) (all, first any) {
	out := make([]T, len(v))
	for i, x := range v {
		out[i] = T(x)
	}
	if len(out) > 0 {
		first = out[0]
	}
	return out, first
}

// tensorLeaf is an input node over a slice. An empty one has no value: tensor cannot hold it.
func tensorLeaf(g *G.ExprGraph, dt tensor.Dtype, name string, shape []int, backing any) *G.Node {
	s := tensor.Shape(shape).Clone()
	if s.TotalSize() == 0 {
		return G.NewTensor(g, dt, len(s), G.WithShape(s...), G.WithName(name))
	}
	v := tensor.New(tensor.WithShape(s...), tensor.WithBacking(backing))
	return G.NewTensor(g, dt, len(s), G.WithShape(s...), G.WithName(name), G.WithValue(v))
}

// floats returns the entries of a contiguous value, or nil for no value.
func floats(v G.Value) []float64 {
	if v == nil {
		return nil
	}
	switch d := v.Data().(type) {
	case float64:
		return []float64{d}
	case float32:
		return []float64{float64(d)}
	case []float64:
		return append([]float64(nil), d...)
	case []float32:
		out := make([]float64, len(d))
		for i, x := range d {
			out[i] = float64(x)
		}
		return out
	}
	panic(fmt.Sprintf("value of type %T", v.Data()))
}

// runTape runs a graph on a TapeMachine and returns the values of nodes.
func runTape(g *G.ExprGraph, nodes ...*G.Node) ([][]float64, error) {
	values := make([]G.Value, len(nodes))
	for i, n := range nodes {
		G.Read(n, &values[i])
	}
	m := G.NewTapeMachine(g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return nil, err
	}
	out := make([][]float64, len(nodes))
	for i, v := range values {
		out[i] = floats(v)
	}
	return out, nil
}

// runLisp runs a graph with a scalar root on a LispMachine and returns the gradients of wrt.
// Without wrt it runs forward only, which is the way to run an operation that fails: after a
// failure the machine goes on backward in a race with its own clearing up.
func runLisp(g *G.ExprGraph, wrt G.Nodes) ([][]float64, error) {
	var opts []G.VMOpt
	if len(wrt) == 0 {
		opts = append(opts, G.ExecuteFwdOnly())
	}
	m := G.NewLispMachine(g, opts...)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return nil, err
	}
	out := make([][]float64, len(wrt))
	for i, n := range wrt {
		v, err := n.Grad()
		if err != nil {
			return nil, fmt.Errorf("no gradient of %s: %w", n.Name(), err)
		}
		out[i] = floats(v)
	}
	return out, nil
}
