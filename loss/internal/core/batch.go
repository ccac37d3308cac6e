package core

import "slices"

// A Batch is some groups with one value each, as the fast form of a loss reads them: rows of
// numbers in the operands' own dtype, and in their own memory where they lie one after another.
// Entries that are masked are not in a row.
type Batch[F Float] struct {
	N    int
	X    [MaxPlaces]Rows[F] // operands; integers as numbers
	Grad [MaxPlaces]Rows[F] // requested derivatives, to be written in full; what a factor of 0 leaves there is of no account

	Value  []float64 // the values; nil: not requested
	Factor []float64 // of the values, in the derivatives
	// Part receives the part of each group in the denominator of Mean, 0 for one that has none; nil
	// for losses without parts. Where Factor is nil it is all that is requested.
	Part []float64

	left    []bool
	floats  scratch[float64]
	singles scratch[float32]
}

// Rows are numbers of groups, those of one after those of another.
type Rows[F Float] struct {
	All  []F
	size int   // of every row; or
	ends []int // where each ends
}

// At returns the numbers of a group; nil where there are none of any.
func (r *Rows[F]) At(i int) []F {
	switch {
	case r.All == nil:
		return nil
	case r.ends == nil:
		return r.All[i*r.size : (i+1)*r.size : (i+1)*r.size]
	case i == 0:
		return r.All[:r.ends[0]:r.ends[0]]
	}
	return r.All[r.ends[i-1]:r.ends[i]:r.ends[i]]
}

// A BatchFunc is the fast form of the mathematics of a loss whose groups have one value each, for
// values and first derivatives.
type BatchFunc[F Float] func(b *Batch[F])

// Batches holds the fast form for both element types; nil: none.
type Batches struct {
	F32 BatchFunc[float32]
	F64 BatchFunc[float64]
}

// Leave leaves a group to the group function, which computes all of it. That must depend on the
// group alone, and nothing may have been written for it.
func (b *Batch[F]) Leave(i int) { b.left[i] = true }

// Give gives the value of a group, if it is requested.
func (b *Batch[F]) Give(i int, v float64) {
	if b.Value != nil {
		b.Value[i] = v
	}
}

// Buf returns n numbers with arbitrary content, until the function returns.
func (b *Batch[F]) Buf(n int) []float64 { return b.floats.take(n) }

// Singles is Buf for float32.
func (b *Batch[F]) Singles(n int) []float32 { return b.singles.take(n) }

// batchNumbers is about how many numbers a batch has: all of them stay in the nearer
// caches.
const batchNumbers = 1 << 13

// batchWork is the memory of a batch.
type batchWork[F Float] struct {
	batch         Batch[F]
	groups        []int // the groups
	s             []float64
	value, factor []float64
	part          []float64
	left          []bool
	x, grad       [MaxPlaces][]F
	ends          [MaxPlaces][]int
	ints          []int
	at            []int // the entries of all groups, where some are not there
	atEnds        []int
}

// entries returns the entries of the j-th group; nil: all are there.
func (w *batchWork[F]) entries(j int) []int {
	if w.at == nil {
		return nil
	}
	lo := 0
	if j > 0 {
		lo = w.atEnds[j-1]
	}
	return w.at[lo:w.atEnds[j]]
}

// batchFunc returns the fast form, or nil where the task is not for it.
func (e *evaluation[F]) batchFunc() BatchFunc[F] {
	y := e.grouped
	switch {
	case !e.Order.hasKernel() || y.weights || y.whole(e.Bound) || e.task == sumShares && y.parts == nil:
		return nil
	case e.Normalized && e.in.Normalizer == 0: // the group function words the error
		return nil
	}
	return ofType[BatchFunc[F]](y.batches.F32, y.batches.F64)
}

// byBatches performs the task on the groups of a range, batch by batch.
func (e *evaluation[F]) byBatches(w *groupWork[F], t *totals, f BatchFunc[F], lo, hi, at int) error {
	per := max(1, min(64, batchNumbers/e.Dims.Cols))
	if e.Set.Has(OptSegments) {
		per = 16
	}
	for i := lo; i < hi; i += per {
		if err := e.oneBatch(w, t, f, i, min(i+per, hi), at); err != nil {
			return err
		}
	}
	return nil
}

// oneBatch performs the task on the groups from lo up to hi.
func (e *evaluation[F]) oneBatch(w *groupWork[F], t *totals, f BatchFunc[F], lo, hi, at int) error {
	y, m := e.grouped, &w.batch
	plain := e.MaskType == "" && !y.byLabel && !e.Set.Has(OptSegments)
	if err := e.chooseGroups(w, lo, hi, plain); err != nil {
		return err
	}
	n := len(m.groups)
	if n == 0 {
		return nil
	}
	b := &m.batch
	*b = Batch[F]{N: n, left: fit(&m.left, n), floats: b.floats.free(), singles: b.singles.free()}
	clear(b.left)
	if y.parts != nil {
		b.Part = ones(&m.part, n)
	}
	if e.task == compute {
		b.Factor = fit(&m.factor, n)
		for j, i := range m.groups {
			w.group.At = m.entries(j)
			b.Factor[j] = e.groupUpstream(w, i, 0) * m.s[j] / e.scale
		}
		if e.Order.hasValue() {
			b.Value = fit(&m.value, n)
		}
	}
	if e.readBatch(w, lo, hi, plain) {
		f(b)
	} else {
		for j := range b.left {
			b.left[j] = true
		}
	}
	if e.task == compute {
		e.writeBatch(w)
	}
	for j, i := range m.groups {
		switch {
		case b.left[j]:
			if err := e.oneGroup(w, t, i, at); err != nil {
				return err
			}
			continue
		case e.task == sumShares:
			t.share(m.s[j] * b.Part[j])
			continue
		case !e.counts(m, j):
			e.clearOf(w, i)
			continue
		case b.Factor[j] == 0:
			e.clearOf(w, i)
		}
		if b.Value != nil {
			l := b.Value[j] * m.s[j]
			t.n.add(l)
			if e.Out != nil {
				w.group.At = m.entries(j)
				e.Out[e.valuePlace(w, i, 0)] = F(l)
			}
		}
	}
	return nil
}

