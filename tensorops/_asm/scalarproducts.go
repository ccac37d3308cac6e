package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotCols is the largest number of columns of a tile of scalar products, dotRows the rows of one
// with so many columns.
func (g *gen) dotCols() int {
	if g.is512() {
		return 4
	}
	return 3
}

func (g *gen) dotRows(cols int) int {
	if g.is512() {
		return 4
	}
	return []int{4, 3, 2}[cols-1]
}

var (
	low = []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
	wide = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
)

// dotTile emits scalar products of rows of a and rows of b. A sum has 64 bytes of lanes with either
// instruction set, which are added in one order.
//
// The registers are named: the instructions that add lanes do not reach the upper half of
// AVX-512's.
func (g *gen) dotTile(rows, cols int) {
	g.text(fmt.Sprintf("dot%dx%d", rows, cols),
		"func(tiles, k int, a *F, lda int, b *F, ldb int, c *F, ldc int, d *F, ldd int, alpha F)",
		fmt.Sprintf("writes c = alpha·a·bᵀ + d for %d rows of a in each of so many tiles and %d rows of b; "+
			"d may be nil. The strides are in bytes.", rows, cols))
	halves, next, register := g.halves(), 16, func(i int) reg.VecPhysical { return low[i] }
	if g.is512() {
		next, register = 32, func(i int) reg.VecPhysical { return wide[i] }
	}
	sums := make([][][]reg.VecPhysical, rows) // row, column, half
	for i := range sums {
		sums[i] = make([][]reg.VecPhysical, cols)
		for j := range sums[i] {
			for range halves {
				next--
				sums[i][j] = append(sums[i][j], register(next))
			}
		}
	}
	tiles := Load(Param("tiles"), GP64())
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	b, ldb := Load(Param("b"), GP64()), Load(Param("ldb"), GP64())
	c, d := Load(Param("c"), GP64()), Load(Param("d"), GP64())
	lda3, ldb3 := GP64(), GP64()
	if rows > 3 {
		LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, lda3)
	}
	if cols > 3 {
		LEAQ(Mem{Base: ldb, Index: ldb, Scale: 2}, ldb3)
	}
	at := func(base, stride, stride3 reg.Register, i, disp int) Mem {
		switch i {
		case 0:
			return Mem{Base: base, Disp: disp}
		case 3:
			return Mem{Base: base, Index: stride3, Scale: 1, Disp: disp}
		}
		return Mem{Base: base, Index: stride, Scale: uint8(i), Disp: disp}
	}
	// step adds the products of 64 bytes of every row. The fewer of the operands stay in registers
	// 2 and up.
	step := func(load func(m Mem, half int, dst reg.VecPhysical)) {
		for h := range halves {
			held, streamed := rows, cols
			heldAt := func(i int) Mem { return at(a, lda, lda3, i, h*g.vecBytes()) }
			streamedAt := func(i int) Mem { return at(b, ldb, ldb3, i, h*g.vecBytes()) }
			if rows > cols {
				held, streamed, heldAt, streamedAt = cols, rows, streamedAt, heldAt
			}
			for i := range held {
				load(heldAt(i), h, register(2+i))
			}
			for j := range streamed {
				load(streamedAt(j), h, register(1))
				for i := range held {
					r, s := i, j
					if rows > cols {
						r, s = j, i
					}
					g.fma231(register(1), register(2+i), sums[r][s][h])
				}
			}
		}
	}
	Label("tile")
	for i := range sums {
		for j := range sums[i] {
			for _, s := range sums[i][j] {
				VXORPS(s.AsX(), s.AsX(), s.AsX())
			}
		}
	}
	left, whole := Load(Param("k"), GP64()), GP64()
	XORQ(whole, whole)
	perStep := 64 / size(g.elem)
	SUBQ(Imm(uint64(perStep)), left)
	JL(LabelRef("rest"))
	Label("loop")
	step(func(m Mem, _ int, dst reg.VecPhysical) { g.set(m, dst) })
	ADDQ(Imm(64), a)
	ADDQ(Imm(64), b)
	ADDQ(Imm(64), whole)
	SUBQ(Imm(uint64(perStep)), left)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(Imm(uint64(perStep)), left)
	JZ(LabelRef("summed"))
	if g.is512() {
		mask := g.tailMask(left, 0)
		step(func(m Mem, _ int, dst reg.VecPhysical) { f(g, VMOVUPS_Z, VMOVUPD_Z)(m, mask, dst) })
	} else {
		masks, from := GP64(), GP64()
		LEAQ(tailMasks(size(g.elem)), masks)
		MOVQ(U32(64), from)
		SUBQ(left, from)
		loaded := -1
		step(func(m Mem, half int, dst reg.VecPhysical) {
			if half != loaded {
				VMOVUPS(Mem{Base: masks, Index: from, Scale: uint8(size(g.elem)), Disp: half * g.vecBytes()}, register(0))
				loaded = half
			}
			f(g, VMASKMOVPS, VMASKMOVPD)(m, register(0), dst)
		})
	}
	Label("summed")
	SUBQ(whole, a)
	SUBQ(whole, b)
	p, err := Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	if g.elem == "F32" {
		VBROADCASTSS(p.Addr, reg.X2)
	} else {
		VMOVDDUP(p.Addr, reg.X2)
	}
	ldc, ldd := Load(Param("ldc"), GP64()), Load(Param("ldd"), GP64())
	for i := range rows {
		g.storeDots(fmt.Sprintf("row%d", i), sums[i], c, d)
		ADDQ(ldc, c)
		ADDQ(ldd, d)
	}
	for range rows {
		ADDQ(lda, a)
	}
	DECQ(tiles)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// storeDots adds the lanes of each of the sums of one row and writes the row: alpha, in register 2,
