package main

import (
	"fmt"
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

// prefetchBytes is how far ahead a sum fetches. A few thousand bytes are too late for memory.
const prefetchBytes = 16 << 10

// window returns the middle and half the width of the range in which the largest element of an
// expSum may lie above its anchor, in powers of 2. Above, terms stay far from the largest number;
// below, what is cut off must be lost in the sum, even as the bit that decides between two of its
// neighbours.
func (g *gen) window() (middle, half float64) {
	if g.comp == "F32" {
		return 25, 35
	}
	return 25, 65
}

// A sumKind is one of the kernels that sum exponentials.
type sumKind struct {
	name  string
	store bool // the terms are written, too; the anchor is that of the largest
	long  bool // float32: twice as many terms of a lane are added in float32
}

// expSum emits
//
//	max = max x[i]    sum = Σ exp(x[i])·2^-anchor
//
// in one reading: the anchor is the guess, or that of the largest among the first elements where
// the guess is NaN. Where the largest of all proves to lie outside the window above it, the sum is
// taken again with the anchor of that.
func (g *gen) expSum(kind sumKind) {
	signature, doc := "func(x []F, guess float64) (max F, anchor, sum float64)", "returns the largest element, an anchor near its own and Σ exp(x[i])·2^-anchor."
	if kind.store {
		signature, doc = "func(dst, x []F) (max F, anchor, sum float64)", "writes exp(x[i])·2^-anchor and returns the largest element, its anchor and the sum."
	}
	g.textWith(NOSPLIT, kind.name, signature, doc)
	groupLen := g.group()
	if kind.long {
		groupLen *= 2
	}
	n, at := GP64(), GP64()
	anchor, max := XMM(), XMM()
	x := Load(Param("x").Base(), GP64())
	exact := GP64()
	if !kind.store {
		XORQ(exact, exact)
		Load(Param("x").Len(), n)
		Load(Param("guess"), anchor)
		VUCOMISD(anchor, anchor)
		JNP(LabelRef("guessed"))
		CMPQ(n, imm(8*g.group()))
		JLE(LabelRef("search"))
		MOVQ(U32(uint32(4*g.group())), n)
		JMP(LabelRef("maximum"))
		Label("search")
		MOVQ(U32(1), exact)
	}
	Load(Param("x").Len(), n)
	Label("maximum")
	MOVQ(x, at)
	VMOVAPS(g.maximum(at, n), max)
	f(g, VMULSS, VMULSD)(g.constant(math.Log2E), max, anchor)
	g.round(anchor)
	if !kind.store {
		JMP(LabelRef("anchored"))
		Label("guessed")
		if g.comp == "F32" {
			VCVTSD2SS(anchor, anchor, anchor)
		}
		Label("anchored")
	}

	t := &terms{gen: g, sums: g.newSums(g.elem == "F64"), at: at}
	low := XMM()
	f(g, VSUBSS, VSUBSD)(g.constant(g.underflow(kind)), anchor, low)
	f(g, VMULSS, VMULSD)(g.constant(math.Ln2), low, low)
	t.c = g.expConsts(g.broadcast(anchor), g.broadcast(low))
	if !kind.store {
		t.highest = g.vec()
		VMOVUPS(g.constant(math.Inf(-1)), t.highest)
	}
	if kind.store {
		t.dst = Load(Param("dst").Base(), GP64())
	}
	Load(Param("x").Len(), n)
	MOVQ(x, at)
	if g.is512() {
		t.loops(n, groupLen)
	} else {
		t.rolled(n, groupLen)
	}

	if !kind.store {
		TESTQ(exact, exact)
		JNZ(LabelRef("found"))
		VMOVAPS(g.fold([]reg.VecVirtual{t.highest, t.highest}, g.comp, func(a, dst Op) { g.max(a, dst) }), max)
		off := XMM()
		f(g, VMULSS, VMULSD)(g.constant(math.Log2E), max, off)
		middle, half := g.window()
		f(g, VSUBSS, VSUBSD)(anchor, off, off)
		f(g, VSUBSS, VSUBSD)(g.constant(middle), off, off)
		VANDPS(g.signless(), off, off)
		f(g, VUCOMISS, VUCOMISD)(g.constant(half), off)
		JHI(LabelRef("search"))
		JPS(LabelRef("search"))
		Label("found")
	}
	if g.wide() {
		VCVTSD2SS(max, max, max)
	}
	Store(max, ReturnIndex(0))
	sum := t.sums.total()
	if g.comp == "F32" {
		VCVTSS2SD(anchor, anchor, anchor)
		sum = g.corrected(sum, max)
	}
	storeResult(anchor, 1)
	storeResult(sum, 2)
	VZEROUPPER()
	RET()
}

// underflow is the distance in powers of 2 below the anchor at which terms end: where they are lost
// in any sum whose largest term is not, or, for terms that are kept, where they would be denormal.
func (g *gen) underflow(kind sumKind) float64 {
	switch {
	case kind.store:
		return 1022
	case g.comp == "F32":
		return 124
	}
	return 1000
}

// terms is the state of a sum between its loops.
type terms struct {
	*gen
	c       *expConsts
	sums    *sums
	at, dst reg.Register
	highest reg.VecVirtual // the largest elements so far, nil where nobody asks
}

// loops emits the loops over n elements.
func (t *terms) loops(n reg.Register, groupLen int) {
	CMPQ(n, imm(groupLen))
	JL(LabelRef("sum_tail"))
	Label("sum_loop")
	t.group(groupLen, nil, func(i int) reg.VecVirtual {
		if byte := i * size(t.elem); byte%64 == 0 {
			PREFETCHT0(Mem{Base: t.at, Disp: prefetchBytes + byte})
		}
		return t.load(t.at, i)
	}, func(v reg.VecVirtual, i int) { t.gen.store(v, t.dst, i, false) })
	t.advance(n, groupLen)
	CMPQ(n, imm(groupLen))
	JGE(LabelRef("sum_loop"))
	Label("sum_tail")
	TESTQ(n, n)
	JLE(LabelRef("sum_done"))
	count := GP64()
	MOVQ(U32(uint32(t.gen.group())), count)
	CMPQ(n, count)
	CMOVQLT(n, count)
	t.group(t.gen.group(), count, func(i int) reg.VecVirtual {
		return t.loadTail(t.at, count, i, math.Inf(-1))
	}, func(v reg.VecVirtual, i int) { t.storeSome(v, t.dst.(reg.GPVirtual), count, i) })
	t.advance(n, t.gen.group())
	JMP(LabelRef("sum_tail"))
	Label("sum_done")
}

func (t *terms) advance(n reg.Register, elems int) {
	ADDQ(imm(elems*size(t.elem)), t.at)
	if t.dst != nil {
		ADDQ(imm(elems*size(t.elem)), t.dst)
	}
	SUBQ(imm(elems), n)
}

// group adds one group of elements: those of a lane first, then to the sums. Where only count
// elements are there, the second half of the group is left out if it is empty.
func (t *terms) group(elems int, count reg.Register, load func(i int) reg.VecVirtual, store func(v reg.VecVirtual, i int)) {
	unroll := 4 // as many as there are registers for
	if !t.is512() || count != nil {
		unroll = 2
	}
	for h := range t.halves() {
		acc := []reg.VecVirtual{t.vec(), t.vec()}
		labels++
		enough := fmt.Sprintf("enough%d", labels)
		for k := 0; k < elems/t.lanes()/t.halves(); k += unroll {
			if count != nil && k == 2 {
				CMPQ(count, imm(t.gen.at(k, 0)))
				JLE(LabelRef(enough))
			}
			var xs []reg.VecVirtual
			for i := k; i < k+unroll; i++ {
				xs = append(xs, load(t.gen.at(i, h)))
			}
			if t.comp == "F32" {
				t.addFast(xs, k, acc)
				continue
			}
			for i, e := range t.terms(xs) {
				if t.dst != nil {
					store(e, t.gen.at(k+i, h))
				}
				if k+i < 2 {
					VMOVAPS(e, acc[k+i])
				} else {
					t.add(e, acc[(k+i)%2], acc[(k+i)%2])
				}
			}
		}
		Label(enough)
		t.add(acc[1], acc[0], acc[0])
		t.sums.add(acc[0], h)
	}
}

// terms replaces xs by their terms. Where they are not to be written, elements are raised to low
// instead of becoming 0.
func (t *terms) terms(xs []reg.VecVirtual) []reg.VecVirtual {
	if t.dst != nil {
		return t.exp(xs, t.c)
	}
	t.raise(xs)
	return t.expKept(xs, nil, t.c)
}

// raise raises xs to low, and the highest to xs before: it must not wait for the guess, which comes
// from the row before. NaN stays, and does not go into the highest.
func (t *terms) raise(xs []reg.VecVirtual) {
	for _, x := range xs {
		if t.highest != nil {
			t.max(x, t.highest)
		}
		f(t.gen, VMAXPS, VMAXPD)(x, t.c.low, x)
	}
}

// addFast adds the terms of xs, the registers from k on of a group, to acc[k mod 2], which the
// first of them set. These terms are good for a sum only: the polynomial is rounded before it is
// scaled, what the table's entries lost is neglected but for its mean, and n·ln 2/m is taken with
// the rounded constant alone.
func (t *terms) addFast(xs []reg.VecVirtual, k int, acc []reg.VecVirtual) {
	t.raise(xs)
	c := *t.c
	c.lo = nil
	s := t.reduce(xs, &c)
	p := t.polynomial(xs, append([]Op{c.one, c.one}, c.coefs...))
	for i := range xs {
		if k+i < 2 {
			t.mul(p[i], s[i].power, acc[k+i])
			continue
		}
		f(t.gen, VFMADD231PS, VFMADD231PD)(p[i], s[i].power, acc[(k+i)%2])
	}
}

// fastBias is the mean relative error of the terms of addFast, with the sign changed: that of the
// polynomial over all r, 1.11e-8, and that of the table over its entries, 1.2e-9.
const fastBias = -1.2269963329e-08

// corrected returns the sum of addFast without its systematic error. The error of ln 2/m multiplies
// each term by exp of the error times n, about exp(-y) for the relative error of ln 2 times an
// element, y: it is made good for the largest.
func (g *gen) corrected(sum, max reg.VecVirtual) reg.VecVirtual {
	d := &gen{g.isa, g.elem, "F64"}
	y, part := XMM(), XMM()
	VCVTSS2SD(max, max, y)
	VMULSD(d.constant(float64(float32(math.Ln2))/math.Ln2-1), y, y)
	VMULSD(d.constant(0.5), y, part)
	VFMADD213SD(y, y, part) // y + y²/2
	VADDSD(d.constant(fastBias), part, part)
	VFMADD213SD(sum, sum, part)
	return part
}

// round rounds lane 0 of v to an integer.
func (g *gen) round(v reg.VecVirtual) {
	if g.is512() {
		f(g, VRNDSCALESS, VRNDSCALESD)(Imm(8), v, v, v)
		return
	}
	f(g, VROUNDSS, VROUNDSD)(Imm(8), v, v, v)
}

// signless is the mask of all bits but the sign.
func (g *gen) signless() Mem {
	if g.comp == "F32" {
		return bitsConstant(1<<31-1, 4)
	}
	return bitsConstant(1<<63-1, 8)
}

// maximum emits the loop over n elements from x on; it uses both up and returns the largest in lane
// 0.
func (g *gen) maximum(x, n reg.Register) reg.VecVirtual {
	acc := make([]reg.VecVirtual, depth)
	for i := range acc {
		acc[i] = g.vec()
		VMOVUPS(g.constant(math.Inf(-1)), acc[i])
	}
	elems := g.group()
	SUBQ(imm(elems), n)
	JL(LabelRef("max_rest"))
	Label("max_loop")
	for k := range depth {
		for h := range g.halves() {
			g.max(g.load(x, g.at(k, h)), acc[k])
		}
	}
	ADDQ(imm(elems*size(g.elem)), x)
	SUBQ(imm(elems), n)
	JGE(LabelRef("max_loop"))
	Label("max_rest")
	ADDQ(imm(elems), n)
	JZ(LabelRef("max_done"))
	Label("max_single")
	v := g.vec()
	g.tailOf(n).load(v, x, 0, math.Inf(-1))
	g.max(v, acc[0])
	ADDQ(imm(g.lanes()*size(g.elem)), x)
	SUBQ(imm(g.lanes()), n)
	JG(LabelRef("max_single"))
	Label("max_done")
	g.max(acc[1], acc[0])
	g.max(acc[3], acc[2])
	g.max(acc[2], acc[0])
	return g.fold([]reg.VecVirtual{acc[0], acc[0]}, g.comp, func(a, dst Op) { g.max(a, dst) })
}
