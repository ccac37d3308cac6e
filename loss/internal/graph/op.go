// Package graph makes Gorgonia operations of bound losses: the loss itself and its derivatives. It
// is the only package that knows both Gorgonia's interfaces and the core.
package graph

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/loss/internal/core"
	_ "go4.org/unsafe/assume-no-moving-gc" // pins the version without which Gorgonia panics at start
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A derivative is what an operation computes of its loss: the value, the derivative by operand wrt,
// the Hessian's block (then, wrt) times a direction in operand wrt, or that derivative's inner
// product with the direction.
type derivative struct {
	order     core.Order
	wrt, then int
	after     bool // the value's node is the last child, which is not read: it has to run before
}

// Op is the operation of a bound loss. Its children are the floating operands, the integer ones, the
// weights, the mask, the normalizer, and then
//
//	value     -
//	grad      the upstream
//	hess      the upstream, a direction in operand wrt
//	jvp       a direction in operand wrt
//
// without the upstream for maps of rows. A type variable would let Gorgonia infer types from values
// that it does not check; the types here are the bound loss's own.
type Op struct {
	b *core.Bound
	derivative
	dtype  tensor.Dtype
	memory *memory // of the results, for losses that reuse it
	fused  *fused  // the value and the gradients of one reading, for the same losses and for those with a link
}

var (
	_ G.SDOp = (*Op)(nil)
	_ G.ADOp = (*Op)(nil)
)

// newOp makes an operation; fused is shared by the operations of one loss.
func newOp(b *core.Bound, d derivative, f *fused) *Op {
	o := &Op{b: b, derivative: d, dtype: tensor.Float64}
	if b.DType == core.Float32 {
		o.dtype = tensor.Float32
	}
	if b.Set.Reuse {
		o.memory = new(memory)
	}
	if b.Set.Reuse || o.manyGradients() {
		if o.fused = f; f == nil {
			o.fused = new(fused)
		}
	}
	return o
}

// Apply adds an operation to the graph. Gorgonia panics on some malformed graphs; building a loss
// never does.
func Apply(o G.Op, kids ...*G.Node) (n *G.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, fmt.Errorf("%v: %v", o, r)
		}
	}()
	return G.ApplyOp(o, kids...)
}

