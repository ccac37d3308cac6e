package core

import "github.com/surprisal-go/surprisal/tensorops/vec"

// loop is one loop over the entries of a group in an operand: n steps of a stride, or along axes to
// the positions of a list or from the first one on.
type loop struct {
	n, stride int
	axes      []groupAxis
	at        []int
	first     int
}

// step returns where step i leads.
func (l *loop) step(i int) int {
	switch {
	case l.at != nil:
		return offset(l.axes, l.at[i])
	case l.axes != nil:
		return offset(l.axes, l.first+i)
	}
	return i * l.stride
}

// A region is the elements of a group in an operand, from where the group begins.
type region struct {
	loops []loop
	size  int
	dense bool // they lie one after another
}

// set makes the region that of the entries of a group, in the order in which the group has them.
func (r *region) set(y *groupLayout, at []int) {
	buf, size := r.loops[:0], 1
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
	*r = region{buf, size, dense(buf)}
}

// regionOf returns the region of the entries that are there.
func (w *groupWork[F]) regionOf(y *groupLayout) *region {
	if w.group.At == nil {
		return &y.all
	}
	w.region.set(y, w.group.At)
	return &w.region
}

// dense reports whether the loops run over consecutive elements.
func dense(loops []loop) bool {
	want := 1
	for i := len(loops) - 1; i >= 0; i-- {
		l := &loops[i]
		if l.axes != nil || l.stride != want {
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
	case l.axes == nil && l.stride == 1:
		gatherRow(row, x)
	case l.axes == nil:
		from := 0
		for i := range row {
			row[i] = D(x[from])
			from += l.stride
		}
	case l.at != nil && len(l.axes) == 1:
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
	case l.axes == nil && l.stride == 1:
		scatterRow(dst[:l.n], row)
	case l.axes == nil:
		to := 0
		for _, v := range row {
			dst[to] = F(v)
			to += l.stride
		}
	case l.at != nil && len(l.axes) == 1:
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
	if len(loops) == 1 && l.axes == nil && l.stride == 1 {
		x.copyTo(dst[:l.n], base)
		return dst[l.n:]
	}
	for i := range l.n {
		dst = gatherInts(dst, x, base+l.step(i), loops[1:])
	}
	return dst
}
