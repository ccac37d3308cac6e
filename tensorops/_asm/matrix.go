package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// matrixKernels emits the kernels of package mat. Each number of a product is summed in the same
// order by every one of them that can compute it: that makes the results of the instruction sets
// equal to the bit.
func matrixKernels(isa string) {
	for _, elem := range []string{"F32", "F64"} {
		g := newGen(isa, elem, elem)
		for vectors := 1; vectors <= 2; vectors++ {
			for rows := 1; rows <= g.tileRows(); rows++ {
				g.tile(rows, vectors)
			}
		}
		for cols := 1; cols <= g.dotCols(); cols++ {
			for _, rows := range []int{1, g.dotRows(cols)} {
				g.dotTile(rows, cols)
			}
		}
		for _, rows := range []int{1, 8} {
			g.addRows(rows)
		}
		g.packA()
		g.packB()
	}
}

// transpositions emits what both instruction sets use.
func transpositions() {
	newGen("AVX2", "F32", "F32").transpose8()
	newGen("AVX2", "F64", "F64").transpose4()
}

// tileRows is the largest height of a tile: the sums of one, and an instruction's other operands,
// fill the registers.
func (g *gen) tileRows() int {
	if g.is512() {
		return 12
	}
	return 6
}

// strided returns the memory of rows 0 to n-1, stride bytes apart, beginning at base.
func strided(base, stride reg.Register, n int) []Mem {
	var at []Mem
	for i := range n {
		if i%3 == 0 && i > 0 {
			next := GP64()
			LEAQ(Mem{Base: base, Index: stride, Scale: 2}, next)
			ADDQ(stride, next)
			base = next
		}
		switch i % 3 {
		case 0:
			at = append(at, Mem{Base: base})
		default:
			at = append(at, Mem{Base: base, Index: stride, Scale: uint8(i % 3)})
		}
	}
	return at
}

// tile emits the products of rows × k numbers of a and one panel after another of b, k × vectors
// registers. Every sum is kept in a lane of a register and takes its terms one after another.
func (g *gen) tile(rows, vectors int) {
	g.text(fmt.Sprintf("tile%dx%d", rows, vectors),
		"func(panels, k int, a *F, rs, cs int, b *F, bs, next int, c *F, ldc int, d *F, ldd int, alpha F)",
		fmt.Sprintf("writes c = alpha·a·b + d for %d rows and so many panels of %d registers of columns; d may be nil. "+
			"The strides are in bytes, next that from the end of a panel to the beginning of the next.", rows, vectors))
	panels, b := Load(Param("panels"), GP64()), Load(Param("b"), GP64())
	c, d := Load(Param("c"), GP64()), Load(Param("d"), GP64())
	cs, bs := Load(Param("cs"), GP64()), Load(Param("bs"), GP64())
	Label("panel")
	at := strided(Load(Param("a"), GP64()), Load(Param("rs"), GP64()), rows)
	g.prefetchRows(c, rows, vectors)
	k := Load(Param("k"), GP64())
	sums := make([][]reg.VecVirtual, rows)
	for i := range sums {
		for range vectors {
			sums[i] = append(sums[i], g.zero())
		}
	}
	TESTQ(k, k)
	JZ(LabelRef("summed"))
	Label("loop")
	row := make([]reg.VecVirtual, vectors)
	for v := range row {
		row[v] = g.vec()
		g.set(Mem{Base: b, Disp: v * g.vecBytes()}, row[v])
	}
	spread := []reg.VecVirtual{g.vec(), g.vec()}
	for i := range rows {
		x := spread[i%2]
		f(g, VBROADCASTSS, VBROADCASTSD)(at[i], x)
		for v := range row {
			g.fma231(row[v], x, sums[i][v])
		}
	}
	for i := 0; i < rows; i += 3 {
		ADDQ(cs, at[i].Base)
	}
	ADDQ(bs, b)
	DECQ(k)
	JNZ(LabelRef("loop"))
	Label("summed")
	alpha := g.param("alpha")
	ldc := Load(Param("ldc"), GP64())
	to := GP64()
	MOVQ(c, to)
	TESTQ(d, d)
	JZ(LabelRef("bare"))
	ldd, from := Load(Param("ldd"), GP64()), GP64()
	MOVQ(d, from)
	for i := range sums {
		for v, sum := range sums[i] {
			x := g.vec()
			g.set(Mem{Base: from, Disp: v * g.vecBytes()}, x)
			g.fma231(alpha, sum, x)
			g.set(x, Mem{Base: to, Disp: v * g.vecBytes()})
		}
		if i < rows-1 {
			ADDQ(ldc, to)
			ADDQ(ldd, from)
		}
	}
	ADDQ(U32(uint32(vectors*g.vecBytes())), d)
	JMP(LabelRef("written"))
	Label("bare")
	for i := range sums {
		for v, sum := range sums[i] {
			g.mul(alpha, sum, sum)
			g.set(sum, Mem{Base: to, Disp: v * g.vecBytes()})
		}
		if i < rows-1 {
			ADDQ(ldc, to)
		}
	}
	Label("written")
	ADDQ(U32(uint32(vectors*g.vecBytes())), c)
	ADDQ(Load(Param("next"), GP64()), b)
	DECQ(panels)
	JNZ(LabelRef("panel"))
	VZEROUPPER()
	RET()
}

