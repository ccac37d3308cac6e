package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// expCoefficients approximate e^r on |r| <= ln 2/2 with a relative error of 2^-57.9 (minimax).
var expCoefficients = []float64{1, 1, 0.5000000000000011, 0.1666666666666641, 0.041666666666529725, 0.008333333333494976,
	0.0013888888943759984, 0.00019841269505773806, 2.480149294961707e-05, 2.755758680384707e-06, 2.7630306255647857e-07, 2.500001885308334e-08}

const (
	magic = 6755399441055744.0 // 1.5·2^52: adding it rounds to an integer that then stands in the low bits
	ln2Lo = 2.3190468138462996e-17
)

// reduction splits x = n·ln 2 + r with an integer n and |r| <= ln 2/2.
type reduction struct {
	s                       isa
	log2e, magic, hi, lo    Op
	lowest, highest         Op
	half, exponentOfOne     Op
	n, r                    reg.VecVirtual
	scaleFirst, scaleSecond reg.VecVirtual
}

func newReduction(s isa) *reduction {
	return &reduction{s: s, log2e: s.f64(math.Log2E), magic: s.f64(magic), hi: s.f64(math.Ln2), lo: s.f64(ln2Lo),
		lowest: s.f64(-746), highest: s.f64(710), half: s.f64(0.5), exponentOfOne: s.f64(1)}
}

// split computes n, r and 2^n as a product of two powers, because n ranges beyond the exponents. A NaN stays in r.
func (d *reduction) split(x reg.VecVirtual) {
	s := d.s
	c := s.vec()
	VMAXPD(x, s.in(d.lowest), c) // the first operand of Go's order is returned for a NaN
	VMINPD(c, s.in(d.highest), c)
	t := s.fma(c, d.log2e, d.magic)
	d.n = s.sub(t, d.magic)
	d.r = s.fnma(d.n, d.lo, s.fnma(d.n, d.hi, c))
	t1 := s.fma(d.n, d.half, d.magic)
	n2 := s.sub(d.n, s.sub(t1, d.magic))
	d.scaleFirst = d.power(t1)
	d.scaleSecond = d.power(s.add(n2, d.magic))
}

// power returns 2^k for the integer k in the low bits of t.
func (d *reduction) power(t reg.VecVirtual) reg.VecVirtual {
	v := d.s.vec()
	VPSLLQ(Imm(52), t, v)
	VPADDQ(d.exponentOfOne, v, v)
	return v
}

// exp: e^x = 2^n·P(r).
func (s isa) exp() func(x reg.VecVirtual) reg.VecVirtual {
	d, c := newReduction(s), s.all(expCoefficients)
	return func(x reg.VecVirtual) reg.VecVirtual {
		d.split(x)
		return s.mul(s.mul(s.horner(d.r, c), d.scaleFirst), d.scaleSecond)
	}
}

// expm1: e^x - 1 = 2^n·(r·Q(r)) + (2^n - 1) with r·Q(r) = e^r - 1.
func (s isa) expm1() func(x reg.VecVirtual) reg.VecVirtual {
	d, c := newReduction(s), s.all(expCoefficients[1:])
	one := s.f64(1)
	return func(x reg.VecVirtual) reg.VecVirtual {
		d.split(x)
		q := s.mul(s.horner(d.r, c), d.r)
		scale := s.mul(d.scaleFirst, d.scaleSecond)
		// Near the largest exponent 2^n alone overflows: the halves are applied in turn.
		small := s.fma(q, scale, s.sub(scale, one))
		large := s.mul(s.mul(s.add(q, one), d.scaleFirst), d.scaleSecond)
		return s.choose(s.cmp(less, s.f64(1000), d.n), large, small)
	}
}

// The coefficients of log((1+s)/(1-s)) as in FreeBSD's e_log.c, which Go's math.Log cites too: error below 1 ulp.
var logCoefficients = []float64{6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
	1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01}