// counts reports whether group j of a batch has a part.
func (e *evaluation[F]) counts(m *batchWork[F], j int) bool {
	return m.s[j] != 0 && (m.batch.Part == nil || m.batch.Part[j] != 0)
}

// clearOf writes 0 to the derivatives of group i, which the batch may have written to.
func (e *evaluation[F]) clearOf(w *groupWork[F], i int) {
	for k, d := range e.group.dst {
		if d != nil {
			e.clearPlace(w, &e.grouped.layout[e.operand[k]], d, i)
		}
	}
}

// chooseGroups finds the groups of a batch with their entries and factors. Those without entries
// are done with; others stay where all lie one after another.
func (e *evaluation[F]) chooseGroups(w *groupWork[F], lo, hi int, plain bool) error {
	m := &w.batch
	m.groups, m.s, m.at, m.atEnds = m.groups[:0], m.s[:0], m.at[:0], m.atEnds[:0]
	if w.group = w.group.free(); plain {
		m.at = nil
	}
	for i := lo; i < hi; i++ {
		s := [1]float64{1}
		if !plain {
			w.group.At = nil
			if err := e.entriesOf(w, i); err != nil {
				return err
			}
			if w.group.N == 0 {
				e.clearGroup(w, i)
				continue
			}
			for k := range w.group.N {
				m.at = append(m.at, w.group.Position(k))
			}
			m.atEnds = append(m.atEnds, len(m.at))
		}
		if e.Weighted {
			if err := e.groupFactors(w, s[:], i); err != nil {
				return err
			}
		}
		m.groups, m.s = append(m.groups, i), append(m.s, s[0])
	}
	return nil
}

// consecutive reports whether the groups of an operand lie one after another.
func (y *groupLayout) consecutive() bool {
	return dense(y.plain) && (len(y.over) == 0 || len(y.over) == 1 && y.over[0].stride == y.size)
}

// readBatch gives the batch its operands, and the memory of derivatives. It reports false where a
// number is out of its domain.
func (e *evaluation[F]) readBatch(w *groupWork[F], lo, hi int, plain bool) bool {
	m, b := &w.batch, &w.batch.batch
	for k := range e.Integers {
		place := e.integer[k]
		y := &e.grouped.layout[place]
		if !e.Def.Operands[place].Holds.numeric() {
			continue // identifiers of segments
		}
		row := fit(&m.x[place], len(m.groups))
		one := fit(&m.ints, len(m.groups))
		for j, i := range m.groups {
			one[j] = e.in.Ints[k].at(y.base(i))
			row[j] = F(one[j])
		}
		if e.checkInts(one, k, 0, []loop{{n: len(one), stride: 0}}) != nil {
			return false
		}
		b.X[place] = Rows[F]{All: row, size: 1}
	}
	for k := range e.Floats {
		place := e.operand[k]
		y := &e.grouped.layout[place]
		direct := plain && y.consecutive()
		if r := &b.X[place]; direct {
			*r = Rows[F]{All: e.in.X[k][lo*y.size : hi*y.size], size: y.size}
		} else {
			e.gatherBatch(w, r, k, place)
		}
		if h := e.Domain[k]; h.Checked() && !holdsAll(h, b.X[place].All) {
			return false
		}
		if d := e.group.dst[k]; d != nil && e.task == compute {
			if b.Grad[place] = b.X[place]; direct {
				b.Grad[place].All = d[lo*y.size : hi*y.size]
			} else {
				b.Grad[place].All = fit(&m.grad[place], len(b.X[place].All))
			}
		}
	}
	return true
}

// gatherBatch copies the rows of floating operand k.
func (e *evaluation[F]) gatherBatch(w *groupWork[F], r *Rows[F], k, place int) {
	m, y := &w.batch, &e.grouped.layout[place]
	all, ends := m.x[place][:0], m.ends[place][:0]
	for j, i := range m.groups {
		loops, n := w.loopsOf(y, m.entries(j))
		from := len(all)
		all = slices.Grow(all, n)[:from+n]
		gather(all[from:], e.in.X[k][y.base(i):], loops)
		ends = append(ends, len(all))
	}
	m.x[place], m.ends[place] = all, ends
	*r = Rows[F]{All: all, ends: ends}
}

// writeBatch copies derivatives that have memory of their own to their places.
func (e *evaluation[F]) writeBatch(w *groupWork[F]) {
	m, b := &w.batch, &w.batch.batch
	for k, d := range e.group.dst {
		if d == nil {
			continue
		}
		place := e.operand[k]
		y := &e.grouped.layout[place]
		if b.Grad[place].ends == nil {
			continue
		}
		for j, i := range m.groups {
			if b.left[j] || !e.counts(m, j) || b.Factor[j] == 0 {
				continue
			}
			if m.at != nil && len(y.entries[0]) > 0 && !e.Zeroed {
				e.clearPlace(w, y, d, i)
			}
			loops, _ := w.loopsOf(y, m.entries(j))
			scatter(d[y.base(i):], b.Grad[place].At(j), loops)
		}
	}
}
