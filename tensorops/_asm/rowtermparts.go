package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The terms of the losses of rows.

func absoluteTerms(r *rowTerms, x, t reg.VecVirtual) (reg.VecVirtual, [2]slope) {
	r.sub(x, t, x)
	sign := func() reg.VecVirtual {
		d := r.signed(x)
		r.clearUnless(notEqual, x, r.constant(0), d)
		return d
	}
	return r.abs(x), [2]slope{sign, func() reg.VecVirtual {
		r.xor(r.signBit(), x, x)
		return sign()
	}}
}

// rootTerms: √x - √t = (x - t)/(√x + √t).
func rootTerms(r *rowTerms, x, t reg.VecVirtual) (reg.VecVirtual, [2]slope) {
	below := map[string]float64{"F32": 0x1p-75, "F64": 0x1p-540}[r.comp] // all roots but 0
	rx, rt, w, sum := r.vec(), r.vec(), r.vec(), r.vec()
	r.sqrt(x, rx)
	r.sqrt(t, rt)
	r.mul(rx, rt, w)
	r.accumulate(w, r.products)
	r.larger(rx, r.fill(r.constant(below)), rx)
	r.sub(x, t, w)
	r.add(rx, rt, sum)
	r.div(w, sum, w)
	r.mul(w, w, w)
	return w, [2]slope{func() reg.VecVirtual {
		r.div(rt, rx, rx)
		r.clearUnless(notEqual, x, r.constant(0), rx)
		return rx
	}, func() reg.VecVirtual {
		d := r.vec()
		r.larger(rt, r.fill(r.constant(below)), d)
		r.div(rx, d, d)
		r.clearUnless(notEqual, t, r.constant(0), d)
		r.clearUnless(notEqual, x, r.constant(0), d)
		return d
	}}
}

// normal is the smallest normal number of float64.
func (g *gen) normal() Mem { return g.constant(0x1p-1022) }

// spoil makes term NaN in the lanes where v is no normal number but those where m is 0.
func (r *rowTerms) spoil(term, v, m reg.VecVirtual) {
	bad := r.vec()
	r.compare(less, v, r.normal(), bad)
	if m != nil {
		r.and(m, bad, bad)
	}
	r.or(bad, term, term)
}

// where0 returns all bits in the lanes where v is not 0.
func (r *rowTerms) where0(v reg.VecVirtual) reg.VecVirtual {
	m := r.vec()
	r.compare(notEqual, v, r.constant(0), m)
	return m
}

func squareTerms(r *rowTerms, x, t reg.VecVirtual) (reg.VecVirtual, [2]slope) {
	q, e, term := r.vec(), r.vec(), r.vec()
	r.larger(x, r.fill(r.normal()), q)
	r.div(t, q, q)
	r.sub(t, x, e)
	r.sub(q, r.constant(1), term)
	r.mul(e, term, term)
	r.spoil(term, x, r.where0(t))
	return term, [2]slope{func() reg.VecVirtual {
		r.mul(q, q, q)
		return q
	}, func() reg.VecVirtual { return q }}
}

// quotientLog returns log(num/den) of normal numbers, with its relative accuracy near 0.
//
//	num = 2^k·n with ⅔ <= n/den <= 3/2    log(num/den) = k·ln 2 + 2·atanh((n-den)/(n+den))
//
// The difference of the numbers' bits is 2^52·log2 of the quotient, within 0.09·2^52. gap is num -
// den where that is known better; it is used up.
func (r *rowTerms) quotientLog(num, den, gap reg.VecVirtual) reg.VecVirtual {
	const bias = 1 << 63 // of k, in the place of the exponent
	d, k, n, sum := r.vec(), r.vec(), r.vec(), r.vec()
	VPSUBQ(den, num, d)
	r.addq(bitsConstant(bias+1<<51, 8), d, d)
	r.and(bitsConstant(0xfff<<52, 8), d, k)
	VPSUBQ(k, num, n)
	r.xor(bitsConstant(bias, 8), n, n)
	r.add(n, den, sum)
	r.sub(n, den, n)
	if gap != nil {
		VPCMPEQQ(bitsConstant(bias, 8), k, k)
		VBLENDVPD(k, gap, n, n)
	}
	var series []float64
	for odd := 3.0; odd <= 21; odd += 2 {
		series = append(series, 2/odd)
	}
	z := sum
	r.div(n, sum, n)
	r.mul(n, n, z)
	l := r.split(series, z)
	r.mul(z, l, l)
	r.add(n, n, z)
	r.fma213(z, n, l)
	VPSRLQ(Imm(52), d, d)
	r.or(r.constant(0x1p52), d, d)
	r.sub(d, r.constant(0x1p52+2048), d)
	r.fma231(r.constant(math.Ln2), d, l)
	return l
}

