package tensorops

import "sync"

// pixelStep is the number of pixels that the kernels advance by, and pixelRun the number after
// which float32 sums are added in float64.
const (
	pixelStep = 16
	pixelRun  = 512
)

// pixelMemory is the memory of a call.
type pixelMemory struct {
	e, acc, x []float32
	labels    [pixelStep]int
}

var pixelMemories = sync.Pool{New: func() any { return new(pixelMemory) }}

// room returns n numbers of *buf.
func (m *pixelMemory) room(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, n)
	}
	return (*buf)[:n]
}

// rest copies the pixels from i on, fewer than a step, to planes of a step, with labels of -1
// behind them.
func (m *pixelMemory) rest(x []float32, stride, classes int, labels []int, i int) (planes []float32) {
	planes = m.room(&m.x, classes*pixelStep)
	n := copy(m.labels[:], labels[i:])
	for c := range classes {
		plane := planes[c*pixelStep:][:pixelStep]
		clear(plane[copy(plane, x[c*stride+i:][:n]):])
	}
	for j := n; j < pixelStep; j++ {
		m.labels[j] = -1
	}
	return planes
}

// PixelSums adds sums over pixels to sums, three for each class: with p the softmax over the
// classes, Σ p over the pixels whose label is the class, Σ p over the others, and Σ (1 - p) over
// those whose label it is. The logit of class c and pixel i is x[c·stride + i]; a label of -1 is
// that of a pixel that is left out, others are classes. It writes p to p[c·pstride + i], unless p is
// nil, also for pixels that are left out. It reports whether there is such a kernel: if not, sums
// are as they were.
//
// p is computed in float32, to 3 units in the last place and half a unit more for each unit of the
// logit's distance from the largest one; up to 64 terms are added in float32, then all in float64.
// 1 - p keeps its digits where p is near 1.
func PixelSums(sums []float64, x []float32, stride int, p []float32, pstride int, labels []int) bool {
	if !hasPixels() {
		return false
	}
	classes := len(sums) / 3
	m := pixelMemories.Get().(*pixelMemory)
	defer pixelMemories.Put(m)
	e, acc := m.room(&m.e, classes*pixelStep), m.room(&m.acc, classes*24)
	whole := len(labels) &^ (pixelStep - 1)
	add := func(x []float32, stride int, p []float32, pstride, advance int, labels []int) {
		clear(acc)
		pixelSums(&acc[0], &x[0], &p[0], &labels[0], stride, pstride, advance, classes, len(labels))
		for i := range sums {
			a, s := acc[i*8:][:8], 0.0
			for _, v := range a {
				s += float64(v)
			}
			sums[i] += s
		}
	}
	for i := 0; i < whole; i += pixelRun {
		if some := labels[i:min(whole, i+pixelRun)]; p != nil {
			add(x[i:], stride, p[i:], pstride, pixelStep, some)
		} else {
			add(x[i:], stride, e, pixelStep, 0, some)
		}
	}
	if whole < len(labels) {
		planes := m.rest(x, stride, classes, labels, whole)
		if add(planes, pixelStep, e, pixelStep, 0, m.labels[:]); p != nil {
			m.take(p, pstride, e, classes, whole, len(labels))
		}
	}
	return true
}

// take copies the pixels from i to n of planes of a step.
func (m *pixelMemory) take(dst []float32, stride int, planes []float32, classes, i, n int) {
	for c := range classes {
		copy(dst[c*stride+i:][:n-i], planes[c*pixelStep:])
	}
}

// PixelPull replaces the softmax p that [PixelSums] has written by derivatives by logits: with u_c =
// slopes[2c+1] where the label is c and slopes[2c] elsewhere,
//
//	p_c·(u_c - Σ_k p_k·u_k)
//
// and 0 for pixels that are left out. It reports whether there is such a kernel. The derivative is as
// good as its terms p_c·p_k·(u_c - u_k), which may cancel.
func PixelPull(p []float32, stride int, labels []int, slopes []float32) bool {
	if !hasPixels() {
		return false
	}
	classes := len(slopes) / 2
	m := pixelMemories.Get().(*pixelMemory)
	defer pixelMemories.Put(m)
	whole := len(labels) &^ (pixelStep - 1)
	if whole > 0 {
		pixelPull(&p[0], &slopes[0], &labels[0], stride, classes, whole)
	}
	if whole < len(labels) {
		planes := m.rest(p, stride, classes, labels, whole)
		pixelPull(&planes[0], &slopes[0], &m.labels[0], pixelStep, classes, pixelStep)
		m.take(p, stride, planes, classes, whole, len(labels))
	}
	return true
}

// HasPixels reports whether there are the kernels of [PixelSums] and [PixelPull].
func HasPixels() bool { return hasPixels() }
