package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The losses of two numbers. Each computes the value, says so by done, and returns the derivative;
// what follows done is left out where the value alone is wanted. Where the value is not finite, the
// derivative is not used.

const none = -1 // for losses without exponentials

var pointLosses = []pointwise{
	{"squared", "(x[i] - t[i])²", "x[i] - t[i]", anything, "", none, simple, squaredParts},
	{"absolute", "|x[i] - t[i]|", "sign(x[i] - t[i])", anything, "", none, simple, absoluteParts},
	{"huber", "c·(m - c/2), m = |x[i] - t[i]|, c = min(m, a)", "min(max(x[i] - t[i], -a), a)", anything, "a", none, simple, huberParts},
	{"logCosh", "log cosh(x[i] - t[i])", "tanh(x[i] - t[i])", anything, "", 0, plain, logCoshParts},
	{"binary", "|x[i]|·q + log1p(exp(-|x[i]|)), q = 1-t[i] for x[i] >= 0, else t[i]", "sigmoid(x[i]) - t[i]", unitInterval, "", 4, plain, binaryParts},
	{"binaryOptions", "|x[i]|·q + (n+p)·log1p(exp(-|x[i]|)), q = n for x[i] >= 0, else p, p = v[i]·(a·t[i] + b), n = a·(1-t[i]) + b",
		"(n+p)·sigmoid(x[i]) - p", unitInterval, "ab", 0, options, binaryOptionsParts},
	{"margin", "log1p(exp(-x[i]·t[i]))", "-t[i]·sigmoid(-x[i]·t[i])", signs, "", 4, plain, marginParts},
	{"pseudoHuber", "a·e²/(a + r), r = √(e² + b), e = x[i] - t[i]", "e/r", anything, "ab", none, plain, pseudoHuberParts},
	{"cauchy", "log1p(z²/2), z = a·(x[i] - t[i])", "z/(1 + z²/2)", anything, "a", 0, plain, cauchyParts},
	{"poisson", "exp(x[i]) - t[i]·x[i]", "exp(x[i]) - t[i]", nonNegative, "", 0, plain, poissonParts},
	{"gamma", "t[i]·exp(-x[i]) + x[i]", "1 - t[i]·exp(-x[i])", positive, "", 0, plain, gammaParts},
	{"focal", "(a + b·t[i])·u²·h, u = σ(x[i])·(1-t[i]) + σ(-x[i])·t[i], with the binary loss h", "the derivative by x[i]",
		unitInterval, "ab", 0, plain, focalParts},
	{"charbonnier", "r = √(e² + a), e = x[i] - t[i]", "e/r", anything, "a", none, plain, charbonnierParts},
	{"quantile", "max(a·e, b·e), e = x[i] - t[i]", "a for e > 0, b for e < 0, c for 0", anything, "abc", none, plain, quantileParts},
	{"expectile", "r·e², e = x[i] - t[i], r = a for e >= 0, else b", "r·e", anything, "ab", none, plain, expectileParts},
	{"insensitive", "max(|x[i] - t[i]| - a, 0)", "sign(x[i] - t[i]) where |x[i] - t[i]| > a, else 0", anything, "a", none, plain, insensitiveParts},
	{"relative", "|x[i] - t[i]|/m, m = max(|t[i]|, a)", "sign(x[i] - t[i])/m", anything, "a", none, plain, relativeParts},
	{"symmetric", "|x[i] - t[i]|/r, r = (|x[i]| + |t[i]|)/2", "sign(x[i] - t[i])·|t[i]|/r² for equal signs, half of it for x[i] = 0, else 0",
		anything, "", none, plain, symmetricParts},
	{"hinge", "max(a - x[i]·t[i], 0)", "-t[i] where x[i]·t[i] < a, else 0", signs, "a", none, plain, hingeParts},
	{"bentHinge", "c·(2s - c), s = max(1 - x[i]·t[i], 0), c = min(s, a)", "-c·t[i]", signs, "a", none, plain, bentHingeParts},
	{"embedding", "x[i] for t[i] = 1, max(a - x[i], 0) for -1", "1 for t[i] = 1, -1 for -1 where x[i] < a, else 0", signs, "a", none, plain, embeddingParts},
	{"logGap", "D², D = log1p(|p - q|/(1 + min(p, q))), p = max(x[i], a), q = max(t[i], a)", "±D/(1 + x[i]) for x[i] >= a, else 0",
		anything, "a", 0, in64, logGapParts},
	{"wing", "a·log1p(m/b) for m = |x[i] - t[i]| < a, else m - c", "±a/(b + m) for m < a, else ±1", anything, "abc", 0, in64, wingParts},
	{"gemanMcClure", "z²/2·y, y = 1/(1 + z²/4), z = a·(x[i] - t[i])", "z·y²", anything, "a", none, in64, gemanMcClureParts},
	{"welsch", "1 - exp(-z²/2), z = a·(x[i] - t[i])", "z·exp(-z²/2)", anything, "a", 0, in64, welschParts},
	{"tukey", "z²·(1 + w + w²), w = 1 - z², z = a·(x[i] - t[i]) cut off at ±1", "z·w²", anything, "a", none, in64, tukeyParts},
	{"tweedie", "a·exp(b·x[i]) - b·t[i]·exp(a·x[i])", "exp(b·x[i]) - t[i]·exp(a·x[i])", nonNegative, "ab", 0, in64, tweedieParts},
	{"gaussian", "(exp(x[i]) - 1 - x[i] + t[i]²)/2", "(exp(x[i]) - 1)/2", anything, "", 0, plain, gaussianParts},
	{"focalPower", "(a + b·t[i])·u^c·h, u = σ(x[i])·(1-t[i]) + σ(-x[i])·t[i], with the binary loss h", "the derivative by x[i]",
		unitInterval, "abc", 0, in64Only, focalPowerParts},
	{"barron", "exp(u) - 1, u = c·log1p(b·z²), z = a·(x[i] - t[i])", "z·exp(u)/(1 + b·z²)", anything, "abc", 0, in64Only, barronParts},
	{"negativeBinomial", "b·log1p(u) + t[i]·(log1p(u) - x[i]), u = exp(x[i] + a)", "(b·u - t[i])/(1 + u)", nonNegative, "ab", 0, in64Only, negativeBinomialParts},
	{"probability", "-t[i]·log(x[i]) - (1-t[i])·log1p(-x[i]) for 0 < x[i] < 1", "(x[i] - t[i])/(x[i]·(1 - x[i]))", unitInterval, "", 0, in64Only, probabilityParts},
	{"bernoulli", "p·(x[i] - t[i]) + log((1+exp(t[i]))/(1+exp(x[i]))), p = sigmoid(x[i])", "p·(1-p)·(x[i] - t[i])",
		anything, "", 0, in64Only, bernoulliParts},
	{"asymmetric", "t[i]·(1-p)^a·-log p + (1-t[i])·m^b·-log1p(-m), p = sigmoid(x[i]), m = max(p - c, 0)", "the derivative by x[i]",
		unitInterval, "abc", 0, in64Only, asymmetricParts},
}

