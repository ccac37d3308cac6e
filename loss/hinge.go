package loss

import (
	G "gorgonia.org/gorgonia"
)

// byMargin lifts a curve of the margin m = y·x of a logit x and its sign y to a row function.
func byMargin(curve func(m float64) (l, d, dd float64)) rowFunc {
	others := surface(func(x, y float64, _ int) jet {
		l, d, dd := curve(y * x)
		return marginJet(x, y, l, d, dd)
	})
	return func(r *row) float64 {
		// What a training step asks for, without the rest of the jet.
		x, y, out, g := r.x[0], r.x[1], r.out, r.grad[0]
		for i := range out {
			out[i], _, _ = curve(y[i] * x[i])
		}
		for i := range g {
			_, d, _ := curve(y[i] * x[i])
			g[i] = y[i] * d
		}
		r.out, r.grad[0] = nil, nil
		others(r)
		r.out, r.grad[0] = out, g
		return 0
	}
}

// marginJet is the jet in x and y of a function of y·x with the value l and the derivatives d and dd.
func marginJet(x, y, l, d, dd float64) jet {
	return jet{l: l, p: y * d, t: times(d, x), pp: y * y * dd, pt: d + times(dd, y*x), tt: times(dd, x*x)}
}

// signed is the definition of a loss of the margin.
func signed(name string, curve func(m float64) (l, d, dd float64)) definition {
	return definition{
		name: name, takes: reduceKnobs, defaults: settings{axis: -1}, pred: Logits, target: Signs, elementwise: true,
		laws: NonNegative | Convex,
		rows: func(*settings, int, int) rowFunc { return byMargin(curve) },
	}
}

// Hinge returns the hinge loss of logits against signs: by how much a margin of 1 is missed.
//
// With x a logit, y its sign and m = y·x,
//
//	l(m) = max(0, 1 - m)        dl/dx = -y where m < 1, else 0
//	                            dl/dy = -x where m < 1, else 0
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar, or has the shape of
// logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// At m = 1 the derivative is 0. The second derivative is 0, but for the mixed one, -1 where m < 1.
//
// [SquaredHinge] and [ModifiedHuber] are smooth at m = 1, [Perceptron] has no margin, [MulticlassHinge] more classes.
//
// Reference: C. Cortes, V. Vapnik, Support-Vector Networks, 1995.
func Hinge(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return hinge.build(logits, target, opts)
}

var hinge = signed("Hinge", func(m float64) (l, d, dd float64) { return below(1, m) }).
	likened("", "Hinge", "hinge_loss")

// likened names the nearest functions of other toolkits.
func (d definition) likened(torch, keras, optax string) definition {
	d.torch, d.keras, d.optax = torch, keras, optax
	return d
}

// below is max(0, bound - m) with its derivatives, 0 at m = bound.
func below(bound, m float64) (l, d, dd float64) {
	if m != m {
		return m, m, m
	}
	// No branch on the data: half of them would be predicted wrong.
	return max(0, bound-m), -float64(count(m < bound)), 0
}

// SquaredHinge returns the squared hinge loss of logits against signs.
//
// With x a logit, y its sign and m = y·x,
//
//	l(m) = max(0, 1 - m)²        dl/dx = -2y·max(0, 1 - m)
//	                             dl/dy = -2x·max(0, 1 - m)
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar, or has the shape of
// logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The second derivative at m = 1 is that of the side above, 0.
//
// [Hinge] grows linearly, [ModifiedHuber] is this down to m = -1 and linear beyond.
//
// Reference: C. Cortes, V. Vapnik, Support-Vector Networks, 1995.
func SquaredHinge(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return squaredHinge.build(logits, target, opts)
}

var squaredHinge = signed("SquaredHinge", func(m float64) (l, d, dd float64) {
	e, d, _ := below(1, m)
	return e * e, 2 * e * d, 2 * d * d
}).likened("", "SquaredHinge", "")

