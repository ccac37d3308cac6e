package loss

import (
	"fmt"
	"hash"
	"hash/fnv"
	"sync/atomic"

	"github.com/chewxy/hm"
	_ "go4.org/unsafe/assume-no-moving-gc" // pins the version without which Gorgonia panics at start
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// op is every graph operation that comes from a spec: the loss itself and, by its plan, the derivatives. The children
// are the spec's operands (floating operands, labels, weights, mask, normalizer), then
//
//	modeValue  -
//	modeGrad   the upstream
//	modeHess   the upstream, a direction in operand k
//	modeJVP    a direction in operand k
//
// without the upstream for bare specs. A type variable would let Gorgonia infer types from values that it does not
// check; the types here are the spec's own.
type op struct {
	*spec
	plan
	kept *kept // the memory of the last result, for specs that reuse it
}

// kept is memory that outlives a run.
type kept struct {
	busy atomic.Bool
	data any
}

func newOp(s *spec, p plan) *op {
	o := &op{spec: s, plan: p}
	if s.set.reuse {
		o.kept = new(kept)
		if s.ahead == nil {
			s.ahead = new(advance)
		}
	}
	return o
}

// result returns memory for n entries of the result, all 0 when fresh. Kept memory has the last result in it.
func result[F float](o *op, n int) (data []F, fresh bool) {
	if o.kept == nil {
		return make([]F, n), true
	}
	if data, ok := o.kept.data.([]F); ok && len(data) == n {
		return data, false
	}
	data = make([]F, n)
	o.kept.data = data
	return data, true
}

var (
	_ G.SDOp = (*op)(nil)
	_ G.ADOp = (*op)(nil)
)

// apply adds the operation to the graph. Gorgonia panics on some malformed graphs; building a loss never does.
func apply(o G.Op, kids G.Nodes) (n *G.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, fmt.Errorf("%v: %v", o, r)
		}
	}()
	return G.ApplyOp(o, kids...)
}

func (o *op) hasUpstream() bool { return !o.bare && (o.mode == modeGrad || o.mode == modeHess) }
func (o *op) hasDirection() bool {
	return o.mode == modeHess || o.mode == modeJVP
}

// mapValue reports the node of a row-to-row function: the derivative of ⟨a, f(x)⟩ in a, which does not read a.
func (o *op) mapValue() bool { return o.bare && o.mode == modeGrad && o.k == 1 }

// floats is the number of floating operands among the children.
func (o *op) floats() int {
	if o.mapValue() {
		return 1
	}
	return o.operands
}

func (o *op) upstreamAt() int  { return o.base() - o.operands + o.floats() }
func (o *op) directionAt() int { return o.upstreamAt() + count(o.hasUpstream()) }

// Arity implements gorgonia.Op.
func (o *op) Arity() int { return o.directionAt() + count(o.hasDirection()) + count(o.after) }

func typeOf(dt tensor.Dtype, s tensor.Shape) hm.Type {
	if len(s) == 0 {
		return dt
	}
	return G.TensorType{Dims: len(s), Of: dt}
}

// Type implements gorgonia.Op.
func (o *op) Type() hm.Type {
	var t []hm.Type
	for range o.floats() {
		t = append(t, typeOf(o.dtype, o.shape))
	}
	if o.hasLabels() {
		t = append(t, typeOf(o.labels, o.labelShape()))
	}
	if o.weighted {
		t = append(t, typeOf(o.dtype, o.outShape))
	}
	if o.hasMask() {
		t = append(t, typeOf(o.mask, o.outShape))
	}
	if o.normalized {
		t = append(t, o.dtype)
	}
	if o.hasUpstream() {
		t = append(t, typeOf(o.dtype, o.resultShape()))
	}
	if o.hasDirection() {
		t = append(t, typeOf(o.dtype, o.shape))
	}
	if o.after {
		t = append(t, typeOf(o.dtype, o.resultShape()))
	}
	return hm.NewFnType(append(t, typeOf(o.dtype, o.shapeOut()))...)
}

