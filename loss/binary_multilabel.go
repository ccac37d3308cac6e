package loss

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
)

// MultiLabelSoftMargin returns the mean over the classes of binary cross-entropy on logits: for
// examples to which any number of classes apply.
//
// With x a row of C logits, y its targets, w the class weights (1 by default) and σ the sigmoid,
//
//	l = 1/C·Σ_c w_c·(y_c·log(1+e^-x_c) + (1-y_c)·log(1+e^x_c))        dl/dx_j = w_j/C·(σ(x_j) - y_j)
//	                                                                  dl/dy_j = -w_j/C·x_j
//
// logits and target have the same shape (N, C), or any other with a class axis; targets lie in [0,
// 1]. The result is a scalar, or has that shape without the axis under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithClassWeights], [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Logits of ±Inf give the limits: 0 on the right side, +Inf on the wrong one. The mean with class
// weights divides by their mean for each row, Σ_c w_c/C, so that weights of 2 change nothing.
//
// [BinaryCrossEntropy] has one value per class.
//
// Reference: PyTorch, MultiLabelSoftMarginLoss.
func MultiLabelSoftMargin(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&multiLabelSoftMargin, opts, logits, target)
}

var multiLabelSoftMargin = core.Definition{
	Name: "MultiLabelSoftMargin", Operands: rows("logits", core.Logits, "target", core.UnitInterval), Takes: core.Options(core.RowOptions, core.OptClassWeights),
	MultiLabel: true,
	Kernel: func(s *core.Settings, d core.Dims) core.Kernels {
		p := tensorops.Point{Loss: tensorops.BinaryCrossEntropy}
		return pointSum{point: p, weights: s.ClassWeights, common: 1 / float64(d.Classes)}.kernels(d)
	},
	Laws:  core.NonNegative | core.Convex,
	Torch: "multilabel_soft_margin_loss",
	Row: func(s *core.Settings, d core.Dims) core.RowFunc {
		n := float64(d.Classes)
		weight := func(int) float64 { return 1 / n }
		if s.ClassWeights != nil {
			weight = func(c int) float64 { return s.ClassWeights[c] / n }
		}
		elements := formula.ByOdds(func(o formula.Odds, x, y float64, c int) formula.Partials {
			j, w := binaryJet(o, x, y, 1), weight(c)
			return formula.Partials{L: formula.Times(w, j.L), P: w * j.P, T: formula.Times(w, j.T), PP: w * j.PP, PT: w * j.PT}
		})
		return func(r *core.Block) float64 {
			r.Out = r.Buf(len(r.X[0]))
			elements(r)
			l := formula.Sum(r.Out)
			r.Out = nil
			return l
		}
	},
	Fast: multiLabelSoftMarginFast,
}

// multiLabelSoftMarginFast takes the elements from the kernel of the binary cross-entropy.
func multiLabelSoftMarginFast(s *core.Settings, d core.Dims) core.FastFunc {
	n := float64(d.Classes)
	return func(b *core.Block, wrt int, value, grad []float64) {
		if wrt != 0 && grad != nil {
			formula.Fill(value, math.NaN())
			return
		}
		each, step := b.Buf(len(b.X[0])), len(b.X[0])
		if s.ClassWeights != nil {
			step = b.Cols
		}
		for lo := 0; lo < len(each); lo += step {
			hi := lo + step
			data := tensorops.PointData[float64]{X: b.X[0][lo:hi], T: b.X[1][lo:hi], W: s.ClassWeights, Values: each[lo:hi]}
			if grad != nil {
				data.Dst = grad[lo:hi]
			}
			tensorops.PointSum(tensorops.Point{Loss: tensorops.BinaryCrossEntropy}, &data, 1/n)
		}
		for i := range value {
			l := formula.Sum(each[i*b.Cols:(i+1)*b.Cols]) / n
			value[i] = l + 0*l
		}
		formula.LeaveNaN(b, value, b.X[0]) // one under a class weight of 0
	}
}

// MultiLabelMargin returns the margin loss of examples to which a list of classes applies: every
// other class whose logit comes within 1 of a listed one's costs.
//
// With x a row of C logits and Y its list of classes,
//
//	l = 1/C·Σ_{y∈Y} Σ_{j∉Y} max(0, 1 - (x_y - x_j))
//	dl/dx_y = -1/C·#{j∉Y: x_y - x_j < 1}        dl/dx_j = 1/C·#{y∈Y: x_y - x_j < 1}
//
// logits have the shape (N, C), or any other with a class axis. lists (Int, Int64, Int32 or Uint8)
// have the same shape: along the class axis the classes of an example, each once, in any order,
// then -1; what stands after the -1 is not read. The result is a scalar, or has that shape without
// the axis under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// An empty list and one of all classes have loss 0. A logit of -Inf takes its class out; the loss
// of such a listed class is +Inf. At a difference of 1 the derivative is 0. The second derivative
// is 0. Uint8 lists cannot end before the last class.
//
// [MultiMargin] is for one class per example.
//
// Reference: PyTorch, MultiLabelMarginLoss.
func MultiLabelMargin(logits, lists *G.Node, opts ...Option) (*G.Node, error) {
	return build(&multiLabelMargin, opts, logits, lists)
}

var multiLabelMargin = core.Definition{
	Name: "MultiLabelMargin", Operands: rows("logits", core.Logits, "lists", core.ClassLists), Takes: core.RowOptions,
	Laws:  core.ShiftInvariant | core.NonNegative | core.Convex,
	Torch: "multilabel_margin_loss",
	Row: func(_ *core.Settings, d core.Dims) core.RowFunc {
		n := float64(d.Classes)
		return func(r *core.Block) float64 {
			x, g := r.X[0], r.Grad[0]
			if formula.HasNaN(x) || vacant(x) {
				return formula.SetNaN(r)
			}
			formula.Fill(g, 0)
			formula.Fill(r.Hess[0], 0)
			sum := 0.0
			for j, v := range x {
				if math.IsInf(v, -1) || slices.Contains(r.List[0], j) {
					continue
				}
				for _, y := range r.List[0] {
					m := x[y] - v
					l, d := formula.Pick(m >= 1, 0, 1-m), -float64(formula.Indicator(m < 1))
					if l != l { // +Inf against +Inf
						return formula.SetNaN(r)
					}
					sum += l
					if g != nil {
						g[y] += d / n
						g[j] -= d / n
					}
				}
			}
			return sum / n
		}
	},
}
