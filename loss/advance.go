package loss

import (
	"sync/atomic"

	G "gorgonia.org/gorgonia"
)

// An advance is a gradient that the operation of the value has computed in the same reading of the logits, for specs that keep
// memory from run to run: the operation of the derivative finds it done. It has the value among its children, so that every
// machine runs the value first.
type advance struct {
	wanted atomic.Bool // an operation for the derivative by the logits exists
	ready  bool
	data   any // the gradient for an upstream of 1, of elementwise losses for the upstream below
	x      any // the first logit's address, by which the derivative knows that it is about the same memory

	upstream float64 // of the last run, 0 while none has told
}

// startAdvance returns memory for the gradient, or nil where the value alone must be computed. d is the divisor.
func (j *job[F]) startAdvance(d float64, zero bool) []F {
	a := j.ahead
	if a == nil || !a.wanted.Load() || j.set.reduction == None || j.direct.grad[0] == nil {
		return nil
	}
	a.ready = false
	if a.upstream != 0 && a.upstream != 1 {
		return nil // it will hardly be 1 this time
	}
	if zero || d == 0 {
		return nil
	}
	return gradientMemory(a, j.x[0])
}

// gradientMemory returns the memory for the gradient by x, which it takes note of.
func gradientMemory[F float](a *advance, x []F) []F {
	data, _ := a.data.([]F)
	if len(data) != len(x) {
		data = make([]F, len(x))
		a.data = data
	}
	a.x = &x[0]
	return data
}

// takeAdvance returns the gradient that the value's operation of a loss of rows has left for this run; takeElements does it for
// elementwise losses.
func takeAdvance[F float](o *op, in []G.Value) (v G.Value, ok bool, err error) {
	a := o.ahead
	if a == nil || o.mode != modeGrad || o.k != 0 || o.def.elementwise || o.set.reduction == None {
		return nil, false, nil
	}
	upstream, err := flat[F](in[o.upstreamAt()], 1)
	if err != nil {
		return nil, true, faultf(ErrShape, o.def.name, "upstream gradient has %v", err)
	}
	ready := a.ready
	a.ready, a.upstream = false, float64(upstream[0])
	// A product with another upstream would round twice, and make NaN of the zeros of rows that do not count.
	if !ready || a.upstream != 1 {
		return nil, false, nil
	}
	x, err := flat[F](in[0], o.shape.TotalSize())
	if err != nil || a.x != any(&x[0]) {
		return nil, false, nil // bind says what is wrong
	}
	return wrap(a.data.([]F), o.shape), true, nil
}