func (o *op) shapeOut() tensor.Shape {
	if o.mode == modeGrad || o.mode == modeHess {
		return o.shape
	}
	return o.resultShape()
}

// InferShape implements gorgonia.Op.
func (o *op) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.shapeOut().Clone(), nil }

// ReturnsPtr implements gorgonia.Op: the result never aliases an input.
func (o *op) ReturnsPtr() bool { return false }

// CallsExtern implements gorgonia.Op.
func (o *op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op: never.
func (o *op) OverwritesInput() int { return -1 }

// String names the operation for people.
func (o *op) String() string {
	if o.mode == modeValue || o.mapValue() {
		return "loss." + o.def.name
	}
	return fmt.Sprintf("loss.%s.%v[%d,%d]", o.def.name, o.mode, o.k, o.j)
}

// WriteHash implements gorgonia.Op. Gorgonia merges nodes of equal hash, so all that the operation depends on goes in.
func (o *op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s %v", o.text, o.plan) }

// Hashcode implements gorgonia.Op.
func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// DiffWRT implements gorgonia.SDOp: the floating operands, the upstream and the direction; data is not differentiated.
func (o *op) DiffWRT(n int) []bool {
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = !o.def.observed && i < o.floats() || o.hasUpstream() && i == o.upstreamAt() || o.hasDirection() && i == o.directionAt()
	}
	return wrt
}

// derivative returns the operation that computes the vector-Jacobian product of o by child i, whose children are
// args: positions among o's children, with -1 for the upstream of o and -2 for o itself.
func (o *op) derivative(i int) (d *op, args []int, err error) {
	for a := range o.base() - o.operands + o.floats() {
		args = append(args, a)
	}
	const up, self = -1, -2
	operand := i < o.floats()
	switch {
	case o.mode == modeValue && operand:
		if i == 0 && o.ahead != nil {
			o.ahead.wanted.Store(true)
			return newOp(o.spec, plan{mode: modeGrad, k: i, after: true}), append(args, up, self), nil
		}
		return newOp(o.spec, plan{mode: modeGrad, k: i}), append(args, up), nil
	case o.mapValue():
		return newOp(o.spec, plan{mode: modeGrad, k: 0}), append(args, up), nil
	case o.mode == modeGrad && operand && o.bare:
		return newOp(o.spec, plan{mode: modeHess, k: o.k, j: i}), append(args, up), nil
	case o.mode == modeGrad && operand:
		return newOp(o.spec, plan{mode: modeHess, k: o.k, j: i}), append(args, o.upstreamAt(), up), nil
	case o.mode == modeGrad:
		return newOp(o.spec, plan{mode: modeJVP, k: o.k}), append(args, up), nil
	case o.mode == modeHess && i == o.directionAt():
		// the Hessian is symmetric: block (j, k) transposed is block (k, j)
		if o.bare {
			return newOp(o.spec, plan{mode: modeHess, k: o.j, j: o.k}), append(args, up), nil
		}
		return newOp(o.spec, plan{mode: modeHess, k: o.j, j: o.k}), append(args, o.upstreamAt(), up), nil
	case o.mode == modeJVP && i == o.directionAt():
		return newOp(o.spec, plan{mode: modeGrad, k: o.k}), append(args, up), nil
	}
	return nil, nil, fmt.Errorf("loss.%s: the third derivative is not available", o.def.name)
}

// symDiff builds the derivatives of the node n by the children for which wanted is true.
func (o *op) symDiff(in G.Nodes, n, upstream *G.Node, wanted []bool) (G.Nodes, error) {
	out := make(G.Nodes, len(in))
	for i := range in {
		if !wanted[i] {
			continue
		}
		d, args, err := o.derivative(i)
		if err != nil {
			return nil, err
		}
		kids := make(G.Nodes, len(args))
		for a, from := range args {
			switch {
			case from >= 0:
				kids[a] = in[from]
			case from == -1:
				kids[a] = upstream
			default:
				kids[a] = n
			}
		}
		if out[i], err = apply(d, kids); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// SymDiff implements gorgonia.SDOp.
func (o *op) SymDiff(in G.Nodes, n, upstream *G.Node) (G.Nodes, error) {
	return o.symDiff(in, n, upstream, o.DiffWRT(len(in)))
}

// DoDiff implements gorgonia.ADOp with the operations of SymDiff, so that both machines compute the same numbers.
func (o *op) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) error {
	upstream, err := out.Grad()
	if err != nil {
		return fmt.Errorf("%v: no upstream gradient: %w", o, err)
	}
	for i, differentiable := range o.DiffWRT(len(in)) {
		if !differentiable {
			continue
		}
		into, err := in[i].Grad()
		if err != nil {
			// Gorgonia allocates no gradient where none is wanted.
			continue
		}
		d, args, err := o.derivative(i)
		if err != nil {
			return err
		}
		values := make([]G.Value, len(args))
		for a, from := range args {
			switch {
			case from >= 0:
				values[a] = in[from].Value()
			case from == -1:
				values[a] = upstream
			default:
				values[a] = out.Value()
			}
		}
		g, err := d.Do(values...)
		if err != nil {
			return err
		}
		if err := accumulate(into, g); err != nil {
			return fmt.Errorf("%v: %w", o, err)
		}
	}
	return nil
}

// Do implements gorgonia.Op. A panic on Gorgonia's goroutine would end the process, so it becomes an error.
func (o *op) Do(in ...G.Value) (out G.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("%v: internal error: %v", o, r)
		}
	}()
	if o.kept != nil {
		if !o.kept.busy.CompareAndSwap(false, true) {
			return nil, fmt.Errorf("%v: run by two machines at once, which a graph with WithBufferReuse does not allow", o)
		}
		defer o.kept.busy.Store(false)
	}
	if len(in) != o.Arity() {
		return nil, fmt.Errorf("%v: %d operands, want %d", o, len(in), o.Arity())
	}
	if o.dtype == tensor.Float32 {
		return execute[float32](o, in)
	}
	return execute[float64](o, in)
}

