package tensorops

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// ExpRow writes exp(x[i] - max) to dst and returns max, the largest element of x, and rest, the sum
// of exp(x[i] - max) over every element but the first that attains the maximum. Then
//
//	log Σ exp(x) = max + log1p(rest)        softmax(x)[i] = dst[i] / (1 + rest)
//
// and log1p(rest) keeps its relative accuracy where one element dominates: -log of a probability
// near 1 is log1p(rest) itself. dst may be x.
//
// A row of only -Inf gives max -Inf, a row with +Inf max +Inf; a row with a NaN has max NaN. In
// these three cases every dst[i] and rest are NaN.
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
	const block = 1024
	lost := 0.0 // what the additions below round off
	for lo := 0; lo < len(x); lo += block {
		hi := min(lo+block, len(x))
		part := dst[lo:hi]
		for i, v := range x[lo:hi] {
			part[i] = v - max
		}
		vec.Exp(part, part)
		if at >= lo && at < hi {
			part[at-lo] = 0
		}
		for len(part) > 8 {
			e := part[:8:8]
			rest, lost = addLost(rest, lost, ((e[0]+e[1])+(e[2]+e[3]))+((e[4]+e[5])+(e[6]+e[7])))
			part = part[8:]
		}
		few := 0.0 // eight at most round off too little to be worth keeping
		for _, e := range part {
			few += e
		}
		if len(x) <= 8 { // a short row does not wait for the chain of additions
			rest = few
			break
		}
		rest, lost = addLost(rest, lost, few)
	}
	dst[at] = 1
	return max, rest + lost
}