// Loss returns the bound loss whose value a node is.
func Loss(n *G.Node) (*core.Bound, bool) {
	if o, ok := n.Op().(*Op); ok && o.order == core.OrderValue {
		return o.b, true
	}
	return nil, false
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (o *Op) hasUpstream() bool {
	return !o.b.IsMap && (o.order == core.OrderGradient || o.order == core.OrderHessian)
}

func (o *Op) hasDirection() bool {
	return o.order == core.OrderHessian || o.order == core.OrderTangent
}

// isMap reports whether the operation is the value of a map of rows: the derivative of ⟨a, f(x)⟩ by
// a, which does not read a.
func (o *Op) isMap() bool { return o.b.IsMap && o.order == core.OrderGradient && o.wrt == 1 }

// floats is the number of floating operands among the children.
func (o *Op) floats() int {
	if o.isMap() {
		return 1
	}
	return o.b.Floats
}

// positions among the children
func (o *Op) integersAt() int   { return o.floats() }
func (o *Op) weightsAt() int    { return o.integersAt() + len(o.b.Integers) }
func (o *Op) maskAt() int       { return o.weightsAt() + count(o.b.Weighted) }
func (o *Op) normalizerAt() int { return o.maskAt() + count(o.b.MaskType != "") }
func (o *Op) upstreamAt() int   { return o.normalizerAt() + count(o.b.Normalized) }
func (o *Op) directionAt() int  { return o.upstreamAt() + count(o.hasUpstream()) }

// Arity implements gorgonia.Op.
func (o *Op) Arity() int { return o.directionAt() + count(o.hasDirection()) + count(o.after) }

func typeOf(dt tensor.Dtype, s core.Shape) hm.Type {
	if len(s) == 0 {
		return dt
	}
	return G.TensorType{Dims: len(s), Of: dt}
}

// Type implements gorgonia.Op.
func (o *Op) Type() hm.Type {
	var t []hm.Type
	for k := range o.floats() {
		t = append(t, typeOf(o.dtype, o.b.ShapeOf(k)))
	}
	for _, g := range o.b.Integers {
		t = append(t, typeOf(dtypeOf(g.DType), g.Shape))
	}
	if o.b.Weighted {
		t = append(t, typeOf(o.dtype, o.b.WeightShape))
	}
	if o.b.MaskType != "" {
		t = append(t, typeOf(dtypeOf(o.b.MaskType), o.b.MaskShape))
	}
	if o.b.Normalized {
		t = append(t, o.dtype)
	}
	if o.hasUpstream() {
		t = append(t, typeOf(o.dtype, o.b.Result()))
	}
	if o.hasDirection() {
		t = append(t, typeOf(o.dtype, o.b.ShapeOf(o.wrt)))
	}
	if o.after {
		t = append(t, typeOf(o.dtype, o.b.Result()))
	}
	return hm.NewFnType(append(t, typeOf(o.dtype, o.shape()))...)
}

// shape is the shape of the result.
func (o *Op) shape() core.Shape {
	switch o.order {
	case core.OrderGradient:
		return o.b.ShapeOf(o.wrt)
	case core.OrderHessian:
		return o.b.ShapeOf(o.then)
	}
	return o.b.Result()
}

// InferShape implements gorgonia.Op.
func (o *Op) InferShape(...G.DimSizer) (tensor.Shape, error) { return tensorShape(o.shape()), nil }

// ReturnsPtr implements gorgonia.Op: the result never aliases an input.
func (o *Op) ReturnsPtr() bool { return false }

// CallsExtern implements gorgonia.Op.
func (o *Op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op: never.
func (o *Op) OverwritesInput() int { return -1 }

// String names the operation for people.
func (o *Op) String() string {
	if o.order == core.OrderValue || o.isMap() {
		return "loss." + o.b.Def.Name
	}
	return fmt.Sprintf("loss.%s.%v[%d,%d]", o.b.Def.Name, o.order, o.wrt, o.then)
}

// WriteHash implements gorgonia.Op. Gorgonia merges nodes of equal hash, so all that the operation
// depends on goes in.
func (o *Op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s %v", o.b.Text(), o.derivative) }

// Hashcode implements gorgonia.Op.
func (o *Op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// DiffWRT implements gorgonia.SDOp: the floating operands, the upstream and the direction; data is
// not differentiated.
func (o *Op) DiffWRT(n int) []bool {
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = o.order != core.OrderDenominator && i < o.floats() && o.b.Differentiable(i) || o.hasUpstream() && i == o.upstreamAt() || o.hasDirection() && i == o.directionAt()
	}
	return wrt
}

// positions of children of a derivative that are no children of the operation
const (
	upstream = -1
	itself   = -2
)

// derivativeBy returns the operation that computes the vector-Jacobian product of o by child i, and
// its children as positions among those of o.
func (o *Op) derivativeBy(i int) (d *Op, args []int, err error) {
	for a := range o.upstreamAt() {
		args = append(args, a)
	}
	operand := i < o.floats()
	op := func(d derivative, more ...int) (*Op, []int, error) {
		return newOp(o.b, d, o.fused), append(args, more...), nil
	}
	switch {
	case o.order == core.OrderValue && operand:
		if o.fused != nil && (i == 0 || o.manyGradients()) {
			o.fused.request(i)
			return op(derivative{order: core.OrderGradient, wrt: i, after: true}, upstream, itself)
		}
		return op(derivative{order: core.OrderGradient, wrt: i}, upstream)
	case o.isMap():
		return op(derivative{order: core.OrderGradient, wrt: 0}, upstream)
	case o.order == core.OrderGradient && operand && o.b.IsMap:
		return op(derivative{order: core.OrderHessian, wrt: o.wrt, then: i}, upstream)
	case o.order == core.OrderGradient && operand:
		return op(derivative{order: core.OrderHessian, wrt: o.wrt, then: i}, o.upstreamAt(), upstream)
	case o.order == core.OrderGradient:
		return op(derivative{order: core.OrderTangent, wrt: o.wrt}, upstream)
	case o.order == core.OrderHessian && i == o.directionAt():
		// the Hessian is symmetric: block (then, wrt) transposed is block (wrt, then)
		if o.b.IsMap {
			return op(derivative{order: core.OrderHessian, wrt: o.then, then: o.wrt}, upstream)
		}
		return op(derivative{order: core.OrderHessian, wrt: o.then, then: o.wrt}, o.upstreamAt(), upstream)
	case o.order == core.OrderTangent && i == o.directionAt():
		return op(derivative{order: core.OrderGradient, wrt: o.wrt}, upstream)
	}
	return nil, nil, fmt.Errorf("loss.%s: the third derivative is not available", o.b.Def.Name)
}

// SymDiff implements gorgonia.SDOp.
func (o *Op) SymDiff(in G.Nodes, n, up *G.Node) (G.Nodes, error) {
	return o.SymDiffOf(in, n, up, o.DiffWRT(len(in)))
}

// SymDiffOf builds the derivatives of the node n by the children for which wanted is true.
func (o *Op) SymDiffOf(in G.Nodes, n, up *G.Node, wanted []bool) (G.Nodes, error) {
	out := make(G.Nodes, len(in))
	for i := range in {
		if !wanted[i] {
			continue
		}
		d, args, err := o.derivativeBy(i)
		if err != nil {
			return nil, err
		}
		kids := make(G.Nodes, len(args))
		for a, from := range args {
			switch from {
			case upstream:
				kids[a] = up
			case itself:
				kids[a] = n
			default:
				kids[a] = in[from]
			}
		}
		if out[i], err = Apply(d, kids...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// DoDiff implements gorgonia.ADOp with the operations of SymDiff, so that both machines compute the
// same numbers.
func (o *Op) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) error {
	return differentiate(o, in, out, func(i int, up G.Value) (G.Value, error) {
		d, args, err := o.derivativeBy(i)
		if err != nil {
			return nil, err
		}
		values := make([]G.Value, len(args))
		for a, from := range args {
			switch from {
			case upstream:
				values[a] = up
			case itself:
				values[a] = out.Value()
			default:
				values[a] = in[from].Value()
			}
		}
		return d.Do(values...)
	})
}

// differentiate adds the derivatives of out to the gradients of its operands; by computes that by
// operand i from the gradient of out.
func differentiate(o G.SDOp, in G.Nodes, out *G.Node, by func(i int, up G.Value) (G.Value, error)) error {
	up, err := out.Grad()
	if err != nil {
		return fmt.Errorf("%v: no upstream gradient: %w", o, err)
	}
	for i, differentiable := range o.DiffWRT(len(in)) {
		if !differentiable {
			continue
		}
		into, err := in[i].Grad()
		if err != nil {
			continue // Gorgonia allocates no gradient where none is wanted
		}
		g, err := by(i, up)
		if err != nil {
			return err
		}
		if err := accumulate(into, g); err != nil {
			return fmt.Errorf("%v: %w", o, err)
		}
	}
	return nil
}
