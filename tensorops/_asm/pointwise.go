package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pointwise describes a loss of two numbers x and t.
type pointwise struct {
	name, formula, derivative string
	domain                    domain // of t
	// parts returns the value and, where slope says so, the derivative by x.
	parts func(k *points, x, t reg.VecVirtual, slope bool) (value, d reg.VecVirtual)
}

const atMost = 2 // comparison predicate, false for NaN

// domain says which t a loss has. Where one lies outside, a kernel returns the sum NaN.
type domain int

const (
	anything domain = iota
	unitInterval
	signs // -1 and +1
	nonNegative
	positive
)

// points is the state of a kernel.
type points struct {
	*gen
	pointwise
	logistic *logistic
	scalars  map[string]Op // parameters in every lane, kept like the sums
	fault    Op            // what the t seen so far say about their domain
	sums     *sums
	x, t, n  reg.Register
	dst      reg.GPVirtual
	both     bool
}

// pointsAhead is how far ahead of a group its inputs are fetched, in bytes.
const pointsAhead = 16 << 10

// pointwise emits the kernels of a loss.
func (g *gen) pointwise(l pointwise) {
	g.textWith(NOSPLIT, l.name+"Sum", "func(x, t []F, a, b float64) (sum float64)", "returns Σ "+l.formula+".")
	g.points(l, false)
	g.textWith(NOSPLIT, l.name+"Both", "func(dst, x, t []F, factor, a, b float64, stream bool) (sum float64)",
		"writes factor·("+l.derivative+") and returns Σ "+l.formula+".")
	g.points(l, true)
}

func (g *gen) points(l pointwise, both bool) {
	k := &points{gen: g, pointwise: l, both: both, scalars: map[string]Op{}}
	k.x, k.t = Load(Param("x").Base(), GP64()), Load(Param("t").Base(), GP64())
	k.n = Load(Param("x").Len(), GP64())
	if both {
		k.dst = GP64()
		Load(Param("dst").Base(), k.dst)
	}
	switch l.name {
	case "binary", "margin":
		k.logistic = g.logistic(4, 1)
	case "bernoulli":
		k.logistic = newGen(g.isa, "F64", "F64").logistic(0, 1) // with the exponential of float64
	case "logCosh", "cauchy", "poisson", "gamma":
		k.logistic = g.logistic(0, 1)
	case "focal": // u², l
		k.logistic = g.logistic(0, 3)
	}
	used := map[string][]string{"huber": {"a"}, "pseudoHuber": {"a"}, "cauchy": {"a"}, "focal": {"a", "b"}}[l.name]
	if both {
		used = append(used, "factor")
	}
	for _, name := range used {
		k.scalars[name] = k.place(g.scalar(name))
	}
	k.sums = g.newSums(false)
	switch l.domain {
	case unitInterval, signs, nonNegative:
		k.fault = k.place(g.zero())
	case positive:
		one := g.vec()
		g.set(g.constant(1), one)
		k.fault = k.place(one)
	}
	if both {
		stream := Load(Param("stream"), GP8())
		TESTB(stream, stream)
		JZ(LabelRef("plain"))
		k.loop("stream", true)
		JMP(LabelRef("tail"))
	}
	k.loop("plain", false)
	Label("tail")
	TESTQ(k.n, k.n)
	JZ(LabelRef("done"))
	k.group(true, false)
	Label("done")
	total := k.sums.total()
	k.refuse(total)
	storeResult(total, 0)
	VZEROUPPER()
	RET()
}

// loop emits the loop over whole groups.
func (k *points) loop(label string, stream bool) {
	Label(label)
	CMPQ(k.n, U32(uint32(k.gen.group())))
	JL(LabelRef(label + "_done"))
	k.group(false, stream)
	SUBQ(U32(uint32(k.gen.group())), k.n)
	for _, p := range []reg.Register{k.x, k.t} {
		ADDQ(U32(uint32(k.gen.group()*size(k.elem))), p)
	}
	if k.both {
		ADDQ(U32(uint32(k.gen.group()*size(k.elem))), k.dst)
	}
	JMP(LabelRef(label))
	Label(label + "_done")
}

