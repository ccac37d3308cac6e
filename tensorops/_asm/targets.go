package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// targetAhead is how far ahead the pass over one block of a target fetches the next.
const targetAhead = 1024

// A reduction is a kernel that sums over inputs of the same length.
type reduction struct {
	*gen
	inputs []string
	fill   []float64 // what elements behind the end count as
	step   int       // registers of each input in a turn of the loop, a multiple of the halves
	unroll int       // registers of each that body takes at a time
	ahead  int       // how many elements ahead the first input is fetched, 0: not
	apart  bool      // the last turn has a body of its own: there are not registers enough to load all before it

	// body adds registers: by input, the number of the first in its group, and the half of the
	// lanes that each is for.
	body func(v [][]reg.VecVirtual, first int, h []int)
}

// emit emits the loop. The last turn has elements behind the end.
func (r *reduction) emit() {
	n := Load(Param(r.inputs[0]).Len(), GP64())
	var ptrs []reg.Register
	for _, in := range r.inputs {
		ptrs = append(ptrs, Load(Param(in).Base(), GP64()))
	}
	elems := imm(r.step * r.lanes())
	SUBQ(elems, n)
	JL(LabelRef("sum_rest"))
	Label("sum_loop")
	load := func(j, at int) reg.VecVirtual {
		if byte := at * r.lanes() * size(r.elem); r.ahead > 0 && j == 0 && byte%64 == 0 {
			PREFETCHT0(Mem{Base: ptrs[0], Disp: r.ahead*size(r.elem) + byte})
		}
		return r.load(ptrs[j], at*r.lanes())
	}
	v := make([][]reg.VecVirtual, len(ptrs))
	if r.apart {
		r.addEach(load)
	} else {
		for at := range r.step {
			for j := range ptrs {
				v[j] = append(v[j], load(j, at))
			}
		}
		Label("sum_add")
		r.addEach(func(j, at int) reg.VecVirtual { return v[j][at] })
	}
	for _, p := range ptrs {
		ADDQ(imm(r.step*r.lanes()*size(r.elem)), p)
	}
	SUBQ(elems, n)
	JGE(LabelRef("sum_loop"))
	Label("sum_rest")
	ADDQ(elems, n)
	JLE(LabelRef("sum_done"))
	behind := r.tailOf(n)
	XORQ(n, n)
	if r.apart {
		r.addEach(func(j, at int) reg.VecVirtual {
			x := r.vec()
			behind.load(x, ptrs[j], at*r.lanes(), r.fill[j])
			return x
		})
	} else {
		for at := range r.step {
			for j, p := range ptrs {
				behind.load(v[j][at], p, at*r.lanes(), r.fill[j])
			}
		}
		JMP(LabelRef("sum_add"))
	}
	Label("sum_done")
}

// addEach calls body for the registers of a turn, given register at of input j.
func (r *reduction) addEach(load func(j, at int) reg.VecVirtual) {
	for first := 0; first < r.step; first += r.unroll {
		some, halves := make([][]reg.VecVirtual, len(r.inputs)), []int(nil)
		for at := first; at < first+r.unroll; at++ {
			halves = append(halves, at%r.halves())
			for j := range some {
				some[j] = append(some[j], load(j, at))
			}
		}
		r.body(some, first, halves)
	}
}

// targetSum emits all that a loss must know of a target t: whether a sign bit is set, Σ t[i] and Σ
// t[i]·(c - x[i]). Elements go to two lanes in turn, which is two sums for each that need not wait
// for each other.
func (g *gen) targetSum() {
	g = g.inFloat64()
	g.text("targetSum", "func(t, x []F, c float64) (sum, gap float64, signs int)",
		"returns Σ t[i] and Σ t[i]·(c - x[i]), where t[i] = 0 adds 0 whatever x[i] is; signs is 0 when no t[i] has a sign bit.")
	c := g.param("c")
	signs := g.zero()
	// sums and gaps of the even registers, then of the odd ones
	a := g.newAccumulators(4)
	r := &reduction{gen: g, inputs: []string{"t", "x"}, fill: []float64{0, 0}, step: depth, unroll: 1, ahead: targetAhead, apart: !g.is512()}
	r.body = func(v [][]reg.VecVirtual, first int, h []int) {
		t, x, turn := v[0][0], v[1][0], first/g.halves()%2
		g.sub(c, x, x)
		VORPD(signs, t, signs)
		VADDPD(t, a.acc[turn][h[0]], a.acc[turn][h[0]])
		if g.is512() {
			k := K()
			VCMPPD(Imm(notEqual), g.zero(), t, k)
			VFMADD231PD(x, t, k, a.acc[2+turn][h[0]])
			return
		}
		m := g.vec()
		VCMPPD(Imm(notEqual), g.constant(0), t, m)
		VANDPD(m, x, x)
		VFMADD231PD(x, t, a.acc[2+turn][h[0]])
	}
	r.emit()
	add := func(v, dst Op) { VADDPD(v, dst, dst) }
	for i := range 2 {
		for h := range g.halves() {
			add(a.acc[2*i+1][h], a.acc[2*i][h])
		}
		storeResult(g.fold(a.acc[2*i], "F64", add), i)
	}
	found := GP32()
	if g.is512() {
		k := K()
		VPMOVQ2M(signs, k)
		KMOVW(k, found)
	} else {
		VMOVMSKPD(signs, found)
	}
	Store(found.As64(), ReturnIndex(2))
	VZEROUPPER()
	RET()
}

// scaleAdd emits dst[i] = src[i]·factor + a·t[i], where a src[i] < low counts as 0.
func (g *gen) scaleAdd() {
	g.text("scaleAdd", "func(dst, src, t []F, factor, low, a F, stream bool)",
		"writes src[i]·factor + a·t[i], where a src[i] < low counts as 0.")
	factor, low, a := g.param("factor"), g.param("low"), g.param("a")
	g.mapRow(4, false, []string{"src", "t"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		// As expScaleAdd does it: the product with t is rounded, that with src is not.
		for i, x := range v[0] {
			t := v[1][i]
			g.mul(a, t, t)
			if g.is512() {
				k := K()
				f(g, VCMPPS, VCMPPD)(Imm(notLess), low, x, k)
				f(g, VMOVAPS_Z, VMOVAPD_Z)(x, k, x)
			} else {
				m := g.vec()
				f(g, VCMPPS, VCMPPD)(Imm(notLess), low, x, m)
				VANDPS(m, x, x)
			}
			f(g, VFMADD231PS, VFMADD231PD)(factor, x, t)
		}
		return v[1]
	})
}
