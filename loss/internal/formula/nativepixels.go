package formula

import (
	"sync"

	"github.com/surprisal-go/surprisal/tensorops"
)

// nativeFrom is the number of pixels from which labelled float32 pixels are computed in float32;
// the results of fewer are rounded once.
const nativeFrom = 256

// nativeBlock is about how many logits a block has.
const nativeBlock = 1 << 14

var nativeBuffers = sync.Pool{New: func() any { return new([]float32) }}

// native reports whether the kernels of pixels do the plain sums of a group.
func (o *Overlap) native(x *Pixels) bool {
	return x.act == SoftmaxOverClasses && x.g.Int[1] != nil && !o.Squared && !o.Semimetric && x.g.All >= nativeFrom &&
		x.g.Native() && tensorops.HasPixels()
}

// nativeGroup is Group on the operand's own memory.
func (o *Overlap) nativeGroup(x *Pixels, score func(sums []OverlapSums, slopes []OverlapSlope)) error {
	g := x.g
	labels := x.allLabels()
	size := max(16, nativeBlock/x.classes) &^ 15
	each := func(f func(buf, x []float32, stride, lo, hi int)) {
		tensorops.ParallelFor(g.All, size, func(lo, hi int) {
			p := nativeBuffers.Get().(*[]float32)
			buf := room(p, size*x.classes)
			z, stride := g.Floats(buf, 0, lo, hi)
			f(buf, z, stride, lo, hi)
			nativeBuffers.Put(p)
		})
	}
	parts := g.Zeros((g.All + size - 1) / size * x.classes * 3)
	each(func(_, z []float32, stride, lo, hi int) {
		tensorops.PixelSums(parts[lo/size*x.classes*3:][:x.classes*3], z, stride, labels[lo:hi])
	})
	sums, slopes := make([]OverlapSums, x.classes), make([]OverlapSlope, x.classes)
	for i := 0; i < len(parts); i += 3 {
		s := &sums[i/3%x.classes]
		s.I, s.W = s.I+parts[i], s.W+o.Alpha*parts[i+1]+o.Beta*parts[i+2]
	}
	if o.Sizes {
		mass := g.Buf(x.classes)
		if err := TargetMass(g, mass); err != nil {
			return err
		}
		for c := range sums {
			sums[c].T = mass[c]
		}
	}
	score(sums, slopes)
	if g.Grad[0] == nil {
		return nil
	}
	by := o.labelSlopes(slopes)
	each(func(buf, z []float32, stride, lo, hi int) {
		g.WriteFloats(buf, 0, lo, hi, func(dst []float32, dstride int) {
			tensorops.PixelGrad(dst, dstride, z, stride, labels[lo:hi], by)
		})
	})
	return nil
}

// labelSlopes returns the derivative by p of each class, where the target is 0 and where it is 1,
// but for a number that they all have in common: under a softmax it adds nothing, and without it
// the differences keep their digits in float32.
func (o *Overlap) labelSlopes(slopes []OverlapSlope) []float32 {
	mean := 0.0
	for _, s := range slopes {
		mean += o.Alpha * s.W / float64(len(slopes))
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
