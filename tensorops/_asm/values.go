package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// values is the vocabulary of kernels that are written as formulas: an operation leaves its
// operands alone and returns a new register. Operands are registers, and constants in memory as the
// second of two.
type values struct{ *gen }

func newValues(isa, elem string) values { return values{newGen(isa, elem, elem)} }

// begin begins a kernel.
func begin(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Doc(name + " " + doc)
	Pragma("noescape")
}

// end ends a kernel.
func end() {
	VZEROUPPER()
	RET()
}

// advance closes a loop that has used so many bytes of each array, and elems of the n elements.
func advance(ptrs []reg.Register, bytes []int, n reg.Register, elems int) {
	for i, p := range ptrs {
		ADDQ(imm(bytes[i]), p)
	}
	SUBQ(imm(elems), n)
	JNZ(LabelRef("loop"))
}

// loaded returns the operand in a register of its own.
func (g values) loaded(o Op) reg.VecVirtual {
	v := g.vec()
	VMOVUPD(o, v)
	return v
}

// in returns the operand in a register.
func (g values) in(o Op) reg.VecVirtual {
	if v, ok := o.(reg.VecVirtual); ok {
		return v
	}
	return g.loaded(o)
}

// op returns a ∘ b; Go's order of operands is the reverse of Intel's.
func (g values) op(ps, pd func(...Op), a, b Op) reg.VecVirtual {
	x, out := g.in(a), g.vec()
	f(g.gen, ps, pd)(b, x, out)
	return out
}

func (g values) add(a, b Op) reg.VecVirtual { return g.op(VADDPS, VADDPD, a, b) }
func (g values) sub(a, b Op) reg.VecVirtual { return g.op(VSUBPS, VSUBPD, a, b) }
func (g values) mul(a, b Op) reg.VecVirtual { return g.op(VMULPS, VMULPD, a, b) }
func (g values) div(a, b Op) reg.VecVirtual { return g.op(VDIVPS, VDIVPD, a, b) }

// min and max return b where either operand is NaN.
func (g values) min(a, b Op) reg.VecVirtual { return g.op(VMINPS, VMINPD, a, b) }
func (g values) max(a, b Op) reg.VecVirtual { return g.op(VMAXPS, VMAXPD, a, b) }

func (g values) sqrt(a Op) reg.VecVirtual {
	out := g.vec()
	f(g.gen, VSQRTPS, VSQRTPD)(a, out)
	return out
}

// and, or, iadd and isub work on bits and integers of 64 bits.
func (g values) and(a, b Op) reg.VecVirtual  { return g.bits(VPANDQ, three(VPAND), a, b) }
func (g values) or(a, b Op) reg.VecVirtual   { return g.bits(VPORQ, three(VPOR), a, b) }
func (g values) iadd(a, b Op) reg.VecVirtual { return g.bits(VPADDQ, VPADDQ, a, b) }
func (g values) isub(a, b Op) reg.VecVirtual { return g.bits(VPSUBQ, VPSUBQ, a, b) }

func (g values) bits(avx512, avx2 func(...Op), a, b Op) reg.VecVirtual {
	if g.is512() {
		return g.op(avx512, avx512, a, b)
	}
	return g.op(avx2, avx2, a, b)
}

func three(f func(a, b, out Op)) func(...Op) { return func(o ...Op) { f(o[0], o[1], o[2]) } }

// fma returns a·b + c, fnma c - a·b.
func (g values) fma(a, b, c Op) reg.VecVirtual  { return g.fused(VFMADD231PS, VFMADD231PD, a, b, c) }
func (g values) fnma(a, b, c Op) reg.VecVirtual { return g.fused(VFNMADD231PS, VFNMADD231PD, a, b, c) }

func (g values) fused(ps, pd func(...Op), a, b, c Op) reg.VecVirtual {
	out := g.loaded(c)
	f(g.gen, ps, pd)(b, g.in(a), out)
	return out
}

// horner evaluates c[0] + x·(c[1] + x·(...)).
func (g values) horner(x reg.VecVirtual, c []Op) reg.VecVirtual {
	out := g.loaded(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		f(g.gen, VFMADD213PS, VFMADD213PD)(c[i], x, out)
	}
	return out
}

// lessQuiet is the comparison predicate "less" that does not trap.
const lessQuiet = 0x11

// cmp returns where a stands in the relation to b: a vector of ones for AVX2, a mask register for
// AVX-512.
func (g values) cmp(relation int, a, b Op) reg.Register {
	x, compare := g.in(a), f(g.gen, VCMPPS, VCMPPD)
	if g.is512() {
		k := K()
		compare(Imm(uint64(relation)), b, x, k)
		return k
	}
	v := g.vec()
	compare(Imm(uint64(relation)), b, x, v)
	return v
}

// choose returns yes where m holds, and no elsewhere.
func (g values) choose(m reg.Register, yes, otherwise Op) reg.VecVirtual {
	out, no := g.vec(), g.in(otherwise)
	if g.is512() {
		f(g.gen, VBLENDMPS, VBLENDMPD)(yes, no, m, out)
		return out
	}
	f(g.gen, three4(VBLENDVPS), three4(VBLENDVPD))(m, yes, no, out)
	return out
}

func three4(f func(m, a, b, out Op)) func(...Op) {
	return func(o ...Op) { f(o[0], o[1], o[2], o[3]) }
}

// where returns a where m holds, and 0 elsewhere.
func (g values) where(m reg.Register, a reg.VecVirtual) reg.VecVirtual {
	if !g.is512() {
		return g.and(m, a)
	}
	out := g.vec()
	f(g.gen, VMOVAPS_Z, VMOVAPD_Z)(a, m, out)
	return out
}

// constants returns constants in memory.
func (g values) constants(c []float64) (ops []Op) {
	for _, v := range c {
		ops = append(ops, g.constant(v))
	}
	return ops
}
