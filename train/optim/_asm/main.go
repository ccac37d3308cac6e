// Command _asm writes the assembly of package optim.
//
//	go run . -out ../kernel_amd64.s -stubs ../kernel_amd64.go -pkg optim
//
// Every kernel exists for AVX2 and for AVX-512, for float32 and for float64. Each does on an element the same operations in
// the same order as the Go code in generic.go, without fused multiplication and addition, so all give the same bits.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// target is the instruction set and the element type that a kernel is written for.
type target struct {
	suffix string
	wide   bool // 512 bits instead of 256
	double bool
}

func (t target) bytes() int {
	if t.wide {
		return 64
	}
	return 32
}

func (t target) size() int {
	if t.double {
		return 8
	}
	return 4
}

func (t target) elem() string { return fmt.Sprintf("float%d", 8*t.size()) }

func (t target) name(kernel string) string {
	return fmt.Sprintf("%s%d%s", kernel, 8*t.size(), t.suffix)
}

func (t target) vec() reg.VecVirtual {
	if t.wide {
		return ZMM()
	}
	return YMM()
}

func (t target) broadcast(m Op) reg.VecVirtual {
	v := t.vec()
	if t.double {
		VBROADCASTSD(m, v)
	} else {
		VBROADCASTSS(m, v)
	}
	return v
}

func (t target) load(m Op) reg.VecVirtual {
	v := t.vec()
	VMOVUPD(m, v)
	return v
}

// binary computes a ∘ b; Go's operand order is the reverse of Intel's.
func (t target) binary(single, double func(...Op), a, b reg.VecVirtual) reg.VecVirtual {
	v := t.vec()
	if t.double {
		double(b, a, v)
	} else {
		single(b, a, v)
	}
	return v
}

func (t target) add(a, b reg.VecVirtual) reg.VecVirtual { return t.binary(VADDPS, VADDPD, a, b) }
func (t target) sub(a, b reg.VecVirtual) reg.VecVirtual { return t.binary(VSUBPS, VSUBPD, a, b) }
func (t target) mul(a, b reg.VecVirtual) reg.VecVirtual { return t.binary(VMULPS, VMULPD, a, b) }
func (t target) div(a, b reg.VecVirtual) reg.VecVirtual { return t.binary(VDIVPS, VDIVPD, a, b) }

// min and max return b where either operand is NaN.
func (t target) min(a, b reg.VecVirtual) reg.VecVirtual { return t.binary(VMINPS, VMINPD, a, b) }
func (t target) max(a, b reg.VecVirtual) reg.VecVirtual { return t.binary(VMAXPS, VMAXPD, a, b) }

func (t target) sqrt(a reg.VecVirtual) reg.VecVirtual {
	v := t.vec()
	if t.double {
		VSQRTPD(a, v)
	} else {
		VSQRTPS(a, v)
	}
	return v
}

func (t target) bits(wide, narrow func(...Op), a, b reg.VecVirtual) reg.VecVirtual {
	v := t.vec()
	if t.wide {
		wide(a, b, v)
	} else {
		narrow(a, b, v)
	}
	return v
}

func (t target) and(a, b reg.VecVirtual) reg.VecVirtual {
	return t.bits(VPANDQ, func(o ...Op) { VPAND(o[0], o[1], o[2]) }, a, b)
}

func (t target) or(a, b reg.VecVirtual) reg.VecVirtual {
	return t.bits(VPORQ, func(o ...Op) { VPOR(o[0], o[1], o[2]) }, a, b)
}

// notZero is the predicate of VCMPPS that is false for NaN and does not trap.
const notZero = 0x0c

// whereNotZero returns a where u is a number other than 0, and 0 elsewhere.
func (t target) whereNotZero(u, a reg.VecVirtual) reg.VecVirtual {
	zero := t.vec()
	if t.wide {
		VPXORQ(zero, zero, zero)
	} else {
		VPXOR(zero, zero, zero)
	}
	cmp, move := VCMPPS, VMOVAPS_Z
	if t.double {
		cmp, move = VCMPPD, VMOVAPD_Z
	}
	if t.wide {
		k, v := K(), t.vec()
		cmp(Imm(notZero), zero, u, k)
		move(a, k, v)
		return v
	}
	m := t.vec()
	cmp(Imm(notZero), zero, u, m)
	return t.and(m, a)
}

// begin starts a kernel and loads its pointers and count.
func (t target) begin(kernel, signature, doc string, pointers ...string) (ptrs []reg.GPVirtual, n reg.Register) {
	TEXT(t.name(kernel), NOSPLIT, fmt.Sprintf(signature, t.elem()))
	Doc(t.name(kernel) + " " + doc)
	Pragma("noescape")
	for _, p := range pointers {
		r := GP64()
		Load(Param(p), r)
		ptrs = append(ptrs, r)
	}
	return ptrs, Load(Param("n"), GP64())
}

// end closes the loop, which has used bytes of each array.
func (t target) end(ptrs []reg.GPVirtual, n reg.Register, bytes int) {
	for _, p := range ptrs {
		ADDQ(U32(uint32(bytes)), p)
	}
	SUBQ(U32(uint32(bytes/t.size())), n)
	JNZ(LabelRef("loop"))
}

func main() {
	ConstraintExpr("amd64,!purego")
	for _, isa := range []struct {
		suffix string
		wide   bool
	}{{"AVX2", false}, {"AVX512", true}} {
		for _, double := range []bool{false, true} {
			t := target{isa.suffix, isa.wide, double}
			for _, r := range rules {
				t.rule(r)
			}
			t.squares()
			t.scale()
			t.clamp()
			t.accumulate()
		}
	}
	Generate()
}
