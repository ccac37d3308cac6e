package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What the losses of logits are made of: z = exp(-a) for a >= 0, log(1 + z) and z/(1 + z). Numbers
// of type comp are computed with in that type.

// logistic holds the constants. Those of float32 are memory operands where they can be, because the
// losses need the registers.
type logistic struct {
	*gen
	exp   *expConsts // float64
	zero  float64    // a from which on exp(-a) is 0
	log   *logConsts
	table reg.VecVirtual             // 2^(j/8), for AVX-512
	regs  map[float64]reg.VecVirtual // constants in registers, for AVX-512
}

// num returns a constant: in a register where there are enough of them, because two loads in a
// cycle are soon used up.
func (l *logistic) num(v float64) Op {
	if r, ok := l.regs[v]; ok {
		return r
	}
	return l.constant(v)
}

// logistic loads the constants, so many of the logarithm's into registers as the loss leaves free.
func (g *gen) logistic(free int) *logistic {
	l := &logistic{gen: g, zero: beyond32}
	if g.comp == "F64" {
		low := g.vec()
		VMOVUPD(g.constant(-708), low) // exp(-708) is above 2^-1022
		l.exp, l.log = g.expConsts(g.zero(), low), g.logConsts()
		return l
	}
	if g.is512() {
		l.table, l.regs = g.vec(), map[float64]reg.VecVirtual{}
		VMOVUPS(eighths(), l.table)
		held := append([]float64{magic32, 8 * math.Log2E, eighthHi, eighthLo, l.zero, 1}, eighthCoefs...)
		for _, v := range append(held, log1pCoefs[:free]...) {
			l.regs[v] = g.held(v).(reg.VecVirtual)
		}
	}
	return l
}

// eighths is the table of 2^(j/8) that float32 exponentials look up.
func eighths() Mem {
	entries, _ := powers32.tables("F32")
	return entries
}

var (
	// (exp(r) - 1 - r)/r² for |r| <= ln 2/16, minimax: relative error of exp 2^-32.5
	eighthCoefs = []float64{0.5, 0.16668029129505157, 0.04166042059659958}
	// (log(1+z) - z)/z² for 0 <= z <= 1, minimax: relative error of the logarithm 2^-27.5
	log1pCoefs = []float64{-0.4999993145465851, 0.33330512046813965, -0.24958588182926178, 0.19695401191711426,
		-0.15355396270751953, 0.10680554062128067, -0.057664427906274796, 0.0202045738697052, -0.0033184699714183807}
)

// magic32 rounds to an integer that then stands in the low bits; ln 2/8 = eighthHi + eighthLo.
const (
	magic32  = 0x1.8p23
	eighthHi = 0x1.62e43p-4
	eighthLo = math.Ln2/8 - eighthHi
)

// beyond32 is where exp(-a) becomes 0 in float32: half of exp(-86.6433) is above 2^-126.
const beyond32 = 86.6433

// expMinus returns exp(-a) for a >= 0, 0 where that is below the normal numbers and NaN for NaN. It
// keeps a.
//
//	n = rint(-a·8·log2 e)    r = -a - n·ln 2/8    exp(-a) = 2^(n/8)·exp(r)
func (l *logistic) expMinus(a reg.VecVirtual) reg.VecVirtual {
	g := l.gen
	if g.comp == "F64" {
		neg := g.vec()
		VORPD(bitsConstant(1<<63, 8), a, neg)
		return g.exp([]reg.VecVirtual{neg}, l.exp)[0]
	}
	t, r := g.vec(), g.vec()
	g.set(l.num(magic32), t)
	g.fnma231(l.num(8*math.Log2E), a, t)
	n := l.integer(t)
	VMOVAPS(a, r)
	in(g, l.num(eighthHi), VFNMSUB231PS, nil, VFNMSUB231PS_BCST, nil)(l.num(eighthHi), n, r) // -n·hi - a
	s, q := l.power(t, n, r)
	// NaN stays: the predicate is "not greater".
	if g.is512() {
		k := K()
		g.compare(notGreater, a, l.num(l.zero), k)
		VFMADD213PS_Z(s, s, k, q)
		return q
	}
	VFMADD213PS(s, s, q)
	g.compare(notGreater, a, g.constant(l.zero), s)
	VANDPS(s, q, q)
	return q
}

