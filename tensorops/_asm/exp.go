package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The polynomials for exp(r), |r| <= ln 2 / 2: minimax fits with c0 = c1 = 1, relative error 2^-28.3 for float32
// and 2^-57.9 for float64.
var (
	coefs32 = []float64{1, 1, 0.49999994, 0.16666521, 0.04166839, 0.008368745, 0.001381454}
	coefs64 = []float64{1, 1, 0.5000000000000011, 0.1666666666666641, 0.041666666666529725, 0.008333333333494976,
		0.0013888888943759984, 0.00019841269505773806, 2.480149294961707e-05, 2.755758680384707e-06,
		2.7630306255647857e-07, 2.500001885308334e-08}
	// For float32 elements computed with in float64: relative error 2^-39.6.
	coefsWide = []float64{1, 1, 0.50000000004271483, 0.16666666784512141, 0.041666664403732206, 0.0083332817875522922,
		0.0013889197252293579, 0.0001990895244031529, 2.4708270540699914e-05}
)

// expConsts are the constants of exp and the two numbers it is called with: exp(x)·2^-anchor for x >= low, 0 for
// x < low, NaN for NaN.
type expConsts struct {
	log2e, hi, lo, magic Op
	coefs                []Op
	anchor, low          reg.VecVirtual
}

// consts loads the constants; anchor and low are the caller's.
func (g *gen) consts() *expConsts {
	// ln 2 = hi + lo with hi rounded to comp. With fused multiply-adds x - n·hi needs no spare bits in hi.
	hi, lo, magic, coefs := math.Ln2, 2.3190468138462996e-17, 0x1.8p52, coefs64
	if g.comp == "F32" {
		hi = float64(float32(math.Ln2))
		lo, magic, coefs = math.Ln2-hi, 0x1.8p23, coefs32
	}
	c := &expConsts{log2e: g.held(math.Log2E), hi: g.held(hi)}
	if g.wide() { // lo would change a float32 result by less than the polynomial's error
		coefs = coefsWide
	} else {
		c.lo = g.held(lo)
	}
	if !g.is512() {
		c.magic = g.constant(magic)
	}
	for i, v := range coefs {
		if i == 1 {
			c.coefs = append(c.coefs, c.coefs[0])
			continue
		}
		c.coefs = append(c.coefs, g.held(v))
	}
	return c
}

// exp replaces each of xs by exp(x)·2^-anchor. The steps of all are interleaved.
//
//	n = rint(x·log2 e)    r = x - n·ln 2    exp(x)·2^-anchor = exp(r)·2^(n - anchor)
//
// Lanes below low are masked before the scaling: a product that underflows costs a hundred times another one.
func (g *gen) exp(xs []reg.VecVirtual, c *expConsts) []reg.VecVirtual {
	if g.is512() {
		return g.exp512(xs, c)
	}
	return g.exp2(xs, c)
}

const notLess = 5 // comparison predicate NLT_US: also true for NaN

func (g *gen) exp512(xs []reg.VecVirtual, c *expConsts) []reg.VecVirtual {
	keep, n := make([]reg.Register, len(xs)), make([]reg.VecVirtual, len(xs))
	for i, x := range xs {
		k := K()
		f(g, VCMPPS, VCMPPD)(Imm(notLess), c.low, x, k)
		keep[i] = k
	}
	for i, x := range xs {
		n[i] = g.vec()
		g.mul(c.log2e, x, n[i])
	}
	for i := range xs {
		f(g, VRNDSCALEPS, VRNDSCALEPD)(Imm(8), n[i], n[i]) // to nearest even, no exceptions
	}
	g.reduce(xs, n, c)
	for i := range xs {
		g.sub(n[i], c.anchor, n[i])
	}
	p := g.polynomial(xs, c)
	for i := range xs {
		f(g, VSCALEFPS_Z, VSCALEFPD_Z)(n[i], p[i], keep[i], p[i])
	}
	return p
}

func (g *gen) exp2(xs []reg.VecVirtual, c *expConsts) []reg.VecVirtual {
	keep, t, n := make([]reg.VecVirtual, len(xs)), make([]reg.VecVirtual, len(xs)), make([]reg.VecVirtual, len(xs))
	for i, x := range xs {
		keep[i] = g.vec()
		f(g, VCMPPS, VCMPPD)(Imm(notLess), c.low, x, keep[i])
	}
	// Adding 1.5·2^23 (1.5·2^52) rounds to an integer and leaves it in the low bits.
	for i, x := range xs {
		t[i] = g.vec()
		g.mul(c.log2e, x, t[i])
	}
	for i := range xs {
		g.add(c.magic, t[i], t[i])
	}
	for i := range xs {
		n[i] = g.vec()
		g.sub(t[i], c.magic, n[i])
	}
	g.reduce(xs, n, c)
	for i := range xs {
		g.sub(t[i], c.anchor, t[i])
	}
	// 2^(n - anchor): the integer goes to the exponent. A product, not an addition of exponents, lets NaN through.
	for i := range xs {
		if g.comp == "F32" {
			VPSLLD(Imm(23), t[i], t[i])
			VPADDD(bitsConstant(127<<23, 4), t[i], t[i])
		} else {
			VPSLLQ(Imm(52), t[i], t[i])
			VPADDQ(bitsConstant(1023<<52, 8), t[i], t[i])
		}
	}
	p := g.polynomial(xs, c)
	for i := range xs {
		g.mul(t[i], p[i], p[i])
	}
	for i := range xs {
		VANDPS(keep[i], p[i], p[i])
	}
	return p
}

// reduce subtracts n·ln 2 from xs.
func (g *gen) reduce(xs, n []reg.VecVirtual, c *expConsts) {
	for i, x := range xs {
		g.fnma231(c.hi, n[i], x)
	}
	if c.lo == nil {
		return
	}
	for i, x := range xs {
		g.fnma231(c.lo, n[i], x)
	}
}

// polynomial returns exp(r) for each of rs.
func (g *gen) polynomial(rs []reg.VecVirtual, c *expConsts) []reg.VecVirtual {
	p := make([]reg.VecVirtual, len(rs))
	last := len(c.coefs) - 1
	for i := range rs {
		p[i] = g.vec()
		VMOVUPS(c.coefs[last], p[i])
	}
	for d := last - 1; d >= 0; d-- {
		for i, r := range rs {
			g.fma213(c.coefs[d], r, p[i])
		}
	}
	return p
}
