package core

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// This file is the one place that knows about weights, masks, ignored labels and denominators. The
// factor of a value is
//
//	s = weight × mask × (label not ignored)
//	None: s·l      Sum: Σ s·l      Mean: Σ s·l / Σ s·share
//
// where the share of a row is the class weight of its label, Σ_c w_c·t_c for a soft target under
// class weights, and 1 otherwise. Rows with s = 0 are never read.

// totals are the sums over all values that the reduction needs: numerator and denominator and,
// where the denominator depends on an operand, their derivatives along the direction.
type totals struct {
	n, d, dn, dd sum
	active       bool // a value has a part in the denominator
	err          error
}

func (t *totals) add(u *totals) {
	for _, p := range [...]struct{ to, from *sum }{{&t.n, &u.n}, {&t.d, &u.d}, {&t.dn, &u.dn}, {&t.dd, &u.dd}} {
		p.to.add(p.from.s)
		p.to.lost += p.from.lost
	}
	t.active = t.active || u.active
	if t.err == nil {
		t.err = u.err
	}
}

// share adds a value's part in the denominator.
func (t *totals) share(part float64) {
	t.d.add(part)
	t.active = t.active || part != 0
}

// allCount reports whether every value has the factor 1.
func (e *evaluation[F]) allCount() bool {
	return e.Labels == "" && !e.Weighted && e.MaskType == "" || e.Lists && !e.Weighted && e.MaskType == ""
}

// fixedNormalizer reports whether the denominator of Mean is given.
func (e *evaluation[F]) fixedNormalizer() bool { return e.Set.Normalizer != 0 || e.Normalized }

// denominatorVaries reports whether the denominator depends on a differentiable operand: the soft
// target under class weights.
func (b *Bound) denominatorVaries() bool {
	return b.Set.Reduction == Mean && b.Set.ClassWeights != nil && b.Labels == "" && !b.Def.MultiLabel &&
		!b.Normalized && b.Set.Normalizer == 0 && !b.IsMap && b.Floats > 1
}

// divisor returns what a weighted sum is divided by; none reports that no value has a part in it,
// which makes the loss 0. Where ranks meet first, t becomes the totals of all. Where they meet at
// the end, an error stays in t, and the denominator may not be known yet.
func (e *evaluation[F]) divisor(t *totals) (d float64, none bool, err error) {
	if e.Set.Sharded() || e.spread() {
		if e.joinFirst(t); e.spread() && !e.meetsFirst() {
			if d, none = e.quotient(t); none {
				d = 1
			}
			return d, false, nil
		}
	}
	if t.err != nil {
		return 0, false, t.err
	}
	d, none = e.quotient(t)
	return d, none, nil
}

// joinFirst makes totals of the pass for the denominator those of all shards, and of all ranks where
// these meet before the request.
func (e *evaluation[F]) joinFirst(t *totals) {
	if e.Set.Sharded() {
		*t = e.joinShards(*t)
	}
	if e.meetsFirst() {
		*t = e.meet(e.Set.Comm, *t, false)
	}
}

// quotient is the divisor of the totals of all values.
func (e *evaluation[F]) quotient(t *totals) (d float64, none bool) {
	switch {
	case e.Set.Reduction != Mean || e.IsMap:
		return 1, false
	case e.Set.Normalizer != 0:
		return e.Set.Normalizer, false
	case e.Normalized:
		return e.in.Normalizer, false
	case !t.active:
		return math.Inf(1), true
	}
	return t.d.value(), false
}

// reduced returns the result of the totals of a request, given those before it.
func (e *evaluation[F]) reduced(before, all *totals) (Result, error) {
	d, none := e.scale, false
	if e.Set.Sharded() || e.spread() {
		if d, none = e.joinLast(before, all); none && all.err == nil {
			return Result{}, nil
		}
	}
	if all.err != nil {
		return Result{}, all.err
	}
	n := all.n.value()
	result := Result{Numerator: n, Denominator: d, Value: n / d}
	if e.Normalized && d == 0 { // no value counts, or there is an error
		result.Value = 0
	}
	return result, nil
}

// joinLast makes totals of a request those of all shards and ranks and returns the divisor.
func (e *evaluation[F]) joinLast(before, all *totals) (d float64, none bool) {
	if e.Set.Sharded() {
		*all = e.joinShards(*all)
		if all.err == nil && e.Out != nil {
			all.err = e.sumOut(e.Out)
		}
	}
	if !e.spread() {
		return e.scale, false
	}
	first := e.meetsFirst()
	if !first {
		all.d, all.active = before.d, before.active
		if before.err != nil {
			all.err = before.err
		}
	}
	if *all = e.meet(e.Set.Comm, *all, false); all.err == nil && !first {
		return e.quotient(all)
	}
	return e.scale, false
}

// entry returns the place in weights or a mask of value i.
func (b *Bound) entry(s Shape, i int) int {
	if b.perRow(s) {
		return i / (b.Dims.Rows / s[0])
	}
	return i
}

