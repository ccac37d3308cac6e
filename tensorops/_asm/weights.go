package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels of package vec for the weights of elements. They take 16 elements at a time.

const weightStep = 16

// pace is the number of bytes by which a vector advances for an element.
type pace struct {
	vector reg.Register
	bytes  int
}

// weightLoop emits a loop over n elements.
func (g *gen) weightLoop(n reg.Register, vectors []pace, body func()) {
	Label("loop")
	body()
	for _, v := range vectors {
		ADDQ(U32(uint32(weightStep*v.bytes)), v.vector)
	}
	SUBQ(U32(weightStep), n)
	JNZ(LabelRef("loop"))
}

// steps is the number of registers for the elements of a step.
func (g *gen) steps() int { return weightStep / g.lanes() }

// maskWeights emits 0 and 1 of bytes, their sum and all their bits.
func (g *gen) maskWeights() {
	g.text("maskWeights", "func(dst *F, mask *byte, n int) (ones, bits uint32)", "writes mask[i] to dst[i] and returns their sum and all their bits.")
	dst, mask, n := Load(Param("dst"), GP64()), Load(Param("mask"), GP64()), Load(Param("n"), GP64())
	sum, all := g.vec(), g.vec()
	VPXOR(sum.AsY(), sum.AsY(), sum.AsY())
	VPXOR(all.AsY(), all.AsY(), all.AsY())
	bytes := g.vecBytes() / 4
	g.weightLoop(n, []pace{{dst, size(g.elem)}, {mask, 1}}, func() {
		for at := 0; at < weightStep; at += bytes { // a register of integers
			v := g.vec()
			VPMOVZXBD(Mem{Base: mask, Disp: at}, v)
			VPADDD(v, sum, sum)
			g.orIntegers(v, all)
			if g.elem == "F32" {
				f := g.vec()
				VCVTDQ2PS(v, f)
				VMOVUPS(f, g.elemAt(dst, at))
				continue
			}
			low, high, half := g.vec(), g.vec(), g.narrow()
			if g.is512() {
				VCVTDQ2PD(v.AsY(), low)
				VEXTRACTI64X4(Imm(1), v, half)
			} else {
				VCVTDQ2PD(v.AsX(), low)
				VEXTRACTI128(Imm(1), v, half)
			}
			VCVTDQ2PD(half, high)
			VMOVUPD(low, g.elemAt(dst, at))
			VMOVUPD(high, g.elemAt(dst, at+bytes/2))
		}
	})
	g.storeFolded(sum, "ones", func(a, dst Op) { VPADDD(a, dst, dst) })
	g.storeFolded(all, "bits", func(a, dst Op) { VPOR(a, dst, dst) })
	VZEROUPPER()
	RET()
}

func (g *gen) orIntegers(v, dst reg.VecVirtual) {
	if g.is512() {
		VPORD(v, dst, dst)
		return
	}
	VPOR(v, dst, dst)
}

// storeFolded folds 32-bit numbers and stores them as a result.
func (g *gen) storeFolded(v reg.VecVirtual, result string, op func(a, dst Op)) {
	y := v
	if g.is512() {
		half := YMM()
		VEXTRACTI64X4(Imm(1), v, half)
		y = v.AsY().(reg.VecVirtual)
		op(half, y)
	}
	x := XMM()
	VEXTRACTI128(Imm(1), y, x)
	op(y.AsX(), x)
	for _, order := range []uint64{0x4e, 0xb1} {
		t := XMM()
		VPSHUFD(Imm(order), x, t)
		op(t, x)
	}
	r := GP32()
	VMOVD(x, r)
	Store(r, Return(result))
}