// logarithm holds the constants of the logarithm.
type logarithm struct {
	s                                              isa
	tiny, lift, liftBits, root, bias, exponents    Op
	two52, two52Bias, one, two, half, hi, lo, zero Op
	inf, minusInf, nan                             Op
	c                                              []Op
}

func newLogarithm(s isa) *logarithm {
	return &logarithm{s: s,
		tiny: s.f64(0x1p-1022), lift: s.f64(0x1p54), liftBits: s.f64(54),
		root: s.u64(0x3fe6a09e667f3bcd), bias: s.u64(1024 << 52), exponents: s.u64(0xfff << 52),
		two52: s.u64(0x4330000000000000), two52Bias: s.f64(0x1p52 + 1024), one: s.f64(1), two: s.f64(2), half: s.f64(0.5),
		hi: s.f64(6.93147180369123816490e-01), lo: s.f64(1.90821492927058770002e-10), zero: s.f64(0),
		inf: s.f64(math.Inf(1)), minusInf: s.f64(math.Inf(-1)), nan: s.f64(math.NaN()),
		c: s.all(logCoefficients)}
}

// of computes the logarithm of x, with the special values.
func (d *logarithm) of(x reg.VecVirtual) reg.VecVirtual {
	s := d.s
	sub := s.cmp(less, x, d.tiny)
	y := s.choose(sub, s.mul(x, d.lift), x)
	t := s.isub(y, d.root)
	// the exponent, by a logical shift of a biased number because AVX2 has no arithmetic one
	e := s.vec()
	VPSRLQ(Imm(52), s.iadd(t, d.bias), e)
	k := s.sub(s.or(e, d.two52), d.two52Bias)
	k = s.choose(sub, s.sub(k, d.liftBits), k)
	f := s.sub(s.isub(y, s.and(t, d.exponents)), d.one)
	q := s.div(f, s.add(f, d.two))
	z := s.mul(q, q)
	r := s.mul(z, s.horner(z, d.c))
	half := s.mul(d.half, s.mul(f, f))
	// k·hi - ((half - (q·(half+r) + k·lo)) - f)
	inner := s.fma(k, d.lo, s.mul(q, s.add(half, r)))
	out := s.fma(k, d.hi, s.sub(f, s.sub(half, inner)))
	out = s.choose(s.cmp(equal, x, d.inf), d.inf, out)
	out = s.choose(s.cmp(equal, x, d.zero), d.minusInf, out)
	out = s.choose(s.cmp(less, x, d.zero), d.nan, out)
	return s.choose(s.cmp(equal, x, x), out, x)
}

func (s isa) logKernel() func(x reg.VecVirtual) reg.VecVirtual { return newLogarithm(s).of }

// log1p: log(1+x) = log u + (x - (u-1))/u with u = 1+x rounded.
func (s isa) log1p() func(x reg.VecVirtual) reg.VecVirtual {
	d := newLogarithm(s)
	return func(x reg.VecVirtual) reg.VecVirtual {
		u := s.add(x, d.one)
		lost := s.div(s.sub(x, s.sub(u, d.one)), u)
		l := d.of(u)
		// ±Inf and -1 have no correction
		ordinary := s.cmp(less, d.zero, u)
		out := s.choose(ordinary, s.add(l, lost), l)
		return s.choose(s.cmp(equal, u, d.inf), d.inf, out)
	}
}

// sqrt is the processor's own, which is exact to the rounding.
func (s isa) sqrt() func(x reg.VecVirtual) reg.VecVirtual {
	return func(x reg.VecVirtual) reg.VecVirtual {
		out := s.vec()
		VSQRTPD(x, out)
		return out
	}
}

