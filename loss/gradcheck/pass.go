package gradcheck

import (
	"fmt"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// part is the gradient of one input as a pass gave it.
type part struct {
	values []float64 // nil when missing
	shape  tensor.Shape
	dtype  tensor.Dtype
	why    string // why it is missing
}

// gradient is a pass set up for one dtype: run gives the parts for the values that the instance's
// operands hold.
type gradient struct {
	pass Pass
	inst *instance
	run  func() (parts []part, value []float64, err error)
	done func()
}

// newGradient prepares a pass.
// Its first run is at the point at (nil: the point of the check).
func (k *checker) newGradient(p Pass, dt tensor.Dtype, at [][]float64) (*gradient, error) {
	inst, err := k.instance(dt)
	if err != nil {
		return nil, err
	}
	inst.at = at
	inst.place()
	switch p {
	case Lisp:
		return newLisp(inst, k.upstream)
	case Given:
		return k.newGiven(inst)
	}
	return newSymbolic(p, inst, k.upstream)
}

// newGiven sets up gradient nodes that exist already.
func (k *checker) newGiven(inst *instance) (*gradient, error) {
	if k.given == nil {
		return nil, fmt.Errorf("there are no gradient nodes: Given is for CheckNode")
	}
	grads, err := k.given(inst)
	if err != nil {
		return nil, err
	}
	t, err := newGraphRun(Given, inst, append(G.Nodes{inst.out}, grads...))
	if err != nil {
		return nil, err
	}
	run := func() ([]part, []float64, error) {
		values, err := t.run()
		if err != nil {
			return nil, nil, err
		}
		return values[1:], values[0].values, nil
	}
	return &gradient{Given, inst, run, t.close}, nil
}

// upstreamValue wraps the upstream in the shape and dtype of the result.
func upstreamValue(u []float64, shape tensor.Shape, dt tensor.Dtype) *operand {
	o := &operand{name: "gradcheck.upstream", shape: shape, dtype: dt, fixed: true, pristine: u}
	o.allocate()
	o.restore()
	return o
}

// plain reports the upstream of a scalar cost: 1.
func plain(out *G.Node, u []float64) bool { return out.IsScalar() && len(u) == 1 && u[0] == 1 }

// addUpstream adds the upstream to the instance as an input.
func (inst *instance) addUpstream(u []float64) *G.Node {
	o := upstreamValue(u, inst.out.Shape(), inst.out.Dtype())
	n := o.node(inst.g)
	inst.operands = append(inst.operands, o)
	inst.in = append(inst.in, n)
	return n
}

// reach reports which inputs the result depends on at all, and which through operations that are
// differentiable in them.
func (inst *instance) reach() (any, differentiable map[*G.Node]bool) {
	any, differentiable = make(map[*G.Node]bool), map[*G.Node]bool{inst.out: true}
	operands := make(map[*G.Node]G.Nodes)
	var order G.Nodes
	for n, kids := range loss.Walk(inst.out) {
		any[n] = true
		order, operands[n] = append(order, n), kids
	}
	for _, n := range slices.Backward(order) {
		kids := operands[n]
		op, ok := n.Op().(G.SDOp)
		if !differentiable[n] || !ok || len(kids) == 0 {
			continue
		}
		for k, d := range op.DiffWRT(len(kids)) {
			if d && k < len(kids) {
				differentiable[kids[k]] = true
			}
		}
	}
	return any, differentiable
}

// wanted lists the inputs whose gradient the pass can be asked for; the others get a part that says
// why not.
func (inst *instance) wanted() (wrt G.Nodes, at []int, parts []part) {
	any, differentiable := inst.reach()
	parts = make([]part, len(inst.in))
	for i, n := range inst.in {
		switch o := inst.operands[i]; {
		case o.fixed:
		case !any[n]:
			parts[i].why = "the cost does not depend on it"
		case !differentiable[n]:
			parts[i].why = "no operation on the way to the cost is differentiable in it"
		default:
			wrt = append(wrt, n)
			at = append(at, i)
		}
	}
	return wrt, at, parts
}

// newSymbolic sets up Grad, Reverse or Machine.
func newSymbolic(p Pass, inst *instance, upstream []float64) (*gradient, error) {
	wrt, at, missing := inst.wanted()
	one := plain(inst.out, upstream)
	var up *G.Node
	if !one {
		up = inst.addUpstream(upstream)
	}
	var grads G.Nodes
	if len(wrt) > 0 {
		var err error
		if grads, err = symbolic(p, inst.out, up, wrt); err != nil {
			return nil, err
		}
	}
	// the result first: some operations keep what their derivative needs
	t, err := newGraphRun(p, inst, append(G.Nodes{inst.out}, grads...))
	if err != nil {
		return nil, err
	}
	run := func() ([]part, []float64, error) {
		values, err := t.run()
		if err != nil {
			return nil, nil, err
		}
		parts := append([]part(nil), missing...)
		for i, k := range at {
			parts[k] = values[i+1]
		}
		return parts, values[0].values, nil
	}
	return &gradient{p, inst, run, t.close}, nil
}

// symbolic builds the gradient nodes. Gorgonia's operations may panic when they differentiate
// themselves.
func symbolic(p Pass, out, up *G.Node, wrt G.Nodes) (grads G.Nodes, err error) {
	defer func() {
		if r := recover(); r != nil {
			grads, err = nil, fmt.Errorf("differentiating panicked: %v", r)
		}
	}()
	switch {
	case p == Grad && up == nil:
		grads, err = G.Grad(out, wrt...)
	case p == Grad:
		grads, err = G.Backpropagate(G.Nodes{out}, G.Nodes{up}, wrt)
	case up == nil:
		grads, err = loss.Gradients(out, wrt...)
	default:
		grads, err = loss.VJP(out, up, wrt...)
	}
	if err == nil && len(grads) != len(wrt) {
		err = fmt.Errorf("%d gradients for %d inputs", len(grads), len(wrt))
	}
	return grads, err
}

// graphRun is a graph on a machine that reads some nodes.
type graphRun struct {
	inst  *instance
	name  string // of the machine
	vm    G.VM
	nodes G.Nodes
	into  []G.Value
}

// newGraphRun compiles the instance's graph for a pass. A panic on a TapeMachine's goroutine would
// end the process, so the first run is preceded by one on ours.
func newGraphRun(p Pass, inst *instance, nodes G.Nodes) (t *graphRun, err error) {
	t = &graphRun{inst: inst, name: "TapeMachine", nodes: nodes, into: make([]G.Value, len(nodes))}
	defer func() {
		if r := recover(); r != nil {
			t, err = nil, fmt.Errorf("compiling for the TapeMachine panicked: %v", r)
		}
	}()
	safe, err := newFunction(inst, nodes...)
	if err != nil {
		return nil, err
	}
	if err := safe.run(); err != nil {
		return nil, err
	}
	// operations that write to their inputs do it again on the machine, where it is noticed
	inst.place()
	for i, n := range nodes {
		// an intermediate's register may be reused: Read takes the value when it is computed
		if !leaf(n) {
			G.Read(n, &t.into[i])
		}
	}
	if p == Machine {
		t.name = "Machine"
		t.vm, err = machine.New(inst.g)
		return t, err
	}
	t.vm = G.NewTapeMachine(inst.g)
	return t, nil
}

func (t *graphRun) run() ([]part, error) {
	if err := t.inst.let(); err != nil {
		return nil, err
	}
	defer t.vm.Reset()
	if err := t.vm.RunAll(); err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	out := make([]part, len(t.nodes))
	for i, n := range t.nodes {
		v := t.into[i]
		if v == nil {
			v = n.Value()
		}
		p, err := partOf(v)
		if err != nil {
			return nil, fmt.Errorf("node %v %w", n, err)
		}
		out[i] = p
	}
	return out, nil
}

func partOf(v G.Value) (part, error) {
	if v == nil {
		return part{}, fmt.Errorf("has no value")
	}
	p := part{shape: v.Shape().Clone(), dtype: v.Dtype()}
	if !isFloat(p.dtype) {
		return p, nil
	}
	var err error
	p.values, err = flatten(v, nil)
	return p, err
}

func (t *graphRun) close() {
	if t.vm != nil {
		t.vm.Close()
	}
}
