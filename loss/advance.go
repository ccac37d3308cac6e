package loss

import (
	"sync/atomic"

	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
)

// An advance is a gradient that the operation of the value has computed in the same reading of the logits, for specs that keep
// memory from run to run: the operation of the derivative, which runs after it in every run, finds it done.
type advance struct {
	wanted atomic.Bool // an operation for the derivative by the logits exists
	ready  bool
	data   any // the gradient for an upstream of 1, of elementwise losses for the upstream below
	x      any // the first logit's address, by which the derivative knows that it is about the same run

	upstream float64 // 0 while no run has told
}

// startAdvance returns memory for the gradient, or nil where the value alone must be computed. d is the divisor.
func (j *job[F]) startAdvance(d float64, zero bool) []F {
	a := j.ahead
	if a == nil || !a.wanted.Load() || j.set.reduction == None || j.direct.grad[0] == nil {
		return nil
	}
	a.ready = false
	if zero || d == 0 {
		return nil
	}
	size := len(j.x[0])
	data, _ := a.data.([]F)
	if len(data) != size {
		data = make([]F, size)
		a.data = data
	}
	a.x = &j.x[0][0]
	return data
}

// takeAdvance returns the gradient that the value's operation of a loss of rows has left for this run; takeElements does it for
// elementwise losses.
func takeAdvance[F float](o *op, in []G.Value) (v G.Value, ok bool, err error) {
	a := o.ahead
	if a == nil || !a.ready || o.mode != modeGrad || o.k != 0 || o.def.elementwise {
		return nil, false, nil
	}
	x, err := flat[F](in[0], o.shape.TotalSize())
	if err != nil || a.x != any(&x[0]) {
		return nil, false, nil // bind says what is wrong
	}
	upstream, err := flat[F](in[o.upstreamAt()], 1)
	if err != nil {
		return nil, true, faultf(ErrShape, o.def.name, "upstream gradient has %v", err)
	}
	a.ready = false
	data := a.data.([]F)
	if u := upstream[0]; u != 1 {
		tensorops.ParallelFor(len(data), directChunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				data[i] *= u
			}
		})
	}
	return wrap(data, o.shape), true, nil
}
