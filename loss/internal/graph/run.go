package graph

import (
	"fmt"
	"sync/atomic"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
)

// memory outlives a run: the result of the next one is written over the last.
type memory struct {
	busy atomic.Bool
	data any
}

// result returns memory for n entries of the result, all 0 when fresh. Kept memory has the last result in it.
func result[F core.Float](o *Op, n int) (data []F, fresh bool) {
	if o.memory == nil {
		return make([]F, n), true
	}
	if data, ok := o.memory.data.([]F); ok && len(data) == n {
		return data, false
	}
	data = make([]F, n)
	o.memory.data = data
	return data, true
}

// Do implements gorgonia.Op. A panic on Gorgonia's goroutine would end the process, so it becomes an error.
func (o *Op) Do(in ...G.Value) (out G.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("%v: internal error: %v", o, r)
		}
	}()
	if o.memory != nil {
		if !o.memory.busy.CompareAndSwap(false, true) {
			return nil, fmt.Errorf("%v: run by two machines at once, which a graph with WithBufferReuse does not allow", o)
		}
		defer o.memory.busy.Store(false)
	}
	if len(in) != o.Arity() {
		return nil, fmt.Errorf("%v: %d operands, want %d", o, len(in), o.Arity())
	}
	if o.b.DType == core.Float32 {
		return run[float32](o, in)
	}
	return run[float64](o, in)
}

// run executes the operation on its children's values.
func run[F core.Float](o *Op, in []G.Value) (G.Value, error) {
	inputs, err := read[F](o, in)
	if err != nil {
		return nil, err
	}
	request := core.Request[F]{Order: o.order, Wrt: o.wrt, Then: o.then}
	switch o.order {
	case core.OrderGradient, core.OrderHessian:
		n := o.shape().Size()
		switch {
		case o.fused != nil && o.after && o.manyGradients():
			if data, ok := takeOne(o, inputs); ok {
				return wrap(data, o.shape()), nil
			}
			request.Dst, request.Zeroed = result[F](o, n)
		case o.fused != nil && o.after:
			if data, ok := take(o.fused, inputs); ok {
				return wrap(data, o.b.Shape), nil
			}
			request.Dst, request.Zeroed = gradientMemory[F](o.fused, n)
		default:
			request.Dst, request.Zeroed = result[F](o, n)
		}
	default:
		switch {
		case o.b.Set.Reduction == core.None:
			request.Out = make([]F, o.b.Values.Size())
		case o.order == core.OrderValue && o.manyGradients():
			prepareMany(o, inputs, &request)
		case o.order == core.OrderValue && o.fused != nil:
			prepare(o.fused, inputs, &request)
		}
	}
	r, err := core.Evaluate(o.b, inputs, request)
	switch {
	case err != nil:
		return nil, err
	case request.Order == core.OrderBoth:
		o.fused.done(o)
		return wrap([]F{F(r.Value)}, nil), nil
	case request.Dst != nil:
		return wrap(request.Dst, o.shape()), nil
	case request.Out != nil:
		return wrap(request.Out, o.b.Values), nil
	}
	return wrap([]F{F(r.Value)}, nil), nil
}

// fused is the gradient that the operation of the value has computed in the same reading of the operands. The operation of the
// derivative has the value among its children, so that every machine runs the value first, and finds the gradient
// done. It is for the upstream of the last run, which seldom changes; where it has, the gradient is computed again.
type fused struct {
	requested atomic.Bool // an operation of the derivative by the first operand exists
	ready     bool
	data      any     // the gradient
	of        any     // the address of the first entry of the operand that it was computed of
	upstream  float64 // that it was computed for; 0 before the first run
	many      many    // of a loss with a link
}

// prepare makes a request for the value one for the value and the gradient, where that is wanted.
func prepare[F core.Float](f *fused, in *core.Inputs[F], r *core.Request[F]) {
	f.ready = false
	if !f.requested.Load() {
		return
	}
	if f.upstream == 0 {
		f.upstream = 1
	}
	if !core.Finite(f.upstream) {
		return
	}
	in.Upstream = []F{F(f.upstream)}
	r.Order, r.Wrt = core.OrderBoth, 0
	r.Dst, r.Zeroed = gradientMemory[F](f, len(in.X[0]))
	f.of = &in.X[0][0]
}

// gradientMemory returns the memory of the fused gradient, of n entries.
func gradientMemory[F core.Float](f *fused, n int) (data []F, fresh bool) {
	if data, ok := f.data.([]F); ok && len(data) == n {
		return data, false
	}
	data = make([]F, n)
	f.data = data
	return data, true
}

// take returns the gradient that the operation of the value has computed in this run, if it is the one requested.
func take[F core.Float](f *fused, in *core.Inputs[F]) ([]F, bool) {
	ready := f.ready
	f.ready = false
	if len(in.Upstream) != 1 {
		return nil, false
	}
	up := float64(in.Upstream[0])
	// A product with another upstream would round twice, and make NaN of the zeros of rows that do not count.
	if same := up == f.upstream; !ready || !same || f.of != any(&in.X[0][0]) {
		f.upstream = up
		return nil, false
	}
	return f.data.([]F), true
}
