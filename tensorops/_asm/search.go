package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// index emits the search for the first element equal to v.
func (g *gen) index() {
	g.text("index", "func(x []F, v F) int", "returns the first i with x[i] == v, or -1.")
	x, n := GP64(), GP64()
	Load(Param("x").Base(), x)
	Load(Param("x").Len(), n)
	want := g.param("v")
	at := GP64()
	XORQ(at, at)
	step := g.lanes()
	found := GP32()
	compare := func(v reg.VecVirtual) {
		if g.is512() {
			k := K()
			f(g, VCMPPS, VCMPPD)(Imm(0), v, want, k)
			KMOVW(k, found)
			return
		}
		m := g.vec()
		f(g, VCMPPS, VCMPPD)(Imm(0), v, want, m)
		f(g, VMOVMSKPS, VMOVMSKPD)(m, found)
	}
	Label("loop")
	CMPQ(n, imm(step))
	JL(LabelRef("tail"))
	compare(g.load(x, 0))
	TESTL(found, found)
	JNZ(LabelRef("found"))
	ADDQ(imm(g.vecBytes()), x)
	ADDQ(imm(step), at)
	SUBQ(imm(step), n)
	JMP(LabelRef("loop"))
	Label("tail")
	compare(g.loadTail(x, n, 0, 0))
	// Lanes behind the end hold 0, which may be v.
	BZHIL(n.As32(), found, found)
	TESTL(found, found)
	JZ(LabelRef("none"))
	Label("found")
	BSFL(found, found)
	ADDQ(found.As64(), at)
	Store(at, ReturnIndex(0))
	VZEROUPPER()
	RET()
	Label("none")
	MOVQ(I64(-1), at)
	Store(at, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
