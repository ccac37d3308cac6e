package tensorops

import (
	"math"
	"sync"
	"unsafe"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// Float is the element type of rows.
type Float interface{ float32 | float64 }

// kernels is the contract between the row functions and an implementation of the inner loops. An
// implementation fills every field for float32 and for float64; the row functions call nothing
// else.
//
// The anchor of an element m is the integer nearest to m·log2 e. Sums of exponentials are scaled by
// 2^-anchor, which is exact, instead of being taken of x - max, whose rounding would cost digits.
// Anchors hold for |m| <= anchorLimit; beyond, the row functions do not use the kernels.
//
// Slices given to a kernel have the lengths that the comment implies; no kernel checks. dst is an
// input slice or overlaps none. Reading beyond a slice and writing beyond dst is forbidden.
type kernels[F Float] struct {
	// name is the implementation's name: generic, avx2, avx512.
	name string

	// termErr estimates the relative error of an expSum with one large term, and half as much again
	// that of an expSumLong; 0 where they are as good as float64.
	termErr float64

	// expSum returns the largest element of x that is no NaN (-Inf when there is none), an integer
	// anchor that is at most 62 below and 12 above its own (float64 terms: 92 and 42), and Σ
	// exp(x[i])·2^-anchor. The sum is NaN when x holds a NaN; it and the anchor are unspecified
	// when |max| > anchorLimit. guess is an anchor that will do, or NaN: the bits of sum·2^anchor
	// do not depend on it, the time may. len(x) is 1 to blockLen.
	expSum func(x []F, guess float64) (max F, anchor, sum float64)

	// expSumLong is expSum for the blocks of longer rows. It may lose more of terms that have most
	// of the sum.
	expSumLong func(x []F, guess float64) (max F, anchor, sum float64)

	// expSumStore is like expSum, with the largest element's own anchor; it also writes dst[i] =
	// exp(x[i])·2^-anchor, which is unspecified where the sum is. nil says that keeping the terms
	// saves nothing.
	expSumStore func(dst, x []F) (max F, anchor, sum float64)

	// scale writes dst[i] = src[i]·factor, 0 where src[i] < low.
	scale func(dst, src []F, factor, low F, stream bool)

	// expSumWide is expSum with terms computed in float64.
	expSumWide func(x []F, guess float64) (max F, anchor, sum float64)

	// expScale writes dst[i] = exp(x[i])·2^-anchor·factor + add; the first term is 0 where x[i] <
	// low. low is at least (anchor + minExponent)·ln 2, so that no denormal number comes up; anchor
	// is an integer and no x[i] exceeds (anchor + maxExponent)·ln 2. stream says that dst should go
	// past the caches. factor is 1 to 4 in magnitude.
	expScale func(dst, x []F, anchor, low F, factor float64, add F, stream bool)

	// expScaleAdd writes dst[i] = exp(x[i])·2^-anchor·factor + (a·t[i] + b), the first term as for
	// expScale.
	expScaleAdd func(dst, x, t []F, anchor, low, factor, a, b F, stream bool)

	// fence waits until what was written past the caches can be seen by other cores.
	fence func()

	// shift writes dst[i] = (x[i] - a) - b.
	shift func(dst, x []F, a F, b float64, stream bool)

	// mulShift writes dst[i] = x[i]·(t[i] + c), computed in float64.
	mulShift func(dst, x, t []F, c float64)

	// targetSum returns Σ t[i] and Σ t[i]·(c - x[i]) in float64, where t[i] = 0 adds 0 whatever
	// x[i] is. signs is 0 when no t[i] has a sign bit.
	targetSum func(t, x []F, c float64) (sum, gap float64, signs int)

	// scaleAdd writes dst[i] = src[i]·factor + a·t[i], where a src[i] < low counts as 0.
	scaleAdd func(dst, src, t []F, factor, low, a F, stream bool)

	// gapSum returns Σ (c - x[i]) over the x[i] that are not -Inf, and their number.
	gapSum func(x []F, c float64) (gap, count float64)

	// xlogx returns Σ t[i]·log t[i] in float64 for t[i] >= 0, where 0·log 0 = 0.
	xlogx func(t []F) float64

	// logGap writes dst[i] = (log t[i] + (c - x[i]))·factor, computed in float64; 0 where t[i] = 0.
	logGap func(dst, t, x []F, c, factor float64, stream bool)

	// expGap returns Σ exp(x[i])·2^-anchor·(c - x[i]) in float64 over the x[i] >= low.
	expGap func(x []F, anchor, low, c float64) float64

	// expScaleGap writes dst[i] = exp(x[i])·2^-anchor·factor·((c - x[i]) + d), computed in float64;
	// 0 where x[i] < low.
	expScaleGap func(dst, x []F, anchor, low, factor, c, d float64, stream bool)

	// point holds the kernels of the elementwise losses, nil where there is none.
	point pointKernels[F]

	// index returns the first i with x[i] == v, or -1.
	index func(x []F, v F) int

	// softmax is what softmax losses of many rows are made of, nil where they go row by row.
	softmax *softmaxKernels[F]
}

const (
	// blockLen is the number of elements over which one expSum runs: few enough that the second
	// reading of a block comes from the nearest cache, and that partial sums stay short.
	blockLen = 1024

	// anchorLimit bounds the elements that the kernels' range reduction is exact for: float32
	// x·log2 e is then within 2^-7 of its integer part.
	anchorLimit = 1 << 16
)

// exponents returns the exponents of 2 between which exp(x)·2^-anchor is a normal number of type F.
func exponents[F Float]() (minExponent, maxExponent float64) {
	if isFloat32[F]() {
		return -126, 126
	}
	return -1022, 1022
}

// isFloat32 reports whether F is float32, at compile time.
func isFloat32[F Float]() bool {
	var z F
	return unsafe.Sizeof(z) == 4
}

// poolOf returns the one of two pools that is for F.
func poolOf[F Float](of32, of64 *sync.Pool) *sync.Pool {
	if isFloat32[F]() {
		return of32
	}
	return of64
}

// active returns the kernels of the level in use for F.
func active[F Float]() *kernels[F] {
	if isFloat32[F]() {
		return any(kernels32[vec.Active()]).(*kernels[F])
	}
	return any(kernels64[vec.Active()]).(*kernels[F])
}

// atLeast returns v rounded up to a number of type F.
func atLeast[F Float](v float64) F {
	f := F(v)
	if float64(f) < v {
		f = F(math.Nextafter32(float32(f), math.MaxFloat32))
	}
	return f
}
