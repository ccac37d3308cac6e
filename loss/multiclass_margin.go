package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// MultiMargin returns the multi-class margin loss: every class whose logit comes within a margin of
// the true one's costs.
//
// With x a row of C logits, y its label, m the margin and w the class weights (1 by default),
//
//	l = w_y/C·Σ_{j≠y} max(0, m - x_y + x_j)^p        dl/dx_j = w_y/C·p·max(0, m - x_y + x_j)^(p-1), 0 where the maximum is 0
//	                                                 dl/dx_y = -Σ_{j≠y} dl/dx_j
//
// logits have the shape (N, C), or any other with a class axis, labels (Int, Int64, Int32 or Uint8)
// that shape without the axis. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithMargin] (m, any finite number, default 1), [WithPower] (p, 1 or 2, default 1),
// [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (default -100), [WithClassWeights],
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A logit of -Inf takes its class out, though C still counts it; the loss of such a true class is
// +Inf.
//
// [MulticlassHinge] looks at the worst class alone.
//
// Reference: J. Weston, C. Watkins, Support Vector Machines for Multi-Class Pattern Recognition,
// 1999.
func MultiMargin(logits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&multiMargin, opts, logits, labels)
}

var multiMargin = core.Definition{
	Name: "MultiMargin", Operands: rows("logits", core.Logits, "labels", core.Labels),
	Takes:    core.Options(core.ClassOptions, core.OptMargin, core.OptPower),
	Defaults: core.Settings{Ignore: []int{-100}, Margin: 1, Power: 1},
	Laws:     core.ShiftInvariant | core.NonNegative | core.Convex,
	Torch:    "multi_margin_loss",
	Check: func(s *core.Settings) error {
		if s.Power != 1 && s.Power != 2 {
			return fmt.Errorf("WithPower is %v, want 1 or 2", s.Power)
		}
		return nil
	},
	Kernel: tiles(core.Logits, core.Labels, multiMarginTile[float32], multiMarginTile[float64]),
	Row: func(s *core.Settings, d core.Dims) core.RowFunc {
		n := float64(d.Classes)
		return formula.ByClassWeight(s, func(r *core.Block) float64 {
			x, y := r.X[0], r.Class()
			if formula.HasNaN(x) || vacant(x) {
				return formula.SetNaN(r)
			}
			l, pull, turn := 0.0, 0.0, 0.0
			g, h, v := r.Grad[0], r.Hess[0], r.Dir[0]
			formula.Fill(g, 0)
			formula.Fill(h, 0)
			for j := range x {
				e, d, dd := 0.0, 0.0, 0.0
				if j != y && !math.IsInf(x[j], -1) {
					e, d, dd = positivePower(s.Margin+(x[j]-x[y]), s.Power)
				}
				if e != e { // +Inf against +Inf
					return formula.SetNaN(r)
				}
				l += e
				pull += d
				if g != nil {
					g[j] = d / n
				}
				if h != nil {
					h[j] = formula.Times(dd, v[j]-v[y]) / n
					turn += h[j]
				}
			}
			if g != nil {
				g[y] = -pull / n
			}
			if h != nil {
				h[y] = -turn
			}
			return l / n
		})
	},
}

// positivePower is max(0, z) to the power 1 or 2 with its derivatives, taken from the left at 0.
func positivePower(z, power float64) (l, d, dd float64) {
	switch {
	case z <= 0:
		return 0, 0, 0
	case power == 1:
		return z, 1, 0
	}
	return z * z, 2 * z, 2
}

// vacant reports a row of only -Inf, which says nothing about any class.
func vacant(x []float64) bool {
	for _, v := range x {
		if !math.IsInf(v, -1) {
			return false
		}
	}
	return true
}

// worst is the loss max(0, m + max_{j≠y} x_j - x_y) of a label. At a tie the first class is taken,
// at 0 none.
func worst(s *core.Settings, margin float64) core.RowFunc {
	return formula.ByClassWeight(s, func(r *core.Block) float64 {
		x, y := r.X[0], r.Class()
		if formula.HasNaN(x) || vacant(x) {
			return formula.SetNaN(r)
		}
		formula.Fill(r.Grad[0], 0)
		formula.Fill(r.Hess[0], 0)
		rival := -1
		for j, v := range x {
			if j != y && !math.IsInf(v, -1) && (rival < 0 || v > x[rival]) {
				rival = j
			}
		}
		if rival < 0 {
			return 0
		}
		l := margin + (x[rival] - x[y])
		if l <= 0 {
			return 0
		}
		if l != l { // +Inf against +Inf
			return formula.SetNaN(r)
		}
		if g := r.Grad[0]; g != nil {
			g[rival], g[y] = 1, -1
		}
		return l
	})
}

// MulticlassHinge returns the hinge loss of Crammer and Singer: by how much the best wrong class
// fails to stay 1 below the true one.
//
// With x a row of logits, y its label, k the best wrong class and w the class weights (1 by
// default),
//
//	l = w_y·max(0, 1 + max_{j≠y} x_j - x_y)        dl/dx_k = w_y, dl/dx_y = -w_y where l > 0
//
// logits have the shape (N, C), or any other with a class axis, labels (Int, Int64, Int32 or Uint8)
// that shape without the axis. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Among equal wrong classes the first has the gradient. A logit of -Inf takes its class out; the
// loss of such a true class is +Inf. The second derivative is 0.
//
// [MulticlassPerceptron] has no margin, [MultiMargin] sums over the classes, [CategoricalHinge] is
// Keras's variant.
//
// Reference: K. Crammer, Y. Singer, On the Algorithmic Implementation of Multiclass Kernel-based
// Vector Machines, 2001.
func MulticlassHinge(logits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&multiclassHinge, opts, logits, labels)
}