// fill returns a register with a number in every lane.
func (k *points) fill(v Op) reg.VecVirtual {
	r := k.vec()
	k.set(v, r)
	return r
}

func (k *points) div(a, b, dst reg.VecVirtual) { f(k.gen, VDIVPS, VDIVPD)(b, a, dst) }
func (k *points) sqrt(a, dst reg.VecVirtual)   { f(k.gen, VSQRTPS, VSQRTPD)(a, dst) }

// lesser sets dst to the smaller of v and the limit, larger to the larger; a NaN of v stays.
func (k *points) lesser(v, limit, dst reg.VecVirtual) { f(k.gen, VMINPS, VMINPD)(v, limit, dst) }
func (k *points) larger(v, limit, dst reg.VecVirtual) { f(k.gen, VMAXPS, VMAXPD)(v, limit, dst) }

// clearUnless sets the lanes of v to 0 where a does not stand in the relation to b.
func (k *points) clearUnless(relation int, a reg.VecVirtual, b Op, v reg.VecVirtual) {
	if k.is512() {
		m := K()
		k.compare(relation, a, b, m)
		f(k.gen, VMOVAPS_Z, VMOVAPD_Z)(v, m, v)
		return
	}
	m := k.vec()
	k.compare(relation, a, b, m)
	VANDPS(m, v, v)
}

