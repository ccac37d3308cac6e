package tensorops

import (
	"math"
	"sync"
)

// Elementwise losses over long vectors, shared among the cores: PointSum over ranges, for the
// losses that have a name of their own.

// BinaryCrossEntropySum returns the sum over all elements of the binary cross-entropy of the logit
// x against the target t in [0, 1],
//
//	l = log(1 + exp(-|x|)) + |x|·q,  q = 1 - t for x >= 0, else t        dl/dx = sigmoid(x) - t
//
// which has its limits at x = ±Inf: 0 on the target's side, +Inf on the other. Targets outside [0,
// 1] make the sum NaN. It panics with "tensorops: length mismatch".
func BinaryCrossEntropySum[F Float](x, t []F) float64 {
	return sumPoints(Point{Loss: BinaryCrossEntropy}, x, t)
}

// BinaryCrossEntropyGrad writes g·(sigmoid(x) - t) to dst and returns [BinaryCrossEntropySum] of x
// and t. dst may be x or t and must not overlap them otherwise. The difference is taken between the
// smaller of sigmoid(x) and 1 - sigmoid(x), which is 0 below the normal numbers, and what the
// target has on its side, so that it keeps its digits also where the sigmoid is near 1. It panics
// with "tensorops: length mismatch".
func BinaryCrossEntropyGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(Point{Loss: BinaryCrossEntropy}, dst, x, t, g)
}

// SoftMarginSum returns Σ log(1 + exp(-t·x)) for targets t of -1 and 1; others make the sum NaN. It
// panics with "tensorops: length mismatch".
func SoftMarginSum[F Float](x, t []F) float64 { return sumPoints(Point{Loss: SoftMargin}, x, t) }

// SoftMarginGrad writes -g·t·sigmoid(-t·x) to dst and returns [SoftMarginSum] of x and t. dst may
// be x or t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func SoftMarginGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(Point{Loss: SoftMargin}, dst, x, t, g)
}

// SigmoidFocalSum returns the sum of the focal loss with exponent 2 of the logit x against the
// target t in [0, 1],
//
//	w·u²·l,  u = sigmoid(x)·(1-t) + sigmoid(-x)·t,  w = no·(1-t) + yes·t
//
// with the binary cross-entropy l and the weights no and yes of the two targets. Targets outside
// [0, 1] make the sum NaN. It panics with "tensorops: length mismatch".
func SigmoidFocalSum[F Float](x, t []F, no, yes float64) float64 {
	return sumPoints(Point{SigmoidFocal, 2, no, yes}, x, t)
}

// SigmoidFocalGrad writes g times the derivative of [SigmoidFocalSum]'s terms by x to dst and
// returns that sum. dst may be x or t and must not overlap them otherwise. It panics with
// "tensorops: length mismatch".
func SigmoidFocalGrad[F Float](dst, x, t []F, no, yes, g float64) float64 {
	return gradPoints(Point{SigmoidFocal, 2, no, yes}, dst, x, t, g)
}

// SquaredErrorSum returns Σ (x - t)². It panics with "tensorops: length mismatch".
func SquaredErrorSum[F Float](x, t []F) float64 { return sumPoints(Point{Loss: SquaredError}, x, t) }

// SquaredErrorGrad writes 2g·(x - t) to dst and returns [SquaredErrorSum] of x and t. dst may be x
// or t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func SquaredErrorGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(Point{Loss: SquaredError}, dst, x, t, g)
}

// AbsoluteErrorSum returns Σ |x - t|. It panics with "tensorops: length mismatch".
func AbsoluteErrorSum[F Float](x, t []F) float64 { return sumPoints(Point{Loss: AbsoluteError}, x, t) }

// AbsoluteErrorGrad writes g·sign(x - t) to dst, 0 where x = t, and returns [AbsoluteErrorSum] of x
// and t. dst may be x or t and must not overlap them otherwise. It panics with "tensorops: length
// mismatch".
func AbsoluteErrorGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(Point{Loss: AbsoluteError}, dst, x, t, g)
}

// HuberSum returns Σ l(x - t) for delta > 0,
//
//	l(e) = e²/2  for |e| <= delta,  delta·(|e| - delta/2)  beyond        dl/de = e cut off at ±delta
//
// It panics with "tensorops: length mismatch".
func HuberSum[F Float](x, t []F, delta float64) float64 {
	return sumPoints(Point{Loss: Huber, A: delta}, x, t)
}

// HuberGrad writes g times the derivative of [HuberSum]'s terms to dst and returns that sum. dst
// may be x or t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func HuberGrad[F Float](dst, x, t []F, delta, g float64) float64 {
	return gradPoints(Point{Loss: Huber, A: delta}, dst, x, t, g)
}

// LogCoshSum returns Σ log cosh(x - t), small differences with their relative accuracy. It panics
// with "tensorops: length mismatch".
func LogCoshSum[F Float](x, t []F) float64 { return sumPoints(Point{Loss: LogCosh}, x, t) }

// LogCoshGrad writes g·tanh(x - t) to dst and returns [LogCoshSum] of x and t. dst may be x or t
// and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func LogCoshGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(Point{Loss: LogCosh}, dst, x, t, g)
}

