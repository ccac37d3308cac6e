package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// xlogx emits Σ t[i]·log t[i] for t[i] >= 0.
func (g *gen) xlogx() {
	g = g.inFloat64()
	g.text("xlogx", "func(t []F) (sum float64)", "returns Σ t[i]·log t[i], where 0·log 0 = 0.")
	c := g.logSeries()
	a := g.newAccumulators(1)
	r := &reduction{gen: g, inputs: []string{"t"}, fill: []float64{0}, ahead: targetAhead}
	r.unroll = g.logUnroll()
	r.step = max(r.unroll, g.halves())
	r.body = func(v [][]reg.VecVirtual, _ int, h []int) {
		t := make([]reg.VecVirtual, len(h))
		for i := range h {
			t[i] = g.vec()
			VMOVAPD(v[0][i], t[i])
		}
		for i, l := range g.logs(v[0], c) {
			VFMADD231PD(l, t[i], a.acc[0][h[i]])
		}
	}
	r.emit()
	a.store()
}

// logUnroll is the number of registers whose logarithms are interleaved.
func (g *gen) logUnroll() int {
	if g.is512() {
		return 4
	}
	return 1
}

// logGap emits dst[i] = (log t[i] + (c - x[i]))·factor, 0 where t[i] = 0.
func (g *gen) logGap() {
	g = g.inFloat64()
	g.text("logGap", "func(dst, t, x []F, c, factor float64, stream bool)",
		"writes (log t[i] + (c - x[i]))·factor, 0 where t[i] = 0.")
	c, factor := g.param("c"), g.param("factor")
	k := g.logSeries()
	g.mapRow(g.logUnroll(), true, []string{"t", "x"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		t, x := make([]reg.VecVirtual, len(v[0])), v[1]
		for i := range t {
			t[i] = g.vec()
			VMOVAPD(v[0][i], t[i])
			g.sub(c, x[i], x[i])
		}
		for i, l := range g.logs(v[0], k) {
			VADDPD(l, x[i], x[i])
			VMULPD(factor, x[i], x[i])
			g.clearWhereZero(t[i], x[i])
		}
		return x
	})
}

// expGap emits Σ exp(x[i])·2^-anchor·(c - x[i]), where an exponential of 0 adds 0.
func (g *gen) expGap() {
	g = g.inFloat64()
	g.text("expGap", "func(x []F, anchor, low, c float64) (sum float64)",
		"returns Σ exp(x[i])·2^-anchor·(c - x[i]); what is below low adds 0.")
	k := g.expConsts(g.param("anchor"), g.param("low"))
	c := g.param("c")
	a := g.newAccumulators(1)
	g.reduceRow(2, []string{"x"}, []float64{math.Inf(-1)}, a, func(v []reg.VecVirtual, h int) {
		gap := g.vec()
		g.sub(c, v[0], gap)
		e := g.exp([]reg.VecVirtual{v[0]}, k)[0]
		g.clearWhereZero(e, gap)
		VFMADD231PD(gap, e, a.acc[0][h])
	})
}

// expScaleGap emits dst[i] = exp(x[i])·2^-anchor·factor·((c - x[i]) + d), 0 where x[i] < low.
func (g *gen) expScaleGap() {
	g = g.inFloat64()
	g.text("expScaleGap", "func(dst, x []F, anchor, low, factor, c, d float64, stream bool)",
		"writes exp(x[i])·2^-anchor·factor·((c - x[i]) + d), 0 where x[i] < low.")
	k := g.expConsts(g.param("anchor"), g.param("low"))
	factor, c, d := g.param("factor"), g.param("c"), g.param("d")
	g.mapRow(1, true, []string{"x"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		gap := g.vec()
		g.sub(c, v[0][0], gap)
		VADDPD(d, gap, gap)
		e := g.exp(v[0], k)[0]
		g.clearWhereZero(e, gap)
		VMULPD(factor, e, e)
		VMULPD(gap, e, e)
		return []reg.VecVirtual{e}
	})
}
