package core

import (
	"slices"

	"github.com/surprisal-go/surprisal/tensorops"
)

// groupWork is the working memory of one range of groups.
type groupWork[F Float] struct {
	group        Group
	at           []int
	s            []float64 // the factor of each value
	x, dir, grad [MaxPlaces][]float64
	ints         [MaxPlaces][]int
	value        []float64
	factor       []float64
	parts        [3][]float64
	weight       []float64
	region       region // of the entries that are there
	labels       []int  // of all entries, where labelled is set
	labelled     bool
	classes      bool // all labels are classes
	stream       stream[F]

	native              NativeGroup[F]
	nativeX, nativeGrad [MaxPlaces][]F
	scattered           bool            // an operand is not read in its own memory
	held                [MaxPlaces]bool // floating operands of which the range has only numbers in their domains

	e *evaluation[F] // whose group it is
}

// free keeps the memory alone.
func (w *groupWork[F]) free() {
	g, n := &w.group, &w.native
	*g = Group{floats: g.floats.free(), ints: g.ints.free(), singles: g.singles.free()}
	w.stream, w.labels = stream[F]{products: w.stream.products[:0]}, nil
	*n = NativeGroup[F]{floats: n.floats.free(), singles: n.singles.free()}
	w.e = nil
}

// groups is the part of an evaluation that is about groups.
type groups[F Float] struct {
	segments [][]int // the entries of each group
	ids      map[int]int
	dst      [MaxOperands][]F // where the derivatives go
	partial  []float64        // of all ranges: the derivatives of operands that groups share
	shared   int              // of one range
	do       func(lo, hi int) // computes a range; made once
	kernel   GroupKernel[F]   // nil: the group function computes all
}

// byGroups computes what is requested of a loss whose values read groups.
func (e *evaluation[F]) byGroups(fault error) (Result, error) {
	if e.gathers() {
		return e.gathered(fault)
	}
	e.countGroups()
	before := totals{err: fault}
	if fault == nil {
		before = e.groupDenominator()
	}
	d, none, err := e.divisor(&before)
	if err != nil {
		return Result{}, err
	}
	if none {
		e.clearResults()
		return Result{}, nil
	}
	if e.Order == OrderDenominator {
		return Result{Value: d, Denominator: d}, nil
	}
	e.scale = d
	clear(e.Out)
	if e.Set.Has(OptSegments) {
		e.clearResults()
	}
	var all totals
	if before.err == nil {
		all = e.groupRanges(compute)
	}
	return e.reduced(&before, &all)
}

// clearResults writes 0 to all results.
func (e *evaluation[F]) clearResults() {
	clear(e.Out)
	for _, d := range e.derivatives() {
		clear(d)
	}
}

// countGroups finds the groups that segments make.
func (e *evaluation[F]) countGroups() {
	g := &e.group
	g.segments = g.segments[:0]
	if !e.Set.Has(OptSegments) {
		return
	}
	if g.ids == nil {
		g.ids = make(map[int]int)
	}
	clear(g.ids)
	for k := range e.Integers {
		if !e.Def.Operands[e.integer[k]].Option.Has(OptSegments) {
			continue
		}
		for i := range e.grouped.entries {
			id := e.in.Ints[k].at(i)
			if id < 0 {
				continue
			}
			at, ok := g.ids[id]
			if !ok {
				at = len(g.segments)
				g.ids[id] = at
				g.segments = slices.Grow(g.segments, 1)[:at+1]
				g.segments[at] = g.segments[at][:0]
			}
			g.segments[at] = append(g.segments[at], i)
		}
	}
}

// groupCount is the number of groups.
func (e *evaluation[F]) groupCount() int {
	if e.Set.Has(OptSegments) {
		return len(e.group.segments)
	}
	return e.grouped.dims.Groups
}

// groupDenominator computes the denominator of Mean where it is not given.
func (e *evaluation[F]) groupDenominator() (t totals) {
	switch {
	case e.grouped.whole(e.Bound):
		t.share(1)
	case e.Set.Reduction != Mean || e.fixedNormalizer():
	case e.complete() && !e.Weighted && e.grouped.parts == nil:
		t.share(float64(e.groupCount() * e.grouped.values))
	default:
		return e.groupRanges(sumShares)
	}
	return t
}

// complete reports whether all groups lie side by side with all of their entries.
func (e *evaluation[F]) complete() bool {
	return e.MaskType == "" && !e.grouped.byLabel && !e.Set.Has(OptSegments)
}

