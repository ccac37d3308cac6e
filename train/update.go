package train

import (
	"math"

	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
)

// moved is a parameter that an optimizer moves, with its gradient and the optimizer's memory.
type moved struct {
	param   *weights.Array
	grad    *gradient
	group   optim.Group // its settings
	slots   []*weights.Array
	slots32 [][]float32
	slots64 [][]float64
}

// newMoved gives a parameter the memory that an optimizer needs for it.
func newMoved(param *weights.Array, grad *gradient, rule optim.Optimizer, groups []optim.Group) *moved {
	m := &moved{param: param, grad: grad, group: optim.GroupOf(groups, param.Name, rule)}
	for _, s := range rule.Slots() {
		slot := weights.New(param.Name+"."+s, param.Single(), param.Shape...)
		for i := range slot.F32 {
			slot.F32[i] = float32(rule.Start())
		}
		for i := range slot.F64 {
			slot.F64[i] = rule.Start()
		}
		m.slots, m.slots32, m.slots64 = append(m.slots, slot), append(m.slots32, slot.F32), append(m.slots64, slot.F64)
	}
	return m
}

// update makes the n-th update of a parameter.
func (m *moved) update(rule optim.Optimizer, n int, rate float64) {
	s := optim.Step{N: n, Rate: rate * m.group.Scale, Decay: m.group.Decay, L2: m.group.L2}
	if m.param.Single() {
		rule.Update32(s, m.param.F32, m.grad.F32, m.slots32)
	} else {
		rule.Update64(s, m.param.F64, m.grad.F64, m.slots64)
	}
}

// slots returns the optimizer's memory of all parameters that a step moves.
func (s *Step) slots() (all []*weights.Array) {
	for _, m := range s.moved {
		all = append(all, m.slots...)
	}
	return all
}

// clip scales the gradients, limits them and returns their norm before the limits.
func (s *Step) clip(scale float64) (float64, error) {
	grads := s.graph.grads
	f32, f64 := make([][]float32, 0, len(grads)), make([][]float64, 0, len(grads))
	var squares float64
	for _, g := range grads {
		f32, f64 = append(f32, g.F32), append(f64, g.F64)
		squares += g.squares
	}
	measure := func() float64 {
		if s.graph.single {
			return optim.Norm(f32...)
		}
		return optim.Norm(f64...)
	}
	if scale != 1 {
		optim.Scale(float32(scale), f32...)
		optim.Scale(scale, f64...)
	}
	norm := math.Sqrt(squares) * scale
	if math.IsNaN(norm) || math.IsInf(norm, 0) { // the squares may be too large, or a number
		norm = measure()
	}
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		for _, g := range grads {
			if i := g.NonFinite(); i >= 0 {
				var v float64
				if g.Single() {
					v = float64(g.F32[i])
				} else {
					v = g.F64[i]
				}
				return 0, &NonFiniteError{What: "gradient of " + g.Name, Value: v}
			}
		}
	}
	if l := s.cfg.ClipValue; l > 0 {
		optim.ClipValue(l, f32...)
		optim.ClipValue(l, f64...)
	}
	if l := s.cfg.ClipNorm; l > 0 {
		after := norm
		if s.cfg.ClipValue > 0 {
			after = measure()
		}
		optim.ClipNorm(after, l, f32...)
		optim.ClipNorm(after, l, f64...)
	}
	return norm, nil
}
