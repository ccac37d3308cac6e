package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// ofMargin makes the mathematics of a loss of the margin.
func ofMargin(curve formula.Curve) func(*core.Settings, core.Dims) core.BlockFunc {
	return func(*core.Settings, core.Dims) core.BlockFunc { return curve.Margin }
}

// Hinge returns the hinge loss of logits against signs: by how much a margin of 1 is missed.
//
// With x a logit, y its sign and m = y·x,
//
//	l(m) = max(0, 1 - m)        dl/dx = -y where m < 1, else 0
//	                            dl/dy = -x where m < 1, else 0
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar,
// or has the shape of logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// At m = 1 the derivative is 0. The second derivative is 0, but for the mixed one, -1 where m < 1.
//
// [SquaredHinge] and [ModifiedHuber] are smooth at m = 1, [Perceptron] has no margin,
// [MulticlassHinge] more classes.
//
// Reference: C. Cortes, V. Vapnik, Support-Vector Networks, 1995.
func Hinge(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&hinge, opts, logits, target)
}

var hinge = core.Definition{
	Name: "Hinge", Operands: elements("logits", core.Logits, "target", core.Signs), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.Hinge)),
	Laws:   core.NonNegative | core.Convex,
	Keras:  "Hinge", Optax: "hinge_loss",
	Block: ofMargin(shortfall(1)),
}

// shortfall is max(0, bound - m), with the derivative 0 at m = bound. Inlined into the package's
// initialisation its loops would call pick instead of inlining it.
//
//go:noinline
func shortfall(bound float64) formula.Curve {
	return formula.Curve{
		Value: func(dst, m []float64) {
			for i, v := range m {
				dst[i] = formula.Pick(v >= bound, 0, bound-v)
			}
		},
		Deriv: func(dst, m []float64) {
			for i, v := range m {
				dst[i] = formula.Pick(v < bound, -1, formula.Pick(v >= bound, 0, v))
			}
		},
		Second: formula.Constant(0),
	}
}

// SquaredHinge returns the squared hinge loss of logits against signs.
//
// With x a logit, y its sign and m = y·x,
//
//	l(m) = max(0, 1 - m)²        dl/dx = -2y·max(0, 1 - m)
//	                             dl/dy = -2x·max(0, 1 - m)
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar,
// or has the shape of logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The second derivative at m = 1 is that of the side above, 0.
//
// [Hinge] grows linearly, [ModifiedHuber] is this down to m = -1 and linear beyond.
//
// Reference: C. Cortes, V. Vapnik, Support-Vector Networks, 1995.
func SquaredHinge(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&squaredHinge, opts, logits, target)
}

var squaredHinge = core.Definition{
	Name: "SquaredHinge", Operands: elements("logits", core.Logits, "target", core.Signs), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.SquaredHinge)),
	Laws:   core.NonNegative | core.Convex,
	Keras:  "SquaredHinge",
	Block: ofMargin(formula.Curve{
		Value: func(dst, m []float64) {
			for i, v := range m {
				short := formula.Pick(v >= 1, 0, 1-v)
				dst[i] = short * short
			}
		},
		Deriv: func(dst, m []float64) {
			for i, v := range m {
				dst[i] = formula.Pick(v >= 1, 0, 2*(v-1))
			}
		},
		Second: formula.Each(func(m float64) float64 { return formula.Pick(m >= 1, 0, formula.Pick(m < 1, 2, m)) }),
	}),
}

// Perceptron returns the perceptron's loss of logits against signs: by how much a logit is on the
// wrong side of 0.
//
// With x a logit, y its sign and m = y·x,
//
//	l(m) = max(0, -m)        dl/dx = -y where m < 0, else 0
//	                         dl/dy = -x where m < 0, else 0
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar,
// or has the shape of logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// At m = 0 the derivative is 0: a model that starts with all logits 0 does not move. The second
// derivative is 0, but for the mixed one, -1 where m < 0.
//
// [Hinge] has a margin of 1.
//
// Reference: F. Rosenblatt, The Perceptron, 1958.
func Perceptron(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&perceptron, opts, logits, target)
}

var perceptron = core.Definition{
	Name: "Perceptron", Operands: elements("logits", core.Logits, "target", core.Signs), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.Perceptron)),
	Laws:   core.NonNegative | core.Convex,
	Optax:  "perceptron_loss",
	Block:  ofMargin(shortfall(0)),
}

// SoftMargin returns the logistic loss of logits against signs: binary cross-entropy for targets -1
// and +1.
//
// With x a logit, y its sign, m = y·x and σ the sigmoid,
//
//	l(m) = log(1 + e^-m)        dl/dx = -y·σ(-m)
//	                            dl/dy = -x·σ(-m)
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar,
// or has the shape of logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Nothing overflows: m far below 0 gives -m, m far above 0 gives e^-m with its relative accuracy.
//
// [BinaryCrossEntropy] is the same for targets 0 and 1.
//
// Reference: standard.
func SoftMargin(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&softMargin, opts, logits, target)
}

