package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// signed is the definition of a loss of the margin.
func signed(name string, curve profile) definition {
	return definition{
		name: name, takes: reduceKnobs, defaults: settings{axis: -1}, pred: Logits, target: Signs, elementwise: true,
		laws: NonNegative | Convex,
		rows: func(*settings, int, int) rowFunc { return curve.margin },
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

var hinge = signed("Hinge", shortfall(1)).
	likened("", "Hinge", "hinge_loss")

// by gives the definition its kernels.
func (d definition) by(f fast) definition {
	d.fast = f
	return d
}

// likened names the nearest functions of other toolkits.
func (d definition) likened(torch, keras, optax string) definition {
	d.torch, d.keras, d.optax = torch, keras, optax
	return d
}

// shortfall is max(0, bound - m), with the derivative 0 at m = bound. Inlined into the package's initialisation its loops would
// call pick instead of inlining it.
//
//go:noinline
func shortfall(bound float64) profile {
	return profile{
		value: func(dst, m []float64) {
			for i, v := range m {
				dst[i] = pick(v >= bound, 0, bound-v)
			}
		},
		slope: func(dst, m []float64) {
			for i, v := range m {
				dst[i] = pick(v < bound, -1, pick(v >= bound, 0, v))
			}
		},
		bend: constant(0),
	}
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

var squaredHinge = signed("SquaredHinge", profile{
	value: func(dst, m []float64) {
		for i, v := range m {
			short := pick(v >= 1, 0, 1-v)
			dst[i] = short * short
		}
	},
	slope: func(dst, m []float64) {
		for i, v := range m {
			dst[i] = pick(v >= 1, 0, 2*(v-1))
		}
	},
	bend: each(func(m float64) float64 { return pick(m >= 1, 0, pick(m < 1, 2, m)) }),
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

var perceptron = signed("Perceptron", shortfall(0)).
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
// Nothing overflows: m far below 0 gives -m, m far above 0 gives e^-m with its relative accuracy.
//
// [BinaryCrossEntropy] is the same for targets 0 and 1.
//
// Reference: standard.
func SoftMargin(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return softMargin.build(logits, target, opts)
}

var softMargin = signed("SoftMargin", profile{
	value: func(dst, m []float64) {
		negate(dst, m)
		vec.Exp(dst, dst)
		vec.Log1p(dst, dst)
		if vec.Within(m, -ordinaryLogit, math.MaxFloat64) {
			return
		}
		for i, l := range dst {
			if l > math.MaxFloat64 {
				dst[i] = -m[i]
			}
		}
	},
	slope: func(dst, m []float64) {
		vec.Exp(dst, m)
		for i, e := range dst {
			dst[i] = -1 / (1 + e)
			if e > math.MaxFloat64 {
				dst[i] = -math.Exp(-m[i])
			}
		}
	},
	bend: each(func(m float64) float64 {
		e := math.Exp(-math.Abs(m))
		return e / ((1 + e) * (1 + e))
	}),
}).likened("soft_margin_loss", "", "").by(fast{f32: softMarginDirect[float32], f64: softMarginDirect[float64]})

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

var modifiedHuber = signed("ModifiedHuber", profile{
	value: func(dst, m []float64) {
		for i, v := range m {
			short := pick(v >= 1, 0, 1-v)
			c := pick(short > 2, 2, short)
			dst[i] = c * (2*short - c)
		}
	},
	slope: func(dst, m []float64) {
		for i, v := range m {
			dst[i] = pick(v >= 1, 0, pick(v < -1, -4, 2*(v-1)))
		}
	},
	bend: each(func(m float64) float64 {
		switch {
		case m < -1 || m >= 1:
			return 0
		case m < 1:
			return 2
		}
		return m
	}),
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
		margin := s.margin
		return front{
			value: func(r *row, dst []float64) {
				y := r.x[1][:len(dst)]
				for i, x := range r.x[0] {
					short := pick(x >= margin, 0, margin-x)
					dst[i] = pick(y[i] > 0, x, short)
				}
			},
			slope: func(r *row, dst []float64) {
				y := r.x[1][:len(dst)]
				for i, x := range r.x[0] {
					pull := pick(x < margin, -1, pick(x >= margin, 0, x))
					dst[i] = pick(y[i] > 0, pick(x == x, 1, x), pull)
				}
			},
		}.before(surface(func(x, _ float64, _ int) jet { return jet{pp: pick(x == x, 0, x)} }))
	},
}
