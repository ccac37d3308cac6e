package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Rows of 4 classes or more that lie one after another stay where they are. What is left of a row
// after its whole registers is one more register, which ends with the row and overlaps what was
// done: that needs neither masked stores nor room behind the row.

// lastMasks is a table of masks: 4 numbers from number n on keep the last n of 4.
func lastMasks() Mem {
	return table("last64", 8, 8, func(i int) uint64 {
		if i < 4 {
			return 0
		}
		return math.MaxUint64
	})
}

// newLabel returns a label that no other place has.
func newLabel(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

// perRow emits a loop over a row, which n counts the elements of: two registers of so many elements
// at a time, then one, and the last elements again with body(0, true). ps are where the row's data
// is; they end behind it.
func perRow(n reg.GPVirtual, per int, ps []stepped, body func(at int, last bool)) {
	whole, rest, last, done := newLabel("whole"), newLabel("rest"), newLabel("last"), newLabel("done")
	step := func(elements int) {
		for _, p := range ps {
			ADDQ(U32(uint32(elements*p.bytes)), p)
		}
	}
	one, two := U8(uint8(per)), U8(uint8(2*per))
	SUBQ(two, n)
	JL(LabelRef(rest))
	Label(whole)
	body(0, false)
	body(per, false)
	step(2 * per)
	SUBQ(two, n)
	JGE(LabelRef(whole))
	Label(rest)
	ADDQ(one, n)
	JL(LabelRef(last))
	body(0, false)
	step(per)
	SUBQ(one, n)
	Label(last)
	ADDQ(one, n)
	JZ(LabelRef(done))
	for _, p := range ps {
		LEAQ(Mem{Base: p.GPVirtual, Index: n, Scale: uint8(p.bytes), Disp: -per * p.bytes}, p.GPVirtual)
	}
	body(0, true)
	step(per)
	Label(done)
}

// sumRows emits loops that set sums[i] to the sum of row i: 4 rows at a time, then one. p is where
// the rows of so many bytes an element begin, v numbers that belong to the columns, or nil. term
// adds the 4 elements at at and the numbers at v to a sum; where keep is not nil, it keeps those that
// count. The order of a row's additions is the same in both loops: elements 0 to 3 of 8 to one
// register, 4 to 7 and the last to another.
func (g *gen) sumRows(sums, p, rows reg.GPVirtual, bytes int, v string, term func(sum reg.VecVirtual, at, v Mem, keep Op)) {
	stride := GP64()
	Load(Param("classes"), stride)
	SHLQ(U8(uint8(1+bytes/4)), stride)
	for _, height := range []int{4, 1} {
		loop, next := newLabel("rows"), newLabel("fewer")
		Label(loop)
		CMPQ(rows, U8(uint8(height)))
		JL(LabelRef(next))
		r, n := g.rowsAt(p, stride), GP64()
		Load(Param("classes"), n)
		ps := []stepped{{r.base[0], bytes}}
		var column reg.GPVirtual
		if v != "" {
			column = pointer(v)
			ps = append(ps, stepped{column, 8})
		}
		acc := make([][2]reg.VecVirtual, height)
		for i := range acc {
			acc[i] = [2]reg.VecVirtual{g.zero(), g.zero()}
		}
		perRow(n, 4, ps, func(at int, last bool) {
			half, keep := at/4, Op(nil)
			if last {
				half = 1
				masks, mask := GP64(), g.vec()
				LEAQ(lastMasks(), masks)
				VMOVUPD(Mem{Base: masks, Index: n, Scale: 8}, mask)
				keep = mask
			}
			for i := range acc {
				term(acc[i][half], r.at(i).Offset(at*bytes), Mem{Base: column, Disp: 8 * at}, keep)
			}
		})
		for _, a := range acc {
			VADDPD(a[1], a[0], a[0])
		}
		if height == 1 {
			v, hi := acc[0][0], XMM()
			VHADDPD(v, v, v)
			VEXTRACTF128(Imm(1), v, hi)
			VADDSD(hi, v.AsX(), hi)
			VMOVSD(hi, Mem{Base: sums})
			ADDQ(stride, p)
		} else {
			a, b, lo := acc[0][0], acc[2][0], g.vec()
			VHADDPD(acc[1][0], a, a)
			VHADDPD(acc[3][0], b, b)
			VPERM2F128(Imm(0x20), b, a, lo)
			VPERM2F128(Imm(0x31), b, a, a)
			VADDPD(a, lo, lo)
			VMOVUPD(lo, Mem{Base: sums})
			LEAQ(Mem{Base: p, Index: stride, Scale: 4}, p)
		}
		ADDQ(U8(uint8(8*height)), sums)
		SUBQ(U8(uint8(height)), rows)
		JMP(LabelRef(loop))
		Label(next)
	}
}

// rowDot emits sum[i] = Σ v[c]·x[i·classes + c] for rows of 4 classes or more.
func (g *gen) rowDot() {
	g.kernel("rowDot", "func(sum *float64, x *F, v *float64, classes, rows int)", "sums rows, weighed by v.")
	sum, x, rows := pointer("sum"), pointer("x"), pointer("rows")
	g.sumRows(sum, x, rows, size(g.elem), "v", func(sum reg.VecVirtual, at, v Mem, keep Op) {
		e := g.vec()
		if g.wide() {
			VCVTPS2PD(at, e)
		} else {
			VMOVUPD(at, e)
		}
		if keep != nil {
			VANDPD(keep, e, e)
		}
		VFMADD231PD(v, e, sum)
	})
	VZEROUPPER()
	RET()
}

// rowSum is laneSum for rows of 4 numbers or more, one after another.
func (g *gen) rowSum() {
	TEXT("rowSumAVX2", NOSPLIT, "func(st, e *float64, classes, rows int)")
	Pragma("noescape")
	Doc("rowSumAVX2 sums rows, apart from the label's exponential, which becomes 0.")
	st, e, n, rows, i := pointer("st"), pointer("e"), pointer("classes"), pointer("rows"), GP64()
	XORQ(i, i)
	Label("label")
	takeOwn(st, e, i, nil, nil)
	LEAQ(Mem{Base: e, Index: n, Scale: 8}, e)
	INCQ(i)
	CMPQ(i, rows)
	JL(LabelRef("label"))
	Load(Param("e"), e)
	ADDQ(U32(statOthers), st)
	g.sumRows(st, e, rows, 8, "", func(sum reg.VecVirtual, at, _ Mem, keep Op) {
		if keep == nil {
			VADDPD(at, sum, sum)
			return
		}
		v := g.vec()
		VANDPD(at, keep, v)
		VADDPD(v, sum, sum)
	})
	VZEROUPPER()
	RET()
}

// rowGrad writes the gradients of rows of 4 classes or more, one after another.
func (g *gen) rowGrad(kind gradKind) {
	g.kernel("rowGrad"+kind.name, "func(dst *F, e, slope *float64, t *F, k, b, st *float64, classes, rows int)", "writes gradients of rows.")
	dst, e, n, st, rows := pointer("dst"), pointer("e"), GP64(), pointer("st"), pointer("rows")
	ps := []stepped{{dst, size(g.elem)}, {e, 8}}
	var slope, t, k, b reg.GPVirtual
	if kind.capped || kind.two {
		slope = pointer("slope")
		ps = append(ps, stepped{slope, 8})
	}
	if kind.soft {
		t = pointer("t")
		ps = append(ps, stepped{t, size(g.elem)})
	}
	if kind.soft || kind.classes {
		k = GP64()
		ps = append(ps, stepped{k, 8})
	}
	if kind.soft {
		b = GP64()
		ps = append(ps, stepped{b, 8})
	}
	Label("row")
	fac, add, live := g.number(Mem{Base: st, Disp: statFactor}), g.number(Mem{Base: st, Disp: statAdd}), g.number(Mem{Base: st, Disp: statUp})
	VCMPPD(Imm(4), g.constant(0), live, live)
	Load(Param("classes"), n)
	if k != nil {
		Load(Param("k"), k)
	}
	if b != nil {
		Load(Param("b"), b)
	}
	perRow(n, 4, ps, func(at int, _ bool) {
		v := g.out(kind, lane(e, at), fac, add, lane(k, at), lane(b, at), func() reg.VecVirtual { return g.load(t, at) }, lane(slope, at))
		VANDPD(live, v, v)
		g.store(v, dst, at, false)
	})
	ADDQ(U32(8), st)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
