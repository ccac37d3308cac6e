package main

import (
	"fmt"
	"math"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The elementwise losses. One kernel serves every use of a loss; flags, which every element of a
// call shares, choose between them outside the arithmetic, in branches that are always predicted. A
// kernel takes whole groups of 64 bytes of type comp alone.

// The flags are those of kernel.go.
const (
	pointValueOnly = 1 << iota // dst is not written
	pointStream                // dst goes past the caches
	pointWeights               // w holds the weights
	pointValues                // values is written
	pointPositive              // v holds the weights of the positive class
)

// pointwise describes a loss of two numbers x and t.
type pointwise struct {
	name, formula, derivative string
	domain                    domain // of t
	scalars                   string // which of the parameters a, b and c it has
	logs                      int    // constants of the logarithm that AVX-512 keeps in registers; -1 for losses without exponentials
	kind                      kind
	parts                     func(k *points, x, t reg.VecVirtual) (value reg.VecVirtual, d slope)
}

// kind says how a loss is computed.
type kind int

const (
	plain    kind = iota
	simple        // a float32 kernel takes several registers at a time: little work goes with each
	in64          // float32 elements are computed with in float64
	in64Only      // and there are no kernels for float64 elements, which are for few and have a long way
	options       // the loss has weights of the positive class
)

// domain says which t a loss has. The value of an element outside is NaN.
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
	scalar   map[string]Op           // parameters in every lane
	ptr      map[string]reg.Register // the vectors
	params   reg.Register            // the parameters in memory
	at, n    reg.GPVirtual           // bytes of elements done and to do
	flags    reg.Register            // those of the call
	outside  []Op                    // the lanes whose t lies outside the domain
	acc      reg.Register            // the sums: 16 of float64, then 16 of float32 for the last elements
	sums     []reg.VecVirtual        // those in registers: float64, then one of float32
	half     reg.GPVirtual           // which half of the lanes an AVX2 register has, in bytes
	later    []func()                // code for uncommon flags, behind the loop
	from     int                     // the first register of the step in work
}

// A slope completes the derivative, from what the value has left in registers.
type slope func() reg.VecVirtual

const (
	// pointsAhead is how far ahead of a group its inputs are fetched, in bytes.
	pointsAhead = 16 << 10
	// partials is the number of bytes whose terms are added in float32, four to a lane, before they
	// go to the float64 sums.
	partials = 256
)

// point emits the kernel of a loss.
func (g *gen) point(l pointwise) {
	if (l.kind == in64 || l.kind == in64Only) && g.elem == "F32" {
		g = g.inFloat64()
	}
	g.textWith(NOSPLIT, "point"+strings.ToUpper(l.name[:1])+l.name[1:],
		"func(dst, x, t, w, v, values *F, n int, p, sums *float64, flags uint32)",
		fmt.Sprintf("writes factor·w[i]·(%s) and scale·w[i]·l, and adds w[i]·l with l = %s.", l.derivative, l.formula))
	k := &points{gen: g, pointwise: l, scalar: map[string]Op{}, ptr: map[string]reg.Register{}}
	for _, name := range []string{"dst", "x", "t", "w", "v", "values"} {
		if name != "v" || l.kind == options {
			k.ptr[name] = Load(Param(name), GP64())
		}
	}
	k.n, k.at = GP64(), GP64()
	Load(Param("n"), k.n)
	SHLQ(U8(map[string]uint8{"F32": 2, "F64": 3}[g.elem]), k.n)
	XORL(k.at.As32(), k.at.As32())
	k.params, k.acc = Load(Param("p"), GP64()), Load(Param("sums"), GP64())
	k.flags = Load(Param("flags"), GP32())
	switch {
	case l.name == "bernoulli": // with the exponential and the logarithm of float64
		k.logistic = newGen(g.isa, "F64", "F64").logistic(l.logs)
	case l.logs >= 0:
		k.logistic = g.logistic(l.logs)
	}
	for _, name := range append([]string{"factor"}, strings.Split(l.scalars, "")...) {
		k.scalar[name] = k.place(k.spread(name))
	}
	depth, steps := 1, 1
	switch {
	case l.kind == simple && g.comp == "F32":
		depth, steps = 2*g.halves(), 2
	case l.kind == simple:
		depth = g.halves()
	}
	k.beginSums(depth)

	Label("loop")
	var sums []reg.VecVirtual
	for range steps {
		v := k.step(depth)
		for ; len(v) > k.halves(); v = v[:len(v)/2] { // 16 numbers and the next 16
			for i, upper := range v[len(v)/2:] {
				g.add(upper, v[i], v[i])
			}
		}
		for i, sum := range sums {
			g.add(v[i], sum, sum)
		}
		if sums == nil {
			sums = v
		}
		k.from += depth
	}
	for i, sum := range sums {
		switch {
		case depth == 1:
			k.addValue(sum)
		case k.comp == "F64":
			k.addTo(k.vecBytes()*i, sum)
		default:
			k.addWide(64*i, sum)
		}
	}
	ADDQ(U32(uint32(k.from*k.stride())), k.at)
	CMPQ(k.at, k.n)
	JL(LabelRef("loop"))
	k.endSums()
	VZEROUPPER()
	RET()
	for i := 0; i < len(k.later); i++ {
		k.later[i]()
	}
}

