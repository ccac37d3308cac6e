package loss

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// Distillation returns the loss of a student that learns from a teacher's distribution and from labels.
//
// With x and z rows of student and teacher logits, y the label, T the temperature, w the class weights (1 by default),
// q = softmax(x/T), t = softmax(z/T) and p = softmax(x),
//
//	l = w_y·(α·T²·Σ_c t_c·(log t_c - log q_c) + (1-α)·(-log p_y))
//	dl/dx_j = w_y·(α·T·(q_j - t_j) + (1-α)·(p_j - [j = y]))
//	dl/dz_j = w_y·α·T·t_j·(log t_j - log q_j - Σ_c t_c·(log t_c - log q_c))
//
// studentLogits and teacherLogits have the same shape (N, C), or any other with a class axis, and dtype; labels (Int, Int64,
// Int32 or Uint8) have that shape without the axis. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithTemperature] (T > 0, default 4), [WithAlpha] (α in [0, 1], default 0.5), [WithAxis] (the class axis, default
// -1), [WithIgnoreIndex] (default -100), [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// An ignored label leaves out the whole example, the teacher's part too, also where α = 1. T² keeps the size of the
// gradient while T changes. A teacher that is not trained needs no gradient: do not ask for it.
//
// [KL] with [WithTargetLogits] is the first term without T², [CrossEntropy] the second.
//
// Reference: G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network, 2015.
func Distillation(studentLogits, teacherLogits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return distillation.assemble(opts, studentLogits, teacherLogits, labels)
}

var distillation = definition{
	name: "Distillation", takes: classKnobs | knobTemperature | knobAlpha,
	defaults: settings{axis: -1, ignore: []int{-100}, temperature: 4, alpha: 0.5}, pred: Logits, target: Logits,
	extra: []Domain{Labels}, names: []string{"studentLogits", "teacherLogits", "labels"},
	laws: ShiftInvariant | NonNegative | Convex,
	check: func(s *settings, _ Domain, _ int) error {
		if s.alpha < 0 || s.alpha > 1 {
			return fmt.Errorf("WithAlpha is %v, want a number in [0, 1]", s.alpha)
		}
		return nil
	},
	rows: func(s *settings, classes, inner int) rowFunc {
		t := s.temperature
		soft := kl.rows(&settings{temperature: t, targetLogits: true}, classes, inner)
		hard := ofFirst(crossEntropyRow(&settings{temperature: 1}))
		return byClassWeight(s, mixture(s.alpha*t*t, soft, 1-s.alpha, hard))
	},
}

// ofFirst is the loss f of operand 0 and the label alone, whose derivatives by operand 1 are 0.
func ofFirst(f rowFunc) rowFunc {
	return func(r *row) float64 {
		x, grad, dir, hess := r.x[1], r.grad[1], r.dir[1], r.hess[1]
		r.x[1], r.grad[1], r.dir[1], r.hess[1] = nil, nil, nil, nil
		l := f(r)
		r.x[1], r.grad[1], r.dir[1], r.hess[1] = x, grad, dir, hess
		fill(grad, 0)
		fill(hess, 0)
		return l
	}
}
