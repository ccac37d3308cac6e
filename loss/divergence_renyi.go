package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// AlphaDivergence returns the α-divergence of two rows of probabilities, a family that runs from
// one Kullback-Leibler divergence to the other.
//
// With p a row of prob and t the target,
//
//	l = (Σ_c t_c^α·p_c^(1-α) - 1)/(α(α-1))      dl/dp_j = -(t_j/p_j)^α/α
//	                                            dl/dt_j = (p_j/t_j)^(1-α)/(α-1)
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that
// shape without the class axis under [None].
//
// Options: [WithAlpha] (any finite α, default 0.5), [WithAxis] (default -1), [WithReduction],
// [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// α = 1 is KL(t‖p), α = 0 is KL(p‖t), 2 is half of χ². Large α make p cover all of t, small ones
// let it leave parts out. Nearly equal distributions and α near 0 and 1 keep their digits; equal
// distributions give 0. The derivative by an entry of 0 is 0, unless that entry makes the value
// +Inf.
//
// At α = ½ it is 4 times the square of [Hellinger]. [Renyi] is a function of the same sum.
//
// Reference: S. Amari, α-Divergence Is Unique, Belonging to Both f-Divergence and Bregman
// Divergence Classes, 2009.
func AlphaDivergence(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&alphaDivergence, opts, prob, target)
}

var alphaDivergence = core.Definition{
	Name: "AlphaDivergence", Operands: rows("prob", core.Probabilities, "target", core.SoftTargets),
	Takes: core.Options(core.RowOptions, core.OptAlpha), Defaults: core.Settings{Alpha: 0.5},

	Laws: core.NonNegative | core.ZeroAtEqual | core.Convex,
	Row:  func(s *core.Settings, _ core.Dims) core.RowFunc { return formula.FiniteRows(alphaOf(s.Alpha).Rows()) },
	Kernel: func(s *core.Settings, d core.Dims) core.Kernels {
		switch s.Alpha {
		case 0:
			return kullbackRows(d, true, true)
		case 1:
			return kullbackRows(d, true, false)
		}
		return overlapRows(d, s.Alpha, proportional(-1/(s.Alpha*(1-s.Alpha))))
	},
}

// alphaOf is the α-divergence as a sum.
func alphaOf(alpha float64) formula.Separable {
	beta := 1 - alpha
	switch {
	case alpha == 0:
		return reverseKLOfProbabilities
	case beta == 0:
		return klOfProbabilities
	}
	scale := -1 / (alpha * beta)
	return formula.Separable{
		Offset: -scale, CP: -1 / alpha, CT: -1 / beta,
		Term: func(p, t float64) formula.Partials {
			a := formula.LogRatio(p, t)
			j := powerJet(alpha, beta, p, t, a, 0)
			return formula.Partials{L: powerTerm(alpha, beta, p, t, a), P: scale * j.P, T: scale * j.T, PP: scale * j.PP, PT: scale * j.PT, TT: scale * j.TT}
		},
		Plain: func(p, t float64) float64 { return scale * powerJet(alpha, beta, p, t, formula.LogRatio(p, t), 0).L },
	}
}

// Renyi returns the Rényi divergence of order α of target from prob.
//
// With p a row of prob and t the target,
//
//	l = 1/(α-1)·log Σ_c t_c^α·p_c^(1-α)      dl/dp_j = -w_j/p_j
//	                                         dl/dt_j = α/(α-1)·w_j/t_j
//
// where w_j is the share of class j in the sum.
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that
// shape without the class axis under [None].
//
// Options: [WithAlpha] (α > 0, default 2), [WithAxis] (default -1), [WithReduction], [WithWeights],
// [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// α = 1 is KL(t‖p), the limit for distributions; the value grows with α. Nearly equal distributions
// and α near 1 keep their digits; equal distributions give 0. The derivative by an entry of 0 is 0,
// unless that entry makes the value +Inf. Rows without a common class have the value +Inf, and the
// gradient 0 for α < 1.
//
// [Bhattacharyya] is half of it at α = ½. [AlphaDivergence] is a function of the same sum.
//
// Reference: A. Rényi, On Measures of Entropy and Information, 1961; T. van Erven, P. Harremoës,
// Rényi Divergence and Kullback-Leibler Divergence, 2014.
func Renyi(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&renyi, opts, prob, target)
}

var renyi = core.Definition{
	Name: "Renyi", Operands: rows("prob", core.Probabilities, "target", core.SoftTargets),
	Takes: core.Options(core.RowOptions, core.OptAlpha), Defaults: core.Settings{Alpha: 2},

	Laws: core.NonNegative | core.ZeroAtEqual | core.Convex,
	Check: func(s *core.Settings) error {
		if s.Alpha <= 0 {
			return fmt.Errorf("WithAlpha is %v, want a number > 0", s.Alpha)
		}
		return nil
	},
	Row: func(s *core.Settings, _ core.Dims) core.RowFunc {
		if s.Alpha == 1 {
			return formula.FiniteRows(klOfProbabilities.Rows())
		}
		return formula.FiniteRows(overlap{alpha: s.Alpha, log: true, curve: logCurve(1 / (s.Alpha - 1))}.Rows())
	},
	Kernel: func(s *core.Settings, d core.Dims) core.Kernels {
		if s.Alpha == 1 {
			return kullbackRows(d, true, false)
		}
		return overlapRows(d, s.Alpha, logarithmic(1/(s.Alpha-1)))
	},
}

