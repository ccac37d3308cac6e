package loss

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// Losses of the error in proportion to the size of the target.
var relativeLosses = []entry{
	{&mape, MAPE},
	{&smape, SMAPE},
	{&msle, MSLE},
}

// MAPE returns the absolute error of pred as a fraction of the size of target.
//
// With e = pred - target and m = max(|target|, ε),
//
//	l = |e|/m        dl/dpred = sign(e)/m
//	                 dl/dtarget = -sign(e)·pred/(target·|target|), or -sign(e)/ε where |target| <= ε
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithEpsilon] (ε > 0, default 1e-7), [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The result is a fraction, not a percentage: 0.25 where pred is a quarter off. The derivatives at e = 0
// are 0. An infinite target gives NaN.
//
// [SMAPE] is bounded; [MSLE] weighs ratios alike in both directions.
//
// Reference: standard.
func MAPE(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return mape.build(pred, target, opts)
}

var mape = definition{
	name: "MAPE", takes: reduceKnobs | knobEpsilon, defaults: settings{axis: -1, epsilon: 1e-7}, elementwise: true,
	laws:  NonNegative | ZeroAtEqual | Convex,
	keras: "MeanAbsolutePercentageError",
	rows: func(s *settings, _, _ int) rowFunc {
		eps := s.epsilon
		return front{
			value: func(r *row, dst []float64) {
				t := r.x[1][:len(dst)]
				for i, p := range r.x[0] {
					m := math.Abs(t[i])
					dst[i] = math.Abs(p-t[i]) / pick(m <= eps, eps, m)
				}
			},
			slope: func(r *row, dst []float64) {
				t := r.x[1][:len(dst)]
				for i, p := range r.x[0] {
					m := math.Abs(t[i])
					dst[i] = sign(p-t[i]) / pick(m <= eps, eps, m)
				}
			},
		}.before(surface(func(p, t float64, _ int) jet {
			e, m := p-t, math.Abs(t)
			if m <= eps {
				return jet{t: -sign(e) / eps}
			}
			d, u := sign(e)/m, sign(t)/m
			return jet{t: -d * u * p, pt: -d * u, tt: 2 * d * u * (p / t)}
		}))
	},
	check: positiveEpsilon,
}

// SMAPE returns the absolute error of pred against target as a fraction of their mean size.
//
//	l = 2·|p - t|/(|p| + |t|)        dl/dp = 4·t·sign(p - t)/(p + t)² where p and t have one sign
//	                                 dl/dp = 0 where they have not: there l = 2
//
// pred p and target t have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The result is a fraction in [0, 2], and 0 where both are 0. It is constant, and does not teach, where pred and target differ in
// sign. Derivatives on a corner (p = t, p = 0 or t = 0) are the mean of their sides. One infinite operand gives the limit 2.
//
// [MAPE] divides by the target alone.
//
// Reference: S. Makridakis, Accuracy Measures: Theoretical and Practical Concerns, 1993.
func SMAPE(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return smape.build(pred, target, opts)
}

var smape = definition{
	name: "SMAPE", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	laws: NonNegative | ZeroAtEqual,
	rows: func(*settings, int, int) rowFunc {
		return front{
			value: func(r *row, dst []float64) {
				t := r.x[1][:len(dst)]
				for i, p := range r.x[0] {
					size := math.Abs(p) + math.Abs(t[i])
					dst[i] = 2 * math.Abs(p-t[i]) / size
					if !(size > 0 && size < wide) {
						dst[i] = smapeJet(p, t[i], 0).l
					}
				}
			},
			slope: func(r *row, dst []float64) {
				t := r.x[1][:len(dst)]
				for i, p := range r.x[0] {
					a, b := math.Abs(p), math.Abs(t[i])
					rest := 1 / (a + b)
					d := 4 * sign(p-t[i]) * b * rest * rest
					dst[i] = pick(p*t[i] > 0, d, 0)
					if !(min(a, b) > 1/wide && max(a, b) < wide) {
						dst[i] = smapeJet(p, t[i], 0).p
					}
				}
			},
		}.before(surface(smapeJet))
	},
}

// smapeJet is SMAPE of prediction p and target t.
func smapeJet(p, t float64, _ int) jet {
	a, b := math.Abs(p), math.Abs(t)
	size := a + b
	switch side := sign(p) * sign(t); {
	case size == size && math.IsInf(p, 0) != math.IsInf(t, 0):
		return jet{l: 2}
	case size == 0:
		return jet{}
	case side < 0:
		return jet{l: 2}
	case side == 0: // one of them 0
		return jet{l: 2, p: 2 * (sign(p-t) - sign(p)) / size, t: 2 * (sign(t-p) - sign(t)) / size}
	}
	// l = 2·|a - b|/size and a moves with sign(p)·p, b with sign(t)·t, the same sign.
	r, s := sign(a-b), sign(p)
	x, y := a/size, b/size
	l := 2 * math.Abs(p-t) / size
	return jet{
		l: l,
		p: 4 * r * s * y / size, t: -4 * r * s * x / size,
		pp: -8 * r * y / size / size, pt: 2 * l / size / size, tt: 8 * r * x / size / size,
	}
}

// logFloor is the number at which MSLE clamps both of its operands, as Keras does.
const logFloor = 1e-7

// MSLE returns the squared difference of the logarithms of 1 + pred and 1 + target, both taken as at least 1e-7.
//
//	l = D², D = log(1+p) - log(1+t)        dl/dp = 2D/(1+p)
//	                                       dl/dt = -2D/(1+t)
//
// pred p and target t have the same shape (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// An operand below 1e-7 has derivative 0. D is computed from the difference p - t, so it keeps its relative
// accuracy where they are close.
//
// It is for quantities that spread over orders of magnitude; [MAPE] never charges more than 1 for a positive
// prediction that is too low.
//
// Reference: standard.
func MSLE(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return msle.build(pred, target, opts)
}

var msle = definition{
	name: "MSLE", takes: reduceKnobs, defaults: settings{axis: -1}, elementwise: true,
	laws:  NonNegative | ZeroAtEqual,
	keras: "MeanSquaredLogarithmicError",
	rows: func(*settings, int, int) rowFunc {
		return front{
			value: func(r *row, dst []float64) {
				r.logGaps(dst)
				for i, size := range dst {
					dst[i] = size * size
				}
			},
			slope: func(r *row, dst []float64) {
				r.logGaps(dst)
				t := r.x[1][:len(dst)]
				for i, p := range r.x[0] {
					d := math.Copysign(dst[i], p-t[i])
					dst[i] = pick(p < logFloor, d*0, 2*d/(1+p))
					if d > math.MaxFloat64 || d < -math.MaxFloat64 {
						dst[i] = 0
					}
				}
			},
		}.before(surfaceBy(func(r *row) (y, z []float64) {
			y = r.buf(len(r.x[0]))
			r.logGaps(y)
			return y, y
		}, func(p, t, size, _ float64) jet {
			if math.IsInf(size, 0) {
				return jet{}
			}
			d := math.Copysign(size, p-t)
			a, b := clampedSlope(p), clampedSlope(t)
			return jet{t: -2 * d * b, pp: 2 * (1 - d) * a * a, pt: -2 * a * b, tt: 2 * (1 + d) * b * b}
		}))
	},
}

// logGaps writes |log(1+p) - log(1+t)| of the clamped operands.
func (r *row) logGaps(dst []float64) {
	t := r.x[1][:len(dst)]
	for i, p := range r.x[0] {
		a, b := pick(p < logFloor, logFloor, p), pick(t[i] < logFloor, logFloor, t[i])
		dst[i] = math.Abs(a-b) / (1 + pick(a < b, a, b))
	}
	vec.Log1p(dst, dst)
}

// clampedSlope is the derivative of log(1 + max(x, logFloor)).
func clampedSlope(x float64) float64 {
	if x < logFloor {
		return 0
	}
	return 1 / (1 + x)
}
