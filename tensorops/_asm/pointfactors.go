package main

import "github.com/mmcloughlin/avo/reg"

// gaussianParts: exp(x) - 1 - x by the series where it would cancel; there that plus x is exp(x) -
// 1 to all digits.
func gaussianParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	// the first term left out is below 2^-26 of the result, for float64 2^-47
	terms, bound := 9, 1.0
	if k.comp == "F64" {
		terms, bound = 12, 0.5
	}
	var series []float64
	for n, factorial := 2, 2.0; n < 2+terms; n++ {
		series = append(series, 1/factorial)
		factorial *= float64(n + 1)
	}
	small, large := k.horner(series, x), k.logistic.expAny(x)
	k.mul(x, small, small)
	k.mul(x, small, small)
	k.sub(large, k.constant(1), large)
	bend := k.vec()
	k.sub(large, x, bend)
	bend = k.where(less, k.abs(x), k.constant(bound), small, bend)
	value := k.fill(bend)
	k.fma231(t, t, value)
	k.mul(k.constant(0.5), value, value)
	return value, func() reg.VecVirtual {
		k.add(bend, x, bend)
		d := k.where(less, k.abs(x), k.constant(bound), bend, large)
		k.mul(k.constant(0.5), d, d)
		return d
	}
}

// asymmetricParts: with p = σ(x), n = 1 - p, m = p - c and the powers by way of their logarithms,
//
//	value = t·n^a·-log p + (1-t)·m^b·-log(1-m)
//	slope = -t·n^a·(a·p·-log p + n) + (1-t)·m^b·(1/(1-m) + b/m·-log(1-m))·p·n
//
// where the second terms are 0 for m <= 0.
func asymmetricParts(k *points, x, t reg.VecVirtual) (reg.VecVirtual, slope) {
	size := k.abs(x)
	z := k.logistic.expMinus(size)
	l := k.logistic.log1p(z)
	s, rest, zero := k.logistic.share(z), k.fill(k.constant(1)), k.fill(k.constant(0))
	k.sub(rest, s, rest)
	p, n := k.bySign(x, s, k.fill(rest)), k.bySign(x, rest, k.fill(s))
	won, lost := k.fill(x), x
	k.larger(lost, zero, lost)
	k.xor(k.signBit(), won, won)
	k.larger(won, k.fill(k.constant(0)), won)
	k.add(l, won, won)   // -log p
	k.add(l, lost, lost) // -log n
	up := lost
	k.mul(k.scalar["a"], up, up)
	up = k.logistic.expMinus(up)

	m, no := k.fill(p), k.fill(k.constant(1))
	k.sub(m, k.scalar["c"], m)
	k.larger(m, zero, m)
	low, cost := k.fill(m), k.fill(m)
	k.larger(low, k.fill(k.constant(0x1p-1000)), low)
	down := k.log(k.fill(low), k.logistic.log)
	k.mul(k.scalar["b"], down, down)
	down = k.logistic.expAny(down)
	k.clearUnless(greater, m, k.constant(0), down)
	k.xor(k.signBit(), cost, cost)
	cost = k.logistic.log1pAny(cost)
	k.xor(k.signBit(), cost, cost)
	k.sub(no, t, no)
	k.mul(t, up, up)
	k.mul(no, down, down)
	value := k.fill(won)
	k.mul(up, value, value)
	k.fma231(cost, down, value)
	return value, func() reg.VecVirtual {
		k.mul(k.scalar["b"], cost, cost)
		k.div(cost, low, cost)
		part := k.fill(n)
		k.add(k.scalar["c"], part, part) // 1 - m
		one := k.fill(k.constant(1))
		k.div(one, part, part)
		k.add(cost, part, part)
		k.mul(p, part, part)
		k.mul(n, part, part)
		k.mul(down, part, part)
		k.mul(k.scalar["a"], won, won)
		k.mul(p, won, won)
		k.add(n, won, won)
		k.fnma231(won, up, part)
		return part
	}
}
