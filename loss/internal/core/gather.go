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
func gather[D, F Float](dst []D, x []F, loops []loop) []D {
	if len(loops) == 0 {
		dst[0] = D(x[0])
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
			row[i] = D(x[from])
			from += l.stride
		}
	case len(l.axes) == 1:
		stride := l.axes[0].stride
		for i, at := range l.at {
			row[i] = D(x[at*stride])
		}
	default:
		for i := range row {
			row[i] = D(x[l.step(i)])
		}
	}
	return dst[l.n:]
}

// gatherRow writes the first elements of x to dst, as many as it has.
func gatherRow[D, F Float](dst []D, x []F) {
	x = x[:len(dst)]
	switch d := any(dst).(type) {
	case []F:
		copy(d, x)
		return
	case []float64:
		if f, ok := any(x).([]float32); ok && len(dst) >= 16 {
			vec.Widen(d, f)
			return
		}
	}
	for i, v := range x {
		dst[i] = D(v)
	}
}

// scatter writes src to the elements that the loops run over and returns the rest of src.
func scatter[F, S Float](dst []F, src []S, loops []loop) []S {
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
		scatterRow(dst[:l.n], row)
	case l.at == nil:
		to := 0
		for _, v := range row {
			dst[to] = F(v)
			to += l.stride
		}
	case len(l.axes) == 1:
		stride := l.axes[0].stride
		for i, v := range row {
			dst[l.at[i]*stride] = F(v)
		}
	default:
		for i, v := range row {
			dst[l.step(i)] = F(v)
		}
	}
	return src[l.n:]
}

// scatterRow writes src to dst.
func scatterRow[F, S Float](dst []F, src []S) {
	if s, ok := any(src).([]float64); ok {
		narrow(dst, s, 1)
		return
	}
	for i, v := range src {
		dst[i] = F(v)
	}
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
