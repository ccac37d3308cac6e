package tensorops

import "math"

// Float is the element type of rows.
type Float interface{ float32 | float64 }

// kernels is the contract between the row functions and an implementation of the inner loops. An
// implementation fills every field for float32 and for float64; the row functions call nothing else.
//
// The anchor of an element m is the integer nearest to m·log2 e. Sums of exponentials are scaled by 2^-anchor,
// which is exact, instead of being taken of x - max, whose rounding would cost digits. Anchors hold for
// |m| <= anchorLimit; beyond, the row functions do not use the kernels.
//
// Slices given to a kernel have the lengths that the comment implies; no kernel checks. dst is an input slice
// or overlaps none. Reading beyond a slice and writing beyond dst is forbidden.
type kernels[F Float] struct {
	// name is the implementation's name: generic, avx2, avx512.
	name string

	// termErr bounds the relative error of the terms that expSum adds; 0 where they are as good as float64.
	termErr float64

	// expSum returns the largest element of x that is no NaN (-Inf when there is none), its anchor, and
	// Σ exp(x[i])·2^-anchor. The sum is NaN when x holds a NaN; it is unspecified when |max| > anchorLimit.
	// len(x) is 1 to blockLen.
	expSum func(x []F) (max F, anchor, sum float64)

	// expSumWide is expSum with terms computed in float64.
	expSumWide func(x []F) (max F, anchor, sum float64)

	// expScale writes dst[i] = exp(x[i])·2^-anchor·factor where x[i] >= low, 0 where x[i] < low, and NaN where
	// x[i] is NaN. low is at least (anchor + minExponent)·ln 2, so that no denormal number comes up; anchor is
	// an integer and no x[i] exceeds (anchor + maxExponent)·ln 2.
	// stream says that dst should go past the caches.
	expScale func(dst, x []F, anchor, low, factor F, stream bool)

	// shift writes dst[i] = (x[i] - a) - b.
	shift func(dst, x []F, a F, b float64, stream bool)

	// index returns the first i with x[i] == v, or -1.
	index func(x []F, v F) int
}

const (
	// blockLen is the number of elements over which one expSum runs: few enough that the second reading of a
	// block comes from the nearest cache, and that partial sums stay short.
	blockLen = 1024

	// anchorLimit bounds the elements that the kernels' range reduction is exact for: float32 x·log2 e is
	// then within 2^-7 of its integer part.
	anchorLimit = 1 << 16
)

// exponents returns the exponents of 2 between which exp(x)·2^-anchor is a normal number of type F.
func exponents[F Float]() (minExponent, maxExponent float64) {
	if isFloat32[F]() {
		return -126, 126
	}
	return -1022, 1022
}

func isFloat32[F Float]() bool {
	var z F
	_, ok := any(z).(float32)
	return ok
}

// The implementation in use. Set once at start-up; tests set it through useImplementation.
var (
	active32 = &generic32
	active64 = &generic64
)

// active returns the kernels in use for F.
func active[F Float]() *kernels[F] {
	if isFloat32[F]() {
		return any(active32).(*kernels[F])
	}
	return any(active64).(*kernels[F])
}

// lowest returns the smallest F that is at least v, for v in the range of F.
func lowest[F Float](v float64) F {
	f := F(v)
	if float64(f) < v {
		if isFloat32[F]() {
			return F(math.Nextafter32(float32(f), float32(math.Inf(1))))
		}
		return F(math.Nextafter(float64(f), math.Inf(1)))
	}
	return f
}
