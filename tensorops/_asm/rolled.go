package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rolled emits the loops over n elements for AVX2, where a group is two halves of two or four pairs
// of registers: two of these pairs fill all registers. The last elements are copied to the stack,
// and -Inf behind them.
func (t *terms) rolled(n reg.Register, groupLen int) {
	group, elem := t.gen.group(), size(t.elem)
	pairElems := t.gen.at(2, 0)
	from, pairs := GP64(), GP64()
	var to, left reg.GPVirtual
	if t.dst != nil {
		to, left = GP64(), GP64()
		XORQ(left, left)
	}
	buffer := AllocLocal(group * elem)

	few := t.dst == nil && t.comp == "F64"
	if few {
		CMPQ(n, imm(pairElems))
		JLE(LabelRef("sum_few"))
	}
	Label("sum_loop")
	CMPQ(n, imm(groupLen))
	JL(LabelRef("sum_tail"))
	for byte := 0; byte < groupLen*elem; byte += 64 {
		PREFETCHT0(Mem{Base: t.at, Disp: prefetchBytes + byte})
	}
	MOVQ(t.at, from)
	MOVQ(U32(uint32(groupLen/pairElems)), pairs)
	if t.dst != nil {
		MOVQ(t.dst, to)
	}
	t.advance(n, groupLen)
	Label("sum_group")
	t.halvesOf(from, to, pairs)
	JMP(LabelRef("sum_loop"))

	Label("sum_tail")
	TESTQ(n, n)
	JLE(LabelRef("sum_done"))
	LEAQ(buffer, from)
	MOVQ(U32(uint32(group/pairElems)), pairs)
	count := GP64()
	MOVQ(U32(uint32(group)), count)
	CMPQ(n, count)
	CMOVQLT(n, count)
	bytes := GP64()
	MOVQ(U32(uint32(group*elem)), bytes)
	CMPQ(count, imm(pairElems))
	JG(LabelRef("sum_copy"))
	MOVQ(U32(1), pairs)
	MOVQ(U32(uint32(pairElems*elem)), bytes)
	Label("sum_copy")
	t.copyTail(from, count, bytes)
	if t.dst != nil {
		MOVQ(from, to)
		MOVQ(count, left)
		SUBQ(count, n) // dst stays
	} else {
		t.advance(n, group)
	}
	JMP(LabelRef("sum_group"))
	if few {
		Label("sum_few")
		t.halvesOfFew(n)
	}
	Label("sum_done")
	if t.dst != nil {
		t.copyBack(buffer, left)
	}
}

// halvesOfFew adds the terms of the n elements of a row that has no more than a pair of registers for
// each half: without the way over the stack, for which such a row would wait.
func (t *terms) halvesOfFew(n reg.Register) {
	sum, half := GP64(), GP64()
	LEAQ(t.sums.acc[0].(Mem), sum)
	MOVQ(U32(uint32(t.halves())), half)
	masks := t.tailOf(n)
	Label("few")
	xs := []reg.VecVirtual{t.vec(), t.vec()}
	for k, x := range xs {
		masks.load(x, t.at, t.gen.at(k, 0), math.Inf(-1))
	}
	e := t.terms(xs)
	t.add(e[1], e[0], e[0])
	stride := t.sums.addAt(e[0], sum)
	ADDQ(imm(stride), sum)
	ADDQ(imm(t.lanes()), masks.from)
	ADDQ(imm(t.lanes()*size(t.elem)), t.at)
	DECQ(half)
	JNZ(LabelRef("few"))
}

// copyTail copies count elements to a buffer, and fills it with -Inf up to so many bytes.
func (t *terms) copyTail(buffer reg.GPVirtual, count, bytes reg.Register) {
	e := newGen(t.isa, t.elem, t.elem)
	masks, i, v, mask := GP64(), GP64(), e.vec(), e.vec()
	LEAQ(e.tailOf(count).mask(0), masks)
	XORQ(i, i)
	Label("copy")
	VMOVUPS(Mem{Base: masks, Index: i, Scale: 1}, mask)
	f(e, VMASKMOVPS, VMASKMOVPD)(Mem{Base: t.at, Index: i, Scale: 1}, mask, v)
	VANDNPS(e.constant(math.Inf(-1)), mask, mask)
	VORPS(mask, v, v)
	VMOVUPS(v, Mem{Base: buffer, Index: i, Scale: 1})
	ADDQ(imm(e.vecBytes()), i)
	CMPQ(i, bytes)
	JL(LabelRef("copy"))
}

// copyBack copies count elements, which may be none, from the buffer to dst.
func (t *terms) copyBack(buffer Mem, count reg.Register) {
	from, v := GP64(), t.vec()
	LEAQ(buffer, from)
	SUBQ(imm(t.lanes()), count)
	JL(LabelRef("back_rest"))
	Label("back")
	VMOVUPS(Mem{Base: from}, v)
	VMOVUPS(v, Mem{Base: t.dst})
	ADDQ(imm(t.vecBytes()), from)
	ADDQ(imm(t.vecBytes()), t.dst)
	SUBQ(imm(t.lanes()), count)
	JGE(LabelRef("back"))
	Label("back_rest")
	ADDQ(imm(t.lanes()), count)
	JZ(LabelRef("back_done"))
	VMOVUPS(Mem{Base: from}, v)
	t.storePart(v, t.dst.(reg.GPVirtual), count)
	Label("back_done")
}

// halvesOf adds the terms of a group to the sums, half by half, and writes them where to says so.
// It uses from and to up.
func (t *terms) halvesOf(from, to, pairs reg.GPVirtual) {
	elem := size(t.elem)
	sum, half, at, left := GP64(), GP64(), GP64(), GP64()
	var write reg.GPVirtual
	LEAQ(t.sums.acc[0].(Mem), sum)
	MOVQ(U32(uint32(t.halves())), half)
	Label("half")
	MOVQ(from, at)
	MOVQ(pairs, left)
	if t.dst != nil {
		write = GP64()
		MOVQ(to, write)
	}
	acc := []reg.VecVirtual{t.zero(), t.zero()}
	if t.wide() { // so little to do for a term that a loop over pairs would show
		t.pair(at, write, 0, acc)
		DECQ(left)
		JZ(LabelRef("enough"))
		t.pair(at, write, 2, acc)
		Label("enough")
	} else {
		step := imm(t.gen.at(2, 0) * elem)
		Label("pair")
		t.pair(at, write, 0, acc)
		ADDQ(step, at)
		if t.dst != nil {
			ADDQ(step, write)
		}
		DECQ(left)
		JNZ(LabelRef("pair"))
	}
	t.add(acc[1], acc[0], acc[0])
	stride := t.sums.addAt(acc[0], sum)
	ADDQ(imm(stride), sum)
	ADDQ(imm(t.lanes()*elem), from)
	if t.dst != nil {
		ADDQ(imm(t.lanes()*elem), to)
	}
	DECQ(half)
	JNZ(LabelRef("half"))
}

// pair adds the terms of registers k and k+1 of a half group, and writes them where there is a dst.
func (t *terms) pair(at, write reg.GPVirtual, k int, acc []reg.VecVirtual) {
	xs := []reg.VecVirtual{t.load(at, t.gen.at(k, 0)), t.load(at, t.gen.at(k+1, 0))}
	if t.comp == "F32" {
		t.addFast(xs, len(xs), acc)
		return
	}
	for i, e := range t.terms(xs) {
		if t.dst != nil {
			t.gen.store(e, write, t.gen.at(k+i, 0), false)
		}
		t.add(e, acc[i], acc[i])
	}
}
