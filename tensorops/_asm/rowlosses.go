package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Kernels of losses of rows that are no softmax, of 4 classes or more that lie one after another:
// sums and the largest of a row, and what is written from them, in float64.

// A rowLoop emits a loop over rows and their elements, 4 at a time. The last elements of a row are
// done again with those before them, without the lanes that keep leaves out.
type rowLoop struct {
	*gen
	ptrs          []stepped
	keep          reg.VecVirtual // lanes that count for sums
	index, label  reg.VecVirtual // nil: no label
	labels, start reg.GPVirtual
}

// emit emits the loop; begin and end are for each row.
func (l *rowLoop) emit(begin, body, end func()) {
	rows, n := pointer("rows"), GP64()
	l.keep = l.vec()
	var iota4, four reg.VecVirtual
	if l.label != nil {
		iota4, four = l.vec(), l.vec()
		VMOVUPD(table("iota64", 8, 4, func(i int) uint64 { return uint64(i) }), iota4)
		VMOVUPD(bitsConstant(4, 8), four)
	}
	Label("row")
	Load(Param("cols"), n)
	VPCMPEQQ(l.keep, l.keep, l.keep)
	if l.label != nil {
		VMOVAPD(iota4, l.index)
		VPCMPEQQ(l.label, l.label, l.label)
		TESTQ(l.labels, l.labels)
		JZ(LabelRef("whole"))
		VPBROADCASTQ(Mem{Base: l.labels}, l.label)
		ADDQ(U8(8), l.labels)
		Label("whole")
	}
	begin()
	SUBQ(U8(4), n)
	Label("loop")
	body()
	for _, p := range l.ptrs {
		ADDQ(U8(uint8(4*p.bytes)), p)
	}
	if l.label != nil {
		VPADDQ(four, l.index, l.index)
	}
	SUBQ(U8(4), n)
	JGE(LabelRef("loop"))
	ADDQ(U8(4), n)
	JZ(LabelRef("done"))
	masks := GP64()
	LEAQ(lastMasks(), masks)
	VMOVUPD(Mem{Base: masks, Index: n, Scale: 8}, l.keep)
	for _, p := range l.ptrs {
		LEAQ(Mem{Base: p.GPVirtual, Index: n, Scale: uint8(p.bytes), Disp: -4 * p.bytes}, p.GPVirtual)
	}
	if l.label != nil {
		SUBQ(U8(4), n)
		x, v := XMM(), l.vec()
		VMOVQ(n, x) // not MOVQ, which is slow beside full registers
		VPBROADCASTQ(x, v)
		VPADDQ(v, l.index, l.index)
	}
	XORQ(n, n)
	JMP(LabelRef("loop"))
	Label("done")
	end()
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// rowLoop returns a loop along the arrays.
func (g *gen) rowLoop(ptrs ...stepped) *rowLoop { return &rowLoop{gen: g, ptrs: ptrs} }

// labelled adds the rows' labels, which may be nil.
func (l *rowLoop) labelled() *rowLoop {
	l.labels, l.index, l.label = pointer("labels"), l.vec(), l.vec()
	return l
}

// others returns the lanes that count and are not the label's.
func (l *rowLoop) others() reg.VecVirtual {
	m := l.vec()
	VPCMPEQQ(l.index, l.label, m)
	VANDNPD(l.keep, m, m)
	return m
}

// elements is an array of elements, numbers one of float64 numbers.
func (g *gen) elements(name string) stepped { return stepped{pointer(name), size(g.elem)} }
func numbers(name string) stepped           { return stepped{pointer(name), 8} }

// across stores what op makes of the lanes of v to number i at p.
func (g *gen) across(v reg.VecVirtual, p reg.GPVirtual, i int, op func(a, b, dst Op)) {
	hi := XMM()
	VEXTRACTF128(U8(1), v, hi)
	op(v.AsX(), hi, hi)
	VPERMILPD(U8(1), hi, v.AsX())
	op(v.AsX(), hi, hi)
	VMOVSD(hi, Mem{Base: p, Disp: 8 * i})
}

// turns are the registers of a sum that take turns: it rounds off less, and does not wait for
// itself.
type turns [4]reg.VecVirtual

func newTurns(g *gen) (t turns) {
	for i := range t {
		t[i] = g.vec()
	}
	return t
}

func (t *turns) clear() {
	for _, v := range t {
		VXORPD(v, v, v)
	}
}

// add adds v, which it uses up.
func (t *turns) add(v reg.VecVirtual) {
	last := len(t) - 1
	VADDPD(v, t[last], v)
	for i := last; i > 0; i-- {
		VMOVAPD(t[i-1], t[i])
	}
	VMOVAPD(v, t[0])
}

func (t *turns) total() reg.VecVirtual {
	VADDPD(t[1], t[0], t[0])
	VADDPD(t[3], t[2], t[2])
	VADDPD(t[2], t[0], t[0])
	return t[0]
}

func addLanes(a, b, dst Op) { VADDPD(a, b, dst) }
func maxLanes(a, b, dst Op) { VMAXPD(a, b, dst) }

// largestSoFar takes the lanes of v that m keeps into most.
func (g *gen) largestSoFar(most, v, m, least reg.VecVirtual) {
	t := g.vec()
	VBLENDVPD(m, v, least, t)
	VMAXPD(t, most, most)
}

// minusInf returns a register of -Inf.
func (g *gen) minusInf() reg.VecVirtual {
	v := g.vec()
	VMOVUPD(g.constant(math.Inf(-1)), v)
	return v
}

// rowLosses emits the kernels of one element type.
func (g *gen) rowLosses() {
	g.kernel("othersOf", "func(sums *float64, x *F, labels *int, cols, rows int)",
		"writes Σ x, Σ x² and the largest x of each row without that of its label.")
	x, sums := g.elements("x"), pointer("sums")
	least, sum, squares, most := g.minusInf(), newTurns(g), g.vec(), g.vec()
	l := g.rowLoop(x).labelled()
	l.emit(func() {
		sum.clear()
		VXORPD(squares, squares, squares)
		VMOVAPD(least, most)
	}, func() {
		v, m := g.load(x, 0), l.others()
		g.largestSoFar(most, v, m, least)
		VANDPD(m, v, v)
		VFMADD231PD(v, v, squares)
		sum.add(v)
	}, func() {
		g.across(sum.total(), sums, 0, addLanes)
		g.across(squares, sums, 1, addLanes)
		g.across(most, sums, 2, maxLanes)
		ADDQ(U8(24), sums)
	})

	g.kernel("violations", "func(sums *float64, dst, x *F, labels *int, own, factor *float64, cols, rows int, margin, a, b float64)",
		"writes Σ d·e and Σ d for e = margin + (x - own) and d = a + b·e where e > 0, without the label's, and factor·d.")
	dst, x, sums := g.elements("dst"), g.elements("x"), pointer("sums")
	own, factor := pointer("own"), pointer("factor")
	margin, a, b := g.param("margin"), g.param("a"), g.param("b")
	loss, slope, zero := g.vec(), g.vec(), g.zero()
	ownNow, factorNow := g.vec(), g.vec()
	l = g.rowLoop(dst, x).labelled()
	l.emit(func() {
		VXORPD(loss, loss, loss)
		VXORPD(slope, slope, slope)
		VBROADCASTSD(Mem{Base: own}, ownNow)
		VBROADCASTSD(Mem{Base: factor}, factorNow)
		ADDQ(U8(8), own)
		ADDQ(U8(8), factor)
	}, func() {
		e, m, d, above := g.load(x, 0), g.vec(), g.vec(), g.vec()
		VSUBPD(ownNow, e, e)
		VADDPD(margin, e, e)
		VPCMPEQQ(l.index, l.label, m)
		VCMPPD(Imm(6), zero, e, above) // not <=: a NaN is above
		VANDNPD(above, m, m)
		VANDPD(m, e, e)
		VMOVAPD(a, d)
		VFMADD231PD(b, e, d)
		VANDPD(m, d, d)
		out := g.vec()
		VMULPD(factorNow, d, out)
		g.store(out, dst, 0, false)
		VANDPD(l.keep, d, d)
		VADDPD(d, slope, slope)
		VFMADD231PD(d, e, loss)
	}, func() {
		g.across(loss, sums, 0, addLanes)
		g.across(slope, sums, 1, addLanes)
		ADDQ(U8(16), sums)
	})

	g.kernel("productsOf", "func(dst *F, e, d, numbers *float64, cols, rows int)",
		"writes c·e·(a·d + b) for the three numbers a, b and c of each row.")
	dst, e, d := g.elements("dst"), numbers("e"), numbers("d")
	three := pointer("numbers")
	na, nb, nc := g.vec(), g.vec(), g.vec()
	l = g.rowLoop(dst, e, d)
	l.emit(func() {
		for i, v := range []reg.VecVirtual{na, nb, nc} {
			VBROADCASTSD(Mem{Base: three, Disp: 8 * i}, v)
		}
		ADDQ(U8(24), three)
	}, func() {
		v := g.vec()
		VMOVUPD(Mem{Base: d}, v)
		VFMADD213PD(nb, na, v)
		VMULPD(Mem{Base: e}, v, v)
		VMULPD(nc, v, v)
		g.store(v, dst, 0, false)
	}, func() {})
}

// rowSums emits the kernels of rows that are in float64 whatever the operands.
func (g *gen) rowSums() {
	g.kernel("keptLargest", "func(sums, x, t *float64, cols, rows int)", "writes Σ t·x and the largest (1 - t)·x of each row.")
	x, t := numbers("x"), numbers("t")
	sums, least, most := pointer("sums"), g.minusInf(), g.vec()
	one, hit := g.vec(), g.vec()
	VMOVUPD(g.constant(1), one)
	l := g.rowLoop(x, t)
	l.emit(func() {
		VXORPD(hit, hit, hit)
		VMOVAPD(least, most)
	}, func() {
		v, t, rest := g.load(x, 0), g.load(t, 0), g.vec()
		VSUBPD(t, one, rest)
		VMULPD(v, rest, rest)
		g.largestSoFar(most, rest, l.keep, least)
		VANDPD(l.keep, t, t)
		VFMADD231PD(v, t, hit)
	}, func() {
		g.across(hit, sums, 0, addLanes)
		g.across(most, sums, 1, maxLanes)
		ADDQ(U8(16), sums)
	})

	g.kernel("gapsOf", "func(sums, d, e, t, scale, from *float64, cols, rows int)",
		"writes d = g - from for g = scale·e - t, and Σ g², Σ e·d and the largest t of each row.")
	d, e, t := numbers("d"), numbers("e"), numbers("t")
	sums, least, most = pointer("sums"), g.minusInf(), g.vec()
	scale, from := pointer("scale"), pointer("from")
	squares, product, scaleNow, fromNow := g.vec(), g.vec(), g.vec(), g.vec()
	l = g.rowLoop(d, e, t)
	l.emit(func() {
		VXORPD(squares, squares, squares)
		VXORPD(product, product, product)
		VMOVAPD(least, most)
		VBROADCASTSD(Mem{Base: scale}, scaleNow)
		VBROADCASTSD(Mem{Base: from}, fromNow)
		ADDQ(U8(8), scale)
		ADDQ(U8(8), from)
	}, func() {
		t, v, gap := g.load(t, 0), g.vec(), g.vec()
		VMAXPD(t, most, most)
		VMOVUPD(Mem{Base: e}, v)
		VFMSUB231PD(v, scaleNow, t)
		VSUBPD(fromNow, t, gap)
		VMOVUPD(gap, Mem{Base: d})
		VANDPD(l.keep, t, t)
		VANDPD(l.keep, gap, gap)
		VFMADD231PD(t, t, squares)
		VFMADD231PD(v, gap, product)
	}, func() {
		g.across(squares, sums, 0, addLanes)
		g.across(product, sums, 1, addLanes)
		g.across(most, sums, 2, maxLanes)
		ADDQ(U8(24), sums)
	})
}
