// Package mpi connects the processes of a run, on one host or on many, through an MPI library that
// the machine has.
//
// The library is loaded when [World] is called: programs are built without cgo and without a build
// tag, and run without MPI as long as no launcher started them. Open MPI 4 and later and MPICH 3.1
// and later with its relatives of the same binary interface are known, on Linux and macOS; programs
// that import this package are dynamically linked there. Debian has the packages openmpi-bin and
// mpich, each with library and launcher:
//
//	go build -o train . && mpirun -np 4 ./train
//
// # Bits and errors
//
// Reductions add in an order that the library chooses; [comm.Deterministic] adds in the order of
// the ranks. Calls that disagree between ranks may hang or end the run; [comm.Checked] makes them an
// error. When a process of the run ends without [comm.Comm.Close], the launcher ends the others and
// says which one it was: what recovers a run is a checkpoint.
//
// After an error of a collective, end the process with a status other than 0 rather than wait for
// the other ranks.
package mpi

import (
	"fmt"
	"os"
	"strconv"

	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// Launched reports whether an MPI launcher started this process: mpirun, mpiexec, or srun with a
// plug-in for MPI.
func Launched() bool {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

// World returns the ranks of the run that a launcher started, and [comm.Local] for a process that
// none did.
//
// It loads the MPI library and starts it, which takes about a quarter of a second; a process can do
// that once. Without a library, or on a platform for which there is none, a launched process gets
// an error that says what to install, and so does one whose library is of another MPI than its
// launcher.
func World() (comm.Comm, error) {
	if !Launched() {
		return comm.Local(), nil
	}
	w, err := open(libraries())
	if err != nil {
		return nil, fmt.Errorf("mpi.World: %w", err)
	}
	return w, nil
}

// announced returns the number of ranks that the launcher says the run has; 0 where it does not.
func announced() int {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"} {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
	}
	return 0
}