var multiclassHinge = core.Definition{
	Name: "MulticlassHinge", Operands: rows("logits", core.Logits, "labels", core.Labels), Takes: core.ClassOptions,
	Defaults: core.Settings{Ignore: []int{-100}},
	Laws:     core.ShiftInvariant | core.NonNegative | core.Convex,
	Optax:    "multiclass_hinge_loss",
	Kernel:   tiles(core.Logits, core.Labels, worstTile[float32](1), worstTile[float64](1)),
	Row:      func(s *core.Settings, _ core.Dims) core.RowFunc { return worst(s, 1) },
}

// MulticlassPerceptron returns by how much the best class's logit is above the true one's.
//
// With x a row of logits, y its label, k the best class and w the class weights (1 by default),
//
//	l = w_y·(max_j x_j - x_y)        dl/dx_k = w_y, dl/dx_y = -w_y where k ≠ y
//
// logits have the shape (N, C), or any other with a class axis, labels (Int, Int64, Int32 or Uint8)
// that shape without the axis. The result is a scalar, or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Where the true class is among the best the gradient is 0; among equal wrong classes the first has
// it. A logit of -Inf takes its class out; the loss of such a true class is +Inf. The second
// derivative is 0.
//
// [MulticlassHinge] has a margin of 1, [Perceptron] is for one class.
//
// Reference: M. Collins, Discriminative Training Methods for Hidden Markov Models, 2002, for the
// structured form.
func MulticlassPerceptron(logits, labels *G.Node, opts ...Option) (*G.Node, error) {
	return build(&multiclassPerceptron, opts, logits, labels)
}

var multiclassPerceptron = core.Definition{
	Name: "MulticlassPerceptron", Operands: rows("logits", core.Logits, "labels", core.Labels),
	Takes: core.ClassOptions, Defaults: core.Settings{Ignore: []int{-100}},
	Laws:   core.ShiftInvariant | core.NonNegative | core.Convex,
	Optax:  "multiclass_perceptron_loss",
	Kernel: tiles(core.Logits, core.Labels, worstTile[float32](0), worstTile[float64](0)),
	Row:    func(s *core.Settings, _ core.Dims) core.RowFunc { return worst(s, 0) },
}

// CategoricalHinge returns Keras's multi-class hinge loss, in which the true class takes part in
// the maximum with 0.
//
// With x a row of logits, t the target (one-hot for a label y), k the class of the maximum and m =
// Σ_c w_c·t_c with the class weights w (without [WithClassWeights] m = 1 and the term w_j·l/m is
// not there),
//
//	l = m·max(0, 1 + max_c (1-t_c)·x_c - Σ_c t_c·x_c)        dl/dx_j = m·([j = k]·(1-t_j) - t_j) where l > 0
//	                                                         dl/dt_j = -m·([j = k] + 1)·x_j + w_j·l/m where l > 0
//
// which is 1 + max(0, max_{j≠y} x_j) - x_y for a label: unlike [MulticlassHinge] it wants x_y above
// 1 however low the others are.
//
// logits have the shape (N, C), or any other with a class axis. target is integer labels in that
// shape without the axis, or numbers >= 0 in the dtype and shape of logits. The result is a scalar,
// or has the labels' shape under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithIgnoreIndex] (labels only, default -100),
// [WithClassWeights], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// At a tie the first class is taken; the true class's 0 counts as such a class. 0·Inf is 0.
//
// Reference: Keras, CategoricalHinge.
func CategoricalHinge(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&categoricalHinge, opts, logits, target)
}

var categoricalHinge = core.Definition{
	Name: "CategoricalHinge", Operands: rows("logits", core.Logits, "target", core.LabelsOrSoft),
	Takes: core.ClassOptions, Defaults: core.Settings{Ignore: []int{-100}},
	Laws:   core.NonNegative | core.Convex,
	Keras:  "CategoricalHinge",
	Kernel: tiles(core.Logits, core.SoftTargets, categoricalHingeTile[float32], categoricalHingeTile[float64]),
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		return formula.ByClassWeight(s, func(r *core.Block) float64 {
			x := r.X[0]
			if formula.HasNaN(x) || vacant(x) {
				return formula.SetNaN(r)
			}
			t := targets(r)
			k, best, own := 0, math.Inf(-1), 0.0
			for j, v := range x {
				if other := formula.Times(1-t[j], v); other > best {
					k, best = j, other
				}
				own += formula.Times(t[j], v)
			}
			l := 1 + best - own
			if l != l { // +Inf against +Inf
				return formula.SetNaN(r)
			}
			on := float64(formula.Indicator(l > 0))
			at := func(j int) float64 { return on * float64(formula.Indicator(j == k)) }
			for j := range r.Grad[0] {
				r.Grad[0][j] = at(j)*(1-t[j]) - on*t[j]
			}
			for j := range r.Grad[1] {
				r.Grad[1][j] = formula.Times(-(at(j) + on), x[j])
			}
			for a, h := range [2][]float64{r.Hess[0], r.Hess[1]} {
				for j := range h {
					h[j] = 0
					if v := r.Dir[1-a]; v != nil {
						h[j] = -(at(j) + on) * v[j]
					}
				}
			}
			return max(0, l)
		})
	},
}

// targets is the target row of a class loss: the soft target, or the label's one-hot row.
func targets(r *core.Block) []float64 {
	if r.Class() < 0 {
		return r.X[1]
	}
	t := r.Buf(len(r.X[0]))
	formula.Fill(t, 0)
	t[r.Class()] = 1
	return t
}
