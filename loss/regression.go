package loss

import (
	"fmt"
	"math"

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
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// [HalfSquared] is half of it; [Huber] is that near zero and linear in the tails.
//
// Reference: standard.
func MSE(pred, target *G.Node, opts ...Option) (*G.Node, error) { return mse.build(pred, target, opts) }

var mse = definition{
	name: "MSE", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	fast:  fast{f32: mseDirect[float32], f64: mseDirect[float64]},
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	torch: "mse_loss", keras: "MeanSquaredError", optax: "squared_error",
	rows: func(*settings, int, int) rowFunc {
		return profile{
			value: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = v * v
				}
			},
			slope: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = 2 * v
				}
			},
			bend: constant(2),
		}.row
	},
}

// HalfSquared returns half the squared error of pred against target, whose derivative is the error itself.
//
// With e = pred - target,
//
//	l(e) = e²/2        dl/de = e
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// It is the limit of [Huber] for large δ, and up to a constant [GaussianNLL] with variance 1.
//
// Reference: standard.
func HalfSquared(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return halfSquared.build(pred, target, opts)
}

var halfSquared = definition{
	name: "HalfSquared", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	optax: "l2_loss",
	fast:  fast{f32: halfSquaredDirect[float32], f64: halfSquaredDirect[float64]},
	rows: func(*settings, int, int) rowFunc {
		return halfSquares.row
	},
}

// halfSquares is e²/2.
var halfSquares = profile{
	value: func(dst, e []float64) {
		for i, v := range e {
			dst[i] = v / 2 * v
		}
	},
	slope: func(dst, e []float64) { copy(dst, e) },
	bend:  constant(1),
}

// MAE returns the absolute error of pred against target.
//
// With e = pred - target,
//
//	l(e) = |e|        dl/de = sign(e), 0 at e = 0
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The second derivative is 0 everywhere. [Huber] is smooth at zero.
//
// Reference: standard.
func MAE(pred, target *G.Node, opts ...Option) (*G.Node, error) { return mae.build(pred, target, opts) }

var mae = definition{
	name: "MAE", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	fast:  fast{f32: maeDirect[float32], f64: maeDirect[float64]},
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	torch: "l1_loss", keras: "MeanAbsoluteError",
	rows: func(*settings, int, int) rowFunc {
		return absolutes.row
	},
}

// absolutes is |e|.
var absolutes = profile{
	value: func(dst, e []float64) {
		for i, v := range e {
			dst[i] = math.Abs(v)
		}
	},
	slope: func(dst, e []float64) {
		for i, v := range e {
			dst[i] = sign(v)
		}
	},
	bend: constant(0),
}

// Huber returns the Huber loss of pred against target: quadratic near zero, linear in the tails.
//
// With e = pred - target,
//
//	l(e) = e²/2           |e| <= δ        dl/de = e
//	l(e) = δ(|e| - δ/2)   |e| >  δ        dl/de = δ·sign(e)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithDelta] (δ > 0, default 1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The second derivative at |e| = δ is that of the quadratic side.
//
// As δ grows Huber approaches [HalfSquared]; as δ falls Huber/δ, which is [SmoothL1], approaches [MAE].
//
// Reference: P. J. Huber, Robust Estimation of a Location Parameter, 1964.
func Huber(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return huber.build(pred, target, opts)
}

var huber = definition{
	name: "Huber", takes: reduceKnobs | knobDelta, defaults: settings{axis: -1, delta: 1}, elementwise: true,
	fast:  fast{f32: huberDirect[float32], f64: huberDirect[float64]},
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	torch: "huber_loss", keras: "Huber", optax: "huber_loss",
	rows: func(s *settings, _, _ int) rowFunc {
		delta := s.delta
		return profile{
			value: func(dst, e []float64) {
				for i, v := range e {
					a := math.Abs(v)
					c := pick(a > delta, delta, a)
					dst[i] = c * (a - c/2)
				}
			},
			slope: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = pick(math.Abs(v) > delta, math.Copysign(delta, v), v)
				}
			},
			bend: each(func(e float64) float64 { return pick(math.Abs(e) > delta, 0, 1) }),
		}.row
	},
}