// groupRanges performs a task on all ranges of groups and adds their totals in order.
func (e *evaluation[F]) groupRanges(t task) (all totals) {
	e.task = t
	n, step := e.groupCount(), e.Dims.step()
	ranges := (n + step - 1) / step
	if cap(e.parts) < ranges {
		e.parts = make([]totals, ranges)
	}
	e.parts = e.parts[:ranges]
	g := &e.group
	g.dst, g.shared, g.kernel = e.derivatives(), 0, e.groupKernel()
	for k, d := range g.dst {
		if d != nil && e.grouped.layout[e.operand[k]].shared {
			g.shared += len(d)
		}
	}
	if t == compute {
		clear(Fit(&g.partial, g.shared*ranges))
	}
	if g.do == nil {
		g.do = e.groupRange
	}
	tensorops.ParallelFor(n, step, g.do)
	for i := range e.parts {
		all.add(&e.parts[i])
	}
	if t == compute && all.err == nil {
		e.addShared(ranges)
	}
	return all
}

// groupRange performs the task on one range of groups.
func (e *evaluation[F]) groupRange(lo, hi int) {
	w := getWork[F](0)
	defer w.put()
	defer w.groups.free()
	at := lo / e.Dims.step()
	e.checkRange(&w.groups, lo, hi)
	plain := e.group.kernel != nil && e.complete() && !e.Weighted
	for i := lo; i < hi && w.total.err == nil; i++ {
		if plain { // all entries are there, and nothing but the kernel can fail
			w.groups.group.N, w.groups.group.At = e.grouped.entries, nil
			if e.groupByKernel(&w.groups, &w.total, i, 1) {
				continue
			}
		}
		w.total.err = e.oneGroup(&w.groups, &w.total, i, at)
	}
	e.parts[at] = w.total
}

// addShared adds the derivatives of operands that groups share, in the order of the ranges.
func (e *evaluation[F]) addShared(ranges int) {
	at := 0
	for k, d := range e.group.dst {
		if d == nil || !e.grouped.layout[e.operand[k]].shared {
			continue
		}
		for i := range d {
			v := 0.0
			for r := range ranges {
				v += e.group.partial[r*e.group.shared+at+i]
			}
			d[i] = F(v)
		}
		at += len(d)
	}
}

// oneGroup performs the task on group i, which is in a range.
func (e *evaluation[F]) oneGroup(w *groupWork[F], t *totals, i, at int) error {
	y := e.grouped
	g := &w.group
	w.labelled, w.e = false, e
	if err := e.entriesOf(w, i); err != nil {
		return err
	}
	if g.N == 0 {
		e.clearGroup(w, i)
		return nil
	}
	values := y.values
	if y.perItem {
		values = values / y.entries * g.N
	}
	if g.Whole = y.whole(e.Bound); g.Whole {
		values = 1
	}
	s := Fit(&w.s, values)
	if err := e.groupFactors(w, s, i); err != nil {
		return err
	}
	if !y.Inside && !slices.ContainsFunc(s, func(f float64) bool { return f != 0 }) {
		e.clearGroup(w, i)
		return nil
	}
	if e.group.kernel != nil && e.groupByKernel(w, t, i, s[0]) {
		return nil
	}
	*g = Group{Index: i, N: g.N, All: y.entries, At: g.At, Weight: g.Weight, Whole: g.Whole, anchors: e.in.anchors, name: e.Def.Name,
		floats: g.floats.free(), ints: g.ints.free(), singles: g.singles.free()}
	if err := e.packGroup(w, i); err != nil {
		return err
	}
	g.Parts, g.Num, g.Den = ones(&w.parts[0], values), ones(&w.parts[1], values), ones(&w.parts[2], values)
	if y.parts != nil && !g.Whole {
		if err := w.call(y.parts); err != nil {
			return err
		}
	}
	if e.task == sumShares {
		for v := range s {
			t.share(s[v] * g.Den[v])
		}
		return nil
	}
	counts := false
	for v := range s {
		s[v] *= g.Parts[v]
		if y.dims.Mean || e.Numerator {
			s[v] *= g.Num[v]
		}
		counts = counts || s[v] != 0
	}
	if !counts && !y.Inside {
		e.clearGroup(w, i)
		return nil
	}
	if e.Order == OrderTangent && e.Out != nil {
		return e.groupTangents(w, s, i)
	}
	g.Factor = Fit(&w.factor, values)
	for v := range s {
		g.Factor[v] = e.groupUpstream(w, i, v) * s[v] / e.scale
	}
	e.requestGroup(w, i)
	if y.Streamed != "" && g.At != nil {
		e.clearGroup(w, i)
	}
	if g.Part() {
		clear(g.Value)
	}
	if err := w.call(y.f); err != nil {
		return err
	}
	e.storeGroup(w, i, at)
	e.groupValues(w, t, s, i)
	return nil
}

