package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// blockRows is the number of rows that are transposed together, as many as a register has elements.
func (g *gen) blockRows() int { return 32 / size(g.elem) }

// rowsAt are the addresses of a block's rows.
type rowsAt struct {
	base           [2]reg.GPVirtual // the first and, where there are 8, the fifth
	stride, triple reg.GPVirtual
}

func (g *gen) rowsAt(p, stride reg.GPVirtual) *rowsAt {
	r := &rowsAt{stride: stride, triple: GP64()}
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r.triple)
	r.base = [2]reg.GPVirtual{GP64(), GP64()}
	MOVQ(p, r.base[0])
	LEAQ(Mem{Base: p, Index: stride, Scale: 4}, r.base[1])
	return r
}

func (r *rowsAt) at(i int) Mem {
	m := Mem{Base: r.base[i/4]}
	switch i % 4 {
	case 1:
		m.Index, m.Scale = r.stride, 1
	case 2:
		m.Index, m.Scale = r.stride, 2
	case 3:
		m.Index, m.Scale = r.triple, 1
	}
	return m
}

func (r *rowsAt) advance(bytes Op) {
	ADDQ(bytes, r.base[0])
	ADDQ(bytes, r.base[1])
}

// transposed returns the transpose of 4 columns of a block, register i being column i: register k
// of the result has row k, and in its upper half row 4+k of float32 elements. It is its own
// inverse.
func (g *gen) transposed(v [4]reg.VecVirtual) (o [4]reg.VecVirtual) {
	var t [4]reg.VecVirtual
	for i := range 4 {
		t[i], o[i] = YMM(), YMM()
	}
	if g.elem == "F32" {
		VUNPCKLPS(v[1], v[0], t[0])
		VUNPCKLPS(v[3], v[2], t[1])
		VUNPCKHPS(v[1], v[0], t[2])
		VUNPCKHPS(v[3], v[2], t[3])
		VUNPCKLPD(t[1], t[0], o[0])
		VUNPCKHPD(t[1], t[0], o[1])
		VUNPCKLPD(t[3], t[2], o[2])
		VUNPCKHPD(t[3], t[2], o[3])
		return o
	}
	VUNPCKLPD(v[1], v[0], t[0])
	VUNPCKHPD(v[1], v[0], t[1])
	VUNPCKLPD(v[3], v[2], t[2])
	VUNPCKHPD(v[3], v[2], t[3])
	VPERM2F128(Imm(0x20), t[2], t[0], o[0])
	VPERM2F128(Imm(0x20), t[3], t[1], o[1])
	VPERM2F128(Imm(0x31), t[2], t[0], o[2])
	VPERM2F128(Imm(0x31), t[3], t[1], o[3])
	return o
}

// columns emits a loop over the columns of 16 rows, 4 at a time, the last of them overlapping: body
// is to do a block at at and column. Fewer than 4 columns are taken for 4.
func (g *gen) columns(rows, group string, body func(r *rowsAt, column reg.GPVirtual)) {
	p, column, stride, n := pointer(rows), pointer(group), pointer("stride"), GP64()
	shift := 1 + size(g.elem)/4
	SHLQ(U8(uint8(shift)), stride)
	blocks := GP64()
	MOVQ(U32(uint32(16/g.blockRows())), blocks)
	Label("block")
	r, c := g.rowsAt(p, stride), GP64()
	MOVQ(column, c)
	Load(Param("classes"), n)
	g.fetchNext(p, stride)
	Label("columns")
	body(r, c)
	SUBQ(U32(4), n)
	JLE(LabelRef("next"))
	step, four := GP64(), GP64()
	MOVQ(U32(4), four)
	MOVQ(n, step)
	CMPQ(n, four)
	CMOVQGT(four, step)
	CMOVQLT(four, n)
	SHLQ(U8(uint8(shift)), step)
	r.advance(step)
	SHLQ(U8(4), step)
	ADDQ(step, c)
	JMP(LabelRef("columns"))
	Label("next")
	LEAQ(Mem{Base: p, Index: stride, Scale: 4}, p)
	if g.blockRows() == 8 {
		LEAQ(Mem{Base: p, Index: stride, Scale: 4}, p)
	}
	ADDQ(U32(32), column)
	DECQ(blocks)
	JNZ(LabelRef("block"))
}

// fetchNext fetches the rows that lie where a block of the next group does.
func (g *gen) fetchNext(p, stride reg.GPVirtual) {
	at, end := GP64(), GP64()
	MOVQ(stride, at)
	SHLQ(U8(4), at)
	ADDQ(p, at)
	LEAQ(Mem{Base: at, Index: stride, Scale: uint8(g.blockRows())}, end)
	loop := newLabel("prefetch")
	Label(loop)
	PREFETCHT0(Mem{Base: at})
	ADDQ(U8(64), at)
	CMPQ(at, end)
	JB(LabelRef(loop))
}

