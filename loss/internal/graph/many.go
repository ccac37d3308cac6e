package graph

import (
	"sync"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// many is what fused is, for the gradients by all operands of a loss whose operands have separate
// shapes: they are computed once for the value and all of them.
type many struct {
	mu        sync.Mutex
	requested [core.MaxOperands]bool
	ready     [core.MaxOperands]bool
	data      [core.MaxOperands]any
	of        [core.MaxOperands]any // the addresses of the first entries of the operands
	upstream  float64
}

// manyGradients reports whether the value of the loss comes with the gradients by several operands.
func (o *Op) manyGradients() bool {
	return o.b.Separate() && o.b.Set.Reduction != core.None && !o.b.Def.Observed
}

// request records that an operation of the derivative by operand k exists.
func (f *fused) request(k int) {
	f.many.mu.Lock()
	f.many.requested[k] = true
	f.many.mu.Unlock()
	if k == 0 {
		f.requested.Store(true)
	}
}

// prepareMany makes a request for the value one for the value and the gradients that are wanted.
func prepareMany[F core.Float](o *Op, in *core.Inputs[F], r *core.Request[F]) {
	f := &o.fused.many
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = [core.MaxOperands]bool{}
	if f.upstream == 0 {
		f.upstream = 1
	}
	if !core.Finite(f.upstream) {
		return
	}
	for k := range o.b.Floats {
		if !f.requested[k] {
			continue
		}
		n := o.b.ShapeOf(k).Size()
		data, ok := f.data[k].([]F)
		if !ok || !o.b.Set.Reuse || len(data) != n {
			data = make([]F, n)
		}
		if r.Order = core.OrderBoth; r.Each == nil {
			r.Each = new([core.MaxOperands][]F)
		}
		f.data[k], r.Each[k] = data, data
	}
	for k := range o.b.Floats {
		f.of[k] = &in.X[k][0]
	}
	if r.Order == core.OrderBoth {
		in.Upstream = []F{F(f.upstream)}
	}
}

// done records that the requested gradients are computed.
func (f *fused) done(o *Op) {
	if !o.manyGradients() {
		f.ready = true
		return
	}
	f.many.mu.Lock()
	defer f.many.mu.Unlock()
	for k, d := range f.many.data {
		f.many.ready[k] = f.many.requested[k] && d != nil
	}
}

// takeOne returns the gradient that the operation of the value has computed in this run, if it is
// the one requested.
func takeOne[F core.Float](o *Op, in *core.Inputs[F]) ([]F, bool) {
	f, k := &o.fused.many, o.wrt
	f.mu.Lock()
	defer f.mu.Unlock()
	ready := f.ready[k]
	f.ready[k] = false
	if up := float64(in.Upstream[0]); up != f.upstream {
		f.upstream = up
		f.ready = [core.MaxOperands]bool{}
		return nil, false
	}
	for j := range o.b.Floats {
		ready = ready && f.of[j] == any(&in.X[j][0])
	}
	data, ok := f.data[k].([]F)
	if !ready || !ok {
		return nil, false
	}
	if !o.b.Set.Reuse {
		f.data[k] = nil
	}
	return data, true
}
