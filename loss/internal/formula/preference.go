package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// PolicyPairs lifts a function of u = β·(c - c') and v = β·(r - r') to the log-probabilities c, r of a
// chosen and a rejected completion and c', r' of the reference, in the order c, r, c', r'.
func PolicyPairs(beta float64, f func(u, v float64) Partials) core.BlockFunc {
	return Multivariate(4, func(x [core.MaxOperands]float64) MultiPartials {
		j := f(beta*(x[0]-x[2]), beta*(x[1]-x[3]))
		p, t := beta*j.P, beta*j.T
		pp, pt, tt := beta*beta*j.PP, beta*beta*j.PT, beta*beta*j.TT
		return MultiPartials{L: j.L, D: [core.MaxOperands]float64{p, t, -p, -t}, H: [core.MaxOperands][core.MaxOperands]float64{
			{pp, pt, -pp, -pt}, {pt, tt, -pt, -tt}, {-pp, -pt, pp, pt}, {-pt, -tt, pt, tt}}}
	})
}

// OfDifference returns the partials by u and v of a function of u - v.
func OfDifference(l, d, dd float64) Partials {
	return Partials{L: l, P: d, T: -d, PP: dd, PT: -dd, TT: dd}
}

// Preferred is -(1-ε)·log σ(d) - ε·log σ(-d) with its derivatives.
func Preferred(d, eps float64) (l, first, second float64) {
	o := OddsOf(d)
	return Times(1-eps, o.Won) + Times(eps, o.Lost), eps*o.Yes - (1-eps)*o.No, o.Yes * o.No
}

// SigmoidOf returns σ(x) with its derivatives.
func SigmoidOf(x float64) (l, first, second float64) {
	o := OddsOf(x)
	return o.Yes, o.Yes * o.No, o.Yes * o.No * (o.No - o.Yes)
}

// SoftplusOf returns log(1+e^x) with its derivatives.
func SoftplusOf(x float64) (l, first, second float64) {
	o := OddsOf(x)
	return o.Lost, o.Yes, o.Yes * o.No
}

// OddsRatio is log1p(q(1-p)/(p(1-q))) for p = e^c and q = e^r, with its derivatives by c and r: the
// logarithmic loss of the odds ratio. Everything is said by t = p/q, a = 1 - p and b = 1 - q, so
// that nothing cancels near p = 1 and nothing underflows.
func OddsRatio(c, r float64) Partials {
	switch a, b := -math.Expm1(c), -math.Expm1(r); {
	case a == 0 && b == 0:
		return Partials{L: math.Ln2, P: math.Inf(-1), T: math.Inf(1), PP: math.NaN(), PT: math.NaN(), TT: math.NaN()}
	default:
		t, p, q := math.Exp(c-r), 1-a, 1-b
		e := Times(b, t) + a
		l, _, _ := SoftplusOf(r - c + Log1mExp(c) - Log1mExp(r))
		return Partials{L: l, P: -1 / e, T: a / b / e,
			PP: Times(b-q, t) / e / e, PT: -t / e / e, TT: a / b * (e - b*(a-p)) / b / e / e}
	}
}
