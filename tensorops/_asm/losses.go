package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// The losses of two numbers.

var pointwiseLosses = []pointwise{
	{"squared", "(x[i] - t[i])²", "2·(x[i] - t[i])", anything, squaredParts},
	{"absolute", "|x[i] - t[i]|", "sign(x[i] - t[i])", anything, absoluteParts},
	{"huber", "c·(m - c/2), m = |x[i] - t[i]|, c = min(m, a)", "min(max(x[i] - t[i], -a), a)", anything, huberParts},
	{"logCosh", "log cosh(x[i] - t[i])", "tanh(x[i] - t[i])", anything, logCoshParts},
	{"binary", "|x|·q + log1p(exp(-|x|)), q = 1-t for x >= 0, else t", "sigmoid(x[i]) - t[i]",
		unitInterval, binaryParts},
	{"margin", "log1p(exp(-x[i]·t[i]))", "-t[i]·sigmoid(-x[i]·t[i])", signs, marginParts},
	{"pseudoHuber", "√(1+z²) - 1, z = a·(x[i] - t[i])", "z/√(1+z²)", anything, pseudoHuberParts},
	{"cauchy", "log1p(z²/2), z = a·(x[i] - t[i])", "z/(1+z²/2)", anything, cauchyParts},
	{"poisson", "exp(x[i]) - t[i]·x[i]", "exp(x[i]) - t[i]", nonNegative, poissonParts},
	{"gamma", "t[i]·exp(-x[i]) + x[i]", "1 - t[i]·exp(-x[i])", positive, gammaParts},
	{"focal", "(a + b·t)·u²·l with the binary loss l and u = σ(x)·(1-t) + σ(-x)·t", "the derivative by x[i]",
		unitInterval, focalParts},
}

// bernoulli is for float32 elements alone: what it computes in float64 has the digits of float32 where x and t are nearly equal.
var bernoulli = pointwise{"bernoulli", "p·(x[i] - t[i]) + log((1+exp(t[i]))/(1+exp(x[i]))), p = sigmoid(x[i])", "p·(1-p)·(x[i] - t[i])",
	anything, bernoulliParts}

func squaredParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	k.sub(x, t, x)
	value = t
	k.mul(x, x, value)
	if slope {
		k.add(x, x, x)
	}
	return value, x
}

// absoluteParts: the slope is ±1 with the sign of the difference, 0 for 0 and NaN for NaN.
func absoluteParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	g := k.gen
	k.sub(x, t, x)
	value = k.abs(x)
	if !slope {
		return value, nil
	}
	unit := t
	g.and(g.signBit(), x, unit)
	g.or(g.constant(1), unit, unit)
	// where |x| > 0 does not hold x is 0 or NaN, which is the slope
	return value, g.where(greater, value, g.constant(0), unit, x)
}

func huberParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	g := k.gen
	k.sub(x, t, x)
	value = g.abs(x)
	c := t
	g.set(k.scalars["a"], c)
	f(g, VMINPS, VMINPD)(value, c, c) // NaN comes through
	g.fnma231(g.constant(0.5), c, value)
	k.mul(c, value, value)
	if slope { // c with the sign of the difference
		g.and(g.signBit(), x, x)
		g.or(c, x, x)
	}
	return value, x
}

// binaryParts returns the value |x|·q + log1p(z) and the slope ±(q - z/(1+z)), + for x >= 0.
func binaryParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	q, z, value := k.binaryValue(x, t)
	if !slope {
		return value, nil
	}
	s := k.logistic.share(z)
	k.sub(s, q, s)
	k.flipWherePlus(x, s)
	return value, s
}

// binaryValue returns the value with z = exp(-|x|) and q, the cost of a unit of |x|: 1-t for x >= 0, else t.
func (k *points) binaryValue(x, t reg.VecVirtual) (q, z, value reg.VecVirtual) {
	g := k.gen
	q = g.vec()
	g.set(k.logistic.num(1), q)
	k.sub(q, t, q)
	q = g.bySign(x, t, q)
	a := g.abs(x)
	z = k.logistic.expMinus(a)
	value = k.logistic.log1p(z)
	g.addProduct(q, a, value)
	return q, z, value
}

