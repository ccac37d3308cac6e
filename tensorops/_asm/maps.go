package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// expScale emits dst[i] = exp(x[i])·2^-anchor·factor + add; below low the first term is 0.
func (g *gen) expScale() {
	g.textWith(NOSPLIT, "expScale", "func(dst, x []F, anchor, low F, factor float64, add F, stream bool)",
		"writes exp(x[i])·2^-anchor·factor + add; where x[i] < low the first term is 0.")
	c := g.expConsts(g.param("anchor"), g.param("low"))
	add := g.param("add")
	var factor reg.VecVirtual
	if g.comp == "F32" {
		b, err := Param("factor").Resolve()
		if err != nil {
			panic(err)
		}
		g.scaleBy(c, b.Addr)
	} else {
		factor = g.param("factor")
	}
	g.mapRow(g.unroll(), true, []string{"x"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		out := g.exp(v[0], c)
		for _, e := range out {
			if factor == nil {
				g.add(add, e, e)
			} else {
				g.fma213(add, factor, e)
			}
		}
		return out
	})
}

// scale emits dst[i] = src[i]·factor, 0 where src[i] < low.
func (g *gen) scale() {
	g.text("scale", "func(dst, src []F, factor, low F, stream bool)", "writes src[i]·factor, 0 where src[i] < low.")
	factor, low := g.param("factor"), g.param("low")
	g.mapRow(4, false, []string{"src"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		for _, x := range v[0] {
			if g.is512() {
				k := K()
				f(g, VCMPPS, VCMPPD)(Imm(notLess), low, x, k)
				f(g, VMULPS_Z, VMULPD_Z)(factor, x, k, x)
				continue
			}
			m := g.vec()
			f(g, VCMPPS, VCMPPD)(Imm(notLess), low, x, m)
			g.mul(factor, x, x)
			VANDPS(m, x, x)
		}
		return v[0]
	})
}

// expScaleAdd emits dst[i] = exp(x[i])·2^-anchor·factor + (a·t[i] + b).
func (g *gen) expScaleAdd() {
	g.text("expScaleAdd", "func(dst, x, t []F, anchor, low, factor, a, b F, stream bool)",
		"writes exp(x[i])·2^-anchor·factor + (a·t[i] + b); where x[i] < low the first term is 0.")
	c := g.expConsts(g.param("anchor"), g.param("low"))
	factor, a, b := g.param("factor"), g.param("a"), g.param("b")
	unroll := 2
	if !g.is512() { // registers
		unroll = 1
	}
	g.mapRow(unroll, true, []string{"x", "t"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		out := g.exp(v[0], c)
		for i, e := range out {
			g.fma213(b, a, v[1][i])
			g.fma213(v[1][i], factor, e)
		}
		return out
	})
}

// shift emits dst[i] = (x[i] - a) - b.
func (g *gen) shift() {
	g.text("shift", "func(dst, x []F, a F, b float64, stream bool)", "writes (x[i] - a) - b.")
	a := g.param("a")
	b := XMM()
	Load(Param("b"), b)
	if g.comp == "F32" {
		VCVTSD2SS(b, b, b)
	}
	bv := g.broadcast(b)
	g.mapRow(4, false, []string{"x"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		for _, x := range v[0] {
			g.sub(x, a, x)
			g.sub(x, bv, x)
		}
		return v[0]
	})
}

// mulShift emits dst[i] = x[i]·(t[i] + c) in float64.
func (g *gen) mulShift() {
	g = g.inFloat64()
	g.text("mulShift", "func(dst, x, t []F, c float64)", "writes x[i]·(t[i] + c), computed in float64.")
	c := g.param("c")
	g.mapPlain(2, []string{"x", "t"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		for i, x := range v[0] {
			VADDPD(c, v[1][i], v[1][i])
			VMULPD(v[1][i], x, x)
		}
		return v[0]
	})
}

// fence emits the wait for stores past the caches.
func fence() {
	TEXT("fence", NOSPLIT|NOFRAME, "func()")
	Doc("fence orders the stores past the caches before it with those after it.")
	SFENCE()
	RET()
}

// rowMap is the state of a kernel that writes dst from inputs of the same length: pointers that
// advance and the number of elements left, from which the loops have already subtracted those of
// the registers at hand.
type rowMap struct {
	*gen
	body   func(v [][]reg.VecVirtual) []reg.VecVirtual // its results replace the registers of the inputs
	unroll int
	dst    reg.GPVirtual
	in     []reg.Register
	n      reg.GPVirtual
	mode   reg.GPVirtual // how results are stored: whole, past or part
	stream *streaming    // nil: dst never goes past the caches
}

// The modes. A kernel tests for whole once per turn of a loop.
const (
	whole = iota // ordinary stores of registers
	past         // stores past the caches
	part         // less than a register
)

// streaming is what a kernel knows of its stores past the caches.
type streaming struct {
	after reg.GPVirtual // the elements that follow the n at hand
	row   reg.GPVirtual // the distance to the next row in bytes, 0 where two rows would not fit into the second cache
	ahead bool          // the next row is fetched
}

// newRowMap loads the parameters dst and inputs.
func (g *gen) newRowMap(unroll int, inputs []string, body func(v [][]reg.VecVirtual) []reg.VecVirtual) *rowMap {
	m := &rowMap{gen: g, unroll: unroll, body: body, dst: GP64(), n: GP64(), mode: GP64()}
	Load(Param("dst").Base(), m.dst)
	Load(Param("dst").Len(), m.n)
	for _, in := range inputs {
		m.in = append(m.in, Load(Param(in).Base(), GP64()))
	}
	XORQ(m.mode, m.mode)
	return m
}

