package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Kernels of losses of vectors and of lists: sums and combinations of a few vectors, computed in
// float64, exponentials of a row, and the logistic loss of an item's pairs. They exist for AVX2
// alone, so that both instruction sets have the same bits.

// vectorStep is the number of elements that kernels of vectors advance by.
const vectorStep = 16

// vectors emits a loop over n elements of the arrays, a step at a time: body gets the registers of
// the inputs, four elements each, and returns those of dst, if there is one.
func (g *gen) vectors(inputs []string, dst bool, body func(v []reg.VecVirtual, i int) reg.VecVirtual) {
	var in []reg.GPVirtual
	for _, name := range inputs {
		in = append(in, pointer(name))
	}
	ptrs := in
	var to reg.GPVirtual
	if dst {
		to = pointer("dst")
		ptrs = append(append([]reg.GPVirtual{}, in...), to)
	}
	n := pointer("n")
	Label("loop")
	for i := range vectorStep / g.lanes() {
		var v []reg.VecVirtual
		for _, p := range in {
			v = append(v, g.load(p, i*g.lanes()))
		}
		if out := body(v, i); dst {
			g.store(out, to, i*g.lanes(), false)
		}
	}
	for _, p := range ptrs {
		ADDQ(U32(uint32(vectorStep*size(g.elem))), p)
	}
	SUBQ(U8(vectorStep), n)
	JNZ(LabelRef("loop"))
}

// lanesOf returns the registers of a sum over vectors.
func (g *gen) lanesOf() (acc []reg.VecVirtual) {
	for range 2 {
		acc = append(acc, g.zero())
	}
	return acc
}

// storeSums stores sums and returns.
func (g *gen) storeSums(sums ...[]reg.VecVirtual) {
	for i, acc := range sums {
		storeResult(g.fold(acc, "F64", func(a, dst Op) { VADDPD(a, dst, dst) }), i)
	}
	VZEROUPPER()
	RET()
}

// gap replaces x by (x - y) + eps.
func gap(x, y, eps reg.VecVirtual) reg.VecVirtual {
	VSUBPD(y, x, x)
	VADDPD(eps, x, x)
	return x
}

// vectorKernels emits the kernels of vectors of one element type.
func (g *gen) vectorKernels() {
	g.kernel("gapSquares", "func(x, y *F, n int, eps float64) float64", "returns Σ (x[i] - y[i] + eps)².")
	eps, acc := g.param("eps"), g.lanesOf()
	g.vectors([]string{"x", "y"}, false, func(v []reg.VecVirtual, i int) reg.VecVirtual {
		e := gap(v[0], v[1], eps)
		VFMADD231PD(e, e, acc[i%2])
		return nil
	})
	g.storeSums(acc)

	g.kernel("gapScale", "func(dst, x, y *F, n int, eps, a float64)", "writes a·(x[i] - y[i] + eps).")
	eps = g.param("eps")
	a := g.param("a")
	g.vectors([]string{"x", "y"}, true, func(v []reg.VecVirtual, _ int) reg.VecVirtual {
		e := gap(v[0], v[1], eps)
		VMULPD(a, e, e)
		return e
	})
	VZEROUPPER()
	RET()

	g.kernel("gapScale2", "func(dst, x, y, z *F, n int, eps, a, delta, b float64)", "writes a·(x[i] - y[i] + eps) + b·(x[i] - z[i] + delta).")
	eps = g.param("eps")
	delta := g.param("delta")
	a = g.param("a")
	b := g.param("b")
	g.vectors([]string{"x", "y", "z"}, true, func(v []reg.VecVirtual, _ int) reg.VecVirtual {
		x := g.vec()
		VMOVAPD(v[0], x)
		e, d := gap(v[0], v[1], eps), gap(x, v[2], delta)
		VMULPD(a, e, e)
		VFMADD231PD(b, d, e)
		return e
	})
	VZEROUPPER()
	RET()

	g.kernel("products", "func(x, y *F, n int) (xx, xy, yy float64)", "returns Σ x[i]², Σ x[i]·y[i] and Σ y[i]².")
	xx, xy, yy := g.lanesOf(), g.lanesOf(), g.lanesOf()
	g.vectors([]string{"x", "y"}, false, func(v []reg.VecVirtual, i int) reg.VecVirtual {
		VFMADD231PD(v[0], v[0], xx[i%2])
		VFMADD231PD(v[0], v[1], xy[i%2])
		VFMADD231PD(v[1], v[1], yy[i%2])
		return nil
	})
	g.storeSums(xx, xy, yy)

	combined := func(v []reg.VecVirtual, a, b reg.VecVirtual) reg.VecVirtual {
		VMULPD(a, v[0], v[0])
		VFMADD231PD(b, v[1], v[0])
		return v[0]
	}
	g.kernel("combinedSquares", "func(x, y *F, n int, a, b float64) float64", "returns Σ (a·x[i] + b·y[i])².")
	a, b, acc = g.param("a"), g.param("b"), g.lanesOf()
	g.vectors([]string{"x", "y"}, false, func(v []reg.VecVirtual, i int) reg.VecVirtual {
		e := combined(v, a, b)
		VFMADD231PD(e, e, acc[i%2])
		return nil
	})
	g.storeSums(acc)

	g.kernel("combine", "func(dst, x, y *F, n int, a, b float64)", "writes a·x[i] + b·y[i].")
	a, b = g.param("a"), g.param("b")
	g.vectors([]string{"x", "y"}, true, func(v []reg.VecVirtual, _ int) reg.VecVirtual { return combined(v, a, b) })
	VZEROUPPER()
	RET()
}

