package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

var regressionLosses = []entry{
	{&mse, MSE},
	{&halfSquared, HalfSquared},
	{&mae, MAE},
	{&huber, Huber},
	{&smoothL1, SmoothL1},
	{&logCosh, LogCosh},
	{&pseudoHuber, PseudoHuber},
	{&charbonnier, Charbonnier},
}

// MSE returns the squared error of pred against target.
//
// With e = pred - target,
//
//	l(e) = e²        dl/de = 2e
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// [HalfSquared] is half of it; [Huber] is that near zero and linear in the tails.
//
// Reference: standard.
func MSE(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&mse, opts, pred, target)
}

var mse = core.Definition{
	Name: "MSE", Operands: elements("pred", core.Real, "target", core.Real), Takes: core.ReduceOptions,
	Kernel: points(true, plain(tensorops.SquaredError)),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Torch:  "mse_loss", Keras: "MeanSquaredError", Optax: "squared_error",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return formula.Curve{
			Value: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = v * v
				}
			},
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = 2 * v
				}
			},
			Second: formula.Constant(2),
		}.Residual
	},
}

// HalfSquared returns half the squared error of pred against target, whose derivative is the error
// itself.
//
// With e = pred - target,
//
//	l(e) = e²/2        dl/de = e
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// It is the limit of [Huber] for large δ, and up to a constant [GaussianNLL] with variance 1.
//
// Reference: standard.
func HalfSquared(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&halfSquared, opts, pred, target)
}

var halfSquared = core.Definition{
	Name: "HalfSquared", Operands: elements("pred", core.Real, "target", core.Real), Takes: core.ReduceOptions,
	Kernel: points(true, plain(tensorops.HalfSquaredError)),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Optax:  "l2_loss",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return halfSquares.Residual
	},
}

// halfSquares is e²/2.
var halfSquares = formula.Curve{
	Value: func(dst, e []float64) {
		for i, v := range e {
			dst[i] = v / 2 * v
		}
	},
	Deriv:  func(dst, e []float64) { copy(dst, e) },
	Second: formula.Constant(1),
}

// MAE returns the absolute error of pred against target.
//
// With e = pred - target,
//
//	l(e) = |e|        dl/de = sign(e), 0 at e = 0
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The second derivative is 0 everywhere. [Huber] is smooth at zero.
//
// Reference: standard.
func MAE(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&mae, opts, pred, target)
}

var mae = core.Definition{
	Name: "MAE", Operands: elements("pred", core.Real, "target", core.Real), Takes: core.ReduceOptions,
	Kernel: points(true, plain(tensorops.AbsoluteError)),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Torch:  "l1_loss", Keras: "MeanAbsoluteError",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return absolutes.Residual
	},
}

// absolutes is |e|.
var absolutes = formula.Curve{
	Value: func(dst, e []float64) {
		for i, v := range e {
			dst[i] = math.Abs(v)
		}
	},
	Deriv: func(dst, e []float64) {
		for i, v := range e {
			dst[i] = formula.Sign(v)
		}
	},
	Second: formula.Constant(0),
}

// Huber returns the Huber loss of pred against target: quadratic near zero, linear in the tails.
//
// With e = pred - target,
//
//	l(e) = e²/2           |e| <= δ        dl/de = e
//	l(e) = δ(|e| - δ/2)   |e| >  δ        dl/de = δ·sign(e)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithDelta] (δ > 0, default 1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The second derivative at |e| = δ is that of the quadratic side.
//
// As δ grows Huber approaches [HalfSquared]; as δ falls Huber/δ, which is [SmoothL1], approaches
// [MAE].
//
// Reference: P. J. Huber, Robust Estimation of a Location Parameter, 1964.
func Huber(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&huber, opts, pred, target)
}

