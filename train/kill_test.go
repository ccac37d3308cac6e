package train

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/surprisal-go/surprisal/loss"
)

// killEnv names the checkpoint directory of a process that only runs to be killed.
const killEnv = "SURPRISAL_TRAIN_KILL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		t := new(victim)
		_, err := Fit(background, mlp, loss.CrossEntropy, blobs(t, 60, 8), fullConfig(t, dir))
		fmt.Println("done", err)
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victim is a testing.TB for the process without tests.
type victim struct{ testing.TB }

func (*victim) Helper()        {}
func (*victim) Fatal(a ...any) { panic(fmt.Sprint(a...)) }

// TestKill kills a process with a run at 50 random moments, its beginning and its end among them,
// and lets another run go on from what is on the disk: the end is always the same to the bit.
func TestKill(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 5
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ds := blobs(t, 60, 8)
	want := mustFit(t, mlp, ds, fullConfig(t, ""))
	start := func(dir string) *exec.Cmd {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), killEnv+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	began := time.Now()
	if err := start(t.TempDir()).Wait(); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(began)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	resumed := 0
	for i := range kills {
		dir := t.TempDir()
		cmd := start(dir)
		wait := time.Duration(rng.Int64N(int64(whole)))
		time.Sleep(wait)
		if err := cmd.Process.Kill(); err != nil && err != os.ErrProcessDone {
			t.Fatal(err)
		}
		cmd.Wait() // its error is the kill
		if paths, err := Checkpoints(dir); err == nil && len(paths) > 0 {
			resumed++
		}
		sameRun(t, fmt.Sprintf("seed %d: kill %d after %v of %v", seed, i, wait, whole), mustFit(t, mlp, ds, fullConfig(t, dir)), want)
	}
	t.Logf("%d of %d killed runs of %v had checkpoints to go on from", resumed, kills, whole)
}
