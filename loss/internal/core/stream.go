package core

import (
	"cmp"
	"slices"
	"sync"
)

// A stream gives the mathematics of a group its operands by ranges of entries, whatever their
// layout, where the group is too large to be packed.
type stream[F Float] struct {
	e *evaluation[F]
	w *groupWork[F]

	mu       sync.Mutex
	fault    error // for the number outside its domain that comes first
	at       int   // the first entry of its range
	products []product
}

// A product is the inner product of the gradient and the direction in a range of entries.
type product struct {
	at    int
	value float64
}

// access is a stream of either element type.
type access interface {
	read(dst []float64, place, lo, hi int)
	readDir(dst []float64, place, lo, hi int)
	write(src []float64, place, lo, hi int)
	native() bool
	singles(buf []float32, place, lo, hi int) (x []float32, stride int)
	result(buf []float32, place, lo, hi int) (dst []float32, stride int, own bool)
	store(buf []float32, place, lo, hi int)
}

// requested stands for a derivative that is requested, or a direction that is there, of an operand
// that is read by ranges.
var requested = []float64{}

// Read writes the entries [lo, hi) of a floating operand to dst: one number of each entry after the
// other, for groups whose operands are [Grouping.Streamed]. Number r of entry i is at (hi-lo)·r +
// i-lo. Ranges may be read at the same time. A number outside its domain is an error of the loss,
// whatever the group function returns.
func (g *Group) Read(dst []float64, place, lo, hi int) { g.access.read(dst, place, lo, hi) }

// ReadDir is Read of the direction in an operand, which must not be nil.
func (g *Group) ReadDir(dst []float64, place, lo, hi int) { g.access.readDir(dst, place, lo, hi) }

// Write writes the requested derivative by an operand, of the entries [lo, hi), in the order of
// Read.
func (g *Group) Write(src []float64, place, lo, hi int) { g.access.write(src, place, lo, hi) }

// Native reports whether a group may be computed on float32 operands as they are: they are float32
// numbers, and no more than values and gradients are requested.
func (g *Group) Native() bool { return g.access != nil && g.access.native() }

// Floats returns the entries at the positions [lo, hi) of a float32 operand, masked ones included:
// number r of position i is at stride·r + i-lo. They are the operand's own memory where they lie
// side by side, and else a copy in buf, with room for them all.
func (g *Group) Floats(buf []float32, place, lo, hi int) (x []float32, stride int) {
	return g.access.singles(buf, place, lo, hi)
}

// Result returns where the derivative by a float32 operand at the positions [lo, hi) goes, laid out
// as by [Group.Floats]: its own memory, which keeps what is written to it, or buf, which
// [Group.Store] copies.
func (g *Group) Result(buf []float32, place, lo, hi int) (dst []float32, stride int, own bool) {
	return g.access.result(buf, place, lo, hi)
}

// Store copies what Result has returned to its place.
func (g *Group) Store(buf []float32, place, lo, hi int) { g.access.store(buf, place, lo, hi) }

// slot returns the number among floating operands of the one in a place.
func (b *Bound) slot(place int) (k int) {
	for b.operand[k] != place {
		k++
	}
	return k
}

// ranged returns the loops over the entries [lo, hi), a number of each after the other, and where
// they begin. At are the positions of the entries; nil: all are there.
func (s *stream[F]) ranged(buf *[4]loop, at []int, place, lo, hi int) (loops []loop, base int) {
	y, n := &s.e.grouped.layout[place], hi-lo
	loops, base = buf[:0], y.base(s.w.group.Index)
	for _, a := range y.rest {
		loops = append(loops, loop{n: a.n, stride: a.stride})
	}
	axes := y.entries[0]
	last := axes[len(axes)-1]
	switch {
	case at != nil:
		loops = append(loops, loop{n: n, at: at[lo:hi], axes: axes})
	case lo%last.n+n <= last.n:
		base += offset(axes, lo)
		if n > 1 || len(loops) == 0 {
			loops = append(loops, loop{n: n, stride: last.stride})
		}
	default:
		loops = append(loops, loop{n: n, first: lo, axes: axes})
	}
	return loops, base
}

