package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rule is an optimizer's update. All begin with p ← keep·p and d = g + l2·p.
type rule struct {
	name  string
	slots int
	coefs int // constants of its own, after keep and l2
	// update returns the new p and slots.
	update func(t values, c []reg.VecVirtual, p, d reg.VecVirtual, slots []reg.VecVirtual) (reg.VecVirtual, []reg.VecVirtual)
}

// notZero is the predicate of VCMPPS that is false for NaN and does not trap.
const notZero = 0x0c

// The constants c are those of the function of the same name in optim/rules.go, from its third on.
var rules = []rule{
	{"sgd", 0, 1, func(t values, c []reg.VecVirtual, p, d reg.VecVirtual, _ []reg.VecVirtual) (reg.VecVirtual, []reg.VecVirtual) {
		return t.sub(p, t.mul(c[0], d)), nil
	}},
	{"momentum", 1, 2, func(t values, c []reg.VecVirtual, p, d reg.VecVirtual, s []reg.VecVirtual) (reg.VecVirtual, []reg.VecVirtual) {
		v := t.add(t.mul(c[1], s[0]), d)
		return t.sub(p, t.mul(c[0], v)), []reg.VecVirtual{v}
	}},
	{"nesterov", 1, 2, func(t values, c []reg.VecVirtual, p, d reg.VecVirtual, s []reg.VecVirtual) (reg.VecVirtual, []reg.VecVirtual) {
		v := t.add(t.mul(c[1], s[0]), d)
		return t.sub(p, t.mul(c[0], t.add(d, t.mul(c[1], v)))), []reg.VecVirtual{v}
	}},
	{"adam", 2, 6, func(t values, c []reg.VecVirtual, p, d reg.VecVirtual, s []reg.VecVirtual) (reg.VecVirtual, []reg.VecVirtual) {
		m := t.add(s[0], t.mul(c[1], t.sub(d, s[0])))
		v := t.add(t.mul(c[2], s[1]), t.mul(t.mul(c[3], d), d))
		root := t.add(t.mul(t.sqrt(v), c[4]), c[5])
		return t.sub(p, t.mul(c[0], t.div(m, root))), []reg.VecVirtual{m, v}
	}},
	{"rmsprop", 1, 4, func(t values, c []reg.VecVirtual, p, d reg.VecVirtual, s []reg.VecVirtual) (reg.VecVirtual, []reg.VecVirtual) {
		v := t.add(t.mul(c[1], s[0]), t.mul(t.mul(c[2], d), d))
		return t.sub(p, t.mul(c[0], t.div(d, t.add(t.sqrt(v), c[3])))), []reg.VecVirtual{v}
	}},
	{"adagrad", 1, 2, func(t values, c []reg.VecVirtual, p, d reg.VecVirtual, s []reg.VecVirtual) (reg.VecVirtual, []reg.VecVirtual) {
		v := t.add(s[0], t.mul(d, d))
		return t.sub(p, t.mul(c[0], t.div(d, t.add(t.sqrt(v), c[1])))), []reg.VecVirtual{v}
	}},
	{"lion", 1, 6, func(t values, c []reg.VecVirtual, p, d reg.VecVirtual, s []reg.VecVirtual) (reg.VecVirtual, []reg.VecVirtual) {
		u := t.add(t.mul(c[1], s[0]), t.mul(c[2], d))
		// rate with the sign of u; c[5] is -0, the sign's bit
		signed := t.or(t.and(u, c[5]), c[0])
		m := t.add(t.mul(c[3], s[0]), t.mul(c[4], d))
		return t.sub(p, t.where(t.cmp(notZero, u, t.zero()), signed)), []reg.VecVirtual{m}
	}},
}

// updateKernels emits the kernels of package optim.
func updateKernels(isa string) {
	for _, elem := range []string{"F32", "F64"} {
		t := newValues(isa, elem)
		for _, r := range rules {
			t.rule(r)
		}
		t.squares()
		t.scaled()
		t.clamp()
		t.accumulate()
	}
}

// beginUpdate begins a kernel and loads its pointers and count. The signature has %[1]s for the
// type of element.
func (t values) beginUpdate(kernel, signature, doc string, pointers ...string) (ptrs []reg.Register, n reg.Register) {
	begin(fmt.Sprintf("%s%d%s", kernel, 8*size(t.elem), t.isa), fmt.Sprintf(signature, t.goType()), doc)
	for _, p := range pointers {
		ptrs = append(ptrs, Load(Param(p), GP64()))
	}
	return ptrs, Load(Param("n"), GP64())
}