// expAny returns exp(x), 0 where that is below the normal numbers and NaN for NaN and where it may
// be above all numbers. It keeps x.
func (l *logistic) expAny(x reg.VecVirtual) reg.VecVirtual { return l.expBelow(x, 709) }

// expBelow is expAny for which results may not count from top on: they are NaN.
func (l *logistic) expBelow(x reg.VecVirtual, top float64) reg.VecVirtual {
	g := l.gen
	nan, y := g.vec(), g.vec()
	if g.comp == "F64" {
		VMOVAPD(x, y)
		y = g.exp([]reg.VecVirtual{y}, l.exp)[0]
	} else {
		t, r := g.vec(), g.vec()
		g.set(l.num(magic32), t)
		g.fma231(l.num(8*math.Log2E), x, t)
		n := l.integer(t)
		VMOVAPS(x, r)
		g.fnma231(l.num(eighthHi), n, r)
		s, q := l.power(t, n, r)
		VFMADD213PS(s, s, q)
		g.set(g.constant(0), y)
		y, top = g.where(less, x, g.constant(-l.zero), y, q), 88
	}
	g.set(g.constant(math.NaN()), nan)
	return g.where(greater, x, g.constant(top), nan, y)
}

// integer returns the integer that stands in the low bits of t.
func (l *logistic) integer(t reg.VecVirtual) reg.VecVirtual {
	n := l.vec()
	l.sub(t, l.num(magic32), n)
	return n
}

// power completes the reduction in r with the integer n, which stands in the low bits of t too, and
// returns s = 2^(n/8) and q = exp(r) - 1.
func (l *logistic) power(t, n, r reg.VecVirtual) (s, q reg.VecVirtual) {
	g := l.gen
	g.fnma231(l.num(eighthLo), n, r)
	s = g.vec()
	if g.is512() {
		VPERMPS(l.table, t, s)
	} else {
		VPERMPS(eighths(), t, s)
	}
	VPSLLD(Imm(20), t, t)
	VPADDD(t, s, s)
	q = l.polynomial(eighthCoefs, r)
	VMULPS(r, q, q)
	VFMADD213PS(r, r, q) // r + r²·q
	return s, q
}

const notGreater = 10 // comparison predicate, true for NaN

// horner returns c[0] + c[1]·x + ..
func (g *gen) horner(c []float64, x reg.VecVirtual) reg.VecVirtual {
	p := g.vec()
	g.set(g.constant(c[len(c)-1]), p)
	for i := len(c) - 2; i >= 0; i-- {
		g.fma213(g.constant(c[i]), x, p)
	}
	return p
}

// polynomial is horner by pairs of terms, pairs of pairs and so on: the steps that must wait for
// each other are few.
func (l *logistic) polynomial(c []float64, x reg.VecVirtual) reg.VecVirtual {
	if len(c) > 10 { // as many registers are not to be had
		return l.horner(c, x)
	}
	var p []reg.VecVirtual
	for i := 0; i < len(c); i += 2 {
		v := l.vec()
		if i+1 == len(c) {
			l.set(l.num(c[i]), v)
		} else {
			l.set(l.num(c[i+1]), v)
			l.fma213(l.num(c[i]), x, v)
		}
		p = append(p, v)
	}
	for power := x; len(p) > 1; {
		square := l.vec()
		l.mul(power, power, square)
		power = square
		var next []reg.VecVirtual
		for i := 0; i < len(p); i += 2 {
			if i+1 < len(p) {
				l.fma231(p[i+1], power, p[i])
			}
			next = append(next, p[i])
		}
		p = next
	}
	return p[0]
}

