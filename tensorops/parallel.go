package tensorops

import "runtime"

// ParallelFor calls f(lo, hi) for consecutive ranges of at most grain indices that together cover
// [0, n), on up to GOMAXPROCS cores. How the ranges are cut depends on n and grain alone, so a
// result that is kept per range (index lo/grain) and combined in order afterwards does not depend
// on the number of cores.
//
// The other cores' goroutines are kept: they look for new work for about 20 microseconds after a
// call and sleep then. While they serve one call, a call from elsewhere, or from within f, runs on
// its own core alone.
//
// A panic in f is raised again on the caller's goroutine when the other ranges are done. n <= 0
// does nothing; grain < 1 is taken as 1.
func ParallelFor(n, grain int, f func(lo, hi int)) { parallel(n, grain, rangeFunc(f)) }

// ranger is work that can be cut into ranges.
type ranger interface{ run(lo, hi int) }

type rangeFunc func(lo, hi int)

func (f rangeFunc) run(lo, hi int) { f(lo, hi) }

// parallel is ParallelFor for work that is no function.
func parallel(n, grain int, work ranger) {
	grain = max(1, grain)
	chunks := (n + grain - 1) / grain
	if workers := min(runtime.GOMAXPROCS(0), chunks); workers > 1 && helpers.share(work, n, grain, chunks, workers) {
		return
	}
	for lo := 0; lo < n; lo += grain {
		work.run(lo, min(lo+grain, n))
	}
}
