package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// finish emits what a group's rows come to, from the sums over their exponentials. With o = others,
// m = own, w the weight, g = up, and o = 0 where o/m lies below the floor,
//
//	l = log(1 + o/m)    L = log(o + m)    A = keep·w    M = A + each·whole    p = m/(o + m)
//	value = A·l + each·(whole·L - gap) + ζ·L²
//	factor = g·scale·(M + 2ζL)/(o + m)    add = -g·scale·each
//	atLabel = g·scale·(each·(whole·p - w) + 2ζL·p - A·o/(o + m))
//
// All are 0 for rows without a label. It returns a bit for each row that is to be done otherwise.
func (g *gen) finish() {
	TEXT("finishLabelsAVX2", NOSPLIT, "func(st, numbers *float64) (hard int)")
	Pragma("noescape")
	Doc("finishLabelsAVX2 turns sums over exponentials into values and factors of gradients.")
	st, p := pointer("st"), pointer("numbers")
	hard, shift := GP64(), GP64()
	XORQ(hard, hard)
	XORQ(shift, shift)
	const notAtLeast, notAtMost, unequal = 9, 6, 4
	at := func(stat int) Mem { return Mem{Base: st, Disp: stat} }
	Label("quarter")
	o, m, total, r, u := g.vec(), g.vec(), g.vec(), g.vec(), g.vec()
	VMOVUPD(at(statOthers), o)
	VMOVUPD(at(statOwn), m)
	VADDPD(m, o, total)
	VDIVPD(m, o, r)
	bad, c := g.vec(), g.vec()
	g.compare(notAtLeast, m, g.constant(0x1p-990), bad)
	g.compare(notAtMost, total, g.constant(0x1p990), c)
	VORPD(c, bad, bad)
	g.compare(notAtMost, r, g.constant(0x1p990), c)
	VORPD(c, bad, bad)
	VCMPPD(Imm(less), g.number(Mem{Base: p, Disp: numFloor}), r, c)
	VANDNPD(r, c, r)
	VANDNPD(o, c, o)
	g.add(g.constant(1), r, u)
	l := g.logBeside(u, r)
	gs, w := g.vec(), g.vec()
	VMULPD(at(statUp), g.number(Mem{Base: p, Disp: numScale}), gs)
	VMOVUPD(at(statWeight), w)
	VDIVPD(total, gs, total) // g·scale/total from here on
	sum := g.vec()
	VADDPD(m, o, sum)
	atLabel, factor, add := g.vec(), g.vec(), g.zero()
	more := GP64()
	MOVQ(Mem{Base: p, Disp: numMore}, more)
	TESTQ(more, more)
	JNZ(LabelRef("more"))
	VMULPD(w, total, factor)
	VMULPD(o, factor, atLabel)
	VXORPD(bitsConstant(1<<63, 8), atLabel, atLabel)
	VMULPD(w, l, l)
	JMP(LabelRef("store"))

	Label("more")
	{
		a, mass := g.vec(), g.vec()
		VMULPD(g.number(Mem{Base: p, Disp: numKeep}), w, a)
		VMULPD(a, l, l)
		big := g.logBeside(sum, nil)
		each, whole := g.number(Mem{Base: p, Disp: numEach}), g.number(Mem{Base: p, Disp: numWhole})
		// atLabel so far in units of g·scale/total: -A·o + each·(whole·m - w·(o + m))
		VADDPD(m, o, factor)
		VMULPD(w, factor, factor)
		VFMSUB231PD(whole, m, factor) // whole·m - w·(o + m)
		VMULPD(each, factor, factor)
		VFNMADD231PD(a, o, factor)
		VMOVAPD(factor, atLabel)
		VMOVAPD(a, mass)
		VFMADD231PD(each, whole, mass)
		VMULPD(big, whole, a)
		gap := g.number(Mem{Base: p, Disp: numGapScale})
		VMULPD(at(statGap), gap, gap)
		VSUBPD(gap, a, a)
		VFMADD231PD(each, a, l)
		zl := g.number(Mem{Base: p, Disp: numZLoss})
		VMULPD(big, zl, zl)
		VFMADD231PD(zl, big, l)
		VADDPD(zl, zl, zl)
		VFMADD231PD(zl, m, atLabel)
		VADDPD(zl, mass, mass)
		VMULPD(total, mass, factor)
		VMULPD(total, atLabel, atLabel)
		VMULPD(each, gs, add)
		VXORPD(bitsConstant(1<<63, 8), add, add)
		// a value that is no number
		VSUBPD(l, l, a)
		g.compare(unequal, a, g.constant(0), a)
		VORPD(a, bad, bad)
	}
	Label("store")
	gone := g.vec()
	VPXOR(gone, gone, gone)
	VPCMPGTQ(at(statLabel), gone, gone)
	VANDNPD(bad, gone, bad)
	for _, out := range []struct {
		v    reg.VecVirtual
		stat int
	}{{l, statValue}, {factor, statFactor}, {add, statAdd}, {atLabel, statAtLabel}} {
		VANDNPD(out.v, gone, out.v)
		VMOVUPD(out.v, at(out.stat))
	}
	bits := GP64()
	VMOVMSKPD(bad, bits.As32())
	SHLXQ(shift, bits, bits)
	ORQ(bits, hard)
	ADDQ(U32(32), st)
	ADDQ(U32(4), shift)
	CMPQ(shift, U32(16))
	JL(LabelRef("quarter"))
	Store(hard, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// bend emits what a curve makes of 16 rows that finish has done with weights of 1, from its values and
// slopes: those values, factor·slope, and -o·factor at the label where there was something.
func (g *gen) bend() {
	TEXT("bendAVX2", NOSPLIT, "func(st, value, slope *float64)")
	Pragma("noescape")
	Doc("bendAVX2 takes values and slopes of a curve into a group's values and factors.")
	st, value, slope := pointer("st"), pointer("value"), pointer("slope")
	const unequal = 4
	for h := range 4 {
		at := func(stat int) Mem { return Mem{Base: st, Disp: stat + 32*h} }
		gone, l, factor, label, some := g.zero(), g.vec(), g.vec(), g.vec(), g.vec()
		VPCMPGTQ(at(statLabel), gone, gone)
		VANDNPD(lane(value, 4*h), gone, l)
		VMOVUPD(l, at(statValue))
		VMOVUPD(at(statFactor), factor)
		VMULPD(lane(slope, 4*h), factor, factor)
		VANDNPD(factor, gone, factor)
		VMOVUPD(factor, at(statFactor))
		VMULPD(at(statOthers), factor, label)
		VXORPD(bitsConstant(1<<63, 8), label, label)
		g.compare(unequal, g.zero(), at(statAtLabel), some)
		VANDPD(some, label, label)
		VANDNPD(label, gone, label)
		VMOVUPD(label, at(statAtLabel))
	}
	VZEROUPPER()
	RET()
}

// finishTargets emits what a group's rows come to against targets. With S = others, M = mass, G =
// gapScale·gap, E the entropy where there is one, L = log S, g = up·scale,
//
//	l = M·L - G + E    value = l + ζ·L²    factor = g·(M + 2ζL)/S    add = -g
//
// All are 0 for rows whose up is 0. It returns a bit for each row that is to be done otherwise: where
// S is out of range, a target is negative, or l is below limit·(|M·L| + |G| + |E|), which is finite.
func (g *gen) finishTargets() {
	TEXT("finishTargetsAVX2", NOSPLIT, "func(st, numbers, entropy *float64, limit float64) (hard int)")
	Pragma("noescape")
	Doc("finishTargetsAVX2 turns sums over targets into values and factors of gradients; entropy may be nil.")
	st, p, entropy, limit := pointer("st"), pointer("numbers"), pointer("entropy"), g.number(param("limit"))
	hard, shift := GP64(), GP64()
	XORQ(hard, hard)
	XORQ(shift, shift)
	const notAtLeast, notAtMost, equal = 9, 6, 0
	at := func(stat int) Mem { return Mem{Base: st, Disp: stat} }
	magnitude := bitsConstant(1<<63-1, 8)
	Label("quarter")
	total, mass, bad, c := g.vec(), g.vec(), g.vec(), g.vec()
	VMOVUPD(at(statOthers), total)
	g.compare(notAtLeast, total, g.constant(0x1p-990), bad)
	g.compare(notAtMost, total, g.constant(0x1p990), c)
	VORPD(c, bad, bad)
	VORPD(at(statSigns), bad, bad) // whose upper bits count
	u := g.vec()
	VMOVAPD(total, u)
	logSum := g.logBeside(u, nil)
	l, gap, sum := g.vec(), g.number(Mem{Base: p, Disp: numGapScale}), g.vec()
	VMOVUPD(at(statMass), mass)
	VMULPD(at(statGap), gap, gap)
	VMULPD(mass, logSum, l)
	VANDPD(magnitude, l, sum)
	VSUBPD(gap, l, l)
	VANDPD(magnitude, gap, gap)
	VADDPD(gap, sum, sum)
	TESTQ(entropy, entropy)
	JZ(LabelRef("no_entropy"))
	VMOVUPD(Mem{Base: entropy}, c)
	VADDPD(c, l, l)
	VANDPD(magnitude, c, c)
	VADDPD(c, sum, sum)
	ADDQ(U32(32), entropy)
	Label("no_entropy")
	g.compare(notAtMost, sum, g.constant(math.MaxFloat64), c)
	VORPD(c, bad, bad)
	VMULPD(limit, sum, sum)
	VCMPPD(Imm(notAtLeast), sum, l, c)
	VORPD(c, bad, bad)
	drift, gs, add := g.number(Mem{Base: p, Disp: numZLoss}), g.number(Mem{Base: p, Disp: numScale}), g.vec()
	VMULPD(logSum, drift, drift)
	VMULPD(drift, logSum, logSum)
	VADDPD(logSum, l, l)
	VADDPD(drift, drift, drift)
	VADDPD(drift, mass, mass)
	VMULPD(at(statUp), gs, gs)
	VXORPD(bitsConstant(1<<63, 8), gs, add)
	VMULPD(gs, mass, mass)
	VDIVPD(total, mass, mass)
	gone := g.vec()
	g.compare(equal, g.zero(), at(statUp), gone)
	VANDNPD(bad, gone, bad)
	for _, out := range []struct {
		v    reg.VecVirtual
		stat int
	}{{l, statValue}, {mass, statFactor}, {add, statAdd}} {
		VANDNPD(out.v, gone, out.v)
		VMOVUPD(out.v, at(out.stat))
	}
	bits := GP64()
	VMOVMSKPD(bad, bits.As32())
	SHLXQ(shift, bits, bits)
	ORQ(bits, hard)
	ADDQ(U32(32), st)
	ADDQ(U32(4), shift)
	CMPQ(shift, U32(16))
	JL(LabelRef("quarter"))
	Store(hard, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// logBeside returns log u for normal u; u is used up. Where r is not nil it is u - 1, and better
// known than by u.
func (g *gen) logBeside(u, r reg.VecVirtual) reg.VecVirtual {
	const sqrtHalf, oneBits = 0x3fe6a09e667f3bcd, 0x3ff0000000000000
	m, den := g.vec(), g.vec()
	g.addq(bitsConstant(oneBits-sqrtHalf, 8), u, u)
	g.and(bitsConstant(1<<52-1, 8), u, m)
	g.addq(bitsConstant(sqrtHalf, 8), m, m)
	VPSRLQ(Imm(52), u, u)
	g.or(g.constant(0x1p52), u, u)
	g.sub(u, g.constant(0x1p52+1023), u)
	g.sub(m, g.constant(1), m)
	if r != nil {
		small := g.vec()
		g.compare(0, u, g.constant(0), small)
		VBLENDVPD(small, r, m, m)
	}
	g.add(g.constant(2), m, den)
	l := g.atanh2(m, den, g.logConsts())
	g.fma231(g.constant(math.Ln2), u, l)
	return l
}

// takeLabels emits what finish reads of 16 rows: the labels, their weights and what gradients are
// multiplied with. A row with a negative label or an up of 0 is left out: -1, 1 and 0.
func (g *gen) takeLabels() {
	TEXT("takeLabelsAVX2", NOSPLIT, "func(st *float64, labels *int, up, weights *float64)")
	Pragma("noescape")
	Doc("takeLabelsAVX2 sets label, weight and up of a group; weights may be nil.")
	st, y, up, w := pointer("st"), pointer("labels"), pointer("up"), pointer("weights")
	one := g.vec()
	VMOVUPD(g.constant(1), one)
	for h := range 4 {
		labels++
		unweighted := fmt.Sprintf("unweighted%d", labels)
		label, u, gone, none := g.vec(), g.vec(), g.vec(), g.zero()
		VMOVUPD(lane(y, 4*h), label)
		VMOVUPD(lane(up, 4*h), u)
		VPCMPGTQ(label, none, gone)
		VCMPPD(Imm(0), none, u, none)
		VORPD(none, gone, gone)
		VORPD(gone, label, label)
		VANDNPD(u, gone, u)
		VMOVUPD(label, Mem{Base: st, Disp: statLabel + 32*h})
		VMOVUPD(u, Mem{Base: st, Disp: statUp + 32*h})
		weight := g.vec()
		VMOVAPD(one, weight)
		TESTQ(w, w)
		JZ(LabelRef(unweighted))
		VPCMPEQD(none, none, none)
		VANDNPD(none, gone, gone)
		VGATHERQPD(gone, Mem{Base: w, Index: label, Scale: 8}, weight)
		Label(unweighted)
		VMOVUPD(weight, Mem{Base: st, Disp: statWeight + 32*h})
	}
	VZEROUPPER()
	RET()
}

// storeLabels emits dst[i·step + label·stride] = atLabel of 16 rows, but for those without a label.
func (g *gen) storeLabels() {
	g.kernel("storeLabels", "func(dst *F, st *float64, step, stride int)", "writes the gradients at the labels of a group.")
	dst, st, step, stride := pointer("dst"), pointer("st"), pointer("step"), pointer("stride")
	rows, y, d := GP64(), GP64(), XMM()
	SHLQ(U8(uint8(1+size(g.elem)/4)), step)
	MOVQ(U32(16), rows)
	Label("row")
	MOVQ(Mem{Base: st, Disp: statLabel}, y)
	TESTQ(y, y)
	JL(LabelRef("next"))
	IMULQ(stride, y)
	at := Mem{Base: dst, Index: y, Scale: uint8(size(g.elem))}
	if g.elem == "F32" {
		VXORPS(d, d, d)
		VCVTSD2SS(Mem{Base: st, Disp: statAtLabel}, d, d)
		VMOVSS(d, at)
	} else {
		VMOVSD(Mem{Base: st, Disp: statAtLabel}, d)
		VMOVSD(d, at)
	}
	Label("next")
	ADDQ(step, dst)
	ADDQ(U32(8), st)
	DECQ(rows)
	JNZ(LabelRef("row"))
	RET()
}