// SmoothL1 returns the absolute error of pred against target with its corner at zero rounded off.
//
// With e = pred - target,
//
//	l(e) = e²/(2β)     |e| <= β        dl/de = e/β
//	l(e) = |e| - β/2   |e| >  β        dl/de = sign(e)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithBeta] (β >= 0, default 1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// β = 0 is [MAE], with the derivative 0 at e = 0. The second derivative at |e| = β is that of the quadratic side.
//
// It is [Huber] with δ = β, divided by β.
//
// Reference: R. Girshick, Fast R-CNN, 2015.
func SmoothL1(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return smoothL1.build(pred, target, opts)
}

var smoothL1 = definition{
	name: "SmoothL1", takes: reduceKnobs | knobBeta, defaults: settings{axis: -1, beta: 1}, elementwise: true,
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	torch: "smooth_l1_loss",
	fast:  fast{f32: smoothL1Direct[float32], f64: smoothL1Direct[float64]},
	rows: func(s *settings, _, _ int) rowFunc {
		beta := s.beta
		if beta == 0 {
			return absolutes.row
		}
		return profile{
			value: func(dst, e []float64) {
				for i, v := range e {
					a := math.Abs(v)
					c := pick(a > beta, beta, a)
					dst[i] = c / beta * (a - c/2)
				}
			},
			slope: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = pick(math.Abs(v) > beta, math.Copysign(1, v), v/beta)
				}
			},
			bend: each(func(e float64) float64 { return pick(math.Abs(e) > beta, 0, 1/beta) }),
		}.row
	},
}

// LogCosh returns the logarithm of the hyperbolic cosine of the error of pred against target: e²/2 near zero, |e| - log 2
// in the tails.
//
// With e = pred - target,
//
//	l(e) = log cosh e        dl/de = tanh e
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Small errors keep their relative accuracy (e = 1e-10 has loss 5e-21, not 0), large ones do not overflow.
//
// [Huber] is its piecewise relative.
//
// Reference: standard.
func LogCosh(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return logCosh.build(pred, target, opts)
}

var logCosh = definition{
	name: "LogCosh", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	fast:  fast{f32: logCoshDirect[float32], f64: logCoshDirect[float64]},
	keras: "LogCosh", optax: "log_cosh",
	rows: func(*settings, int, int) rowFunc {
		return profile{
			value: logCoshRun,
			slope: func(dst, e []float64) {
				for i, v := range e {
					dst[i] = -2 * math.Abs(v)
				}
				vec.Expm1(dst, dst)
				for i, m := range dst {
					dst[i] = math.Copysign(m/(2+m), e[i])
				}
			},
			bend: each(func(e float64) float64 {
				q := math.Exp(-2 * math.Abs(e))
				return 4 * q / ((1 + q) * (1 + q))
			}),
		}.row
	},
}

// logCoshRun writes log cosh e with m = exp(-|e|) - 1: below 1 as log1p(cosh e - 1), where cosh e - 1 = m²/(2(1+m)), and as
// |e| - log 2 + log1p(exp(-2|e|)) above.
func logCoshRun(dst, e []float64) {
	for i, v := range e {
		dst[i] = -math.Abs(v)
	}
	vec.Expm1(dst, dst)
	for i, m := range dst {
		q := 1 + m
		dst[i] = pick(math.Abs(e[i]) < 1, m*m/(2*q), q*q)
	}
	vec.Log1p(dst, dst)
	for i, l := range dst {
		a := math.Abs(e[i])
		dst[i] = l + pick(a < 1, 0, a-math.Ln2)
	}
}

