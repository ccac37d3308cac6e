package core

// A stream gives the mathematics of a group its operands by ranges of entries, whatever their
// layout, where the group is too large to be packed.
type stream[F Float] struct {
	e *evaluation[F]
	w *groupWork[F]
}

// access is a stream of either element type.
type access interface {
	nativeAccess
	read(dst []float64, place, lo, hi int) error
	readDir(dst []float64, place, lo, hi int)
	write(src []float64, place, lo, hi int)
}

// requested stands for a derivative that is requested, or a direction that is there, of an operand
// that is read by ranges.
var requested = []float64{}

// Read writes the entries [lo, hi) of a floating operand to dst: one number of each entry after the
// other, for groups whose operands are [Grouping.Streamed]. Number r of entry i is at (hi-lo)·r +
// i-lo. Ranges may be read at the same time.
func (g *Group) Read(dst []float64, place, lo, hi int) error {
	return g.access.read(dst, place, lo, hi)
}

// ReadDir is Read of the direction in an operand.
func (g *Group) ReadDir(dst []float64, place, lo, hi int) { g.access.readDir(dst, place, lo, hi) }

// Write writes the requested derivative by an operand, of the entries [lo, hi), in the order of
// Read.
func (g *Group) Write(src []float64, place, lo, hi int) { g.access.write(src, place, lo, hi) }

// slot returns the number among floating operands of the one in a place.
func (b *Bound) slot(place int) int {
	for k := range b.Floats {
		if b.operand[k] == place {
			return k
		}
	}
	return -1
}

func (s *stream[F]) read(dst []float64, place, lo, hi int) error {
	k := s.e.slot(place)
	s.gather(dst, s.e.in.X[k], place, lo, hi)
	if h := s.e.Domain[k]; h.Checked() && !h.HoldsAll(dst) {
		return s.findOutside(dst, k, place, lo, hi)
	}
	return nil
}

func (s *stream[F]) readDir(dst []float64, place, lo, hi int) {
	s.gather(dst, s.e.in.Dir, place, lo, hi)
}

// write keeps the gradient beside the direction where their inner product is requested.
func (s *stream[F]) write(src []float64, place, lo, hi int) {
	if s.e.Order == OrderTangent {
		from := lo * s.e.grouped.layout[place].planes()
		copy(s.w.group.Grad[place][from:], src)
		s.readDir(s.w.group.Dir[place][from:from+len(src)], place, lo, hi)
		return
	}
	s.scatter(s.e.group.dst[s.e.slot(place)], src, place, lo, hi)
}

// planes is how many numbers an entry has.
func (y *groupLayout) planes() int {
	n := 1
	for _, a := range y.rest {
		n *= a.n
	}
	return n
}

// plane returns where number r of the entries begins.
func (y *groupLayout) plane(r int) int {
	if len(y.rest) == 0 {
		return 0
	}
	return offset(y.rest, r)
}

// runs calls f for entries [lo, hi) in pieces that lie a stride apart: to is the number of the
// first one in the range, from where it lies.
func (y *groupLayout) runs(at []int, lo, hi int, f func(to, from, n, stride int)) {
	axes := y.entries[0]
	if at != nil {
		for i := lo; i < hi; {
			n, from := 1, offset(axes, at[i])
			last := axes[len(axes)-1]
			for i+n < hi && at[i+n] == at[i]+n && (at[i]+n)%last.n != 0 {
				n++
			}
			f(i-lo, from, n, last.stride)
			i += n
		}
		return
	}
	last := axes[len(axes)-1]
	for i := lo; i < hi; {
		n := min(hi-i, last.n-i%last.n)
		f(i-lo, offset(axes, i), n, last.stride)
		i += n
	}
}

// gather reads entries of an operand.
func (s *stream[F]) gather(dst []float64, x []F, place, lo, hi int) {
	y, n := &s.e.grouped.layout[place], hi-lo
	x = x[y.base(s.w.group.Index):]
	y.runs(s.w.group.At, lo, hi, func(to, from, count, stride int) {
		var one [1]loop
		one[0] = loop{n: count, stride: stride}
		for r := range len(dst) / n {
			gather(dst[r*n+to:], x[y.plane(r)+from:], one[:])
		}
	})
}

// scatter writes entries of an operand.
func (s *stream[F]) scatter(dst []F, src []float64, place, lo, hi int) {
	y, n := &s.e.grouped.layout[place], hi-lo
	dst = dst[y.base(s.w.group.Index):]
	y.runs(s.w.group.At, lo, hi, func(to, from, count, stride int) {
		var one [1]loop
		one[0] = loop{n: count, stride: stride}
		for r := range len(src) / n {
			scatter(dst[y.plane(r)+from:], src[r*n+to:], one[:])
		}
	})
}

// findOutside returns the error for the first number outside the domain of floating operand k.
func (s *stream[F]) findOutside(x []float64, k, place, lo, hi int) error {
	y, n, d := &s.e.grouped.layout[place], hi-lo, s.e.Domain[k]
	for i := range n {
		for r := range len(x) / n {
			if v := x[r*n+i]; !d.Holds(v) {
				at := y.base(s.w.group.Index) + y.plane(r) + offset(y.entries[0], s.w.group.Position(lo+i))
				return Faultf(ErrValue, s.e.Def.Name, "%s is %v at %s, want %v", s.e.OperandName(k), v, s.e.shapes[k].coordinates(at), d)
			}
		}
	}
	return nil
}
