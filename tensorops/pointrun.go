package tensorops

import (
	"sync"
	"unsafe"
)

const (
	// pointBlock is the number of elements that one call of a kernel gets.
	pointBlock = 4 << 10
	// pointGroup divides the number of elements that every kernel takes, pointLanes that of all but
	// those up to pointHuber for float32.
	pointGroup = 64
	pointLanes = 16
)

// pointRun is one call of PointSum, with the memory that it needs. The gain of the plan includes
// the factor of the call.
type pointRun[F Float] struct {
	point Point
	pointPlan
	g      float64
	kernel pointKernel[F]
	group  int // the number of elements that the kernel takes is a multiple
	stream uint32
	params pointParams
	sums   pointSums
	part   PointData[F] // the block in work, of several
	kept   PointData[F] // the same where it overwrites an input

	x, t, w, v, dst, values [pointGroup]F // what is left beside whole groups
	saved, terms            [pointBlock]F // inputs that are overwritten, and the terms of a block
}

var (
	pointRuns32 = sync.Pool{New: func() any { return new(pointRun[float32]) }}
	pointRuns64 = sync.Pool{New: func() any { return new(pointRun[float64]) }}
)

// newPointRun prepares the kernel for a call, and returns nil where there is none.
func newPointRun[F Float](p Point, d *PointData[F], g float64) *pointRun[F] {
	pool := poolOf[F](&pointRuns32, &pointRuns64)
	r := pool.Get().(*pointRun[F])
	r.pointPlan = p.plan()
	if d.V != nil && p.Loss == BinaryCrossEntropy {
		r.pointPlan.kernel, r.flags = pointBinaryOptions, pointPositive
	}
	r.gain *= g
	kernel := active[F]().point[r.pointPlan.kernel]
	if kernel == nil || !p.within(isFloat32[F]()) || !representable[F](r.gain) {
		pool.Put(r)
		return nil
	}
	r.point, r.g, r.kernel, r.stream, r.group = p, g, kernel, 0, pointLanes
	if isFloat32[F]() && r.pointPlan.kernel <= pointHuber {
		r.group = pointGroup
	}
	r.params.set(&r.pointPlan)
	if d.W != nil {
		r.flags |= pointWeights
	}
	if d.Values != nil {
		r.flags |= pointValues
	}
	if d.Dst == nil {
		r.flags |= pointValueOnly
	} else if d.Stream && uintptr(unsafe.Pointer(&d.Dst[0]))%64 == 0 {
		r.stream = pointStream
	}
	return r
}

// cut sets part to the elements from lo to hi.
func (d *PointData[F]) cut(part *PointData[F], lo, hi int) {
	of := func(s []F) []F {
		if s == nil {
			return nil
		}
		return s[lo:hi]
	}
	part.X, part.T, part.W, part.V = d.X[lo:hi], d.T[lo:hi], of(d.W), of(d.V)
	part.Values, part.Dst = of(d.Values), of(d.Dst)
}

// put gives the memory back when the results can be seen by other cores.
func (r *pointRun[F]) put() {
	if r.stream != 0 {
		active[F]().fence()
	}
	poolOf[F](&pointRuns32, &pointRuns64).Put(r)
}

// blocks computes all elements, block by block.
func (r *pointRun[F]) blocks(d *PointData[F]) (sum float64) {
	n := len(d.X)
	for lo := 0; lo < n; lo += pointBlock {
		d.cut(&r.part, lo, min(lo+pointBlock, n))
		sum += r.block(&r.part)
	}
	r.part = PointData[F]{}
	return sum
}

// block computes one block and returns its sum.
func (r *pointRun[F]) block(d *PointData[F]) float64 {
	if d.Dst != nil && (&d.Dst[0] == &d.X[0] || &d.Dst[0] == &d.T[0]) {
		return r.inPlace(d)
	}
	if sum := r.run(d, r.flags|r.stream); finite(sum) {
		return sum * r.scale
	}
	return r.mend(d)
}

// inPlace is block where an input is overwritten: that is kept as long as it may be asked for again.
func (r *pointRun[F]) inPlace(d *PointData[F]) float64 {
	r.kept = *d
	if &d.Dst[0] == &d.X[0] {
		r.kept.X = r.save(d.X)
	} else {
		r.kept.T = r.save(d.T)
	}
	sum := r.block(&r.kept)
	r.kept = PointData[F]{}
	return sum
}

func (r *pointRun[F]) save(s []F) []F {
	own := r.saved[:len(s)]
	copy(own, s)
	return own
}

// run calls the kernel. What is left beside whole groups goes through buffers, with weights of 0
// behind the end.
func (r *pointRun[F]) run(d *PointData[F], flags uint32) float64 {
	n := len(d.X)
	r.sums = pointSums{}
	whole := n &^ (r.group - 1)
	if whole > 0 {
		r.kernel(unsafe.SliceData(d.Dst), &d.X[0], &d.T[0], unsafe.SliceData(d.W), unsafe.SliceData(d.V), unsafe.SliceData(d.Values),
			whole, &r.params.factor, &r.sums.wide[0], flags)
	}
	if whole < n {
		r.rest(d, whole, flags)
	}
	return r.sums.total()
}

func (r *pointRun[F]) rest(d *PointData[F], whole int, flags uint32) {
	n := len(d.X) - whole
	taken := (n + r.group - 1) &^ (r.group - 1)
	if d.W == nil {
		for i := range r.w[:n] {
			r.w[i] = 1
		}
	} else {
		copy(r.w[:], d.W[whole:])
	}
	clear(r.w[n:taken])
	copy(r.x[:], d.X[whole:])
	copy(r.t[:], d.T[whole:])
	if flags&pointPositive != 0 {
		copy(r.v[:], d.V[whole:])
		clear(r.v[n:taken])
	}
	r.kernel(&r.dst[0], &r.x[0], &r.t[0], &r.w[0], &r.v[0], &r.values[0], taken, &r.params.factor, &r.sums.wide[0],
		flags&^pointStream|pointWeights)
	if flags&pointValueOnly == 0 {
		copy(d.Dst[whole:], r.dst[:])
	}
	if flags&pointValues != 0 {
		copy(d.Values[whole:], r.values[:])
	}
}

// mend returns the sum of a block in which not every loss is a number of the kernel's type: those
// that are not are computed again in float64.
func (r *pointRun[F]) mend(d *PointData[F]) (sum float64) {
	terms := d.Values
	if terms == nil {
		again := *d
		terms = r.terms[:len(d.X)]
		again.Values = terms
		r.run(&again, r.flags|pointValueOnly|pointValues)
	}
	for i, l := range terms {
		if finite(float64(l)) {
			sum += float64(l)
			continue
		}
		sum += pointOne(r.point, d, i, r.g)
	}
	return sum
}

// pointOne computes an element in float64 and returns its term.
func pointOne[F Float](p Point, d *PointData[F], i int, g float64) float64 {
	w, v, l, slope := 1.0, 1.0, 0.0, 0.0
	if d.W != nil {
		w = float64(d.W[i])
	}
	if d.V != nil {
		v = float64(d.V[i])
	}
	if w != 0 {
		l, slope = pointFuncs[p.Loss](p, float64(d.X[i]), float64(d.T[i]), v)
		l *= w
	}
	if d.Values != nil {
		d.Values[i] = F(l)
	}
	if d.Dst != nil {
		d.Dst[i] = F(slope * (g * w))
	}
	return l
}

// pointEach computes all elements in float64.
func pointEach[F Float](p Point, d *PointData[F], g float64) (sum float64) {
	for i := range d.X {
		sum += pointOne(p, d, i, g)
	}
	return sum
}
