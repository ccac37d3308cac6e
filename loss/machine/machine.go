package machine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	G "gorgonia.org/gorgonia"
)

// A Machine runs one graph, as it was when New was called. It is a [G.VM]. Its runs may come from
// different goroutines but not at the same time: the second gets [ErrBusy]. Neither may two
// machines run one graph at the same time.
type Machine struct {
	leaves    []leaf
	values    []G.Value // of the last run, by slot; constants stay
	steps     []step
	gradients []gradient
	modes     []mode
	training  bool

	running atomic.Bool
	now     *G.Node // the node at work, for what is recovered from a panic
}

var _ G.VM = (*Machine)(nil)

// New prepares a graph for running. Nodes and Read statements that are added to it later do not
// take part.
//
// It returns an error of kind [ErrOption] for options that do not fit the graph and one of kind
// [ErrCycle], with the node, for a graph with a cycle.
func New(g *G.ExprGraph, opts ...Option) (*Machine, error) {
	if g == nil {
		return nil, errors.New("machine.New: the graph is nil")
	}
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	m := &Machine{training: !c.inference}
	if err := m.plan(g, c); err != nil {
		return nil, err
	}
	return m, nil
}

// RunAll computes the graph from the values that its inputs have now: Run without a context.
func (m *Machine) RunAll() error { return m.Run(context.Background()) }

// Run computes the graph from the values that its inputs have now, on the goroutine of the caller.
// It returns the first error, an [Error] that names the node: of an operation, a panic of one
// ([ErrPanic]), or an input without a value ([ErrNoValue]). A run that failed may be followed by
// another.
//
// The context is looked at between operations; once it is done, Run returns an error that wraps
// ctx.Err.
func (m *Machine) Run(ctx context.Context) (err error) {
	if ctx == nil {
		return errors.New("machine: the context is nil")
	}
	if !m.running.CompareAndSwap(false, true) {
		return fmt.Errorf("machine: %w", ErrBusy)
	}
	defer m.running.Store(false)
	defer func() {
		if r := recover(); r != nil {
			err = at(m.now, panicked(r))
		}
	}()
	for _, o := range m.modes {
		m.now = o.node
		if err := o.op.SetTraining(m.training); err != nil {
			return at(o.node, fmt.Errorf("setting its mode: %w", err))
		}
	}
	for _, l := range m.leaves {
		v := l.node.Value()
		if v == nil {
			return at(l.node, fmt.Errorf("%w is bound to this input", ErrNoValue))
		}
		m.values[l.slot] = v
	}
	done := ctx.Done()
	for i := range m.steps {
		s := &m.steps[i]
		if done != nil {
			select {
			case <-done:
				return at(s.node, fmt.Errorf("the run ended before it: %w", ctx.Err()))
			default:
			}
		}
		m.now = s.node
		if err := m.do(s); err != nil {
			return at(s.node, err)
		}
	}
	for _, g := range m.gradients {
		if err := addTo(g.of, m.values[g.slot]); err != nil {
			return at(g.of, err)
		}
	}
	return nil
}

// do runs one operation.
func (m *Machine) do(s *step) (err error) {
	for i, slot := range s.operands {
		s.args[i] = m.values[slot]
	}
	if s.read != nil {
		return read(s.read, s.args[0])
	}
	var v G.Value
	if s.memory != nil {
		if v, err = s.reuse.UsePreallocDo(s.memory, s.args...); err != nil {
			s.memory = nil // it does not fit what the operands have become
		}
	}
	if s.memory == nil {
		v, err = s.op.Do(s.args...)
	}
	switch {
	case err != nil:
		return err
	case v == nil:
		return fmt.Errorf("%w was returned by the operation", ErrNoValue)
	}
	if s.keeps {
		s.memory = v
	}
	m.values[s.result] = v
	if s.node.Value() == v {
		return nil // the same memory as last time
	}
	return bind(s.node, v)
}

// bind makes v the value of a node.
func bind(n *G.Node, v G.Value) (err error) {
	if G.UnsafeLet(n, v) == nil {
		return nil
	}
	// Operations that return another shape than Gorgonia inferred run on a TapeMachine. What
	// follows asks only for the right number of dimensions, and panics.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the operation returned a value of shape %v and dtype %v, want %v and %v", v.Shape(),
				v.Dtype(), n.Shape(), n.Dtype())
		}
	}()
	G.WithValue(v)(n)
	return nil
}

// read does what a Read statement says: it copies the value into what is there, or makes a copy.
func read(into *G.Value, v G.Value) error {
	if *into != nil {
		_, err := G.Copy(*into, v)
		return err
	}
	c, err := G.CloneValue(v)
	if err != nil {
		return err
	}
	*into = c
	return nil
}

// Reset does nothing: each run starts from the beginning. It is there for programs that were
// written for a TapeMachine.
func (m *Machine) Reset() {}

// Close releases the memory that the machine keeps. It returns nil, and the machine may be run
// again.
func (m *Machine) Close() error {
	for i := range m.steps {
		s := &m.steps[i]
		s.memory = nil
		clear(s.args)
		m.values[s.result] = nil
	}
	return nil
}