// Perceptron returns the perceptron's loss of logits against signs: by how much a logit is on the wrong side of 0.
//
// With x a logit, y its sign and m = y·x,
//
//	l(m) = max(0, -m)        dl/dx = -y where m < 0, else 0
//	                         dl/dy = -x where m < 0, else 0
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar, or has the shape of
// logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// At m = 0 the derivative is 0: a model that starts with all logits 0 does not move. The second derivative is 0, but for the
// mixed one, -1 where m < 0.
//
// [Hinge] asks for a margin of 1.
//
// Reference: F. Rosenblatt, The Perceptron, 1958.
func Perceptron(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return perceptron.build(logits, target, opts)
}

var perceptron = signed("Perceptron", func(m float64) (l, d, dd float64) { return below(0, m) }).
	likened("", "", "perceptron_loss")

// SoftMargin returns the logistic loss of logits against signs: binary cross-entropy for targets -1 and +1.
//
// With x a logit, y its sign, m = y·x and σ the sigmoid,
//
//	l(m) = log(1 + e^-m)        dl/dx = -y·σ(-m)
//	                            dl/dy = -x·σ(-m)
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar, or has the shape of
// logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Nothing overflows: m far below 0 gives -m, m far above 0 gives e^-m to full relative accuracy.
//
// [BinaryCrossEntropy] is the same for targets 0 and 1.
//
// Reference: standard.
func SoftMargin(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return softMargin.build(logits, target, opts)
}

var softMargin = definition{
	name: "SoftMargin", takes: reduceKnobs, defaults: settings{axis: -1}, pred: Logits, target: Signs, elementwise: true,
	laws:  NonNegative | Convex,
	torch: "soft_margin_loss",
	rows: func(*settings, int, int) rowFunc {
		margin := func(x, y float64) float64 { return y * x }
		return byOdds(margin, func(o odds, x, y float64, _ int) jet {
			return marginJet(x, y, o.won, -o.no, o.yes*o.no)
		})
	},
}

// ModifiedHuber returns the smoothed hinge loss of logits against signs: the squared hinge with a linear tail.
//
// With x a logit, y its sign and m = y·x,
//
//	l(m) = max(0, 1 - m)²    m >= -1        dl/dx = -2y·max(0, 1 - m)
//	l(m) = -4m               m <  -1        dl/dx = -4y
//	                                        dl/dy the same with x in the place of y
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar, or has the shape of
// logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Value and derivative are continuous. The second derivative is 2 on -1 <= m < 1.
//
// [SquaredHinge] lets an outlier count as its square.
//
// Reference: T. Zhang, Solving Large Scale Linear Prediction Problems Using Stochastic Gradient Descent Algorithms, 2004.
func ModifiedHuber(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return modifiedHuber.build(logits, target, opts)
}

var modifiedHuber = signed("ModifiedHuber", func(m float64) (l, d, dd float64) {
	if m < -1 {
		return -4 * m, -4, 0
	}
	e, d, _ := below(1, m)
	return e * e, 2 * e * d, 2 * d * d
})

// HingeEmbedding returns PyTorch's hinge embedding loss of distances against signs: similar pairs shall be close, others far.
//
// With x a distance, y its sign and m the margin,
//
//	l = x                y = +1        dl/dx = 1
//	l = max(0, m - x)    y = -1        dl/dx = -1 where x < m, else 0
//
// pred and target have the same shape (any rank); targets are -1 or +1. The result is a scalar, or has the shape of
// pred under [None].
//
// Options: [WithMargin] (m, any finite number, default 1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Distances may be any numbers: a negative one of a similar pair has a negative loss. The signs choose a case and have
// gradient 0, as have second derivatives. At x = m the derivative is 0.
//
// Reference: PyTorch, HingeEmbeddingLoss.
func HingeEmbedding(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return hingeEmbedding.build(pred, target, opts)
}

var hingeEmbedding = definition{
	name: "HingeEmbedding", takes: reduceKnobs | knobMargin, defaults: settings{axis: -1, margin: 1},
	target: Signs, elementwise: true,
	laws:  Convex,
	torch: "hinge_embedding_loss",
	rows: func(s *settings, _, _ int) rowFunc {
		return surface(func(x, y float64, _ int) jet {
			switch {
			case x != x:
				return jet{l: x, p: x, pp: x}
			case y > 0:
				return jet{l: x, p: 1}
			}
			l, d, _ := below(s.margin, x)
			return jet{l: l, p: d}
		})
	},
}