// pack emits dst[16c + i] = x[i·stride + c] for 16 rows. Of fewer than 4 classes it reads 4.
func (g *gen) pack() {
	g.kernel("pack", "func(dst, x *F, stride, classes int)", "makes a group of rows that lie one after another.")
	g.columns("x", "dst", func(r *rowsAt, column reg.GPVirtual) {
		var v [4]reg.VecVirtual
		for k := range 4 {
			y := YMM()
			if g.elem == "F32" {
				VMOVUPS(r.at(k), y.AsX())
				VINSERTF128(Imm(1), r.at(4+k), y, y)
			} else {
				VMOVUPD(r.at(k), y)
			}
			v[k] = y
		}
		for i, o := range g.transposed(v) {
			VMOVUPS(o, Mem{Base: column, Disp: 16 * size(g.elem) * i})
		}
	})
	VZEROUPPER()
	RET()
}

// unpack emits dst[i·stride + c] = x[16c + i]. Of fewer than 4 classes it writes 4, in order, so
// that the next row's follow; the last row is written with room for that.
func (g *gen) unpack() {
	g.kernel("unpack", "func(dst, x *F, stride, classes int)", "writes a group to rows that lie one after another.")
	load := func(column reg.GPVirtual) (v [4]reg.VecVirtual) {
		for i := range 4 {
			v[i] = YMM()
			VMOVUPS(Mem{Base: column, Disp: 16 * size(g.elem) * i}, v[i])
		}
		return g.transposed(v)
	}
	g.columns("dst", "x", func(r *rowsAt, column reg.GPVirtual) {
		o := load(column)
		for k := range 4 {
			if g.elem == "F32" {
				VMOVUPS(o[k].AsX(), r.at(k))
			} else {
				VMOVUPD(o[k], r.at(k))
			}
		}
		for k := 0; k < 4 && g.elem == "F32"; k++ {
			VEXTRACTF128(Imm(1), o[k], r.at(4+k))
		}
	})
	VZEROUPPER()
	RET()
}

// lane is the memory of number i of an array of float64 numbers.
func lane(p reg.Register, i int) Mem { return Mem{Base: p, Disp: 8 * i} }

// laneDot emits sum[i] = Σ v[c]·x[16c + i].
func (g *gen) laneDot() {
	g.kernel("laneDot", "func(sum *float64, x *F, v *float64, classes int)", "sums each row, weighed by v.")
	x, v, n := pointer("x"), pointer("v"), pointer("classes")
	acc := []reg.VecVirtual{g.zero(), g.zero(), g.zero(), g.zero()}
	w := g.vec()
	Label("loop")
	VBROADCASTSD(Mem{Base: v}, w)
	for h := range acc {
		VFMADD231PD(g.load(x, 4*h), w, acc[h])
	}
	ADDQ(U32(uint32(16*size(g.elem))), x)
	ADDQ(U32(8), v)
	DECQ(n)
	JNZ(LabelRef("loop"))
	sum := pointer("sum")
	for h, a := range acc {
		VMOVUPD(a, lane(sum, 4*h))
	}
	VZEROUPPER()
	RET()
}

// stepped is a pointer to elements of so many bytes.
type stepped struct {
	reg.GPVirtual
	bytes int
}

// forSixteens emits a loop over n elements, 16 at a time: body(true) for those that are left.
func (g *gen) forSixteens(n reg.Register, ps []stepped, body func(tail bool)) {
	labels++
	loop, rest, done := fmt.Sprintf("sixteen%d", labels), fmt.Sprintf("rest%d", labels), fmt.Sprintf("end%d", labels)
	SUBQ(U32(16), n)
	JL(LabelRef(rest))
	Label(loop)
	body(false)
	for _, p := range ps {
		ADDQ(U32(uint32(16*p.bytes)), p)
	}
	SUBQ(U32(16), n)
	JGE(LabelRef(loop))
	Label(rest)
	ADDQ(U32(16), n)
	JZ(LabelRef(done))
	body(true)
	Label(done)
}

// some loads the register of elements from index i on, with 0 for those that do not lie below n in
// a tail.
func (g *gen) some(p, n reg.Register, i int, tail bool) reg.VecVirtual {
	if tail {
		return g.loadTail(p, n, i, 0)
	}
	return g.load(p, i)
}

// foldAll adds up 4 registers.
func (g *gen) foldAll(v []reg.VecVirtual) reg.VecVirtual {
	VADDPD(v[2], v[0], v[0])
	VADDPD(v[3], v[1], v[1])
	return g.fold(v[:2], "F64", func(a, dst Op) { VADDPD(a, dst, dst) })
}

