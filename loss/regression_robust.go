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

// Losses that give outliers less than a linear share, in order of their tails.
var robustLosses = []entry{
	{&wing, Wing},
	{&cauchy, Cauchy},
	{&gemanMcClure, GemanMcClure},
	{&welsch, Welsch},
	{&tukey, Tukey},
	{&barron, Barron},
}

// Wing returns the wing loss of pred against target, which amplifies small and medium errors.
//
// With e = pred - target and C = w - w·log(1 + w/ε),
//
//	l(e) = w·log(1 + |e|/ε)   |e| < w         dl/de = sign(e)·w/(ε + |e|), 0 at e = 0
//	l(e) = |e| - C            |e| >= w        dl/de = sign(e)
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithMargin] (w > 0, default 1), [WithEpsilon] (ε > 0, default 0.5), [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// The derivative jumps at e = 0, from -w/ε to w/ε, and at |e| = w, where it is that of the linear
// side.
//
// [MAE] is its tail.
//
// Reference: Z.-H. Feng et al., Wing Loss for Robust Facial Landmark Localisation with
// Convolutional Neural Networks, 2018.
func Wing(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&wing, opts, pred, target)
}

var wing = core.Definition{
	Name: "Wing", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptMargin, core.OptEpsilon),
	Kernel: points(true, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.Wing, A: s.Margin, B: s.Epsilon}
	}),
	Defaults: core.Settings{Margin: 1, Epsilon: 0.5},
	Laws:     core.Symmetric | core.NonNegative | core.ZeroAtEqual,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		w, eps := s.Margin, s.Epsilon
		c := w - w*math.Log1p(w/eps)
		return formula.Curve{
			Value: func(dst, e []float64) {
				for i, v := range e {
					a := math.Abs(v)
					dst[i] = formula.Pick(a > w, w, a) / eps
				}
				vec.Log1p(dst, dst)
				for i, log := range dst {
					a := math.Abs(e[i])
					dst[i] = formula.Pick(a < w, w*log, a-c)
				}
			},
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					a := math.Abs(v)
					dst[i] = formula.Sign(v) * formula.Pick(a < w, w/(eps+a), 1)
				}
			},
			Second: formula.Each(func(e float64) float64 {
				a := math.Abs(e)
				return formula.Pick(a < w, -w/(eps+a)/(eps+a), 0)
			}),
		}.Residual
	},
	Check: func(s *core.Settings) error {
		if s.Margin <= 0 {
			return fmt.Errorf("WithMargin is %v, want a number > 0", s.Margin)
		}
		return positiveEpsilon(s)
	},
}

// Cauchy returns the Cauchy (Lorentzian) loss of pred against target, which grows with the
// logarithm of the error.
//
// With e = pred - target and z = e/c,
//
//	l(e) = log(1 + z²/2)        dl/de = 2z/(2 + z²)/c
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithScale] (c > 0, default 1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// It is [Barron] with α = 0, and [StudentTNLL] with one degree of freedom up to scale and
// constants.
//
// Reference: M. J. Black, P. Anandan, The Robust Estimation of Multiple Motions, 1996.
func Cauchy(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&cauchy, opts, pred, target)
}

var cauchy = core.Definition{
	Name: "Cauchy", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptScale), Defaults: core.Settings{Scale: 1},
	Kernel: points(true, func(s *core.Settings) tensorops.Point { return tensorops.Point{Loss: tensorops.Cauchy, A: s.Scale} }),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return formula.Curve{
			Value: func(dst, z []float64) { formula.LogOfSquares(dst, z, 2) },
			Deriv: func(dst, z []float64) {
				for i, v := range z {
					dst[i] = reciprocal(v, 2)
				}
			},
			Second: formula.Each(func(z float64) float64 {
				y := 1 / (1 + z*z/2)
				return y * (2*y - 1)
			}),
		}.ScaledResidual(s.Scale)
	},
}

// wide is the size of z from which on squares are avoided.
const wide = 0x1p500

// reciprocal returns z/(1 + z²/b) without overflow, 0 for infinite z.
func reciprocal(z, b float64) float64 {
	if math.Abs(z) > wide {
		return 1 / (1/z + z/b)
	}
	return z / (1 + z*z/b)
}

// GemanMcClure returns the Geman-McClure loss of pred against target, which is bounded by 2.
//
// With e = pred - target and z = e/c,
//
//	l(e) = 2z²/(z² + 4)        dl/de = 16z/(z² + 4)²/c
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithScale] (c > 0, default 1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// It is [Barron] with α = -2. [Welsch] and [Tukey] reach their bound sooner.
//
// Reference: S. Geman, D. E. McClure, Bayesian Image Analysis: An Application to Single Photon
// Emission Tomography, 1985.
func GemanMcClure(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&gemanMcClure, opts, pred, target)
}

