package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The losses of two rows of numbers that are sums of terms f(x, t), with what the numbers themselves
// add up to. Like the kernels of vectors they exist for AVX2 alone, so that both instruction sets
// have the same bits. One kernel computes both types of elements in float64.

// A rowTerm describes a loss of rows: what it adds up, and the derivatives by x and by t.
type rowTerm struct {
	name, formula, byX, byT string
	scalars                 int  // how many parameters it has
	probabilities           bool // x and t are >= 0; the sum of x is NaN where a sign is set
	parts                   func(r *rowTerms, x, t reg.VecVirtual) (term reg.VecVirtual, slopes [2]slope)
}

// rowTerms is the state of a kernel.
type rowTerms struct {
	*points
	p        []Op             // the parameters in every lane
	products []reg.VecVirtual // the sum of √(x·t), of roots
	factors  reg.GPVirtual    // what the lanes of derivatives are multiplied with; nil: 1
}

var (
	rootTerm       = rowTerm{"rootTerms", "(√x - √t)²", "√(t/x), 0 for x = 0", "√(x/t), 0 for t = 0", 0, false, rootTerms}
	rowTermKernels = []rowTerm{
		{"absoluteTerms", "|x - t|", "sign(x - t)", "sign(t - x)", 0, true, absoluteTerms},
		rootTerm,
		{"squareTerms", "(x - t)²/x", "(t/x)²", "t/x", 0, true, squareTerms},
		{"powerTerms", "t·(x/t)^-p0, 0 where t and p1, or x and p2 are 0", "f/x", "f/t", 3, true, powerTerms},
		{"quotientTerms", "t·log((p0·t + p1)/x)", "(p2·x - t)/x", "log((p0·t + p1)/x) + p2, 0 for t = 0 unless p3 is set", 4, true, quotientTerms},
		{"logTerms", "t·(log t - x)", "t", "log t - x + 1", 0, false, logTerms},
		{"logTargetTerms", "exp(t)·(t - x)", "exp(t)", "exp(t)·(t - x + 1)", 0, false, logTargetTerms},
		{"mixedTerms", "p0·t·log(t/m) + p1·x·log(x/m), m = p0·t + p1·x", "p1·log(x/m)", "p0·log(t/m)", 2, true, mixedTerms},
	}
)

