package tensorops

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestParallelForCoversOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, cores := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(cores)
		for _, c := range [][2]int{{0, 1}, {-3, 1}, {1, 1}, {10, 3}, {1000, 7}, {5, 100}, {17, 0}} {
			n, grain := c[0], c[1]
			seen := make([]atomic.Int32, max(0, n))
			ParallelFor(n, grain, func(lo, hi int) {
				if hi-lo > max(1, grain) || hi <= lo || lo%max(1, grain) != 0 {
					t.Errorf("n=%d grain=%d: range [%d, %d)", n, grain, lo, hi)
				}
				for i := lo; i < hi; i++ {
					seen[i].Add(1)
				}
			})
			for i := range seen {
				if got := seen[i].Load(); got != 1 {
					t.Fatalf("n=%d grain=%d: index %d was visited %d times", n, grain, i, got)
				}
			}
		}
	}
}

func TestParallelForPanics(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, cores := range []int{1, 4} {
		runtime.GOMAXPROCS(cores)
		var done atomic.Int32
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != "row 37" {
					t.Errorf("panic %q, want %q", got, "row 37")
				}
			}()
			ParallelFor(100, 1, func(lo, _ int) {
				if lo == 37 {
					panic("row 37")
				}
				done.Add(1)
			})
		}()
		if cores > 1 && done.Load() < 37 {
			t.Errorf("%d ranges ran beside the one that panicked, want at least 37", done.Load())
		}
		ParallelFor(10, 1, func(_, _ int) { done.Add(1) }) // and the next call works
	}
}

func TestParallelForNests(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	var n atomic.Int32
	ParallelFor(8, 1, func(_, _ int) {
		ParallelFor(8, 1, func(_, _ int) { n.Add(1) })
	})
	if n.Load() != 64 {
		t.Errorf("%d inner calls, want 64", n.Load())
	}
}

// Calls from many goroutines at once, each with its own answer.
func TestParallelForConcurrently(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for round := range 200 {
				out := make([]int, 50+round)
				ParallelFor(len(out), 3, func(lo, hi int) {
					for i := lo; i < hi; i++ {
						out[i] = caller + i
					}
				})
				for i, v := range out {
					if v != caller+i {
						t.Errorf("caller %d: element %d is %d, want %d", caller, i, v, caller+i)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// A call shared among cores allocates nothing beyond the closure.
func TestParallelAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool forgets at random")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	x, dst := make([]float32, 100*1000), make([]float32, 100*1000)
	SoftmaxRows(dst, x, 1000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const calls = 200
	for range calls {
		SoftmaxRows(dst, x, 1000)
	}
	runtime.ReadMemStats(&after)
	// The runtime itself allocates now and then, and a collection empties sync.Pool.
	if n := after.Mallocs - before.Mallocs; n > calls/4 {
		t.Errorf("%d allocations in %d calls on two cores, want none", n, calls)
	}
}
