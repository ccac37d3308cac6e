package tensorops

import (
	"math"
	"sync"
	"unsafe"
)

// Losses of two numbers, added up over long vectors. float32 vectors are computed with in float32 and added in float64; where a
// term or a sum of four overflows on the way, that block is computed again in float64.

// BinaryCrossEntropySum returns the sum over all elements of the binary cross-entropy of the logit x against the
// target t in [0, 1],
//
//	l = log(1 + exp(-|x|)) + |x|·q,  q = 1 - t for x >= 0, else t        dl/dx = sigmoid(x) - t
//
// which has its limits at x = ±Inf: 0 on the target's side, +Inf on the other. Targets outside [0, 1] make the sum NaN. It
// panics with "tensorops: length mismatch".
func BinaryCrossEntropySum[F Float](x, t []F) float64 { return sumPoints(pointBinary, x, t, 0, 0) }

// BinaryCrossEntropyGrad writes g·(sigmoid(x) - t) to dst and returns [BinaryCrossEntropySum] of x and t. dst may be x or t
// and must not overlap them otherwise. The difference is taken between the smaller of sigmoid(x) and 1 - sigmoid(x), which is 0
// below the normal numbers, and what the target has on its side, so that it keeps its digits also where the sigmoid is
// near 1. It panics with "tensorops: length mismatch".
func BinaryCrossEntropyGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(pointBinary, dst, x, t, g, 0, 0)
}

// SoftMarginSum returns Σ log(1 + exp(-t·x)) for targets t of -1 and 1; others make the sum NaN. It panics with
// "tensorops: length mismatch".
func SoftMarginSum[F Float](x, t []F) float64 { return sumPoints(pointMargin, x, t, 0, 0) }

// SoftMarginGrad writes -g·t·sigmoid(-t·x) to dst and returns [SoftMarginSum] of x and t. dst may be x or t and must not overlap
// them otherwise. It panics with "tensorops: length mismatch".
func SoftMarginGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(pointMargin, dst, x, t, g, 0, 0)
}

// SigmoidFocalSum returns the sum of the focal loss with exponent 2 of the logit x against the target t in [0, 1],
//
//	w·u²·l,  u = sigmoid(x)·(1-t) + sigmoid(-x)·t,  w = no·(1-t) + yes·t
//
// with the binary cross-entropy l and the weights no and yes of the two targets. Targets outside [0, 1] make the sum NaN. It
// panics with "tensorops: length mismatch".
func SigmoidFocalSum[F Float](x, t []F, no, yes float64) float64 {
	return sumPoints(pointFocal, x, t, no, yes-no)
}

// SigmoidFocalGrad writes g times the derivative of [SigmoidFocalSum]'s terms by x to dst and returns that sum. dst may be x or
// t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func SigmoidFocalGrad[F Float](dst, x, t []F, no, yes, g float64) float64 {
	return gradPoints(pointFocal, dst, x, t, g, no, yes-no)
}

// SquaredErrorSum returns Σ (x - t)². It panics with "tensorops: length mismatch".
func SquaredErrorSum[F Float](x, t []F) float64 { return sumPoints(pointSquared, x, t, 0, 0) }

// SquaredErrorGrad writes 2g·(x - t) to dst and returns [SquaredErrorSum] of x and t. dst may be x or t and must not overlap them
// otherwise. It panics with "tensorops: length mismatch".
func SquaredErrorGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(pointSquared, dst, x, t, g, 0, 0)
}

// AbsoluteErrorSum returns Σ |x - t|. It panics with "tensorops: length mismatch".
func AbsoluteErrorSum[F Float](x, t []F) float64 { return sumPoints(pointAbsolute, x, t, 0, 0) }

// AbsoluteErrorGrad writes g·sign(x - t) to dst, 0 where x = t, and returns [AbsoluteErrorSum] of x and t. dst may be x or t and
// must not overlap them otherwise. It panics with "tensorops: length mismatch".
func AbsoluteErrorGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(pointAbsolute, dst, x, t, g, 0, 0)
}