// widen writes func(dst *float64, x *float32, n int): dst[i] = float64(x[i]), n a multiple of 8.
func (s isa) widen() {
	TEXT("widen"+s.suffix, NOSPLIT, "func(dst *float64, x *float32, n int)")
	Doc("widen" + s.suffix + " writes x[i] to dst[i].")
	Pragma("noescape")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	Label("loop")
	v := s.vec()
	VCVTPS2PD(Mem{Base: x}, v)
	VMOVUPD(v, Mem{Base: dst})
	ADDQ(U8(s.bytes()/2), x)
	ADDQ(U8(s.bytes()), dst)
	SUBQ(U8(s.bytes()/8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// narrow writes func(dst *float32, x *float64, scale float64, n int): dst[i] = float32(scale·x[i]), n a multiple of 8.
func (s isa) narrow() {
	TEXT("narrow"+s.suffix, NOSPLIT, "func(dst *float32, x *float64, scale float64, n int)")
	Doc("narrow" + s.suffix + " writes scale·x[i] to dst[i].")
	Pragma("noescape")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	scale := s.vec()
	p, _ := Param("scale").Resolve()
	VBROADCASTSD(p.Addr, scale)
	Label("loop")
	v := s.vec()
	VMULPD(Mem{Base: x}, scale, v)
	if s.wide {
		y := YMM()
		VCVTPD2PS(v, y)
		VMOVUPS(y, Mem{Base: dst})
	} else {
		y := XMM()
		VCVTPD2PSY(v, y)
		VMOVUPS(y, Mem{Base: dst})
	}
	ADDQ(U8(s.bytes()), x)
	ADDQ(U8(s.bytes()/2), dst)
	SUBQ(U8(s.bytes()/8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// within writes func(x *F, n int, lo, hi F) bool: whether lo <= x[i] <= hi for every i, false for a NaN. n is a multiple of 16.
func (s isa) within(bits string, size int) {
	TEXT("within"+bits+s.suffix, NOSPLIT, "func(x *float"+bits+", n int, lo, hi float"+bits+") bool")
	Doc("within" + bits + s.suffix + " reports whether every x[i] lies in [lo, hi].")
	Pragma("noescape")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	lo, hi := s.vec(), s.vec()
	l, _ := Param("lo").Resolve()
	h, _ := Param("hi").Resolve()
	cmp := VCMPPD
	if size == 4 {
		cmp = VCMPPS
		VBROADCASTSS(l.Addr, lo)
		VBROADCASTSS(h.Addr, hi)
	} else {
		VBROADCASTSD(l.Addr, lo)
		VBROADCASTSD(h.Addr, hi)
	}
	const atLeast, atMost = 0x1d, 0x12 // ordered, quiet
	result := GP64()
	v := s.vec()
	if s.wide {
		all := K()
		KXNORW(all, all, all)
		Label("loop")
		VMOVUPD(Mem{Base: x}, v)
		low, high := K(), K()
		cmp(Imm(atLeast), lo, v, low)
		cmp(Imm(atMost), hi, v, high)
		KANDW(low, high, low)
		if size == 8 {
			// eight lanes only: the other half of the mask is 0
			ones := K()
			KXNORW(ones, ones, ones)
			KSHIFTLW(Imm(8), ones, ones)
			KORW(ones, low, low)
		}
		KANDW(low, all, all)
		ADDQ(U8(64), x)
		SUBQ(U8(64/size), n)
		JNZ(LabelRef("loop"))
		KMOVW(all, result.As32())
		CMPL(result.As32(), U32(0xffff))
	} else {
		all := s.vec()
		VPCMPEQD(all, all, all)
		Label("loop")
		VMOVUPD(Mem{Base: x}, v)
		low, high := s.vec(), s.vec()
		cmp(Imm(atLeast), lo, v, low)
		cmp(Imm(atMost), hi, v, high)
		VANDPD(low, all, all)
		VANDPD(high, all, all)
		ADDQ(U8(32), x)
		SUBQ(U8(32/size), n)
		JNZ(LabelRef("loop"))
		if size == 4 {
			VMOVMSKPS(all, result.As32())
			CMPL(result.As32(), U32(0xff))
		} else {
			VMOVMSKPD(all, result.As32())
			CMPL(result.As32(), U32(0xf))
		}
	}
	yes := GP8()
	SETEQ(yes)
	VZEROUPPER()
	Store(yes, ReturnIndex(0))
	RET()
}
