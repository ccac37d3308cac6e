package loss

import (
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// factors is the one place that knows about weights, masks, ignored labels and denominators:
//
//	s = sample weight × mask × (label not ignored)
//	None: s·l      Sum: Σ s·l      Mean: Σ s·l / Σ s·share
//
// where the share of a row is the class weight of its label, Σ_c w_c·t_c for a soft target under class weights and 1
// otherwise. Rows with s = 0 are never read.
type factors[F float] struct {
	of      *spec
	labels  func(i int) int
	listed  func(i int) int // the elements of lists of classes
	weights []F
	mask    func(i int) float64
	norm    float64
}

// bind reads the values of labels, weights, mask and normalizer, which stand in this order at the head of in.
func (f *factors[F]) bind(s *spec, in []G.Value) error {
	f.of = s
	n := s.outShape.TotalSize()
	next := func() G.Value { v := in[0]; in = in[1:]; return v }
	var err error
	if s.hasLabels() {
		read, err := labelReader(next(), s.labelShape().TotalSize())
		if err != nil {
			return faultf(ErrShape, s.def.name, "labels have %v", err)
		}
		if f.labels = read; s.lists {
			f.labels, f.listed = nil, read
		}
	}
	if s.weighted {
		if f.weights, err = flat[F](next(), n); err != nil {
			return faultf(ErrShape, s.def.name, "weights have %v", err)
		}
	}
	if s.hasMask() {
		if f.mask, err = maskReader[F](next(), n); err != nil {
			return faultf(ErrShape, s.def.name, "mask has %v", err)
		}
	}
	if s.normalized {
		v, err := flat[F](next(), 1)
		if err != nil {
			return faultf(ErrShape, s.def.name, "normalizer has %v", err)
		}
		if f.norm = float64(v[0]); !(f.norm >= 0) || !finite(f.norm) {
			return faultf(ErrValue, s.def.name, "normalizer is %v, want a finite number >= 0", v[0])
		}
	}
	return nil
}

// maskReader returns the entries of a mask as numbers.
func maskReader[F float](v G.Value, n int) (func(i int) float64, error) {
	switch v.Dtype() {
	case tensor.Bool:
		m, err := flat[bool](v, n)
		return func(i int) float64 { return float64(count(m[i])) }, err
	case tensor.Uint8:
		m, err := flat[uint8](v, n)
		return func(i int) float64 { return float64(m[i]) }, err
	}
	m, err := flat[F](v, n)
	return func(i int) float64 { return float64(m[i]) }, err
}

// plain returns the number of values when each counts with factor 1 and share 1.
func (f *factors[F]) plain() (n int, ok bool) {
	if f.labels != nil || f.weights != nil || f.mask != nil || f.of.set.classWeights != nil && !f.of.def.elementwise {
		return 0, false
	}
	return f.of.outShape.TotalSize(), true
}

// uniform reports that every value counts with factor 1.
func (f *factors[F]) uniform() bool { return f.labels == nil && f.weights == nil && f.mask == nil }

// factor returns s of value i.
func (f *factors[F]) factor(i int) (float64, error) {
	s := 1.0
	if f.mask != nil {
		if s = f.mask(i); s != 0 && s != 1 {
			return 0, faultf(ErrValue, f.of.def.name, "mask has %v at %s, want 0 or 1", s, f.place(i))
		}
	}
	if s != 0 && f.labels != nil {
		label := f.labels(i)
		if slices.Contains(f.of.set.ignore, label) {
			return 0, nil
		}
		if f.weights != nil && f.weights[i] == 0 {
			return 0, nil
		}
		if label < 0 || label >= f.of.classes {
			return 0, faultf(ErrValue, f.of.def.name, "label is %d at %s, want one in [0, %d)", label, f.place(i), f.of.classes)
		}
	}
	if s != 0 && f.weights != nil {
		w := float64(f.weights[i])
		if !finite(w) {
			return 0, faultf(ErrValue, f.of.def.name, "weight is %v at %s, want a finite number", w, f.place(i))
		}
		s = w
	}
	return s, nil
}

// share is the row's part in the denominator beside s; r is loaded.
func (f *factors[F]) share(r *row) float64 {
	w := f.of.set.classWeights
	switch {
	case w == nil:
		return 1
	case r.label >= 0:
		return w[r.label]
	case f.of.def.multilabel:
		return mean(w)
	case f.of.operands == 2:
		return dot(w, r.x[1])
	}
	return 1
}

// denominator is the part of value i in the denominator, for specs where that does not take reading a row.
func (f *factors[F]) denominator(i int) totals {
	if f.of.def.elementwise {
		return f.runDenominator(i)
	}
	s, err := f.factor(i)
	if s == 0 || err != nil {
		return totals{err: err}
	}
	share := 1.0
	if w := f.of.set.classWeights; f.of.def.multilabel && w != nil {
		share = mean(w)
	} else if w != nil {
		share = w[f.labels(i)]
	}
	return totals{d: s * share, active: s*share != 0}
}

func mean(w []float64) float64 {
	sum := 0.0
	for _, v := range w {
		sum += v
	}
	return sum / float64(len(w))
}

// runDenominator is denominator for a run of elements.
func (f *factors[F]) runDenominator(i int) (t totals) {
	for e := i * run; e < min((i+1)*run, f.of.outShape.TotalSize()); e++ {
		s, err := f.factor(e)
		if err != nil {
			return totals{err: err}
		}
		t.d += s
		t.active = t.active || s != 0
	}
	return t
}

// check looks at a loaded row's entries whose domain is restricted, and at the normalizer.
func (f *factors[F]) check(r *row, i int, s float64) error {
	if f.of.normalized && f.norm == 0 && s != 0 {
		return faultf(ErrValue, f.of.def.name, "normalizer is 0 with an active example at %s, want a number > 0", f.place(i))
	}
	for k, class := range r.list {
		if class < 0 || class >= f.of.classes {
			return faultf(ErrValue, f.of.def.name, "class %d of the list at %s is %d, want one in [0, %d), or -1 after the last", k, f.place(i), class, f.of.classes)
		}
		if slices.Contains(r.list[:k], class) {
			return faultf(ErrValue, f.of.def.name, "class %d of the list at %s is %d again, want each class once", k, f.place(i), class)
		}
	}
	for k, x := range r.x {
		if d := f.of.domain[k]; d.checked() && x != nil && !d.holdsAll(x) {
			for c, v := range x {
				if !d.holds(v) {
					return faultf(ErrValue, f.of.def.name, "%s is %v at %s class %d, want %v", f.of.def.operandName(k), v, f.place(i), c, d)
				}
			}
		}
	}
	return nil
}

// checkRun is check for a run of elements that all count.
func (f *factors[F]) checkRun(r *row) error {
	restricted := f.of.normalized && f.norm == 0
	for k := range f.of.operands {
		restricted = restricted || f.of.domain[k].checked() && !f.of.domain[k].holdsAll(r.x[k])
	}
	if !restricted {
		return nil
	}
	for e := range r.x[0] {
		if err := f.checkAt(r, e); err != nil {
			return err
		}
	}
	return nil
}

// checkAt is check for one element of a run.
func (f *factors[F]) checkAt(r *row, e int) error {
	if f.of.normalized && f.norm == 0 {
		return faultf(ErrValue, f.of.def.name, "normalizer is 0 with an active element at %s, want a number > 0", f.place(r.at+e))
	}
	for k := range f.of.operands {
		if d := f.of.domain[k]; !d.holds(r.x[k][e]) {
			return faultf(ErrValue, f.of.def.name, "%s is %v at %s, want %v", f.of.def.operandName(k), r.x[k][e], f.place(r.at+e), d)
		}
	}
	return nil
}

// place words the position of value i by its coordinates.
func (f *factors[F]) place(i int) string {
	if len(f.of.outShape) == 0 {
		return "the only row"
	}
	at := make(tensor.Shape, len(f.of.outShape))
	for a := len(at) - 1; a >= 0; a-- {
		at[a] = i % f.of.outShape[a]
		i /= f.of.outShape[a]
	}
	if len(at) == 1 {
		return "row " + shapeText(at)[1:len(shapeText(at))-1]
	}
	return "row " + shapeText(at)
}