// rowTerm emits a kernel of rows whose elements lie step bytes apart, in as many registers as full
// says and one of rest bytes, if that is not 0. The register behind a row is written to as a whole:
// what lies there is to be written later. Or the lanes of a register are rows: then rest is 0. Each
// row leaves the lanes of its sums, and has 4 factors. Elements are float32 where single is not 0.
func (g *gen) rowTerm(l rowTerm) {
	signature := "func(sums *float64, dst, x, t *byte, params, factors *float64, full, rest, rows, step, next, which, single int)"
	g.textWith(NOSPLIT, l.name, signature, "adds up f = "+l.formula+", x and t; dst is "+l.byX+" for which = 1, "+l.byT+" for 2.")
	sums, dst, x, t := pointer("sums"), pointer("dst"), pointer("x"), pointer("t")
	params, step, which, single := pointer("params"), pointer("step"), pointer("which"), pointer("single")
	r := &rowTerms{points: &points{gen: g}}
	if l.name != rootTerm.name {
		r.factors = pointer("factors")
	}
	for i := range l.scalars {
		r.p = append(r.p, g.place(g.broadcast(Mem{Base: params, Disp: 8 * i})))
	}
	if l.name == "powerTerms" || l.name == "logTargetTerms" {
		r.logistic = g.logistic(0)
	}
	parts := 8 / size(g.comp) // float64 registers that a register of terms makes
	acc := make([][]reg.VecVirtual, 3, 4)
	if l.name == rootTerm.name {
		acc = acc[:4]
	}
	for i := range acc {
		for range parts {
			acc[i] = append(acc[i], g.vec())
		}
	}
	r.products = acc[len(acc)-1]
	var signs Op // of all numbers: in memory where the terms need all registers
	switch {
	case l.name == "absoluteTerms" || l.name == "squareTerms":
		signs = g.vec()
	case l.probabilities:
		signs = AllocLocal(32)
	}
	at, left, count, mask := GP64(), GP64(), GP64(), GP64()

	Label("row")
	for _, a := range acc {
		for _, v := range a {
			VXORPS(v, v, v)
		}
	}
	if l.probabilities {
		VMOVUPS(acc[0][0], signs)
	}
	XORL(at.As32(), at.As32())
	Load(Param("full"), count)
	Load(Param("rest"), left)
	LEAQ(elementMasks().Offset(32), mask)
	TESTQ(count, count)
	JZ(LabelRef("tail"))
	Label("loop")
	vx, vt := g.vec(), g.vec()
	both(g, single, "loaded", func(e *gen) {
		e.masked(mask, at, []reg.GPVirtual{x, t}, []reg.VecVirtual{vx, vt})
	})
	for i, v := range []reg.VecVirtual{vx, vt} {
		g.accumulate(v, acc[1+i])
	}
	if l.probabilities {
		v := g.vec()
		VORPS(vx, vt, v)
		if kept, ok := signs.(reg.VecVirtual); ok {
			VORPS(v, kept, kept)
		} else {
			VORPS(signs, v, v)
			VMOVUPS(v, signs)
		}
	}
	term, slopes := l.parts(r, vx, vt)
	g.accumulate(term, acc[0])
	CMPQ(which, U8(1))
	JL(LabelRef("next"))
	d := g.vec()
	scaled := func(v reg.VecVirtual) {
		if r.factors == nil {
			VMOVUPS(v, d)
			return
		}
		VMULPD(Mem{Base: r.factors}, v, d)
	}
	JG(LabelRef("second"))
	scaled(slopes[0]())
	JMP(LabelRef("store"))
	Label("second")
	scaled(slopes[1]())
	Label("store")
	both(g, single, "stored", func(e *gen) { e.putAt(d, Mem{Base: dst, Index: at, Scale: 1}) })
	Label("next")
	ADDQ(step, at)
	DECQ(count)
	JNZ(LabelRef("loop"))
	Label("tail")
	TESTQ(left, left)
	JZ(LabelRef("done"))
	LEAQ(elementMasks().Offset(64), mask)
	SUBQ(left, mask)
	XORL(left.As32(), left.As32())
	MOVQ(U32(1), count)
	JMP(LabelRef("loop"))

	Label("done")
	if l.probabilities {
		nan, v := g.vec(), g.vec()
		g.set(g.constant(math.NaN()), nan)
		VMOVUPS(signs, v)
		VBLENDVPD(v, nan, acc[1][0], acc[1][0])
	}
	for i, a := range acc {
		for h, v := range a {
			VMOVUPS(v, Mem{Base: sums, Disp: 32 * (i*parts + h)})
		}
	}
	ADDQ(imm(32*parts*len(acc)), sums)
	if r.factors != nil {
		ADDQ(U8(32), r.factors)
	}
	next := GP64()
	Load(Param("next"), next)
	for _, p := range []reg.GPVirtual{x, t, dst} {
		ADDQ(next, p)
	}
	rows, err := Param("rows").Resolve()
	if err != nil {
		panic(err)
	}
	DECQ(rows.Addr)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// both emits code for float64 elements and, where single is not 0, for float32 ones. A kernel that
// computes in float32 is for these alone.
func both(g *gen, single reg.Register, name string, code func(e *gen)) {
	if g.comp == "F32" {
		code(g)
		return
	}
	TESTQ(single, single)
	JNZ(LabelRef(name + "32"))
	code(newGen(g.isa, "F64", "F64"))
	JMP(LabelRef(name))
	Label(name + "32")
	code(newGen(g.isa, "F32", "F64"))
	Label(name)
}

// elementMasks is 64 bytes with all bits set and 64 of 0.
func elementMasks() Mem {
	return table("elements", 8, 16, func(i int) uint64 {
		if i < 8 {
			return math.MaxUint64
		}
		return 0
	})
}

// masked loads the elements of registers that a mask in memory has, and 0 for the others.
func (g *gen) masked(mask, at reg.GPVirtual, ptrs []reg.GPVirtual, vs []reg.VecVirtual) {
	m := g.narrowed()
	VMOVUPS(Mem{Base: mask}, m)
	for i, v := range vs {
		n := v
		if g.wide() {
			n = v.AsX().(reg.VecVirtual)
		}
		VMASKMOVPS(Mem{Base: ptrs[i], Index: at, Scale: 1}, m, n)
		if g.wide() {
			VCVTPS2PD(n, v)
		}
	}
}

// accumulate adds the numbers of a register to float64 sums.
func (g *gen) accumulate(v reg.VecVirtual, acc []reg.VecVirtual) {
	if g.comp == "F64" {
		VADDPD(v, acc[0], acc[0])
		return
	}
	low, high := g.halvesOf(v)
	VADDPD(low, acc[0], acc[0])
	VADDPD(high, acc[1], acc[1])
}

// putAt stores a register of elements.
func (g *gen) putAt(v reg.VecVirtual, to Mem) {
	if g.wide() {
		n := g.narrow()
		g.narrowTo(v, n)
		v = n
	}
	VMOVUPS(v, to)
}

// foldOne returns the sum of the lanes of a float64 register in lane 0.
func (g *gen) foldOne(v reg.VecVirtual) reg.VecVirtual {
	high, x := XMM(), v.AsX().(reg.VecVirtual)
	VEXTRACTF128(Imm(1), v, high)
	VADDPD(high, x, x)
	VPERMILPD(Imm(1), x, high)
	VADDSD(high, x, x)
	return x
}

// lastElements loads the mask of so many bytes of elements.
func (g *gen) lastElements(bytes reg.GPVirtual, mask reg.VecVirtual) {
	at := GP64()
	LEAQ(elementMasks().Offset(64), at)
	SUBQ(bytes, at)
	VMOVUPS(Mem{Base: at}, mask)
}

// narrowed returns a register for the elements of memory that vec has lanes for.
func (g *gen) narrowed() reg.VecVirtual {
	if g.wide() {
		return g.narrow()
	}
	return g.vec()
}

// scaleRows emits the multiplication of rows that lie one after another by a number each.
func (g *gen) scaleRows() {
	g.kernel("scaleRows", "func(x, factors *F, full, rest, rows int)", "multiplies each row by its factor.")
	x, factors, rows := pointer("x"), pointer("factors"), pointer("rows")
	full, rest := pointer("full"), pointer("rest")
	Label("row")
	v, y, count := g.broadcast(Mem{Base: factors}), g.vec(), GP64()
	ADDQ(U8(size(g.elem)), factors)
	MOVQ(full, count)
	TESTQ(count, count)
	JZ(LabelRef("tail"))
	Label("loop")
	g.mul(Mem{Base: x}, v, y)
	VMOVUPS(y, Mem{Base: x})
	ADDQ(U8(32), x)
	DECQ(count)
	JNZ(LabelRef("loop"))
	Label("tail")
	for piece := 16; piece >= size(g.elem); piece /= 2 {
		skip := newLabel("piece")
		TESTQ(U32(uint32(piece)), rest)
		JZ(LabelRef(skip))
		y := y.AsX()
		switch piece {
		case 16:
			g.mul(Mem{Base: x}, v.AsX(), y)
			VMOVUPS(y, Mem{Base: x})
		case 8:
			VMOVSD(Mem{Base: x}, y)
			g.mul(v.AsX(), y, y)
			VMOVSD(y, Mem{Base: x})
		case 4:
			VMOVSS(Mem{Base: x}, y)
			g.mul(v.AsX(), y, y)
			VMOVSS(y, Mem{Base: x})
		}
		ADDQ(U8(piece), x)
		Label(skip)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// rowTotals emits the float64 sums of rows that lie one after another.
func (g *gen) rowTotals() {
	g.kernel("rowTotals", "func(sums *float64, x *F, full, rest, rows int)", "writes the sum of each row.")
	sums, x, rows := pointer("sums"), pointer("x"), pointer("rows")
	full, rest := pointer("full"), pointer("rest")
	part := g.narrowed()
	g.lastElements(rest, part)
	Label("row")
	acc, count := g.zero(), GP64()
	MOVQ(full, count)
	TESTQ(count, count)
	JZ(LabelRef("tail"))
	Label("loop")
	v := g.load(x, 0)
	VADDPD(v, acc, acc)
	ADDQ(U8(g.lanes()*size(g.elem)), x)
	DECQ(count)
	JNZ(LabelRef("loop"))
	Label("tail")
	TESTQ(rest, rest)
	JZ(LabelRef("next"))
	n := g.narrowed()
	VMASKMOVPS(Mem{Base: x}, part, n)
	if g.wide() {
		v = g.vec()
		VCVTPS2PD(n, v)
	} else {
		v = n
	}
	VADDPD(v, acc, acc)
	ADDQ(rest, x)
	Label("next")
	VMOVSD(g.foldOne(acc), Mem{Base: sums})
	ADDQ(U8(8), sums)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// rowLanes emits the addition of the lanes of up to four sums of each row, of bytes/8 ones, which
// are two registers each where twice is not 0.
func (g *gen) rowLanes() {
	g.kernel("rowLanes", "func(sums, lanes *float64, bytes, twice, rows int)", "adds up the lanes of the sums of each row.")
	sums, lanes, bytes := pointer("sums"), pointer("lanes"), pointer("bytes")
	twice, rows := pointer("twice"), pointer("rows")
	kept, next := g.vec(), GP64()
	g.lastElements(bytes, kept)
	LEAQ(Mem{Base: bytes, Index: bytes, Scale: 1}, next)
	ADDQ(next, next)
	Label("row")
	var v [4]reg.VecVirtual
	for i := range v {
		v[i] = g.vec()
	}
	TESTQ(twice, twice)
	JNZ(LabelRef("twice"))
	for i := range v {
		VMOVUPS(Mem{Base: lanes, Disp: 32 * i}, v[i])
	}
	JMP(LabelRef("add"))
	Label("twice")
	for i := range v {
		VMOVUPS(Mem{Base: lanes, Disp: 64 * i}, v[i])
		VADDPD(Mem{Base: lanes, Disp: 64*i + 32}, v[i], v[i])
	}
	ADDQ(next, lanes)
	Label("add")
	for i := range 2 {
		high := g.vec()
		VPERM2F128(U8(0x31), v[i+2], v[i], high)
		VPERM2F128(U8(0x20), v[i+2], v[i], v[i])
		VADDPD(high, v[i], v[i])
	}
	VHADDPD(v[1], v[0], v[0])
	VANDPD(kept, v[0], v[0])
	VMOVUPS(v[0], Mem{Base: sums})
	ADDQ(next, lanes)
	ADDQ(U8(32), sums)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// rowTermsOf emits the kernels of rows.
func rowTermsOf(isa string) {
	for _, l := range rowTermKernels {
		newGen(isa, "F64", "F64").rowTerm(l)
	}
	newGen(isa, "F32", "F32").rowTerm(rootTerm)
	newGen(isa, "F64", "F64").rowLanes()
	for _, elem := range []string{"F32", "F64"} {
		newGen(isa, elem, elem).scaleRows()
		newGen(isa, elem, "F64").rowTotals()
	}
}
