package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// logConsts are the constants of log and log1p, in memory: they are for kernels that compute in
// float64.
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

// logSeries is logConsts for log alone: float32 elements need fewer terms, the first one that lacks
// is below 2^-39 of the result.
func (g *gen) logSeries() *logConsts {
	c := g.logConsts()
	if g.wide() {
		c.series = c.series[:6]
	}
	return c
}

// atanh2 returns 2·atanh(num/den) for |num/den| <= 0.1716 = (√2-1)/(√2+1). The first term that the
// series lacks is below 2^-55 of the result.
func (g *gen) atanh2(num, den reg.VecVirtual, c *logConsts) reg.VecVirtual {
	return g.atanhs([]reg.VecVirtual{num}, []reg.VecVirtual{den}, c)[0]
}

// atanhs is atanh2 for several registers, whose steps are interleaved.
func (g *gen) atanhs(num, den []reg.VecVirtual, c *logConsts) []reg.VecVirtual {
	z, p := make([]reg.VecVirtual, len(num)), make([]reg.VecVirtual, len(num))
	for i, s := range num {
		VDIVPD(den[i], s, s)
	}
	last := len(c.series) - 1
	for i, s := range num {
		z[i], p[i] = g.vec(), g.vec()
		VMULPD(s, s, z[i])
		g.set(c.series[last], p[i])
	}
	for d := last - 1; d >= 0; d-- {
		for i := range num {
			g.fma213(c.series[d], z[i], p[i])
		}
	}
	for i := range num {
		VMULPD(z[i], p[i], p[i])
	}
	for i, s := range num {
		VADDPD(s, s, z[i]) // 2s
		VFMADD213PD(z[i], s, p[i])
	}
	return p
}

// log returns log v for normal v > 0. For 0 it returns a finite number, for denormal ones a rough
// one.
//
//	v = 2^k·m with √½ <= m < √2    log v = k·ln 2 + 2·atanh((m-1)/(m+1))
func (g *gen) log(v reg.VecVirtual, c *logConsts) reg.VecVirtual {
	return g.logs([]reg.VecVirtual{v}, c)[0]
}

// logs is log for several registers, whose steps are interleaved.
func (g *gen) logs(vs []reg.VecVirtual, c *logConsts) []reg.VecVirtual {
	const sqrtHalf, oneBits = 0x3fe6a09e667f3bcd, 0x3ff0000000000000
	m, den := make([]reg.VecVirtual, len(vs)), make([]reg.VecVirtual, len(vs))
	for i, v := range vs {
		m[i], den[i] = g.vec(), g.vec()
		g.addq(bitsConstant(oneBits-sqrtHalf, 8), v, v)
		g.and(bitsConstant(1<<52-1, 8), v, m[i])
		g.addq(bitsConstant(sqrtHalf, 8), m[i], m[i])
	}
	for i := range vs {
		g.add(g.constant(1), m[i], den[i])
		g.sub(m[i], g.constant(1), m[i])
	}
	l := g.atanhs(m, den, c)
	for i, k := range vs {
		// The exponent becomes the low bits of 2^52 + exponent.
		VPSRLQ(Imm(52), k, k)
		g.or(g.constant(0x1p52), k, k)
		g.sub(k, g.constant(0x1p52+1023), k)
		g.fma231(g.constant(math.Ln2), k, l[i])
	}
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