var gemanMcClure = core.Definition{
	Name: "GemanMcClure", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptScale), Defaults: core.Settings{Scale: 1},
	Kernel: points(true, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.GemanMcClure, A: s.Scale}
	}),
	Laws: core.Symmetric | core.NonNegative | core.ZeroAtEqual,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return formula.Curve{
			Value: func(dst, z []float64) {
				for i, v := range z {
					dst[i] = 2 * v * v / (4 + v*v)
					if math.Abs(v) > wide {
						dst[i] = 2
					}
				}
			},
			Deriv: func(dst, z []float64) {
				for i, v := range z {
					y := 1 / (1 + v*v/4)
					if dst[i] = v * y * y; math.Abs(v) > wide {
						dst[i] = 0
					}
				}
			},
			Second: formula.Each(func(z float64) float64 {
				y := 1 / (1 + z*z/4)
				return y * y * (4*y - 3)
			}),
		}.ScaledResidual(s.Scale)
	},
}

// Welsch returns the Welsch (Leclerc) loss of pred against target, which is bounded by 1.
//
// With e = pred - target and z = e/c,
//
//	l(e) = 1 - exp(-z²/2)        dl/de = z·exp(-z²/2)/c
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithScale] (c > 0, default 1), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The derivative of errors above 38 scales is 0.
//
// It is the limit of [Barron] as α falls to minus infinity.
//
// Reference: J. E. Dennis, R. E. Welsch, Techniques for Nonlinear Least Squares and Robust
// Regression, 1978.
func Welsch(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&welsch, opts, pred, target)
}

var welsch = core.Definition{
	Name: "Welsch", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptScale), Defaults: core.Settings{Scale: 1},
	Kernel: points(true, func(s *core.Settings) tensorops.Point { return tensorops.Point{Loss: tensorops.Welsch, A: s.Scale} }),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		return formula.Curve{
			Value: func(dst, z []float64) {
				bell(dst, z, vec.Expm1)
				formula.Divide(dst, -1)
			},
			Deriv: func(dst, z []float64) {
				bell(dst, z, vec.Exp)
				for i, g := range dst {
					if dst[i] = g * z[i]; g == 0 {
						dst[i] = 0
					}
				}
			},
			Second: func(dst, z []float64) {
				bell(dst, z, vec.Exp)
				for i, g := range dst {
					dst[i] = formula.Times(g, 1-z[i]*z[i])
				}
			},
		}.ScaledResidual(s.Scale)
	},
}

// bell writes fn of -z²/2.
func bell(dst, z []float64, fn func(dst, x []float64)) {
	for i, v := range z {
		dst[i] = -v * v / 2
	}
	fn(dst, dst)
}

// Tukey returns Tukey's biweight loss of pred against target, which is constant beyond c.
//
// With e = pred - target and z = e/c,
//
//	l(e) = c²/6·(1 - (1 - z²)³)   |z| <= 1        dl/de = e·(1 - z²)²
//	l(e) = c²/6                   |z| >  1        dl/de = 0
//
// pred and target have the same shape (any rank). The result is a scalar, or has the shape of pred
// under [None].
//
// Options: [WithScale] (c > 0, default 4.685), [WithReduction], [WithWeights], [WithMask],
// [WithNormalizer], [WithNormalizerNode].
//
// The default has 95 % of the efficiency of least squares on normal errors with standard deviation
// 1. An error beyond c teaches nothing.
//
// [Welsch] is its relative without a cut.
//
// Reference: A. E. Beaton, J. W. Tukey, The Fitting of Power Series, Meaning Polynomials,
// Illustrated on Band-Spectroscopic Data, 1974.
func Tukey(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&tukey, opts, pred, target)
}

