package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// targetAhead is how far ahead the pass over one block of a target fetches the next.
const targetAhead = 1024

// reduceSome emits the loop of a kernel over inputs of the same length, of which it takes unroll registers each at a time. body gets
// the registers, the first one's number in its group, and the half of the lanes that each is for. Elements behind the end
// have the value fill. The first input is fetched so many elements ahead, or not for 0.
func (g *gen) reduceSome(unroll int, inputs []string, fill []float64, ahead int, body func(v [][]reg.VecVirtual, first int, h []int)) {
	n := Load(Param(inputs[0]).Len(), GP64())
	var ptrs []reg.Register
	for _, in := range inputs {
		ptrs = append(ptrs, Load(Param(in).Base(), GP64()))
	}
	all := depth * g.halves()
	g.forGroups("sum", n, ptrs, func(tail bool) {
		for first := 0; first < all; first += unroll {
			v, halves := make([][]reg.VecVirtual, len(ptrs)), []int(nil)
			for at := first; at < first+unroll; at++ {
				halves = append(halves, at%g.halves())
				for j, p := range ptrs {
					if tail {
						v[j] = append(v[j], g.loadTail(p, n, at*g.lanes(), fill[j]))
						continue
					}
					v[j] = append(v[j], g.load(p, at*g.lanes()))
					if byte := at * g.lanes() * size(g.elem); ahead > 0 && j == 0 && byte%64 == 0 {
						PREFETCHT0(Mem{Base: p, Disp: ahead*size(g.elem) + byte})
					}
				}
			}
			body(v, first, halves)
		}
	})
}

// targetSum emits all that a loss must know of a target t: whether a sign bit is set, Σ t[i] and Σ t[i]·(c - x[i]). Elements go
// to two lanes in turn, which is two sums for each that need not wait for each other.
func (g *gen) targetSum() {
	g = g.inFloat64()
	g.text("targetSum", "func(t, x []F, c float64) (sum, gap float64, signs int)",
		"returns Σ t[i] and Σ t[i]·(c - x[i]), where t[i] = 0 adds 0 whatever x[i] is; signs is 0 when no t[i] has a sign bit.")
	c := g.param("c")
	signs := g.zero()
	// sums and gaps of the even registers, then of the odd ones
	a := g.newAccumulators(4)
	g.reduceSome(1, []string{"t", "x"}, []float64{0, 0}, targetAhead, func(v [][]reg.VecVirtual, first int, h []int) {
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
	})
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