// notBelow returns v, or the bound where that is larger or v is NaN. Below the bounds it is used
// with a polynomial does not change any more, and the powers of v would underflow, which takes a
// hundred times as long as a product.
func (l *logistic) notBelow(bound float64, v reg.VecVirtual) reg.VecVirtual {
	b := l.vec()
	l.set(l.num(bound), b)
	f(l.gen, VMAXPS, VMAXPD)(b, v, b)
	return b
}

// log1p returns log(1 + z) for 0 <= z <= 1 with its relative accuracy near 0. It keeps z.
func (l *logistic) log1p(z reg.VecVirtual) reg.VecVirtual {
	g := l.gen
	if g.comp == "F64" {
		return g.log1p(z, l.log)
	}
	q := l.polynomial(log1pCoefs, l.notBelow(0x1p-14, z))
	VMULPS(z, q, q)
	VFMADD213PS(z, z, q) // z + z·(z·q): z² may be too small
	return q
}

// (log(1+f) - f)/f² for √½ <= 1+f <= √2, minimax: relative error of the logarithm 2^-27.9
var log1pWideCoefs = []float64{-0.49999988079071045, 0.33333325386047363, -0.25001582503318787, 0.2000197321176529,
	-0.16609083116054535, 0.14181827008724213, -0.13242988288402557, 0.12904423475265503, -0.0762176439166069}

// log1pAny returns log(1 + v) for v >= -½ with its relative accuracy near 0, and NaN where v may be
// above all numbers. It keeps v.
//
//	1 + v = 2^k·(1 + f) with √½ <= 1+f < √2, where f = 2^-k·v + (2^-k - 1)    log(1+v) = k·log 2 + log(1+f)
func (l *logistic) log1pAny(v reg.VecVirtual) reg.VecVirtual {
	g := l.gen
	e, scale, f0 := g.vec(), g.vec(), g.vec()
	g.set(g.constant(1), e)
	g.add(e, v, e)
	var k, q reg.VecVirtual
	if g.comp == "F32" {
		const one, sqrtHalf = 0x3f800000, 0x3f3504f3
		in(g, bitsConstant(one-sqrtHalf, 4), VPADDD, nil, VPADDD_BCST, nil)(bitsConstant(one-sqrtHalf, 4), e, e)
		VPSRLD(Imm(23), e, e)
		g.set(bitsConstant(254, 4), scale)
		VPSUBD(e, scale, scale)
		VPSLLD(Imm(23), scale, scale)
		k = e
		g.or(g.constant(0x1p23), k, k)
		g.sub(k, g.constant(0x1p23+127), k)
	} else {
		const one, sqrtHalf = 0x3ff0000000000000, 0x3fe6a09e667f3bcd
		g.addq(bitsConstant(one-sqrtHalf, 8), e, e)
		VPSRLQ(Imm(52), e, e)
		g.set(bitsConstant(2046, 8), scale)
		VPSUBQ(e, scale, scale)
		VPSLLQ(Imm(52), scale, scale)
		k = e
		g.or(g.constant(0x1p52), k, k)
		g.sub(k, g.constant(0x1p52+1023), k)
	}
	g.sub(scale, g.constant(1), f0)
	g.fma231(v, scale, f0)
	if g.comp == "F32" {
		q = g.horner(log1pWideCoefs, f0)
		VMULPS(f0, q, q)
		VFMADD213PS(f0, f0, q)
	} else {
		den := g.vec()
		g.add(g.constant(2), f0, den)
		q = g.atanh2(f0, den, l.log)
	}
	g.fma231(g.constant(math.Ln2), k, q)
	nan := g.vec()
	g.set(g.constant(math.NaN()), nan)
	return g.where(greater, v, g.constant(0x1p100), nan, q)
}

