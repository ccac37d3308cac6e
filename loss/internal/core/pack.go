package core

import (
	"math"
	"slices"
	"strings"
)

// entriesOf finds the entries of group i that are there.
func (e *evaluation[F]) entriesOf(w *groupWork[F], i int) error {
	y, g := e.grouped, &w.group
	g.N, g.At = y.entries, nil
	var from []int
	if e.Set.Has(OptSegments) {
		from = e.group.segments[i]
		g.N = len(from)
	}
	one := e.task == sumShares && y.parts == nil && !y.perItem // whether there is one is all that counts
	if e.MaskType == "" && (!y.byLabel || from == nil && !one && !e.someIgnored(w, i)) {
		g.At = from
		return nil
	}
	at := Fit(&w.at, g.N)[:0]
	for k := range g.N {
		if one && len(at) > 0 {
			break
		}
		p := k
		if from != nil {
			p = from[k]
		}
		place := i*y.entries + p
		if e.Set.Has(OptSegments) {
			place = p
		}
		if e.MaskType != "" {
			m := e.in.maskAt(place)
			if m != 0 && m != 1 {
				return Faultf(ErrValue, e.Def.Name, "mask has %v at %s, want 0 or 1", m, e.MaskShape.coordinates(place))
			}
			if m == 0 {
				continue
			}
		}
		if y.byLabel && e.ignored(i, p) {
			continue
		}
		at = append(at, p)
	}
	if len(at) < y.entries || from != nil {
		g.At = at
	}
	g.N = len(at)
	return nil
}

// labelled returns the number of the integer operand whose entries have labels, or -1.
func (e *evaluation[F]) labelled() int {
	for k := range e.Integers {
		place := e.integer[k]
		if e.Def.Operands[place].Holds.TakesLabels() {
			return k
		}
	}
	return -1
}

// ignored reports whether the label of entry p of group i is ignored.
func (e *evaluation[F]) ignored(i, p int) bool {
	k := e.labelled()
	if k < 0 {
		return false
	}
	y := &e.grouped.layout[e.integer[k]]
	at := y.base(i)
	if len(y.entries[0]) > 0 {
		at += offset(y.entries[0], p)
	}
	return slices.Contains(e.Set.Ignore, e.in.Ints[k].at(at))
}

// someIgnored reports whether a label of group i is ignored.
func (e *evaluation[F]) someIgnored(w *groupWork[F], i int) bool {
	k := e.labelled()
	if k < 0 {
		return false
	}
	y := &e.grouped.layout[e.integer[k]]
	labels := packInts(&w.ints[e.integer[k]], &e.in.Ints[k], y.base(i), &y.all)
	w.labels, w.labelled, w.classes = labels, true, among(labels, e.grouped.classes-1)
	return slices.ContainsFunc(e.Set.Ignore, func(v int) bool {
		isClass := v >= 0 && v < e.grouped.classes
		return (isClass || !w.classes) && slices.Contains(labels, v)
	})
}

// packGroup reads the operands of group i.
func (e *evaluation[F]) packGroup(w *groupWork[F], i int) error {
	g := &w.group
	if e.task == sumShares && e.grouped.parts == nil {
		return nil // what is in the group does not matter
	}
	for k := range e.Integers {
		place := e.integer[k]
		y := &e.grouped.layout[place]
		r, base := w.regionOf(y), y.base(i)
		checked := false
		if w.labelled && g.At == nil && k == e.labelled() {
			g.Int[place], checked = w.labels, w.classes
		} else {
			g.Int[place] = packInts(&w.ints[place], &e.in.Ints[k], base, r)
		}
		if !checked {
			if err := e.checkInts(g.Int[place], k, base, r.loops); err != nil {
				return err
			}
		}
		if e.Def.Operands[place].Holds.numeric() {
			g.X[place] = Fit(&w.x[place], r.size)
			for j, v := range g.Int[place] {
				g.X[place][j] = float64(v)
			}
		}
	}
	if e.grouped.Streamed != "" {
		w.stream.e, w.stream.w = e, w
		g.access = &w.stream
		if e.in.Dir != nil {
			g.Dir[e.operand[e.Wrt]] = requested
		}
		return nil
	}
	for k := range e.Floats {
		place := e.operand[k]
		if e.task == sumShares && !e.grouped.Scan && !e.Def.Operands[place].Data {
			continue
		}
		y := &e.grouped.layout[place]
		r, base := w.regionOf(y), y.base(i)
		g.X[place] = pack(&w.x[place], e.in.X[k][base:], r)
		if h := e.Domain[k]; h.Checked() && !h.HoldsAll(g.X[place]) {
			if err := e.findOutside(g.X[place], 1, k, base, r.loops); err != nil {
				return err
			}
		}
		if e.in.Dir != nil && k == e.Wrt && e.task == compute {
			g.Dir[place] = pack(&w.dir[place], e.in.Dir[base:], r)
		}
	}
	return nil
}