// step emits the work on some registers and returns the values.
func (k *points) step(depth int) (values []reg.VecVirtual) {
	x, t := k.operands(depth)
	k.look(t)
	var d []reg.VecVirtual
	var slopes []slope
	for i := range depth {
		value, slope := k.parts(k, x[i], t[i])
		values, slopes = append(values, value), append(slopes, slope)
	}
	k.done(values)
	for _, slope := range slopes {
		v := slope()
		k.mul(k.scalar["factor"], v, v)
		d = append(d, v)
	}
	k.results(d)
	Label(k.next())
	return values
}

// next is where the next step begins.
func (k *points) next() string { return fmt.Sprintf("next%d", k.from) }

// stride is the number of bytes that the elements of a register take.
func (k *points) stride() int { return k.lanes() * size(k.elem) }

// aside emits a jump to code behind the loop, which is made for calls with one of the flags and
// jumps back.
func (k *points) aside(flags uint32, code func(back LabelRef)) {
	labels++
	there, back := fmt.Sprintf("aside%d", labels), fmt.Sprintf("back%d", labels)
	TESTL(U32(flags), k.flags)
	JNZ(LabelRef(there))
	Label(back)
	from := k.from
	k.later = append(k.later, func() {
		k.from = from
		Label(there)
		code(LabelRef(back))
	})
}

// whenSet emits code that runs where a flag is set.
func (k *points) whenSet(flag uint32, code func()) {
	labels++
	skip := fmt.Sprintf("unset%d", labels)
	TESTL(U32(flag), k.flags)
	JZ(LabelRef(skip))
	code()
	Label(skip)
}

// memory is where the elements of register i of the step lie.
func (k *points) memory(name string, i int) Mem {
	return Mem{Base: k.ptr[name], Index: k.at, Scale: 1, Disp: (k.from + i) * k.stride()}
}

// get loads the elements of register i.
func (k *points) get(name string, i int) reg.VecVirtual {
	v := k.vec()
	if k.wide() {
		VCVTPS2PD(k.memory(name, i), v)
	} else {
		f(k.gen, VMOVUPS, VMOVUPD)(k.memory(name, i), v)
	}
	return v
}

// weights returns the weights of register i as an operand.
func (k *points) weights(i int) Op {
	if k.wide() {
		return k.get("w", i)
	}
	return k.memory("w", i)
}

// put stores the elements of register i.
func (k *points) put(v reg.VecVirtual, name string, i int, stream bool) {
	elem := newGen(k.isa, k.elem, k.elem)
	if k.wide() {
		n := k.narrow()
		k.narrowTo(v, n)
		v = n
	}
	if stream {
		f(elem, VMOVNTPS, VMOVNTPD)(v, k.memory(name, i))
		return
	}
	f(elem, VMOVUPS, VMOVUPD)(v, k.memory(name, i))
}

// operands loads x and t. What stands at a weight of 0 counts as x = 0 and t = 1, which lie in
// every domain.
func (k *points) operands(depth int) (x, t []reg.VecVirtual) {
	g := k.gen
	for i := range depth {
		x, t = append(x, k.get("x", i)), append(t, k.get("t", i))
	}
	k.fetch(depth, "x", "t")
	k.aside(pointWeights, func(back LabelRef) {
		for i := range depth {
			w := k.get("w", i)
			if g.is512() {
				dead := K()
				g.compare(equal, w, g.constant(0), dead)
				k.moveWhere(dead, g.zero(), x[i])
				f(g, VBROADCASTSS, VBROADCASTSD)(g.constant(1), dead, t[i])
			} else {
				dead, one := w, g.vec()
				g.compare(equal, w, g.constant(0), dead)
				VANDNPS(x[i], dead, x[i])
				g.set(g.constant(1), one)
				f(g, VBLENDVPS, VBLENDVPD)(dead, one, t[i], t[i])
			}
		}
		k.fetch(depth, "w")
		JMP(back)
	})
	return x, t
}