// endLoop closes the loop over elements of each array, and the kernel after it.
func (t values) endLoop(ptrs []reg.Register, n reg.Register) {
	t.next(ptrs, n, t.lanes())
	end()
}

// next closes a loop that takes so many elements of each array.
func (t values) next(ptrs []reg.Register, n reg.Register, elems int) {
	bytes := make([]int, len(ptrs))
	for i := range bytes {
		bytes[i] = elems * size(t.elem)
	}
	advance(ptrs, bytes, n, elems)
}

// rule emits func(p, d, a, b *F, n int, c *F): the update of n elements, a multiple of a vector's.
func (t values) rule(r rule) {
	names := []string{"p", "d", "a", "b"}[:2+r.slots]
	ptrs, n := t.beginUpdate(r.name, "func(p, d, a, b *%[1]s, n int, c *%[1]s)",
		"updates p by the gradient d and the slots a and b with the constants c.", names...)
	from := Load(Param("c"), GP64())
	var c []reg.VecVirtual
	for i := range 2 + r.coefs {
		c = append(c, t.broadcast(Mem{Base: from, Disp: i * size(t.elem)}))
	}
	Label("loop")
	p := t.mul(c[0], t.loaded(Mem{Base: ptrs[0]}))
	d := t.add(t.loaded(Mem{Base: ptrs[1]}), t.mul(c[1], p))
	var slots []reg.VecVirtual
	for _, s := range ptrs[2:] {
		slots = append(slots, t.loaded(Mem{Base: s}))
	}
	p, slots = r.update(t, c[2:], p, d, slots)
	VMOVUPD(p, Mem{Base: ptrs[0]})
	for i, s := range slots {
		VMOVUPD(s, Mem{Base: ptrs[2+i]})
	}
	t.endLoop(ptrs, n)
}

// squareLanes is the number of sums that squares keeps apart.
const squareLanes = 32

// squares emits func(sums *float64, x *F, n int): sums[i%32] += x[i]², in float64, for n a multiple
// of 32.
func (t values) squares() {
	ptrs, n := t.beginUpdate("squares", "func(sums *float64, x *%s, n int)",
		"adds the square of x[i] to sums[i%32].", "x")
	sums := Load(Param("sums"), GP64())
	d := newValues(t.isa, "F64")
	per := d.vecBytes() / 8
	var s []reg.VecVirtual
	for i := range squareLanes / per {
		s = append(s, d.loaded(Mem{Base: sums, Disp: i * d.vecBytes()}))
	}
	Label("loop")
	for i := range s {
		at := Mem{Base: ptrs[0], Disp: i * per * size(t.elem)}
		v := t.vec()
		if t.elem == "F64" {
			VMOVUPD(at, v)
		} else {
			VCVTPS2PD(at, v)
		}
		VMULPD(v, v, v)
		VADDPD(v, s[i], s[i])
	}
	t.next(ptrs, n, squareLanes)
	for i := range s {
		VMOVUPD(s[i], Mem{Base: sums, Disp: i * d.vecBytes()})
	}
	end()
}

// each emits a kernel func(x *F, f F, n int) that replaces every element.
func (t values) each(name, doc string, setup func(f reg.VecVirtual) func(v reg.VecVirtual) reg.VecVirtual) {
	ptrs, n := t.beginUpdate(name, "func(x *%[1]s, f %[1]s, n int)", doc, "x")
	apply := setup(t.param("f"))
	Label("loop")
	VMOVUPD(apply(t.loaded(Mem{Base: ptrs[0]})), Mem{Base: ptrs[0]})
	t.endLoop(ptrs, n)
}

func (t values) scaled() {
	t.each("scale", "multiplies x by f.", func(f reg.VecVirtual) func(v reg.VecVirtual) reg.VecVirtual {
		return func(v reg.VecVirtual) reg.VecVirtual { return t.mul(v, f) }
	})
}

func (t values) clamp() {
	t.each("clamp", "moves x into [-f, f]; NaN stays.", func(f reg.VecVirtual) func(v reg.VecVirtual) reg.VecVirtual {
		low := t.sub(t.zero(), f)
		return func(v reg.VecVirtual) reg.VecVirtual { return t.max(low, t.min(f, v)) }
	})
}

// accumulate emits func(dst, src *F, n int): dst[i] += src[i].
func (t values) accumulate() {
	ptrs, n := t.beginUpdate("accumulate", "func(dst, src *%s, n int)", "adds src to dst.", "dst", "src")
	Label("loop")
	VMOVUPD(t.add(t.loaded(Mem{Base: ptrs[0]}), t.loaded(Mem{Base: ptrs[1]})), Mem{Base: ptrs[0]})
	t.endLoop(ptrs, n)
}
