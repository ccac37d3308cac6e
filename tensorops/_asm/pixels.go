package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Kernels of losses of overlapping sets of pixels: the softmax over classes that lie a stride
// apart, against labels, for 16 pixels at a time. A label of -1 is that of a pixel that is left
// out. They exist for AVX2 alone, so that both instruction sets have the same bits.

// pixelPairs is the number of registers for the pixels of a step.
const pixelPairs = 2

// pixels is the state of a step.
type pixels struct {
	*logistic
	x, p, labels, stride, pstride, classes reg.GPVirtual
	y, live                                [pixelPairs]Mem // labels of 32 bits, and where there is one
}

func (g *gen) pixels() *pixels {
	p := &pixels{logistic: g.logistic(0), p: pointer("p"), labels: pointer("labels"), pstride: pointer("pstride"), classes: pointer("classes")}
	for h := range p.y {
		p.y[h], p.live[h] = AllocLocal(32), AllocLocal(32)
	}
	SHLQ(U8(2), p.pstride)
	return p
}

// readLabels narrows the labels of the step.
func (p *pixels) readLabels() {
	for h := range p.y {
		a, b := p.vec(), p.vec()
		VMOVUPS(Mem{Base: p.labels, Disp: 64 * h}, a)
		VMOVUPS(Mem{Base: p.labels, Disp: 64*h + 32}, b)
		VSHUFPS(U8(0x88), b, a, a)
		VPERMQ(U8(0xd8), a, a)
		VMOVUPS(a, p.y[h])
		VPCMPGTD(bitsConstant(math.MaxUint32, 4), a, a)
		VMOVUPS(a, p.live[h])
	}
}

// each emits a loop over the classes, with pointers that advance by so many bytes; body gets the
// number of the class in all lanes.
func (p *pixels) each(name string, ptrs []reg.GPVirtual, bytes []Op, body func(class reg.VecVirtual)) {
	n, class := GP64(), p.gen.zero()
	MOVQ(p.classes, n)
	Label(name)
	body(class)
	VPADDD(bitsConstant(1, 4), class, class)
	for i, ptr := range ptrs {
		ADDQ(bytes[i], ptr)
	}
	DECQ(n)
	JNZ(LabelRef(name))
}

func copyOf(r reg.GPVirtual) reg.GPVirtual {
	c := GP64()
	MOVQ(r, c)
	return c
}

// isOne returns where v is 1: the exponential of a largest logit.
func (p *pixels) isOne(v reg.VecVirtual) reg.VecVirtual {
	k := p.vec()
	VCMPPS(Imm(0), p.constant(1), v, k)
	return k
}

// labelled returns where the label is the class.
func (p *pixels) labelled(h int, class reg.VecVirtual) reg.VecVirtual {
	k := p.vec()
	VPCMPEQD(p.y[h], class, k)
	return k
}

// exps writes the exponentials of the logits' distances from the largest one to p.
func (p *pixels) exps(more func(h int, v reg.VecVirtual)) {
	var most [pixelPairs]reg.VecVirtual
	for h := range most {
		most[h] = p.vec()
		VMOVUPS(bitsConstant(uint64(math.Float32bits(float32(math.Inf(-1)))), 4), most[h])
	}
	at := copyOf(p.x)
	p.each("most", []reg.GPVirtual{at}, []Op{p.stride}, func(reg.VecVirtual) {
		for h, m := range most {
			VMAXPS(Mem{Base: at, Disp: 32 * h}, m, m)
		}
	})
	var kept [pixelPairs]Mem // registers are few
	for h, m := range most {
		kept[h] = AllocLocal(32)
		VMOVUPS(m, kept[h])
	}
	at = copyOf(p.x)
	e := copyOf(p.p)
	p.each("exps", []reg.GPVirtual{at, e}, []Op{p.stride, p.pstride}, func(class reg.VecVirtual) {
		for h, m := range kept {
			a := p.vec()
			VMOVUPS(m, a)
			VSUBPS(Mem{Base: at, Disp: 32 * h}, a, a)
			v := p.expMinus(a)
			VMOVUPS(v, Mem{Base: e, Disp: 32 * h})
			more(h, v)
		}
	})
}

// next closes the loop over the pixels, with pointers that advance by those of a step.
func (p *pixels) next(ptrs ...reg.GPVirtual) {
	for _, ptr := range ptrs {
		ADDQ(U8(64), ptr)
	}
	ADDQ(U32(128), p.labels)
	n := GP64()
	left := param("n")
	MOVQ(left, n)
	SUBQ(U8(16), n)
	MOVQ(n, left)
	JNZ(LabelRef("pixels"))
	VZEROUPPER()
	RET()
}

