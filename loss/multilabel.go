package loss

import (
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
)

// MultiLabelSoftMargin returns the mean over the classes of binary cross-entropy on logits: for examples to which any
// number of classes apply.
//
// With x a row of C logits, y its targets, w the class weights (1 by default) and σ the sigmoid,
//
//	l = 1/C·Σ_c w_c·(y_c·log(1+e^-x_c) + (1-y_c)·log(1+e^x_c))        dl/dx_j = w_j/C·(σ(x_j) - y_j)
//	                                                                  dl/dy_j = -w_j/C·x_j
//
// logits and target have the same shape (N, C), or any other with a class axis; targets lie in [0, 1]. The result is a
// scalar, or has that shape without the axis under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithClassWeights], [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// Logits of ±Inf give the limits: 0 on the right side, +Inf on the wrong one. The mean with class weights
// divides by their mean for each row, Σ_c w_c/C, so that weights of 2 change nothing.
//
// [BinaryCrossEntropy] has one value per class.
//
// Reference: PyTorch, MultiLabelSoftMarginLoss.
func MultiLabelSoftMargin(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return multiLabelSoftMargin.build(logits, target, opts)
}

var multiLabelSoftMargin = definition{
	name: "MultiLabelSoftMargin", takes: rowKnobs | knobClassWeights, defaults: settings{axis: -1},
	pred: Logits, target: UnitInterval, multilabel: true,
	laws:  NonNegative | Convex,
	torch: "multilabel_soft_margin_loss",
	rows: func(s *settings, classes, _ int) rowFunc {
		weight := func(int) float64 { return 1 }
		if s.classWeights != nil {
			weight = func(c int) float64 { return s.classWeights[c] }
		}
		n := float64(classes)
		elements := byOdds(nil, func(o odds, x, y float64, c int) jet {
			j, w := binaryJet(o, x, y, 1), weight(c)
			return jet{times(w, j.l) / n, w * j.p / n, times(w, j.t) / n, w * j.pp / n, w * j.pt / n, 0}
		})
		return func(r *row) float64 {
			// The elements of the row are numbered by class.
			at, out := r.at, r.out
			r.at, r.out = 0, r.buf(classes)
			elements(r)
			sum := 0.0
			for _, l := range r.out {
				sum += l
			}
			r.at, r.out = at, out
			return sum
		}
	},
}

// MultiLabelMargin returns the margin loss of examples to which a list of classes applies: every other class whose logit
// comes within 1 of a listed one's costs.
//
// With x a row of C logits and Y its list of classes,
//
//	l = 1/C·Σ_{y∈Y} Σ_{j∉Y} max(0, 1 - (x_y - x_j))
//	dl/dx_y = -1/C·#{j∉Y: x_y - x_j < 1}        dl/dx_j = 1/C·#{y∈Y: x_y - x_j < 1}
//
// logits have the shape (N, C), or any other with a class axis. lists (Int, Int64, Int32 or Uint8) have the same shape: along
// the class axis the classes of an example, each once, in any order, then -1; what stands after the -1 is not read.
// The result is a scalar, or has that shape without the axis under [None].
//
// Options: [WithAxis] (the class axis, default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// An empty list and one of all classes have loss 0. A logit of -Inf takes its class out; the loss of such a listed class is +Inf.
// At a difference of 1 the derivative is 0. The second derivative is 0. Uint8 lists cannot end before the last class.
//
// [MultiMargin] is for one class per example.
//
// Reference: PyTorch, MultiLabelMarginLoss.
func MultiLabelMargin(logits, lists *G.Node, opts ...Option) (*G.Node, error) {
	return multiLabelMargin.build(logits, lists, opts)
}

var multiLabelMargin = definition{
	name: "MultiLabelMargin", takes: rowKnobs, defaults: settings{axis: -1}, pred: Logits, target: ClassLists,
	laws:  ShiftInvariant | NonNegative | Convex,
	torch: "multilabel_margin_loss",
	rows: func(_ *settings, classes, _ int) rowFunc {
		n := float64(classes)
		return func(r *row) float64 {
			x, g := r.x[0], r.grad[0]
			if hasNaN(x) || vacant(x) {
				return r.poison()
			}
			fill(g, 0)
			fill(r.hess[0], 0)
			sum := 0.0
			for j, v := range x {
				if math.IsInf(v, -1) || slices.Contains(r.list, j) {
					continue
				}
				for _, y := range r.list {
					m := x[y] - v
					l, d := pick(m >= 1, 0, 1-m), -float64(count(m < 1))
					if l != l { // +Inf against +Inf
						return r.poison()
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
