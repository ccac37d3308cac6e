package machine

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gradient is a value that is added to the gradient of a node at the end of a run.
type gradient struct {
	of   *G.Node
	slot int
}

// bound returns the gradient that is bound to a node, nil where there is none. Node.Grad answers
// with the value of the derivative node in that case.
func bound(n *G.Node) G.Value {
	d, err := n.Grad()
	if err != nil || d == nil {
		return nil
	}
	if n.Deriv() != nil && d == n.Deriv().Value() {
		return nil
	}
	return d
}

// addTo adds v to the gradient of n, which is 0 where there is none.
func addTo(n *G.Node, v G.Value) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked(r)
		}
	}()
	if n.Value() == nil {
		return fmt.Errorf("%w to bind a gradient to", ErrNoValue)
	}
	sum := bound(n)
	if sum == nil {
		if sum, err = G.CloneValue(v); err != nil {
			return err
		}
		sum = G.ZeroValue(sum)
		G.WithGrad(sum)(n)
	}
	return accumulate(sum, v)
}

// accumulate adds v to sum in place.
func accumulate(sum, v G.Value) error {
	switch sum := sum.(type) {
	case *G.F64:
		if v, ok := v.(*G.F64); ok {
			*sum += *v
			return nil
		}
	case *G.F32:
		if v, ok := v.(*G.F32); ok {
			*sum += *v
			return nil
		}
	case *tensor.Dense:
		v, ok := v.(*tensor.Dense)
		if !ok || !sum.Shape().Eq(v.Shape()) || sum.Dtype() != v.Dtype() {
			break
		}
		if !sum.RequiresIterator() && !v.RequiresIterator() && sum.DataOrder() == v.DataOrder() {
			switch s := sum.Data().(type) {
			case []float64:
				return addSlices(s, v.Data().([]float64))
			case []float32:
				return addSlices(s, v.Data().([]float32))
			}
		}
		_, err := tensor.Add(sum, v, tensor.UseUnsafe())
		return err
	}
	return fmt.Errorf("its gradient is %T of shape %v, and the run computed %T of shape %v", sum, sum.Shape(), v, v.Shape())
}

func addSlices[F float32 | float64](sum, v []F) error {
	if len(sum) != len(v) {
		return fmt.Errorf("its gradient has %d numbers, and the run computed %d", len(sum), len(v))
	}
	for i, x := range v {
		sum[i] += x
	}
	return nil
}
