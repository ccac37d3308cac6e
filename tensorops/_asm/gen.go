package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gen emits kernels for one instruction set, one type of element in memory and one type to compute
// in.
type gen struct {
	isa        string // AVX2, AVX512
	elem, comp string // F32, F64
}

func newGen(isa, elem, comp string) *gen { return &gen{isa, elem, comp} }

func size(t string) int {
	if t == "F32" {
		return 4
	}
	return 8
}

// wide reports whether float32 elements are computed in float64.
func (g *gen) wide() bool { return g.elem != g.comp }

func (g *gen) is512() bool { return g.isa == "AVX512" }

// vecBytes is the width of a register, lanes the numbers of type comp in it.
func (g *gen) vecBytes() int {
	if g.is512() {
		return 64
	}
	return 32
}

func (g *gen) lanes() int { return g.vecBytes() / size(g.comp) }

// halves is the number of registers that make up the lanes of the layout: 1 for AVX-512, 2 for
// AVX2.
func (g *gen) halves() int { return 64 / g.vecBytes() }

// depth is the number of elements of a group that share a lane.
const depth = 4

// group is the number of elements in a group.
func (g *gen) group() int { return depth * g.lanes() * g.halves() }

// at returns the index in its group of the first element of register (k, h): the k-th of half h.
func (g *gen) at(k, h int) int { return (k*g.halves() + h) * g.lanes() }

func (g *gen) vec() reg.VecVirtual {
	if g.is512() {
		return ZMM()
	}
	return YMM()
}

// narrow returns a register for as many elements of memory as vec has lanes.
func (g *gen) narrow() reg.VecVirtual {
	if g.is512() {
		return YMM()
	}
	return XMM()
}

func (g *gen) goType() string {
	if g.elem == "F32" {
		return "float32"
	}
	return "float64"
}

// text begins a kernel. The signature may say F for the type of element.
func (g *gen) text(name, signature, doc string) string {
	return g.textWith(NOSPLIT|NOFRAME, name, signature, doc)
}

// textWith is text with other attributes: a kernel with variables on the stack must not have
// NOFRAME.
func (g *gen) textWith(attributes attr.Attribute, name, signature, doc string) string {
	full := name + g.elem + g.isa
	sig := ""
	for _, c := range signature {
		if c == 'F' {
			sig += g.goType()
			continue
		}
		sig += string(c)
	}
	TEXT(full, attributes, sig)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s %s", full, doc))
	return full
}

// f chooses between the instruction for packed float32 and that for packed float64.
func f[T any](g *gen, ps, pd T) T {
	if g.comp == "F32" {
		return ps
	}
	return pd
}

// in chooses the instruction for an operand that may be a constant in memory: AVX-512 reads a
// single number and spreads it, because a constant of a whole register would mostly lie across two
// cache lines.
func in(g *gen, a Op, ps, pd, psOne, pdOne func(...Op)) func(...Op) {
	if m, ok := a.(Mem); ok && g.is512() && m.Symbol.Name != "" {
		ps, pd = psOne, pdOne
	}
	return f(g, ps, pd)
}

func (g *gen) add(a, b, dst Op) { in(g, a, VADDPS, VADDPD, VADDPS_BCST, VADDPD_BCST)(a, b, dst) }
func (g *gen) mul(a, b, dst Op) { in(g, a, VMULPS, VMULPD, VMULPS_BCST, VMULPD_BCST)(a, b, dst) }
func (g *gen) and(a, b, dst Op) { in(g, a, VANDPS, VANDPD, VANDPS_BCST, VANDPD_BCST)(a, b, dst) }
func (g *gen) or(a, b, dst Op)  { in(g, a, VORPS, VORPD, VORPS_BCST, VORPD_BCST)(a, b, dst) }
func (g *gen) xor(a, b, dst Op) { in(g, a, VXORPS, VXORPD, VXORPS_BCST, VXORPD_BCST)(a, b, dst) }

// sub sets dst = a - b.
func (g *gen) sub(a, b, dst Op) { in(g, b, VSUBPS, VSUBPD, VSUBPS_BCST, VSUBPD_BCST)(b, a, dst) }

