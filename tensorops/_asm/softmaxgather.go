package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Rows with a label are copied side by side, computed there, and copied back.

// copyRow copies a row of 4 elements or more, with the bits of mask cleared where there is one. The
// pointers end behind it.
func (g *gen) copyRow(to, from, n reg.GPVirtual, mask reg.VecVirtual) {
	copyBy := func(registers func() reg.VecVirtual) {
		per := int(registers().Size()) / size(g.elem)
		perRow(n, per, []stepped{{to, size(g.elem)}, {from, size(g.elem)}}, func(at int, _ bool) {
			v := registers()
			VMOVUPS(g.elemAt(from, at), v)
			if mask != nil {
				m := mask.AsX()
				if v.Size() == 32 {
					m = mask.AsY()
				}
				VANDNPS(v, m, v)
			}
			VMOVUPS(v, g.elemAt(to, at))
		})
	}
	if g.elem == "F64" {
		copyBy(func() reg.VecVirtual { return YMM() })
		return
	}
	few, copied := newLabel("few"), newLabel("copied")
	CMPQ(n, U8(8))
	JL(LabelRef(few))
	copyBy(func() reg.VecVirtual { return YMM() })
	JMP(LabelRef(copied))
	Label(few)
	copyBy(func() reg.VecVirtual { return XMM() })
	Label(copied)
}

// gatherRows emits copying the rows that have a label, and what belongs to them, to a tile.
func (g *gen) gatherRows() {
	g.kernel("gatherRows", "func(tile, x *F, toLabels, labels *int, toUp, up *float64, classes, rows, most int) (n, left int)",
		"copies at most so many rows that have a label; it returns their number and that of the rows left.")
	tile, x, toLabels, labels := pointer("tile"), pointer("x"), pointer("toLabels"), pointer("labels")
	toUp, up, rows := pointer("toUp"), pointer("up"), pointer("rows")
	count, most := GP64(), pointer("most")
	XORQ(count, count)
	stride := GP64()
	Load(Param("classes"), stride)
	SHLQ(U8(uint8(1+size(g.elem)/4)), stride)
	Label("row")
	n, y, v := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: labels}, y)
	TESTQ(y, y)
	JL(LabelRef("ignored"))
	MOVQ(y, Mem{Base: toLabels, Index: count, Scale: 8})
	MOVQ(Mem{Base: up}, v)
	MOVQ(v, Mem{Base: toUp, Index: count, Scale: 8})
	INCQ(count)
	Load(Param("classes"), n)
	g.copyRow(tile, x, n, nil)
	JMP(LabelRef("next"))
	Label("ignored")
	ADDQ(stride, x)
	Label("next")
	ADDQ(U8(8), up)
	ADDQ(U8(8), labels)
	DECQ(rows)
	JZ(LabelRef("done"))
	CMPQ(count, most)
	JL(LabelRef("row"))
	Label("done")
	Store(count, ReturnIndex(0))
	Store(rows, ReturnIndex(1))
	VZEROUPPER()
	RET()
}

// spreadRows emits copying back what came of the rows of a tile, and 0 for rows that have no label.
func (g *gen) spreadRows() {
	g.kernel("spreadRows", "func(dst, tile *F, values, of *float64, labels *int, classes, rows int)",
		"copies a tile's rows and values to their places; dst and values may be nil.")
	dst, tile, values, of := pointer("dst"), pointer("tile"), pointer("values"), pointer("of")
	labels, rows := pointer("labels"), pointer("rows")
	Label("row")
	gone, mask := GP64(), YMM()
	MOVQ(Mem{Base: labels}, gone)
	SARQ(U8(63), gone)
	TESTQ(dst, dst)
	JZ(LabelRef("value"))
	{
		n, from := GP64(), GP64()
		VMOVQ(gone, mask.AsX())
		VPBROADCASTQ(mask.AsX(), mask)
		Load(Param("classes"), n)
		MOVQ(tile, from)
		g.copyRow(dst, from, n, mask)
		TESTQ(gone, gone)
		CMOVQEQ(from, tile)
	}
	Label("value")
	NOTQ(gone)
	TESTQ(values, values)
	JZ(LabelRef("next"))
	{
		v := GP64()
		MOVQ(Mem{Base: of}, v)
		ANDQ(gone, v)
		MOVQ(v, Mem{Base: values})
		ANDQ(U8(8), gone)
		ADDQ(gone, of)
		ADDQ(U8(8), values)
	}
	Label("next")
	ADDQ(U8(8), labels)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