var huber = core.Definition{
	Name: "Huber", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptDelta), Defaults: core.Settings{Delta: 1},
	Kernel: points(true, func(s *core.Settings) tensorops.Point { return tensorops.Point{Loss: tensorops.Huber, A: s.Delta} }),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Torch:  "huber_loss", Keras: "Huber", Optax: "huber_loss",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		delta := s.Delta
		return formula.Curve{
			Value: func(dst, e []float64) {
				for i, v := range e {
					a := math.Abs(v)
					c := formula.Pick(a > delta, delta, a)
					dst[i] = c * (a - c/2)
				}
			},
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = formula.Pick(math.Abs(v) > delta, math.Copysign(delta, v), v)
				}
			},
			Second: formula.Each(func(e float64) float64 { return formula.Pick(math.Abs(e) > delta, 0, 1) }),
		}.Residual
	},
}

// SmoothL1 returns the absolute error of pred against target with its corner at zero rounded off.
//
// With e = pred - target,
//
//	l(e) = e²/(2β)     |e| <= β        dl/de = e/β
//	l(e) = |e| - β/2   |e| >  β        dl/de = sign(e)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithBeta] (β >= 0, default 1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// β = 0 is [MAE], with the derivative 0 at e = 0. The second derivative at |e| = β is that of the
// quadratic side.
//
// It is [Huber] with δ = β, divided by β.
//
// Reference: R. Girshick, Fast R-CNN, 2015.
func SmoothL1(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&smoothL1, opts, pred, target)
}

var smoothL1 = core.Definition{
	Name: "SmoothL1", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptBeta), Defaults: core.Settings{Beta: 1},
	Kernel: points(true, func(s *core.Settings) tensorops.Point { return tensorops.Point{Loss: tensorops.SmoothL1, A: s.Beta} }),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Torch:  "smooth_l1_loss",
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		beta := s.Beta
		if beta == 0 {
			return absolutes.Residual
		}
		return formula.Curve{
			Value: func(dst, e []float64) {
				for i, v := range e {
					a := math.Abs(v)
					c := formula.Pick(a > beta, beta, a)
					dst[i] = c / beta * (a - c/2)
				}
			},
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = formula.Pick(math.Abs(v) > beta, math.Copysign(1, v), v/beta)
				}
			},
			Second: formula.Each(func(e float64) float64 { return formula.Pick(math.Abs(e) > beta, 0, 1/beta) }),
		}.Residual
	},
}

// LogCosh returns the logarithm of the hyperbolic cosine of the error of pred against target: e²/2
// near zero, |e| - log 2 in the tails.
//
// With e = pred - target,
//
//	l(e) = log cosh e        dl/de = tanh e
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Small errors keep their relative accuracy (e = 1e-10 has loss 5e-21, not 0), large ones do not
// overflow.
//
// [Huber] is its piecewise relative.
//
// Reference: standard.
func LogCosh(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&logCosh, opts, pred, target)
}

var logCosh = core.Definition{
	Name: "LogCosh", Operands: elements("pred", core.Real, "target", core.Real), Takes: core.ReduceOptions,
	Kernel: points(true, plain(tensorops.LogCosh)),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Keras:  "LogCosh", Optax: "log_cosh",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return formula.Curve{
			Value: logCoshRun,
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = -2 * math.Abs(v)
				}
				vec.Expm1(dst, dst)
				for i, m := range dst {
					dst[i] = math.Copysign(m/(2+m), e[i])
				}
			},
			Second: formula.Each(func(e float64) float64 {
				q := math.Exp(-2 * math.Abs(e))
				return 4 * q / ((1 + q) * (1 + q))
			}),
		}.Residual
	},
}

// logCoshRun writes log cosh e with m = exp(-|e|) - 1: below 1 as log1p(cosh e - 1), where cosh e -
// 1 = m²/(2(1+m)), and as |e| - log 2 + log1p(exp(-2|e|)) above.
func logCoshRun(dst, e []float64) {
	for i, v := range e {
		dst[i] = -math.Abs(v)
	}
	vec.Expm1(dst, dst)
	for i, m := range dst {
		q := 1 + m
		dst[i] = formula.Pick(math.Abs(e[i]) < 1, m*m/(2*q), q*q)
	}
	vec.Log1p(dst, dst)
	for i, l := range dst {
		a := math.Abs(e[i])
		dst[i] = l + formula.Pick(a < 1, 0, a-math.Ln2)
	}
}

