package loss

import (
	"fmt"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/graph"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Gradients returns the derivatives of a scalar cost with respect to each of wrt as new nodes of
// the same graph.
//
// It is a reverse pass without state: unlike gorgonia.Grad it neither reads nor writes what an
// earlier call left in the nodes, so it is right when called twice in a graph, on a gradient
// (second order: Hessian-vector products are Gradients of Σ g·v), on costs that share nodes, and on
// nodes that are not inputs. A node that the cost does not depend on differentiably gets a node of
// zeros of its shape.
//
// Some operations of Gorgonia v0.9.18 differentiate themselves wrongly. Gradients has the right
// derivatives of Log2 and InverseSqrt, and the right second ones of Slice, Unconcat, Im2Col, Conv1d
// and Conv2d. It is an error, which names the operation, to differentiate through At,
// AveragePool2D, GlobalAveragePool2D, CTCLoss and Dropout, and to differentiate twice through
// AveragePool1D, BatchNorm, ByIndices, GroupNorm, LogSoftMax, MaxPool1D, MaxPool2D, SoftMax,
// Sparsemax and Upsample2D. The second derivatives of all others are right.
//
// The results are not bound to wrt: read them with gorgonia.Read, not with Node.Grad.
func Gradients(cost *G.Node, wrt ...*G.Node) (G.Nodes, error) {
	if cost == nil {
		return nil, core.Faultf(ErrShape, "Gradients", "cost is nil")
	}
	if !cost.IsScalar() {
		return nil, core.Faultf(ErrShape, "Gradients", "cost has shape %s, want () (VJP takes an upstream for other shapes)", core.Shape(cost.Shape()))
	}
	if err := checkWrt("Gradients", cost, wrt); err != nil {
		return nil, err
	}
	var one *G.Node
	switch cost.Dtype() {
	case tensor.Float64:
		one = G.NewConstant(1.0)
	case tensor.Float32:
		one = G.NewConstant(float32(1))
	default:
		return nil, core.Faultf(ErrDType, "Gradients", "cost has dtype %v, want float32 or float64", cost.Dtype())
	}
	return reverse("Gradients", cost, cost.Graph().AddNode(one), wrt)
}

// VJP returns the vector-Jacobian products of out with respect to each of wrt: the derivatives of Σ
// upstream·out with upstream held fixed. upstream has the shape and dtype of out. Otherwise as
// [Gradients].
func VJP(out, upstream *G.Node, wrt ...*G.Node) (G.Nodes, error) {
	switch {
	case out == nil:
		return nil, core.Faultf(ErrShape, "VJP", "out is nil")
	case upstream == nil:
		return nil, core.Faultf(ErrShape, "VJP", "upstream is nil")
	case out.Graph() != upstream.Graph():
		return nil, core.Faultf(ErrShape, "VJP", "upstream belongs to another graph than out")
	case !out.Shape().Eq(upstream.Shape()):
		return nil, core.Faultf(ErrShape, "VJP", "upstream has shape %s, want %s to match out", core.Shape(upstream.Shape()), core.Shape(out.Shape()))
	case out.Dtype() != upstream.Dtype():
		return nil, core.Faultf(ErrDType, "VJP", "upstream has dtype %v, want %v to match out", upstream.Dtype(), out.Dtype())
	}
	if err := checkWrt("VJP", out, wrt); err != nil {
		return nil, err
	}
	return reverse("VJP", out, upstream, wrt)
}

// checkWrt refuses what cannot be differentiated by, before anything is added to the graph.
func checkWrt(name string, out *G.Node, wrt G.Nodes) error {
	for i, w := range wrt {
		if w == nil {
			return core.Faultf(ErrShape, name, "wrt %d is nil", i)
		}
		if w.Graph() != out.Graph() {
			return core.Faultf(ErrShape, name, "wrt %d (%s) belongs to another graph", i, w.Name())
		}
	}
	return nil
}

// reverse is the pass behind Gradients and VJP. Gorgonia's own operations may panic while they
// differentiate themselves; that becomes an error.
func reverse(name string, out, upstream *G.Node, wrt G.Nodes) (result G.Nodes, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, fmt.Errorf("loss.%s: differentiating %v: %v", name, out, r)
		}
	}()
	needed := make(map[*G.Node]bool)
	for _, w := range wrt {
		needed[w] = true
	}
	var order G.Nodes
	operands := make(map[*G.Node]G.Nodes)
	for n, in := range Walk(out) {
		if fault := underivable[gorgoniaName(n.Op())]; fault != "" && slices.ContainsFunc(in, func(o *G.Node) bool { return needed[o] }) {
			return nil, fmt.Errorf("loss.%s: %s", name, fault)
		}
		for i, differentiable := range diffWRT(n, len(in)) {
			if differentiable && needed[in[i]] {
				needed[n] = true // on a differentiable path to wrt
			}
		}
		order, operands[n] = append(order, n), in
	}
	terms := map[*G.Node]G.Nodes{out: {upstream}}
	total := make(map[*G.Node]*G.Node)
	for i := len(order) - 1; i >= 0; i-- {
		n := order[i]
		if !needed[n] || len(terms[n]) == 0 {
			continue
		}
		sum := terms[n][0]
		if len(terms[n]) > 1 {
			if sum, err = G.ReduceAdd(terms[n]); err != nil {
				return nil, fmt.Errorf("loss.%s: adding the derivatives of %v: %w", name, n, err)
			}
		}
		total[n] = sum
		if err := propagate(n, operands[n], sum, needed, terms); err != nil {
			return nil, fmt.Errorf("loss.%s: differentiating %v: %w", name, n, err)
		}
	}
	for _, w := range wrt {
		g := total[w]
		if g == nil {
			if g, err = G.ApplyOp(graph.NewZeros(w), w); err != nil {
				return nil, fmt.Errorf("loss.%s: zero derivative of %v: %w", name, w, err)
			}
		}
		result = append(result, g)
	}
	return result, nil
}

