package gradcheck

import (
	"fmt"
	"math"
	"slices"
)

// steady looks at the function itself: that a second run gives the same bits, and that nothing
// writes to what it reads.
func (k *checker) steady() error {
	f := k.differ.f
	for i, o := range k.ref.operands {
		if at := changed(o, i, k.flaws); at != "" {
			f.mutates = true
			k.report.find(InputMutated, "", "evaluating the function wrote to input %q%s", o.name, at)
		}
	}
	k.ref.restore()
	if err := k.watch(); err != nil {
		return err
	}
	again, err := f.result(0, nil)
	if err != nil {
		return err
	}
	if !sameBits(again, k.differ.base) {
		for i, v := range again {
			if !sameBit(v, k.differ.base[i]) {
				k.report.find(NotDeterministic, "", "a second run gave %v after %v at %s of the result", v,
					k.differ.base[i], indexText(indexOf(i, k.differ.out)))
				break
			}
		}
	}
	k.ref.restore()
	return nil
}

// changed says where input i differs from what it was, and notes all such elements.
func changed(o *operand, i int, note flaws) (first string) {
	for e, x := range o.pristine {
		if now := o.get(e); !sameBit(now, x) {
			if first == "" {
				first = fmt.Sprintf("%s: %v became %v", atText(indexOf(e, o.shape)), x, now)
			}
			note[flawAt{i, e}] = InputMutated
		}
	}
	return first
}

// watch runs the function once more and finds operations that write to an operand, be it an input
// or an intermediate.
func (k *checker) watch() error {
	f := k.differ.f
	prints := make([]uint64, len(f.values))
	for s, v := range f.values[:len(f.inst.operands)] {
		prints[s] = fingerprint(v)
	}
	for i := range f.steps {
		st := &f.steps[i]
		for _, s := range st.in {
			if s >= len(f.inst.operands) {
				prints[s] = fingerprint(f.values[s])
			}
		}
		if err := f.do(st); err != nil {
			return err
		}
		for a, s := range st.in {
			if fingerprint(f.values[s]) != prints[s] {
				f.mutates = true
				k.report.find(InputMutated, "", "operation %v wrote to its operand %d", st.op, a)
				k.ref.restore()
				prints[s] = fingerprint(f.values[s])
			}
		}
	}
	return nil
}

// usable reports whether differences make sense; where they do not, every element says why.
func (k *checker) usable() bool {
	for _, f := range k.report.Findings {
		if f.Kind == NotDeterministic && f.Pass == "" {
			k.mark(NotDeterministic, "the function itself is not deterministic")
			return false
		}
	}
	for i, v := range k.differ.base {
		if !finite(v) && k.upstream[i] != 0 {
			k.report.find(NaN, "", "the function is %v%s%s", v, atText(indexOf(i, k.differ.out)), k.differ.f.culprit())
			k.mark(NaN, "the function itself is not finite")
			return false
		}
	}
	return len(k.grads) > 0
}

// culprit names the first operation that made something that is not finite from finite operands.
func (f *function) culprit() string {
	if err := f.run(); err != nil {
		return ""
	}
	whole := func(slot int) bool {
		if !isFloat(f.values[slot].Dtype()) {
			return true
		}
		x, err := flatten(f.values[slot], nil)
		return err == nil && !slices.ContainsFunc(x, func(v float64) bool { return !finite(v) })
	}
	for _, s := range f.steps {
		if !whole(s.out) && !slices.ContainsFunc(s.in, func(slot int) bool { return !whole(slot) }) {
			return fmt.Sprintf("; the first operation to leave the finite numbers is %v", s.op)
		}
	}
	return ""
}

// mark gives every element of every pass one verdict.
func (k *checker) mark(v Verdict, note string) {
	for _, j := range k.grads {
		for i, o := range k.ref.operands {
			if o.fixed {
				continue
			}
			for e := range o.pristine {
				el := Element{Pass: j.pass, Order: 1, Direction: -1, Input: o.name, Index: indexOf(e, o.shape),
					Analytic: math.NaN(), Numeric: math.NaN(), Abs: math.NaN(), Rel: math.NaN(), Tol: math.NaN(), Verdict: v, Note: note}
				if a := j.parts[i].values; e < len(a) {
					el.Analytic = a[e]
				}
				k.report.Elements = append(k.report.Elements, el)
			}
		}
	}
}