// prefetchRows fetches the rows of c, which are needed at the end.
func (g *gen) prefetchRows(c reg.Register, rows, vectors int) {
	at, ldc := GP64(), Load(Param("ldc"), GP64())
	MOVQ(c, at)
	for i := range rows {
		for line := 0; line < vectors*g.vecBytes(); line += 64 {
			PREFETCHT0(Mem{Base: at, Disp: line})
		}
		if i < rows-1 {
			ADDQ(ldc, at)
		}
	}
}

// packB emits the copy of a matrix to panels of two registers' width, packA that to panels of a
// tile's height.
func (g *gen) packB() {
	g.packMatrix("packB", 2*g.vecBytes(), []int{g.vecBytes(), g.vecBytes()})
}

func (g *gen) packA() {
	width := g.tileRows() * size(g.elem)
	registers := []int{g.vecBytes()} // they may reach beyond the panel
	if width > g.vecBytes() {
		registers = append(registers, g.vecBytes()/2)
	}
	g.packMatrix("packA", width, registers)
}

// pack emits a copy to panels that are so many bytes wide, with registers of these sizes. What they
// write beyond the end of a row is overwritten by the next.
func (g *gen) packMatrix(name string, width int, registers []int) {
	g.text(name, "func(rows, panels int, dst *F, ds int, src *F, ld int)",
		fmt.Sprintf("copies so many rows, ld bytes apart, to panels of %d bytes that are ds bytes apart and hold "+
			"their rows one after another.", width))
	rows, panels := Load(Param("rows"), GP64()), Load(Param("panels"), GP64())
	dst, ds := Load(Param("dst"), GP64()), Load(Param("ds"), GP64())
	src, ld := Load(Param("src"), GP64()), Load(Param("ld"), GP64())
	from, to, left := GP64(), GP64(), GP64()
	Label("row")
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(panels, left)
	Label("panel")
	disp := 0
	for _, bytes := range registers {
		x := map[int]reg.VecVirtual{64: ZMM(), 32: YMM(), 16: XMM()}[bytes]
		VMOVUPS(Mem{Base: from, Disp: disp}, x)
		VMOVUPS(x, Mem{Base: to, Disp: disp})
		disp += bytes
	}
	ADDQ(U32(uint32(width)), from)
	ADDQ(ds, to)
	DECQ(left)
	JNZ(LabelRef("panel"))
	ADDQ(ld, src)
	ADDQ(U32(uint32(width)), dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// addRows emits y += Σ x[i]·(row i of a), the terms one after another.
func (g *gen) addRows(rows int) {
	g.text(fmt.Sprintf("addRows%d", rows), "func(n int, y, x *F, xs int, a *F, lda int)",
		fmt.Sprintf("adds %d rows of a to y, each times a number of x. The strides are in bytes.", rows))
	n, y := Load(Param("n"), GP64()), Load(Param("y"), GP64())
	x, xs := Load(Param("x"), GP64()), Load(Param("xs"), GP64())
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	var factors []reg.VecVirtual
	for i := range rows {
		factors = append(factors, g.broadcast(Mem{Base: x}))
		if i < rows-1 {
			ADDQ(xs, x)
		}
	}
	at := strided(a, lda, rows)
	advance := func(bytes int) {
		for i := 0; i < rows; i += 3 {
			ADDQ(U32(uint32(bytes)), at[i].Base)
		}
		ADDQ(U32(uint32(bytes)), y)
	}
	g.eachRegister(n, func() {
		sum := g.vec()
		g.set(Mem{Base: y}, sum)
		for i, m := range at {
			g.fma231(m, factors[i], sum)
		}
		g.set(sum, Mem{Base: y})
		advance(g.vecBytes())
	}, func() {
		sum := XMM()
		loadBytes(Mem{Base: y}, size(g.elem), sum)
		for i, m := range at {
			f(g, VFMADD231SS, VFMADD231SD)(m, factors[i].AsX(), sum)
		}
		storeBytes(sum, Mem{Base: y}, size(g.elem))
		advance(size(g.elem))
	})
	VZEROUPPER()
	RET()
}

// eachRegister emits a loop over n elements: whole for every register full, single for each of the
// others.
func (g *gen) eachRegister(n reg.Register, whole, single func()) {
	SUBQ(U32(uint32(g.lanes())), n)
	JL(LabelRef("rest"))
	Label("loop")
	whole()
	SUBQ(U32(uint32(g.lanes())), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(U32(uint32(g.lanes())), n)
	JZ(LabelRef("done"))
	Label("single")
	single()
	DECQ(n)
	JNZ(LabelRef("single"))
	Label("done")
}

// transpose emits the loop of a kernel that turns n rows of n·blocks numbers, ld bytes apart, into
// columns ds bytes apart: block turns n rows of n numbers.
func (g *gen) transpose(n int, block func(rows []reg.VecVirtual) []reg.VecVirtual) {
	g.text(fmt.Sprintf("transpose%d", n), "func(dst *F, ds int, src *F, ld, blocks int)",
		fmt.Sprintf("writes %[1]d rows of %[1]d·blocks numbers as columns. The strides are in bytes.", n))
	dst, ds := Load(Param("dst"), GP64()), Load(Param("ds"), GP64())
	src, ld := Load(Param("src"), GP64()), Load(Param("ld"), GP64())
	blocks := Load(Param("blocks"), GP64())
	at := strided(src, ld, n)
	Label("loop")
	var rows []reg.VecVirtual
	for _, m := range at {
		x := YMM()
		g.set(m, x)
		rows = append(rows, x)
	}
	for _, x := range block(rows) {
		g.set(x, Mem{Base: dst})
		ADDQ(ds, dst)
	}
	for i := 0; i < n; i += 3 {
		ADDQ(Imm(32), at[i].Base)
	}
	DECQ(blocks)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// transpose8 interleaves pairs of rows, then pairs of pairs, then exchanges halves.
func (g *gen) transpose8() {
	g.transpose(8, func(r []reg.VecVirtual) []reg.VecVirtual {
		// Number i of rows 0 to 3 is in quads[i], number i + 4 in its upper half; quads 4 to 7 are
		// the same for the other rows.
		quads := make([]reg.VecVirtual, 8)
		for h := 0; h < 8; h += 4 {
			var pairs [4]reg.VecVirtual
			for i := range 2 {
				pairs[2*i], pairs[2*i+1] = YMM(), YMM()
				VUNPCKLPS(r[h+2*i+1], r[h+2*i], pairs[2*i])
				VUNPCKHPS(r[h+2*i+1], r[h+2*i], pairs[2*i+1])
			}
			for i := range 4 {
				quads[h+i] = YMM()
				VSHUFPS(Imm([]uint64{0x44, 0xee}[i%2]), pairs[2+i/2], pairs[i/2], quads[h+i])
			}
		}
		return exchangeHalves(quads[:4], quads[4:])
	})
}

func (g *gen) transpose4() {
	g.transpose(4, func(r []reg.VecVirtual) []reg.VecVirtual {
		pairs := []reg.VecVirtual{YMM(), YMM(), YMM(), YMM()}
		for i := range 2 {
			VUNPCKLPD(r[2*i+1], r[2*i], pairs[2*i])
			VUNPCKHPD(r[2*i+1], r[2*i], pairs[2*i+1])
		}
		return exchangeHalves(pairs[:2], pairs[2:])
	})
}

// exchangeHalves joins the lower halves of first[i] and second[i], for every i, and then the upper
// halves.
func exchangeHalves(first, second []reg.VecVirtual) (joined []reg.VecVirtual) {
	for _, half := range []uint64{0x20, 0x31} {
		for i := range first {
			x := YMM()
			VPERM2F128(Imm(half), second[i], first[i], x)
			joined = append(joined, x)
		}
	}
	return joined
}
