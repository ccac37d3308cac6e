package loss

import (
	"fmt"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/graph"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Gradients returns the derivatives of a scalar cost with respect to each of wrt as new nodes of the same graph.
//
// It is a reverse pass without state: unlike gorgonia.Grad it neither reads nor writes what an earlier call left in
// the nodes, so it is right when called twice in a graph, on a gradient (second order: Hessian-vector products are
// Gradients of Σ g·v), on costs that share nodes, and on nodes that are not inputs. A node that the cost
// does not depend on differentiably gets a node of zeros of its shape.
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

// VJP returns the vector-Jacobian products of out with respect to each of wrt: the derivatives of
// Σ upstream·out with upstream held fixed. upstream has the shape and dtype of out. Otherwise as [Gradients].
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

// Operands returns the function that lists a node's operands, in order and with repetitions, for all nodes below roots.
//
// The graph itself must not be asked: ExprGraph.From looks nodes up in an index that is not corrected when a node
// is removed, which Gorgonia does when it rewrites Log(1-x) and its like, and then answers with the operands of
// another node. A subgraph has an index of its own.
func Operands(roots ...*G.Node) func(*G.Node) G.Nodes {
	if len(roots) == 0 {
		return func(*G.Node) G.Nodes { return nil }
	}
	sub := roots[0].Graph().ExactSubgraphRoots(roots...)
	return func(n *G.Node) G.Nodes {
		if _, constant := n.Op().(interface{ Value() G.Value }); constant || n.Op() == nil {
			return nil
		}
		it := sub.From(n.ID())
		if it == nil {
			return nil
		}
		var out G.Nodes
		for it.Next() {
			out = append(out, it.Node().(*G.Node))
		}
		return out
	}
}

// reverse is the pass behind Gradients and VJP. Gorgonia's own operations may panic while they differentiate
// themselves; that becomes an error.
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
	operands := Operands(out)
	order := postorder(out, operands, needed)
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
		if err := propagate(n, operands(n), sum, needed, terms); err != nil {
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

// postorder lists the nodes below out, operands first, and marks in needed those on a differentiable path to wrt.
// It keeps its own stack: graphs unrolled over time are deeper than a goroutine stack should grow.
func postorder(out *G.Node, operands func(*G.Node) G.Nodes, needed map[*G.Node]bool) G.Nodes {
	type frame struct {
		n    *G.Node
		kids G.Nodes
		next int
	}
	var order G.Nodes
	seen := map[*G.Node]bool{out: true}
	stack := []frame{{n: out, kids: operands(out)}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next < len(top.kids) {
			kid := top.kids[top.next]
			top.next++
			if !seen[kid] {
				seen[kid] = true
				stack = append(stack, frame{n: kid, kids: operands(kid)})
			}
			continue
		}
		for i, differentiable := range diffWRT(top.n, len(top.kids)) {
			if differentiable && needed[top.kids[i]] {
				needed[top.n] = true
			}
		}
		order = append(order, top.n)
		stack = stack[:len(stack)-1]
	}
	return order
}

// diffWRT says which of a node's n operands it is differentiable in: none for a leaf or a foreign operation without SymDiff.
func diffWRT(node *G.Node, n int) []bool {
	op, ok := node.Op().(G.SDOp)
	if !ok || n == 0 {
		return nil
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
