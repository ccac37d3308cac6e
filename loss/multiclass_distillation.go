package loss

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// Distillation returns the loss of a student that learns from a teacher's distribution and from
// labels.
//
// With x and z rows of student and teacher logits, y the label, T the temperature, w the class
// weights (1 by default), q = softmax(x/T), t = softmax(z/T) and p = softmax(x),
//
//	l = w_y·(α·T²·Σ_c t_c·(log t_c - log q_c) + (1-α)·(-log p_y))
//	dl/dx_j = w_y·(α·T·(q_j - t_j) + (1-α)·(p_j - [j = y]))
//	dl/dz_j = w_y·α·T·t_j·(log t_j - log q_j - Σ_c t_c·(log t_c - log q_c))
//
// studentLogits and teacherLogits have the same shape (N, C), or any other with a class axis, and
// dtype; labels (Int, Int64, Int32 or Uint8) have that shape without the axis. The result is a
// scalar, or has the labels' shape under [None].
//
// Options: [WithTemperature] (T > 0, default 4), [WithAlpha] (α in [0, 1], default 0.5), [WithAxis]
// (the class axis, default -1), [WithIgnoreIndex] (default -100), [WithClassWeights],
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// An ignored label leaves out the whole example, the teacher's part too, also where α = 1. T² keeps
// the size of the gradient while T changes. A teacher that is not trained needs no gradient: do not
// ask for it.
//
// [KL] with [WithTargetLogits] is the first term without T², [CrossEntropy] the second.
//
// Reference: G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network, 2015.
func Distillation(studentLogits, teacherLogits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&distillation, opts, studentLogits, teacherLogits, labels)
}

var distillation = core.Definition{
	Name: "Distillation", Operands: []core.Operand{{Name: "studentLogits", Holds: core.Logits, Shape: "* C"}, {Name: "teacherLogits", Holds: core.Logits, Shape: "* C"}, {Name: "labels", Holds: core.Labels, Shape: "*"}}, Takes: core.Options(core.ClassOptions, core.OptTemperature, core.OptAlpha),
	Defaults: core.Settings{Ignore: []int{-100}, Temperature: 4, Alpha: 0.5},

	Laws: core.ShiftInvariant | core.NonNegative | core.Convex,
	Check: func(s *core.Settings) error {
		if s.Alpha < 0 || s.Alpha > 1 {
			return fmt.Errorf("WithAlpha is %v, want a number in [0, 1]", s.Alpha)
		}
		return nil
	},
	Row: func(s *core.Settings, d core.Dims) core.RowFunc {
		t := s.Temperature
		soft := kl.Row(&core.Settings{Temperature: t, TargetLogits: true}, d)
		hard := ofFirst(crossEntropyRow(&core.Settings{Temperature: 1}))
		return formula.ByClassWeight(s, formula.Mixture(s.Alpha*t*t, soft, 1-s.Alpha, hard))
	},
	Kernel: distillationKernels,
}

// ofFirst is the loss f of operand 0 and the label alone, whose derivatives by operand 1 are 0.
func ofFirst(f core.RowFunc) core.RowFunc {
	return func(r *core.Block) float64 {
		x, grad, dir, hess := r.X[1], r.Grad[1], r.Dir[1], r.Hess[1]
		r.X[1], r.Grad[1], r.Dir[1], r.Hess[1] = nil, nil, nil, nil
		l := f(r)
		r.X[1], r.Grad[1], r.Dir[1], r.Hess[1] = x, grad, dir, hess
		formula.Fill(grad, 0)
		formula.Fill(hess, 0)
		return l
	}
}
