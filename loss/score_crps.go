package loss

import (
	"fmt"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

// GaussianCRPS returns the continuous ranked probability score of normal distributions under
// target, element by element.
//
// With s the standard deviation, z = (target - mean)/s, Φ and φ the distribution function and the
// density of the standard normal distribution,
//
//	l = s·(z·(2Φ(z) - 1) + 2φ(z) - 1/√π)        dl/dtarget = 2Φ(z) - 1 = -dl/dmean
//	                                            dl/dstd = 2φ(z) - 1/√π
//
// mean, target and std have the same shape (any rank) and dtype; std >= 0 is a standard deviation,
// no variance. The result is a scalar, or has the shape of mean under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// At std = 0 it is the absolute error, whose derivatives are those of the limit, and the second
// derivatives are 0. A negative std is an error when the graph runs.
//
// [GaussianNLL] is the logarithmic score; [EnsembleCRPS] takes a sample instead of a normal
// distribution.
//
// Reference: T. Gneiting et al., Calibrated Probabilistic Forecasting Using Ensemble Model Output
// Statistics and Minimum CRPS Estimation, 2005.
func GaussianCRPS(mean, target, std *G.Node, opts ...Option) (*G.Node, error) {
	return build(&gaussianCRPS, opts, mean, target, std)
}

var gaussianCRPS = core.Definition{
	Name: "GaussianCRPS", Operands: []core.Operand{{Name: "mean", Holds: core.Real, Shape: "*"},
		{Name: "target", Holds: core.Real, Shape: "*"}, {Name: "std", Holds: core.Variances, Shape: "*"}},
	Takes: core.ReduceOptions, Laws: core.NonNegative, Others: "properscoring, scoringrules crps_gaussian",
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		second := formula.Multivariate(3, crpsSecond)
		return func(b *core.Block) {
			if b.Hess[0] != nil || b.Hess[1] != nil || b.Hess[2] != nil {
				second(b)
				return
			}
			z, n := b.Buf(len(b.X[0])), len(b.X[0])
			e, s, d, rate := b.Buf(n), b.X[2], b.Buf(n), b.Buf(n)
			formula.Blend(e, b.X[1], b.X[0], 1, -1)
			vec.Divide(z, e, s)
			for i, v := range e {
				if v == 0 {
					z[i] = 0
				}
				rate[i] = -z[i] * z[i] / 2
			}
			vec.Exp(rate, rate)
			for i, v := range rate {
				rate[i] = 2*v/math.Sqrt(2*math.Pi) - 1/math.Sqrt(math.Pi)
			}
			if b.Out != nil || b.Grad[0] != nil || b.Grad[1] != nil {
				for i, v := range z {
					d[i] = math.Erf(v / math.Sqrt2)
				}
			}
			for i := range b.Out {
				b.Out[i] = formula.Times(d[i], e[i]) + s[i]*rate[i]
			}
			if b.Grad[0] != nil {
				formula.Negate(b.Grad[0], d)
			}
			copy(b.Grad[1], d)
			copy(b.Grad[2], rate)
		}
	},
}

// crpsSecond are the second derivatives of GaussianCRPS.
func crpsSecond(x [core.MaxOperands]float64) (j formula.MultiPartials) {
	z, s, second := 0.0, x[2], 0.0
	if e := x[1] - x[0]; e != 0 {
		z = e / s
	}
	if s > 0 {
		second = 2 * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) / s
	}
	cross := -formula.Times(second, z)
	j.H[0] = [core.MaxOperands]float64{second, -second, -cross}
	j.H[1] = [core.MaxOperands]float64{-second, second, cross}
	j.H[2] = [core.MaxOperands]float64{-cross, cross, -formula.Times(cross, z)}
	return j
}

// WithFair makes [EnsembleCRPS] the fair score: the members are a sample of the forecast, not all
// of it, and the expectation does not depend on their number.
func WithFair() Option { return core.OptFair.Flag }

// EnsembleCRPS returns the continuous ranked probability score of a sample of forecasts under
// target.
//
// With x the M members of an ensemble and y the target,
//
//	l = Σ_i |x_i - y|/M - Σ_ij |x_i - x_j|/(2M²)        dl/dx_i = sign(x_i - y)/M - Σ_j sign(x_i - x_j)/M²
//	                                                    dl/dy = -Σ_i sign(x_i - y)/M
//
// and with [WithFair] M(M-1) stands for M². ensemble has the shape (N, M), target (N) and the same
// dtype. The result is a scalar, or has the shape (N) under [None].
//
// Options: [WithFair], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// The sign of 0 is 0, and the second derivative is 0. A single member gives the absolute error in
// both forms, M equal members too. It takes O(M log M) and keeps its digits at any offset.
//
// [QuantileCRPS] takes quantiles, [GaussianCRPS] a normal distribution.
//
// Reference: C. A. T. Ferro, Fair Scores for Ensemble Forecasts, 2014.
func EnsembleCRPS(ensemble, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&ensembleCRPS, opts, ensemble, target)
}