func (s *stream[F]) read(dst []float64, place, lo, hi int) {
	var buf [4]loop
	k := s.e.slot(place)
	loops, base := s.ranged(&buf, s.w.group.At, place, lo, hi)
	gather(dst, s.e.in.X[k][base:], loops)
	if h := s.e.Domain[k]; h.Checked() && !h.HoldsAll(dst) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fault == nil || lo < s.at {
			s.fault, s.at = s.e.findOutside(dst, len(dst)/(hi-lo), k, base, loops), lo
		}
	}
}

func (s *stream[F]) readDir(dst []float64, place, lo, hi int) {
	var buf [4]loop
	loops, base := s.ranged(&buf, s.w.group.At, place, lo, hi)
	gather(dst, s.e.in.Dir[base:], loops)
}

// write adds up the inner product with the direction where that is requested.
func (s *stream[F]) write(src []float64, place, lo, hi int) {
	if s.e.Order != OrderTangent {
		var buf [4]loop
		loops, base := s.ranged(&buf, s.w.group.At, place, lo, hi)
		scatter(s.e.group.dst[s.e.slot(place)][base:], src, loops)
		return
	}
	v, p := make([]float64, len(src)), product{at: lo}
	s.readDir(v, place, lo, hi)
	for j, d := range src {
		if d != 0 { // what has no derivative may have any direction
			p.value += d * v[j]
		}
	}
	s.mu.Lock()
	s.products = append(s.products, p)
	s.mu.Unlock()
}

// takeTangent returns the inner product of the gradient that the group function has written and the
// direction.
func (w *groupWork[F]) takeTangent(place int) float64 {
	if w.e.grouped.Streamed == "" {
		return Dot(w.group.Grad[place], w.group.Dir[place])
	}
	all, t := w.stream.products, sum{}
	slices.SortStableFunc(all, func(p, q product) int { return cmp.Compare(p.at, q.at) })
	for _, p := range all {
		t.add(p.value)
	}
	w.stream.products = all[:0]
	return t.value()
}

func (s *stream[F]) native() bool {
	return s.e.DType == Float32 && s.e.Order.hasKernel()
}

// side is ranged at the positions [lo, hi), and reports whether a number of all of them lies side by
// side, in planes of a stride.
func (s *stream[F]) side(buf *[4]loop, place, lo, hi int) (loops []loop, base, stride int, ok bool) {
	loops, base = s.ranged(buf, nil, place, lo, hi)
	if len(loops) != 2 || loops[1].stride != 1 || loops[1].axes != nil {
		return loops, base, hi - lo, false
	}
	return loops, base, loops[0].stride, true
}

func (s *stream[F]) singles(dst []float32, place, lo, hi int) (x []float32, stride int) {
	var buf [4]loop
	loops, base, stride, ok := s.side(&buf, place, lo, hi)
	x = any(s.e.in.X[s.e.slot(place)]).([]float32)[base:]
	if ok {
		return x, stride
	}
	gather(dst, x, loops)
	return dst, stride
}

func (s *stream[F]) result(dst []float32, place, lo, hi int) (to []float32, stride int, own bool) {
	var buf [4]loop
	_, base, stride, own := s.side(&buf, place, lo, hi)
	if own {
		dst = any(s.e.group.dst[s.e.slot(place)]).([]float32)[base:]
	}
	return dst, stride, own
}

func (s *stream[F]) store(src []float32, place, lo, hi int) {
	var buf [4]loop
	loops, base := s.ranged(&buf, nil, place, lo, hi)
	scatter(any(s.e.group.dst[s.e.slot(place)]).([]float32)[base:], src, loops)
}
