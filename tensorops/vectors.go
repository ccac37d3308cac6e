package tensorops

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// The functions below compute in float64 whatever the dtype of vectors, round results once and add
// in an order that depends on the length alone. Vectors have one length; others panic.

// vectorStep is the number of elements that the kernels advance by.
const vectorStep = 16

// wholeSteps returns how many of n elements the kernels take.
func wholeSteps(n int) int {
	if vec.Active() == vec.Generic {
		return 0
	}
	return n &^ (vectorStep - 1)
}

// GapSquares returns Σ (x - y + eps)².
func GapSquares[F Float](x, y []F, eps float64) (sum float64) {
	y = y[:len(x)]
	n := wholeSteps(len(x))
	if n > 0 {
		sum = gapSquares(&x[0], &y[0], n, eps)
	}
	for i := n; i < len(x); i++ {
		e := float64(x[i]) - float64(y[i]) + eps
		sum += e * e
	}
	return sum
}

// GapScale writes a·(x - y + eps) to dst.
func GapScale[F Float](dst, x, y []F, eps, a float64) {
	x, y = x[:len(dst)], y[:len(dst)]
	n := wholeSteps(len(x))
	if n > 0 {
		gapScale(&dst[0], &x[0], &y[0], n, eps, a)
	}
	for i := n; i < len(x); i++ {
		dst[i] = F(a * (float64(x[i]) - float64(y[i]) + eps))
	}
}

// GapScale2 writes a·(x - y + eps) + b·(x - z + delta) to dst.
func GapScale2[F Float](dst, x, y, z []F, eps, a, delta, b float64) {
	x, y, z = x[:len(dst)], y[:len(dst)], z[:len(dst)]
	n := wholeSteps(len(x))
	if n > 0 {
		gapScale2(&dst[0], &x[0], &y[0], &z[0], n, eps, a, delta, b)
	}
	for i := n; i < len(x); i++ {
		v := float64(x[i])
		dst[i] = F(math.FMA(b, v-float64(z[i])+delta, a*(v-float64(y[i])+eps)))
	}
}

// DotProducts returns Σ x², Σ x·y and Σ y².
func DotProducts[F Float](x, y []F) (xx, xy, yy float64) {
	y = y[:len(x)]
	n := wholeSteps(len(x))
	if n > 0 {
		xx, xy, yy = products(&x[0], &y[0], n)
	}
	for i := n; i < len(x); i++ {
		a, b := float64(x[i]), float64(y[i])
		xx, xy, yy = xx+a*a, xy+a*b, yy+b*b
	}
	return xx, xy, yy
}

// CombinedSquares returns Σ (a·x + b·y)².
func CombinedSquares[F Float](x, y []F, a, b float64) (sum float64) {
	y = y[:len(x)]
	n := wholeSteps(len(x))
	if n > 0 {
		sum = combinedSquares(&x[0], &y[0], n, a, b)
	}
	for i := n; i < len(x); i++ {
		e := math.FMA(b, float64(y[i]), a*float64(x[i]))
		sum += e * e
	}
	return sum
}

// Combine writes a·x + b·y to dst.
func Combine[F Float](dst, x, y []F, a, b float64) {
	x, y = x[:len(dst)], y[:len(dst)]
	n := wholeSteps(len(x))
	if n > 0 {
		combine(&dst[0], &x[0], &y[0], n, a, b)
	}
	for i := n; i < len(x); i++ {
		dst[i] = F(math.FMA(b, float64(y[i]), a*float64(x[i])))
	}
}

// shortTerms is the length up to which ExpTerms has no kernel.
const shortTerms = 8

// ExpTerms writes exp(x - max x) in float32 to dst, which may be x, and returns the largest element
// and the sum of what it has written. A term is within 2 units in its last place and half a unit
// more for each unit of its distance from the largest; below 2^-125 it is 0. Where x holds a NaN or
// +Inf, or nothing but -Inf, the sum is NaN.
func ExpTerms(dst, x []float32) (largest float32, sum float64) {
	if vec.Active() != vec.Generic && len(x) >= shortTerms {
		dst = dst[:len(x)]
		sum, largest = expTerms(&dst[0], &x[0], len(x))
		return largest, sum
	}
	largest = float32(math.Inf(-1))
	for _, v := range x {
		largest = max(largest, v)
	}
	return largest, ExpLess(dst, x, largest)
}

// ExpLess is ExpTerms with an anchor in the place of the largest element, which may lie above it by
// no more than roundings.
func ExpLess(dst, x []float32, anchor float32) (sum float64) {
	dst = dst[:len(x)]
	if vec.Active() != vec.Generic && len(x) >= shortTerms {
		return expLess(&dst[0], &x[0], len(x), anchor)
	}
	for i, v := range x {
		e := math.Exp(float64(v - anchor))
		if e < 0x1p-125 {
			e = 0
		}
		dst[i] = float32(e)
		sum += float64(dst[i])
	}
	return sum
}

// TargetSums returns Σ t and Σ t·(c - x), where t = 0 adds 0 whatever x is.
func TargetSums[F Float](t, x []F, c float64) (sum, gap float64) {
	k := active[F]()
	for lo := 0; lo < len(t); lo += blockLen {
		hi := min(lo+blockLen, len(t))
		s, g, _ := k.targetSum(t[lo:hi], x[lo:hi], c)
		sum, gap = sum+s, gap+g
	}
	return sum, gap
}