// overlapSums emits, for each class c, in 8 lanes each,
//
//	acc[c][0] += p where the label is c    acc[c][1] += p elsewhere    acc[c][2] += 1 - p where it is
//
// and writes p, over that of the step before where advance is 0.
func (g *gen) overlapSums() {
	g.kernel("overlapSums", "func(acc, x, p *float32, labels *int, stride, pstride, advance, classes, n int)", "writes the softmax of pixels and adds it up by label.")
	acc, p := pointer("acc"), g.pixels()
	p.x, p.stride = pointer("x"), pointer("stride")
	SHLQ(U8(2), p.stride)
	Label("pixels")
	p.readLabels()
	var rest, ones, inv [pixelPairs]reg.VecVirtual
	for h := range rest {
		rest[h], ones[h] = g.zero(), g.zero()
	}
	p.exps(func(h int, v reg.VecVirtual) {
		k := p.isOne(v)
		VANDNPS(v, k, v)
		VADDPS(v, rest[h], rest[h])
		VANDPS(g.constant(1), k, k)
		VADDPS(k, ones[h], ones[h])
	})
	for h := range inv { // rest becomes 1 - p of a class with the largest p
		inv[h] = g.vec()
		VADDPS(rest[h], ones[h], inv[h])
		one := g.vec()
		VMOVUPS(g.constant(1), one)
		VDIVPS(inv[h], one, inv[h])
		VSUBPS(one, ones[h], ones[h])
		VADDPS(ones[h], rest[h], rest[h])
		VMULPS(inv[h], rest[h], rest[h])
	}
	e, to := copyOf(p.p), copyOf(acc)
	p.each("sums", []reg.GPVirtual{e, to}, []Op{p.pstride, U8(96)}, func(class reg.VecVirtual) {
		var sum [3]reg.VecVirtual
		for h := range inv {
			v, q := g.vec(), g.vec()
			VMOVUPS(Mem{Base: e, Disp: 32 * h}, v)
			top, own := p.isOne(v), p.labelled(h, class)
			VMULPS(inv[h], v, v)
			VMOVUPS(v, Mem{Base: e, Disp: 32 * h})
			VMOVUPS(g.constant(1), q)
			VSUBPS(v, q, q)
			VBLENDVPS(top, rest[h], q, q)
			VANDPS(own, q, q)
			hit, other := g.vec(), g.vec()
			VANDPS(own, v, hit)
			VANDNPS(v, own, other)
			VANDPS(p.live[h], other, other)
			for i, s := range []reg.VecVirtual{hit, other, q} {
				if h == 0 {
					sum[i] = s
				} else {
					VADDPS(s, sum[i], sum[i])
				}
			}
		}
		for i, s := range sum {
			m := Mem{Base: to, Disp: 32 * i}
			VADDPS(m, s, s)
			VMOVUPS(s, m)
		}
	})
	advance := GP64()
	MOVQ(param("advance"), advance)
	LEAQ(Mem{Base: p.p, Index: advance, Scale: 4}, p.p)
	p.next(p.x)
}

// overlapPull emits, with u = coef[c][1] where the label is c and coef[c][0] elsewhere,
//
//	p[c] = p[c]·(u - Σ p·u)
//
// taken from the u of a class with the largest p, which keeps the digits of a p near 1.
func (g *gen) overlapPull() {
	g.kernel("overlapPull", "func(p, coef *float32, labels *int, pstride, classes, n int)", "replaces the softmax of pixels by derivatives by logits.")
	coef, p := pointer("coef"), g.pixels()
	Label("pixels")
	p.readLabels()
	slope := func(h int, class reg.VecVirtual, at reg.GPVirtual) reg.VecVirtual {
		own, u, on := p.labelled(h, class), g.vec(), g.vec()
		VBROADCASTSS(Mem{Base: at}, u)
		VBROADCASTSS(Mem{Base: at, Disp: 4}, on)
		VBLENDVPS(own, on, u, u)
		return u
	}
	var top, most, mean [pixelPairs]reg.VecVirtual
	for h := range top {
		top[h], most[h], mean[h] = g.zero(), g.vec(), g.zero()
		VMOVUPS(g.constant(-1), most[h])
	}
	loop := func(name string, body func(h int, u reg.VecVirtual, m Mem)) {
		at, k := copyOf(p.p), copyOf(coef)
		p.each(name, []reg.GPVirtual{at, k}, []Op{p.pstride, U8(8)}, func(class reg.VecVirtual) {
			for h := range top {
				body(h, slope(h, class, k), Mem{Base: at, Disp: 32 * h})
			}
		})
	}
	loop("most", func(h int, u reg.VecVirtual, m Mem) {
		v, larger := g.vec(), g.vec()
		VMOVUPS(m, v)
		g.compare(greater, v, most[h], larger)
		VBLENDVPS(larger, u, top[h], top[h])
		VMAXPS(v, most[h], most[h])
	})
	loop("mean", func(h int, u reg.VecVirtual, m Mem) {
		VSUBPS(top[h], u, u)
		VFMADD231PS(m, u, mean[h])
	})
	loop("grad", func(h int, u reg.VecVirtual, m Mem) {
		VSUBPS(top[h], u, u)
		VSUBPS(mean[h], u, u)
		VMULPS(m, u, u)
		VANDPS(p.live[h], u, u)
		VMOVUPS(u, m)
	})
	p.next(p.p)
}

// pixelKernels emits the kernels of pixels.
func pixelKernels(isa string) {
	if isa == "AVX2" {
		g := newGen("AVX2", "F32", "F32")
		g.overlapSums()
		g.overlapPull()
	}
}