// own returns the elements of a region in their own memory; nil where they do not lie there one after
// another, or are of another type.
func own[F Float](x []F, r *region) []float64 {
	if d, ok := any(x).([]float64); ok && r.dense {
		return d[:r.size:r.size]
	}
	return nil
}

// pack returns the elements of a region: their own memory where that is possible.
func pack[F Float](buf *[]float64, x []F, r *region) []float64 {
	if d := own(x, r); d != nil {
		return d
	}
	dst := Fit(buf, r.size)
	gather(dst, x, r.loops)
	return dst
}

// storeEntries writes the derivative by an operand of group i to its place in d, and 0 to the entries
// that are not there.
func storeEntries[D, F Float](e *evaluation[F], w *groupWork[F], y *groupLayout, d []F, src []D, i int) {
	if w.group.At != nil && len(y.entries[0]) > 0 && !e.Zeroed {
		e.clearPlace(y, d, i)
	}
	scatter(d[y.base(i):], src, w.regionOf(y).loops)
}

// packInts is pack of integers.
func packInts(buf *[]int, x *Ints, base int, r *region) []int {
	if x.Int != nil && r.dense {
		return x.Int[base : base+r.size : base+r.size]
	}
	dst := Fit(buf, r.size)
	gatherInts(dst, x, base, r.loops)
	return dst
}

// placeOf returns where element j of the loops lies.
func placeOf(loops []loop, j int) (at int) {
	for i := len(loops) - 1; i >= 0; i-- {
		at += loops[i].step(j % loops[i].n)
		j /= loops[i].n
	}
	return at
}

// findOutside returns the error for the first entry outside the domain of floating operand k, of
// which x has so many numbers, each of all entries after the other.
func (e *evaluation[F]) findOutside(x []float64, numbers, k, base int, loops []loop) error {
	for i := range x {
		j := i%numbers*(len(x)/numbers) + i/numbers
		if d, v := e.Domain[k], x[j]; !d.Holds(v) {
			return Faultf(ErrValue, e.Def.Name, "%s is %v at %s, want %v", e.OperandName(k), v, e.shapes[k].coordinates(base+placeOf(loops, j)), d)
		}
	}
	return nil
}

// among reports whether all of x are from 0 to hi; a number outside has the sign in one of the
// two.
func among(x []int, hi int) bool {
	outside, more := 0, 0
	for ; len(x) >= 4; x = x[4:] {
		outside |= x[0] | (hi - x[0]) | x[1] | (hi - x[1])
		more |= x[2] | (hi - x[2]) | x[3] | (hi - x[3])
	}
	for _, v := range x {
		outside |= v | (hi - v)
	}
	return outside|more >= 0
}