// share returns z/(1 + z), the smaller of the two probabilities. It uses up z.
func (l *logistic) share(z reg.VecVirtual) reg.VecVirtual {
	g, den := l.gen, l.gen.vec()
	g.add(l.num(1), z, den)
	f(g, VDIVPS, VDIVPD)(den, z, z)
	return z
}

// signBit is the constant of the sign alone, magnitudeBits that of all other bits.
func (g *gen) signBit() Mem {
	if g.comp == "F32" {
		return bitsConstant(1<<31, 4)
	}
	return bitsConstant(1<<63, 8)
}

func (g *gen) magnitudeBits() Mem {
	if g.comp == "F32" {
		return bitsConstant(math.MaxInt32, 4)
	}
	return bitsConstant(math.MaxInt64, 8)
}

// abs returns |v|. It keeps v.
func (g *gen) abs(v reg.VecVirtual) reg.VecVirtual {
	a := g.vec()
	g.and(g.magnitudeBits(), v, a)
	return a
}

// bySign returns minus in the lanes where the sign of v is set and plus, which it uses up, in the
// others.
func (g *gen) bySign(v, minus, plus reg.VecVirtual) reg.VecVirtual {
	if g.is512() {
		k := K()
		f(g, VPMOVD2M, VPMOVQ2M)(v, k)
		g.moveWhere(k, minus, plus)
		return plus
	}
	f(g, VBLENDVPS, VBLENDVPD)(v, minus, plus, plus)
	return plus
}

// addWhereMinus adds a to dst in the lanes where the sign of v is set.
func (g *gen) addWhereMinus(v, a, dst reg.VecVirtual) {
	if g.is512() {
		k := K()
		f(g, VPMOVD2M, VPMOVQ2M)(v, k)
		if g.comp == "F32" {
			VADDPS(a, dst, k, dst)
		} else {
			VADDPD(a, dst, k, dst)
		}
		return
	}
	zero := g.vec()
	VXORPS(zero, zero, zero)
	g.add(g.bySign(v, a, zero), dst, dst)
}

func (g *gen) moveWhere(k reg.Register, from, to reg.VecVirtual) {
	if g.comp == "F32" {
		VMOVAPS(from, k, to)
		return
	}
	VMOVAPD(from, k, to)
}

// where returns yes in the lanes where a stands in the relation to b, and no, which it uses up, in
// the others.
func (g *gen) where(relation int, a reg.VecVirtual, b Op, yes, no reg.VecVirtual) reg.VecVirtual {
	if g.is512() {
		k := K()
		g.compare(relation, a, b, k)
		g.moveWhere(k, yes, no)
		return no
	}
	m := g.vec()
	g.compare(relation, a, b, m)
	f(g, VBLENDVPS, VBLENDVPD)(m, yes, no, no)
	return no
}

// addProduct adds a·b to dst, nothing where a is 0: an infinite b has no part there. It uses up b.
func (g *gen) addProduct(a, b, dst reg.VecVirtual) {
	if g.is512() {
		k := K()
		g.compare(notEqual, a, g.constant(0), k)
		if g.comp == "F32" {
			VFMADD231PS(b, a, k, dst)
		} else {
			VFMADD231PD(b, a, k, dst)
		}
		return
	}
	m := g.vec()
	g.compare(notEqual, a, g.constant(0), m)
	g.and(m, b, b)
	g.fma231(b, a, dst)
}

// flipWherePlus changes the sign of v in the lanes where that of x is not set. It uses up x.
func (g *gen) flipWherePlus(x, v reg.VecVirtual) {
	if g.is512() {
		const xorAndNot = 0xd2 // a xor (c and not b)
		f(g, VPTERNLOGD_BCST, VPTERNLOGQ_BCST)(Imm(xorAndNot), g.signBit(), x, v)
		return
	}
	f(g, VANDNPS, VANDNPD)(g.signBit(), x, x)
	g.xor(x, v, v)
}