// Bhattacharyya returns the Bhattacharyya distance of two rows of probabilities.
//
// With p a row of prob, t the target and B = Σ_c √(p_c·t_c), 1 for equal distributions and 0 for
// disjoint ones,
//
//	l = -log B      dl/dp_j = -½·√(t_j/p_j)/B
//	                dl/dt_j = -½·√(p_j/t_j)/B
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that
// shape without the class axis under [None].
//
// Options: [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Nearly equal distributions keep their digits; equal ones give 0. The derivative by an entry of 0
// is 0. Rows without a common class have the value +Inf and the gradient 0.
//
// It is half of [Renyi] at α = ½. [Hellinger] is √(1-B).
//
// Reference: A. Bhattacharyya, On a Measure of Divergence between Two Statistical Populations,
// 1943.
func Bhattacharyya(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&bhattacharyya, opts, prob, target)
}

var bhattacharyya = core.Definition{
	Name: "Bhattacharyya", Operands: rows("prob", core.Probabilities, "target", core.SoftTargets), Takes: core.RowOptions,
	Laws: core.NonNegative | core.ZeroAtEqual | core.Convex,
	Row: func(*core.Settings, core.Dims) core.RowFunc {
		return formula.FiniteRows(overlap{alpha: 0.5, log: true, curve: logCurve(-1)}.Rows())
	},
	Kernel: func(_ *core.Settings, d core.Dims) core.Kernels { return overlapRows(d, 0.5, logarithmic(-1)) },
}

// Hellinger returns the Hellinger distance of two rows of probabilities.
//
// With p a row of prob, t the target and B = Σ_c √(p_c·t_c), 1 for equal distributions and 0 for
// disjoint ones,
//
//	l = √(1 - B)      dl/dp_j = -¼·√(t_j/p_j)/l, 0 where l = 0
//	                  dl/dt_j = -¼·√(p_j/t_j)/l, 0 where l = 0
//
// prob (numbers >= 0) and target have the same shape and dtype. The result is a scalar, or has that
// shape without the class axis under [None].
//
// Options: [WithAxis] (default -1), [WithReduction], [WithWeights], [WithMask], [WithNormalizer],
// [WithNormalizerNode].
//
// Nearly equal distributions keep their digits; equal ones give 0, and so do rows of more than unit
// mass with B > 1. The derivative by an entry of 0 is 0; the others grow without bound as the
// distributions meet.
//
// [Bhattacharyya] is -log B. The square is a quarter of [AlphaDivergence] at α = ½.
//
// Reference: E. Hellinger, Neue Begründung der Theorie quadratischer Formen von unendlichvielen
// Veränderlichen, 1909.
func Hellinger(prob, target *G.Node, opts ...Option) (*G.Node, error) {
	return build(&hellinger, opts, prob, target)
}

var hellinger = core.Definition{
	Name: "Hellinger", Operands: rows("prob", core.Probabilities, "target", core.SoftTargets), Takes: core.RowOptions,
	Laws: core.NonNegative | core.ZeroAtEqual,
	Row: func(*core.Settings, core.Dims) core.RowFunc {
		return formula.FiniteRows(overlap{alpha: 0.5, curve: hellingerCurve}.Rows())
	},
	Kernel: func(_ *core.Settings, d core.Dims) core.Kernels { return overlapRows(d, 0.5, root) },
}

// hellingerCurve is √-z.
func hellingerCurve(z, _, _ float64) (l, d, dd float64) {
	if z >= 0 {
		return 0, 0, 0
	}
	l = math.Sqrt(-z)
	return l, -1 / (2 * l), 1 / (4 * l * z)
}

// An overlap is a divergence that is a curve of S = Σ_c t_c^α·p_c^(1-α), 0 < α != 1.
type overlap struct {
	alpha float64
	// curve returns the value and its derivatives by S·e^-shift, from z = S - 1, S·e^-shift and
	// shift.
	curve func(z, s, shift float64) (l, d, dd float64)
	log   bool // the curve is one of log S and takes a shift
}

// logCurve is scale·log S.
func logCurve(scale float64) func(z, s, shift float64) (l, d, dd float64) {
	return func(z, s, shift float64) (l, d, dd float64) {
		if l = scale * (shift + math.Log(s)); shift == 0 && math.Abs(z) <= 0.5 {
			l = scale * math.Log1p(z)
		}
		if s == 0 {
			return l, 0, 0
		}
		return l, scale / s, -scale / s / s
	}
}