// quotients emits the kernels that divide vectors.
func (g *gen) quotients() {
	g.kernel("quotients", "func(dst, x *F, n int, d float64)", "writes x[i]/d.")
	d := g.param("d")
	g.vectors([]string{"x"}, true, func(v []reg.VecVirtual, _ int) reg.VecVirtual {
		VDIVPD(d, v[0], v[0])
		return v[0]
	})
	VZEROUPPER()
	RET()

	g.kernel("restQuotients", "func(dst, x, y *F, n int, a, d float64)", "writes (x[i] - a·y[i])/d.")
	a := g.param("a")
	d = g.param("d")
	g.vectors([]string{"x", "y"}, true, func(v []reg.VecVirtual, _ int) reg.VecVirtual {
		VMULPD(a, v[1], v[1])
		VSUBPD(v[1], v[0], v[0])
		VDIVPD(d, v[0], v[0])
		return v[0]
	})
	VZEROUPPER()
	RET()
}

// expBlock is the number of registers whose terms are added in float32.
const expBlock = 4

// expLoops emits a loop over blocks of registers and one over single ones; left is what is left of
// the elements then.
func (g *gen) expLoops(name string, ptrs []reg.GPVirtual, left reg.GPVirtual, body func(ptrs []reg.GPVirtual, registers int)) {
	for _, registers := range []int{expBlock, 1} {
		loop, done := fmt.Sprint(name, registers), fmt.Sprint(name, "done", registers)
		SUBQ(imm(8*registers), left)
		JL(LabelRef(done))
		Label(loop)
		body(ptrs, registers)
		for _, p := range ptrs {
			ADDQ(imm(32*registers), p)
		}
		SUBQ(imm(8*registers), left)
		JGE(LabelRef(loop))
		Label(done)
		ADDQ(imm(8*registers), left)
	}
}

// largest spreads the largest of at least 8 elements over a register; the last ones are read with
// some before them. A NaN may be passed over.
func (g *gen) largest(x, n reg.GPVirtual) reg.VecVirtual {
	var most []reg.VecVirtual
	for range expBlock {
		m := g.vec()
		VMOVUPS(bitsConstant(uint64(math.Float32bits(float32(math.Inf(-1)))), 4), m)
		most = append(most, m)
	}
	VMAXPS(Mem{Base: x, Index: n, Scale: 4, Disp: -32}, most[1], most[1])
	g.expLoops("most", []reg.GPVirtual{copyOf(x)}, copyOf(n), func(ptrs []reg.GPVirtual, registers int) {
		for i := range registers {
			VMAXPS(Mem{Base: ptrs[0], Disp: 32 * i}, most[i], most[i])
		}
	})
	VMAXPS(most[1], most[0], most[0])
	VMAXPS(most[3], most[2], most[2])
	VMAXPS(most[2], most[0], most[0])
	top, half, pair := most[0], XMM(), XMM()
	VEXTRACTF128(U8(1), top, half)
	VMAXPS(half, top.AsX(), half)
	VPERMILPD(U8(1), half, pair)
	VMAXPS(pair, half, half)
	VPERMILPS(U8(1), half, pair)
	VMAXPS(pair, half, half)
	VBROADCASTSS(half, top)
	return top
}

