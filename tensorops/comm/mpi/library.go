//go:build (linux && (amd64 || arm64 || riscv64)) || (darwin && (amd64 || arm64))

package mpi

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libraries returns the files to look for, those of the launcher's own MPI first: a library of
// another one would take each process for a run of its own.
func libraries() []string {
	open, mpich := []string{"libmpi.so.40"}, []string{"libmpich.so.12", "libmpi.so.12"}
	if runtime.GOOS == "darwin" {
		open, mpich = []string{"libmpi.40.dylib"}, []string{"libmpi.12.dylib"}
		for _, dir := range []string{"/opt/homebrew/lib/", "/usr/local/lib/"} {
			open, mpich = append(open, dir+open[0]), append(mpich, dir+mpich[0])
		}
	}
	switch {
	case os.Getenv("OMPI_COMM_WORLD_SIZE") != "":
		return open
	case os.Getenv("PMI_SIZE") != "":
		return append(mpich, open...)
	}
	return append(open, mpich...)
}

// library is a loaded MPI library: its handles and its functions.
type library struct {
	name                      string
	world, errorsReturn       uintptr
	inPlace                   uintptr
	sum, max                  uintptr
	float32, float64, integer uintptr

	initThread, finalize, errorString     uintptr
	commRank, commSize, commSetErrhandler uintptr
	allreduce, allgatherv, reduceScatter  uintptr
	broadcast, barrier                    uintptr

	// What functions write to lies on the heap: a goroutine's stack may move.
	level, rank, size, length int32
	text                      [8192]byte
}

// load opens the first library of a list that there is and looks its symbols up.
func load(names []string) (*library, error) {
	var faults error
	for _, name := range names {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err == nil {
			l := &library{name: name}
			return l, l.find(handle)
		}
		faults = errors.Join(faults, err)
	}
	return nil, fmt.Errorf("no MPI library: install Open MPI or MPICH, such as Debian's package openmpi-bin or "+
		"mpich, on every host of the run: %w", faults)
}

func (l *library) find(handle uintptr) (err error) {
	symbol := func(name string, to *uintptr) {
		p, e := purego.Dlsym(handle, name)
		if *to = p; e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", l.name, e))
		}
	}
	symbol("MPI_Init_thread", &l.initThread)
	symbol("MPI_Finalize", &l.finalize)
	symbol("MPI_Error_string", &l.errorString)
	symbol("MPI_Comm_rank", &l.commRank)
	symbol("MPI_Comm_size", &l.commSize)
	symbol("MPI_Comm_set_errhandler", &l.commSetErrhandler)
	symbol("MPI_Allreduce", &l.allreduce)
	symbol("MPI_Allgatherv", &l.allgatherv)
	symbol("MPI_Reduce_scatter", &l.reduceScatter)
	symbol("MPI_Bcast", &l.broadcast)
	symbol("MPI_Barrier", &l.barrier)
	if _, e := purego.Dlsym(handle, "ompi_mpi_comm_world"); e != nil {
		// MPICH's handles are numbers, which its binary interface of 2014 fixes.
		l.world, l.errorsReturn, l.inPlace = 0x44000000, 0x54000001, ^uintptr(0)
		l.sum, l.max = 0x58000003, 0x58000001
		l.float32, l.float64, l.integer = 0x4c00040a, 0x4c00080b, 0x4c00083a
		return err
	}
	// Open MPI's handles are the addresses of objects.
	symbol("ompi_mpi_comm_world", &l.world)
	symbol("ompi_mpi_errors_return", &l.errorsReturn)
	symbol("ompi_mpi_op_sum", &l.sum)
	symbol("ompi_mpi_op_max", &l.max)
	symbol("ompi_mpi_float", &l.float32)
	symbol("ompi_mpi_double", &l.float64)
	symbol("ompi_mpi_int64_t", &l.integer)
	l.inPlace = 1
	return err
}

// call runs a function of the library and turns its code into an error.
func (l *library) call(name string, function uintptr, args ...uintptr) error {
	code, _, _ := purego.SyscallN(function, args...)
	if int32(code) == 0 {
		return nil
	}
	l.length = 0
	purego.SyscallN(l.errorString, code, address(l.text[:]), uintptr(unsafe.Pointer(&l.length)))
	return fmt.Errorf("%s: %s", name, l.text[:max(0, min(int(l.length), len(l.text)))])
}

// address returns where a slice lies; somewhere for an empty one.
func address[T any](x []T) uintptr {
	if cap(x) == 0 {
		return uintptr(unsafe.Pointer(&nowhere))
	}
	return uintptr(unsafe.Pointer(unsafe.SliceData(x)))
}

var nowhere int64
