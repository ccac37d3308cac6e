package gradcheck

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A source makes builds of the function under test.
type source struct {
	build Builder
	// native is the one dtype that the source can build in, the zero value where it can do both
	native tensor.Dtype
	// given are gradient nodes that already exist, for the pass Given
	given func(*instance) (G.Nodes, error)
}

// single reports a source that builds in one dtype.
func (s source) single() bool { return s.native != tensor.Dtype{} }

// differencesIn is the dtype in which differences are taken.
func (s source) differencesIn() tensor.Dtype {
	if s.single() {
		return s.native
	}
	return tensor.Float64
}

// CheckNode is [Check] for an existing node out and the graph below it, at the values that are bound
// to its inputs. wrt are the input nodes whose gradients are checked; the
// other inputs are data.
//
// The graph is copied, operation by operation, and not run or changed. It has one dtype, so the
// differences of a float32 graph are taken in float32, with the tolerances that this needs: faults
// below about 1e-3 are then not seen. [Check] does better.
//
// Where Gorgonia's Grad has already been called in the graph for all of wrt, the gradient nodes it
// left (Node.Deriv) are checked too, as the pass [Given].
func CheckNode(out *G.Node, wrt G.Nodes, opts ...Option) (*Report, error) {
	report, err := checkNode(out, wrt, opts)
	if err != nil {
		return nil, fmt.Errorf("gradcheck.CheckNode: %w", err)
	}
	return report, nil
}

func checkNode(out *G.Node, wrt G.Nodes, opts []Option) (*Report, error) {
	if out == nil {
		return nil, fmt.Errorf("%w: the node is nil", ErrBuild)
	}
	if !isFloat(out.Dtype()) {
		return nil, fmt.Errorf("%w: the node has dtype %v, want float32 or float64", ErrBuild, out.Dtype())
	}
	var (
		inputs []Input
		derivs G.Nodes
	)
	for i, n := range wrt {
		switch {
		case n == nil:
			return nil, fmt.Errorf("%w: wrt %d is nil", ErrInput, i)
		case n.Graph() != out.Graph():
			return nil, fmt.Errorf("%w: wrt %d (%s) belongs to another graph", ErrInput, i, n.Name())
		case n.Op() != nil:
			return nil, fmt.Errorf("%w: wrt %d (%s) is not an input of the graph", ErrInput, i, n.Name())
		case n.Value() == nil:
			return nil, fmt.Errorf("%w: wrt %d (%s) has no value", ErrInput, i, n.Name())
		case n.Dtype() != out.Dtype():
			return nil, fmt.Errorf("%w: wrt %d (%s) has dtype %v, want %v to match the node", ErrInput, i, n.Name(), n.Dtype(), out.Dtype())
		}
		inputs = append(inputs, Input{Name: n.Name(), Value: n.Value()})
		if n.Deriv() != nil {
			derivs = append(derivs, n.Deriv())
		}
	}
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	c.dtype = out.Dtype()
	src := source{native: out.Dtype()}
	copies := make(map[*G.ExprGraph]map[*G.Node]*G.Node)
	src.build = func(g *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		at := make(map[*G.Node]*G.Node)
		for i, n := range wrt {
			at[n] = in[i]
		}
		copies[g] = at
		return copyBelow(out, g, at, func(op G.Op) G.Op { return op })
	}
	if len(derivs) == len(wrt) && len(wrt) > 0 {
		c.passes = append(c.passes, Given)
		src.given = func(inst *instance) (G.Nodes, error) {
			var nodes G.Nodes
			for _, d := range derivs {
				n, err := copyBelow(d, inst.g, copies[inst.g], func(op G.Op) G.Op { return op })
				if err != nil {
					return nil, err
				}
				nodes = append(nodes, n)
			}
			return nodes, nil
		}
	}
	return run(c, src, inputs)
}

// run is the common end of Check and CheckNode.
func run(c *config, src source, inputs []Input) (*Report, error) {
	k, err := newChecker(c, src, inputs)
	if err != nil {
		return nil, err
	}
	defer k.close()
	if err := k.check(); err != nil {
		return nil, err
	}
	return k.report, nil
}