// withSign gives v, which has no sign, that of s. It uses up s.
func (k *points) withSign(s, v reg.VecVirtual) {
	k.and(k.signBit(), s, s)
	k.or(s, v, v)
}

// signed returns 1 with the sign of e.
func (k *points) signed(e reg.VecVirtual) reg.VecVirtual {
	unit := k.vec()
	k.and(k.signBit(), e, unit)
	k.or(k.constant(1), unit, unit)
	return unit
}

// scaled returns z = a·(x - t). It uses up x.
func (k *points) scaled(x, t reg.VecVirtual) reg.VecVirtual {
	k.sub(x, t, x)
	k.mul(k.scalar["a"], x, x)
	return x
}

func squaredParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	k.sub(x, t, x)
	k.mul(x, x, t)
	return t, func() reg.VecVirtual {
		return x
	}
}

func absoluteParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	k.sub(x, t, x)
	value := k.abs(x)
	return value, func() reg.VecVirtual {
		d := k.signed(x)
		k.clearUnless(notEqual, x, k.constant(0), d)
		return d
	}
}

func huberParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	k.sub(x, t, x)
	value, c := k.abs(x), t
	f(k.gen, VMINPS, VMINPD)(k.scalar["a"], value, c)
	k.fnma231(k.constant(0.5), c, value)
	k.mul(c, value, value)
	return value, func() reg.VecVirtual {
		k.withSign(x, c)
		return c
	}
}

// binaryParts: with q the cost of a unit of |x|, 1 - t for x >= 0, else t,
//
//	value = |x|·q + log1p(z), z = exp(-|x|)    slope = ±(q - z/(1+z)), + for x >= 0
func binaryParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	n := k.fill(k.logistic.num(1))
	k.sub(n, t, n)
	q, z, value := k.binaryValue(x, t, n, nil)
	return value, func() reg.VecVirtual {
		s := k.logistic.share(z)
		k.sub(s, q, s)
		k.flipWherePlus(x, s)
		return s
	}
}

// binaryOptionsParts: with p = a·t + b, n = a·(1-t) + b, p times the weight of the positive class,
// and q = n for x >= 0, else p,
//
//	value = |x|·q + (n+p)·log1p(z), z = exp(-|x|)    slope = ±(q - (n+p)·z/(1+z)), + for x >= 0
//
// n + p counts as 1 without the weights.
func binaryOptionsParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	n, keep, total := k.fill(k.logistic.num(1)), k.fill(k.scalar["a"]), k.fill(k.logistic.num(1))
	k.sub(n, t, n)
	k.fma213(k.scalar["b"], keep, t)
	k.fma213(k.scalar["b"], keep, n)
	k.aside(pointPositive, func(back LabelRef) {
		k.mul(k.get("v", 0), t, t)
		k.gen.add(n, t, total)
		JMP(back)
	})
	q, z, value := k.binaryValue(x, t, n, total)
	return value, func() reg.VecVirtual {
		s := k.logistic.share(z)
		k.mul(total, s, s)
		k.sub(s, q, s)
		k.flipWherePlus(x, s)
		return s
	}
}

// binaryValue returns |x|·q + total·log1p(z) with z = exp(-|x|) and q, which is n for x >= 0, else
// p; total is 1 where it is nil.
func (k *points) binaryValue(x, p, n, total reg.VecVirtual) (q, z, value reg.VecVirtual) {
	q = k.bySign(x, p, n)
	a := k.abs(x)
	z = k.logistic.expMinus(a)
	value = k.logistic.log1p(z)
	if total != nil {
		k.mul(total, value, value)
	}
	k.addProduct(q, a, value)
	return q, z, value
}

