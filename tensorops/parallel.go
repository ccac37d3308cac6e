package tensorops

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// ParallelFor calls f(lo, hi) for consecutive ranges of at most grain indices that together cover [0, n),
// on up to GOMAXPROCS cores. How the ranges are cut depends on n and grain alone, so a result that is kept
// per range (index lo/grain) and combined in order afterwards does not depend on the number of cores.
//
// A panic in f is raised again on the caller's goroutine when the other ranges are done. n <= 0 does nothing;
// grain < 1 is taken as 1.
func ParallelFor(n, grain int, f func(lo, hi int)) { parallel(n, grain, rangeFunc(f)) }

// ranger is work that can be cut into ranges.
type ranger interface{ run(lo, hi int) }

type rangeFunc func(lo, hi int)

func (f rangeFunc) run(lo, hi int) { f(lo, hi) }

// parallel is ParallelFor for work that is no function.
func parallel(n, grain int, work ranger) {
	grain = max(1, grain)
	chunks := (n + grain - 1) / grain
	workers := min(runtime.GOMAXPROCS(0), chunks)
	if workers <= 1 {
		for lo := 0; lo < n; lo += grain {
			work.run(lo, min(lo+grain, n))
		}
		return
	}
	var (
		next     atomic.Int64
		failed   atomic.Pointer[string]
		wg       sync.WaitGroup
		runRange = func() {
			defer func() {
				if r := recover(); r != nil {
					s := fmt.Sprint(r)
					failed.CompareAndSwap(nil, &s)
				}
			}()
			for {
				i := int(next.Add(1)) - 1
				if i >= chunks {
					return
				}
				work.run(i*grain, min((i+1)*grain, n))
			}
		}
	)
	for range workers - 1 {
		wg.Go(runRange)
	}
	runRange()
	wg.Wait()
	if s := failed.Load(); s != nil {
		panic(*s)
	}
}
