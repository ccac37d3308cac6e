package loss

import (
	"sync/atomic"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
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

// valuesInAdvance computes the value together with the gradient. ok is false where the value alone must be computed.
func (j *job[F]) valuesInAdvance() (v G.Value, ok bool, err error) {
	a := j.ahead
	if a == nil || !a.wanted.Load() || j.mode != modeValue || j.set.reduction == None || j.direct == nil || j.direct.both == nil && !j.def.elementwise {
		return nil, false, nil
	}
	a.ready = false
	if j.set.reduction == Mean {
		if err := j.sums(); err != nil {
			return nil, true, err
		}
	}
	d, zero := j.divisor()
	if zero || d == 0 {
		return nil, false, nil
	}
	if j.def.elementwise {
		v, ok := j.elementsInAdvance(d)
		return v, ok, nil
	}
	if j.operands == 2 && !j.targetsHold() {
		return nil, false, nil
	}
	m := marksPool.Get().(*marks)
	defer marksPool.Put(m)
	if err := j.mark(m, 1/d); err != nil {
		return nil, true, err
	}
	size := len(j.x[0])
	data, _ := a.data.([]F)
	if len(data) != size {
		data = make([]F, size)
	}
	j.direct.both(m.values, data, j.x[0], j.x[1], j.classes, m.labels, m.g)
	total := 0.0
	for i, l := range m.values {
		if s, _ := j.factor(i); s != 0 {
			total += s * l
		}
	}
	a.data, a.x, a.ready = data, &j.x[0][0], true
	return wrap([]F{F(total / d)}, nil), true, nil
}

// targetsHold reports whether every soft target lies in its domain.
func (j *job[F]) targetsHold() bool {
	if j.domain[1] != SoftTargets {
		return true
	}
	var outside atomic.Bool
	tensorops.ParallelFor(len(j.x[1]), directChunk, func(lo, hi int) {
		if !vec.Within(j.x[1][lo:hi], 0, largest[F]()) {
			outside.Store(true)
		}
	})
	return !outside.Load()
}

// takeAdvance returns the gradient that the value's operation has left for this run, or nil.
func (j *job[F]) takeAdvance() []F {
	a := j.ahead
	if a == nil || !a.ready || j.mode != modeGrad || j.k != 0 || a.x != any(&j.x[0][0]) {
		return nil
	}
	a.ready = false
	data := a.data.([]F)
	if j.def.elementwise {
		j.takeElements(data)
		return data
	}
	if u := F(j.upstreamOf(0)); u != 1 {
		tensorops.ParallelFor(len(data), directChunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				data[i] *= u
			}
		})
	}
	return data
}
