package tensorops

import "sync"

// BinaryCrossEntropySum returns the sum over all elements of the binary cross-entropy of the logit x against the
// target t in [0, 1],
//
//	l = log(1 + exp(-|x|)) + |x|·q,  q = 1 - t for x > 0, else t        dl/dx = sigmoid(x) - t
//
// which has its limits at x = ±Inf: 0 on the target's side, +Inf on the other. It panics with
// "tensorops: length mismatch".
func BinaryCrossEntropySum[F Float](x, t []F) float64 { return sumPoints(pointBinary, x, t, 0) }

// BinaryCrossEntropyGrad writes g·(sigmoid(x) - t) to dst, which may be x or t and must not overlap them
// otherwise. The difference is exact to a rounding also where the sigmoid is near 1. It panics with
// "tensorops: length mismatch".
func BinaryCrossEntropyGrad[F Float](dst, x, t []F, g float64) {
	gradPoints(pointBinary, dst, x, t, g, 0)
}

// SquaredErrorSum returns Σ (x - t)². It panics with "tensorops: length mismatch".
func SquaredErrorSum[F Float](x, t []F) float64 { return sumPoints(pointSquared, x, t, 0) }

// SquaredErrorGrad writes 2g·(x - t) to dst, which may be x or t and must not overlap them otherwise. It panics
// with "tensorops: length mismatch".
func SquaredErrorGrad[F Float](dst, x, t []F, g float64) { gradPoints(pointSquared, dst, x, t, g, 0) }

// AbsoluteErrorSum returns Σ |x - t|. It panics with "tensorops: length mismatch".
func AbsoluteErrorSum[F Float](x, t []F) float64 { return sumPoints(pointAbsolute, x, t, 0) }

// AbsoluteErrorGrad writes g·sign(x - t) to dst, 0 where x = t; dst may be x or t and must not overlap them
// otherwise. It panics with "tensorops: length mismatch".
func AbsoluteErrorGrad[F Float](dst, x, t []F, g float64) { gradPoints(pointAbsolute, dst, x, t, g, 0) }

// HuberSum returns Σ l(x - t) for delta > 0,
//
//	l(e) = e²/2  for |e| <= delta,  delta·(|e| - delta/2)  beyond        dl/de = e cut off at ±delta
//
// It panics with "tensorops: length mismatch".
func HuberSum[F Float](x, t []F, delta float64) float64 { return sumPoints(pointHuber, x, t, delta) }

// HuberGrad writes g times the derivative of [HuberSum]'s terms to dst, which may be x or t and must not overlap
// them otherwise. It panics with "tensorops: length mismatch".
func HuberGrad[F Float](dst, x, t []F, delta, g float64) { gradPoints(pointHuber, dst, x, t, g, delta) }

// pointJob is a loss of two numbers over long vectors. Sums are kept for each range, to be added in order.
type pointJob[F Float] struct {
	loss          int
	dst, x, t     []F
	factor, delta float64
	stream        bool
	sums          []float64
}

func (j *pointJob[F]) run(lo, hi int) {
	k := active[F]()
	if j.dst != nil {
		k.pointGrad[j.loss](j.dst[lo:hi], j.x[lo:hi], j.t[lo:hi], j.factor, j.delta, j.stream)
		if j.stream {
			k.fence()
		}
		return
	}
	sum := 0.0
	for at := lo; at < hi; at += blockLen {
		end := min(at+blockLen, hi)
		sum += k.pointSum[j.loss](j.x[at:end], j.t[at:end], j.delta)
	}
	j.sums[lo/chunkLen] = sum
}

var (
	points32 = sync.Pool{New: func() any { return new(pointJob[float32]) }}
	points64 = sync.Pool{New: func() any { return new(pointJob[float64]) }}
)

func pointPool[F Float]() *sync.Pool {
	if isFloat32[F]() {
		return &points32
	}
	return &points64
}

func sumPoints[F Float](loss int, x, t []F, delta float64) float64 {
	mustLen(t, len(x))
	pool := pointPool[F]()
	j := pool.Get().(*pointJob[F])
	chunks := (len(x) + chunkLen - 1) / chunkLen
	sums := j.sums
	if cap(sums) < chunks {
		sums = make([]float64, chunks)
	}
	*j = pointJob[F]{loss: loss, x: x, t: t, delta: delta, sums: sums[:chunks]}
	parallel(len(x), chunkLen, j)
	total := 0.0
	for _, s := range j.sums {
		total += s
	}
	*j = pointJob[F]{sums: j.sums}
	pool.Put(j)
	return total
}

func gradPoints[F Float](loss int, dst, x, t []F, g, delta float64) {
	mustLen(t, len(x))
	mustLen(dst, len(x))
	if len(x) == 0 {
		return
	}
	pool := pointPool[F]()
	j := pool.Get().(*pointJob[F])
	*j = pointJob[F]{loss: loss, dst: dst, x: x, t: t, factor: g, delta: delta, stream: streams[F](len(x), len(x)), sums: j.sums}
	parallel(len(x), chunkLen, j)
	*j = pointJob[F]{sums: j.sums}
	pool.Put(j)
}
