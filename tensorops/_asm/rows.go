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

// underflow is the distance in powers of 2 below the anchor at which terms are dropped: where they would be denormal.
func (g *gen) underflow() float64 {
	if g.comp == "F32" {
		return 126
	}
	return 1022
}

// prefetchElems is how far ahead the exponential pass over one block fetches the next.
const prefetchElems = 1024

// expSum emits
//
//	max = max x[i]    anchor = rint(max·log2 e)    sum = Σ exp(x[i])·2^-anchor
//
// With store it also writes the terms to dst.
func (g *gen) expSum(name string, store bool) {
	dst := GP64()
	if store {
		g.text(name, "func(dst, x []F) (max F, anchor, sum float64)",
			"writes exp(x[i])·2^-anchor and returns the largest element, its anchor and the sum.")
		Load(Param("dst").Base(), dst)
	} else {
		g.text(name, "func(x []F) (max F, anchor, sum float64)",
			"returns the largest element, its anchor and Σ exp(x[i])·2^-anchor.")
	}
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
	storeResult(anchor, 1)

	x = Load(Param("x").Base(), GP64())
	n = Load(Param("x").Len(), GP64())
	sums := g.newSums()
	ptrs := []reg.Register{x}
	if store {
		ptrs = append(ptrs, dst)
	}
	g.forGroups("sum", n, ptrs, func(tail bool) {
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
						PREFETCHT0(Mem{Base: x, Disp: prefetchElems*size(g.elem) + byte})
					}
				}
				es := g.exp(xs, c)
				for i, e := range es {
					switch {
					case store && tail:
						g.storeSome(e, dst, n, g.at(k+i, h))
					case store:
						g.store(e, dst, g.at(k+i, h), false)
					}
				}
				for i := 0; i < len(es); i += 2 {
					g.add(es[i+1], es[i], es[i])
					terms = append(terms, es[i])
				}
			}
			if g.elem == "F64" {
				g.add(terms[1], terms[0], terms[0])
				terms = terms[:1]
			}
			for _, t := range terms {
				sums.add(t, h)
			}
		}
	})
	storeResult(sums.total(), 2)
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

// sums accumulates groups in float64, one lane for each of the layout's. float32 terms are added in pairs and then
// converted; those of float64 elements are added four at a time, with Kahan's compensation.
type sums struct {
	g         *gen
	acc, lost []reg.VecVirtual
}

func (g *gen) newSums() *sums {
	s := &sums{g: g}
	for range g.sumRegisters() {
		s.acc = append(s.acc, g.zero())
	}
	if g.elem == "F64" {
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
			g.upperX(v, upper)
			VCVTPS2PD(v.AsX(), lo)
		}
		VCVTPS2PD(upper, hi)
		VADDPD(lo, s.acc[2*h], s.acc[2*h])
		VADDPD(hi, s.acc[2*h+1], s.acc[2*h+1])
		return
	}
	if s.lost == nil {
		VADDPD(v, s.acc[h], s.acc[h])
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
	for i := range s.lost {
		VSUBPD(s.lost[i], s.acc[i], s.acc[i])
	}
	return g.fold(s.acc, "F64", add)
}
