package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// halvesOf converts the eight float32 numbers of v to float64.
func (g *gen) halvesOf(v reg.VecVirtual) (lo, hi reg.VecVirtual) {
	upper := XMM()
	lo, hi = g.vec(), g.vec()
	VEXTRACTF128(U8(1), v, upper)
	VCVTPS2PD(v.AsX(), lo)
	VCVTPS2PD(upper, hi)
	return lo, hi
}

// columnRows is the number of rows whose elements are added in float32.
const columnRows = 4

// matrixColumns emits kernels of the columns of a matrix of float32 numbers, computed in float64,
// vectorStep columns at a time.
func (g *gen) matrixColumns() {
	g.kernel("addColumns", "func(sums *float64, x *float32, n, stride int)",
		"adds the elements i of four rows, which are a stride of bytes apart, to sums[i].")
	sums, x, n, stride := pointer("sums"), pointer("x"), pointer("n"), pointer("stride")
	rows := []reg.GPVirtual{x}
	for i := 1; i < columnRows; i++ {
		r := copyOf(rows[i-1])
		ADDQ(stride, r)
		rows = append(rows, r)
	}
	Label("loop")
	for i := range 2 {
		e, f := g.vec(), g.vec()
		VMOVUPS(Mem{Base: rows[0], Disp: 32 * i}, e)
		VMOVUPS(Mem{Base: rows[2], Disp: 32 * i}, f)
		VADDPS(Mem{Base: rows[1], Disp: 32 * i}, e, e)
		VADDPS(Mem{Base: rows[3], Disp: 32 * i}, f, f)
		VADDPS(f, e, e)
		lo, hi := g.halvesOf(e)
		for k, half := range []reg.VecVirtual{lo, hi} {
			m := Mem{Base: sums, Disp: 64*i + 32*k}
			VADDPD(m, half, half)
			VMOVUPD(half, m)
		}
	}
	for _, r := range rows {
		ADDQ(U8(4*vectorStep), r)
	}
	ADDQ(imm(8*vectorStep), sums)
	SUBQ(U8(vectorStep), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()

	g.kernel("scaleColumns", "func(x *float32, c *float64, n int, f float64)", "multiplies x[i] by f + c[i].")
	x, n = pointer("x"), pointer("n")
	c := pointer("c")
	f := g.vec()
	VBROADCASTSD(param("f"), f)
	Label("loop")
	for i := range 2 {
		v := Mem{Base: x, Disp: 32 * i}
		e := g.vec()
		VMOVUPS(v, e)
		lo, hi := g.halvesOf(e)
		for k, half := range []reg.VecVirtual{lo, hi} {
			factor, rounded := g.vec(), XMM()
			VADDPD(Mem{Base: c, Disp: 64*i + 32*k}, f, factor)
			VMULPD(factor, half, half)
			VCVTPD2PSY(half, rounded)
			VMOVUPS(rounded, v.Offset(16*k))
		}
	}
	ADDQ(U8(4*vectorStep), x)
	ADDQ(imm(8*vectorStep), c)
	SUBQ(U8(vectorStep), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
