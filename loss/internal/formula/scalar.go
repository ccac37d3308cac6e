package formula

import "math"

// OddsOf returns the odds of one logit.
func OddsOf(x float64) Odds {
	e := math.Exp(-math.Abs(x))
	l, big, small := math.Log1p(e), 1/(1+e), e/(1+e)
	if x < 0 {
		return Odds{Won: -x + l, Lost: l, Yes: small, No: big}
	}
	return Odds{Won: l, Lost: x + l, Yes: big, No: small}
}

// Log1mExp returns log(1 - e^x): -Inf at 0, 0 at -Inf and NaN above 0. The two forms each keep the
// digits on their side of -log 2 (M. Mächler, Accurately Computing log(1 - exp(-|a|)), 2012).
func Log1mExp(x float64) float64 {
	if x > -math.Ln2 {
		return Log(-math.Expm1(x))
	}
	return math.Log1p(-math.Exp(x))
}
