package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// unroll is the number of registers whose exponentials are interleaved.
func (g *gen) unroll() int {
	if g.is512() && g.comp == "F32" {
		return 4
	}
	return 2
}

// underflow is the distance in powers of 2 below the anchor at which terms are dropped.
func (g *gen) underflow() float64 {
	if g.comp == "F32" {
		return 125
	}
	return 1021
}

// prefetchBytes is how far ahead the exponential pass over one block fetches the next.
const prefetchBytes = 4096

// expSum emits
//
//	max = max x[i]    anchor = rint(max·log2 e)    sum = Σ exp(x[i])·2^-anchor
func (g *gen) expSum(name string) {
	g.text(name, "func(x []F) (max F, anchor, sum float64)",
		"returns the largest element, its anchor and Σ exp(x[i])·2^-anchor.")
	x := Load(Param("x").Base(), GP64())
	n := Load(Param("x").Len(), GP64())
	max := g.maximum(x, n)

	c := g.consts()
	anchor := XMM()
	f(g, VMULSS, VMULSD)(g.constant(math.Log2E), max, anchor)
	f(g, VROUNDSS, VROUNDSD)(Imm(8), anchor, anchor, anchor)
	c.anchor = g.broadcast(anchor)
	low := XMM()
	f(g, VSUBSS, VSUBSD)(g.constant(g.underflow()), anchor, low)
	f(g, VMULSS, VMULSD)(g.constant(math.Ln2), low, low)
	c.low = g.broadcast(low)
	if g.wide() {
		VCVTSD2SS(max, max, max)
	}
	Store(max, ReturnIndex(0))
	if g.comp == "F32" {
		VCVTSS2SD(anchor, anchor, anchor)
	}
	Store(anchor, ReturnIndex(1))

	x = Load(Param("x").Base(), GP64())
	n = Load(Param("x").Len(), GP64())
	sums := g.newSums()
	g.forGroups("sum", n, []reg.Register{x}, func(tail bool) {
		for h := range g.halves() {
			var terms []reg.VecVirtual
			for k := 0; k < depth; k += g.unroll() {
				var xs []reg.VecVirtual
				for i := k; i < k+g.unroll(); i++ {
					if tail {
						xs = append(xs, g.loadTail(x, n, g.at(i, h), math.Inf(-1)))
						continue
					}
					xs = append(xs, g.load(x, g.at(i, h)))
					if byte := g.at(i, h) * size(g.elem); byte%64 == 0 {
						PREFETCHT0(Mem{Base: x, Disp: prefetchBytes + byte})
					}
				}
				es := g.exp(xs, c)
				for len(es) > 1 {
					g.add(es[1], es[0], es[0])
					if len(es) > 2 {
						g.add(es[3], es[2], es[2])
						es[1] = es[2]
					}
					es = es[:len(es)/2]
				}
				terms = append(terms, es[0])
			}
			if len(terms) > 1 {
				g.add(terms[1], terms[0], terms[0])
			}
			sums.add(terms[0], h)
		}
	})
	Store(sums.total(), ReturnIndex(2))
	VZEROUPPER()
	RET()
}

// maximum emits the loop over n elements from x on; it uses both up and returns the largest in lane 0.
func (g *gen) maximum(x, n reg.Register) reg.VecVirtual {
	acc := make([]reg.VecVirtual, depth)
	for i := range acc {
		acc[i] = g.vec()
		VMOVUPS(g.constant(math.Inf(-1)), acc[i])
	}
	g.forGroups("max", n, []reg.Register{x}, func(tail bool) {
		for h := range g.halves() {
			for k := range depth {
				var v reg.VecVirtual
				if tail {
					v = g.loadTail(x, n, g.at(k, h), math.Inf(-1))
				} else {
					v = g.load(x, g.at(k, h))
				}
				g.max(v, acc[k])
			}
		}
	})
	g.max(acc[1], acc[0])
	g.max(acc[3], acc[2])
	g.max(acc[2], acc[0])
	v := []reg.VecVirtual{acc[0], acc[0]}
	return g.fold(v, g.comp, func(a, dst Op) { g.max(a, dst) })
}

// sums accumulates groups in float64, one lane for each of the layout's. A group's float32 terms are added in
// float32, four to a lane, and then converted; float64 ones are added with Kahan's compensation.
type sums struct {
	g         *gen
	acc, lost []reg.VecVirtual
}

func (g *gen) newSums() *sums {
	s := &sums{g: g}
	for range g.sumRegisters() {
		s.acc = append(s.acc, g.zero())
	}
	if g.comp == "F64" {
		for range g.sumRegisters() {
			s.lost = append(s.lost, g.zero())
		}
	}
	return s
}

// sumRegisters is the number of float64 registers for the lanes of the layout.
func (g *gen) sumRegisters() int { return g.halves() * 8 / size(g.comp) }

// add adds the terms of half h.
func (s *sums) add(v reg.VecVirtual, h int) {
	g := s.g
	if g.comp == "F32" {
		lo, hi := g.vec(), g.vec()
		upper := g.narrow()
		if g.is512() {
			VEXTRACTF64X4(Imm(1), v, upper)
			VCVTPS2PD(v.AsY(), lo)
		} else {
			VEXTRACTF128(Imm(1), v, upper)
			VCVTPS2PD(v.AsX(), lo)
		}
		VCVTPS2PD(upper, hi)
		VADDPD(lo, s.acc[2*h], s.acc[2*h])
		VADDPD(hi, s.acc[2*h+1], s.acc[2*h+1])
		return
	}
	t := g.vec()
	VSUBPD(s.lost[h], v, v)
	VADDPD(v, s.acc[h], t)
	VSUBPD(s.acc[h], t, s.acc[h])
	VSUBPD(v, s.acc[h], s.lost[h])
	VMOVAPD(t, s.acc[h])
}

