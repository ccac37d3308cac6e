package train

import (
	"fmt"

	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A Solver adapts an optimizer of package optim to gorgonia.Solver, for loops that run one of
// Gorgonia's machines themselves. It applies the same update rules as Fit and, unlike Gorgonia's
// solvers, can be saved.
//
//	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(w, b))
//	solver, err := train.NewSolver(optim.AdamW(1e-3))
//	...
//	err = solver.Step(gorgonia.NodesToValueGrads(gorgonia.Nodes{w, b}))
type Solver struct {
	rule  optim.Optimizer
	n     int
	moved []*moved
}

var _ G.Solver = (*Solver)(nil)

// NewSolver returns a solver before its first step.
func NewSolver(rule optim.Optimizer) (*Solver, error) {
	if rule == nil {
		return nil, fmt.Errorf("train.NewSolver: no optimizer")
	}
	if err := rule.Check(); err != nil {
		return nil, fmt.Errorf("train.NewSolver: %w", err)
	}
	return &Solver{rule: rule}, nil
}

// Step updates the values with their gradients and then sets the gradients to 0, as Gorgonia's
// solvers do, because machines add to bound gradients. Every call must pass the same values in the
// same order, as dense tensors of float32 or float64. If a gradient is not finite or a value does
// not fit, no value changes.
func (s *Solver) Step(model []G.ValueGrad) error {
	if s.moved != nil && len(model) != len(s.moved) {
		return fmt.Errorf("train.Solver: %d values, want %d as in the first step", len(model), len(s.moved))
	}
	next := make([]*moved, len(model))
	grads := make([]*tensor.Dense, len(model))
	for i, vg := range model {
		m, grad, err := s.take(i, vg)
		if err != nil {
			return fmt.Errorf("train.Solver: value %d: %w", i, err)
		}
		next[i], grads[i] = m, grad
	}
	s.moved = next
	s.n++
	for i, m := range s.moved {
		m.update(s.rule, s.n, s.rule.Rate())
		grads[i].Zero()
	}
	return nil
}

// take returns a value with its gradient and the memory that it has, new at the first step.
func (s *Solver) take(i int, vg G.ValueGrad) (*moved, *tensor.Dense, error) {
	param, _, err := arrayOf(fmt.Sprint(i), vg.Value())
	if err != nil {
		return nil, nil, err
	}
	gv, err := vg.Grad()
	if err != nil {
		return nil, nil, fmt.Errorf("its gradient: %w", err)
	}
	grad, dense, err := arrayOf(fmt.Sprint(i), gv)
	if err != nil {
		return nil, nil, fmt.Errorf("its gradient is %w", err)
	}
	if len(grad.F32) != len(param.F32) || len(grad.F64) != len(param.F64) {
		return nil, nil, fmt.Errorf("its gradient has shape %v, want %v of its type", grad.Shape, param.Shape)
	}
	if k := grad.NonFinite(); k >= 0 {
		return nil, nil, fmt.Errorf("its gradient is not finite at element %d", k)
	}
	if s.moved == nil {
		return newMoved(param, &gradient{Array: grad}, s.rule, nil), dense, nil
	}
	m := *s.moved[i]
	if m.param.Single() != param.Single() || m.param.Size() != param.Size() {
		return nil, nil, fmt.Errorf("it has shape %v, want %v of its type as in the first step", param.Shape, m.param.Shape)
	}
	m.param, m.grad = param, &gradient{Array: grad}
	return &m, dense, nil
}

// arrayOf returns a tensor as an array that shares its memory.
func arrayOf(name string, v G.Value) (*weights.Array, *tensor.Dense, error) {
	t, ok := v.(*tensor.Dense)
	if !ok {
		return nil, nil, fmt.Errorf("a %T, want a dense tensor", v)
	}
	a := &weights.Array{Name: name, Shape: t.Shape().Clone()}
	switch data := t.Data().(type) {
	case []float32:
		a.F32 = data
	case []float64:
		a.F64 = data
	default:
		return nil, nil, fmt.Errorf("of %v, want float32 or float64", t.Dtype())
	}
	if len(a.F32)+len(a.F64) != a.Size() {
		return nil, nil, fmt.Errorf("a view of %d numbers with shape %v, want a tensor of its own",
			len(a.F32)+len(a.F64), a.Shape)
	}
	return a, t, nil
}

// State returns copies of the optimizer's memory, named by the index of the value and the slot, and
// the number of steps under "steps". It is empty before the first step.
func (s *Solver) State() []*weights.Array {
	if s.n == 0 {
		return nil
	}
	steps := weights.New("steps", false, 1)
	steps.F64[0] = float64(s.n)
	all := []*weights.Array{steps}
	for _, m := range s.moved {
		all = append(all, cloneAll(m.slots)...)
	}
	return all
}

// Restore sets a new solver of the same rule to a saved State, for the values that Step will
// receive.
func (s *Solver) Restore(state []*weights.Array, model []G.ValueGrad) error {
	if s.n > 0 {
		return fmt.Errorf("train.Solver: Restore after %d steps, want a new solver", s.n)
	}
	byName := make(map[string]*weights.Array)
	for _, a := range state {
		byName[a.Name] = a
	}
	steps := byName["steps"]
	if steps == nil || len(steps.F64) != 1 || !(steps.F64[0] >= 1) {
		return fmt.Errorf("train.Solver: the state has no valid number of steps")
	}
	list := make([]*moved, len(model))
	count := 1
	for i, vg := range model {
		param, _, err := arrayOf(fmt.Sprint(i), vg.Value())
		if err != nil {
			return fmt.Errorf("train.Solver: value %d: %w", i, err)
		}
		list[i] = newMoved(param, nil, s.rule, nil)
		for _, slot := range list[i].slots {
			from := byName[slot.Name]
			if from == nil {
				return fmt.Errorf("train.Solver: the state has no %q: it is of another rule or of other values", slot.Name)
			}
			if err := slot.CopyFrom(from); err != nil {
				return fmt.Errorf("train.Solver: the state is of other values: %w", err)
			}
			count++
		}
	}
	if count != len(state) {
		return fmt.Errorf("train.Solver: the state has %d arrays, want %d: it is of another rule or of other values",
			len(state), count)
	}
	s.moved, s.n = list, int(steps.F64[0])
	return nil
}