// mapPlain emits the loops of a kernel that writes dst from inputs of the same length, and returns.
func (g *gen) mapPlain(unroll int, inputs []string, body func(v [][]reg.VecVirtual) []reg.VecVirtual) {
	g.newRowMap(unroll, inputs, body).loops()
}

// mapRow is mapPlain for a kernel whose parameter stream chooses stores past the caches. These need
// aligned addresses: the elements before the first of them are a short row of their own. The caller
// fences. With ahead the next row is fetched meanwhile, which pays where there is something to
// compute.
func (g *gen) mapRow(unroll int, ahead bool, inputs []string, body func(v [][]reg.VecVirtual) []reg.VecVirtual) {
	m := g.newRowMap(unroll, inputs, body)
	m.stream = &streaming{after: GP64(), row: GP64(), ahead: ahead}
	s, shift := m.stream, U8(map[int]int{4: 2, 8: 3}[size(g.elem)])
	wanted := Load(Param("stream"), GP8())
	XORQ(s.after, s.after)
	if ahead {
		XORQ(s.row, s.row)
	}
	TESTB(wanted, wanted)
	JZ(LabelRef("rows"))
	if ahead {
		none := GP64()
		XORQ(none, none)
		MOVQ(m.n, s.row)
		SHLQ(shift, s.row)
		CMPQ(s.row, imm(256<<10))
		CMOVQGT(none, s.row)
	}
	head := GP64()
	MOVQ(m.dst, head)
	NEGQ(head)
	ANDQ(imm(63), head)
	SHRQ(shift, head)
	CMPQ(head, m.n)
	CMOVQGT(m.n, head)
	MOVQ(m.n, s.after)
	SUBQ(head, s.after)
	MOVQ(head, m.n)
	Label("rows")
	m.loops()
}

// loops emits the loop over unroll registers at a time, one over single registers and the last
// elements, and the return.
func (m *rowMap) loops() {
	if m.unroll > 1 {
		m.blocks()
	}
	m.singles()
	if s := m.stream; s != nil {
		TESTQ(s.after, s.after)
		JZ(LabelRef("return"))
		MOVQ(s.after, m.n)
		XORQ(s.after, s.after)
		MOVQ(U32(past), m.mode)
		JMP(LabelRef("rows"))
		Label("return")
	}
	VZEROUPPER()
	RET()
}

// blocks emits the loop over unroll registers at a time, while there are as many elements left.
func (m *rowMap) blocks() {
	elems := m.unroll * m.lanes()
	SUBQ(imm(elems), m.n)
	JL(LabelRef("blocks_done"))
	Label("blocks")
	v := make([][]reg.VecVirtual, len(m.in))
	for j, p := range m.in {
		for i := range m.unroll {
			v[j] = append(v[j], m.load(p, i*m.lanes()))
		}
	}
	out := m.body(v)
	if m.stream != nil {
		TESTQ(m.mode, m.mode)
		JNZ(LabelRef("past"))
	}
	m.storeBlock("blocks", out, false)
	if m.stream != nil {
		JMP(LabelRef("blocks_done"))
		Label("past")
		m.storeBlock("blocks", out, true)
	}
	Label("blocks_done")
	XORQ(m.mode, m.mode)
	ADDQ(imm(elems), m.n)
}

// singles emits the loop over single registers, the last of which may have fewer elements.
func (m *rowMap) singles() {
	SUBQ(imm(m.lanes()), m.n)
	JL(LabelRef("rest"))
	Label("singles")
	v := make([][]reg.VecVirtual, len(m.in))
	for j, p := range m.in {
		v[j] = []reg.VecVirtual{m.load(p, 0)}
	}
	Label("single")
	out := m.body(v)
	TESTQ(m.mode, m.mode)
	JNZ(LabelRef("not_whole"))
	m.storeBlock("singles", out, false)
	Label("rest")
	ADDQ(imm(m.lanes()), m.n)
	JZ(LabelRef("end"))
	behind := m.tailOf(m.n)
	for j, p := range m.in {
		behind.load(v[j][0], p, 0, 0)
	}
	MOVQ(U32(part), m.mode)
	JMP(LabelRef("single"))
	Label("not_whole")
	if m.stream != nil && m.unroll == 1 {
		CMPQ(m.mode, imm(part))
		JEQ(LabelRef("part"))
		m.storeBlock("singles", out, true)
		JMP(LabelRef("rest"))
		Label("part")
	}
	m.storePart(out[0], m.dst, m.n)
	if m.stream != nil {
		for _, p := range append([]reg.Register{m.dst}, m.in...) {
			LEAQ(Mem{Base: p, Index: m.n, Scale: uint8(size(m.elem))}, p)
		}
	}
	Label("end")
}

// storeBlock stores whole registers and goes on with the loop, if there are enough elements left.
// While stores go out past the caches the next row is fetched, which mostly follows this one.
func (m *rowMap) storeBlock(loop string, out []reg.VecVirtual, stream bool) {
	elems := len(out) * m.lanes()
	for i, v := range out {
		m.store(v, m.dst, i*m.lanes(), stream)
	}
	if stream && m.stream.ahead {
		for _, p := range m.in {
			for i := 0; i < elems*size(m.elem); i += 64 {
				PREFETCHT1(Mem{Base: p, Index: m.stream.row, Scale: 1, Disp: i})
			}
		}
	}
	for _, p := range append([]reg.Register{m.dst}, m.in...) {
		ADDQ(imm(elems*size(m.elem)), p)
	}
	SUBQ(imm(elems), m.n)
	JGE(LabelRef(loop))
}