// factors writes the factors of the values from lo on to s and their labels, -1 where a row does
// not count, to labels.
func (e *evaluation[F]) factors(s []float64, labels []int, lo int) error {
	for i := range s {
		s[i] = 1
	}
	if e.MaskType != "" {
		if err := e.maskFactors(s, lo); err != nil {
			return err
		}
	}
	if e.Labels != "" && !e.Lists {
		e.in.Ints[0].copyTo(labels[:len(s)], lo)
		if err := e.labelFactors(s, labels[:len(s)], lo); err != nil {
			return err
		}
	} else if e.Weighted {
		if err := e.weightFactors(s, lo); err != nil {
			return err
		}
	}
	if e.Normalized && e.in.Normalizer == 0 {
		for i, v := range s {
			if v != 0 {
				what := "example"
				if e.Def.Elementwise() {
					what = "element"
				}
				return Faultf(ErrValue, e.Def.Name, "normalizer is 0 with an active %s at %s, want a number > 0", what, e.Values.coordinates(lo+i))
			}
		}
	}
	return nil
}

// weightFactors replaces the factors of s that are not 0 by the weights.
func (e *evaluation[F]) weightFactors(s []float64, lo int) error {
	if !e.perRow(e.WeightShape) {
		weights := e.in.Weights[lo:][:len(s)]
		if _, largest := limits[F](); e.MaskType == "" && vec.Within(weights, -largest, largest) {
			copyWide(s, weights)
			return nil
		}
		odd := 0.0 // not 0 where a weight that is read is not finite
		for i, w := range weights {
			v := math.Float64frombits(math.Float64bits(float64(w)) &^ uint64(ifZero(s[i])))
			s[i] = v
			odd += v - v
		}
		if odd == 0 {
			return nil
		}
	}
	for i := range s {
		if s[i] != 0 {
			if s[i] = float64(e.in.Weights[e.entry(e.WeightShape, lo+i)]); !Finite(s[i]) {
				return e.badWeight(s[i], lo+i)
			}
		}
	}
	return nil
}

func (e *evaluation[F]) badWeight(w float64, i int) error {
	return Faultf(ErrValue, e.Def.Name, "weight is %v at %s, want a finite number", w, e.Values.coordinates(i))
}

// maskFactors multiplies s by the mask.
func (e *evaluation[F]) maskFactors(s []float64, lo int) error {
	if e.in.Mask != nil && e.perElement(e.MaskShape) {
		bad := uint8(0)
		for i, m := range e.in.Mask[lo:][:len(s)] {
			s[i] *= float64(m)
			bad |= m
		}
		if bad <= 1 {
			return nil
		}
	}
	for i := range s {
		m := e.in.maskAt(e.entry(e.MaskShape, lo+i))
		if m != 0 && m != 1 {
			return Faultf(ErrValue, e.Def.Name, "mask has %v at %s, want 0 or 1", m, e.Values.coordinates(lo+i))
		}
		s[i] *= m
	}
	return nil
}

// labelFactors multiplies s by the weights and by 0 for ignored labels, and checks the other
// labels.
func (e *evaluation[F]) labelFactors(s []float64, labels []int, lo int) error {
	ignore, classes := e.Set.Ignore, uint(e.shards.classes)
	first, second := -1, -1 // the labels that are ignored; of more than two every label goes the long way
	switch len(ignore) {
	case 0:
	case 1, 2:
		first, second = ignore[0], ignore[len(ignore)-1]
	default:
		classes = 0
	}
	var weights []F
	if e.Weighted {
		weights = e.in.Weights[lo:][:len(labels)]
	} else if classes > 0 { // factors are 1, or 0 by the mask
		s = s[:len(labels)]
		for i, y := range labels {
			if uint(y) < classes && y != first && y != second {
				continue
			}
			if s[i] != 0 && (y != first && y != second || len(ignore) == 0) {
				return e.badLabel(y, lo+i)
			}
			s[i], labels[i] = 0, -1
		}
		if e.MaskType != "" {
			for i, v := range s {
				labels[i] |= int(ifZero(v))
			}
		}
		return nil
	}
	for i, y := range labels {
		if weights != nil {
			if w := float64(weights[i]); uint(y) < classes && y != first && y != second && s[i] != 0 && w != 0 && Finite(w) {
				s[i] = w
				continue
			}
		}
		if s[i] == 0 || slices.Contains(ignore, y) || e.Weighted && e.in.Weights[lo+i] == 0 {
			s[i], labels[i] = 0, -1
			continue
		}
		if uint(y) >= uint(e.shards.classes) {
			return e.badLabel(y, lo+i)
		}
		if e.Weighted {
			if s[i] = float64(e.in.Weights[lo+i]); !Finite(s[i]) {
				return e.badWeight(s[i], lo+i)
			}
		}
	}
	return nil
}

// ifZero returns a number of all bits where v, which is not negative, is 0, and else 0. Masks in no
// order would make a branch costly.
func ifZero(v float64) int64 { return int64(math.Float64bits(v)-1) >> 63 }

