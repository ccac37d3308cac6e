package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The sums have a lane for each number of 64 bytes of type comp. Where that is float32, four terms
// of a lane are added in float32 before they go to its float64 sum. AVX-512 has the sums in
// registers, AVX2 in memory, but for simple losses of float64 numbers. A kernel goes on with what is
// in memory.

func (k *points) beginSums(depth int) {
	if k.is512() {
		for i := range map[string]int{"F32": 3, "F64": 1}[k.comp] {
			s := k.vec()
			VMOVUPS(Mem{Base: k.acc, Disp: 64 * i}, s)
			k.sums = append(k.sums, s)
		}
		return
	}
	if k.kind == simple && k.comp == "F64" {
		for i := range depth {
			s := k.vec()
			VMOVUPD(Mem{Base: k.acc, Disp: k.vecBytes() * i}, s)
			k.sums = append(k.sums, s)
		}
		return
	}
	if depth == 1 {
		k.half = GP64()
		XORL(k.half.As32(), k.half.As32())
	}
}

// endSums writes the sums that are in registers, float64 before float32.
func (k *points) endSums() {
	for i, s := range k.sums {
		VMOVUPS(s, Mem{Base: k.acc, Disp: k.vecBytes() * i})
	}
}

// addValue adds the value of a step on one register.
func (k *points) addValue(v reg.VecVirtual) {
	g := k.gen
	if k.comp == "F64" {
		k.addTo(0, v)
	} else {
		if g.is512() {
			g.add(v, k.sums[2], k.sums[2])
		} else {
			part := Mem{Base: k.acc, Index: k.half, Scale: 1, Disp: 128}
			g.add(part, v, v)
			VMOVUPS(v, part)
		}
		labels++
		there, back := fmt.Sprintf("aside%d", labels), fmt.Sprintf("back%d", labels)
		left := GP32() // 0 for the last register of four groups
		LEAL(Mem{Base: k.at, Disp: k.stride()}, left)
		TESTL(U32(partials-1), left)
		JZ(LabelRef(there))
		Label(back)
		k.later = append(k.later, func() {
			Label(there)
			k.addPartials()
			JMP(LabelRef(back))
		})
	}
	if k.half != nil {
		XORL(U32(32), k.half.As32())
	}
}

// addTo adds float64 numbers to the sums, those of AVX2 from byte i on.
func (k *points) addTo(i int, v reg.VecVirtual) {
	if k.sums != nil {
		sum := k.sums[i/k.vecBytes()]
		VADDPD(v, sum, sum)
		return
	}
	m := Mem{Base: k.acc, Disp: i}
	if k.half != nil && k.comp == "F64" {
		m.Index, m.Scale = k.half, 1
	}
	VADDPD(m, v, v)
	VMOVUPD(v, m)
}

// addWide adds the float32 numbers of a register.
func (k *points) addWide(i int, v reg.VecVirtual) {
	g, lower, upper, rest := k.gen, k.vec(), k.vec(), k.narrow()
	if g.is512() {
		VEXTRACTF64X4(Imm(1), v, rest)
		VCVTPS2PD(v.AsY(), lower)
	} else {
		VEXTRACTF128(Imm(1), v, rest)
		VCVTPS2PD(v.AsX(), lower)
	}
	VCVTPS2PD(rest, upper)
	k.addTo(i, lower)
	k.addTo(i+k.vecBytes(), upper)
}

// addPartials moves the float32 sums to the float64 ones.
func (k *points) addPartials() {
	if k.is512() {
		k.addWide(0, k.sums[2])
		VXORPS(k.sums[2].AsX(), k.sums[2].AsX(), k.sums[2].AsX())
		return
	}
	for i := 0; i < 64; i += 16 {
		v := k.vec()
		VCVTPS2PD(Mem{Base: k.acc, Disp: 128 + i}, v)
		k.addTo(2*i, v)
	}
	zero := k.zero()
	VMOVUPS(zero, Mem{Base: k.acc, Disp: 128})
	VMOVUPS(zero, Mem{Base: k.acc, Disp: 160})
}
