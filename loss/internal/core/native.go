package core

// nativeAccess gives the memory of operands of float32 numbers, by positions among all entries of a
// group, the masked ones included.
type nativeAccess interface {
	native() bool
	floats(buf []float32, place, lo, hi int) (x []float32, stride int)
	result(buf []float32, place, lo, hi int) (dst []float32, stride int, own bool)
	store(buf []float32, place, lo, hi int)
}

// Native reports whether a group may be computed on float32 operands as they are: they are float32
// numbers, and no more than values and gradients are requested.
func (g *Group) Native() bool { return g.access != nil && g.access.native() }

// Floats returns the entries at the positions [lo, hi) of a float32 operand, masked ones included:
// number r of position i is at stride·r + i-lo. They are the operand's own memory where they lie
// side by side, and else a copy in buf, with room for them all.
func (g *Group) Floats(buf []float32, place, lo, hi int) (x []float32, stride int) {
	return g.access.floats(buf, place, lo, hi)
}

// Result returns where the derivative by a float32 operand at the positions [lo, hi) goes, laid out
// as by [Group.Floats]: its own memory, which keeps what is written to it, or buf, which
// [Group.Store] copies.
func (g *Group) Result(buf []float32, place, lo, hi int) (dst []float32, stride int, own bool) {
	return g.access.result(buf, place, lo, hi)
}

// Store copies what Result has returned to its place.
func (g *Group) Store(buf []float32, place, lo, hi int) { g.access.store(buf, place, lo, hi) }

func (s *stream[F]) native() bool {
	return s.e.DType == Float32 && s.e.Order.hasKernel()
}

// side returns where the entries at positions [lo, hi) begin in an operand where they lie side by
// side, with the stride of the numbers of an entry.
func (s *stream[F]) side(place, lo, hi int) (at, stride int, ok bool) {
	y := &s.e.grouped.layout[place]
	axes := y.entries[0]
	last := axes[len(axes)-1]
	if last.stride != 1 || lo%last.n+hi-lo > last.n || len(y.rest) != 1 {
		return 0, 0, false
	}
	return y.base(s.w.group.Index) + offset(axes, lo), y.rest[0].stride, true
}

func (s *stream[F]) floats(buf []float32, place, lo, hi int) (x []float32, stride int) {
	all := any(s.e.in.X[s.e.slot(place)]).([]float32)
	if at, stride, ok := s.side(place, lo, hi); ok {
		return all[at:], stride
	}
	y, n := &s.e.grouped.layout[place], hi-lo
	all = all[y.base(s.w.group.Index):]
	y.runs(nil, lo, hi, func(to, from, count, step int) {
		for r := range y.planes() {
			at := y.plane(r) + from
			for i := range buf[r*n+to:][:count] {
				buf[r*n+to+i] = all[at]
				at += step
			}
		}
	})
	return buf, n
}

func (s *stream[F]) result(buf []float32, place, lo, hi int) (dst []float32, stride int, own bool) {
	if at, stride, ok := s.side(place, lo, hi); ok {
		return any(s.e.group.dst[s.e.slot(place)]).([]float32)[at:], stride, true
	}
	return buf, hi - lo, false
}

func (s *stream[F]) store(buf []float32, place, lo, hi int) {
	y, n := &s.e.grouped.layout[place], hi-lo
	all := any(s.e.group.dst[s.e.slot(place)]).([]float32)[y.base(s.w.group.Index):]
	y.runs(nil, lo, hi, func(to, from, count, step int) {
		for r := range y.planes() {
			at := y.plane(r) + from
			for _, v := range buf[r*n+to:][:count] {
				all[at] = v
				at += step
			}
		}
	})
}