// expTerms emits the exponentials of at least 8 elements less an anchor, or less the largest, which
// is returned then, and their sum. The last elements are computed with some before them and read
// before any is written: dst may be x.
func (g *gen) expTerms(anchored bool) {
	if anchored {
		g.kernel("expLess", "func(dst, x *float32, n int, anchor float32) float64", "writes exp(x[i] - anchor) and returns their sum.")
	} else {
		g.kernel("expTerms", "func(dst, x *float32, n int) (sum float64, largest float32)", "writes exp(x[i] - largest) and returns their sum.")
	}
	dst, x, n := pointer("dst"), pointer("x"), pointer("n")
	l, acc := g.logistic(0), g.lanesOf()
	var top reg.VecVirtual
	if anchored {
		top = g.param("anchor")
	} else {
		top = g.largest(x, n)
		Store(top.AsX(), ReturnIndex(1))
	}
	add := func(v reg.VecVirtual) {
		lo, hi := g.halvesOf(v)
		VADDPD(lo, acc[0], acc[0])
		VADDPD(hi, acc[1], acc[1])
	}
	term := func(x Op) reg.VecVirtual {
		v := g.vec()
		VSUBPS(x, top, v)
		return l.expMinus(v)
	}
	last := g.vec()
	VMOVUPS(Mem{Base: x, Index: n, Scale: 4, Disp: -32}, last)
	g.expLoops("terms", []reg.GPVirtual{x, dst}, n, func(ptrs []reg.GPVirtual, registers int) {
		var sum reg.VecVirtual
		for i := range registers {
			v := term(Mem{Base: ptrs[0], Disp: 32 * i})
			VMOVUPS(v, Mem{Base: ptrs[1], Disp: 32 * i})
			if i == 0 {
				sum = v
			} else {
				VADDPS(v, sum, sum)
			}
		}
		add(sum)
	})
	TESTQ(n, n)
	JZ(LabelRef("done"))
	last = term(last)
	VMOVUPS(last, Mem{Base: dst, Index: n, Scale: 4, Disp: -32})
	masks := GP64()
	LEAQ(table("upper32", 4, 16, func(i int) uint64 {
		if i < 8 {
			return 0
		}
		return math.MaxUint32
	}), masks)
	VANDPS(Mem{Base: masks, Index: n, Scale: 4}, last, last)
	add(last)
	Label("done")
	g.storeSums(acc)
}

// pairs emits the logistic loss of an item's pairs with n others, a multiple of 4: with e the
// product of two exponentials and gap that of two weights,
//
//	after    p = gap·e/(1+e)        before   p = gap/(1+e), and distance sums gap·(x[k] - score)
//
// It adds p to pull, multiplies 1 + e to 1 + products, and to 1 + a product of its own for each of
// four lanes, beside which lanes has the sums of p and the distances.
func (g *gen) pairs(name string, before bool) {
	signature := "func(lanes, u, weights, pull, products *float64, n int, v, weight float64)"
	if before {
		signature = "func(lanes, u, weights, x, pull, products *float64, n int, v, score, weight float64)"
	}
	g.kernel(name, signature, "computes the pairs of an item with others "+map[bool]string{true: "before", false: "behind"}[before]+" it.")
	lanes, u, weights, pull, products, n := pointer("lanes"), pointer("u"), pointer("weights"), pointer("pull"), pointer("products"), pointer("n")
	ptrs := []reg.GPVirtual{u, weights, pull, products}
	v, weight := g.param("v"), g.param("weight")
	own, sum, distance := g.zero(), g.zero(), g.zero()
	var x reg.GPVirtual
	var score reg.VecVirtual
	if before {
		x, score = pointer("x"), g.param("score")
		ptrs = append(ptrs, x)
	}
	one := g.vec()
	VMOVUPD(g.constant(1), one)
	Label("loop")
	e, f, p := g.vec(), g.vec(), g.vec()
	VMULPD(Mem{Base: u}, v, e)
	VADDPD(one, e, f)
	if before {
		d := g.vec()
		VMOVUPD(Mem{Base: weights}, p)
		VSUBPD(weight, p, p)
		VMOVUPD(Mem{Base: x}, d)
		VSUBPD(score, d, d)
		VFMADD231PD(d, p, distance)
	} else {
		VSUBPD(Mem{Base: weights}, weight, p)
		VMULPD(e, p, p)
	}
	VDIVPD(f, p, p)
	VFMADD213PD(e, f, own)
	product := g.vec()
	VMOVUPD(Mem{Base: products}, product)
	VFMADD213PD(e, f, product)
	VMOVUPD(product, Mem{Base: products})
	VADDPD(p, sum, sum)
	VADDPD(Mem{Base: pull}, p, p)
	VMOVUPD(p, Mem{Base: pull})
	for _, ptr := range ptrs {
		ADDQ(U8(32), ptr)
	}
	SUBQ(U8(4), n)
	JNZ(LabelRef("loop"))
	for i, s := range []reg.VecVirtual{own, sum, distance} {
		VMOVUPD(s, Mem{Base: lanes, Disp: 32 * i})
	}
	VZEROUPPER()
	RET()
}

// vectorsAndLists emits the kernels of vectors and lists.
func vectorsAndLists(isa string) {
	if isa != "AVX2" {
		return
	}
	constantBytes = 32
	for _, elem := range []string{"F32", "F64"} {
		g := newGen(isa, elem, "F64")
		g.vectorKernels()
		g.rowLosses()
	}
	g := newGen(isa, "F32", "F32")
	g.expTerms(false)
	g.expTerms(true)
	g.matrixColumns()
	g = newGen(isa, "F64", "F64")
	g.quotients()
	g.rowSums()
	g.pairs("pairsBehind", false)
	g.pairs("pairsBefore", true)
	rowTermsOf(isa)
}