func (e *evaluation[F]) badLabel(y, i int) error {
	return Faultf(ErrValue, e.Def.Name, "label is %d at %s, want one in [0, %d)", y, e.Values.coordinates(i), e.shards.classes)
}

// sharesOf adds the parts of a range of rows in the denominator, for which it may overwrite s. Those of soft targets under class
// weights are read from rows.
func (e *evaluation[F]) sharesOf(t *totals, s []float64, labels []int, lo int) {
	w := e.Set.ClassWeights
	common := 1.0
	switch {
	case w == nil || e.Def.Elementwise():
	case e.Def.MultiLabel:
		common = mean(w)
	case e.Labels != "" && !e.Lists:
		for i, v := range s {
			if v != 0 {
				s[i] = v * w[labels[i]]
				t.active = t.active || s[i] != 0
			}
		}
		t.d.addAll(s)
		return
	case e.Floats > 1:
		e.softShares(t, s, lo)
		return
	}
	sum := 0.0
	for _, v := range s {
		part := v * common
		sum += part
		t.active = t.active || part != 0
	}
	t.d.add(sum)
}

// softShares adds s·Σ_c w_c·t_c of each row.
func (e *evaluation[F]) softShares(t *totals, s []float64, lo int) {
	w, x, inner := e.local.ClassWeights, e.in.X[max(1, e.soft())], e.Dims.Inner
	for i, v := range s {
		if v == 0 {
			continue
		}
		mass := 0.0
		at := e.Dims.Place(lo + i)
		for _, c := range w {
			mass += c * float64(x[at])
			at += inner
		}
		t.share(v * mass)
	}
}

// denominator computes the denominator of Mean where it is not given.
func (e *evaluation[F]) denominator(all *totals) {
	if e.Set.Reduction != Mean || e.IsMap || e.fixedNormalizer() {
		return
	}
	if e.allCount() && (e.Set.ClassWeights == nil || e.Def.Elementwise()) {
		all.share(float64(e.Dims.Rows))
		return
	}
	if !e.countLabels(all) {
		e.ranges(sumShares, all)
	}
}

// countLabels counts the labels that are not ignored, where they alone decide and all are valid.
func (e *evaluation[F]) countLabels(t *totals) bool {
	if e.Labels == "" || e.Lists || e.Weighted || e.MaskType != "" || e.Set.ClassWeights != nil || len(e.Set.Ignore) > 2 {
		return false
	}
	ignore, other := -1, -1 // no valid labels
	if n := len(e.Set.Ignore); n > 0 {
		ignore, other = e.Set.Ignore[0], e.Set.Ignore[n-1]
	}
	n, valid := 0, false
	switch l := &e.in.Ints[0]; {
	case l.Int != nil:
		n, valid = countValid(l.Int, ignore, other, e.shards.classes)
	case l.Int64 != nil:
		n, valid = countValid(l.Int64, ignore, other, e.shards.classes)
	case l.Int32 != nil:
		n, valid = countValid(l.Int32, ignore, other, e.shards.classes)
	default:
		n, valid = countValid(l.Uint8, ignore, other, e.shards.classes)
	}
	if valid && (n > 0 || ignore != -1) {
		t.share(float64(n))
		e.counted = n == e.Dims.Rows && !e.Set.Sharded()
		return true
	}
	return false
}

// countValid counts the labels other than two and reports whether they all lie in [0, classes).
func countValid[T int | int64 | int32 | uint8](labels []T, ignore, other, classes int) (n int, valid bool) {
	ignored, bad := 0, 0
	for _, y := range labels {
		switch {
		case int(y) == ignore || int(y) == other:
			ignored++
		case uint(y) >= uint(classes):
			bad++
		}
	}
	return len(labels) - ignored, bad == 0
}

// elementShares adds the weights of a range of elements, and reports whether they are valid.
func (e *evaluation[F]) elementShares(w *work[F], lo, hi int) bool {
	per := e.elementsPerFactor()
	if per == 0 {
		weights, ok := e.elementWeights(w, lo, hi, 1)
		if !ok || weights == nil {
			return false
		}
		d, nonzero, finite := vec.SumWeights(weights)
		if !finite {
			return false
		}
		w.total.d.add(d)
		w.total.active = nonzero > 0
		return true
	}
	for a := lo; a < hi; {
		b := min(hi, (a/per+1)*per)
		var one [1]float64
		if e.factors(one[:], nil, a) != nil {
			return false
		}
		w.total.share(one[0] * float64(b-a))
		a = b
	}
	return true
}

// grain is the number of entries of a range: few enough to stay in the nearer caches, and to share
// among cores.
const grain = 1 << 14

// step is the number of values in a range.
func (d *Dims) step() int {
	n := max(1, grain/max(1, d.Cols))
	// Rows that lie side by side share lines of memory.
	if d.Inner >= 16 {
		n = max(n, 16)
	}
	if d.Inner >= 64 && d.Cols <= 1024 {
		n = max(n, 64)
	}
	if n >= 16 {
		n &^= 15
	}
	return n
}