// HuberSum returns Σ l(x - t) for delta > 0,
//
//	l(e) = e²/2  for |e| <= delta,  delta·(|e| - delta/2)  beyond        dl/de = e cut off at ±delta
//
// It panics with "tensorops: length mismatch".
func HuberSum[F Float](x, t []F, delta float64) float64 {
	return sumPoints(pointHuber, x, t, delta, 0)
}

// HuberGrad writes g times the derivative of [HuberSum]'s terms to dst and returns that sum. dst may be x or t and must not
// overlap them otherwise. It panics with "tensorops: length mismatch".
func HuberGrad[F Float](dst, x, t []F, delta, g float64) float64 {
	return gradPoints(pointHuber, dst, x, t, g, delta, 0)
}

// LogCoshSum returns Σ log cosh(x - t), small differences with their relative accuracy. It panics with
// "tensorops: length mismatch".
func LogCoshSum[F Float](x, t []F) float64 { return sumPoints(pointLogCosh, x, t, 0, 0) }

// LogCoshGrad writes g·tanh(x - t) to dst and returns [LogCoshSum] of x and t. dst may be x or t and must not overlap them
// otherwise. It panics with "tensorops: length mismatch".
func LogCoshGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(pointLogCosh, dst, x, t, g, 0, 0)
}

// PseudoHuberSum returns Σ delta²·(√(1 + z²) - 1) with z = (x - t)/delta, for a delta > 0 of which delta² and 1/delta are
// numbers of type F. It panics with "tensorops: length mismatch".
func PseudoHuberSum[F Float](x, t []F, delta float64) float64 {
	return delta * delta * sumPoints(pointPseudoHuber, x, t, 1/delta, 0)
}

// PseudoHuberGrad writes g·delta·z/√(1 + z²) to dst and returns [PseudoHuberSum] of x and t. dst may be x or t and must not
// overlap them otherwise. It panics with "tensorops: length mismatch".
func PseudoHuberGrad[F Float](dst, x, t []F, delta, g float64) float64 {
	return delta * delta * gradPoints(pointPseudoHuber, dst, x, t, g*delta, 1/delta, 0)
}

// CauchySum returns Σ log(1 + z²/2) with z = (x - t)/scale, for a scale > 0 of which 1/scale is a number of type F. It panics with
// "tensorops: length mismatch".
func CauchySum[F Float](x, t []F, scale float64) float64 {
	return sumPoints(pointCauchy, x, t, 1/scale, 0)
}

// CauchyGrad writes g/scale·z/(1 + z²/2) to dst and returns [CauchySum] of x and t. dst may be x or t and must not overlap them
// otherwise. It panics with "tensorops: length mismatch".
func CauchyGrad[F Float](dst, x, t []F, scale, g float64) float64 {
	return gradPoints(pointCauchy, dst, x, t, g/scale, 1/scale, 0)
}

// PoissonSum returns Σ exp(x) - t·x for counts t >= 0; others, and infinite ones, make the sum NaN. Rates exp(x) below the normal
// numbers count as 0. It panics with "tensorops: length mismatch".
func PoissonSum[F Float](x, t []F) float64 { return sumPoints(pointPoisson, x, t, 0, 0) }

// PoissonGrad writes g·(exp(x) - t) to dst and returns [PoissonSum] of x and t. dst may be x or t and must not overlap them
// otherwise. It panics with "tensorops: length mismatch".
func PoissonGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(pointPoisson, dst, x, t, g, 0, 0)
}

// GammaSum returns Σ t·exp(-x) + x for t > 0; others, and infinite ones, make the sum NaN. Exponentials below the normal
// numbers count as 0. It panics with "tensorops: length mismatch".
func GammaSum[F Float](x, t []F) float64 { return sumPoints(pointGamma, x, t, 0, 0) }

// GammaGrad writes g·(1 - t·exp(-x)) to dst and returns [GammaSum] of x and t. dst may be x or t and must not overlap them
// otherwise. It panics with "tensorops: length mismatch".
func GammaGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(pointGamma, dst, x, t, g, 0, 0)
}