var ensembleCRPS = core.Definition{
	Name: "EnsembleCRPS", Operands: []core.Operand{{Name: "ensemble", Holds: core.Real, Shape: "N M"},
		{Name: "target", Holds: core.Real, Shape: "N"}},
	Takes:   core.Options(core.ReduceOptions, core.OptFair),
	Others:  "properscoring crps_ensemble, scoringrules crps_ensemble (estimator \"nrg\", and \"fair\": WithFair)",
	Grouped: perRow,
	Group: func(s *core.Settings, _ *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			x, y, m := g.X[0], g.X[1][0], float64(len(g.X[0]))
			clearSecond(g)
			order := g.Ints(len(x))
			for i := range order {
				order[i] = i
			}
			slices.SortFunc(order, func(i, j int) int { return compareFloats(x[i], x[j]) })
			pairs := m * m
			if s.Score.Fair && m > 1 {
				pairs = m * (m - 1)
			}
			if g.Value != nil {
				g.Value[0] = ensembleScore(g, x, order, y, s.Score.Fair)
			}
			f, own := g.Factor[0], 0.0
			for _, v := range x {
				own += sign(v - y)
			}
			for k := 0; k < len(order); {
				end := k + 1 // of the members that are equal
				for end < len(order) && x[order[end]] == x[order[k]] {
					end++
				}
				for _, i := range order[k:end] {
					if d := g.Grad[0]; d != nil {
						d[i] = f * (sign(x[i]-y)/m - (float64(k)-(m-float64(end)))/pairs)
					}
				}
				k = end
			}
			if d := g.Grad[1]; d != nil {
				d[0] = -f * own / m
			}
			return nil
		}
	},
}

// perRow is the grouping of losses with a value for each entry of the first axis.
func perRow(*core.Settings) core.Grouping { return core.Grouping{Over: "N", Values: "N"} }

// clearSecond writes 0 to the second derivatives.
func clearSecond(g *core.Group) {
	for _, h := range g.Hess {
		clear(h)
	}
}

// compareFloats orders numbers, NaN first.
func compareFloats(a, b float64) int {
	switch {
	case a < b || a != a && b == b:
		return -1
	case a > b || b != b && a == a:
		return 1
	}
	return 0
}

// sign is -1, 0 or 1, and NaN of NaN.
func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return v - v // NaN of NaN
}

// ensembleScore is the integral of (F - H)² over the intervals between members and target, with F
// the share of members below and H the step at the target: a sum of numbers >= 0. The fair score
// takes F·(1-F)/(M-1) from the integrand.
func ensembleScore(g *core.Group, x []float64, order []int, y float64, fair bool) float64 {
	m := float64(len(x))
	value, below := 0.0, 0.0
	at := math.NaN() // the last point
	interval := func(to, h float64) {
		if n := below; at < to || at != at && n > 0 || to != to {
			f := n / m
			w := (f - h) * (f - h)
			if fair && m > 1 {
				w -= f * (1 - f) / (m - 1)
			}
			value += formula.Times(w, to-at)
		}
		at = to
	}
	passed := 0.0
	for _, i := range order {
		if passed == 0 && x[i] >= y {
			if below > 0 {
				interval(y, 0)
			}
			at, passed = y, 1
		}
		if below > 0 || passed == 1 {
			interval(x[i], passed)
		}
		at = x[i]
		below++
	}
	if passed == 0 {
		interval(y, 0)
	}
	if y != y || formula.HasNaN(x) {
		return math.NaN()
	}
	return value
}

// WithLevels sets the levels of the quantiles of [QuantileCRPS], each in (0, 1), one for each.
// Default (i-½)/Q for i = 1 to Q.
func WithLevels(levels ...float64) Option { return numbers(core.OptLevels, levels) }

// QuantileCRPS returns the continuous ranked probability score of quantile forecasts under target:
// the mean of the quantile losses, doubled.
//
// With x the Q quantiles, q their levels and y the target,
//
//	l = 2/Q·Σ_i max(q_i·(y - x_i), (q_i-1)·(y - x_i))        dl/dx_i = 2/Q·([y < x_i] - q_i), 0 at y = x_i
//	                                                         dl/dy = -Σ_i dl/dx_i
//
// quantiles have the shape (N, Q), target (N) and the same dtype. The result is a scalar, or has
// the shape (N) under [None].
//
// Options: [WithLevels], [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Quantiles may cross. With the default levels it equals [EnsembleCRPS] of the quantiles. The
// second derivative is 0.
//
// [Quantile] is the loss of one level, half of what GluonTS computes.
//
// Reference: T. Gneiting, R. Ranjan, Comparing Density Forecasts Using Threshold- and
// Quantile-Weighted Scoring Rules, 2011.
func QuantileCRPS(quantiles, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&quantileCRPS, opts, quantiles, target)
}

var quantileCRPS = core.Definition{
	Name: "QuantileCRPS", Operands: []core.Operand{{Name: "quantiles", Holds: core.Real, Shape: "N Q"},
		{Name: "target", Holds: core.Real, Shape: "N"}},
	Takes: core.Options(core.ReduceOptions, core.OptLevels), Laws: core.NonNegative, Grouped: perRow,
	Bind: func(s *core.Settings, d *core.GroupDims) error {
		if n := len(s.Score.Levels); n != 0 && n != d.Len('Q') {
			return fmt.Errorf("WithLevels has %d entries, want %d, one for each quantile", n, d.Len('Q'))
		}
		return nil
	},
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		n := float64(d.Len('Q'))
		levels := s.Score.Levels
		if levels == nil {
			for i := range d.Len('Q') {
				levels = append(levels, (float64(i)+0.5)/n)
			}
		}
		return func(g *core.Group) error {
			y, value, own := g.X[1][0], 0.0, 0.0
			clearSecond(g)
			for i, x := range g.X[0] {
				q, e := levels[i], y-x
				rate := 0.0
				switch {
				case e > 0:
					rate = -q
				case e < 0:
					rate = 1 - q
				case e != e:
					rate = math.NaN()
				}
				value -= formula.Times(rate, e)
				own += rate
				if dst := g.Grad[0]; dst != nil {
					dst[i] = g.Factor[0] * 2 / n * rate
				}
			}
			if g.Value != nil {
				g.Value[0] = 2 / n * value
			}
			if dst := g.Grad[1]; dst != nil {
				dst[0] = -g.Factor[0] * 2 / n * own
			}
			return nil
		}
	},
}