var tukey = core.Definition{
	Name: "Tukey", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptScale), Defaults: core.Settings{Scale: 4.685},
	Kernel: points(true, func(s *core.Settings) tensorops.Point { return tensorops.Point{Loss: tensorops.Tukey, A: s.Scale} }),
	Laws:   core.Symmetric | core.NonNegative | core.ZeroAtEqual,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		c := s.Scale
		return formula.Curve{ // e is cut off at ±c, and w = 1 - z² falls to 0 there
			Value: func(dst, e []float64) {
				for i, v := range e {
					v = formula.Pick(math.Abs(v) > c, c, v)
					z := v / c
					w := (1 - z) * (1 + z)
					dst[i] = v / 6 * v * (1 + w + w*w)
				}
			},
			Deriv: func(dst, e []float64) {
				for i, v := range e {
					v = formula.Pick(math.Abs(v) > c, c, v)
					z := v / c
					w := (1 - z) * (1 + z)
					dst[i] = v * w * w
				}
			},
			Second: formula.Each(func(e float64) float64 {
				z := formula.Pick(math.Abs(e) > c, c, e) / c
				return (1 - z) * (1 + z) * (1 - 5*z*z)
			}),
		}.Residual
	},
}

// Barron returns the general robust loss of pred against target, a family from least squares to
// bounded losses.
//
// With e = pred - target, z = e/c and b = |α - 2|,
//
//	l(e) = b/α·((z²/b + 1)^(α/2) - 1)        dl/de = z/c·(z²/b + 1)^(α/2 - 1)
//
// with the limits z²/2 at α = 2 and log(1 + z²/2) at α = 0. pred and target have the same shape
// (any rank). The result is a scalar, or has the shape of pred under [None].
//
// Options: [WithAlpha] (the shape α, any number, default 1), [WithScale] (c > 0, default 1),
// [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Values near α = 0 and α = 2 keep their accuracy. The loss is convex for α >= 1 and bounded by
// b/|α| for α < 0.
//
// With c = 1, α = 2, 1, 0 and -2 are [HalfSquared], [PseudoHuber], [Cauchy] and [GemanMcClure];
// [Welsch] is the limit as α falls to minus infinity.
//
// Reference: J. T. Barron, A General and Adaptive Robust Loss Function, 2019.
func Barron(pred, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&barron, opts, pred, target)
}

var barron = core.Definition{
	Name: "Barron", Operands: elements("pred", core.Real, "target", core.Real),
	Takes: core.Options(core.ReduceOptions, core.OptAlpha, core.OptScale),
	Kernel: points(true, func(s *core.Settings) tensorops.Point {
		return tensorops.Point{Loss: tensorops.Barron, A: s.Alpha, B: s.Scale}
	}),
	Defaults: core.Settings{Alpha: 1, Scale: 1},
	Laws:     core.Symmetric | core.NonNegative | core.ZeroAtEqual,
	Block: func(s *core.Settings, _ core.Dims) core.BlockFunc {
		alpha := s.Alpha
		switch alpha {
		case 1:
			return pseudoHubers(1).ScaledResidual(s.Scale)
		case 2:
			return halfSquares.ScaledResidual(s.Scale)
		}
		b := math.Abs(alpha - 2)
		powers := func(dst, z []float64) { // (z²/b + 1)^(α/2 - 1)
			formula.LogOfSquares(dst, z, b)
			formula.Scale(dst, alpha/2-1)
			vec.Exp(dst, dst)
		}
		return formula.Curve{
			Value: func(dst, z []float64) {
				formula.LogOfSquares(dst, z, b)
				if math.Abs(alpha) < 1e-18 { // (exp(u) - 1)/u is 1 to all digits for u = α/2·log(1 + z²/b)
					formula.Scale(dst, b/2)
					return
				}
				formula.Scale(dst, alpha/2)
				vec.Expm1(dst, dst)
				formula.Scale(dst, b/alpha)
			},
			Deriv: func(dst, z []float64) {
				powers(dst, z)
				for i, p := range dst {
					if dst[i] = z[i] * p; math.Abs(z[i]) > math.MaxFloat64 {
						dst[i], _ = barronTail(alpha, z[i])
					}
				}
			},
			Second: func(dst, z []float64) {
				powers(dst, z)
				for i, p := range dst {
					q := z[i] / math.Sqrt(b) * (z[i] / math.Sqrt(b))
					// 1 + (α-2)·q/(1+q), without cancellation
					if dst[i] = p * (1/(1+q) + (alpha-1)/(1+1/q)); math.IsInf(z[i], 0) {
						_, dst[i] = barronTail(alpha, z[i])
					}
				}
			},
		}.ScaledResidual(s.Scale)
	},
}

// barronTail returns the limits of Barron's first and second derivative for infinite z, where α is
// not 2.
func barronTail(alpha, z float64) (d, dd float64) {
	switch {
	case alpha < 1:
		return 0, 0
	case alpha == 1:
		return formula.Sign(z), 0
	case alpha < 2:
		return z, 0
	}
	return z, math.Inf(1)
}
