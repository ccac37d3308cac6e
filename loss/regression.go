package loss

import (
	"math"

	G "gorgonia.org/gorgonia"
)

var regressionLosses = []entry{
	{&mse, MSE},
	{&mae, MAE},
	{&huber, Huber},
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
// [Huber] is half of it near zero and linear in the tails.
//
// Reference: standard.
func MSE(pred, target *G.Node, opts ...Option) (*G.Node, error) { return mse.build(pred, target, opts) }

var mse = definition{
	name: "MSE", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	torch: "mse_loss", keras: "MeanSquaredError", optax: "squared_error",
	rows: func(*settings, int, int) rowFunc {
		return residual(func(e float64) (l, d, dd float64) { return e * e, 2 * e, 2 })
	},
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
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	torch: "l1_loss", keras: "MeanAbsoluteError", optax: "absolute_error",
	rows: func(*settings, int, int) rowFunc {
		return residual(func(e float64) (l, d, dd float64) {
			// Copysign alone would turn a NaN into a sign.
			if e == 0 || e != e {
				return math.Abs(e), e, e
			}
			return math.Abs(e), math.Copysign(1, e), 0
		})
	},
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
// As δ grows Huber approaches half of [MSE]; as δ falls Huber/δ approaches [MAE]. The second
// derivative at |e| = δ is that of the quadratic side.
//
// Reference: P. J. Huber, Robust Estimation of a Location Parameter, 1964.
func Huber(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return huber.build(pred, target, opts)
}

var huber = definition{
	name: "Huber", takes: reduceKnobs | knobDelta, defaults: settings{axis: -1, delta: 1}, elementwise: true,
	laws:  Symmetric | NonNegative | ZeroAtEqual | Convex,
	torch: "huber_loss", keras: "Huber", optax: "huber_loss",
	rows: func(s *settings, _, _ int) rowFunc {
		delta := s.delta
		return residual(func(e float64) (l, d, dd float64) {
			if a := math.Abs(e); a > delta {
				return delta * (a - delta/2), math.Copysign(delta, e), 0
			}
			return e * e / 2, e, 1 + 0*(e-e)
		})
	},
}