// PseudoHuberSum returns Σ delta²·(√(1 + z²) - 1) with z = (x - t)/delta, for a delta > 0 of which
// delta² and 1/delta are numbers of type F. It panics with "tensorops: length mismatch".
func PseudoHuberSum[F Float](x, t []F, delta float64) float64 {
	return sumPoints(Point{Loss: PseudoHuber, A: delta}, x, t)
}

// PseudoHuberGrad writes g·delta·z/√(1 + z²) to dst and returns [PseudoHuberSum] of x and t. dst
// may be x or t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func PseudoHuberGrad[F Float](dst, x, t []F, delta, g float64) float64 {
	return gradPoints(Point{Loss: PseudoHuber, A: delta}, dst, x, t, g)
}

// CauchySum returns Σ log(1 + z²/2) with z = (x - t)/scale, for a scale > 0 of which 1/scale is a
// number of type F. It panics with "tensorops: length mismatch".
func CauchySum[F Float](x, t []F, scale float64) float64 {
	return sumPoints(Point{Loss: Cauchy, A: scale}, x, t)
}

// CauchyGrad writes g/scale·z/(1 + z²/2) to dst and returns [CauchySum] of x and t. dst may be x or
// t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func CauchyGrad[F Float](dst, x, t []F, scale, g float64) float64 {
	return gradPoints(Point{Loss: Cauchy, A: scale}, dst, x, t, g)
}

// PoissonSum returns Σ exp(x) - t·x for counts t >= 0; others, and infinite ones, make the sum NaN.
// Rates exp(x) below the normal numbers count as 0. It panics with "tensorops: length mismatch".
func PoissonSum[F Float](x, t []F) float64 { return sumPoints(Point{Loss: Poisson}, x, t) }

// PoissonGrad writes g·(exp(x) - t) to dst and returns [PoissonSum] of x and t. dst may be x or t
// and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func PoissonGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(Point{Loss: Poisson}, dst, x, t, g)
}

// GammaSum returns Σ t·exp(-x) + x for t > 0; others, and infinite ones, make the sum NaN.
// Exponentials below the normal numbers count as 0. It panics with "tensorops: length mismatch".
func GammaSum[F Float](x, t []F) float64 { return sumPoints(Point{Loss: Gamma}, x, t) }

// GammaGrad writes g·(1 - t·exp(-x)) to dst and returns [GammaSum] of x and t. dst may be x or t
// and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func GammaGrad[F Float](dst, x, t []F, g float64) float64 {
	return gradPoints(Point{Loss: Gamma}, dst, x, t, g)
}

// BernoulliKLSum returns Σ p·(x - t) + log((1 + exp(t))/(1 + exp(x))) with p = sigmoid(x), the
// divergence of the probability sigmoid(t) from sigmoid(x), to a few units in the last place also
// for nearly equal x and t. It panics with "tensorops: length mismatch".
func BernoulliKLSum(x, t []float32) float64 { return sumPoints(Point{Loss: BernoulliKL}, x, t) }

// BernoulliKLGrad writes g·p·(1-p)·(x - t) to dst and returns [BernoulliKLSum] of x and t. dst may
// be x or t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func BernoulliKLGrad(dst, x, t []float32, g float64) float64 {
	return gradPoints(Point{Loss: BernoulliKL}, dst, x, t, g)
}

// pointChunk is the number of elements that a core takes at once: so many that what is fetched
// ahead is its own.
const pointChunk = 64 << 10

// pointJob is an elementwise loss over long vectors. Sums are kept for each range, to be added in
// order.
type pointJob[F Float] struct {
	point Point
	data  PointData[F]
	g     float64
	sums  []float64
}

func (j *pointJob[F]) run(lo, hi int) {
	var d PointData[F]
	j.data.cut(&d, lo, hi)
	j.sums[lo/pointChunk] = PointSum(j.point, &d, j.g)
}

func finite(x float64) bool { return x-x == 0 }

// representable reports whether products with the factor keep their digits in type F.
func representable[F Float](factor float64) bool {
	m := math.Abs(factor)
	return !isFloat32[F]() || m == 0 || m >= 0x1p-100 && m <= 0x1p100
}

var (
	points32 = sync.Pool{New: func() any { return new(pointJob[float32]) }}
	points64 = sync.Pool{New: func() any { return new(pointJob[float64]) }}
)

func sumPoints[F Float](p Point, x, t []F) float64 {
	mustLen(t, len(x))
	return runPoints(p, PointData[F]{X: x, T: t}, 0)
}

func gradPoints[F Float](p Point, dst, x, t []F, g float64) float64 {
	mustLen(dst, len(x))
	mustLen(t, len(x))
	return runPoints(p, PointData[F]{X: x, T: t, Dst: dst, Stream: streams[F](len(x), len(x))}, g)
}

func runPoints[F Float](p Point, data PointData[F], g float64) float64 {
	n := len(data.X)
	if n <= pointChunk {
		return PointSum(p, &data, g)
	}
	pool := poolOf[F](&points32, &points64)
	j := pool.Get().(*pointJob[F])
	chunks := (n + pointChunk - 1) / pointChunk
	sums := j.sums
	if cap(sums) < chunks {
		sums = make([]float64, chunks)
	}
	*j = pointJob[F]{point: p, data: data, g: g, sums: sums[:chunks]}
	parallel(n, pointChunk, j)
	total := 0.0
	for _, s := range j.sums {
		total += s
	}
	*j = pointJob[F]{sums: j.sums}
	pool.Put(j)
	return total
}
