package machine

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// step is one operation, or one Read statement.
type step struct {
	node     *G.Node
	op       G.Op
	operands []int // slots
	result   int   // slot
	args     []G.Value

	read   *G.Value          // where a Read statement writes
	keeps  bool              // whether the result is kept as memory for the next run
	reuse  G.UsePreallocDoer // the same operation, for a result in memory that is there
	memory G.Value           // that memory
}

// leaf is an input that some operation reads.
type leaf struct {
	node *G.Node
	slot int
}

// mode is an operation that has one mode for training and one for evaluation.
type mode struct {
	node *G.Node
	op   G.TrainModeOp
}

// planner puts the nodes of a graph in order.
type planner struct {
	*config
	host    *hostTypes
	order   G.Nodes // operands first
	operand map[*G.Node]G.Nodes
	bound   []pair // the gradients to bind, in the order in which they are computed
}

// plan compiles a graph into m.
func (m *Machine) plan(g *G.ExprGraph, c *config) error {
	h, err := host()
	if err != nil {
		return err
	}
	p := &planner{config: c, host: h, operand: make(map[*G.Node]G.Nodes)}
	// In the order in which the nodes were made: operations that leave something for their
	// derivative come before it.
	for n, operands := range loss.Walk(g.AllNodes()...) {
		for _, k := range operands {
			if _, known := p.operand[k]; !known {
				return at(n, fmt.Errorf("%w: it is needed for its own operand %v", ErrCycle, k))
			}
		}
		p.order = append(p.order, n)
		p.operand[n] = operands
	}
	if err := p.checkSets(); err != nil {
		return err
	}
	if err := p.checkOutputs(); err != nil {
		return fmt.Errorf("machine.New: %w: %w", ErrOption, err)
	}
	if err := p.findGradients(); err != nil {
		return fmt.Errorf("machine.New: %w: %w", ErrOption, err)
	}
	m.compile(p)
	return nil
}

// checkSets refuses assignments in a circle, which no order satisfies.
func (p *planner) checkSets() error {
	from := make(map[*G.Node]G.Nodes)
	for _, n := range p.order {
		if p.host.isSet(n.Op()) && len(p.operand[n]) == 2 {
			to := p.operand[n][0]
			from[to] = append(from[to], p.operand[n][1])
		}
	}
	const open, done = 1, 2
	state := make(map[*G.Node]int)
	var circle func(n *G.Node) bool
	circle = func(n *G.Node) bool {
		state[n] = open
		for _, k := range from[n] {
			if state[k] == open || state[k] == 0 && circle(k) {
				return true
			}
		}
		state[n] = done
		return false
	}
	for _, n := range p.order {
		if state[n] == 0 && circle(n) {
			return at(n, fmt.Errorf("%w: Set statements assign to it what they take from it", ErrCycle))
		}
	}
	return nil
}

func (p *planner) checkOutputs() error {
	for _, n := range p.outputs {
		if !p.has(n) {
			return fmt.Errorf("the output %v is not in the graph", n)
		}
	}
	return nil
}

func (p *planner) has(n *G.Node) bool { _, ok := p.operand[n]; return ok }

// findGradients collects the gradients to bind.
func (p *planner) findGradients() error {
	for _, n := range p.given {
		if !p.has(n.input) || !p.has(n.gradient) {
			return fmt.Errorf("%v or its gradient %v is not in the graph", n.input, n.gradient)
		}
	}
	found := make(map[*G.Node]bool)
	for _, n := range p.order {
		for _, of := range n.DerivOf() {
			if slices.Contains(p.bind, of) || p.bindAll && of.Op() == nil && p.has(of) {
				p.bound = append(p.bound, pair{of, n})
				found[of] = true
			}
		}
		for _, q := range p.given {
			if q.gradient == n {
				p.bound = append(p.bound, q)
			}
		}
	}
	for _, n := range p.bind {
		if !found[n] {
			return fmt.Errorf("%v has no gradient in the graph: call gorgonia.Grad before", n)
		}
	}
	if p.bindAll && len(found) == 0 {
		return fmt.Errorf("no input has a gradient in the graph: call gorgonia.Grad before")
	}
	return nil
}

// needs returns the nodes that are to be run: all of them, or those that something asked for needs.
func (p *planner) needs() map[*G.Node]bool {
	roots := slices.Clone(p.order)
	if p.needed {
		roots = slices.Clone(p.outputs)
		for _, n := range p.order {
			if p.host.destination(n.Op()) != nil {
				roots = append(roots, n)
			}
		}
		for _, q := range p.bound {
			roots = append(roots, q.gradient)
		}
	}
	owner := make(map[uintptr]*G.Node)
	for _, n := range p.order {
		if a := address(n.Op()); a != 0 {
			owner[a] = n
		}
	}
	needs := make(map[*G.Node]bool)
	for len(roots) > 0 {
		n := roots[len(roots)-1]
		roots = roots[:len(roots)-1]
		if needs[n] {
			continue
		}
		needs[n] = true
		roots = append(roots, p.operand[n]...)
		// The derivatives of batch normalisation and CTC hold the operation itself and use what its
		// run left there: an operand that the graph does not show.
		if op := n.Op(); op != nil {
			for _, a := range pointers(op) {
				if k := owner[a]; k != nil {
					roots = append(roots, k)
				}
			}
		}
	}
	return needs
}

// compile makes the steps.
func (m *Machine) compile(p *planner) {
	slots := make(map[*G.Node]int)
	slot := func(n *G.Node) int {
		s, ok := slots[n]
		if !ok {
			s = len(m.values)
			slots[n] = s
			m.values = append(m.values, nil)
			if isConstant(n.Op()) {
				m.values[s] = n.Value()
			} else if n.Op() == nil {
				m.leaves = append(m.leaves, leaf{n, s})
			}
		}
		return s
	}
	needs := p.needs()
	for _, n := range p.order {
		op := n.Op()
		if !needs[n] || op == nil || isConstant(op) || p.host.isSet(op) {
			continue
		}
		s := step{node: n, op: op, read: p.host.destination(op), args: make([]G.Value, len(p.operand[n]))}
		for _, k := range p.operand[n] {
			s.operands = append(s.operands, slot(k))
		}
		s.result = slot(n)
		if p.reuse && p.host.reusing[reflect.TypeOf(op)] && !n.IsScalar() {
			s.reuse, s.keeps = op.(G.UsePreallocDoer)
		}
		if o, ok := op.(G.TrainModeOp); ok {
			m.modes = append(m.modes, mode{n, o})
		}
		m.steps = append(m.steps, s)
	}
	for _, q := range p.bound {
		m.gradients = append(m.gradients, gradient{of: q.input, slot: slot(q.gradient)})
	}
}