// fma213 sets dst = b·dst + a, fma231 dst = a·b + dst, fnma231 dst = dst - a·b.
func (g *gen) fma213(a, b, dst Op) {
	in(g, a, VFMADD213PS, VFMADD213PD, VFMADD213PS_BCST, VFMADD213PD_BCST)(a, b, dst)
}

func (g *gen) fma231(a, b, dst Op) {
	in(g, a, VFMADD231PS, VFMADD231PD, VFMADD231PS_BCST, VFMADD231PD_BCST)(a, b, dst)
}

func (g *gen) fnma231(a, b, dst Op) {
	in(g, a, VFNMADD231PS, VFNMADD231PD, VFNMADD231PS_BCST, VFNMADD231PD_BCST)(a, b, dst)
}

// set moves a register, or spreads a constant.
func (g *gen) set(a, dst Op) {
	if m, ok := a.(Mem); ok && g.is512() && m.Symbol.Name != "" {
		f(g, VBROADCASTSS, VBROADCASTSD)(a, dst)
		return
	}
	f(g, VMOVUPS, VMOVUPD)(a, dst)
}

// compare sets the mask dst to the lanes where a stands in the relation to b.
func (g *gen) compare(relation int, a, b, dst Op) {
	in(g, b, VCMPPS, VCMPPD, VCMPPS_BCST, VCMPPD_BCST)(Imm(uint64(relation)), b, a, dst)
}

// max sets acc to the larger of acc and v, and leaves it where v is NaN.
func (g *gen) max(v, acc Op) { f(g, VMAXPS, VMAXPD)(acc, v, acc) }

func (g *gen) zero() reg.VecVirtual {
	v := g.vec()
	VXORPS(v.AsX(), v.AsX(), v.AsX())
	return v
}

// constants in memory: name -> symbol. Each is repeated over constantBytes, so that AVX2 can use it
// as an operand.
var constants = map[string]Mem{}

// constantBytes is 32 for what exists for AVX2 alone.
var constantBytes = 64

// constant returns the memory of a constant of type comp.
func (g *gen) constant(v float64) Mem {
	return bitsConstant(numberBits(v, g.comp), size(g.comp))
}

func bitsConstant(bits uint64, bytes int) Mem {
	return table(fmt.Sprintf("c%d_%x", bytes*8, bits), bytes, constantBytes/bytes, func(int) uint64 { return bits })
}

// table returns the memory of n numbers of so many bytes, an even number if they have 4, number i
// being at(i). A name stands for one table.
func table(name string, bytes, n int, at func(i int) uint64) Mem {
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, RODATA|NOPTR)
		for i := range bytes * n / 8 {
			if bytes == 4 { // two numbers at a time
				DATA(i*8, U64(at(2*i+1)<<32|at(2*i)&math.MaxUint32))
			} else {
				DATA(i*8, U64(at(i)))
			}
		}
		constants[name] = m
	}
	return m
}

// held returns a constant where an instruction of this set reads it best: in a register for
// AVX-512, which has enough of them, in memory for AVX2.
func (g *gen) held(v float64) Op {
	if !g.is512() {
		return g.constant(v)
	}
	return g.heldAt(g.constant(v))
}

// heldAt is held for a constant in memory.
func (g *gen) heldAt(m Mem) Op {
	if !g.is512() {
		return m
	}
	r := g.vec()
	VMOVUPS(m, r)
	return r
}

// imm is a constant operand of instructions on general registers.
func imm(n int) Constant {
	if n < 128 {
		return U8(n)
	}
	return U32(n)
}

// broadcast spreads the scalar in x (or at an address) over a register.
func (g *gen) broadcast(x Op) reg.VecVirtual {
	v := g.vec()
	f(g, VBROADCASTSS, VBROADCASTSD)(x, v)
	return v
}

// param broadcasts a scalar parameter of type elem.
func (g *gen) param(name string) reg.VecVirtual {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return g.broadcast(b.Addr)
}

// elemAt is the memory of element i from ptr on.
func (g *gen) elemAt(ptr reg.Register, i int) Mem { return Mem{Base: ptr, Disp: i * size(g.elem)} }

