package gradcheck

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// A LispMachine runs operations and their DoDiff on a goroutine of its own, where a panic ends the
// process. So it is given a copy of the graph whose operations recover.
type guarded struct {
	G.Op
}

type guardedAD struct {
	guarded
}

func (o guarded) Do(in ...G.Value) (v G.Value, err error) {
	defer recovered(o.Op, &err)
	return o.Op.Do(in...)
}

// SetTraining passes the machine's mode on.
func (o guarded) SetTraining(training bool) error {
	if m, ok := o.Op.(G.TrainModeOp); ok {
		return m.SetTraining(training)
	}
	return nil
}

func (o guardedAD) DoDiff(ctx G.ExecutionContext, in G.Nodes, out *G.Node) (err error) {
	defer recovered(o.Op, &err)
	if err := o.Op.(G.ADOp).DoDiff(ctx, in, out); err != nil {
		return fmt.Errorf("DoDiff of %v: %w", o.Op, err)
	}
	return nil
}

func recovered(op G.Op, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("operation %v panicked: %v", op, r)
	}
}

func guard(op G.Op) G.Op {
	if _, ok := op.(G.ADOp); ok {
		return guardedAD{guarded{op}}
	}
	return guarded{op}
}

// transplant copies the result and all below it to a new graph, with each operation passed through
// wrap. The copy has the same operands; it does not have other roots, which a LispMachine would
// differentiate too.
func (inst *instance) transplant(wrap func(G.Op) G.Op) (copied *instance, err error) {
	defer func() {
		if r := recover(); r != nil {
			copied, err = nil, fmt.Errorf("copying the graph panicked: %v", r)
		}
	}()
	to := &instance{g: G.NewGraph(), dtype: inst.dtype, operands: inst.operands}
	at := make(map[*G.Node]*G.Node)
	for i, n := range inst.in {
		c := inst.operands[i].node(to.g)
		to.in = append(to.in, c)
		at[n] = c
	}
	to.out, err = copyBelow(inst.out, to.g, at, wrap)
	return to, err
}

// copyBelow copies a node and all below it to g; at holds what has been copied, and receives the
// rest.
func copyBelow(out *G.Node, g *G.ExprGraph, at map[*G.Node]*G.Node, wrap func(G.Op) G.Op) (c *G.Node, err error) {
	for n, kids := range loss.Walk(out) {
		if at[n] == nil {
			if at[n], err = copyNode(n, kids, g, at, wrap); err != nil {
				return nil, err
			}
		}
	}
	return at[out], nil
}

func copyNode(n *G.Node, kids G.Nodes, g *G.ExprGraph, at map[*G.Node]*G.Node, wrap func(G.Op) G.Op) (*G.Node, error) {
	switch {
	case len(kids) > 0:
		args := make(G.Nodes, len(kids))
		for i, k := range kids {
			args[i] = at[k]
		}
		return applied(wrap(n.Op()), n, args), nil
	case n.Value() == nil && n.Op() != nil: // a source of random numbers
		return G.NewUniqueNode(G.WithType(n.Type()), G.WithOp(n.Op()), G.In(g), G.WithShape(n.Shape()...)), nil
	case n.Value() == nil:
		return nil, fmt.Errorf("node %q has no value: it is neither an input of the check nor bound by the builder", n.Name())
	}
	v, err := G.CloneValue(n.Value())
	if err != nil {
		return nil, err
	}
	if n.IsScalar() {
		return g.AddNode(G.NewConstant(v)), nil
	}
	// large tensor constants hash alike; a named input does not
	return G.NewTensor(g, n.Dtype(), n.Dims(), G.WithShape(n.Shape()...), G.WithName(fmt.Sprintf("constant %d", n.ID())), G.WithValue(v)), nil
}

// applied adds an operation with the type and shape that like has. ApplyOp would infer them, which
// for some of Gorgonia's operations depends on the operands' own operations.
func applied(op G.Op, like *G.Node, args G.Nodes) *G.Node {
	return G.NewUniqueNode(G.WithType(like.Type()), G.WithOp(op), G.WithChildren(args), G.In(args[0].Graph()),
		G.WithShape(like.Shape()...))
}

// newLisp sets up the LispMachine. It differentiates scalars with an upstream of 1, so another
// upstream is multiplied into the result and summed.
func newLisp(inst *instance, upstream []float64) (*gradient, error) {
	any, _ := inst.reach()
	// the machine cannot run twice, nor a second one on the same nodes: each run has a copy of the
	// graph
	run := func() ([]part, []float64, error) {
		c, err := inst.transplant(guard)
		if err != nil {
			return nil, nil, err
		}
		return c.runLisp(upstream, any, inst)
	}
	return &gradient{Lisp, inst, run, func() {}}, nil
}

func (inst *instance) runLisp(upstream []float64, any map[*G.Node]bool, from *instance) (parts []part, value []float64, err error) {
	defer func() {
		if r := recover(); r != nil {
			parts, value, err = nil, nil, fmt.Errorf("LispMachine panicked: %v", r)
		}
	}()
	// a failure in the forward pass would leave the machine's goroutine half done
	f, err := newFunction(inst, inst.out)
	if err != nil {
		return nil, nil, err
	}
	if err := f.run(); err != nil {
		return nil, nil, err
	}
	if value, err = f.result(0, nil); err != nil {
		return nil, nil, err
	}
	if !plain(inst.out, upstream) {
		if err := inst.weigh(upstream); err != nil {
			return nil, nil, err
		}
	}
	if err := inst.let(); err != nil {
		return nil, nil, err
	}
	vm := G.NewLispMachine(inst.g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		return nil, nil, fmt.Errorf("LispMachine: %w", err)
	}
	parts = make([]part, len(from.in))
	for i := range from.in {
		switch {
		case inst.operands[i].fixed:
			continue
		case !any[from.in[i]]:
			parts[i].why = "the cost does not depend on it"
			continue
		}
		g, err := inst.in[i].Grad()
		if err != nil || g == nil {
			parts[i].why = fmt.Sprintf("the LispMachine left no gradient: %v", err)
			continue
		}
		if parts[i], err = partOf(g); err != nil {
			return nil, nil, err
		}
	}
	return parts, value, nil
}

// weigh replaces the result by Σ upstream·result.
func (inst *instance) weigh(upstream []float64) error {
	scalar := inst.out.IsScalar()
	up := inst.addUpstream(upstream)
	product, err := G.HadamardProd(inst.out, up)
	if err != nil {
		return fmt.Errorf("weighing the result: %w", err)
	}
	inst.out = product
	if !scalar {
		if inst.out, err = G.Sum(product); err != nil {
			return fmt.Errorf("weighing the result: %w", err)
		}
	}
	return nil
}
