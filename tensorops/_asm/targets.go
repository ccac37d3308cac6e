package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// reduceSome is reduceRow for kernels that take unroll registers of each input at a time; a.store is left to the caller.
// body gets the registers, the first one's number in its group, and the half of the lanes that each is for. Elements behind the
// end are 0.
func (g *gen) reduceSome(unroll int, inputs []string, a *accumulators, body func(v [][]reg.VecVirtual, first int, h []int)) {
	n := Load(Param(inputs[0]).Len(), GP64())
	var ptrs []reg.Register
	for _, in := range inputs {
		ptrs = append(ptrs, Load(Param(in).Base(), GP64()))
	}
	all := depth * g.halves()
	g.forGroups("sum", n, ptrs, func(tail bool) {
		for first := 0; first < all; first += unroll {
			v, halves := make([][]reg.VecVirtual, len(ptrs)), []int(nil)
			for at := first; at < first+unroll; at++ {
				h := at % g.halves()
				halves = append(halves, h)
				for j, p := range ptrs {
					if tail {
						v[j] = append(v[j], g.loadTail(p, n, at*g.lanes(), 0))
					} else {
						v[j] = append(v[j], g.load(p, at*g.lanes()))
					}
				}
			}
			body(v, first, halves)
		}
	})
}

// targetSum emits all that a loss must know of a target t: its extremes, Σ t[i] and Σ t[i]·(c - x[i]). Elements go to two lanes
// in turn, which is two sums for each that need not wait for each other.
func (g *gen) targetSum() {
	g = g.inFloat64()
	g.text("targetSum", "func(t, x []F, c float64) (low, high, sum, gap float64)",
		"returns min(0, t[i]), max(0, t[i]), Σ t[i] and Σ t[i]·(c - x[i]); t[i] = 0 adds 0 whatever x[i] is.")
	c := g.param("c")
	low, high := g.zero(), g.zero()
	// sums and gaps of the even registers, then of the odd ones
	a := g.newAccumulators(4)
	g.reduceSome(1, []string{"t", "x"}, a, func(v [][]reg.VecVirtual, first int, h []int) {
		t, x, turn := v[0][0], v[1][0], first/g.halves()%2
		g.sub(c, x, x)
		VMINPD(low, t, low) // low where t is NaN
		VMAXPD(high, t, high)
		VADDPD(t, a.acc[turn][h[0]], a.acc[turn][h[0]])
		if g.is512() {
			k := K()
			VCMPPD(Imm(notEqual), g.zero(), t, k)
			VFMADD231PD(x, t, k, a.acc[2+turn][h[0]])
			return
		}
		m := g.vec()
		VCMPPD(Imm(notEqual), g.constant(0), t, m)
		VANDPD(m, x, x)
		VFMADD231PD(x, t, a.acc[2+turn][h[0]])
	})
	add := func(v, dst Op) { VADDPD(v, dst, dst) }
	for i := range 2 {
		for h := range g.halves() {
			add(a.acc[2*i+1][h], a.acc[2*i][h])
		}
		storeResult(g.fold(a.acc[2*i], "F64", add), 2+i)
	}
	// All lanes at once: fold wants two registers for AVX2.
	storeResult(g.fold([]reg.VecVirtual{low, low}, "F64", func(v, dst Op) { VMINPD(v, dst, dst) }), 0)
	storeResult(g.fold([]reg.VecVirtual{high, high}, "F64", func(v, dst Op) { VMAXPD(v, dst, dst) }), 1)
	VZEROUPPER()
	RET()
}