// load loads the register of elements from index i on.
func (g *gen) load(ptr reg.Register, i int) reg.VecVirtual {
	v := g.vec()
	if g.wide() {
		VCVTPS2PD(g.elemAt(ptr, i), v)
	} else {
		f(g, VMOVUPS, VMOVUPD)(g.elemAt(ptr, i), v)
	}
	return v
}

// loadTail loads the elements from index i on that lie below count, and fill (a constant) for the
// others.
func (g *gen) loadTail(ptr, count reg.Register, i int, fill float64) reg.VecVirtual {
	v := g.vec()
	t := g.tailOf(count)
	t.once = true
	t.load(v, ptr, i, fill)
	return v
}

// A tail is a number of elements of which some registers are loaded.
type tail struct {
	*gen
	bits        reg.GPVirtual // AVX-512: a bit for each element
	masks, from reg.GPVirtual // AVX2: the table of masks, and the element there from which on they hold
	once        bool          // there is one load
}

func (g *gen) tailOf(count reg.Register) *tail {
	t := &tail{gen: g}
	if g.is512() {
		t.bits = GP64()
		MOVQ(I64(-1), t.bits)
		BZHIQ(count, t.bits, t.bits)
		return t
	}
	t.masks, t.from = GP64(), GP64()
	LEAQ(g.tailMasks(), t.masks)
	MOVQ(U32(64), t.from)
	SUBQ(count, t.from)
	return t
}

// mask is the memory of AVX2's mask for the elements from index i on.
func (t *tail) mask(i int) Mem {
	bytes := size(t.elem)
	return Mem{Base: t.masks, Index: t.from, Scale: uint8(bytes), Disp: i * bytes}
}

// load loads the elements from index i on, and fill (a constant) behind the tail's end.
func (t *tail) load(v reg.VecVirtual, ptr reg.Register, i int, fill float64) {
	n := v
	if t.wide() {
		n = t.narrow()
	}
	elem := newGen(t.isa, t.elem, t.elem)
	if t.is512() {
		k, bits := K(), t.bits
		if i > 0 {
			if !t.once {
				bits = GP64()
				MOVQ(t.bits, bits)
			}
			SHRQ(U8(i), bits)
		}
		KMOVW(bits.As32(), k)
		VMOVUPS(elem.constant(fill), n)
		f(elem, VMOVUPS, VMOVUPD)(t.elemAt(ptr, i), k, n)
	} else {
		mask := t.vec()
		if t.wide() {
			mask = t.narrow()
		}
		VMOVUPS(t.mask(i), mask)
		f(elem, VMASKMOVPS, VMASKMOVPD)(t.elemAt(ptr, i), mask, n)
		if fill != 0 {
			VANDNPS(elem.constant(fill), mask, mask)
			VORPS(mask, n, n)
		}
	}
	if t.wide() {
		VCVTPS2PD(n, v)
	}
}

func (g *gen) store(v reg.VecVirtual, ptr reg.Register, i int, stream bool) {
	switch m := g.elemAt(ptr, i); {
	case g.wide():
		n := g.narrow()
		g.narrowTo(v, n)
		if stream {
			VMOVNTPS(n, m)
		} else {
			VMOVUPS(n, m)
		}
	case stream:
		if g.comp == "F32" {
			VMOVNTPS(v, m)
		} else {
			VMOVNTPD(v, m)
		}
	default:
		f(g, VMOVUPS, VMOVUPD)(v, m)
	}
}

// narrowTo rounds the float64 lanes of v to float32.
func (g *gen) narrowTo(v, n reg.VecVirtual) {
	if g.is512() {
		VCVTPD2PS(v, n)
	} else {
		VCVTPD2PSY(v, n)
	}
}

// labels counts the labels made so far.
var labels int