// times it, plus d.
func (g *gen) storeDots(label string, sums [][]reg.VecPhysical, c, d reg.Register) {
	halved := make([]reg.VecPhysical, len(sums))
	for j, s := range sums {
		if g.is512() {
			halved[j] = low[4+j]
			VEXTRACTF64X4(Imm(1), s[0], low[0])
			g.add(low[0], s[0].AsY(), halved[j])
		} else {
			halved[j] = s[0]
			g.add(s[1], s[0], s[0])
		}
	}
	width := 16 / size(g.elem)
	for j := 0; j < len(halved); j += width {
		n := min(width, len(halved)-j)
		get := func(i int) reg.VecPhysical { return halved[j+min(i, n-1)] }
		if g.elem == "F32" {
			VHADDPS(get(1), get(0), low[0])
			if n > 2 {
				VHADDPS(get(3), get(2), low[1])
				VHADDPS(low[1], low[0], low[0])
			} else {
				VHADDPS(low[0], low[0], low[0])
			}
		} else {
			VHADDPD(get(1), get(0), low[0])
		}
		VEXTRACTF128(Imm(1), low[0], reg.X1)
		g.add(reg.X1, reg.X0, reg.X0)
		bytes, bare, stored := n*size(g.elem), fmt.Sprintf("%s_%d_bare", label, j), fmt.Sprintf("%s_%d_stored", label, j)
		TESTQ(d, d)
		JZ(LabelRef(bare))
		loadBytes(Mem{Base: d, Disp: j * size(g.elem)}, bytes, reg.X3)
		g.fma213(reg.X3, reg.X2, reg.X0)
		JMP(LabelRef(stored))
		Label(bare)
		g.mul(reg.X2, reg.X0, reg.X0)
		Label(stored)
		storeBytes(reg.X0, Mem{Base: c, Disp: j * size(g.elem)}, bytes)
	}
}

// loadBytes loads 4, 8, 12 or 16 bytes.
func loadBytes(m Mem, bytes int, x Op) {
	switch bytes {
	case 4:
		VMOVSS(m, x)
	case 16:
		VMOVUPS(m, x)
	default:
		VMOVSD(m, x)
		if bytes == 12 {
			VINSERTPS(Imm(0x20), m.Offset(8), x, x)
		}
	}
}

// storeBytes stores 4, 8, 12 or 16 bytes.
func storeBytes(x Op, m Mem, bytes int) {
	switch bytes {
	case 4:
		VMOVSS(x, m)
	case 16:
		VMOVUPS(x, m)
	default:
		VMOVSD(x, m)
		if bytes == 12 {
			VEXTRACTPS(Imm(2), x, m.Offset(8))
		}
	}
}

// tailMasks is the table that tailVector reads, too.
func tailMasks(bytes int) Mem {
	return table(fmt.Sprintf("tail%d", bytes*8), bytes, 128, func(i int) uint64 {
		if i < 64 {
			return math.MaxUint64
		}
		return 0
	})
}
