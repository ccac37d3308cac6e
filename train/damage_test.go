package train

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/optim"
)

var everyBit = flag.Bool("everybit", false, "TestEveryBitOfCheckpoints damages every bit and not one in 61")

// TestEveryBitOfCheckpoints: a checkpoint of which any file is cut anywhere, or has any bit
// flipped, is no checkpoint, neither to go on from nor to load.
func TestEveryBitOfCheckpoints(t *testing.T) {
	ds, dir := blobs(t, 8, 8), t.TempDir()
	mustFit(t, linear3, ds, Config{Epochs: 1, BatchSize: 8, Optimizer: optim.Adam(0.1), EarlyStop: &EarlyStop{Monitor: "loss", Patience: 1}, Checkpoint: &Checkpoint{Dir: dir}})
	paths, err := Checkpoints(dir)
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	step := 61 // a prime, for all bits of a byte to have their turn
	if *everyBit {
		step = 1
	}
	count := 0
	for _, name := range []string{weightsFile, optimizerFile, bestFile, stateFile} {
		file := filepath.Join(paths[0], name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		try := func(bad []byte, how string, at int) {
			t.Helper()
			count++
			if err := os.WriteFile(file, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := readState(paths[0]); err == nil {
				t.Errorf("%s %s at %d: taken for a checkpoint", name, how, at)
			}
			if at%16 == 0 {
				if _, err := Load(paths[0], linear3); err == nil {
					t.Errorf("%s %s at %d: loaded", name, how, at)
				}
			}
		}
		for i := 0; i < len(text); i += step {
			try(text[:i], "cut", i)
		}
		for i := 0; i < 8*len(text); i += step {
			bad := slices.Clone(text)
			bad[i/8] ^= 1 << (i % 8)
			try(bad, "with a flipped bit", i)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d damaged files", count)
	if _, err := Load(paths[0], linear3); err != nil {
		t.Fatal(err)
	}
	if _, err := Fit(background, linear3, loss.CrossEntropy, ds, Config{Epochs: 2, BatchSize: 8, Optimizer: optim.Adam(0.1),
		EarlyStop: &EarlyStop{Monitor: "loss", Patience: 1}, Checkpoint: &Checkpoint{Dir: dir, Resume: true}}); err != nil {
		t.Error(err)
	}
}
