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

// newRowMap loads the parameters dst and inputs.
func (g *gen) newRowMap(inputs []string, body func(v [][]reg.VecVirtual) []reg.VecVirtual) *rowMap {
	m := &rowMap{gen: g, body: body, dst: GP64(), n: GP64()}
	Load(Param("dst").Base(), m.dst)
	Load(Param("dst").Len(), m.n)
	for _, in := range inputs {
		m.in = append(m.in, Load(Param(in).Base(), GP64()))
	}
	return m
}

// mapPlain emits the loops of a kernel that writes dst from inputs of the same length, and returns.
func (g *gen) mapPlain(unroll int, inputs []string, body func(v [][]reg.VecVirtual) []reg.VecVirtual) {
	g.newRowMap(inputs, body).plain(unroll)
}

func (m *rowMap) plain(unroll int) {
	m.loop("plain", unroll, false)
	m.loop("single", 1, false)
	m.tail("rest")
	VZEROUPPER()
	RET()
}

// mapRow is mapPlain for a kernel whose parameter stream chooses stores past the caches. These want aligned addresses: the elements before the first of them are
// written one register at a time. The caller fences. With ahead the next row is fetched meanwhile, which pays where
// there is something to compute.
func (g *gen) mapRow(unroll int, ahead bool, inputs []string, body func(v [][]reg.VecVirtual) []reg.VecVirtual) {
	m := g.newRowMap(inputs, body)
	m.ahead = ahead
	stream := Load(Param("stream"), GP8())
	TESTB(stream, stream)
	JNZ(LabelRef("stream"))
	m.plain(unroll)

	Label("stream")
	// The distance to the next row, 0 where two rows would not fit into the second cache.
	m.row = GP64()
	none := GP64()
	XORQ(none, none)
	MOVQ(m.n, m.row)
	SHLQ(U8(map[int]int{4: 2, 8: 3}[size(g.elem)]), m.row)
	CMPQ(m.row, U32(256<<10))
	CMOVQGT(none, m.row)
	head := GP64()
	MOVQ(m.dst, head)
	NEGQ(head)
	ANDQ(U32(63), head)
	SHRQ(U8(map[int]int{4: 2, 8: 3}[size(g.elem)]), head)
	CMPQ(head, m.n)
	CMOVQGT(m.n, head)
	after := GP64()
	MOVQ(m.n, after)
	SUBQ(head, after)
	MOVQ(head, m.n)
	m.loop("head", 1, false)
	m.tail("headrest")
	LEAQ(Mem{Base: m.dst, Index: m.n, Scale: uint8(size(g.elem))}, m.dst)
	for _, p := range m.in {
		LEAQ(Mem{Base: p, Index: m.n, Scale: uint8(size(g.elem))}, p)
	}
	MOVQ(after, m.n)
	m.loop("streamed", unroll, true)
	m.loop("streamedsingle", 1, false)
	m.tail("streamedrest")
	VZEROUPPER()
	RET()
}

// rowMap is a kernel's state between its loops: pointers that advance and the number of elements left.
type rowMap struct {
	*gen
	body func(v [][]reg.VecVirtual) []reg.VecVirtual
	dst  reg.GPVirtual
	in   []reg.Register
	n    reg.GPVirtual
	row  reg.GPVirtual

	ahead bool
}

// loop emits a loop over unroll registers at a time, while there are as many elements left.
func (m *rowMap) loop(label string, unroll int, stream bool) {
	elems := unroll * m.lanes()
	Label(label)
	CMPQ(m.n, U32(uint32(elems)))
	JL(LabelRef(label + "_done"))
	v := make([][]reg.VecVirtual, len(m.in))
	for j, p := range m.in {
		for i := range unroll {
			v[j] = append(v[j], m.load(p, i*m.lanes()))
		}
	}
	if stream && m.ahead {
		// While the stores go out, the next row comes in: it mostly follows this one.
		for _, p := range m.in {
			for i := 0; i < elems*size(m.elem); i += 64 {
				PREFETCHT1(Mem{Base: p, Index: m.row, Scale: 1, Disp: i})
			}
		}
	}
	for i, out := range m.body(v) {
		m.store(out, m.dst, i*m.lanes(), stream)
	}
	for _, p := range append([]reg.Register{m.dst}, m.in...) {
		ADDQ(U32(uint32(elems*size(m.elem))), p)
	}
	SUBQ(U32(uint32(elems)), m.n)
	JMP(LabelRef(label))
	Label(label + "_done")
}

// tail emits the code for what is left, less than a register.
func (m *rowMap) tail(label string) {
	TESTQ(m.n, m.n)
	JZ(LabelRef(label + "_done"))
	v := make([][]reg.VecVirtual, len(m.in))
	for j, p := range m.in {
		v[j] = []reg.VecVirtual{m.loadTail(p, m.n, 0, 0)}
	}
	m.storePart(m.body(v)[0], m.dst, m.n)
	Label(label + "_done")
}
