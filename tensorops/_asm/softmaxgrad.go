package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A gradKind is one of the kernels that write gradients:
//
//	factor·e    and + add·k[c], or + add·(k[c]·t + b[c])    and times the slope of a softcap
//	factor·e + add·slope
//
// factor and add belong to the row. Where its up is 0 the row is 0, whatever e is.
type gradKind struct {
	name                       string
	classes, soft, capped, two bool
}

var gradKinds = []gradKind{
	{name: "Plain"},
	{name: "Classes", classes: true},
	{name: "Soft", soft: true},
	{name: "CappedPlain", capped: true},
	{name: "CappedClasses", classes: true, capped: true},
	{name: "CappedSoft", soft: true, capped: true},
	{name: "Two", two: true},
}

// out returns a register of gradients. k and b are what belongs to the class.
func (g *gen) out(kind gradKind, e Mem, fac, add reg.VecVirtual, k, b Op, t func() reg.VecVirtual, slope Mem) reg.VecVirtual {
	v := g.vec()
	switch {
	case kind.two:
		VMULPD(slope, add, v)
		VFMADD231PD(e, fac, v)
	case kind.soft:
		a := t()
		VMULPD(k, a, a)
		VADDPD(b, a, a)
		VMULPD(add, a, v)
		VFMADD231PD(e, fac, v)
	case kind.classes:
		VMULPD(k, add, v)
		VFMADD231PD(e, fac, v)
	default:
		VMULPD(e, fac, v)
	}
	if kind.capped {
		VMULPD(slope, v, v)
	}
	return v
}

// laneGrad writes the gradients of a group, class c at dst[c·stride].
func (g *gen) laneGrad(kind gradKind) {
	g.kernel("laneGrad"+kind.name, "func(dst *F, e, slope *float64, t *F, k, b, st *float64, stride, classes int)", "writes gradients of a group.")
	dst, e, stride, n, st := pointer("dst"), pointer("e"), pointer("stride"), pointer("classes"), pointer("st")
	SHLQ(U8(uint8(1+size(g.elem)/4)), stride)
	fac, add, live := make([]reg.VecVirtual, 4), make([]reg.VecVirtual, 4), AllocLocal(128)
	for h := range fac {
		fac[h], add[h] = g.vec(), g.vec()
		m := g.vec()
		VMOVUPD(Mem{Base: st, Disp: statUp + 32*h}, m)
		VCMPPD(Imm(4), g.constant(0), m, m)
		VMOVUPD(m, live.Offset(32*h))
		VMOVUPD(Mem{Base: st, Disp: statFactor + 32*h}, fac[h])
		VMOVUPD(Mem{Base: st, Disp: statAdd + 32*h}, add[h])
	}
	var slope, t, k, b reg.GPVirtual
	if kind.capped || kind.two {
		slope = pointer("slope")
	}
	if kind.soft {
		t, b = pointer("t"), pointer("b")
	}
	if kind.soft || kind.classes {
		k = pointer("k")
	}
	Label("loop")
	var kc, bc reg.VecVirtual
	if k != nil {
		kc = g.number(Mem{Base: k})
	}
	if b != nil {
		bc = g.number(Mem{Base: b})
	}
	for h := range fac {
		v := g.out(kind, lane(e, 4*h), fac[h], add[h], kc, bc, func() reg.VecVirtual { return g.load(t, 4*h) }, lane(slope, 4*h))
		VANDPD(live.Offset(32*h), v, v)
		g.store(v, dst, 4*h, false)
	}
	PREFETCHT0(Mem{Base: dst, Disp: classAhead})
	ADDQ(stride, dst)
	ADDQ(U32(128), e)
	if slope != nil {
		ADDQ(U32(128), slope)
	}
	if t != nil {
		ADDQ(U32(uint32(16*size(g.elem))), t)
	}
	for _, p := range []reg.GPVirtual{k, b} {
		if p != nil {
			ADDQ(U32(8), p)
		}
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