// PseudoHuber returns a smooth form of the Huber loss of pred against target.
//
// With e = pred - target,
//
//	l(e) = δ²·(√(1 + (e/δ)²) - 1)        dl/de = e/√(1 + (e/δ)²)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithDelta] (δ > 0, default 1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// Computed as e²/(1 + √(1 + (e/δ)²)), which does not cancel for small e, in an order that does not
// overflow for large e.
//
// It behaves as e²/2 near zero and as δ·|e| in the tails, like [Huber]; with δ = 1 it is [Barron]
// with α = 1.
//
// Reference: P. Charbonnier et al., Deterministic Edge-Preserving Regularization in Computed
// Imaging, 1997.
func PseudoHuber(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&pseudoHuber, opts, pred, target)
}

var pseudoHuber = core.Definition{
	Name: "PseudoHuber", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptDelta), Defaults: core.Settings{Delta: 1},
	Kernel: points(true, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.PseudoHuber, A: s.Delta}
	}),
	Laws: core.Symmetric | core.NonNegative | core.ZeroAtEqual | core.Convex,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return pseudoHubers(s.Delta).Residual
	},
}

// pseudoHubers is δ²·(√(1 + (e/δ)²) - 1), where √(δ² + e²) is the root times δ.
func pseudoHubers(delta float64) formula.Curve {
	return formula.Curve{
		Value: func(dst, e []float64) {
			hypotenuses(dst, e, delta)
			for i, root := range dst {
				v := e[i]
				if dst[i] = v * (delta * (v / (delta + root))); root > math.MaxFloat64 {
					dst[i] = root
				}
			}
		},
		Deriv: func(dst, e []float64) {
			hypotenuses(dst, e, delta)
			for i, root := range dst {
				if dst[i] = delta * (e[i] / root); root > math.MaxFloat64 {
					dst[i] = formula.Sign(e[i]) * delta
				}
			}
		},
		Second: formula.Each(func(e float64) float64 {
			flat := delta / math.Hypot(delta, e)
			return flat * flat * flat
		}),
	}
}

// hypotenuses writes √(a² + e²), without overflow or underflow.
func hypotenuses(dst, e []float64, a float64) {
	for i, v := range e {
		dst[i] = a*a + v*v
	}
	vec.Sqrt(dst, dst)
	for i, root := range dst {
		if !(root > 1/formula.Wide && root < formula.Wide) {
			dst[i] = math.Hypot(a, e[i])
		}
	}
}

// Charbonnier returns the absolute error of pred against target with its corner at zero smoothed by
// ε.
//
// With e = pred - target,
//
//	l(e) = √(e² + ε²)        dl/de = e/√(e² + ε²)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithEpsilon] (ε > 0, default 1e-3), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The value at e = 0 is ε. The squares do not overflow.
//
// [PseudoHuber] with δ = ε is ε·(l - ε).
//
// Reference: P. Charbonnier et al., Two Deterministic Half-Quadratic Regularization Algorithms for
// Computed Imaging, 1994.
func Charbonnier(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&charbonnier, opts, pred, target)
}

var charbonnier = core.Definition{
	Name: "Charbonnier", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptEpsilon), Defaults: core.Settings{Epsilon: 1e-3},
	Kernel: points(true, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.Charbonnier, A: s.Epsilon}
	}),
	Laws: core.Symmetric | core.NonNegative | core.Convex,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		eps := s.Epsilon
		return formula.Curve{
			Value: func(dst, e []float64) { hypotenuses(dst, e, eps) },
			Deriv: func(dst, e []float64) {
				hypotenuses(dst, e, eps)
				for i, root := range dst {
					if dst[i] = e[i] / root; root > math.MaxFloat64 {
						dst[i] = formula.Sign(e[i])
					}
				}
			},
			Second: formula.Each(func(e float64) float64 {
				root := math.Hypot(e, eps)
				return eps / root * (eps / root) / root
			}),
		}.Residual
	},
	Check: positiveEpsilon,
}

// positiveEpsilon refuses an ε that is not above 0.
func positiveEpsilon(s *core.Settings) error {
	if s.Epsilon <= 0 {
		return fmt.Errorf("WithEpsilon is %v, want a number > 0", s.Epsilon)
	}
	return nil
}
