package mpi_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/tensorops/comm/commtest"
	"github.com/surprisal-go/surprisal/tensorops/comm/mpi"
)

// TestMain is also what a rank runs: the launchers of these tests start the test's own binary.
func TestMain(m *testing.M) {
	if !mpi.Launched() {
		os.Exit(m.Run())
	}
	c, err := mpi.World()
	if err == nil {
		err = rank(c)
	}
	if err != nil {
		fmt.Println("rank:", err)
		os.Exit(1)
	}
}

// rank is what every rank of a launched test does.
func rank(c comm.Comm) error {
	for _, form := range []comm.Comm{c, comm.Deterministic(c), comm.Checked(comm.Deterministic(c))} {
		if err := commtest.Collectives(form); err != nil {
			return err
		}
	}
	if err := order(comm.Deterministic(c)); err != nil {
		return err
	}
	if err := disagree(comm.Checked(c)); err != nil {
		return err
	}
	if err := fault(); err != nil {
		return err
	}
	if _, err := mpi.World(); err == nil || !strings.Contains(err.Error(), "a process starts MPI once") {
		return fmt.Errorf("a second World: %v", err)
	}
	fmt.Printf("rank %d of %d is done\n", c.Rank(), c.Size())
	if err := c.Close(); err != nil {
		return err
	}
	if err := comm.Barrier(c); !errors.Is(err, comm.ErrClosed) {
		return fmt.Errorf("after Close: %v", err)
	}
	if err := c.Close(); !errors.Is(err, comm.ErrClosed) {
		return fmt.Errorf("Close again: %v", err)
	}
	return nil
}

// order: sums run in the order of the ranks, in slices longer than one message, and a NaN stays.
func order(c comm.Comm) error {
	terms := []float64{1e16, 1, -1e16, 0.1}
	want := terms[0]
	for _, v := range terms[1:c.Size()] {
		want += v
	}
	x := make([]float64, 100_003)
	for i := range x {
		x[i] = terms[c.Rank()]
	}
	if err := comm.Allreduce(c, x, comm.Sum); err != nil {
		return err
	}
	for i, v := range x {
		if v != want {
			return fmt.Errorf("entry %d is %v, want %v", i, v, want)
		}
	}
	x = []float64{float64(c.Rank())}
	if c.Rank() == 0 {
		x[0] = math.NaN()
	}
	if err := comm.Allreduce(c, x, comm.Max); err != nil || !math.IsNaN(x[0]) {
		return fmt.Errorf("Max with NaN is %v, %v", x[0], err)
	}
	return nil
}

func disagree(c comm.Comm) error {
	last := c.Size() - 1
	err := comm.Allreduce(c, make([]float64, 3+c.Rank()/max(1, last)), comm.Sum)
	want := fmt.Sprintf("rank %d called Allreduce of 4 float64", last)
	if !errors.Is(err, comm.ErrDisagree) || !strings.Contains(err.Error(), want) {
		return fmt.Errorf("%v, want %q", err, want)
	}
	return comm.Barrier(c)
}

// fault: faults of a program are still panics that it can recover from beside an MPI library, whose
// own handlers of signals might take them.
func fault() (err error) {
	defer func() {
		if recover() == nil {
			err = errors.New("a nil pointer was no panic")
		}
	}()
	var p *int
	return fmt.Errorf("read %d", *p)
}

// launchers are the commands that start n ranks, by their MPI.
var launchers = []struct {
	mpi     string
	names   []string
	version string // what it says of itself
	options []string
	ranks   []string // MPICH's wait by spinning: more of them than cores take long
}{
	{"Open MPI", []string{"mpirun.openmpi", "mpirun"}, "Open MPI", []string{"--allow-run-as-root",
		"--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"}, []string{"2", "4"}},
	{"MPICH", []string{"mpirun.mpich", "mpirun"}, "HYDRA", nil, []string{"2"}},
}

func TestLaunched(t *testing.T) {
	for _, l := range launchers {
		t.Run(l.mpi, func(t *testing.T) {
			command := ""
			for _, name := range l.names {
				if out, err := exec.Command(name, "--version").Output(); command == "" && err == nil && strings.Contains(string(out), l.version) {
					command = name
				}
			}
			if command == "" {
				t.Skipf("no mpirun of %s here", l.mpi)
			}
			for _, n := range l.ranks {
				out, err := exec.Command(command, append(l.options, "-np", n, os.Args[0])...).CombinedOutput()
				if err != nil || strings.Count(string(out), "of "+n+" is done") != int(n[0]-'0') {
					t.Errorf("%s ranks: %v\n%s", n, err, out)
				}
			}
		})
	}
}

func TestAlone(t *testing.T) {
	c, err := mpi.World()
	if err != nil || c.Size() != 1 {
		t.Fatalf("World without a launcher: %v, %v", c, err)
	}
	if err := commtest.Collectives(c); err != nil {
		t.Error(err)
	}
}
