package loss

import (
	"math"

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

// odds are -log of a logit's probabilities of yes and no, log(1+e^-x) and log(1+e^x), and the two probabilities.
type odds struct{ won, lost, yes, no float64 }

// byOdds lifts a function of the odds of a logit, which at makes of prediction and target (nil for the prediction itself), to a
// row function; i is the element's index in the operand.
func byOdds(at func(x, y float64) float64, f func(o odds, x, y float64, i int) jet) rowFunc {
	return func(r *row) float64 {
		logits := r.x[0]
		if at != nil {
			logits = r.buf(len(r.x[0]))
			for i, x := range r.x[0] {
				logits[i] = at(x, r.x[1][i])
			}
		}
		b := r.logistic(logits, true)
		first := r.at
		return surface(func(x, y float64, i int) jet {
			k := i - first
			o := b.odds(k)
			return f(o, x, y, i)
		})(r)
	}
}

// times is a·b with 0·Inf = 0: a term that has no weight has no part in a sum.
func times(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a * b
}

// BinaryCrossEntropy returns the cross-entropy of independent yes/no targets against the sigmoid of logits, computed from
// the logits.
//
// With x a logit, y its target, w the positive weight of its class (1 by default) and σ the sigmoid,
//
//	l = w·y·log(1+e^-x) + (1-y)·log(1+e^x)      dl/dx = (1-y)·σ(x) - w·y·σ(-x)
//	                                            dl/dy = w·log(1+e^-x) - log(1+e^x), which is -x for w = 1
//
// With label smoothing ε, y(1-ε) + ε/2 stands for y.
//
// logits and target have the same shape (any rank); targets lie in [0, 1]. The result is a scalar, or has the shape
// of logits under [None].
//
// Options: [WithPosWeight] (w >= 0, one per class along the class axis or one for all), [WithLabelSmoothing] (ε in
// [0, 1], default 0), [WithAxis] (the class axis of WithPosWeight, default -1), [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Logits of ±Inf give the limits: 0 on the right side, +Inf on the wrong one. The mean
// divides by the number of elements, or the sum of their weights; positive weights have no part in it.
//
// [CrossEntropy] is for classes of which exactly one is true.
//
// Reference: standard.
func BinaryCrossEntropy(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return binaryCrossEntropy.build(logits, target, opts)
}

var binaryCrossEntropy = definition{
	name: "BinaryCrossEntropy", takes: reduceKnobs | knobAxis | knobPosWeight | knobLabelSmoothing,
	defaults: settings{axis: -1}, pred: Logits, target: UnitInterval, elementwise: true,
	fast:  fast{f32: binaryDirect[float32], f64: binaryDirect[float64]},
	laws:  NonNegative | Convex,
	torch: "binary_cross_entropy_with_logits", keras: "BinaryCrossentropy(from_logits=True)", optax: "sigmoid_binary_cross_entropy",
	rows: func(s *settings, classes, inner int) rowFunc {
		weight := func(int) float64 { return 1 }
		switch len(s.posWeight) {
		case 0:
		case 1:
			weight = func(int) float64 { return s.posWeight[0] }
		default:
			weight = func(i int) float64 { return s.posWeight[i/inner%classes] }
		}
		keep, extra := 1-s.smoothing, s.smoothing/2
		return byOdds(nil, func(o odds, x, y float64, i int) jet {
			j := binaryJet(o, x, y*keep+extra, weight(i))
			j.t *= keep
			j.pt *= keep
			return j
		})
	},
}

// binaryJet is the binary cross-entropy of logit x with its odds and target y with the positive weight w.
func binaryJet(o odds, x, y, w float64) jet {
	j := jet{
		l:  times(w*y, o.won) + times(1-y, o.lost),
		p:  (1-y)*o.yes - w*y*o.no,
		t:  times(w, o.won) - o.lost,
		pp: (w*y + 1 - y) * o.yes * o.no,
		pt: -(w*o.no + o.yes),
	}
	if w == 1 {
		j.p, j.t, j.pt = o.yes-y, -x, -1
		if y == 1 {
			j.p = -o.no
		}
	}
	return j
}

// BinaryCrossEntropyFromProb returns the cross-entropy of independent yes/no targets against given probabilities, exactly:
// nothing is clipped.
//
// With p a probability and y its target,
//
//	l = -(y·log p + (1-y)·log(1-p))        dl/dp = (1-y)/(1-p) - y/p
//	                                       dl/dy = log(1-p) - log p
//
// prob and target have the same shape (any rank); the entries of both lie in [0, 1]. The result is a scalar, or has the
// shape of prob under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// A probability of exactly 0 or 1 on the right side has loss and gradient 0; on the wrong side, or with a target in
// between, the loss is +Inf.
//
// [BinaryCrossEntropy] takes logits and is the better choice where they are at hand.
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func BinaryCrossEntropyFromProb(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return binaryCrossEntropyFromProb.build(prob, target, opts)
}

var binaryCrossEntropyFromProb = definition{
	name: "BinaryCrossEntropyFromProb", takes: reduceKnobs, defaults: settings{axis: -1},
	pred: UnitInterval, target: UnitInterval, elementwise: true,
	laws:  NonNegative | Convex,
	torch: "binary_cross_entropy", keras: "BinaryCrossentropy",
	rows: func(*settings, int, int) rowFunc {
		return front{
			value: func(r *row, dst []float64) {
				p, y := r.x[0][:len(dst)], r.x[1][:len(dst)]
				won, lost := r.buf(len(dst)), r.buf(len(dst))
				vec.Log(won, p)
				negate(lost, p)
				vec.Log1p(lost, lost)
				for i := range dst {
					dst[i] = -(y[i]*won[i] + (1-y[i])*lost[i])
					if !(p[i] > 0 && p[i] < 1) {
						dst[i] = byProbJet(p[i], y[i], 0).l
					}
				}
			},
			slope: func(r *row, dst []float64) {
				y := r.x[1][:len(dst)]
				for i, p := range r.x[0] {
					dst[i] = (p - y[i]) / (p * (1 - p))
					if !(p > 0 && p < 1) {
						dst[i] = byProbJet(p, y[i], 0).p
					}
				}
			},
		}.before(surface(byProbJet))
	},
}

// byProbJet is the binary cross-entropy of probability p and target y.
func byProbJet(p, y float64, _ int) jet {
	if p != p {
		return jet{p, p, p, p, p, p}
	}
	won, lost := -ln(p), -math.Log1p(-p)
	return jet{
		l:  times(y, won) + times(1-y, lost),
		p:  times(1-y, 1/(1-p)) - times(y, 1/p),
		t:  won - lost,
		pp: times(1-y, 1/(1-p)/(1-p)) + times(y, 1/p/p),
		pt: -1/p - 1/(1-p),
	}
}
