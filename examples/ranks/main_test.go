package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/tensorops/comm/mpi"
	"github.com/surprisal-go/surprisal/train"
)

var kills = flag.Int("kills", 1, "runs of which TestKill kills a rank; 20 is the figure it is meant for")

// TestMain is also what a rank runs: TestKill launches the test's own binary.
func TestMain(m *testing.M) {
	if !mpi.Launched() {
		os.Exit(m.Run())
	}
	pid := filepath.Join(os.Getenv(pidsVariable), os.Getenv("OMPI_COMM_WORLD_RANK"))
	if err := os.WriteFile(pid, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	main()
}

// TestRanks: 1, 2 and 4 ranks end with the same loss, and the ranks of one run report once.
func TestRanks(t *testing.T) {
	losses := make(map[int]float64)
	for _, size := range []int{1, 2, 4} {
		var out bytes.Buffer
		err := comm.Run(size, func(c comm.Comm) error {
			return run(context.Background(), &out, c, 1, 3, 128, "")
		})
		if err != nil {
			t.Fatal(err)
		}
		var ranks int
		var accuracy, loss float64
		if _, err := fmt.Sscanf(out.String(), "%d ranks: test accuracy %f, test loss %f,", &ranks, &accuracy, &loss); err != nil ||
			ranks != size || accuracy < 0.8 || strings.Count(out.String(), "\n") != 2 {
			t.Errorf("%d ranks: %v\n%s", size, err, out.String())
		}
		losses[size] = loss
	}
	for size, l := range losses { // in float32, after 36 steps
		if math.Abs(l-losses[1]) > 1e-4 {
			t.Errorf("%d ranks: loss %v, one rank has %v", size, l, losses[1])
		}
	}
}

// TestMeasure: the steps of two ranks are timed.
func TestMeasure(t *testing.T) {
	var out bytes.Buffer
	err := comm.Run(2, func(c comm.Comm) error { return measure(context.Background(), &out, c, 8, 16, true) })
	if err != nil || !strings.HasPrefix(out.String(), "2 ranks, batch 16: quickest step ") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestShard: an output layer on 1, 2 and 3 ranks has the same losses, which fall.
func TestShard(t *testing.T) {
	var want string
	for _, size := range []int{1, 2, 3} {
		var out bytes.Buffer
		if err := comm.Run(size, func(c comm.Comm) error { return shard(&out, c, 1000, 16, 8, 3) }); err != nil {
			t.Fatal(err)
		}
		losses, memory, _ := strings.Cut(out.String(), "rank 0:")
		if want == "" {
			want = losses
		}
		var first, third float64
		if _, err := fmt.Sscanf(losses, "step 1: loss %f, ln 1000 is 6.907755\nstep 2: loss %f, ln 1000 is 6.907755\nstep 3: loss %f,", &first, new(float64), &third); err != nil ||
			losses != want || third >= first || strings.Count(memory, "weights and gradient") != size {
			t.Errorf("%d ranks: %v\n%s\nwant\n%s", size, err, out.String(), want)
		}
	}
}

// pidsVariable names the directory where launched ranks write the numbers of their processes.
const pidsVariable = "SURPRISAL_RANKS_PIDS"

// launch starts two ranks that keep their run in a directory.
func launch(mpirun, dir, pids string) (*exec.Cmd, *bytes.Buffer, error) {
	cmd := exec.Command(mpirun, "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1",
		"-np", "2", os.Args[0], "-epochs", "20", "-dir", dir)
	cmd.Env = append(os.Environ(), pidsVariable+"="+pids)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out, cmd.Start()
}

// parameters returns what a run says of its parameters.
func parameters(out string) string {
	_, text, _ := strings.Cut(out, "parameters ")
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// TestKill kills a rank at a random moment and starts the run again: the launcher ends the other
// rank and says which one it was, no process is left, and the end is that of a run that was left
// alone, to the bit.
func TestKill(t *testing.T) {
	mpirun := ""
	for _, name := range []string{"mpirun.openmpi", "mpirun"} {
		if out, err := exec.Command(name, "--version").Output(); mpirun == "" && err == nil && strings.Contains(string(out), "Open MPI") {
			mpirun = name
		}
	}
	if mpirun == "" {
		t.Skip("no mpirun of Open MPI here")
	}
	if testing.Short() {
		t.Skip("launching ranks takes some seconds")
	}
	pids := t.TempDir()
	cmd, out, err := launch(mpirun, filepath.Join(t.TempDir(), "run"), pids)
	began := time.Now()
	if err == nil {
		for processOf(pids, 0) == 0 && time.Since(began) < time.Minute {
			time.Sleep(time.Millisecond)
		}
		began = time.Now()
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	whole, want := time.Since(began), parameters(out.String()) // from when ranks are there to be killed; later runs are quicker
	if want == "" {
		t.Fatalf("no parameters in\n%s", out)
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	runs, killed, resumed := 0, 0, 0
	for killed < *kills && !t.Failed() {
		if runs++; runs > 3*(*kills)+3 {
			t.Fatalf("%d of %d runs had a rank to kill", killed, runs)
		}
		dir, pids := filepath.Join(t.TempDir(), "run"), t.TempDir()
		how := fmt.Sprintf("seed %d, run %d", seed, runs)
		cmd, out, err := launch(mpirun, dir, pids)
		if err != nil {
			t.Fatal(err)
		}
		rank, wait := rng.IntN(2), time.Duration(rng.Int64N(int64(whole/2)))
		for tries := 0; processOf(pids, rank) == 0 && tries < 60_000; tries++ {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(wait)
		if syscall.Kill(processOf(pids, rank), syscall.SIGKILL) == nil {
			killed++
		}
		if err := cmd.Wait(); err == nil && parameters(out.String()) != want {
			t.Errorf("%s: the launcher reports no error:\n%s", how, out)
		} else if err != nil && strings.Contains(out.String(), "noticed") && !strings.Contains(out.String(), fmt.Sprintf("process rank %d", rank)) {
			t.Errorf("%s: the launcher does not name rank %d:\n%s", how, rank, out)
		}
		for r := range 2 {
			pid := processOf(pids, r)
			for tries := 0; pid != 0 && syscall.Kill(pid, 0) == nil; tries++ { // the launcher does not wait for it
				if time.Sleep(50 * time.Millisecond); tries == 200 {
					t.Fatalf("%s: rank %d, process %d, is left", how, r, pid)
				}
			}
		}
		if paths, err := train.Checkpoints(dir); err == nil && len(paths) > 0 {
			resumed++
		}
		cmd, out, err = launch(mpirun, dir, pids)
		if err == nil {
			err = cmd.Wait()
		}
		if got := parameters(out.String()); err != nil || got != want {
			t.Errorf("%s: ends with %q, want %q, %v\n%s", how, got, want, err, out)
		}
	}
	t.Logf("%d of %d runs had a rank to kill within %v, %d had checkpoints to go on from", killed, runs, whole, resumed)
}

// processOf returns the process of a rank, 0 where it has not begun.
func processOf(pids string, rank int) int {
	text, err := os.ReadFile(filepath.Join(pids, strconv.Itoa(rank)))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(string(text))
	return pid
}
