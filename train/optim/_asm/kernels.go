package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

type vec = reg.VecVirtual

// rule is an optimizer's update. All begin with p ← keep·p and d = g + l2·p.
type rule struct {
	name  string
	slots int
	coefs int // constants of its own, after keep and l2
	// update returns the new p and slots.
	update func(t target, c []vec, p, d vec, slots []vec) (vec, []vec)
}

// The constants c are those of the function of the same name in rules.go, from its third on.
var rules = []rule{
	{"sgd", 0, 1, func(t target, c []vec, p, d vec, _ []vec) (vec, []vec) {
		return t.sub(p, t.mul(c[0], d)), nil
	}},
	{"momentum", 1, 2, func(t target, c []vec, p, d vec, s []vec) (vec, []vec) {
		v := t.add(t.mul(c[1], s[0]), d)
		return t.sub(p, t.mul(c[0], v)), []vec{v}
	}},
	{"nesterov", 1, 2, func(t target, c []vec, p, d vec, s []vec) (vec, []vec) {
		v := t.add(t.mul(c[1], s[0]), d)
		return t.sub(p, t.mul(c[0], t.add(d, t.mul(c[1], v)))), []vec{v}
	}},
	{"adam", 2, 6, func(t target, c []vec, p, d vec, s []vec) (vec, []vec) {
		m := t.add(s[0], t.mul(c[1], t.sub(d, s[0])))
		v := t.add(t.mul(c[2], s[1]), t.mul(t.mul(c[3], d), d))
		root := t.add(t.mul(t.sqrt(v), c[4]), c[5])
		return t.sub(p, t.mul(c[0], t.div(m, root))), []vec{m, v}
	}},
	{"rmsprop", 1, 4, func(t target, c []vec, p, d vec, s []vec) (vec, []vec) {
		v := t.add(t.mul(c[1], s[0]), t.mul(t.mul(c[2], d), d))
		return t.sub(p, t.mul(c[0], t.div(d, t.add(t.sqrt(v), c[3])))), []vec{v}
	}},
	{"adagrad", 1, 2, func(t target, c []vec, p, d vec, s []vec) (vec, []vec) {
		v := t.add(s[0], t.mul(d, d))
		return t.sub(p, t.mul(c[0], t.div(d, t.add(t.sqrt(v), c[1])))), []vec{v}
	}},
	{"lion", 1, 6, func(t target, c []vec, p, d vec, s []vec) (vec, []vec) {
		u := t.add(t.mul(c[1], s[0]), t.mul(c[2], d))
		// rate with the sign of u; c[5] is -0, the sign's bit
		signed := t.or(t.and(u, c[5]), c[0])
		m := t.add(t.mul(c[3], s[0]), t.mul(c[4], d))
		return t.sub(p, t.whereNotZero(u, signed)), []vec{m}
	}},
}

// rule writes func(p, d, a, b *F, n int, c *F): the update of n elements, a multiple of a vector's.
func (t target) rule(r rule) {
	names := []string{"p", "d", "a", "b"}[:2+r.slots]
	ptrs, n := t.begin(r.name, "func(p, d, a, b *%[1]s, n int, c *%[1]s)",
		"updates p by the gradient d and the slots a and b with the constants c.", names...)
	from := Load(Param("c"), GP64())
	var c []vec
	for i := range 2 + r.coefs {
		c = append(c, t.broadcast(Mem{Base: from, Disp: i * t.size()}))
	}
	Label("loop")
	p := t.mul(c[0], t.load(Mem{Base: ptrs[0]}))
	d := t.add(t.load(Mem{Base: ptrs[1]}), t.mul(c[1], p))
	var slots []vec
	for _, s := range ptrs[2:] {
		slots = append(slots, t.load(Mem{Base: s}))
	}
	p, slots = r.update(t, c[2:], p, d, slots)
	VMOVUPD(p, Mem{Base: ptrs[0]})
	for i, s := range slots {
		VMOVUPD(s, Mem{Base: ptrs[2+i]})
	}
	t.end(ptrs, n, t.bytes())
	VZEROUPPER()
	RET()
}

// lanes is the number of sums that squares keeps apart.
const lanes = 32

// squares writes func(sums *float64, x *F, n int): sums[i%32] += x[i]², in float64, for n a multiple of 32.
func (t target) squares() {
	ptrs, n := t.begin("squares", "func(sums *float64, x *%s, n int)",
		"adds the square of x[i] to sums[i%32].", "x")
	sums := Load(Param("sums"), GP64())
	d := target{t.suffix, t.wide, true}
	per := d.bytes() / 8
	var s []vec
	for i := range lanes / per {
		s = append(s, d.load(Mem{Base: sums, Disp: i * d.bytes()}))
	}
	Label("loop")
	for i := range s {
		at := Mem{Base: ptrs[0], Disp: i * per * t.size()}
		v := t.vec()
		if t.double {
			VMOVUPD(at, v)
		} else {
			VCVTPS2PD(at, v)
		}
		VMULPD(v, v, v)
		VADDPD(v, s[i], s[i])
	}
	t.end(ptrs, n, lanes*t.size())
	for i := range s {
		VMOVUPD(s[i], Mem{Base: sums, Disp: i * d.bytes()})
	}
	VZEROUPPER()
	RET()
}

// each writes a kernel func(x *F, f F, n int) that replaces every element.
func (t target) each(name, doc string, setup func(f vec) func(v vec) vec) {
	ptrs, n := t.begin(name, "func(x *%[1]s, f %[1]s, n int)", doc, "x")
	f, err := Param("f").Resolve()
	if err != nil {
		panic(err)
	}
	apply := setup(t.broadcast(f.Addr))
	Label("loop")
	VMOVUPD(apply(t.load(Mem{Base: ptrs[0]})), Mem{Base: ptrs[0]})
	t.end(ptrs, n, t.bytes())
	VZEROUPPER()
	RET()
}

func (t target) scale() {
	t.each("scale", "multiplies x by f.", func(f vec) func(v vec) vec {
		return func(v vec) vec { return t.mul(v, f) }
	})
}

func (t target) clamp() {
	t.each("clamp", "moves x into [-f, f]; NaN stays.", func(f vec) func(v vec) vec {
		zero := t.vec()
		if t.wide {
			VPXORQ(zero, zero, zero)
		} else {
			VPXOR(zero, zero, zero)
		}
		low := t.sub(zero, f)
		return func(v vec) vec { return t.max(low, t.min(f, v)) }
	})
}

// accumulate writes func(dst, src *F, n int): dst[i] += src[i].
func (t target) accumulate() {
	ptrs, n := t.begin("accumulate", "func(dst, src *%s, n int)", "adds src to dst.", "dst", "src")
	Label("loop")
	VMOVUPD(t.add(t.load(Mem{Base: ptrs[0]}), t.load(Mem{Base: ptrs[1]})), Mem{Base: ptrs[0]})
	t.end(ptrs, n, t.bytes())
	VZEROUPPER()
	RET()
}