// call calls a function of the group.
func (w *groupWork[F]) call(f func(*Group) error) error {
	if err := f(&w.group); err != nil || w.stream.fault == nil {
		return err
	}
	return w.stream.fault
}

func ones(buf *[]float64, n int) []float64 {
	s := Fit(buf, n)
	for i := range s {
		s[i] = 1
	}
	return s
}

// valuePlace returns where value v of group i stands among the values.
func (e *evaluation[F]) valuePlace(w *groupWork[F], i, v int) int {
	y, g := e.grouped, &w.group
	switch {
	case y.single:
		return g.Position(0)
	case y.perItem:
		per := y.values / y.entries
		at := g.Position(v/per)*per + v%per
		if e.Set.Has(OptSegments) {
			return at
		}
		return i*y.values + at
	}
	return i*y.values + v
}

// groupFactors writes the factors of the values of group i to s, or its weights to the group.
func (e *evaluation[F]) groupFactors(w *groupWork[F], s []float64, i int) error {
	y, g := e.grouped, &w.group
	for v := range s {
		s[v] = 1
	}
	if e.Normalized && e.in.Normalizer == 0 {
		return Faultf(ErrValue, e.Def.Name, "normalizer is 0 with an active value at %s, want a number > 0", e.Values.coordinates(e.valuePlace(w, i, 0)))
	}
	if !e.Weighted {
		return nil
	}
	weight := func(at int) (float64, error) {
		v := float64(e.in.Weights[at])
		if !Finite(v) {
			return 0, Faultf(ErrValue, e.Def.Name, "weight is %v at %s, want a finite number", v, e.WeightShape.coordinates(at))
		}
		return v, nil
	}
	if y.weights {
		g.Weight = Fit(&w.weight, g.N)
		for k := range g.Weight {
			at := g.Position(k)
			if !e.Set.Has(OptSegments) {
				at += i * y.entries
			}
			v, err := weight(at)
			if err != nil {
				return err
			}
			g.Weight[k] = v
		}
		if y.single && !y.Items { // a list's weight stands at each of its items
			for k, v := range g.Weight {
				if v != g.Weight[0] {
					return Faultf(ErrValue, e.Def.Name, "weights are %v and %v in one segment, want one weight for all of its items, at %s", g.Weight[0], v, e.WeightShape.coordinates(g.Position(k)))
				}
			}
			s[0], g.Weight = g.Weight[0], nil
		}
		return nil
	}
	for v := range s {
		at := i
		if !y.perGroup {
			at = e.valuePlace(w, i, v)
		}
		f, err := weight(at)
		if err != nil {
			return err
		}
		s[v] = f
	}
	return nil
}

// groupUpstream returns the upstream of value v of group i.
func (e *evaluation[F]) groupUpstream(w *groupWork[F], i, v int) float64 {
	switch {
	case e.in.Upstream == nil || e.Order == OrderTangent:
		return 1
	case e.Set.Reduction == None:
		return float64(e.in.Upstream[e.valuePlace(w, i, v)])
	}
	return float64(e.in.Upstream[0])
}

// groupValues adds the values of group i, or the tangent, to the numerator and writes those of None.
func (e *evaluation[F]) groupValues(w *groupWork[F], t *totals, s []float64, i int) {
	g := &w.group
	if e.Order == OrderTangent { // the factors are divided by the scale, which divides the sum again
		place := e.operand[e.Wrt]
		t.n.add(w.takeTangent(place) * e.scale)
		return
	}
	for v, l := range g.Value {
		if s[v] != 0 {
			e.addValue(w, t, i, v, s[v]*l)
		}
	}
}

// addValue adds value v of group i, times its factor, to the numerator, and writes it under None.
func (e *evaluation[F]) addValue(w *groupWork[F], t *totals, i, v int, l float64) {
	t.n.add(l)
	if e.Out != nil {
		e.Out[e.valuePlace(w, i, v)] = F(l)
	}
}

// groupTangents writes the tangent of each value under None: the inner product of its gradient and
// the direction.
func (e *evaluation[F]) groupTangents(w *groupWork[F], s []float64, i int) error {
	g := &w.group
	place := e.operand[e.Wrt]
	g.Factor = Fit(&w.factor, len(s))
	e.requestTangent(w, place)
	floats, ints, singles := g.floats.used, g.ints.used, g.singles.used
	for v := range s {
		if s[v] == 0 {
			continue
		}
		clear(g.Factor)
		g.Factor[v] = s[v]
		g.floats.used, g.ints.used, g.singles.used = floats, ints, singles
		if err := w.call(e.grouped.f); err != nil {
			return err
		}
		e.Out[e.valuePlace(w, i, v)] = F(w.takeTangent(place))
	}
	return nil
}
