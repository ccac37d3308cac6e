package gradcheck

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// instance is one build of the function under test, with values of its own.
type instance struct {
	g        *G.ExprGraph
	dtype    tensor.Dtype
	operands []*operand
	in       G.Nodes
	out      *G.Node
	at       [][]float64 // the point of the first run, per operand; nil is what the inputs say
}

// place puts the operands at the point of the first run.
func (inst *instance) place() {
	inst.restore()
	for i, x := range inst.at {
		if x != nil {
			inst.operands[i].load(x)
		}
	}
}

// instantiate builds the function for a dtype at the precision of narrow.
func instantiate(build Builder, inputs []Input, dt, narrow tensor.Dtype) (inst *instance, err error) {
	inst = &instance{g: G.NewGraph(), dtype: dt}
	for _, in := range inputs {
		o, err := newOperand(in, dt, narrow)
		if err != nil {
			return nil, err
		}
		inst.operands = append(inst.operands, o)
		inst.in = append(inst.in, o.node(inst.g))
	}
	defer func() {
		if r := recover(); r != nil {
			inst, err = nil, fmt.Errorf("the builder panicked for dtype %v: %v", dt, r)
		}
	}()
	out, err := build(inst.g, dt, inst.in)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the builder failed for dtype %v: %w", dt, err)
	case out == nil:
		return nil, fmt.Errorf("the builder returned no node for dtype %v", dt)
	case out.Graph() != inst.g:
		return nil, fmt.Errorf("the builder returned a node of another graph")
	case !isFloat(out.Dtype()):
		return nil, fmt.Errorf("the cost has dtype %v, want float32 or float64", out.Dtype())
	}
	inst.out = out
	return inst, nil
}

// let binds the operands' values to their nodes.
func (inst *instance) let() error {
	for i, o := range inst.operands {
		if err := G.Let(inst.in[i], o.value); err != nil {
			return fmt.Errorf("binding input %q: %w", o.name, err)
		}
	}
	return nil
}

func (inst *instance) restore() {
	for _, o := range inst.operands {
		if o.pristine != nil {
			o.restore()
		}
	}
}

// leaf reports a node without operands: an input or a constant.
func leaf(n *G.Node) bool {
	_, constant := n.Op().(interface{ Value() G.Value })
	return constant || n.Op() == nil
}

// function evaluates nodes operation by operation on the caller's goroutine. It is independent of
// Gorgonia's machines: it reuses no memory, it survives operations that panic, and after a change
// of one input it runs only what depends on that input.
type function struct {
	inst    *instance
	steps   []step
	values  []G.Value // one per slot
	outs    []int
	below   [][]int // per input, the steps that depend on it
	mutates bool    // some operation writes to its operands: nothing can be reused between runs
	// jitter, if set, replaces the operands and the result of each operation: see roundingOf
	jitter func(G.Value) (G.Value, error)
}

type step struct {
	node *G.Node
	op   G.Op
	in   []int
	out  int
}

// newFunction compiles the nodes outs of the instance.
func newFunction(inst *instance, outs ...*G.Node) (*function, error) {
	f := &function{inst: inst}
	slots := make(map[*G.Node]int)
	slot := func(n *G.Node) int {
		s, ok := slots[n]
		if !ok {
			s = len(slots)
			slots[n] = s
		}
		return s
	}
	for i, n := range inst.in {
		if s := slot(n); s != i {
			return nil, fmt.Errorf("inputs %q and %q are one node", inst.operands[s].name, inst.operands[i].name)
		}
		f.values = append(f.values, inst.operands[i].value)
	}
	depends := make([]map[int]bool, len(inst.in))
	for i := range depends {
		depends[i] = map[int]bool{i: true}
	}
	f.below = make([][]int, len(inst.in))
	for n, kids := range loss.Walk(outs...) {
		if _, ok := slots[n]; ok {
			continue
		}
		s := slot(n)
		f.values = append(f.values, nil)
		if n.Op() == nil || len(kids) == 0 && n.Value() != nil {
			if f.values[s] = n.Value(); f.values[s] == nil {
				return nil, fmt.Errorf("node %q has no value: it is neither an input of the check nor bound by the builder", n.Name())
			}
			continue
		}
		if mode, ok := n.Op().(G.TrainModeOp); ok {
			if err := mode.SetTraining(true); err != nil {
				return nil, fmt.Errorf("%v: %w", n.Op(), err)
			}
		}
		st := step{node: n, op: n.Op(), out: s}
		for _, k := range kids {
			st.in = append(st.in, slot(k))
		}
		for i := range depends {
			for _, k := range st.in {
				if depends[i][k] && !depends[i][s] {
					depends[i][s] = true
					f.below[i] = append(f.below[i], len(f.steps))
				}
			}
		}
		f.steps = append(f.steps, st)
	}
	for _, n := range outs {
		f.outs = append(f.outs, slots[n])
	}
	return f, nil
}

// do runs one step. Operations of other packages may panic.
func (f *function) do(s *step) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("operation %v panicked: %v", s.op, r)
		}
	}()
	args := make([]G.Value, len(s.in))
	for i, k := range s.in {
		args[i] = f.values[k]
		if f.jitter != nil {
			if args[i], err = f.jitter(args[i]); err != nil {
				return err
			}
		}
	}
	v, err := s.op.Do(args...)
	if err != nil {
		return fmt.Errorf("operation %v: %w", s.op, err)
	}
	if v == nil {
		return fmt.Errorf("operation %v returned no value", s.op)
	}
	if f.jitter != nil {
		if v, err = f.jitter(v); err != nil {
			return err
		}
	}
	f.values[s.out] = v
	return nil
}

// run evaluates everything.
func (f *function) run() error {
	for i := range f.steps {
		if err := f.do(&f.steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// rerun evaluates what depends on input k; the rest keeps its values of the last run.
func (f *function) rerun(k int) error {
	if f.mutates {
		return f.run()
	}
	for _, i := range f.below[k] {
		if err := f.do(&f.steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// result returns output i of the last run, flat, in dst.
func (f *function) result(i int, dst []float64) ([]float64, error) {
	return flatten(f.values[f.outs[i]], dst[:0])
}
