package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Copies of rows that lie side by side.

// classAhead is how far ahead classes that lie apart are fetched: each is a stream of its own.
const classAhead = 256

// classes emits dst[16c + i] = x[c·stride + i].
func (g *gen) classes() {
	g.kernel("classes", "func(dst, x *F, stride, classes int)", "makes a group of rows that lie side by side.")
	dst, x, stride, n := pointer("dst"), pointer("x"), pointer("stride"), pointer("classes")
	SHLQ(U8(uint8(1+size(g.elem)/4)), stride)
	Label("loop")
	for at := 0; at < 16*size(g.elem); at += 32 {
		v := YMM()
		VMOVUPS(Mem{Base: x, Disp: at}, v)
		VMOVUPS(v, Mem{Base: dst, Disp: at})
	}
	PREFETCHT0(Mem{Base: x, Disp: classAhead})
	ADDQ(stride, x)
	ADDQ(U32(uint32(16*size(g.elem))), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// tileAhead is how many classes ahead tiles are fetched.
const tileAhead = 4

// copyTile emits dst[to·c + toStep·k + i] = x[from·c + fromStep·k + i] for i < 16 and k < groups.
func (g *gen) copyTile() {
	g.kernel("copyTile", "func(dst, x *F, to, from, toStep, fromStep, groups, classes int)",
		"copies groups of 16 elements of each class.")
	dst, x, to, from := pointer("dst"), pointer("x"), pointer("to"), pointer("from")
	toStep, fromStep, classes := pointer("toStep"), pointer("fromStep"), pointer("classes")
	shift := U8(uint8(1 + size(g.elem)/4))
	for _, p := range []reg.GPVirtual{to, from, toStep, fromStep} {
		SHLQ(shift, p)
	}
	p, q, readAhead, writeAhead, n := GP64(), GP64(), GP64(), GP64(), GP64()
	Label("class")
	MOVQ(x, p)
	MOVQ(dst, q)
	LEAQ(Mem{Base: x, Index: from, Scale: tileAhead}, readAhead)
	LEAQ(Mem{Base: dst, Index: to, Scale: tileAhead}, writeAhead)
	Load(Param("groups"), n)
	Label("group")
	for at := 0; at < 16*size(g.elem); at += 64 {
		PREFETCHT0(Mem{Base: readAhead, Disp: at})
		PREFETCHT0(Mem{Base: writeAhead, Disp: at})
		for half := at; half < at+64; half += 32 {
			v := YMM()
			VMOVUPS(Mem{Base: p, Disp: half}, v)
			VMOVUPS(v, Mem{Base: q, Disp: half})
		}
	}
	ADDQ(fromStep, p)
	ADDQ(fromStep, readAhead)
	ADDQ(toStep, q)
	ADDQ(toStep, writeAhead)
	DECQ(n)
	JNZ(LabelRef("group"))
	ADDQ(from, x)
	ADDQ(to, dst)
	DECQ(classes)
	JNZ(LabelRef("class"))
	VZEROUPPER()
	RET()
}