// diffWRT reports in which of its n operands a node is differentiable: none for a leaf or a foreign
// operation without SymDiff.
func diffWRT(node *G.Node, n int) []bool {
	op, ok := node.Op().(G.SDOp)
	if !ok || n == 0 {
		return nil
	}
	if gorgoniaName(op) == "sliceIncrOp" {
		return []bool{false, true}
	}
	return slices.Clone(op.DiffWRT(n))
}

// propagate adds the terms that node n passes to its operands. Operations of this package build
// only the derivatives that are needed; Gorgonia's build all at once.
func propagate(n *G.Node, kids G.Nodes, upstream *G.Node, needed map[*G.Node]bool, terms map[*G.Node]G.Nodes) error {
	wanted := diffWRT(n, len(kids))
	any := false
	for i, kid := range kids {
		if i < len(wanted) && wanted[i] {
			wanted[i] = needed[kid]
			any = any || wanted[i]
		}
	}
	if !any {
		return nil
	}
	var (
		parts G.Nodes
		err   error
	)
	if own, ok := n.Op().(*graph.Op); ok {
		parts, err = own.SymDiffOf(kids, n, upstream, wanted)
	} else if derive := mended[gorgoniaName(n.Op())]; derive != nil {
		parts, err = derive(n.Op(), kids, n, upstream)
	} else {
		parts, err = n.Op().(G.SDOp).SymDiff(kids, n, upstream)
	}
	if err != nil {
		return err
	}
	for i, kid := range kids {
		if i < len(wanted) && wanted[i] {
			if i >= len(parts) || parts[i] == nil {
				return fmt.Errorf("operation %v gives no derivative for operand %d", n.Op(), i)
			}
			terms[kid] = append(terms[kid], parts[i])
		}
	}
	return nil
}
