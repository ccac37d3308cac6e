package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

var binaryLosses = []entry{
	{&binaryCrossEntropy, BinaryCrossEntropy},
	{&binaryCrossEntropyFromProb, BinaryCrossEntropyFromProb},
	{&sigmoidFocal, SigmoidFocal},
	{&multiLabelSoftMargin, MultiLabelSoftMargin},
	{&multiLabelMargin, MultiLabelMargin},
	{&hinge, Hinge},
	{&squaredHinge, SquaredHinge},
	{&perceptron, Perceptron},
	{&softMargin, SoftMargin},
	{&modifiedHuber, ModifiedHuber},
	{&hingeEmbedding, HingeEmbedding},
}

// BinaryCrossEntropy returns the cross-entropy of independent yes/no targets against the sigmoid of
// logits, computed from the logits.
//
// With x a logit, y its target, w the positive weight of its class (1 by default) and σ the
// sigmoid,
//
//	l = w·y·log(1+e^-x) + (1-y)·log(1+e^x)      dl/dx = (1-y)·σ(x) - w·y·σ(-x)
//	                                            dl/dy = w·log(1+e^-x) - log(1+e^x), which is -x for w = 1
//
// With label smoothing ε, y(1-ε) + ε/2 stands for y.
//
// logits and target have the same shape (any rank); targets lie in [0, 1]. The result is a scalar,
// or has the shape of logits under [None].
//
// Options: [WithPosWeight] (w >= 0, one per class along the class axis or one for all),
// [WithLabelSmoothing] (ε in [0, 1], default 0), [WithAxis] (the class axis of WithPosWeight,
// default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Logits of ±Inf give the limits: 0 on the right side, +Inf on the wrong one. The mean divides by
// the number of elements, or the sum of their weights; positive weights have no part in it.
//
// [CrossEntropy] is for classes of which exactly one is true.
//
// Reference: standard.
func BinaryCrossEntropy(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&binaryCrossEntropy, opts, logits, target)
}

var binaryCrossEntropy = core.Definition{
	Name: "BinaryCrossEntropy", Operands: elements("logits", core.Logits, "target", core.UnitInterval),
	Takes: core.Options(core.ReduceOptions, core.OptAxis, core.OptPosWeight, core.OptLabelSmoothing),
	Kernel: points(false, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.BinaryCrossEntropy, A: s.Smoothing}
	}),
	Laws:  core.NonNegative | core.Convex,
	Torch: "binary_cross_entropy_with_logits", Keras: "BinaryCrossentropy(from_logits=True)",
	Optax: "sigmoid_binary_cross_entropy",
	Block: func(s *core.Settings, d core.Dims) core.BlockFunc {
		weight := func(int) float64 { return 1 }
		switch len(s.PosWeight) {
		case 0:
		case 1:
			weight = func(int) float64 { return s.PosWeight[0] }
		default:
			weight = func(i int) float64 { return s.PosWeight[d.Class(i)] }
		}
		keep, extra := 1-s.Smoothing, s.Smoothing/2
		return func(b *core.Block) {
			formula.ByOdds(func(o formula.Odds, x, y float64, i int) formula.Partials {
				j := binaryJet(o, x, y*keep+extra, weight(b.Index(i)))
				j.T *= keep
				j.PT *= keep
				return j
			})(b)
		}
	},
}

// binaryJet is the binary cross-entropy of logit x with its odds and target y with the positive
// weight w.
func binaryJet(o formula.Odds, x, y, w float64) formula.Partials {
	j := formula.Partials{
		L:  formula.Times(w*y, o.Won) + formula.Times(1-y, o.Lost),
		P:  (1-y)*o.Yes - w*y*o.No,
		T:  formula.Times(w, o.Won) - o.Lost,
		PP: (w*y + 1 - y) * o.Yes * o.No,
		PT: -(w*o.No + o.Yes),
	}
	if w == 1 {
		j.P, j.T, j.PT = o.Yes-y, -x, -1
		if y == 1 {
			j.P = -o.No
		}
	}
	return j
}

// BinaryCrossEntropyFromProb returns the cross-entropy of independent yes/no targets against given
// probabilities, exactly: nothing is clipped.
//
// With p a probability and y its target,
//
//	l = -(y·log p + (1-y)·log(1-p))        dl/dp = (1-y)/(1-p) - y/p
//	                                       dl/dy = log(1-p) - log p
//
// prob and target have the same shape (any rank); the entries of both lie in [0, 1]. The result is
// a scalar, or has the shape of prob under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A probability of exactly 0 or 1 on the right side has loss and gradient 0; on the wrong side, or
// with a target in between, the loss is +Inf.
//
// [BinaryCrossEntropy] takes logits and is the better choice where they are at hand.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func BinaryCrossEntropyFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&binaryCrossEntropyFromProb, opts, prob, target)
}

var binaryCrossEntropyFromProb = core.Definition{
	Name: "BinaryCrossEntropyFromProb", Operands: elements("prob", core.UnitInterval, "target", core.UnitInterval),
	Takes:  core.ReduceOptions,
	Kernel: points(false, plain(tensorops.BinaryCrossEntropyFromProb)),
	Laws:   core.NonNegative | core.Convex,
	Torch:  "binary_cross_entropy", Keras: "BinaryCrossentropy",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return formula.FirstOrder{
			Value: func(r *core.Block, dst []float64) {
				p, y := r.X[0][:len(dst)], r.X[1][:len(dst)]
				won, lost := r.Buf(len(dst)), r.Buf(len(dst))
				vec.Log(won, p)
				formula.Negate(lost, p)
				vec.Log1p(lost, lost)
				for i := range dst {
					dst[i] = -(y[i]*won[i] + (1-y[i])*lost[i])
					if !(p[i] > 0 && p[i] < 1) {
						dst[i] = byProbJet(p[i], y[i], 0).L
					}
				}
			},
			Deriv: func(r *core.Block, dst []float64) {
				y := r.X[1][:len(dst)]
				for i, p := range r.X[0] {
					dst[i] = (p - y[i]) / (p * (1 - p))
					if !(p > 0 && p < 1) {
						dst[i] = byProbJet(p, y[i], 0).P
					}
				}
			},
		}.Completed(formula.Bivariate(byProbJet))
	},
}

// byProbJet is the binary cross-entropy of probability p and target y.
func byProbJet(p, y float64, _ int) formula.Partials {
	if p != p {
		return formula.Partials{L: p, P: p, T: p, PP: p, PT: p, TT: p}
	}
	won, lost := -formula.Log(p), -math.Log1p(-p)
	return formula.Partials{
		L:  formula.Times(y, won) + formula.Times(1-y, lost),
		P:  formula.Times(1-y, 1/(1-p)) - formula.Times(y, 1/p),
		T:  won - lost,
		PP: formula.Times(1-y, 1/(1-p)/(1-p)) + formula.Times(y, 1/p/p),
		PT: -1/p - 1/(1-p),
	}
}