// total returns the sum of all lanes in lane 0.
func (s *sums) total() reg.VecVirtual {
	add := func(a, dst Op) { VADDPD(a, dst, dst) }
	g := s.g
	if g.comp == "F32" {
		half := len(s.acc) / 2 // lanes 8 to 15 onto 0 to 7
		for i := range half {
			add(s.acc[half+i], s.acc[i])
		}
		return g.fold(s.acc[:half], "F64", add)
	}
	for i := range s.acc {
		VSUBPD(s.lost[i], s.acc[i], s.acc[i])
	}
	return g.fold(s.acc, "F64", add)
}

// expScale emits dst[i] = exp(x[i])·2^-anchor·factor, 0 below low.
func (g *gen) expScale() {
	g.text("expScale", "func(dst, x []F, anchor, low, factor F, stream bool)",
		"writes exp(x[i])·2^-anchor·factor, 0 where x[i] < low.")
	c := g.consts()
	c.anchor, c.low = g.param("anchor"), g.param("low")
	factor := g.param("factor")
	g.mapRow(g.unroll(), []string{"x"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		out := g.exp(v[0], c)
		for _, e := range out {
			g.mul(factor, e, e)
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
	g.mapRow(depth, []string{"x"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		for _, x := range v[0] {
			g.sub(x, a, x)
			g.sub(x, bv, x)
		}
		return v[0]
	})
}

// mapRow emits the loops of a kernel that writes dst from inputs of the same length, and returns. The parameter
// stream chooses stores past the caches. These want aligned addresses: the elements before the first of them are
// written as a tail is.
func (g *gen) mapRow(unroll int, inputs []string, body func(v [][]reg.VecVirtual) []reg.VecVirtual) {
	dst := Load(Param("dst").Base(), GP64())
	n := Load(Param("dst").Len(), GP64())
	ptrs := []reg.Register{dst}
	for _, in := range inputs {
		ptrs = append(ptrs, Load(Param(in).Base(), GP64()))
	}
	part := func(count reg.Register, tail, stream bool) {
		g.forRegisters(unroll, func(ks []int, h int) {
			v := make([][]reg.VecVirtual, len(inputs))
			for j := range inputs {
				for _, k := range ks {
					if tail {
						v[j] = append(v[j], g.loadTail(ptrs[1+j], count, g.at(k, h), 0))
					} else {
						v[j] = append(v[j], g.load(ptrs[1+j], g.at(k, h)))
					}
				}
			}
			for i, out := range body(v) {
				if tail {
					g.storeTail(out, dst, count, g.at(ks[i], h))
				} else {
					g.store(out, dst, g.at(ks[i], h), stream)
				}
			}
		})
	}
	stream := Load(Param("stream"), GP8())
	TESTB(stream, stream)
	JNZ(LabelRef("stream"))
	g.forGroups("row", n, ptrs, func(tail bool) { part(n, tail, false) })
	VZEROUPPER()
	RET()

	Label("stream")
	head := GP64()
	MOVQ(dst, head)
	NEGQ(head)
	ANDQ(U32(63), head)
	SHRQ(U8(map[int]int{4: 2, 8: 3}[size(g.elem)]), head)
	CMPQ(head, n)
	CMOVQGT(n, head)
	TESTQ(head, head)
	JZ(LabelRef("aligned"))
	part(head, true, true)
	for _, p := range ptrs {
		LEAQ(Mem{Base: p, Index: head, Scale: uint8(size(g.elem))}, p)
	}
	SUBQ(head, n)
	Label("aligned")
	g.forGroups("streamed", n, ptrs, func(tail bool) { part(n, tail, true) })
	SFENCE()
	VZEROUPPER()
	RET()
}

// index emits the search for the first element equal to v.
func (g *gen) index() {
	g.text("index", "func(x []F, v F) int", "returns the first i with x[i] == v, or -1.")
	x, n := GP64(), GP64()
	Load(Param("x").Base(), x)
	Load(Param("x").Len(), n)
	want := g.param("v")
	at := GP64()
	XORQ(at, at)
	step := g.lanes()
	found := GP32()
	compare := func(v reg.VecVirtual) {
		if g.is512() {
			k := K()
			f(g, VCMPPS, VCMPPD)(Imm(0), v, want, k)
			KMOVW(k, found)
			return
		}
		m := g.vec()
		f(g, VCMPPS, VCMPPD)(Imm(0), v, want, m)
		f(g, VMOVMSKPS, VMOVMSKPD)(m, found)
	}
	Label("loop")
	CMPQ(n, U32(uint32(step)))
	JL(LabelRef("tail"))
	compare(g.load(x, 0))
	TESTL(found, found)
	JNZ(LabelRef("found"))
	ADDQ(U32(uint32(g.vecBytes())), x)
	ADDQ(U32(uint32(step)), at)
	SUBQ(U32(uint32(step)), n)
	JMP(LabelRef("loop"))
	Label("tail")
	compare(g.loadTail(x, n, 0, 0))
	// Lanes behind the end hold 0, which may be v.
	BZHIL(n.As32(), found, found)
	TESTL(found, found)
	JZ(LabelRef("none"))
	Label("found")
	BSFL(found, found)
	ADDQ(found.As64(), at)
	Store(at, ReturnIndex(0))
	VZEROUPPER()
	RET()
	Label("none")
	MOVQ(I64(-1), at)
	Store(at, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
