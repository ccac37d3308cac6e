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
	x, e, labels, stride, classes reg.GPVirtual
	y, live                       [pixelPairs]Mem // labels of 32 bits, and where there is one
}

func (g *gen) pixels() *pixels {
	p := &pixels{logistic: g.logistic(0), x: pointer("x"), e: pointer("e"), labels: pointer("labels"), stride: pointer("stride"), classes: pointer("classes")}
	for h := range p.y {
		p.y[h], p.live[h] = AllocLocal(32), AllocLocal(32)
	}
	SHLQ(U8(2), p.stride)
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

// exps writes the exponentials of the logits' distances from the largest one to e.
func (p *pixels) exps(more func(h int, v, class reg.VecVirtual)) {
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
	e := copyOf(p.e)
	p.each("exps", []reg.GPVirtual{at, e}, []Op{p.stride, U8(64)}, func(class reg.VecVirtual) {
		for h, m := range kept {
			a := p.vec()
			VMOVUPS(m, a)
			VSUBPS(Mem{Base: at, Disp: 32 * h}, a, a)
			v := p.expMinus(a)
			VMOVUPS(v, Mem{Base: e, Disp: 32 * h})
			more(h, v, class)
		}
	})
}

// next closes the loop over the pixels.
func (p *pixels) next(more ...reg.GPVirtual) {
	for _, ptr := range append(more, p.x) {
		ADDQ(U8(64), ptr)
	}
	ADDQ(U32(128), p.labels)
	n := GP64()
	left, err := Param("n").Resolve()
	if err != nil {
		panic(err)
	}
	MOVQ(left.Addr, n)
	SUBQ(U8(16), n)
	MOVQ(n, left.Addr)
	JNZ(LabelRef("pixels"))
	VZEROUPPER()
	RET()
}

// overlapSums emits, for each class c, in 8 lanes each,
//
//	acc[c][0] += p where the label is c    acc[c][1] += p elsewhere    acc[c][2] += 1 - p where it is
func (g *gen) overlapSums() {
	g.kernel("overlapSums", "func(acc, x, e *float32, labels *int, stride, classes, n int)", "adds up the softmax of pixels by label.")
	acc, p := pointer("acc"), g.pixels()
	Label("pixels")
	p.readLabels()
	var rest, ones, inv [pixelPairs]reg.VecVirtual
	for h := range rest {
		rest[h], ones[h] = g.zero(), g.zero()
	}
	p.exps(func(h int, v, _ reg.VecVirtual) {
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
	e, to := copyOf(p.e), copyOf(acc)
	p.each("sums", []reg.GPVirtual{e, to}, []Op{U8(64), U8(96)}, func(class reg.VecVirtual) {
		var sum [3]reg.VecVirtual
		for h := range inv {
			v, q := g.vec(), g.vec()
			VMOVUPS(Mem{Base: e, Disp: 32 * h}, v)
			top, own := p.isOne(v), p.labelled(h, class)
			VMULPS(inv[h], v, v)
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
	p.next()
}

// overlapGrad emits, with u = coef[c][1] where the label is c and coef[c][0] elsewhere,
//
//	dst[c] = p·(u - Σ p·u)
//
// taken from the u of a class with the largest p, which keeps the digits of a p near 1.
func (g *gen) overlapGrad() {
	g.kernel("overlapGrad", "func(dst, x, e, coef *float32, labels *int, dstride, stride, classes, n int)", "writes the derivatives by logits of pixels.")
	dst, coef, p := pointer("dst"), pointer("coef"), g.pixels()
	dstride := pointer("dstride")
	SHLQ(U8(2), dstride)
	Label("pixels")
	p.readLabels()
	var sum [pixelPairs]reg.VecVirtual
	var top [pixelPairs]Mem
	for h := range sum {
		sum[h], top[h] = g.zero(), AllocLocal(32)
		VMOVUPS(sum[h], top[h])
	}
	slope := func(h int, class reg.VecVirtual, at reg.GPVirtual) reg.VecVirtual {
		own, u, on := p.labelled(h, class), g.vec(), g.vec()
		VBROADCASTSS(Mem{Base: at}, u)
		VBROADCASTSS(Mem{Base: at, Disp: 4}, on)
		VBLENDVPS(own, on, u, u)
		return u
	}
	k := copyOf(coef)
	p.exps(func(h int, v, class reg.VecVirtual) {
		VADDPS(v, sum[h], sum[h])
		t := g.vec()
		VMOVUPS(top[h], t)
		VBLENDVPS(p.isOne(v), slope(h, class, k), t, t)
		VMOVUPS(t, top[h])
		if h == pixelPairs-1 {
			ADDQ(U8(8), k)
		}
	})
	var inv, mean [pixelPairs]reg.VecVirtual
	for h := range inv {
		inv[h], mean[h] = g.vec(), g.zero()
		VMOVUPS(g.constant(1), inv[h])
		VDIVPS(sum[h], inv[h], inv[h])
	}
	e := copyOf(p.e)
	k = copyOf(coef)
	p.each("mean", []reg.GPVirtual{e, k}, []Op{U8(64), U8(8)}, func(class reg.VecVirtual) {
		for h := range inv {
			d := slope(h, class, k)
			VSUBPS(top[h], d, d)
			VFMADD231PS(Mem{Base: e, Disp: 32 * h}, d, mean[h])
		}
	})
	for h := range inv {
		VMULPS(inv[h], mean[h], mean[h])
	}
	e, to := copyOf(p.e), copyOf(dst)
	k = copyOf(coef)
	p.each("grad", []reg.GPVirtual{e, k, to}, []Op{U8(64), U8(8), dstride}, func(class reg.VecVirtual) {
		for h := range inv {
			d := slope(h, class, k)
			VSUBPS(top[h], d, d)
			VSUBPS(mean[h], d, d)
			v := g.vec()
			VMULPS(Mem{Base: e, Disp: 32 * h}, inv[h], v)
			VMULPS(v, d, d)
			VANDPS(p.live[h], d, d)
			VMOVUPS(d, Mem{Base: to, Disp: 32 * h})
		}
	})
	p.next(dst)
}

// pixelKernels emits the kernels of pixels.
func pixelKernels(isa string) {
	if isa == "AVX2" {
		g := newGen("AVX2", "F32", "F32")
		g.overlapSums()
		g.overlapGrad()
	}
}