// fetch prefetches what depth elements need pointsAhead bytes further on, once for each cache line.
func (k *points) fetch(depth int, names ...string) {
	ahead := func(at int) {
		for _, name := range names {
			PREFETCHT0(Mem{Base: k.ptr[name], Index: k.at, Scale: 1, Disp: pointsAhead + k.from*k.stride() + at})
		}
	}
	if bytes := depth * k.stride(); bytes >= 64 {
		for at := 0; at < bytes; at += 64 {
			ahead(at)
		}
		return
	}
	if depth*k.stride() == 32 { // a second request for a line costs less than a test
		ahead(0)
		return
	}
	labels++
	skip := fmt.Sprintf("fetched%d", labels)
	TESTL(U32(63), k.at.As32())
	JNZ(LabelRef(skip))
	ahead(0)
	Label(skip)
}

// spread returns a parameter in every lane.
func (k *points) spread(name string) reg.VecVirtual {
	i := map[string]int{"factor": 0, "scale": 1, "a": 2, "b": 3, "c": 4}[name]
	if k.comp == "F64" {
		return k.broadcast(Mem{Base: k.params, Disp: 8 * i})
	}
	return k.broadcast(Mem{Base: k.params, Disp: 40 + 4*i})
}

// notAtLeast is true for NaN, as notGreater is.
const notAtLeast = 9

// look notes the lanes whose t lies outside the domain.
func (k *points) look(ts []reg.VecVirtual) {
	if k.domain == anything {
		return
	}
	g := k.gen
	for _, t := range ts {
		relation, a, b := notAtLeast, t, Op(g.constant(0))
		switch k.domain {
		case unitInterval: // the smaller of 1 - t and t is not negative
			a = g.vec()
			g.set(g.constant(1), a)
			g.sub(a, t, a)
			f(g, VMINPS, VMINPD)(t, a, a)
		case positive:
			relation = notGreater
		case signs:
			relation, a, b = notEqual, g.abs(t), g.constant(1)
		}
		if g.is512() {
			outside := K()
			g.compare(relation, a, b, outside)
			k.outside = append(k.outside, outside)
			continue
		}
		m, outside := g.vec(), AllocLocal(32)
		g.compare(relation, a, b, m)
		VMOVUPS(m, outside)
		k.outside = append(k.outside, outside)
	}
}

// done completes the values. What follows is for the derivative alone and must not change them.
func (k *points) done(values []reg.VecVirtual) {
	g, next := k.gen, k.next()
	for i, v := range values {
		switch {
		case k.domain == anything:
		case g.is512():
			f(g, VBROADCASTSS, VBROADCASTSD)(g.constant(math.NaN()), k.outside[i], v)
		default:
			VORPS(k.outside[i], v, v) // all bits set are a NaN
		}
	}
	rare := func() {
		k.whenSet(pointWeights, func() {
			for i, v := range values {
				g.mul(k.weights(i), v, v)
			}
		})
		k.whenSet(pointValues, func() {
			for i, v := range values {
				scaled := k.spread("scale")
				k.mul(v, scaled, scaled)
				k.put(scaled, "values", i, false)
			}
		})
	}
	if k.pointwise.logs == none { // one more test counts less than one more jump
		k.aside(pointWeights|pointValues, func(back LabelRef) {
			rare()
			JMP(back)
		})
		TESTL(U32(pointValueOnly), k.flags)
		JNZ(LabelRef(next))
		return
	}
	k.aside(pointValueOnly|pointWeights|pointValues, func(back LabelRef) {
		TESTL(U32(pointWeights|pointValues), k.flags)
		JZ(LabelRef(next)) // the value only
		rare()
		TESTL(U32(pointValueOnly), k.flags)
		JNZ(LabelRef(next))
		JMP(back)
	})
}

// results stores the derivatives.
func (k *points) results(d []reg.VecVirtual) {
	next := k.next()
	store := func(stream bool) {
		for i, v := range d {
			k.put(v, "dst", i, stream)
		}
	}
	k.aside(pointWeights|pointStream, func(back LabelRef) {
		k.whenSet(pointWeights, func() {
			for i, v := range d {
				k.gen.mul(k.weights(i), v, v)
			}
		})
		TESTL(U32(pointStream), k.flags)
		JZ(back)
		store(true)
		JMP(LabelRef(next))
	})
	store(false)
}
