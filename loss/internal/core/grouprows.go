package core

// groupRows are the rows of a group's operands where the group function reads them one at a time.
type groupRows interface {
	row(k, i int) []float64
	along(k, i int) []float64
	put(k, i int, d []float64)
}

// Row returns row i of operand k, along the last axis, of a loss that reads rows. It is valid until
// the next row of the operand is read.
func (g *Group) Row(k, i int) []float64 { return g.rows.row(k, i) }

// Along is Row for the direction in operand k, which must not be nil.
func (g *Group) Along(k, i int) []float64 { return g.rows.along(k, i) }

// Put writes row i of the requested derivative by operand k.
func (g *Group) Put(k, i int, d []float64) { g.rows.put(k, i, d) }

// byRows reports whether the operand in a place is read in rows.
func (y *grouped) byRows(place int) bool { return y.Rows && !y.layout[place].shared }

// rowPlace returns the floating operand that has a place, and where row i of it begins.
func (w *groupWork[F]) rowPlace(place, i int) (k, at int) {
	for w.e.operand[k] != place {
		k++
	}
	y := &w.e.grouped.layout[place]
	return k, y.base(w.group.Index) + offset(y.rest, i*w.e.grouped.width(w.e.Bound, k))
}

// width is the length of the rows of floating operand k.
func (y *grouped) width(b *Bound, k int) int {
	s := b.shapes[k]
	return s[len(s)-1]
}

func (w *groupWork[F]) row(place, i int) []float64 {
	k, at := w.rowPlace(place, i)
	return rowOf(w.x[place], w.e.in.X[k][at:])
}

func (w *groupWork[F]) along(place, i int) []float64 {
	_, at := w.rowPlace(place, i)
	return rowOf(w.dir[place], w.e.in.Dir[at:])
}

// rowOf returns the first elements of x, as many as buf has: their own memory where that is
// possible.
func rowOf[F Float](buf []float64, x []F) []float64 {
	if d, ok := any(x).([]float64); ok {
		return d[:len(buf):len(buf)]
	}
	gatherRow(buf, x)
	return buf
}

func (w *groupWork[F]) put(place, i int, d []float64) {
	k, at := w.rowPlace(place, i)
	if w.e.Order == OrderTangent {
		v := w.along(place, i)
		for j, x := range d {
			if x != 0 { // what has no derivative may have any direction
				w.tangent += x * v[j]
			}
		}
		return
	}
	narrow(w.e.group.dst[k][at:at+len(d)], d, 1)
}

// takeTangent returns the inner product of the gradient that the group function has written and the
// direction.
func (w *groupWork[F]) takeTangent(place int) float64 {
	if w.e.grouped.byRows(place) {
		return w.tangent
	}
	return Dot(w.group.Grad[place], w.group.Dir[place])
}