// Rows is the row function of the divergence.
func (o overlap) Rows() core.RowFunc {
	alpha, beta := o.alpha, 1-o.alpha
	terms := alphaOf(alpha)
	return func(r *core.Block) float64 {
		p, t := r.X[0], r.X[1]
		a := r.Buf(len(p))
		for i := range p {
			a[i] = formula.LogRatio(p[i], t[i])
		}
		shift := o.shift(t, a)
		gap, s, moved := 0.0, 0.0, 0.0 // moved is how S moves along the direction
		for i := range p {
			j := powerJet(alpha, beta, p[i], t[i], a[i], shift)
			gap += powerTerm(alpha, beta, p[i], t[i], a[i])
			s += j.L
			for k, d := range [2]float64{j.P, j.T} {
				if r.Dir[k] != nil {
					moved += d * r.Dir[k][i]
				}
			}
		}
		z := s - 1
		if dp, dt := formula.SumMinusOne(p), formula.SumMinusOne(t); formula.NearUnity(dp, dt) {
			z = -alpha * beta * formula.AddMass(gap, dp, dt, terms.CP, terms.CT)
		}
		l, d, dd := o.curve(z, s, shift)
		for i := range p {
			j := powerJet(alpha, beta, p[i], t[i], a[i], shift)
			formula.Partials{P: formula.Times(d, j.P), T: formula.Times(d, j.T), PP: formula.Times(d, j.PP),
				PT: formula.Times(d, j.PT), TT: formula.Times(d, j.TT)}.WriteTo(r, i)
			for k, slope := range [2]float64{j.P, j.T} {
				if r.Hess[k] != nil {
					r.Hess[k][i] += dd * moved * slope
				}
			}
		}
		return l
	}
}

// shift returns a number to take from the logarithms of the terms of S so that their exponentials
// neither overflow nor vanish. a is log(p/t).
func (o overlap) shift(t, a []float64) float64 {
	if !o.log {
		return 0
	}
	largest := math.Inf(-1)
	for i := range t {
		if t[i] != 0 && (!math.IsInf(a[i], -1) || o.alpha > 1) {
			largest = max(largest, formula.Log(t[i])+(1-o.alpha)*a[i])
		}
	}
	// e^±300 leaves room for the derivatives
	if math.Abs(largest) <= 300 || math.IsInf(largest, -1) {
		return 0
	}
	return largest
}

// powerTerm returns (t^α·p^β - α·t - β·p)/(α(α-1)) for α + β = 1, a term >= 0 of the divergences
// that are made of Σ t^α·p^β. It is t·log(t/p) - t + p at α = 1 and that with t and p exchanged at
// α = 0, and keeps its digits in between and for p near t. a is log(p/t).
func powerTerm(alpha, beta, p, t, a float64) float64 {
	if alpha < beta {
		return powerTerm(beta, alpha, t, p, -a)
	}
	// now α >= ½ and β <= ½
	switch {
	case t == 0:
		return p / alpha
	case p == 0 && beta > 0:
		return t / beta
	case p == 0:
		return math.Inf(1)
	}
	if beta == 0 {
		return formula.KLTerm(t, p, -a)
	}
	if math.Abs(a) <= 0.5 {
		return t * (beta*formula.Log1pmx(math.Expm1(a)) - formula.Expm1mx(beta*a)) / (alpha * beta)
	}
	grown := t * math.Expm1(beta*a)
	if math.IsInf(grown, 1) {
		grown = math.Exp(formula.Log(t) + beta*a)
	}
	return (beta*(p-t) - grown) / (alpha * beta)
}

// powerJet returns t^α·p^β·e^-shift with its derivatives for α + β = 1 and neither 0. An entry
// where p or t is 0 has no derivatives, unless it makes the value infinite. a is log(p/t).
func powerJet(alpha, beta, p, t, a, shift float64) formula.Partials {
	if (t == 0 && alpha > 0) || (p == 0 && beta > 0) {
		return formula.Partials{}
	}
	up := math.Exp(beta*a - shift) // value/t
	l, down := t*up, up*(t/p)      // the value, value/p
	if !(normal(up) && normal(t/p) && normal(down)) {
		down = math.Exp(-alpha*a - shift)
	}
	if !(normal(up) && normal(l)) {
		l = math.Exp(formula.Log(t) + beta*a - shift)
	}
	if math.IsInf(shift, 1) {
		// Beside an infinite term the others are nothing.
		if !math.IsInf(beta*a, 1) {
			return formula.Partials{}
		}
		up, down, l = 1/t, math.Inf(1), 1
	}
	j := formula.Partials{L: l, P: beta * down, T: alpha * up}
	if t == 0 {
		j.L = p * down
	}
	j.PP, j.PT, j.TT = -alpha*j.P/p, alpha*beta*up/p, -beta*j.T/t
	return j
}

// normal reports whether x > 0 has all digits of float64.
func normal(x float64) bool { return x >= 0x1p-1022 && x <= math.MaxFloat64 }
