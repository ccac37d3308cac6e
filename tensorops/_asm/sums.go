package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// inFloat64 returns the generator for the same elements that computes in float64.
func (g *gen) inFloat64() *gen { return newGen(g.isa, g.elem, "F64") }

// accumulators are float64 sums over the lanes of the layout, one for each result.
type accumulators struct {
	g   *gen
	acc [][]reg.VecVirtual // by result, then half
}

func (g *gen) newAccumulators(results int) *accumulators {
	a := &accumulators{g: g}
	for range results {
		var regs []reg.VecVirtual
		for range g.halves() {
			regs = append(regs, g.zero())
		}
		a.acc = append(a.acc, regs)
	}
	return a
}

// store writes the totals to the results of the kernel and returns from it.
func (a *accumulators) store() {
	for i, regs := range a.acc {
		storeResult(a.g.fold(regs, "F64", func(v, dst Op) { VADDPD(v, dst, dst) }), i)
	}
	VZEROUPPER()
	RET()
}

// storeResult stores lane 0 of v as result i of type float64. Unlike avo's Store it takes all 32
// registers.
func storeResult(v reg.VecVirtual, i int) {
	b, err := ReturnIndex(i).Resolve()
	if err != nil {
		panic(err)
	}
	VMOVSD(v, b.Addr)
}

// reduceRow emits a kernel that sums over inputs of the same length, and its end. It takes step
// registers of each in a turn; body adds one register of each.
func (g *gen) reduceRow(step int, inputs []string, fill []float64, a *accumulators, body func(v []reg.VecVirtual, h int)) {
	r := &reduction{gen: g, inputs: inputs, fill: fill, step: step, unroll: 1}
	r.body = func(v [][]reg.VecVirtual, _ int, h []int) {
		var one []reg.VecVirtual
		for _, input := range v {
			one = append(one, input[0])
		}
		body(one, h[0])
	}
	r.emit()
	a.store()
}

const equal, notEqual = 0, 4 // comparison predicates; the second is true for NaN

// clearWhereZero sets the lanes of x to 0 where t is 0.
func (g *gen) clearWhereZero(t, x reg.VecVirtual) {
	if g.is512() {
		k := K()
		VCMPPD(Imm(notEqual), g.zero(), t, k)
		VMOVAPD_Z(x, k, x)
		return
	}
	m := g.vec()
	VCMPPD(Imm(notEqual), g.constant(0), t, m)
	VANDPD(m, x, x)
}

// gapSum emits Σ (c - x[i]) over the x[i] above -Inf, and their number.
func (g *gen) gapSum() {
	g = g.inFloat64()
	g.text("gapSum", "func(x []F, c float64) (gap, count float64)",
		"returns Σ (c - x[i]) over the x[i] that are not -Inf, and their number.")
	c := g.param("c")
	ninf, one := g.held(math.Inf(-1)), g.held(1)
	a := g.newAccumulators(2)
	g.reduceRow(depth, []string{"x"}, []float64{math.Inf(-1)}, a, func(v []reg.VecVirtual, h int) {
		x, d := v[0], g.vec()
		g.sub(c, x, d)
		if g.is512() {
			k := K()
			VCMPPD(Imm(notEqual), ninf, x, k)
			VADDPD(d, a.acc[0][h], k, a.acc[0][h])
			VADDPD(one, a.acc[1][h], k, a.acc[1][h])
			return
		}
		m := g.vec()
		VCMPPD(Imm(notEqual), ninf, x, m)
		VANDPD(m, d, d)
		VADDPD(d, a.acc[0][h], a.acc[0][h])
		VANDPD(one, m, m)
		VADDPD(m, a.acc[1][h], a.acc[1][h])
	})
}