// targetSums are the sums over a target: Σ a, Σ a·z and the signs of t, with a = k·t + b. Where a =
// 0, z adds nothing.
type targetSums struct{ mass, gap, signs reg.VecVirtual }

func (g *gen) addTarget(s *targetSums, t, z reg.VecVirtual, k, b Op) {
	VORPD(t, s.signs, s.signs)
	a := g.vec()
	VMOVUPD(b, a)
	VFMADD231PD(k, t, a)
	VADDPD(a, s.mass, s.mass)
	m := g.vec()
	const notEqual = 4
	VCMPPD(Imm(notEqual), g.constant(0), a, m)
	VANDPD(m, z, z)
	VFMADD231PD(z, a, s.gap)
}

// targetLogits returns the suffix of a kernel's name, the type of its logits and their generator.
func (g *gen) targetLogits(capped bool) (suffix, elem string, z *gen) {
	if capped {
		return "Capped", "float64", newGen("AVX2", "F64", "F64")
	}
	return "", "F", g
}

// laneTarget emits the sums of a target for each row of a group.
func (g *gen) laneTarget(capped bool) {
	suffix, elem, zs := g.targetLogits(capped)
	g.kernel("laneTarget"+suffix, "func(st *float64, t *F, z *"+elem+", k, b *float64, classes int)", "sums targets a = k·t + b, a·z and signs.")
	st, t, z := pointer("st"), pointer("t"), pointer("z")
	halves, n, tp, zp, k, b := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(U32(2), halves)
	Label("half")
	sums := []*targetSums{{g.zero(), g.zero(), g.zero()}, {g.zero(), g.zero(), g.zero()}}
	MOVQ(t, tp)
	MOVQ(z, zp)
	Load(Param("k"), k)
	Load(Param("b"), b)
	Load(Param("classes"), n)
	Label("loop")
	kc, bc := g.number(Mem{Base: k}), g.number(Mem{Base: b})
	for i, s := range sums {
		g.addTarget(s, g.load(tp, 4*i), zs.load(zp, 4*i), kc, bc)
	}
	ADDQ(U32(uint32(16*size(g.elem))), tp)
	ADDQ(U32(uint32(16*size(zs.elem))), zp)
	ADDQ(U32(8), k)
	ADDQ(U32(8), b)
	DECQ(n)
	JNZ(LabelRef("loop"))
	for i, s := range sums {
		VMOVUPD(s.mass, Mem{Base: st, Disp: statMass + 32*i})
		VMOVUPD(s.gap, Mem{Base: st, Disp: statGap + 32*i})
		VMOVUPD(s.signs, Mem{Base: st, Disp: statSigns + 32*i})
	}
	ADDQ(U32(64), st)
	ADDQ(U32(uint32(8*size(g.elem))), t)
	ADDQ(U32(uint32(8*size(zs.elem))), z)
	DECQ(halves)
	JNZ(LabelRef("half"))
	VZEROUPPER()
	RET()
}

// rowTarget emits the sums of a target for one row. k and b have zeros behind their ends, up to a
// multiple of 16.
func (g *gen) rowTarget(capped bool) {
	suffix, elem, zs := g.targetLogits(capped)
	g.kernel("rowTarget"+suffix, "func(t *F, z *"+elem+", k, b *float64, n int) (mass, gap, signs float64)",
		"sums targets a = k·t + b, a·z and signs.")
	t, z, k, b, n := pointer("t"), pointer("z"), pointer("k"), pointer("b"), pointer("n")
	s := []*targetSums{{g.zero(), g.zero(), g.zero()}, {g.zero(), g.zero(), g.zero()}}
	g.forSixteens(n, []stepped{{t, size(g.elem)}, {z, size(zs.elem)}, {k, 8}, {b, 8}}, func(tail bool) {
		for h := range 4 {
			g.addTarget(s[h%2], g.some(t, n, 4*h, tail), zs.some(z, n, 4*h, tail), lane(k, 4*h), lane(b, 4*h))
		}
	})
	sum := func(a, dst Op) { VADDPD(a, dst, dst) }
	Store(g.fold([]reg.VecVirtual{s[0].mass, s[1].mass}, "F64", sum), ReturnIndex(0))
	Store(g.fold([]reg.VecVirtual{s[0].gap, s[1].gap}, "F64", sum), ReturnIndex(1))
	Store(g.fold([]reg.VecVirtual{s[0].signs, s[1].signs}, "F64", func(a, dst Op) { VORPD(a, dst, dst) }), ReturnIndex(2))
	VZEROUPPER()
	RET()
}