// checkInts checks the entries of integer operand k.
func (e *evaluation[F]) checkInts(x []int, k, base int, loops []loop) error {
	o := &e.Def.Operands[e.integer[k]]
	lo, hi := math.MinInt, math.MaxInt
	switch {
	case o.Holds.TakesLabels():
		lo, hi = 0, e.grouped.classes-1
		if among(x, hi) {
			return nil
		}
	case o.Holds == Lengths, o.Holds == Relations:
		lo = 0
	case o.Holds == Flags, o.Holds == SoftFlags:
		lo, hi = 0, 1
	case o.Holds == SignFlags:
		lo, hi = -1, 1
	}
	for j, v := range x {
		if v >= lo && v <= hi && !(o.Holds == SignFlags && v == 0) {
			continue
		}
		at := e.Integers[k].Shape.coordinates(base + placeOf(loops, j))
		if o.Holds.TakesLabels() {
			name := e.IntegerName(k)
			if name == "labels" {
				name = "label"
			}
			return Faultf(ErrValue, e.Def.Name, "%s is %d at %s, want one in [0, %d)", name, v, at, e.grouped.classes)
		}
		name := e.IntegerName(k)
		if o.Holds == Lengths {
			name = strings.TrimSuffix(name, "s")
		}
		return Faultf(ErrValue, e.Def.Name, "%s is %d at %s, want %v", name, v, at, o.Holds)
	}
	return nil
}

// requestGroup tells the group what to compute.
func (e *evaluation[F]) requestGroup(w *groupWork[F], i int) {
	g := &w.group
	if e.Order.hasValue() && e.Order != OrderTangent {
		g.Value = Fit(&w.value, len(g.Factor))
	}
	if e.Order == OrderTangent {
		e.requestTangent(w, e.operand[e.Wrt])
		return
	}
	for k, d := range e.group.dst {
		if d == nil {
			continue
		}
		place := e.operand[k]
		out := &g.Grad[place]
		if e.Order == OrderHessian {
			out = &g.Hess[place]
		}
		if e.grouped.Streamed != "" {
			*out = requested
			continue
		}
		y := &e.grouped.layout[place]
		r := w.regionOf(y)
		if !y.shared {
			*out = own(d[y.base(i):], r)
		}
		if *out == nil {
			*out = Fit(&w.grad[place], r.size)
		}
	}
}

// requestTangent requests a gradient whose inner product with the direction is wanted.
func (e *evaluation[F]) requestTangent(w *groupWork[F], place int) {
	g := &w.group
	if g.Grad[place] = requested; e.grouped.Streamed == "" {
		g.Grad[place] = Fit(&w.grad[place], len(g.X[place]))
	}
}

// storeGroup writes the derivatives of group i to their places.
func (e *evaluation[F]) storeGroup(w *groupWork[F], i, at int) {
	g := &w.group
	shared := e.group.partial[at*e.group.shared:][:e.group.shared]
	if e.Order == OrderTangent || e.grouped.Streamed != "" {
		return
	}
	for k, d := range e.group.dst {
		if d == nil {
			continue
		}
		place := e.operand[k]
		out := g.Grad[place]
		if e.Order == OrderHessian {
			out = g.Hess[place]
		}
		y := &e.grouped.layout[place]
		if y.shared {
			for j, v := range out {
				shared[j] += v
			}
			shared = shared[len(out):]
			continue
		}
		if own(d[y.base(i):], w.regionOf(y)) == nil {
			storeEntries(e, w, y, d, out, i)
		}
	}
}

// clearPlace writes 0 to all entries of group i, the masked ones included.
func (e *evaluation[F]) clearPlace(y *groupLayout, d []F, i int) {
	if e.Set.Has(OptSegments) {
		return // all is cleared at the beginning
	}
	d = d[y.base(i):]
	if y.all.dense {
		clear(d[:y.all.size])
		return
	}
	for j := range y.all.size {
		d[placeOf(y.all.loops, j)] = 0
	}
}

// clearGroup writes 0 to the derivatives of a group that has no part.
func (e *evaluation[F]) clearGroup(w *groupWork[F], i int) {
	if e.task == compute && !e.Zeroed {
		e.clearDerivatives(i)
	}
}

// clearDerivatives writes 0 to the derivatives of group i.
func (e *evaluation[F]) clearDerivatives(i int) {
	for k, d := range e.group.dst {
		if y := &e.grouped.layout[e.operand[k]]; d != nil && !y.shared {
			e.clearPlace(y, d, i)
		}
	}
}