// split returns c[0] + c[1]·x + .., the even and the odd terms apart: half as many steps wait for each
// other.
func (r *rowTerms) split(c []float64, x reg.VecVirtual) reg.VecVirtual {
	square := r.vec()
	r.mul(x, x, square)
	var half [2][]float64
	for i, v := range c {
		half[i%2] = append(half[i%2], v)
	}
	even, odd := r.horner(half[0], square), r.horner(half[1], square)
	r.fma231(x, odd, even)
	return even
}

// powerTerms: t·(x/t)^β = t·exp(-β·log(t/x)). Where the exponent is so large that digits may be lost
// the term is NaN.
func powerTerms(r *rowTerms, x, t reg.VecVirtual) (reg.VecVirtual, [2]slope) {
	nx, nt, none, m := r.vec(), r.vec(), r.vec(), r.vec()
	low := r.fill(r.normal())
	r.larger(x, low, nx)
	r.larger(t, low, nt)
	r.compare(equal, t, r.constant(0), none)
	r.and(r.p[1], none, none)
	r.compare(equal, x, r.constant(0), m)
	r.and(r.p[2], m, m)
	r.or(m, none, none)
	kept := AllocLocal(32)
	VMOVUPS(none, kept)
	y := r.quotientLog(nt, nx, nil)
	r.mul(r.p[0], y, y)
	size := r.abs(y)
	r.compare(greater, size, r.constant(700), size)
	term := r.logistic.expAny(y)
	r.mul(t, term, term)
	r.or(size, term, term)
	r.spoil(term, x, nil)
	r.spoil(term, t, nil)
	VMOVUPS(kept, none)
	VANDNPD(term, none, term)
	over := func(v reg.VecVirtual) slope {
		return func() reg.VecVirtual {
			r.div(term, v, v)
			return v
		}
	}
	return term, [2]slope{over(nx), over(nt)}
}

func quotientTerms(r *rowTerms, x, t reg.VecVirtual) (reg.VecVirtual, [2]slope) {
	num, nx, live := r.fill(r.p[1]), r.vec(), r.where0(t)
	r.fma231(r.p[0], t, num)
	r.larger(x, r.fill(r.normal()), nx)
	l := r.quotientLog(num, nx, nil)
	r.lesser(x, num, num)
	term := r.vec()
	r.mul(t, l, term)
	r.and(live, term, term)
	r.spoil(term, num, live)
	return term, [2]slope{func() reg.VecVirtual {
		v := r.fill(t)
		r.xor(r.signBit(), v, v)
		r.fma231(r.p[2], nx, v)
		r.div(v, nx, v)
		return v
	}, func() reg.VecVirtual {
		r.add(r.p[2], l, l)
		r.or(r.p[3], live, live)
		r.and(live, l, l)
		return l
	}}
}

func logTerms(r *rowTerms, x, t reg.VecVirtual) (reg.VecVirtual, [2]slope) {
	live, l, term := r.where0(t), r.quotientLog(t, r.fill(r.constant(1)), nil), r.vec()
	r.sub(l, x, l)
	r.mul(t, l, term)
	r.and(live, term, term)
	r.spoil(term, t, live)
	return term, [2]slope{func() reg.VecVirtual { return t }, func() reg.VecVirtual {
		r.add(r.constant(1), l, l)
		r.and(live, l, l)
		return l
	}}
}

func logTargetTerms(r *rowTerms, x, t reg.VecVirtual) (reg.VecVirtual, [2]slope) {
	e, gap, term := r.logistic.expAny(t), r.vec(), r.vec()
	live := r.where0(e)
	r.sub(t, x, gap)
	r.mul(e, gap, term)
	r.and(live, term, term)
	return term, [2]slope{func() reg.VecVirtual { return e }, func() reg.VecVirtual {
		r.add(term, e, e)
		return e
	}}
}

// mixedTerms takes the differences of the numbers from the mixture from that of the numbers, which
// is exact where it is small.
func mixedTerms(r *rowTerms, x, t reg.VecVirtual) (reg.VecVirtual, [2]slope) {
	m, gap, low := r.vec(), r.vec(), r.fill(r.normal())
	r.mul(r.p[0], t, m)
	r.fma231(r.p[1], x, m)
	r.larger(m, low, m)
	r.sub(t, x, gap)
	part := func(v reg.VecVirtual, gap, own, other Op) (l, term reg.VecVirtual) {
		d, nv := r.vec(), r.vec()
		r.mul(other, gap.(reg.VecVirtual), d)
		r.larger(v, low, nv)
		l = r.quotientLog(nv, m, d)
		r.mul(own, l, l)
		r.clearUnless(notEqual, v, r.constant(0), l)
		term = nv
		r.mul(v, l, term)
		return l, term
	}
	lt, term := part(t, gap, r.p[0], r.p[1])
	r.xor(r.signBit(), gap, gap)
	lx, own := part(x, gap, r.p[1], r.p[0])
	r.add(own, term, term)
	for _, v := range []reg.VecVirtual{x, t} {
		r.spoil(term, v, r.where0(v))
	}
	return term, [2]slope{func() reg.VecVirtual { return lx }, func() reg.VecVirtual { return lt }}
}