// group emits one group. The four numbers of a lane are added in type comp, their sum in float64.
func (k *points) group(tail, stream bool) {
	for h := range k.halves() {
		var sum reg.VecVirtual
		for i := range depth {
			at := k.at(i, h)
			var x, t reg.VecVirtual
			if tail {
				x, t = k.loadTail(k.x, k.n, at, 0), k.loadTail(k.t, k.n, at, 1) // 1 lies in every domain
			} else {
				x, t = k.load(k.x, at), k.load(k.t, at)
				if byte := at * size(k.elem); byte%64 == 0 {
					PREFETCHT0(Mem{Base: k.x, Disp: pointsAhead + byte})
					PREFETCHT0(Mem{Base: k.t, Disp: pointsAhead + byte})
				}
			}
			k.look(t)
			value, d := k.parts(k, x, t, k.both)
			if tail {
				k.clearBehind(value, at)
			}
			if sum == nil {
				sum = value
			} else {
				k.add(value, sum, sum)
			}
			if !k.both {
				continue
			}
			k.mul(k.scalars["factor"], d, d)
			if tail {
				k.storeSome(d, k.dst, k.n, at)
			} else {
				k.store(d, k.dst, at, stream)
			}
		}
		k.sums.add(sum, h)
	}
}

// clearBehind sets the lanes of v, the register from index i on, that lie behind the end to 0.
func (k *points) clearBehind(v reg.VecVirtual, i int) {
	if !k.is512() {
		k.and(newGen(k.isa, k.comp, k.comp).tailVector(k.n, i, v), v, v)
		return
	}
	mask := k.tailMask(k.n, i)
	if k.comp == "F32" {
		VMOVAPS_Z(v, mask, v)
	} else {
		VMOVAPD_Z(v, mask, v)
	}
}

// scalar returns a float64 parameter in every lane, in type comp.
func (g *gen) scalar(name string) reg.VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	if g.comp == "F64" {
		return g.broadcast(p.Addr)
	}
	v := XMM()
	VXORPS(v, v, v)
	VCVTSD2SS(p.Addr, v, v)
	return g.broadcast(v)
}

// look takes note of the t that lie outside their domain.
func (k *points) look(t reg.VecVirtual) {
	if k.domain == anything {
		return
	}
	g, v, fault := k.gen, k.gen.vec(), k.inRegister(k.fault)
	switch k.domain {
	case unitInterval: // the smallest of all t and 1 - t; a NaN makes the sum NaN anyway
		f(g, VMINPS, VMINPD)(fault, t, fault)
		g.set(g.constant(1), v)
		g.sub(v, t, v)
		f(g, VMINPS, VMINPD)(fault, v, fault)
	case nonNegative, positive: // the smallest; an infinite t makes the sum infinite or NaN
		f(g, VMINPS, VMINPD)(fault, t, fault)
	case signs: // the bits of t² - 1, rounded once
		g.set(t, v)
		in(g, g.constant(1), VFMSUB213PS, VFMSUB213PD, VFMSUB213PS_BCST, VFMSUB213PD_BCST)(g.constant(1), t, v)
		g.or(v, fault, fault)
	}
	k.keep(fault, k.fault)
}

// refuse makes the sum NaN where a t lies outside its domain.
func (k *points) refuse(sum reg.VecVirtual) {
	if k.domain == anything {
		return
	}
	g, relation := k.gen, less
	switch k.domain {
	case signs:
		relation = notEqual
	case positive:
		relation = atMost
	}
	bits, fault := GP32(), k.inRegister(k.fault)
	if g.is512() {
		m := K()
		g.compare(relation, fault, g.zero(), m)
		KMOVW(m, bits)
	} else {
		m := g.vec()
		g.compare(relation, fault, g.constant(0), m)
		f(g, VMOVMSKPS, VMOVMSKPD)(m, bits)
	}
	TESTL(bits, bits)
	JZ(LabelRef("inside"))
	VMOVSD(bitsConstant(math.Float64bits(math.NaN()), 8), sum)
	Label("inside")
}