var softMargin = core.Definition{
	Name: "SoftMargin", Operands: elements("logits", core.Logits, "target", core.Signs), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.SoftMargin)),
	Laws:   core.NonNegative | core.Convex,
	Torch:  "soft_margin_loss",
	Block: ofMargin(formula.Curve{
		Value: func(dst, m []float64) {
			formula.Negate(dst, m)
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
		Deriv: func(dst, m []float64) {
			vec.Exp(dst, m)
			for i, e := range dst {
				dst[i] = -1 / (1 + e)
				if e > math.MaxFloat64 {
					dst[i] = -math.Exp(-m[i])
				}
			}
		},
		Second: formula.Each(func(m float64) float64 {
			e := math.Exp(-math.Abs(m))
			return e / ((1 + e) * (1 + e))
		}),
	}),
}

// ModifiedHuber returns the smoothed hinge loss of logits against signs: the squared hinge with a
// linear tail.
//
// With x a logit, y its sign and m = y·x,
//
//	l(m) = max(0, 1 - m)²    m >= -1        dl/dx = -2y·max(0, 1 - m)
//	l(m) = -4m               m <  -1        dl/dx = -4y
//	                                        dl/dy the same with x in the place of y
//
// logits and target have the same shape (any rank); targets are -1 or +1. The result is a scalar,
// or has the shape of logits under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Value and derivative are continuous. The second derivative is 2 on -1 <= m < 1.
//
// [SquaredHinge] lets an outlier count as its square.
//
// Reference: T. Zhang, Solving Large Scale Linear Prediction Problems Using Stochastic Gradient
// Descent Algorithms, 2004.
func ModifiedHuber(logits, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&modifiedHuber, opts, logits, target)
}

var modifiedHuber = core.Definition{
	Name: "ModifiedHuber", Operands: elements("logits", core.Logits, "target", core.Signs), Takes: core.ReduceOptions,
	Kernel: points(false, plain(tensorops.ModifiedHuber)),
	Laws:   core.NonNegative | core.Convex,
	Block: ofMargin(formula.Curve{
		Value: func(dst, m []float64) {
			for i, v := range m {
				short := formula.Pick(v >= 1, 0, 1-v)
				c := formula.Pick(short > 2, 2, short)
				dst[i] = c * (2*short - c)
			}
		},
		Deriv: func(dst, m []float64) {
			for i, v := range m {
				dst[i] = formula.Pick(v >= 1, 0, formula.Pick(v < -1, -4, 2*(v-1)))
			}
		},
		Second: formula.Each(func(m float64) float64 {
			switch {
			case m < -1 || m >= 1:
				return 0
			case m < 1:
				return 2
			}
			return m
		}),
	}),
}

// HingeEmbedding returns PyTorch's hinge embedding loss of distances against signs: it pulls
// similar pairs together and pushes dissimilar pairs apart.
//
// With x a distance, y its sign and m the margin,
//
//	l = x                y = +1        dl/dx = 1
//	l = max(0, m - x)    y = -1        dl/dx = -1 where x < m, else 0
//
// pred and target have the same shape (any rank); targets are -1 or +1. The result is a scalar, or
// has the shape of pred under [None].
//
// Options: [WithMargin] (m, any finite number, default 1), [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Distances may be any numbers: a negative one of a similar pair has a negative loss. The signs
// choose a case and have gradient 0, as have second derivatives. At x = m the derivative is 0.
//
// Reference: PyTorch, HingeEmbeddingLoss.
func HingeEmbedding(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&hingeEmbedding, opts, pred, target)
}

var hingeEmbedding = core.Definition{
	Name: "HingeEmbedding", Operands: elements("pred", core.Real, "target", core.Signs),
	Takes: core.Options(core.ReduceOptions, core.OptMargin), Defaults: core.Settings{Margin: 1},
	Kernel: points(false, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.HingeEmbedding, A: s.Margin}
	}),
	Laws:  core.Convex,
	Torch: "hinge_embedding_loss",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		margin := s.Margin
		return formula.FirstOrder{
			Value: func(r *core.Block, dst []float64) {
				y := r.X[1][:len(dst)]
				for i, x := range r.X[0] {
					short := formula.Pick(x >= margin, 0, margin-x)
					dst[i] = formula.Pick(y[i] > 0, x, short)
				}
			},
			Deriv: func(r *core.Block, dst []float64) {
				y := r.X[1][:len(dst)]
				for i, x := range r.X[0] {
					pull := formula.Pick(x < margin, -1, formula.Pick(x >= margin, 0, x))
					dst[i] = formula.Pick(y[i] > 0, formula.Pick(x == x, 1, x), pull)
				}
			},
		}.Completed(formula.Bivariate(func(x, _ float64, _ int) formula.Partials { return formula.Partials{PP: formula.Pick(x == x, 0, x)} }))
	},
}