// compareValue holds the value that a pass's machine computed beside that of the same operations
// run one by one.
func (k *checker) compareValue(j *judge, value []float64) {
	base, err := k.direct()
	if err != nil {
		k.report.find(Wrong, j.pass.String(), "the machine computes what the operations run one by one do not: %v", err)
		return
	}
	if len(value) != len(base) {
		k.report.find(Shape, j.pass.String(), "the machine's result has %d values, want %d", len(value), len(base))
		return
	}
	scale := largest(base)
	for i, v := range value {
		// machines may add in another order
		w := base[i]
		if tol := 64 * epsOf(k.dtype) * (math.Abs(w) + scale); !sameBit(v, w) && !(math.Abs(v-w) <= tol) {
			k.report.find(Wrong, j.pass.String(), "the machine computes %v%s; the same operations run one by one give %v", v, atText(indexOf(i, k.differ.out)), w)
			return
		}
	}
}

// repeat runs the pass again: same bits, inputs untouched.
func (k *checker) repeat(j *judge) {
	for i, o := range j.inst.operands {
		if at := changed(o, i, j.flaws); at != "" {
			k.report.find(InputMutated, j.pass.String(), "the run wrote to input %q%s", k.nameOf(i), at)
		}
	}
	j.inst.restore()
	parts, _, err := j.run()
	if err != nil {
		k.report.find(NotDeterministic, j.pass.String(), "a second run failed: %v", err)
		return
	}
	j.inst.restore()
	for i, p := range parts {
		first := j.parts[i].values
		if sameBits(p.values, first) {
			continue
		}
		said := false
		for e := range first {
			if e < len(p.values) && sameBit(p.values[e], first[e]) {
				continue
			}
			if !said {
				k.report.find(NotDeterministic, j.pass.String(), "a second run gave another gradient for input %q%s",
					k.names[i], atText(indexOf(e, j.parts[i].shape)))
				said = true
			}
			if at := (flawAt{i, e}); j.flaws[at] == OK {
				j.flaws[at] = NotDeterministic
			}
		}
	}
}

// rebind moves the inputs by Let, runs the pass again and compares with a fresh build at the same
// point; then it goes back. A gradient that was computed when the graph was built, or that
// remembers the last run, does not follow.
func (k *checker) rebind(j *judge) {
	if j.pass == Lisp || len(j.flaws) > 0 {
		return // a LispMachine cannot be run again
	}
	at := make([][]float64, len(j.inst.operands))
	for i, o := range j.inst.operands {
		if o.fixed || i >= len(k.names) {
			continue
		}
		for e, x := range o.pristine {
			// towards 0, which does not leave the usual domains
			at[i] = append(at[i], o.set(e, x*(1-k.rng.Float64()/64)))
		}
	}
	defer j.inst.restore()
	fresh, err := k.newGradient(j.pass, k.dtype, at)
	if err != nil {
		return // outside the domain of the function
	}
	defer fresh.done()
	want, _, errFresh := fresh.run()
	got, _, err := j.run()
	j.inst.restore()
	switch {
	case errFresh != nil:
		return
	case err != nil:
		k.report.find(Wrong, j.pass.String(), "after rebinding the inputs by Let the run fails: %v", err)
		return
	}
	back, _, err := j.run()
	j.inst.restore()
	if err != nil {
		k.report.find(Wrong, j.pass.String(), "after rebinding the inputs by Let the run fails: %v", err)
		return
	}
	for i := range got {
		switch {
		case !sameBits(got[i].values, want[i].values):
			k.report.find(Wrong, j.pass.String(),
				"after rebinding the inputs by Let the gradient of %q is not that of the new values", k.names[i])
		case !sameBits(back[i].values, j.parts[i].values):
			k.report.find(Wrong, j.pass.String(),
				"after rebinding the inputs by Let and back the gradient of %q is another", k.names[i])
		}
	}
}

// agree compares the passes' gradients with each other.
func (k *checker) agree() {
	for b, second := range k.grads {
		for _, first := range k.grads[:b] {
			for i, o := range k.ref.operands {
				p, q := first.parts[i].values, second.parts[i].values
				if o.fixed || len(p) == 0 || len(p) != len(q) {
					continue
				}
				a := Agreement{A: first.pass, B: second.pass, Input: o.name}
				scale := math.Max(first.most[i], second.most[i])
				for e := range p {
					if sameBit(p[e], q[e]) {
						continue
					}
					d := math.Abs(p[e]-q[e]) / scale
					if math.IsNaN(d) {
						d = math.Inf(1)
					}
					if d > a.Diff {
						a.Diff, a.Index = d, indexOf(e, o.shape)
					}
				}
				k.report.Agreements = append(k.report.Agreements, a)
			}
		}
	}
}

func (k *checker) nameOf(i int) string {
	if i < len(k.names) {
		return k.names[i]
	}
	return "upstream"
}