// focal returns the binary loss with q and z, the share s of the smaller probability and u = s +
// q·(1 - 2s).
func (k *points) focal(x, t reg.VecVirtual) (q, s, u, loss reg.VecVirtual) {
	n := k.fill(k.logistic.num(1))
	k.sub(n, t, n)
	q, z, loss := k.binaryValue(x, t, n, nil)
	s = k.logistic.share(z)
	u = k.fill(k.logistic.num(1))
	k.fnma231(k.constant(2), s, u)
	k.fma213(s, q, u)
	return q, s, u, loss
}

// focalParts: with w = a + b·t,
//
//	value = w·u²·l    slope = ±w·u·(u·(s - q) - 2·s·(1-s)·(2q-1)·l),  - for x >= 0
//
// u and s count as 0 where u³ is below the normal numbers: l and the slope are a small multiple of
// u² there.
func focalParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	w := k.fill(k.scalar["a"])
	k.fma231(k.scalar["b"], t, w)
	q, s, u, l := k.focal(x, t)
	least := k.constant(map[string]float64{"F32": 0x1p-44, "F64": 0x1p-343}[k.comp])
	k.clearUnless(notLess, u, least, u)
	k.mul(u, w, w)
	value := t
	k.mul(u, w, value)
	k.mul(l, value, value)
	return value, func() reg.VecVirtual {
		k.clearUnless(notLess, u, least, s)
		v := k.fill(k.logistic.num(1))
		k.sub(v, s, v)
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
		return u
	}
}

// focalPowerParts: with w = a + b·t and u^c by way of its logarithm,
//
//	value = w·u^c·l    slope = ±w·u^c·((s - q) - c·s·(1-s)·(2q-1)·l/u),  - for x >= 0
func focalPowerParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	w := k.fill(k.scalar["a"])
	k.fma231(k.scalar["b"], t, w)
	q, s, u, l := k.focal(x, t)
	rate := t
	k.larger(u, k.fill(k.constant(0x1p-1000)), u)
	k.div(l, u, rate)
	power := k.log(u, k.logistic.log)
	k.mul(k.scalar["c"], power, power)
	k.mul(k.logistic.expAny(power), w, w)
	k.mul(w, l, l)
	return l, func() reg.VecVirtual {
		k.mul(k.scalar["c"], rate, rate)
		k.mul(s, rate, rate)
		k.fnma231(s, rate, rate)
		k.sub(s, q, s)
		k.add(q, q, q)
		k.sub(q, k.constant(1), q)
		k.fnma231(q, rate, s)
		k.mul(w, s, s)
		k.flipWherePlus(x, s)
		return s
	}
}

// marginParts: with m = x·t, z = exp(-|m|) and its share s,
//
//	value = max(-m, 0) + log1p(z)    slope = -t·(s for m >= 0, else 1-s)
func marginParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	m := x
	k.mul(t, x, m)
	a := k.abs(m)
	z := k.logistic.expMinus(a)
	value := k.logistic.log1p(z)
	k.addWhereMinus(m, a, value)
	return value, func() reg.VecVirtual {
		s, rest := k.logistic.share(z), k.fill(k.logistic.num(1))
		k.sub(rest, s, rest)
		s = k.bySign(m, rest, s)
		k.xor(k.signBit(), t, t)
		k.mul(t, s, s)
		return s
	}
}

