package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// capTerm is an expTerm of out·tanh(in·x).
type capTerm struct {
	*expTerm
	coefs   []float64
	in, out Mem
	far     Mem // z of 16 elements of which some have a large |in·x|
}

// cap returns out·tanh(in·x) of 16 elements and writes the slopes. Where a |in·x| is large, it goes
// by the exponential.
func (t *capTerm) cap(x, slope reg.GPVirtual) (zs []reg.VecVirtual) {
	g := t.gen
	labels++
	done := fmt.Sprintf("capped%d", labels)
	us := g.registers(x, 0, 16)
	w, p := make([]reg.VecVirtual, len(us)), make([]reg.VecVirtual, len(us))
	in := g.number(t.in)
	for i, u := range us {
		w[i], p[i] = g.vec(), g.vec()
		VMULPD(in, u, u)
		VMULPD(u, u, w[i])
	}
	far := g.above(w, nearCap)
	last := len(t.coefs) - 1
	for i := range us {
		g.set(g.constant(t.coefs[last]), p[i])
	}
	for d := last - 1; d >= 0; d-- {
		for i := range us {
			g.fma213(g.constant(t.coefs[d]), w[i], p[i])
		}
	}
	for i, u := range us {
		VMULPD(w[i], p[i], p[i])
		VFMADD213PD(u, u, p[i]) // tanh
		g.set(g.constant(1), w[i])
		VFNMADD231PD(p[i], p[i], w[i])
	}
	out := g.number(t.out)
	for i := range us {
		VMOVUPD(w[i], lane(slope, i*g.lanes()))
		VMULPD(out, p[i], p[i])
	}
	TESTL(far, far)
	JZ(LabelRef(done))
	for i, z := range p {
		VMOVUPD(z, t.far.Offset(8*i*g.lanes()))
	}
	for i := 0; i < 16; i += g.lanes() {
		t.capFar(g.load(x, i), t.far.Offset(8*i), lane(slope, i))
	}
	for i, z := range p {
		VMOVUPD(t.far.Offset(8*i*g.lanes()), z)
	}
	Label(done)
	return p
}

// nearCap bounds the u² for which tanh u is a polynomial.
const nearCap = 0.5

// farCap is where |u| is cut off: the exponential of twice it is a number, and the slope is below
// 2^-960.
const farCap = 340

// capFar replaces z and the slope of the lanes whose u² is not near, u = in·x; x is used up.
//
//	tanh|u| = 1 - 2s    1 - tanh² = 4s(1 - s)    with s = 1/(exp(2|u|) + 1)
func (t *capTerm) capFar(u reg.VecVirtual, z, slope Mem) {
	g := t.gen
	const notAtMost = 6
	VMULPD(g.number(t.in), u, u)
	s, sign, v := g.vec(), g.vec(), g.vec()
	VMULPD(u, u, s)
	pick := g.mask(notAtMost, s, g.constant(nearCap))
	g.and(bitsConstant(1<<63, 8), u, sign)
	g.and(bitsConstant(1<<63-1, 8), u, u)
	g.set(g.constant(farCap), s)
	VMINPD(u, s, u)
	VADDPD(u, u, u)
	e := t.withinWide(u)
	g.add(g.constant(1), e, e)
	g.set(g.constant(1), s)
	VDIVPD(e, s, s)
	g.set(g.constant(4), u)
	g.fnma231(g.constant(4), s, u)
	VMULPD(s, u, u)
	g.sub(u, g.constant(0x1p-960), u) // 0 from farCap on, as at infinity
	zero := g.zero()
	VMAXPD(zero, u, u)
	VMOVUPD(slope, v)
	g.moveTo(pick, u, v)
	VMOVUPD(v, slope)
	g.set(g.constant(1), u)
	g.fnma231(g.constant(2), s, u)
	VORPD(sign, u, u)
	VMULPD(g.number(t.out), u, u)
	VMOVUPD(z, v)
	g.moveTo(pick, u, v)
	VMOVUPD(v, z)
}

// masked makes 0 of the exponentials and slopes, and -Inf of the z if kept, of the 16 elements at x
// that are -Inf.
func (t *capTerm) masked(x, e, z, slope reg.GPVirtual) {
	g := newGen("AVX2", t.elem, t.elem)
	labels++
	done, next := fmt.Sprintf("open%d", labels), fmt.Sprintf("element%d", labels)
	any := g.zero()
	for i := 0; i < 16; i += g.lanes() {
		m := g.vec()
		f(g, VMOVUPS, VMOVUPD)(g.elemAt(x, i), m)
		f(g, VCMPPS, VCMPPD)(Imm(0), g.constant(math.Inf(-1)), m, m)
		VORPS(m, any, any)
	}
	bits, i := GP32(), GP64()
	f(g, VMOVMSKPS, VMOVMSKPD)(any, bits)
	TESTL(bits, bits)
	JZ(LabelRef(done))
	XORQ(i, i)
	v, low := XMM(), XMM()
	f(g, VMOVSS, VMOVSD)(g.constant(math.Inf(-1)), low)
	Label(next)
	f(g, VMOVSS, VMOVSD)(Mem{Base: x, Index: i, Scale: uint8(size(g.elem))}, v)
	f(g, VUCOMISS, VUCOMISD)(v, low)
	skip := fmt.Sprintf("not%d", labels)
	JNE(LabelRef(skip))
	JP(LabelRef(skip))
	bits64 := GP64()
	drop := fmt.Sprintf("drop%d", labels)
	TESTQ(z, z)
	JZ(LabelRef(drop))
	MOVQ(U64(math.Float64bits(math.Inf(-1))), bits64)
	MOVQ(bits64, Mem{Base: z, Index: i, Scale: 8})
	Label(drop)
	XORQ(bits64, bits64)
	MOVQ(bits64, Mem{Base: e, Index: i, Scale: 8})
	MOVQ(bits64, Mem{Base: slope, Index: i, Scale: 8})
	Label(skip)
	INCQ(i)
	CMPQ(i, U32(16))
	JL(LabelRef(next))
	Label(done)
}