// sumWeights emits sums of elements i mod 16 in float64, and the number of those that are not 0.
func (g *gen) sumWeights() {
	g.text("sumWeights", "func(sums *float64, w *F, n int) (nonzero, odd uint32)",
		"adds w[i] to sums[i mod 16] and returns the number that are not 0 and, for float64, a number that is not 0 where one is not finite.")
	sums, w, n := Load(Param("sums"), GP64()), Load(Param("w"), GP64()), Load(Param("n"), GP64())
	wide := g.inFloat64()
	count, odd, zero, one := g.vec(), g.vec(), g.vec(), g.vec()
	for _, v := range []reg.VecVirtual{count, odd, zero} {
		VPXOR(v.AsY(), v.AsY(), v.AsY())
	}
	if g.is512() {
		VPTERNLOGD(Imm(0xff), one, one, one) // -1
	}
	var acc []reg.VecVirtual
	for range wide.steps() {
		acc = append(acc, g.zero())
	}
	g.weightLoop(n, []pace{{w, size(g.elem)}}, func() {
		for i := range wide.steps() {
			v := wide.load(w, i*wide.lanes())
			VADDPD(v, acc[i], acc[i])
			if g.elem == "F64" {
				VSUBPD(v, v, v)
				g.orIntegers(v, odd)
			}
		}
		for i := range g.steps() {
			m := g.elemAt(w, i*g.lanes())
			if g.is512() {
				k := K()
				f(g, VCMPPS, VCMPPD)(Imm(notEqual), m, zero, k)
				f(g, VPSUBD, VPSUBQ)(one, count, k, count)
				continue
			}
			v := g.vec()
			f(g, VCMPPS, VCMPPD)(Imm(notEqual), m, zero, v)
			f(g, VPSUBD, VPSUBQ)(v, count, count)
		}
	})
	for i, a := range acc {
		VMOVUPD(a, Mem{Base: sums, Disp: i * g.vecBytes()})
	}
	g.storeFolded(count, "nonzero", func(a, dst Op) { VPADDD(a, dst, dst) })
	g.storeFolded(odd, "odd", func(a, dst Op) { VPOR(a, dst, dst) })
	VZEROUPPER()
	RET()
}

// multiply emits products of which the first factor decides where they are 0.
func (g *gen) multiply() {
	g.text("multiply", "func(dst, a, b *F, n int)", "writes a[i]·b[i] to dst[i], 0 where a[i] is 0.")
	dst, a, b, n := Load(Param("dst"), GP64()), Load(Param("a"), GP64()), Load(Param("b"), GP64()), Load(Param("n"), GP64())
	zero := g.zero()
	g.weightLoop(n, []pace{{dst, size(g.elem)}, {a, size(g.elem)}, {b, size(g.elem)}}, func() {
		for i := range g.steps() {
			v, at := g.load(a, i*g.lanes()), i*g.lanes()
			if g.is512() {
				k := K()
				f(g, VCMPPS, VCMPPD)(Imm(notEqual), zero, v, k)
				f(g, VMULPS_Z, VMULPD_Z)(g.elemAt(b, at), v, k, v)
			} else {
				m := g.vec()
				f(g, VCMPPS, VCMPPD)(Imm(notEqual), zero, v, m)
				g.mul(g.elemAt(b, at), v, v)
				VANDPS(m, v, v)
			}
			g.store(v, dst, at, false)
		}
	})
	VZEROUPPER()
	RET()
}

// divide emits quotients.
func (g *gen) divide() {
	g.text("divide", "func(dst, a, b *F, n int)", "writes a[i]/b[i] to dst[i].")
	dst, a, b, n := Load(Param("dst"), GP64()), Load(Param("a"), GP64()), Load(Param("b"), GP64()), Load(Param("n"), GP64())
	g.weightLoop(n, []pace{{dst, size(g.elem)}, {a, size(g.elem)}, {b, size(g.elem)}}, func() {
		for i := range g.steps() {
			v, at := g.load(a, i*g.lanes()), i*g.lanes()
			f(g, VDIVPS, VDIVPD)(g.elemAt(b, at), v, v)
			g.store(v, dst, at, false)
		}
	})
	VZEROUPPER()
	RET()
}
