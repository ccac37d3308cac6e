package formula

import (
	"math"
	"sync"

	"github.com/surprisal-go/surprisal/tensorops"
)

// nativeFrom is the number of pixels from which labelled float32 pixels are computed in float32;
// the results of fewer are rounded once.
const nativeFrom = 256

// nativeBlock is about how many logits a block has.
const nativeBlock = 1 << 14

var nativeRuns = sync.Pool{New: func() any { return new(nativeRun) }}

// native reports whether the kernels of pixels do the plain sums of a group.
func (o *Overlap) native(x *Pixels) bool {
	return (x.act == SoftmaxOverClasses || x.classes == 1 && x.act == SigmoidEach) && x.g.Int[1] != nil &&
		!o.Squared && !o.Semimetric && x.g.All >= nativeFrom && x.g.Native() && tensorops.HasPixels()
}

// A nativeRun is pixels as the kernels read them. The sigmoid of one class is the softmax of 0 and
// its logit.
type nativeRun struct {
	x      []float32
	stride int
	labels []int
	out    []float32 // for derivatives
	block  int
	lo, hi int
	buf    []float32
	sums   []float64
}

// nativeRuns calls f for all blocks, in parallel.
func (x *Pixels) nativeRuns(f func(r *nativeRun)) {
	g, labels := x.g, x.allLabels()
	size := x.nativeSize()
	tensorops.ParallelFor(g.All, size, func(lo, hi int) {
		n, r := hi-lo, nativeRuns.Get().(*nativeRun)
		defer nativeRuns.Put(r)
		buf := room(&r.buf, 2*size*x.nativeClasses())
		*r = nativeRun{labels: labels[lo:hi], block: lo / size, lo: lo, hi: hi, buf: r.buf, sums: r.sums}
		r.out = buf[len(buf)/2:]
		if r.x, r.stride = g.Floats(r.out, 0, lo, hi); x.classes == 1 {
			clear(buf[:n])
			for i, v := range r.x[:n] { // infinite logits have the limits
				buf[n+i] = max(-math.MaxFloat32, min(math.MaxFloat32, v))
			}
			r.x, r.stride = buf, n
		} else if &r.x[0] == &r.out[0] {
			r.out = buf
		}
		f(r)
		r.x, r.labels = nil, nil
	})
}

// nativeClasses is the number of classes of the kernels.
func (x *Pixels) nativeClasses() int { return max(2, x.classes) }

// nativeSize is the number of pixels of a block.
func (x *Pixels) nativeSize() int { return max(16, nativeBlock/x.classes) &^ 15 }

// nativeGroup is Group on the operand's own memory.
func (o *Overlap) nativeGroup(x *Pixels, score func(sums []OverlapSums, slopes []OverlapSlope)) {
	g := x.g
	whole := x.nativeClasses()
	parts := g.Zeros((g.All + x.nativeSize() - 1) / x.nativeSize() * whole * 3)
	grad := g.Grad[0] != nil
	x.nativeRuns(func(r *nativeRun) {
		var p []float32
		pstride := 0
		if grad && x.classes > 1 { // kept in the memory of the derivative
			if dst, stride, own := g.Result(nil, 0, r.lo, r.hi); own {
				p, pstride = dst, stride
			}
		}
		tensorops.PixelSums(parts[r.block*whole*3:][:whole*3], r.x, r.stride, p, pstride, r.labels)
	})
	sums, slopes := make([]OverlapSums, x.classes), make([]OverlapSlope, x.classes)
	for i := 0; i < len(parts); i += 3 {
		if c := i/3%whole - whole + x.classes; c >= 0 {
			s := &sums[c]
			s.I, s.W = s.I+parts[i], s.W+o.Alpha*parts[i+1]+o.Beta*parts[i+2]
		}
	}
	if o.Sizes {
		mass := g.Buf(x.classes)
		TargetMass(g, mass)
		for c := range sums {
			sums[c].T = mass[c]
		}
	}
	score(sums, slopes)
	if !grad {
		return
	}
	by := o.labelSlopes(slopes)
	x.nativeRuns(func(r *nativeRun) {
		n := r.hi - r.lo
		dst, stride, own := g.Result(r.out, 0, r.lo, r.hi)
		kept := own && x.classes > 1
		p, pstride := dst, stride
		if x.classes == 1 {
			p, pstride = r.out, n
		}
		if !kept {
			sums := room(&r.sums, 3*whole)
			tensorops.PixelSums(sums, r.x, r.stride, p, pstride, r.labels)
		}
		tensorops.PixelPull(p, pstride, r.labels, by)
		if x.classes == 1 {
			copy(dst[:n], r.out[n:])
		}
		if !own {
			g.Store(dst, 0, r.lo, r.hi)
		}
	})
}

// labelSlopes returns the derivative by p of each class, where the target is 0 and where it is 1,
// but for a number that they all have in common: under a softmax it adds nothing, and without it
// the differences keep their digits in float32.
func (o *Overlap) labelSlopes(slopes []OverlapSlope) []float32 {
	mean := 0.0
	for _, s := range slopes {
		mean += o.Alpha * s.W / float64(len(slopes))
	}
	if len(slopes) == 1 {
		s := slopes[0]
		return []float32{0, 0, float32(o.Alpha * s.W), float32(s.I - o.Beta*s.W)}
	}
	out := make([]float32, 2*len(slopes))
	for c, s := range slopes {
		out[2*c], out[2*c+1] = float32(o.Alpha*s.W-mean), float32(s.I-o.Beta*s.W-mean)
	}
	return out
}

// allLabels returns the labels of all pixels, -1 for those that are not there.
func (x *Pixels) allLabels() []int {
	g := x.g
	if g.At == nil {
		return g.Int[1]
	}
	labels := g.Ints(g.All)
	for i := range labels {
		labels[i] = -1
	}
	for i, at := range g.At {
		labels[at] = g.Int[1][i]
	}
	return labels
}
