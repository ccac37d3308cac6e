package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// logConsts are the constants of log and log1p, in memory: they are for kernels that compute in float64.
type logConsts struct {
	series []Op // 2/3, 2/5, .. 2/19: 2·atanh(s) = 2s + s³·(2/3 + 2/5·s² + ..)
	two    Op
}

func (g *gen) logConsts() *logConsts {
	c := &logConsts{two: g.constant(2)}
	for d := 3.0; d <= 19; d += 2 {
		c.series = append(c.series, g.constant(2/d))
	}
	return c
}

// atanh2 returns 2·atanh(num/den) for |num/den| <= 0.1716 = (√2-1)/(√2+1). The first term that the series lacks is
// below 2^-55 of the result.
func (g *gen) atanh2(num, den reg.VecVirtual, c *logConsts) reg.VecVirtual {
	s, z, p := num, g.vec(), g.vec()
	VDIVPD(den, num, s)
	VMULPD(s, s, z)
	last := len(c.series) - 1
	g.set(c.series[last], p)
	for d := last - 1; d >= 0; d-- {
		g.fma213(c.series[d], z, p)
	}
	VMULPD(z, p, p)
	VADDPD(s, s, z) // 2s
	VFMADD213PD(z, s, p)
	return p
}

// log returns log v for normal v > 0. For 0 it returns a finite number, for denormal ones a rough one.
//
//	v = 2^k·m with √½ <= m < √2    log v = k·ln 2 + 2·atanh((m-1)/(m+1))
func (g *gen) log(v reg.VecVirtual, c *logConsts) reg.VecVirtual {
	const sqrtHalf, oneBits = 0x3fe6a09e667f3bcd, 0x3ff0000000000000
	k, m := v, g.vec()
	g.addq(bitsConstant(oneBits-sqrtHalf, 8), v, v)
	g.and(bitsConstant(1<<52-1, 8), v, m)
	g.addq(bitsConstant(sqrtHalf, 8), m, m)
	// The exponent becomes the low bits of 2^52 + exponent.
	VPSRLQ(Imm(52), k, k)
	g.or(g.constant(0x1p52), k, k)
	g.sub(k, g.constant(0x1p52+1023), k)
	den := g.vec()
	g.add(g.constant(1), m, den)
	g.sub(m, g.constant(1), m)
	l := g.atanh2(m, den, c)
	g.fma231(g.constant(math.Ln2), k, l)
	return l
}

func (g *gen) addq(a, b, dst Op) { in(g, a, nil, VPADDQ, nil, VPADDQ_BCST)(a, b, dst) }

// log1p returns log(1 + z) for 0 <= z <= 1, with its relative accuracy near 0.
//
//	z <= √2-1: 2·atanh(z/(2+z))    z > √2-1: ln 2 + 2·atanh((z-1)/(z+3))
func (g *gen) log1p(z reg.VecVirtual, c *logConsts) reg.VecVirtual {
	b, den := g.maskedConstant(greater, z, g.constant(math.Sqrt2-1), 1), g.vec()
	g.add(c.two, z, den)
	VADDPD(b, den, den)
	num := g.vec()
	VSUBPD(b, z, num)
	l := g.atanh2(num, den, c)
	g.fma231(g.constant(math.Ln2), b, l)
	return l
}

const less, greater, unordered = 1, 14, 3 // comparison predicates, all false for NaN but the last

// maskedConstant returns v in the lanes where a stands in the relation to b, and 0 in the others.
func (g *gen) maskedConstant(relation int, a reg.VecVirtual, b Op, v float64) reg.VecVirtual {
	r := g.vec()
	if g.is512() {
		k := K()
		g.compare(relation, a, b, k)
		VBROADCASTSD_Z(g.constant(v), k, r)
		return r
	}
	VCMPPD(Imm(uint64(relation)), b, a, r)
	VANDPD(g.constant(v), r, r)
	return r
}
