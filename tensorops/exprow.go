package tensorops

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// ExpRow writes exp(x[i] - max) to dst and returns max, the largest element of x, and rest, the sum of
// exp(x[i] - max) over every element but the first that attains the maximum. Then
//
//	log Σ exp(x) = max + log1p(rest)        softmax(x)[i] = dst[i] / (1 + rest)
//
// and log1p(rest) keeps its relative accuracy where one element dominates: -log of a probability near 1 is
// log1p(rest) itself. dst may be x.
//
// A row of only -Inf gives max -Inf, a row with +Inf max +Inf; a row with a NaN has max NaN. In these
// three cases every dst[i] and rest are NaN.
//
// ExpRow panics when the lengths differ. An empty row gives max -Inf and rest NaN.
func ExpRow(dst, x []float64) (max, rest float64) {
	if len(dst) != len(x) {
		panic("tensorops: length mismatch")
	}
	max, at := math.Inf(-1), -1
	for i, v := range x {
		if v > max || at < 0 && v == max {
			max, at = v, i
		} else if v != v {
			max = v
			break
		}
	}
	if at < 0 || math.IsInf(max, 0) || max != max {
		for i := range dst {
			dst[i] = math.NaN()
		}
		return max, math.NaN()
	}
	// Sums of 1024 keep the rounding error of a row of ten million elements near that of a short one.
	const block = 1024
	for lo := 0; lo < len(x); lo += block {
		hi := min(lo+block, len(x))
		part := dst[lo:hi]
		for i, v := range x[lo:hi] {
			part[i] = v - max
		}
		vec.Exp(part, part)
		sum := 0.0
		for i, e := range part {
			if lo+i != at {
				sum += e
			}
		}
		rest += sum
	}
	return max, rest
}
