package main

import (
	"math"

	"github.com/mmcloughlin/avo/reg"
)

func quantileParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	e, value, low := x, t, k.vec()
	k.sub(x, t, e)
	k.mul(k.scalar["a"], e, value)
	k.mul(k.scalar["b"], e, low)
	k.larger(low, value, value)
	return value, func() reg.VecVirtual {
		d := k.bySign(e, k.fill(k.scalar["b"]), k.fill(k.scalar["a"]))
		return k.where(equal, e, k.constant(0), k.fill(k.scalar["c"]), d)
	}
}

func expectileParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	e, value := x, t
	k.sub(x, t, e)
	d := k.bySign(e, k.fill(k.scalar["b"]), k.fill(k.scalar["a"]))
	k.mul(e, d, d)
	k.mul(e, d, value)
	return value, func() reg.VecVirtual {
		return d
	}
}

func insensitiveParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	e, value := x, t
	k.sub(x, t, e)
	m := k.abs(e)
	k.sub(m, k.fill(k.scalar["a"]), value)
	k.larger(value, k.fill(k.constant(0)), value)
	return value, func() reg.VecVirtual {
		d := k.signed(e)
		k.clearUnless(greater, m, k.scalar["a"], d)
		return d
	}
}

func relativeParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	e, m := x, k.abs(t)
	k.sub(x, t, e)
	k.larger(m, k.fill(k.scalar["a"]), m)
	value := k.abs(e)
	k.div(value, m, value)
	return value, func() reg.VecVirtual {
		d := k.signed(e)
		k.div(d, m, d)
		k.clearUnless(notEqual, e, k.constant(0), d)
		return d
	}
}

// symmetricParts works with half of the sum of the sizes, which does not overflow; 0 counts as the
// smallest number. The derivative is 0 where the signs differ or x = t, and for x = 0 the mean of
// its sides.
func symmetricParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	e, value, size, b := k.vec(), k.vec(), k.vec(), k.abs(t)
	k.sub(x, t, e)
	k.and(k.magnitudeBits(), x, size)
	k.mul(k.constant(0.5), size, size)
	k.fma231(k.constant(0.5), b, size)
	k.larger(size, k.fill(k.constant(map[string]float64{"F32": 0x1p-149, "F64": 0x1p-1074}[k.comp])), size)
	k.and(k.magnitudeBits(), e, value)
	k.div(value, size, value)
	return value, func() reg.VecVirtual {
		k.div(b, size, b)
		k.div(b, size, b)
		half := k.vec()
		k.mul(k.constant(0.5), b, half)
		k.xor(x, t, t)
		full := k.bySign(t, k.fill(k.constant(0)), b)
		d := k.where(equal, x, k.constant(0), half, full)
		k.clearUnless(notEqual, e, k.constant(0), d)
		k.withSign(e, d)
		return d
	}
}

func hingeParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	m, value := x, k.fill(k.scalar["a"])
	k.mul(t, x, m)
	k.sub(value, m, value)
	k.larger(value, k.fill(k.constant(0)), value)
	return value, func() reg.VecVirtual {
		k.xor(k.signBit(), t, t)
		k.clearUnless(less, m, k.scalar["a"], t)
		return t
	}
}

func bentHingeParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	short, c, value := k.fill(k.constant(1)), k.fill(k.scalar["a"]), k.vec()
	k.fnma231(t, x, short)
	k.larger(short, k.fill(k.constant(0)), short)
	k.lesser(short, c, c)
	k.add(short, short, value)
	k.sub(value, c, value)
	k.mul(c, value, value)
	return value, func() reg.VecVirtual {
		k.xor(k.signBit(), t, t)
		k.mul(t, c, c)
		return c
	}
}

func embeddingParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	short := k.fill(k.scalar["a"])
	k.sub(short, x, short)
	k.larger(short, k.fill(k.constant(0)), short)
	value := k.bySign(t, short, k.fill(x))
	return value, func() reg.VecVirtual {
		pull := k.fill(k.constant(-1))
		k.clearUnless(less, x, k.scalar["a"], pull)
		return k.bySign(t, pull, k.fill(k.constant(1)))
	}
}

// logGapParts takes the logarithm of the ratio of 1 + p and 1 + q from their difference, which
// keeps its digits.
func logGapParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	floor := k.fill(k.scalar["a"])
	p, v := k.vec(), k.vec()
	k.larger(x, floor, p)
	k.larger(t, floor, t)
	k.lesser(p, t, v)
	k.add(k.constant(1), v, v)
	k.sub(p, t, t)
	m := k.abs(t)
	k.div(m, v, v)
	size := k.logistic.log1pAny(v)
	k.mul(size, size, m)
	return m, func() reg.VecVirtual {
		k.withSign(t, size)
		k.add(k.constant(1), p, p)
		k.div(size, p, size)
		k.clearUnless(notLess, x, k.scalar["a"], size)
		return size
	}
}

func wingParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	e, near := x, k.fill(k.scalar["a"])
	k.sub(x, t, e)
	m := k.abs(e)
	k.lesser(m, near, near)
	k.div(near, k.fill(k.scalar["b"]), near)
	log := k.logistic.log1pAny(near)
	k.mul(k.scalar["a"], log, log)
	value := t
	k.sub(m, k.fill(k.scalar["c"]), value)
	value = k.where(less, m, k.scalar["a"], log, value)
	return value, func() reg.VecVirtual {
		d, den := k.fill(k.scalar["a"]), k.fill(k.scalar["b"])
		k.add(m, den, den)
		k.div(d, den, d)
		d = k.where(less, m, k.scalar["a"], d, k.fill(k.constant(1)))
		k.clearUnless(notEqual, e, k.constant(0), d)
		k.withSign(e, d)
		return d
	}
}

func gemanMcClureParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	z, square, den, y := k.scaled(x, t), t, k.fill(k.constant(1)), k.fill(k.constant(1))
	k.mul(z, z, square)
	k.fma231(k.constant(0.25), square, den)
	k.div(y, den, y)
	k.mul(y, square, square)
	k.mul(k.constant(0.5), square, square)
	return square, func() reg.VecVirtual {
		k.mul(y, y, y)
		k.mul(y, z, z)
		return z
	}
}

// expLess1 returns exp(v) - 1 for v <= 0 or small v > 0, with e = exp(v), by the series where that
// would cancel.
func (k *points) expLess1(v, e reg.VecVirtual) reg.VecVirtual {
	// the first term left out is below 2^-51 of the result, for float32 2^-39
	terms, bound := 10, 0x1p-3
	if k.wide() {
		terms, bound = 3, 0x1p-12
	}
	var series []float64
	for n, factorial := 1, 1.0; n <= terms; n++ {
		factorial *= float64(n)
		series = append(series, 1/factorial)
	}
	small, large := k.horner(series, v), k.vec()
	k.mul(v, small, small)
	k.sub(e, k.constant(1), large)
	return k.where(less, k.abs(v), k.constant(bound), small, large)
}

func welschParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	z, v := k.scaled(x, t), t
	k.mul(z, z, v)
	k.mul(k.constant(-0.5), v, v)
	e := k.logistic.expAny(v)
	value := k.expLess1(v, e)
	k.xor(k.signBit(), value, value)
	return value, func() reg.VecVirtual {
		k.clearUnless(notEqual, e, k.constant(0), z) // an infinite z
		k.mul(e, z, z)
		return z
	}
}

func tukeyParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	z, w, one := k.scaled(x, t), k.fill(k.constant(1)), k.fill(k.constant(1))
	k.lesser(z, one, z)
	k.larger(z, k.fill(k.constant(-1)), z)
	k.fnma231(z, z, w)
	value := t
	k.add(w, one, value)
	k.fma231(w, w, value)
	k.mul(z, value, value)
	k.mul(z, value, value)
	return value, func() reg.VecVirtual {
		k.mul(w, w, w)
		k.mul(w, z, z)
		return z
	}
}

func barronParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	z, q := k.scaled(x, t), t
	k.mul(z, z, q)
	k.mul(k.scalar["b"], q, q)
	u := k.logistic.log1pAny(q)
	k.mul(k.scalar["c"], u, u)
	e := k.logistic.expAny(u)
	return k.expLess1(u, e), func() reg.VecVirtual {
		k.add(k.constant(1), q, q)
		k.div(z, q, z)
		k.mul(e, z, z)
		return z
	}
}

func tweedieParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	up, down := k.fill(x), x
	k.mul(k.scalar["b"], up, up)
	up = k.logistic.expAny(up)
	k.mul(k.scalar["a"], down, down)
	down = k.logistic.expAny(down)
	k.mul(t, down, down)
	value := t
	k.mul(k.scalar["b"], down, value)
	low := k.vec()
	k.mul(k.scalar["a"], up, low)
	k.sub(low, value, value)
	return value, func() reg.VecVirtual {
		k.sub(up, down, up)
		return up
	}
}

// negativeBinomialParts: with g = x + a, z = exp(-|g|) and the logarithm h = log1p(z), log1p(u) = h
// + max(g, 0) and log1p(u) - x = h + max(a, -x).
func negativeBinomialParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	g := k.vec()
	k.add(k.scalar["a"], x, g)
	size := k.abs(g)
	z := k.logistic.expMinus(size)
	rise := k.logistic.log1p(z)
	fall := size
	k.xor(k.signBit(), x, x)
	k.larger(x, k.fill(k.scalar["a"]), fall)
	k.add(rise, fall, fall)
	above := k.fill(g)
	k.larger(above, k.fill(k.constant(0)), above)
	k.add(above, rise, rise)
	k.mul(k.scalar["b"], rise, rise)
	k.fma231(fall, t, rise)
	return rise, func() reg.VecVirtual {
		low, d := k.fill(k.scalar["b"]), k.fill(k.scalar["b"])
		k.mul(z, low, low)
		k.sub(low, t, low)
		k.fnma231(t, z, d)
		d = k.bySign(g, low, d)
		k.add(k.constant(1), z, z)
		k.div(d, z, d)
		return d
	}
}

// probabilityParts: a probability of 0 or 1 makes the value NaN.
func probabilityParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	won, lost, share := k.fill(x), k.fill(x), k.fill(k.constant(1))
	k.sub(share, t, share)
	won = k.log(won, k.logistic.log)
	k.mul(t, won, won)
	k.xor(k.signBit(), lost, lost)
	lost = k.logistic.log1pAny(lost)
	k.fma213(won, share, lost)
	k.xor(k.signBit(), lost, lost)
	rest, inside := k.fill(k.constant(1)), share
	k.sub(rest, x, rest)
	k.lesser(x, rest, inside) // the smaller of p and 1-p
	value := k.where(greater, inside, k.constant(0), lost, k.fill(k.constant(math.NaN())))
	return value, func() reg.VecVirtual {
		k.sub(x, t, t)
		k.mul(x, rest, rest)
		k.div(t, rest, t)
		return t
	}
}
