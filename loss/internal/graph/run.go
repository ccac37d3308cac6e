package graph

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
)

// memory outlives a run: the result of the next one is written over the last.
type memory struct {
	busy atomic.Bool
	data any
}

// result returns memory for n entries of the result, all 0 when fresh. Kept memory has the last
// result in it.
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

// Do implements gorgonia.Op. A panic on Gorgonia's goroutine would end the process, so it becomes
// an error.
func (o *Op) Do(in ...G.Value) (out G.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("%v: internal error: %v", o, r)
		}
	}()
	if o.memory != nil {
		busy := &o.memory.busy
		if o.order == core.OrderValue || o.after {
			busy = &o.fused.busy // they write to the same memory
		}
		if !busy.CompareAndSwap(false, true) {
			return nil, fmt.Errorf("%v: run by two machines at once, which a graph with WithBufferReuse does not allow", o)
		}
		defer busy.Store(false)
	}
	if len(in) != o.Arity() {
		return nil, fmt.Errorf("%v: %d operands, want %d", o, len(in), o.Arity())
	}
	if !o.b.Def.Elementwise() {
		growStack(len(in))
	}
	if o.b.DType == core.Float32 {
		return run[float32](o, in)
	}
	return run[float64](o, in)
}

// growStack makes room on the stack of the new goroutine that a tape machine runs on. What is not
// elementwise needs it further down, where more frames would be copied.
//
//go:noinline
func growStack(n int) byte {
	var room [2 << 10]byte
	return room[n]
}

// run executes the operation on its children's values.
func run[F core.Float](o *Op, in []G.Value) (G.Value, error) {
	inputs, err := read[F](o, in)
	if err != nil {
		return nil, err
	}
	request := core.Request[F]{Order: o.order, Wrt: o.wrt, Then: o.then}
	if done := begin(o, in, inputs, &request); done != nil {
		return done, nil
	}
	r, err := core.Evaluate(o.b, inputs, &request)
	switch {
	case err != nil:
		return nil, err
	case request.Order == core.OrderBoth:
		o.fused.done(o)
		if request.Out != nil {
			return wrap(request.Out, o.b.Values), nil
		}
		return wrap([]F{F(r.Value)}, nil), nil
	case request.Dst != nil:
		return wrap(request.Dst, o.shape()), nil
	case request.Out != nil:
		return wrap(request.Out, o.b.Values), nil
	}
	return wrap([]F{F(r.Value)}, nil), nil
}

// begin sets where a request's results go, and returns what is done already or nil.
func begin[F core.Float](o *Op, in []G.Value, inputs *core.Inputs[F], request *core.Request[F]) (done G.Value) {
	switch o.order {
	case core.OrderGradient, core.OrderHessian:
		n := o.shape().Size()
		switch {
		case o.fused == nil || !o.after:
			request.Dst, request.Zeroed = result[F](o, n)
		case o.manyGradients():
			if data, ok := takeOne(o, inputs); ok {
				return wrap(data, o.shape())
			}
			request.Dst, request.Zeroed = result[F](o, n)
		default:
			data, own, done := take(o.fused, in, inputs)
			switch {
			case done:
				return wrap(data, o.shape())
			case own:
				request.Dst, request.Zeroed = gradientMemory[F](o.fused, n)
			default: // another machine may still use the memory
				request.Dst, request.Zeroed = make([]F, n), true
				o.fused.data = request.Dst
			}
		}
	default:
		if o.b.Set.Reduction == core.None {
			request.Out = make([]F, o.b.Values.Size())
		}
		switch {
		case o.order != core.OrderValue || o.fused == nil:
		case o.manyGradients():
			prepareMany(o, inputs, request)
		case !o.b.Separate():
			prepare(o.fused, in, inputs, request)
		}
	}
	return nil
}

// fused is the gradient that the operation of the value has computed in the same reading of the
// operands. The operation of the derivative has the value among its children, so that every machine
// runs the value first, and finds the gradient done. It is for the upstream of the last run; where
// that has changed, the gradient is computed again. A scalar upstream seldom changes, and is taken
// for 1 at first; an upstream of its own for every value must have come twice.
type fused struct {
	requested atomic.Bool // an operation of the derivative by the first operand exists
	busy      atomic.Bool
	begun     bool      // the value of this run is computed
	ready     bool      // and the gradient with it
	data      any       // the gradient
	of        []G.Value // that it was computed of; another machine has others, or the same numbers
	upstream  any       // that it was computed for
	repeated  bool      // the last two upstreams were the same
	many      many      // of a loss with a link
}

// prepare makes a request for the value one for the value and the gradient, where that is wanted.
func prepare[F core.Float](f *fused, of []G.Value, in *core.Inputs[F], r *core.Request[F]) {
	f.begun, f.ready = false, false
	if !f.requested.Load() {
		return
	}
	f.begun, f.of = true, append(f.of[:0], of...)
	up, known := f.upstream.([]F)
	switch {
	case r.Out == nil && !known:
		up = []F{1}
		f.upstream = up
	case r.Out == nil && !core.Finite(float64(up[0])):
		return
	case r.Out != nil && !(known && f.repeated):
		return
	}
	in.Upstream = up
	r.Order, r.Wrt = core.OrderBoth, 0
	r.Dst, r.Zeroed = gradientMemory[F](f, len(in.X[0]))
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

// take returns the gradient that the operation of the value has computed of the same operands in
// this run, if it is the one requested. own reports whether the memory of the gradient is this
// run's, done or not.
func take[F core.Float](f *fused, of []G.Value, in *core.Inputs[F]) (data []F, own, done bool) {
	own = f.begun && len(of) >= len(f.of) && slices.Equal(of[:len(f.of)], f.of)
	ready := f.ready
	f.begun, f.ready = false, false
	clear(f.of) // which would keep the operands' memory
	f.of = f.of[:0]
	up, known := f.upstream.([]F)
	// A product with another upstream would round twice, and make NaN of the zeros of rows that do
	// not count.
	f.repeated = known && slices.Equal(up, in.Upstream)
	if own && ready && f.repeated {
		return f.data.([]F), true, true
	}
	if !f.repeated {
		if len(up) != len(in.Upstream) {
			up = make([]F, len(in.Upstream))
		}
		copy(up, in.Upstream)
		f.upstream = up
	}
	return nil, own, false
}