var (
	// (log cosh e - e²/2)/e⁴ and (tanh e - e)/e³ in e² for |e| <= 1, minimax: relative errors of
	// log cosh and tanh 2^-27.0 and 2^-27.7, for float64 2^-56.5 and 2^-56.2
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
func logCoshParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
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
	value := k.logistic.log1p(z)
	k.sub(a, g.constant(math.Ln2), twice)
	k.add(twice, value, value)
	value = g.where(less, a, k.logistic.num(1), small, value)
	return value, func() reg.VecVirtual {
		s := k.logistic.share(z)
		k.add(s, s, s)
		d := k.fill(k.logistic.num(1))
		k.sub(d, s, d)
		g.and(g.signBit(), e, s)
		g.or(s, d, d)
		tanh := k.logistic.polynomial(tanhCoefs[g.comp], least)
		k.mul(u, tanh, tanh)
		k.fma213(e, e, tanh)
		return g.where(less, a, k.logistic.num(1), tanh, d)
	}
}

// pseudoHuberParts: an e² that overflows makes the value NaN.
func pseudoHuberParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	e, value, root, den := x, t, k.vec(), k.vec()
	k.sub(x, t, e)
	k.mul(e, e, value)
	k.add(k.scalar["b"], value, root)
	k.sqrt(root, root)
	k.add(k.scalar["a"], root, den)
	k.mul(k.scalar["a"], value, value)
	k.div(value, den, value)
	return value, func() reg.VecVirtual {
		k.div(e, root, e)
		return e
	}
}

func charbonnierParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	e, root := x, t
	k.sub(x, t, e)
	k.mul(e, e, root)
	k.add(k.scalar["a"], root, root)
	k.sqrt(root, root)
	return k.fill(root), func() reg.VecVirtual {
		k.div(e, root, e)
		return e
	}
}

func cauchyParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	z, v, half := k.scaled(x, t), t, k.vec()
	k.mul(k.constant(0.5), z, half)
	k.mul(z, half, v)
	return k.logistic.log1pAny(v), func() reg.VecVirtual {
		k.add(k.constant(1), v, v)
		k.div(z, v, z)
		return z
	}
}

func poissonParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	rate := k.logistic.expAny(x)
	value := k.fill(rate)
	k.fnma231(t, x, value)
	return value, func() reg.VecVirtual {
		k.sub(rate, t, rate)
		return rate
	}
}

func gammaParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	neg := k.fill(x)
	k.xor(k.signBit(), neg, neg)
	e := k.logistic.expAny(neg)
	k.mul(t, e, e)
	value := k.vec()
	k.add(e, x, value)
	return value, func() reg.VecVirtual {
		k.set(k.constant(1), neg)
		k.sub(neg, e, e)
		return e
	}
}

// bernoulliParts: the divergence does not change when both logits change their signs, so that x is
// taken as <= 0. With p = σ(x) and h = t - x,
//
//	value = log(1 + p·(exp(h) - 1)) - p·h    slope = p·(1-p)·(x - t)
//
// and p·(1-p)·h²/2·(1 + (1-2p)·h/3) for small h: both have 2^-27 there.
func bernoulliParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	h, rest, rate, small := t, k.vec(), k.vec(), k.vec()
	k.sub(t, x, h)
	d := k.fill(h)
	a := k.abs(x)
	p := k.logistic.share(k.logistic.expMinus(a))
	k.flipWherePlus(x, h)
	k.set(k.constant(1), rest)
	k.sub(rest, p, rest) // 1-p
	k.mul(p, rest, rate)
	k.mul(rate, d, d)
	k.sub(rest, p, rest) // 1-2p
	k.mul(h, rest, rest)
	k.set(k.constant(1), small)
	k.fma231(k.constant(1.0/3), rest, small)
	k.mul(rate, small, small)
	k.mul(h, small, small)
	k.mul(h, small, small)
	k.mul(k.constant(0.5), small, small)

	value := k.logistic.expBelow(h, 620) // beyond, p may be 0 where p·exp(h) counts
	k.sub(value, k.constant(1), value)
	k.mul(p, value, value)
	value = k.logistic.log1pAny(value)
	k.fnma231(p, h, value)
	return k.where(less, k.abs(h), k.constant(0x1p-12), small, value), func() reg.VecVirtual {
		k.xor(k.signBit(), d, d)
		return d
	}
}
