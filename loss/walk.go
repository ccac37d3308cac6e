package loss

import (
	"iter"
	"slices"

	G "gorgonia.org/gorgonia"
)

// Walk iterates over the roots and all nodes that they are computed from, each with its operands in
// order and with repetitions. Every node comes once, after its operands (post-order); of several
// roots the first comes first, with what it needs. A leaf (an input or a constant) has no operands.
// Nil roots are skipped.
//
//	for n, operands := range loss.Walk(cost) {
//		fmt.Println(n, len(operands))
//	}
//
// Walk needs no stack of its depth, so that graphs unrolled over thousands of steps are as good as
// others, and reads the operands of each node as they are when it comes to it. Nodes that were
// edited into a cycle come once each as well, one of them before one of its operands.
func Walk(roots ...*G.Node) iter.Seq2[*G.Node, G.Nodes] {
	return func(yield func(*G.Node, G.Nodes) bool) {
		type frame struct {
			node     *G.Node
			operands G.Nodes
			next     int
		}
		seen := make(map[*G.Node]bool)
		for _, root := range roots {
			if root == nil || seen[root] {
				continue
			}
			seen[root] = true
			stack := []frame{{node: root, operands: operandsOf(root)}}
			for len(stack) > 0 {
				top := &stack[len(stack)-1]
				if top.next < len(top.operands) {
					below := top.operands[top.next]
					top.next++
					if !seen[below] {
						seen[below] = true
						stack = append(stack, frame{node: below, operands: operandsOf(below)})
					}
					continue
				}
				if !yield(top.node, top.operands) {
					return
				}
				stack = stack[:len(stack)-1]
			}
		}
	}
}

// Operands returns the function that lists a node's operands, in order and with repetitions, for
// the roots and all nodes that they are computed from, as they are now. It returns nil for any
// other node.
func Operands(roots ...*G.Node) func(*G.Node) G.Nodes {
	known := make(map[*G.Node]G.Nodes)
	for n, operands := range Walk(roots...) {
		known[n] = operands
	}
	return func(n *G.Node) G.Nodes { return slices.Clone(known[n]) }
}

// operandsOf lists the operands of one node, nil for a leaf.
//
// The graph itself must not be asked: ExprGraph.From looks nodes up in an index that is not
// corrected when a node is removed, which Gorgonia does when it rewrites Log(1-x) and its like, and
// then answers with the operands of another node. A subgraph has an index of its own. The node is
// given twice because Subgraph walks the graph below a single one, without an end where there is a
// cycle.
func operandsOf(n *G.Node) G.Nodes {
	_, constant := n.Op().(interface{ Value() G.Value })
	graph := n.Graph()
	if constant || n.Op() == nil || graph == nil {
		return nil
	}
	it := graph.Subgraph(n, n).From(n.ID())
	if it == nil {
		return nil
	}
	var out G.Nodes
	for it.Next() {
		out = append(out, it.Node().(*G.Node))
	}
	return out
}
