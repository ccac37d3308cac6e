package core

import "github.com/surprisal-go/surprisal/tensorops/vec"

// loop is one loop over the entries of a group in an operand: n steps of a stride, or to the
// entries of a list.
type loop struct {
	n, stride int
	at        []int
	axes      []groupAxis // of the list
}

// step returns where step i leads.
func (l *loop) step(i int) int {
	if l.at == nil {
		return i * l.stride
	}
	return offset(l.axes, l.at[i])
}

// loops returns the loops over the entries of a group, in the order in which the group has them,
// and their number.
func (y *groupLayout) loops(buf []loop, at []int) (loops []loop, size int) {
	size = 1
	for _, set := range y.entries {
		switch {
		case len(set) == 0:
		case at != nil:
			buf = append(buf, loop{n: len(at), at: at, axes: set})
			size *= len(at)
		default:
			for _, a := range set {
				buf = append(buf, loop{n: a.n, stride: a.stride})
				size *= a.n
			}
		}
	}
	for _, a := range y.rest {
		buf = append(buf, loop{n: a.n, stride: a.stride})
		size *= a.n
	}
	return buf, size
}

// loopsOf returns the loops over the entries of a group, those of all entries from the layout.
func (w *groupWork[F]) loopsOf(y *groupLayout, at []int) (loops []loop, size int) {
	if at == nil {
		return y.plain, y.size
	}
	loops, size = y.loops(w.loops[:0], at)
	w.loops = loops[:0]
	return loops, size
}

// dense reports whether the loops run over consecutive elements.
func dense(loops []loop) bool {
	want := 1
	for i := len(loops) - 1; i >= 0; i-- {
		l := &loops[i]
		if l.at != nil || l.stride != want {
			return false
		}
		want *= l.n
	}
	return true
}

// gather writes the elements that the loops run over to dst and returns the rest of dst.
func gather[F Float](dst []float64, x []F, loops []loop) []float64 {
	if len(loops) == 0 {
		dst[0] = float64(x[0])
		return dst[1:]
	}
	l := &loops[0]
	if len(loops) > 1 {
		for i := range l.n {
			dst = gather(dst, x[l.step(i):], loops[1:])
		}
		return dst
	}
	row := dst[:l.n]
	switch {
	case l.at == nil && l.stride == 1:
		gatherRow(row, x)
	case l.at == nil:
		from := 0
		for i := range row {
			row[i] = float64(x[from])
			from += l.stride
		}
	default:
		for i := range row {
			row[i] = float64(x[l.step(i)])
		}
	}
	return dst[l.n:]
}

// gatherRow writes the first elements of x to dst, as many as it has.
func gatherRow[F Float](dst []float64, x []F) {
	if f, ok := any(x[:len(dst)]).([]float32); ok && len(dst) >= 16 {
		vec.Widen(dst, f)
		return
	}
	for i, v := range x[:len(dst)] {
		dst[i] = float64(v)
	}
}

// scatter writes src to the elements that the loops run over and returns the rest of src.
func scatter[F Float](dst []F, src []float64, loops []loop) []float64 {
	if len(loops) == 0 {
		dst[0] = F(src[0])
		return src[1:]
	}
	l := &loops[0]
	if len(loops) > 1 {
		for i := range l.n {
			src = scatter(dst[l.step(i):], src, loops[1:])
		}
		return src
	}
	row := src[:l.n]
	switch {
	case l.at == nil && l.stride == 1:
		narrow(dst[:l.n], row, 1)
	case l.at == nil:
		to := 0
		for _, v := range row {
			dst[to] = F(v)
			to += l.stride
		}
	default:
		for i, v := range row {
			dst[l.step(i)] = F(v)
		}
	}
	return src[l.n:]
}

// gatherInts is gather of integers.
func gatherInts(dst []int, x *Ints, base int, loops []loop) []int {
	if len(loops) == 0 {
		dst[0] = x.at(base)
		return dst[1:]
	}
	l := &loops[0]
	if len(loops) == 1 && l.at == nil && l.stride == 1 {
		x.copyTo(dst[:l.n], base)
		return dst[l.n:]
	}
	for i := range l.n {
		dst = gatherInts(dst, x, base+l.step(i), loops[1:])
	}
	return dst
}