// storeSome stores the elements of v, the register from index i on, that lie below count.
func (g *gen) storeSome(v reg.VecVirtual, ptr reg.GPVirtual, count reg.Register, i int) {
	labels++
	part, done := fmt.Sprintf("part%d", labels), fmt.Sprintf("stored%d", labels)
	CMPQ(count, imm(i+g.lanes()))
	JL(LabelRef(part))
	g.store(v, ptr, i, false)
	JMP(LabelRef(done))
	Label(part)
	CMPQ(count, imm(i))
	JLE(LabelRef(done))
	at, left, pieces := GP64(), GP64(), g.vec()
	LEAQ(g.elemAt(ptr, i), at)
	MOVQ(count, left)
	SUBQ(imm(i), left)
	VMOVUPS(v, pieces)
	g.storePart(pieces, at, left)
	Label(done)
}

// storePart stores the first count elements of v, fewer than it has, in pieces of 32, 16, 8 and 4
// bytes: masked stores are slow on some processors.
func (g *gen) storePart(v reg.VecVirtual, ptr, count reg.Register) {
	bytes := g.vecBytes()
	if g.wide() {
		n := g.narrow()
		g.narrowTo(v, n)
		v, bytes = n, bytes/2
	}
	at := GP64()
	MOVQ(ptr, at)
	for piece := bytes / 2; piece >= size(g.elem); piece /= 2 {
		labels++
		skip := fmt.Sprintf("piece%d", labels)
		TESTQ(U32(uint32(piece/size(g.elem))), count)
		JZ(LabelRef(skip))
		switch piece {
		case 32:
			VMOVUPS(v.AsY(), Mem{Base: at})
			VEXTRACTF64X4(Imm(1), v.AsZ(), v.AsY())
		case 16:
			VMOVUPS(v.AsX(), Mem{Base: at})
			g.upperX(v.AsY(), v.AsX())
		case 8:
			VMOVSD(v.AsX(), Mem{Base: at})
			VPERMILPD(Imm(1), v.AsX(), v.AsX())
		case 4:
			VMOVSS(v.AsX(), Mem{Base: at})
		}
		ADDQ(imm(piece), at)
		Label(skip)
	}
}

// upperX moves the upper half of y. The AVX-512 form reaches all 32 registers.
func (g *gen) upperX(y, x Op) {
	if g.is512() {
		VEXTRACTF32X4(Imm(1), y, x)
		return
	}
	VEXTRACTF128(Imm(1), y, x)
}

// tailMask returns the AVX-512 mask of the lanes from element i on that lie below count.
func (g *gen) tailMask(count reg.Register, i int) reg.Register {
	m := GP64()
	MOVQ(I64(-1), m)
	BZHIQ(count, m, m)
	if i > 0 {
		SHRQ(U8(i), m)
	}
	k := K()
	KMOVW(m.As32(), k)
	return k
}

// tailVector returns the AVX2 mask of the same, of the width of like.
func (g *gen) tailVector(count reg.Register, i int, like reg.VecVirtual) reg.VecVirtual {
	mask := YMM()
	if like.Size() == 16 {
		mask = XMM()
	}
	VMOVUPS(g.tailOf(count).mask(i), mask)
	return mask
}

// tailMasks is the table of AVX2's masks: 64 elements that count, then 64 that do not.
func (g *gen) tailMasks() Mem {
	bytes := size(g.elem)
	return table(fmt.Sprintf("tail%d", bytes*8), bytes, 128, func(i int) uint64 {
		if i < 64 {
			return math.MaxUint64
		}
		return 0
	})
}

// fold reduces the registers of the layout's lanes (one for AVX-512, two for AVX2) to one number in
// lane 0. The order is the same for both instruction sets: upper half of the lanes onto the lower,
// and so on.
func (g *gen) fold(v []reg.VecVirtual, comp string, op func(a, dst Op)) reg.VecVirtual {
	y := v[0]
	if g.is512() {
		hi := YMM()
		VEXTRACTF64X4(Imm(1), v[0], hi)
		y = v[0].AsY().(reg.VecVirtual)
		op(hi, y)
	} else {
		op(v[1], y)
	}
	hi := XMM()
	g.upperX(y, hi)
	x := y.AsX().(reg.VecVirtual)
	op(hi, x)
	t := XMM()
	VPERMILPD(Imm(1), x, t)
	op(t, x)
	if comp == "F32" {
		VPERMILPS(Imm(1), x, t)
		op(t, x)
	}
	return x
}