// zeros is the derivative of something that does not depend on its operand.
type zeros struct {
	dtype tensor.Dtype
	shape tensor.Shape
}

func newZeros(n *G.Node) *zeros { return &zeros{n.Dtype(), n.Shape().Clone()} }

func (z *zeros) Arity() int                                     { return 1 }
func (z *zeros) Type() hm.Type                                  { t := typeOf(z.dtype, z.shape); return hm.NewFnType(t, t) }
func (z *zeros) InferShape(...G.DimSizer) (tensor.Shape, error) { return z.shape.Clone(), nil }
func (z *zeros) ReturnsPtr() bool                               { return false }
func (z *zeros) CallsExtern() bool                              { return false }
func (z *zeros) OverwritesInput() int                           { return -1 }
func (z *zeros) String() string                                 { return "loss.zeros" }
func (z *zeros) DiffWRT(n int) []bool                           { return make([]bool, n) }
func (z *zeros) DoDiff(G.ExecutionContext, G.Nodes, *G.Node) error {
	return nil
}
func (z *zeros) SymDiff(in G.Nodes, _, _ *G.Node) (G.Nodes, error) {
	return make(G.Nodes, len(in)), nil
}

func (z *zeros) WriteHash(h hash.Hash) {
	fmt.Fprintf(h, "loss.zeros %v %v", z.dtype, []int(z.shape))
}

func (z *zeros) Hashcode() uint32 {
	h := fnv.New32a()
	z.WriteHash(h)
	return h.Sum32()
}

func (z *zeros) Do(...G.Value) (G.Value, error) {
	switch {
	case len(z.shape) > 0:
		return tensor.New(tensor.Of(z.dtype), tensor.WithShape(z.shape...)), nil
	case z.dtype == tensor.Float32:
		return G.NewF32(0), nil
	case z.dtype == tensor.Float64:
		return G.NewF64(0), nil
	}
	return nil, fmt.Errorf("loss.zeros: dtype %v has no derivative", z.dtype)
}
