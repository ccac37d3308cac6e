package train

import (
	"context"
	"flag"
	"os"
	"runtime"
	"testing"

	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
)

var soakSteps = flag.Int("soak", 10000, "steps of TestSoak; 200000 is the figure it is meant for")

// TestSoak makes many steps of a tiny model, with reading ahead, validation, TensorBoard files and
// checkpoints, and compares what the process holds after a quarter of them with what it holds at
// the end.
func TestSoak(t *testing.T) {
	const perEpoch = 500
	dir := t.TempDir()
	type usage struct {
		heap              uint64
		goroutines, files int
	}
	measure := func() usage {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u := usage{m.HeapAlloc, runtime.NumGoroutine(), 0}
		if list, err := os.ReadDir("/proc/self/fd"); err == nil { // elsewhere files are not counted
			u.files = len(list)
		}
		return u
	}
	var early, late usage
	epochs := *soakSteps / perEpoch
	res := mustFit(t, linear3, blobs(t, 8*perEpoch, 1), Config{
		Epochs: epochs, BatchSize: 8, Optimizer: optim.Adam(1e-4), Prefetch: 2, Validation: blobs(t, 20, 2),
		Metrics: []metric.Metric{metric.NewAccuracy()}, Checkpoint: &Checkpoint{Dir: dir + "/c", Every: max(1, epochs/5)},
		Callbacks: []Callback{NewTensorBoard(dir+"/t", 100), CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == EpochDone && e.Epoch == epochs/4 {
				early = measure()
			}
			if e.Kind == EpochDone && e.Epoch == epochs {
				late = measure()
			}
			return nil
		})}})
	if res.Steps != epochs*perEpoch {
		t.Fatalf("%d steps, want %d", res.Steps, epochs*perEpoch)
	}
	t.Logf("%d steps: %+v after a quarter, %+v at the end, %v", res.Steps, early, late, res.Time)
	// The history grows by some hundred bytes an epoch; 64 KB is room for what the runtime keeps.
	if grown := int64(late.heap) - int64(early.heap); grown > int64(64<<10+1000*epochs) {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if late.goroutines > early.goroutines || late.files > early.files {
		t.Errorf("%d goroutines and %d files at the end, %d and %d after a quarter", late.goroutines, late.files,
			early.goroutines, early.files)
	}
	if list, err := os.ReadDir(dir + "/c"); err != nil || len(list) != 2 {
		t.Errorf("%d checkpoints are kept, %v, want 2", len(list), err)
	}
}