// focalParts: with the share s of the smaller probability, u = s + q·(1 - 2s), and the binary loss l,
//
//	value = w·u²·l    slope = ±w·u·(u·(s - q) - 2·s·(1-s)·(2q-1)·l),  - for x >= 0
func focalParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	g := k.gen
	w := g.vec()
	g.set(k.scalars["a"], w)
	g.fma231(k.scalars["b"], t, w)
	q, z, l := k.binaryValue(x, t)
	s := k.logistic.share(z)
	u, v := g.vec(), g.vec()
	g.set(k.logistic.num(1), v)
	g.set(v, u)
	k.sub(v, s, v)
	k.sub(v, s, u)
	k.fma213(s, q, u)
	k.mul(u, w, w)
	value = t
	k.mul(u, w, value)
	k.mul(l, value, value)
	if !slope {
		return value, nil
	}
	k.mul(s, v, v)
	k.mul(l, v, v)
	k.add(v, v, v)
	k.sub(s, q, s)
	k.mul(s, u, u)
	k.add(q, q, q)
	k.sub(q, k.logistic.num(1), q)
	k.fnma231(q, v, u)
	k.mul(w, u, u)
	k.flipWherePlus(x, u)
	return value, u
}

// marginParts: with m = x·t, z = exp(-|m|) and its share s,
//
//	value = max(-m, 0) + log1p(z)    slope = -t·(s for m >= 0, else 1-s)
func marginParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	g, m := k.gen, x
	k.mul(t, x, m)
	a := g.abs(m)
	z := k.logistic.expMinus(a)
	value = k.logistic.log1p(z)
	g.addWhereMinus(m, a, value)
	if !slope {
		return value, nil
	}
	s, rest := k.logistic.share(z), g.vec()
	g.set(k.logistic.num(1), rest)
	k.sub(rest, s, rest)
	s = g.bySign(m, rest, s)
	g.xor(g.signBit(), t, t)
	k.mul(t, s, s)
	return value, s
}

var (
	// (log cosh e - e²/2)/e⁴ and (tanh e - e)/e³ in e² for |e| <= 1, minimax: relative errors of log cosh and tanh 2^-27.0 and
	// 2^-27.7, for float64 2^-56.5 and 2^-56.2
	logCoshCoefs = map[string][]float64{
		"F32": {-0.0833330973982811, 0.022217417135834694, -0.006713374983519316, 0.002082296647131443, -0.0005602157907560468,
			8.78056525834836e-05},
		"F64": {-0.08333333333333194, 0.022222222222093375, -0.006746031741863983, 0.0021869487852811185,
			-0.0007386022940644324, 0.00025657634248138993, -9.097120613168672e-05, 3.272216812034053e-05,
			-1.1827945634751494e-05, 4.19284888745223e-06, -1.3773230510734187e-06, 3.781774697524619e-07,
			-7.346882295604272e-08, 7.251594580491895e-09},
	}
	tanhCoefs = map[string][]float64{
		"F32": {-0.33333295583724976, 0.13332344591617584, -0.05387980118393898, 0.021486658602952957, -0.007946107536554337,
			0.0023013651371002197, -0.0003584521182347089},
		"F64": {-0.33333333333332943, 0.1333333333329287, -0.05396825395342638, 0.021869488259825196,
			-0.008863232451724112, 0.00359210560652557, -0.0014557213276327012, 0.0005896186872384067,
			-0.00023804386483931674, 9.476816886088572e-05, -3.6086619225322785e-05, 1.2341327492119099e-05,
			-3.4196793138561194e-06, 6.544956135963005e-07, -6.269322846164992e-08},
	}
)