// BernoulliKLSum returns Σ p·(x - t) + log((1 + exp(t))/(1 + exp(x))) with p = sigmoid(x), the divergence of the probability
// sigmoid(t) from sigmoid(x), to a few units in the last place also for nearly equal x and t. It panics with
// "tensorops: length mismatch".
func BernoulliKLSum(x, t []float32) float64 { return sumPoints(pointBernoulli, x, t, 0, 0) }

// BernoulliKLGrad writes g·p·(1-p)·(x - t) to dst and returns [BernoulliKLSum] of x and t. dst may be x or t and must not overlap
// them otherwise. It panics with "tensorops: length mismatch".
func BernoulliKLGrad(dst, x, t []float32, g float64) float64 {
	return gradPoints(pointBernoulli, dst, x, t, g, 0, 0)
}

const (
	// pointBlock is the number of elements that one call of a kernel gets.
	pointBlock = 4 << 10
	// pointChunk is the number of elements that a core takes at once: so many that what is fetched ahead is its own.
	pointChunk = 64 << 10
)

// pointJob is a loss of two numbers over long vectors. Sums are kept for each range, to be added in order.
type pointJob[F Float] struct {
	loss            int
	dst, x, t       []F
	factor, a, b    float64
	stream, inPlace bool
	sums            []float64
}

func (j *pointJob[F]) run(lo, hi int) {
	sum := 0.0
	for at := lo; at < hi; at += pointBlock {
		sum += j.block(at, min(at+pointBlock, hi))
	}
	if j.stream {
		active[F]().fence()
	}
	j.sums[lo/pointChunk] = sum
}

// block computes one block and returns its sum. Sums that are not finite are found again in float64, which takes the inputs:
// a kernel that overwrites them is asked for the sum first.
func (j *pointJob[F]) block(lo, hi int) float64 {
	k, again, x, t := active[F](), generic[F](), j.x[lo:hi], j.t[lo:hi]
	sum := 0.0
	if j.dst == nil || j.inPlace {
		if sum = k.pointSum[j.loss](x, t, j.a, j.b); j.dst == nil {
			if !finite(sum) {
				sum = again.pointSum[j.loss](x, t, j.a, j.b)
			}
			return sum
		}
	}
	if finite(sum) && representable[F](j.factor) {
		sum = k.pointBoth[j.loss](j.dst[lo:hi], x, t, j.factor, j.a, j.b, j.stream)
		if finite(sum) {
			return sum
		}
	}
	return again.pointBoth[j.loss](j.dst[lo:hi], x, t, j.factor, j.a, j.b, false)
}

func finite(x float64) bool { return x-x == 0 }

// representable says whether products with the factor keep their digits in type F.
func representable[F Float](factor float64) bool {
	m := math.Abs(factor)
	return !isFloat32[F]() || m == 0 || m >= 0x1p-100 && m <= 0x1p100
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

func sumPoints[F Float](loss int, x, t []F, a, b float64) float64 {
	return runPoints(pointJob[F]{loss: loss, x: x, t: t, a: a, b: b})
}

func gradPoints[F Float](loss int, dst, x, t []F, g, a, b float64) float64 {
	mustLen(dst, len(x))
	mustLen(t, len(x))
	if len(x) == 0 {
		return 0
	}
	return runPoints(pointJob[F]{loss: loss, dst: dst, x: x, t: t, factor: g, a: a, b: b,
		stream:  streams[F](len(x), len(x)) && uintptr(unsafe.Pointer(&dst[0]))%64 == 0,
		inPlace: &dst[0] == &x[0] || &dst[0] == &t[0]})
}

func runPoints[F Float](job pointJob[F]) float64 {
	mustLen(job.t, len(job.x))
	pool := pointPool[F]()
	j := pool.Get().(*pointJob[F])
	chunks := (len(job.x) + pointChunk - 1) / pointChunk
	sums := j.sums
	if cap(sums) < chunks {
		sums = make([]float64, chunks)
	}
	*j = job
	j.sums = sums[:chunks]
	parallel(len(job.x), pointChunk, j)
	total := 0.0
	for _, s := range j.sums {
		total += s
	}
	*j = pointJob[F]{sums: j.sums}
	pool.Put(j)
	return total
}