// PseudoHuber returns a smooth form of the Huber loss of pred against target.
//
// With e = pred - target,
//
//	l(e) = δ²·(√(1 + (e/δ)²) - 1)        dl/de = e/√(1 + (e/δ)²)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithDelta] (δ > 0, default 1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Computed as e²/(1 + √(1 + (e/δ)²)), which does not cancel for small e, in an order that does not overflow for large e.
//
// It behaves as e²/2 near zero and as δ·|e| in the tails, like [Huber]; with δ = 1 it is [Barron] with α = 1.
//
// Reference: P. Charbonnier et al., Deterministic Edge-Preserving Regularization in Computed Imaging, 1997.
func PseudoHuber(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return pseudoHuber.build(pred, target, opts)
}

var pseudoHuber = definition{
	name: "PseudoHuber", takes: reduceKnobs | knobDelta, defaults: settings{axis: -1, delta: 1}, elementwise: true,
	laws: Symmetric | NonNegative | ZeroAtEqual | Convex,
	fast: fast{f32: pseudoHuberDirect[float32], f64: pseudoHuberDirect[float64]},
	rows: func(s *settings, _, _ int) rowFunc {
		return pseudoHubers(s.delta).row
	},
}

// pseudoHubers is δ²·(√(1 + (e/δ)²) - 1), where √(δ² + e²) is the root times δ.
func pseudoHubers(delta float64) profile {
	return profile{
		value: func(dst, e []float64) {
			hypotenuses(dst, e, delta)
			for i, root := range dst {
				v := e[i]
				if dst[i] = v * (delta * (v / (delta + root))); root > math.MaxFloat64 {
					dst[i] = root
				}
			}
		},
		slope: func(dst, e []float64) {
			hypotenuses(dst, e, delta)
			for i, root := range dst {
				if dst[i] = delta * (e[i] / root); root > math.MaxFloat64 {
					dst[i] = sign(e[i]) * delta
				}
			}
		},
		bend: each(func(e float64) float64 {
			flat := delta / math.Hypot(delta, e)
			return flat * flat * flat
		}),
	}
}

// hypotenuses writes √(a² + e²), without overflow.
func hypotenuses(dst, e []float64, a float64) {
	for i, v := range e {
		dst[i] = a*a + v*v
	}
	if !vec.Within(dst, 1/wide, wide) {
		for i, v := range e {
			dst[i] = math.Hypot(a, v)
		}
		return
	}
	vec.Sqrt(dst, dst)
}

// Charbonnier returns the absolute error of pred against target with its corner at zero smoothed by ε.
//
// With e = pred - target,
//
//	l(e) = √(e² + ε²)        dl/de = e/√(e² + ε²)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithEpsilon] (ε > 0, default 1e-3), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The value at e = 0 is ε. The squares do not overflow.
//
// [PseudoHuber] with δ = ε is ε·(l - ε).
//
// Reference: P. Charbonnier et al., Two Deterministic Half-Quadratic Regularization Algorithms for Computed Imaging, 1994.
func Charbonnier(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return charbonnier.build(pred, target, opts)
}

var charbonnier = definition{
	name: "Charbonnier", takes: reduceKnobs | knobEpsilon, defaults: settings{axis: -1, epsilon: 1e-3}, elementwise: true,
	laws: Symmetric | NonNegative | Convex,
	rows: func(s *settings, _, _ int) rowFunc {
		eps := s.epsilon
		return profile{
			value: func(dst, e []float64) { hypotenuses(dst, e, eps) },
			slope: func(dst, e []float64) {
				hypotenuses(dst, e, eps)
				for i, root := range dst {
					if dst[i] = e[i] / root; root > math.MaxFloat64 {
						dst[i] = sign(e[i])
					}
				}
			},
			bend: each(func(e float64) float64 {
				root := math.Hypot(e, eps)
				return eps / root * (eps / root) / root
			}),
		}.row
	},
	check: positiveEpsilon,
}

// positiveEpsilon refuses an ε that is not above 0.
func positiveEpsilon(s *settings, _ Domain, _ int) error {
	if s.epsilon <= 0 {
		return fmt.Errorf("WithEpsilon is %v, want a number > 0", s.epsilon)
	}
	return nil
}