// logCoshParts: with e = x - t, a = |e|, z = exp(-2a) and its share s,
//
//	value = e²/2 + e⁴·P(e²) for a < 1, else a - log 2 + log1p(z)
//	slope = e + e³·Q(e²)    for a < 1, else ±(1 - 2s)
func logCoshParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	g, e := k.gen, x
	k.sub(x, t, e)
	a, u := g.abs(e), t
	k.mul(e, e, u)
	least := u
	if g.comp == "F32" {
		least = k.logistic.notBelow(0x1p-30, u)
	}
	small := k.logistic.polynomial(logCoshCoefs[g.comp], least)
	k.fma213(g.constant(0.5), u, small)
	k.mul(u, small, small)
	twice := g.vec()
	k.add(a, a, twice)
	z := k.logistic.expMinus(twice)
	value = k.logistic.log1p(z)
	k.sub(a, g.constant(math.Ln2), twice)
	k.add(twice, value, value)
	value = g.where(less, a, k.logistic.num(1), small, value)
	if !slope {
		return value, nil
	}
	s := k.logistic.share(z)
	k.add(s, s, s)
	d = g.vec()
	g.set(k.logistic.num(1), d)
	k.sub(d, s, d)
	g.and(g.signBit(), e, s)
	g.or(s, d, d)
	tanh := k.logistic.polynomial(tanhCoefs[g.comp], least)
	k.mul(u, tanh, tanh)
	k.fma213(e, e, tanh)
	return value, g.where(less, a, k.logistic.num(1), tanh, d)
}

// pseudoHuberParts: with r = √(1+z²), value = z²/(1+r) and slope = z/r. A z² that overflows makes the value NaN.
func pseudoHuberParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	g, z, root := k.gen, x, t
	k.sub(x, t, z)
	k.mul(k.scalars["a"], z, z)
	value = g.vec()
	k.mul(z, z, value)
	k.add(g.constant(1), value, root)
	f(g, VSQRTPS, VSQRTPD)(root, root)
	den := g.vec()
	k.add(g.constant(1), root, den)
	f(g, VDIVPS, VDIVPD)(den, value, value)
	if slope {
		f(g, VDIVPS, VDIVPD)(root, z, z)
	}
	return value, z
}

func cauchyParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	g, z, v := k.gen, x, t
	k.sub(x, t, z)
	k.mul(k.scalars["a"], z, z)
	half := g.vec()
	k.mul(g.constant(0.5), z, half)
	k.mul(z, half, v)
	value = k.logistic.log1pAny(v)
	if slope {
		k.add(g.constant(1), v, v)
		f(g, VDIVPS, VDIVPD)(v, z, z)
	}
	return value, z
}

func poissonParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	rate := k.logistic.expAny(x)
	value = k.vec()
	k.set(rate, value)
	k.fnma231(t, x, value)
	if slope {
		k.sub(rate, t, rate)
	}
	return value, rate
}

func gammaParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	neg := k.vec()
	k.set(x, neg)
	k.xor(k.signBit(), neg, neg)
	e := k.logistic.expAny(neg)
	k.mul(t, e, e)
	value = k.vec()
	k.add(e, x, value)
	if slope {
		k.set(k.constant(1), neg)
		k.sub(neg, e, e)
	}
	return value, e
}

// bernoulliParts: the divergence does not change when both logits change their signs, so that x is taken as <= 0. With
// p = σ(x) and h = t - x,
//
//	value = log(1 + p·(exp(h) - 1)) - p·h    slope = p·(1-p)·(x - t)
//
// and p·(1-p)·h²/2·(1 + (1-2p)·h/3) for small h: both have 2^-27 there.
func bernoulliParts(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual) {
	h, rest, rate, small := t, k.vec(), k.vec(), k.vec()
	k.sub(t, x, h)
	d = k.vec()
	if slope {
		k.set(h, d)
	}
	a := k.abs(x)
	p := k.logistic.share(k.logistic.expMinus(a))
	k.flipWherePlus(x, h)
	k.set(k.constant(1), rest)
	k.sub(rest, p, rest) // 1-p
	k.mul(p, rest, rate)
	if slope {
		k.mul(rate, d, d)
		k.xor(k.signBit(), d, d)
	}
	k.sub(rest, p, rest) // 1-2p
	k.mul(h, rest, rest)
	k.set(k.constant(1), small)
	k.fma231(k.constant(1.0/3), rest, small)
	k.mul(rate, small, small)
	k.mul(h, small, small)
	k.mul(h, small, small)
	k.mul(k.constant(0.5), small, small)

	value = k.logistic.expBelow(h, 620) // beyond, p may be 0 where p·exp(h) counts
	k.sub(value, k.constant(1), value)
	k.mul(p, value, value)
	value = k.logistic.log1pAny(value)
	k.fnma231(p, h, value)
	return k.where(less, k.abs(h), k.constant(0x1p-12), small, value), d
}
