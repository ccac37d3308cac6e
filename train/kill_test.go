package train

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/surprisal-go/surprisal/loss"
)

var kills = flag.Int("kills", 4, "moments at which TestKill kills a run of each kind; 30 is a thorough test")

// killEnv names the kind of run and the checkpoint directory of a process that only runs to be
// killed.
const killEnv = "SURPRISAL_TRAIN_KILL"

// killKinds are runs with every kind of state that a checkpoint holds. Each returns a check of its
// end against that of another.
var killKinds = map[string]func(t testing.TB, dir string) (same func(how string, t *testing.T)){
	"fit": func(t testing.TB, dir string) func(string, *testing.T) {
		res, err := Fit(background, mlp, loss.CrossEntropy, blobs(t, 60, 8), fullConfig(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		return func(how string, t *testing.T) {
			sameRun(t, how, res, mustFit(t, mlp, blobs(t, 60, 8), fullConfig(t, "")))
		}
	},
	"named": func(t testing.TB, dir string) func(string, *testing.T) {
		res := mustFitNamed(t, garden(t, 30, 1), gardenConfig(t, dir))
		return func(how string, t *testing.T) {
			sameRun(t, how, res, mustFitNamed(t, garden(t, 30, 1), gardenConfig(t, "")))
		}
	},
	"norm": func(t testing.TB, dir string) func(string, *testing.T) {
		res := mustFit(t, normed, blobs(t, 60, 8), normConfig(t, dir))
		return func(how string, t *testing.T) {
			sameRun(t, how, res, mustFit(t, normed, blobs(t, 60, 8), normConfig(t, "")))
		}
	},
	"stream": func(t testing.TB, dir string) func(string, *testing.T) {
		res := mustFitStream(t, streamConfig(t, dir))
		return func(how string, t *testing.T) {
			sameRun(t, how, res, mustFitStream(t, streamConfig(t, "")))
		}
	},
	"trainer": func(t testing.TB, dir string) func(string, *testing.T) {
		got := newAdversaries(t, dir).play(t, 12)
		return func(how string, t *testing.T) {
			if !sameArrays(got.state(), newAdversaries(t, "").play(t, 12).state()) {
				t.Errorf("%s: the state differs", how)
			}
		}
	},
}

func TestMain(m *testing.M) {
	if kind, dir, ok := strings.Cut(os.Getenv(killEnv), "="); ok {
		killKinds[kind](new(victim), dir)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victim is a testing.TB for the process without tests.
type victim struct{ testing.TB }

func (*victim) Helper()        {}
func (*victim) Fatal(a ...any) { panic(fmt.Sprint(a...)) }

// TestKill kills a process with a run of each kind at random moments, its beginning and its end
// among them, and lets another run go on from what is on the disk: the end is always the same to
// the bit.
func TestKill(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for kind, run := range killKinds {
		t.Run(kind, func(t *testing.T) {
			start := func(dir string) *exec.Cmd {
				cmd := exec.Command(exe)
				cmd.Env = append(os.Environ(), killEnv+"="+kind+"="+dir)
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
			for i := range *kills {
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
				run(t, dir)(fmt.Sprintf("seed %d: kill %d after %v of %v", seed, i, wait, whole), t)
			}
			t.Logf("%d of %d killed runs of %v had checkpoints to go on from", resumed, *kills, whole)
		})
	}
}