// gaps emits dst[i] = e[i]·(a·x[i] - b·y[i]). n is rounded up to a multiple of 16 in what is written.
func (g *gen) gaps() {
	g.kernel("gaps", "func(dst, e *float64, x, y *F, n int, a, b float64)", "writes e·(a·x - b·y).")
	dst, e, x, y, n := pointer("dst"), pointer("e"), pointer("x"), pointer("y"), pointer("n")
	a, b := g.number(param("a")), g.number(param("b"))
	g.forSixteens(n, []stepped{{dst, 8}, {e, 8}, {x, size(g.elem)}, {y, size(g.elem)}}, func(tail bool) {
		for h := range 4 {
			d, s := g.some(x, n, 4*h, tail), g.some(y, n, 4*h, tail)
			VMULPD(b, s, s)
			VFMSUB213PD(s, a, d)
			VMULPD(lane(e, 4*h), d, d)
			VMOVUPD(d, lane(dst, 4*h))
		}
	})
	VZEROUPPER()
	RET()
}

// laneEntropy emits sum[i] = Σ t·log t of each row of a group, for t >= 0.
func (g *gen) laneEntropy() {
	g.kernel("laneEntropy", "func(sum *float64, t *F, classes int)", "sums t·log t of each row.")
	sum, t := pointer("sum"), pointer("t")
	c := g.logConsts()
	halves, n, tp := GP64(), GP64(), GP64()
	MOVQ(U32(2), halves)
	Label("half")
	acc := []reg.VecVirtual{g.zero(), g.zero()}
	MOVQ(t, tp)
	Load(Param("classes"), n)
	Label("loop")
	logs := g.logs([]reg.VecVirtual{g.load(tp, 0), g.load(tp, 4)}, c)
	for h, l := range logs {
		VFMADD231PD(g.load(tp, 4*h), l, acc[h])
	}
	ADDQ(U32(uint32(16*size(g.elem))), tp)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VMOVUPD(acc[0], lane(sum, 0))
	VMOVUPD(acc[1], lane(sum, 4))
	ADDQ(U32(64), sum)
	ADDQ(U32(uint32(8*size(g.elem))), t)
	DECQ(halves)
	JNZ(LabelRef("half"))
	VZEROUPPER()
	RET()
}

// takeOwn moves the exponential of a row's label to own[i], 0 in its place. In a group e begins
// with class from and has classes of them; for a row both are nil, and own[i] is 0 where there is
// no label.
func takeOwn(st, e, i, from, classes reg.GPVirtual) {
	labels++
	done := fmt.Sprintf("own%d", labels)
	y, zero, own := GP64(), GP64(), GP64()
	XORQ(zero, zero)
	MOVQ(Mem{Base: st, Index: i, Scale: 8, Disp: statLabel}, y)
	if from == nil {
		MOVQ(zero, Mem{Base: st, Index: i, Scale: 8, Disp: statOwn})
		TESTQ(y, y)
		JL(LabelRef(done))
	} else {
		SUBQ(from, y)
		CMPQ(y, classes)
		JCC(LabelRef(done)) // below from, too
		SHLQ(U8(4), y)
		ADDQ(i, y)
	}
	MOVQ(Mem{Base: e, Index: y, Scale: 8}, own)
	MOVQ(zero, Mem{Base: e, Index: y, Scale: 8})
	MOVQ(own, Mem{Base: st, Index: i, Scale: 8, Disp: statOwn})
	Label(done)
}

// laneSum sets own[i] to the exponential of row i's label, if it is one of the classes, and adds
// the others to others[i]. A from below 0 stands for rows without labels.
func (g *gen) laneSum() {
	TEXT("laneSumAVX2", NOSPLIT, "func(st, e *float64, from, classes int)")
	Pragma("noescape")
	Doc("laneSumAVX2 adds up classes of each row of a group, apart from the label's exponential, which becomes 0.")
	st, e, n, i, from := pointer("st"), pointer("e"), pointer("classes"), GP64(), pointer("from")
	XORQ(i, i)
	TESTQ(from, from)
	JL(LabelRef("sum"))
	Label("label")
	takeOwn(st, e, i, from, n)
	INCQ(i)
	CMPQ(i, U32(16))
	JL(LabelRef("label"))
	Label("sum")
	acc := make([]reg.VecVirtual, 4)
	for h := range acc {
		acc[h] = g.vec()
		VMOVUPD(Mem{Base: st, Disp: statOthers + 32*h}, acc[h])
	}
	Label("loop")
	for h, a := range acc {
		VADDPD(lane(e, 4*h), a, a)
	}
	ADDQ(U32(128), e)
	DECQ(n)
	JNZ(LabelRef("loop"))
	for h, a := range acc {
		VMOVUPD(a, Mem{Base: st, Disp: statOthers + 32*h})
	}
	VZEROUPPER()
	RET()
}