// MixTerms writes a·e + b·t to dst, which may be e or t, for e >= 0; a·e below 2^-126 (float64:
// 2^-1022) counts as 0.
func MixTerms[F Float](dst, e, t []F, a, b F) {
	normal := 0x1p-1022
	if isFloat32[F]() {
		normal = 0x1p-126
	}
	low := normal / math.Abs(float64(a)) // no denormal number comes up
	active[F]().scaleAdd(dst, e, t, a, F(low), b, false)
}

// LogisticSides are the items of one side of a set of pairs: exponentials u of their scores, scores
// x, weights, and what pairs add up to: Pull, Σ p, and Products, Π (1 + e) less 1.
type LogisticSides struct{ U, X, Weights, Pull, Products []float64 }

// wholePairs returns how many of n pairs the kernels take.
func wholePairs(n int) int {
	if vec.Active() == vec.Generic {
		return 0
	}
	return n &^ 3
}

// PairsBehind computes the logistic loss of an item's pairs with all of s: with e = v·U and gap =
// weight - Weights it adds p = gap·e/(1+e) to Pull, takes e into Products, and returns the item's
// own product, less 1, and Σ p.
func PairsBehind(s *LogisticSides, v, weight float64) (product, own float64) {
	n := len(s.U)
	weights, pull, products := s.Weights[:n], s.Pull[:n], s.Products[:n]
	k := wholePairs(n)
	if k > 0 {
		var lanes [12]float64
		pairsBehind(&lanes[0], &s.U[0], &weights[0], &pull[0], &products[0], k, v, weight)
		product, own = productOf(lanes[:4]), (lanes[4]+lanes[5])+(lanes[6]+lanes[7])
	}
	for ; k < n; k++ {
		e := v * s.U[k]
		one := 1 + e
		p := (weight - weights[k]) * e / one
		product = product*one + e
		products[k] = products[k]*one + e
		pull[k] += p
		own += p
	}
	return product, own
}

// PairsBefore is PairsBehind for gap = Weights - weight and p = gap/(1+e); distance is Σ gap·(X -
// score).
func PairsBefore(s *LogisticSides, v, score, weight float64) (product, own, distance float64) {
	n := len(s.U)
	x, weights, pull, products := s.X[:n], s.Weights[:n], s.Pull[:n], s.Products[:n]
	k := wholePairs(n)
	if k > 0 {
		var lanes [12]float64
		pairsBefore(&lanes[0], &s.U[0], &weights[0], &x[0], &pull[0], &products[0], k, v, score, weight)
		product, own = productOf(lanes[:4]), (lanes[4]+lanes[5])+(lanes[6]+lanes[7])
		distance = (lanes[8] + lanes[9]) + (lanes[10] + lanes[11])
	}
	for ; k < n; k++ {
		e := v * s.U[k]
		one := 1 + e
		gap := weights[k] - weight
		distance += gap * (x[k] - score)
		product = product*one + e
		products[k] = products[k]*one + e
		pull[k] += gap / one
		own += gap / one
	}
	return product, own, distance
}

// productOf returns Π (1 + p) - 1 of four.
func productOf(p []float64) float64 {
	a, b := p[0]+p[1]+p[0]*p[1], p[2]+p[3]+p[2]*p[3]
	return a + b + a*b
}

// AddColumns adds the columns of the rows of x to sums: four elements of a column in float32, the
// others in float64.
func AddColumns(sums []float64, x []float32) {
	n, whole := len(sums), wholeSteps(len(sums))
	for ; len(x) > 0; x = x[min(4*n, len(x)):] {
		if len(x) < 4*n {
			for i, v := range x {
				sums[i%n] += float64(v)
			}
			continue
		}
		if whole > 0 {
			addColumns(&sums[0], &x[0], whole, 4*n)
		}
		for j := whole; j < n; j++ {
			sums[j] += float64((x[j] + x[n+j]) + (x[2*n+j] + x[3*n+j]))
		}
	}
}

// ScaleColumns multiplies each x by f + c of its column.
func ScaleColumns(x []float32, c []float64, f float64) {
	c = c[:len(x)]
	n := wholeSteps(len(x))
	if n > 0 {
		scaleColumns(&x[0], &c[0], n, f)
	}
	for i := n; i < len(x); i++ {
		x[i] = float32(float64(x[i]) * (f + c[i]))
	}
}

// Quotients writes x/d to dst, which may be x.
func Quotients(dst, x []float64, d float64) {
	x = x[:len(dst)]
	n := wholeSteps(len(x))
	if n > 0 {
		quotients(&dst[0], &x[0], n, d)
	}
	for i := n; i < len(x); i++ {
		dst[i] = x[i] / d
	}
}

// RestQuotients writes (x - a·y)/d to dst, which may be x or y.
func RestQuotients(dst, x, y []float64, a, d float64) {
	x, y = x[:len(dst)], y[:len(dst)]
	n := wholeSteps(len(x))
	if n > 0 {
		restQuotients(&dst[0], &x[0], &y[0], n, a, d)
	}
	for i := n; i < len(x); i++ {
		dst[i] = (x[i] - float64(a*y[i])) / d
	}
}
