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

// rangeReduction splits x = n·ln 2 + r with an integer n and |r| <= ln 2/2.
type rangeReduction struct {
	s                       values
	log2e, magic, hi, lo    Op
	lowest, highest         Op
	half, exponentOfOne     Op
	n, r                    reg.VecVirtual
	scaleFirst, scaleSecond reg.VecVirtual
}

func newRangeReduction(s values) *rangeReduction {
	return &rangeReduction{s: s, log2e: s.constant(math.Log2E), magic: s.constant(magic), hi: s.constant(math.Ln2), lo: s.constant(ln2Lo),
		lowest: s.constant(-746), highest: s.constant(710), half: s.constant(0.5), exponentOfOne: s.constant(1)}
}

// split computes n, r and 2^n as a product of two powers, because n ranges beyond the exponents. A
// NaN stays in r.
func (d *rangeReduction) split(x reg.VecVirtual) {
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
func (d *rangeReduction) power(t reg.VecVirtual) reg.VecVirtual {
	v := d.s.vec()
	VPSLLQ(Imm(52), t, v)
	VPADDQ(d.exponentOfOne, v, v)
	return v
}

// expOf: e^x = 2^n·P(r).
func expOf(s values) func(x reg.VecVirtual) reg.VecVirtual {
	d, c := newRangeReduction(s), s.constants(expCoefficients)
	return func(x reg.VecVirtual) reg.VecVirtual {
		d.split(x)
		return s.mul(s.mul(s.horner(d.r, c), d.scaleFirst), d.scaleSecond)
	}
}

// expm1Of: e^x - 1 = 2^n·(r·Q(r)) + (2^n - 1) with r·Q(r) = e^r - 1.
func expm1Of(s values) func(x reg.VecVirtual) reg.VecVirtual {
	d, c := newRangeReduction(s), s.constants(expCoefficients[1:])
	one := s.constant(1)
	return func(x reg.VecVirtual) reg.VecVirtual {
		d.split(x)
		q := s.mul(s.horner(d.r, c), d.r)
		scale := s.mul(d.scaleFirst, d.scaleSecond)
		// Near the largest exponent 2^n alone overflows: the halves are applied in turn.
		small := s.fma(q, scale, s.sub(scale, one))
		large := s.mul(s.mul(s.add(q, one), d.scaleFirst), d.scaleSecond)
		return s.choose(s.cmp(lessQuiet, s.constant(1000), d.n), large, small)
	}
}

// The coefficients of log((1+s)/(1-s)) as in FreeBSD's e_log.c, which Go's math.Log cites too:
// error below 1 ulp.
var logCoefficients = []float64{6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
	1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01}

// logarithm holds the constants of the logarithm.
type logarithm struct {
	s                                              values
	tiny, lift, liftBits, root, bias, exponents    Op
	two52, two52Bias, one, two, half, hi, lo, zero Op
	inf, minusInf, nan                             Op
	c                                              []Op
}

func newLogarithm(s values) *logarithm {
	return &logarithm{s: s,
		tiny: s.constant(0x1p-1022), lift: s.constant(0x1p54), liftBits: s.constant(54),
		root: bitsConstant(0x3fe6a09e667f3bcd, 8), bias: bitsConstant(1024<<52, 8), exponents: bitsConstant(0xfff<<52, 8),
		two52: bitsConstant(0x4330000000000000, 8), two52Bias: s.constant(0x1p52 + 1024), one: s.constant(1), two: s.constant(2), half: s.constant(0.5),
		hi: s.constant(6.93147180369123816490e-01), lo: s.constant(1.90821492927058770002e-10), zero: s.constant(0),
		inf: s.constant(math.Inf(1)), minusInf: s.constant(math.Inf(-1)), nan: s.constant(math.NaN()),
		c: s.constants(logCoefficients)}
}

// of computes the logarithm of x, with the special values.
func (d *logarithm) of(x reg.VecVirtual) reg.VecVirtual {
	s := d.s
	sub := s.cmp(lessQuiet, x, d.tiny)
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
	out = s.choose(s.cmp(lessQuiet, x, d.zero), d.nan, out)
	return s.choose(s.cmp(equal, x, x), out, x)
}

func logOf(s values) func(x reg.VecVirtual) reg.VecVirtual { return newLogarithm(s).of }

// log1pOf: log(1+x) = log u + (x - (u-1))/u with u = 1+x rounded.
func log1pOf(s values) func(x reg.VecVirtual) reg.VecVirtual {
	d := newLogarithm(s)
	return func(x reg.VecVirtual) reg.VecVirtual {
		u := s.add(x, d.one)
		lost := s.div(s.sub(x, s.sub(u, d.one)), u)
		l := d.of(u)
		// ±Inf and -1 have no correction
		ordinary := s.cmp(lessQuiet, d.zero, u)
		out := s.choose(ordinary, s.add(l, lost), l)
		return s.choose(s.cmp(equal, u, d.inf), d.inf, out)
	}
}

// sqrtOf is the processor's own, which is exact to the rounding.
func sqrtOf(s values) func(x reg.VecVirtual) reg.VecVirtual {
	return func(x reg.VecVirtual) reg.VecVirtual { return s.sqrt(x) }
}

// functionKernels emits the kernels of package vec.
func functionKernels(isa string) {
	s := newValues(isa, "F64")
	s.unary("exp", "writes e^x[i] to dst[i].", expOf)
	s.unary("expm1", "writes e^x[i] - 1 to dst[i].", expm1Of)
	s.unary("log", "writes the natural logarithm of x[i] to dst[i].", logOf)
	s.unary("log1p", "writes log(1 + x[i]) to dst[i].", log1pOf)
	s.unary("sqrt", "writes the square root of x[i] to dst[i].", sqrtOf)
	s.widen()
	s.narrowed()
	newValues(isa, "F32").within()
	s.within()
}

// unary emits a kernel func(dst, x *float64, n int) where n is a multiple of 8; setup loads the
// constants.
func (s values) unary(name, doc string, setup func(s values) func(x reg.VecVirtual) reg.VecVirtual) {
	begin(name+s.isa, "func(dst, x *float64, n int)", doc)
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	f := setup(s)
	Label("loop")
	VMOVUPD(f(s.loaded(Mem{Base: x})), Mem{Base: dst})
	advance([]reg.Register{x, dst}, []int{s.vecBytes(), s.vecBytes()}, n, s.lanes())
	end()
}

// widen emits func(dst *float64, x *float32, n int): dst[i] = float64(x[i]), n a multiple of 8.
func (s values) widen() {
	begin("widen"+s.isa, "func(dst *float64, x *float32, n int)", "writes x[i] to dst[i].")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	Label("loop")
	v := s.vec()
	VCVTPS2PD(Mem{Base: x}, v)
	VMOVUPD(v, Mem{Base: dst})
	advance([]reg.Register{x, dst}, []int{s.vecBytes() / 2, s.vecBytes()}, n, s.lanes())
	end()
}

// narrowed emits func(dst *float32, x *float64, scale float64, n int): dst[i] =
// float32(scale·x[i]), n a multiple of 8.
func (s values) narrowed() {
	begin("narrow"+s.isa, "func(dst *float32, x *float64, scale float64, n int)", "writes scale·x[i] to dst[i].")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	scale := s.param("scale")
	Label("loop")
	v, y := s.mul(scale, Mem{Base: x}), s.narrow()
	s.narrowTo(v, y)
	VMOVUPS(y, Mem{Base: dst})
	advance([]reg.Register{x, dst}, []int{s.vecBytes(), s.vecBytes() / 2}, n, s.lanes())
	end()
}

// within emits func(x *F, n int, lo, hi F) bool: whether lo <= x[i] <= hi for every i, false for a
// NaN. n is a multiple of 16.
func (s values) within() {
	bits := s.goType()[len("float"):]
	begin("within"+bits+s.isa, "func(x *float"+bits+", n int, lo, hi float"+bits+") bool", "reports whether every x[i] lies in [lo, hi].")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	lo, hi := s.param("lo"), s.param("hi")
	const atLeast, atMost = 0x1d, 0x12 // ordered, quiet
	result := GP32()
	var all reg.Register
	if s.is512() {
		all = K()
		KXNORW(all, all, all)
	} else {
		v := s.vec()
		VPCMPEQD(v, v, v)
		all = v
	}
	Label("loop")
	v := s.loaded(Mem{Base: x})
	low, high := s.cmp(atLeast, v, lo), s.cmp(atMost, v, hi)
	if s.is512() {
		KANDW(low, all, all)
		KANDW(high, all, all)
	} else {
		VANDPD(low, all, all)
		VANDPD(high, all, all)
	}
	advance([]reg.Register{x}, []int{s.vecBytes()}, n, s.lanes())
	switch {
	case s.is512():
		KMOVW(all, result)
	case size(s.elem) == 4:
		VMOVMSKPS(all, result)
	default:
		VMOVMSKPD(all, result)
	}
	CMPL(result, U32(uint32(1<<s.lanes()-1)))
	yes := GP8()
	SETEQ(yes)
	VZEROUPPER()
	Store(yes, ReturnIndex(0))
	RET()
}
