// Command _asm writes the assembly of package vec.
//
//	go run . -out ../kernel_amd64.s -stubs ../kernel_amd64.go -pkg vec
//
// Every kernel exists for AVX2 and for AVX-512 with the same operations in the same order on each element, so that
// both give the same bits.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is the instruction set that a kernel is written for.
type isa struct {
	suffix string
	wide   bool // 512 bits instead of 256
}

func (s isa) bytes() int {
	if s.wide {
		return 64
	}
	return 32
}

func (s isa) vec() reg.VecVirtual {
	if s.wide {
		return ZMM()
	}
	return YMM()
}

// f64 and u64 are a constant of 8 bytes in every lane, as memory: there are more of them than registers.
func (s isa) f64(v float64) Op { return s.u64(math.Float64bits(v)) }

var pool = map[uint64]Mem{}

func (s isa) u64(bits uint64) Op {
	m, ok := pool[bits]
	if !ok {
		// avo writes floating constants as integers, so every constant goes by its bits
		m = GLOBL("c"+hex(bits), RODATA|NOPTR)
		for lane := range 8 {
			DATA(8*lane, U64(bits))
		}
		pool[bits] = m
	}
	return m
}

// in returns o in a register.
func (s isa) in(o Op) reg.VecVirtual {
	if v, ok := o.(reg.VecVirtual); ok {
		return v
	}
	v := s.vec()
	VMOVUPD(o, v)
	return v
}

func hex(v uint64) string {
	const digits = "0123456789abcdef"
	var b [16]byte
	for i := range b {
		b[15-i] = digits[v>>(4*i)&15]
	}
	return string(b[:])
}

// mask is a comparison's result: a vector of ones for AVX2, a mask register for AVX-512.
type mask = reg.Register

// The predicates of VCMPPD that are used, ordered and quiet.
const (
	equal = 0x00
	less  = 0x11
)

// cmp returns a <pred> b.
func (s isa) cmp(pred uint8, x, b Op) mask {
	a := s.in(x)
	if s.wide {
		k := K()
		VCMPPD(Imm(uint64(pred)), b, a, k)
		return k
	}
	v := s.vec()
	VCMPPD(Imm(uint64(pred)), b, a, v)
	return v
}

// choose returns yes where m, no elsewhere.
func (s isa) choose(m mask, yes, otherwise Op) reg.VecVirtual {
	out, no := s.vec(), s.in(otherwise)
	if s.wide {
		VBLENDMPD(yes, no, m, out)
		return out
	}
	VBLENDVPD(m, yes, no, out)
	return out
}

func (s isa) op(f func(a, b, out Op), a, b Op) reg.VecVirtual {
	out := s.vec()
	f(b, s.in(a), out)
	return out
}

func three(f func(...Op)) func(a, b, out Op) { return func(a, b, out Op) { f(a, b, out) } }

func (s isa) add(a, b Op) reg.VecVirtual { return s.op(three(VADDPD), a, b) }
func (s isa) sub(a, b Op) reg.VecVirtual { return s.op(three(VSUBPD), a, b) }
func (s isa) mul(a, b Op) reg.VecVirtual { return s.op(three(VMULPD), a, b) }
func (s isa) div(a, b Op) reg.VecVirtual { return s.op(three(VDIVPD), a, b) }

func (s isa) iadd(a, b Op) reg.VecVirtual { return s.op(three(VPADDQ), a, b) }
func (s isa) isub(a, b Op) reg.VecVirtual { return s.op(three(VPSUBQ), a, b) }
func (s isa) and(a, b Op) reg.VecVirtual {
	if s.wide {
		return s.op(three(VPANDQ), a, b)
	}
	return s.op(three(func(o ...Op) { VPAND(o[0], o[1], o[2]) }), a, b)
}
func (s isa) or(a, b Op) reg.VecVirtual {
	if s.wide {
		return s.op(three(VPORQ), a, b)
	}
	return s.op(three(func(o ...Op) { VPOR(o[0], o[1], o[2]) }), a, b)
}

// fma returns a·b + c, fnma c - a·b.
func (s isa) fma(a, b, c Op) reg.VecVirtual {
	out := s.vec()
	VMOVUPD(c, out)
	VFMADD231PD(b, s.in(a), out)
	return out
}

func (s isa) fnma(a, b, c Op) reg.VecVirtual {
	out := s.vec()
	VMOVUPD(c, out)
	VFNMADD231PD(b, s.in(a), out)
	return out
}

// horner evaluates c[0] + x·(c[1] + x·(...)).
func (s isa) horner(x reg.VecVirtual, c []Op) reg.VecVirtual {
	out := s.vec()
	VMOVUPD(c[len(c)-1], out)
	for i := len(c) - 2; i >= 0; i-- {
		VFMADD213PD(c[i], x, out)
	}
	return out
}

func (s isa) all(c []float64) (v []Op) {
	for _, x := range c {
		v = append(v, s.f64(x))
	}
	return v
}

// unary writes a kernel func(dst, x *float64, n int) where n is a multiple of 8; setup loads the constants.
func (s isa) unary(name, doc string, setup func() func(x reg.VecVirtual) reg.VecVirtual) {
	TEXT(name+s.suffix, NOSPLIT, "func(dst, x *float64, n int)")
	Doc(name + s.suffix + " " + doc)
	Pragma("noescape")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	f := setup()
	Label("loop")
	v := s.vec()
	VMOVUPD(Mem{Base: x}, v)
	VMOVUPD(f(v), Mem{Base: dst})
	ADDQ(U8(s.bytes()), x)
	ADDQ(U8(s.bytes()), dst)
	SUBQ(U8(s.bytes()/8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func main() {
	ConstraintExpr("amd64,!purego")
	for _, s := range []isa{{"AVX2", false}, {"AVX512", true}} {
		s.unary("exp", "writes e^x[i] to dst[i].", s.exp)
		s.unary("expm1", "writes e^x[i] - 1 to dst[i].", s.expm1)
		s.unary("log", "writes the natural logarithm of x[i] to dst[i].", s.logKernel)
		s.unary("log1p", "writes log(1 + x[i]) to dst[i].", s.log1p)
		s.unary("sqrt", "writes the square root of x[i] to dst[i].", s.sqrt)
		s.widen()
		s.narrow()
		s.within("32", 4)
		s.within("64", 8)
	}
	Generate()
}
