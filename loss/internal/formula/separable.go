package formula

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// Divergences of nearly equal distributions are sums of differences that cancel to the second
// order: Σ t·log(t/p) adds terms of order δ to a result of order δ². What cancels is Σ(p - t) = 0,
// so the sums here are over t·log(t/p) - t + p, each >= 0, and the difference of the masses of rows
// that are no distributions is added apart.

// Log1pmx returns u - log(1 + u) >= 0, for finite u > -1, to full relative accuracy.
func Log1pmx(u float64) float64 {
	if !(math.Abs(u) <= 0.5) {
		return u - math.Log1p(u)
	}
	one := [1]float64{u}
	Log1pmxs(one[:])
	return one[0]
}

// Log1pmxs replaces every u, of at most 1/2 in magnitude, by u - log(1+u).
func Log1pmxs(u []float64) {
	for i, v := range u {
		// log(1+u) = 2(s + s³/3 + s⁵/5 + ...) with s = u/(2+u), and u - 2s = u·s; s² is at most 1/9
		s := v / (2 + v)
		t := s * s
		tail := 1.0/27 + t*(1.0/29+t*(1.0/31+t*(1.0/33+t*(1.0/35+t*(1.0/37)))))
		tail = 1.0/17 + t*(1.0/19+t*(1.0/21+t*(1.0/23+t*(1.0/25+t*tail))))
		tail = 1.0/3 + t*(1.0/5+t*(1.0/7+t*(1.0/9+t*(1.0/11+t*(1.0/13+t*(1.0/15+t*tail))))))
		u[i] = s * (v - 2*(t*tail))
	}
}

// Expm1mx returns e^y - 1 - y >= 0 to full relative accuracy.
func Expm1mx(y float64) float64 {
	switch {
	case math.Abs(y) <= 0.5:
		return expm1mxSeries(y)
	case math.IsInf(y, 1):
		return y
	}
	return math.Expm1(y) - y
}

// Expm1mxOf is Expm1mx(y) with e = e^y - 1 known.
func Expm1mxOf(y, e float64) float64 {
	switch {
	case math.Abs(y) <= 0.5:
		return expm1mxSeries(y)
	case math.IsInf(y, 1):
		return y
	}
	return e - y
}

// expm1mxSeries is y²·(1/2! + y/3! + y²/4! + ...) for |y| <= 0.5, even and odd powers apart.
func expm1mxSeries(y float64) float64 {
	z := y * y
	even := 1.0/2 + z*(1.0/24+z*(1.0/720+z*(1.0/40320+z*(1.0/3628800+z*(1.0/479001600+z*(1.0/87178291200+z*(1.0/20922789888000)))))))
	odd := 1.0/6 + z*(1.0/120+z*(1.0/5040+z*(1.0/362880+z*(1.0/39916800+z*(1.0/6227020800+z*(1.0/1307674368000))))))
	return z * (even + y*odd)
}

// LogRatio returns log(a/b) for a, b >= 0 that are not both 0, to full relative accuracy near a =
// b.
func LogRatio(a, b float64) float64 {
	if d := a - b; math.Abs(d) <= b/2 && core.Finite(b) {
		return math.Log1p(d / b)
	}
	if q := a / b; q >= 0x1p-1022 && q <= math.MaxFloat64 {
		return math.Log(q)
	}
	return Log(a) - Log(b)
}

// KLTerm returns t·log(t/p) - t + p >= 0, where a is log(t/p).
func KLTerm(t, p, a float64) float64 {
	switch {
	case t == 0:
		return p
	case math.Abs(a) <= 0.5:
		return t * expm1mxSeries(-a)
	}
	return t*a + (p - t)
}

// SumMinusOne returns Σ x - 1, rounded once: 0, or some units in the last place, for a
// distribution.
func SumMinusOne(x []float64) float64 {
	sum, lost := -1.0, 0.0
	for _, v := range x {
		s := sum + v
		if math.Abs(sum) >= math.Abs(v) {
			lost += sum - s + v
		} else {
			lost += v - s + sum
		}
		sum = s
	}
	if math.IsInf(sum, 1) && core.Finite(slices.Max(x)) {
		return sum // finite numbers whose sum is none
	}
	return sum + lost
}

// AddMass returns n + cp·dp + ct·dt: a divergence from its part n >= 0, which is 0 for equal rows
// and only for them, and from what the masses 1+dp and 1+dt of the two rows add to it. Rows whose
// masses miss 1 by the rounding of their entries are distributions: for them it returns n alone,
// which is never negative and loses no digits. The rounding of float64 adds nothing to any value
// that is worth keeping; that of float32 is dropped where it would disturb n.
func AddMass(n, dp, dt, cp, ct float64) float64 {
	off := cp*dp + ct*dt
	if miss := max(math.Abs(dp), math.Abs(dt)); miss <= 0x1p-22 && (n <= 0x1p10*math.Abs(off) || miss <= 0x1p-48) {
		off = 0
	}
	return n + off
}

// NearUnity reports whether the masses 1+dp and 1+dt allow AddMass: far from 1 a sum of n with
// their difference would lose digits.
func NearUnity(dp, dt float64) bool { return math.Abs(dp) <= 0.5 && math.Abs(dt) <= 0.5 }

// A Separable divergence is l = offset + Σ_c f(p_c, t_c).
type Separable struct {
	// Term returns the derivatives of f with the value f(p, t) - cp·p - ct·t, which is >= 0.
	Term           func(p, t float64) Partials
	Offset, CP, CT float64 // they add up to 0
	// Plain is f where it is not the value of Term; nil: it is.
	Plain func(p, t float64) float64
}

// Rows is the row function of the divergence.
func (d Separable) Rows() core.RowFunc {
	return func(r *core.Block) float64 {
		p, t := r.X[0], r.X[1]
		value := 0.0
		for i := range p {
			j := d.Term(p[i], t[i])
			value += j.L
			j.WriteTo(r, i)
		}
		if d.Plain == nil {
			return value
		}
		dp, dt := SumMinusOne(p), SumMinusOne(t)
		if NearUnity(dp, dt) {
			return AddMass(value, dp, dt, d.CP, d.CT)
		}
		value = d.Offset
		for i := range p {
			value += d.Plain(p[i], t[i])
		}
		return value
	}
}

// FiniteRows makes a row function of probabilities return NaN for a row with NaN or +Inf.
func FiniteRows(f core.RowFunc) core.RowFunc {
	return func(r *core.Block) float64 {
		for _, p := range r.X[0] {
			if !core.Finite(p) {
				return SetNaN(r)
			}
		}
		return f(r)
	}
}
