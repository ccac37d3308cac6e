package gradcheck

import (
	"fmt"
	"math"

	"gorgonia.org/tensor"
)

// steady looks at the function itself: that a second run gives the same bits, and that nothing writes to what it reads.
func (k *checker) steady() error {
	f := k.differ.f
	for i, o := range k.ref.operands {
		if at := k.mutated(i); at != "" {
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
				k.report.find(NotDeterministic, "", "a second run gave %v after %v at %s of the result", v, k.differ.base[i], indexText(indexOf(i, k.differ.out)))
				break
			}
		}
	}
	k.ref.restore()
	return nil
}

// mutated says where input i of the reference differs from what it was.
func (k *checker) mutated(i int) string { return changed(k.ref.operands[i]) }

func changed(o *operand) string {
	for e, x := range o.pristine {
		if !sameBit(o.get(e), x) {
			return fmt.Sprintf(" at %s: %v became %v", indexText(indexOf(e, o.shape)), x, o.get(e))
		}
	}
	return ""
}

// watch runs the function once more and finds operations that write to an operand, be it an input or an intermediate.
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
			where := ""
			if len(k.differ.out) > 0 {
				where = " at " + indexText(indexOf(i, k.differ.out))
			}
			k.report.find(NaN, "", "the function is %v%s", v, where)
			k.mark(NaN, "the function itself is not finite")
			return false
		}
	}
	return len(k.grads) > 0
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

// compareValue holds the value that a pass's machine computed beside that of the operations run one by one.
func (k *checker) compareValue(j *judge, value []float64) {
	base := k.differ.base
	if len(value) != len(base) {
		k.report.find(Shape, j.pass.String(), "the machine's result has %d values, want %d", len(value), len(base))
		return
	}
	eps := epsOf(k.dtype)
	scale := largest(base)
	for i, v := range value {
		w := base[i]
		if k.dtype == tensor.Float32 {
			w = float64(float32(w))
		}
		if sameBit(v, w) {
			continue
		}
		// float32 results carry the rounding of all their operations: only a gross difference is a fault
		tol := 64 * eps * (math.Abs(w) + scale)
		if k.dtype == tensor.Float32 {
			tol *= 1 << 10
		}
		if !(math.Abs(v-w) <= tol) {
			k.report.find(Wrong, j.pass.String(), "the machine computes %v at %s of the result; the same operations run one by one give %v", v, indexText(indexOf(i, k.differ.out)), w)
			return
		}
	}
}

// repeat runs the pass again: same bits, inputs untouched.
func (k *checker) repeat(j *judge) {
	for i, o := range j.inst.operands {
		if at := changed(o); at != "" {
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
		for e := range first {
			if e >= len(p.values) || !sameBit(p.values[e], first[e]) {
				k.report.find(NotDeterministic, j.pass.String(), "a second run gave another gradient for input %q at %s", k.names[i], indexText(indexOf(e, j.parts[i].shape)))
				break
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

// gradientNoise returns the rounding error of element e of the gradient of input i, as a standard deviation.
func (k *checker) gradientNoise(j *judge, i, e int) float64 {
	if j.noise[i] == nil {
		k.measureGradientNoise(j)
	}
	if e < len(j.noise[i]) && finite(j.noise[i][e]) {
		return j.noise[i][e]
	}
	return 0
}

func (k *checker) measureGradientNoise(j *judge) {
	for i, p := range j.parts {
		j.noise[i] = make([]float64, len(p.values))
	}
	eval := func(g *gradient) ([]float64, error) {
		parts, _, err := g.run()
		var all []float64
		for i := range j.parts {
			if err == nil && len(parts[i].values) != len(j.parts[i].values) {
				err = fmt.Errorf("the gradient changed its shape")
			}
			if err != nil {
				return nil, err
			}
			all = append(all, parts[i].values...)
		}
		return all, err
	}
	var all []float64
	for _, p := range j.parts {
		all = append(all, p.values...)
	}
	var sigma []float64
	if k.dtype == tensor.Float64 {
		sigma, _ = noiseOf(j.inst, k.rng, func() ([]float64, error) { return eval(j.gradient) }, all)
	} else {
		sigma = k.spread(j, eval, len(all))
	}
	for i := range j.noise {
		n := len(j.noise[i])
		if len(sigma) >= n {
			copy(j.noise[i], sigma[:n])
			sigma = sigma[n:]
		}
	}
}

// spread is the rounding error of a float32 gradient: how the difference to the same gradient in float64 scatters over
// nearby points. A fault moves all the differences alike and adds nothing to it.
func (k *checker) spread(j *judge, eval func(*gradient) ([]float64, error), n int) []float64 {
	if j.twin == nil {
		twin, err := newGradient(j.pass, func() (*instance, error) { return k.instance(tensor.Float64) }, k.upstream)
		if err != nil {
			return nil
		}
		j.twin = twin
	}
	defer j.inst.restore()
	defer j.twin.inst.restore()
	sum, sq := make([]float64, n), make([]float64, n)
	count := 0.0
	for range noisePoints {
		for i, o := range j.inst.operands {
			if o.fixed {
				continue
			}
			for e, x := range o.pristine {
				// a few ulps towards 0, exactly the same point in both dtypes
				moved := o.set(e, x*(1-16*eps32*(0.5+k.rng.Float64())))
				j.twin.inst.operands[i].set(e, moved)
			}
		}
		a, err := eval(j.gradient)
		if err != nil {
			return nil
		}
		b, err := eval(j.twin)
		if err != nil || len(a) != n || len(b) != n {
			return nil
		}
		for e := range a {
			d := a[e] - b[e]
			sum[e] += d
			sq[e] += d * d
		}
		count++
	}
	for e := range sq {
		mean := sum[e] / count
		sq[e] = math.Sqrt(math.Max(0, sq[e]/count-mean*mean) * count / (count - 1))
	}
	return sq
}
