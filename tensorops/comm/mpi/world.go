//go:build (linux && (amd64 || arm64 || riscv64)) || (darwin && (amd64 || arm64))

package mpi

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// world is the Comm of all processes of a run. One goroutine, which keeps its thread, makes every
// call of the library: the same order of calls on every rank, and no thread but that which started
// MPI.
type world struct {
	*library
	queue  chan func()
	closed bool
	failed bool // a collective did not end well, and MPI_Finalize might wait for it
}

var opened atomic.Bool

func open(names []string) (comm.Comm, error) {
	before, err := takeHandlers()
	if err != nil {
		return nil, err
	}
	l, err := load(names)
	if err != nil {
		return nil, err
	}
	if opened.Swap(true) {
		return nil, errors.New("a process starts MPI once")
	}
	w := &world{library: l, queue: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range w.queue {
			f()
		}
	}()
	err = w.do(w.start)
	if err == nil {
		err = before.restore()
	}
	if err != nil {
		close(w.queue)
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	if n := announced(); n != 0 && n != w.Size() {
		err := w.Close()
		return nil, errors.Join(fmt.Errorf("the launcher started %d processes and %s knows %d: it is the library "+
			"of another MPI than the launcher", n, l.name, w.size), err)
	}
	return w, nil
}

// start begins MPI, for calls from one thread.
func (w *world) start() error {
	const funneled = 1
	err := w.call("MPI_Init_thread", w.initThread, 0, 0, funneled, uintptr(unsafe.Pointer(&w.level)))
	if err == nil {
		err = w.call("MPI_Comm_set_errhandler", w.commSetErrhandler, w.world, w.errorsReturn)
	}
	if err == nil {
		err = w.call("MPI_Comm_rank", w.commRank, w.world, uintptr(unsafe.Pointer(&w.rank)))
	}
	if err == nil {
		err = w.call("MPI_Comm_size", w.commSize, w.world, uintptr(unsafe.Pointer(&w.size)))
	}
	if err == nil && w.level < funneled {
		err = errors.New("MPI_Init_thread: the library takes no calls from a program with threads")
	}
	return err
}

// do runs f on the goroutine of the library.
func (w *world) do(f func() error) error {
	done := make(chan error)
	w.queue <- func() { done <- f() }
	return <-done
}

func (w *world) Rank() int { return int(w.rank) }
func (w *world) Size() int { return int(w.size) }

func (w *world) Do(c comm.Call) error {
	if w.closed {
		return fmt.Errorf("comm.%v: this rank, %d, has %w its Comm", c.Collective, w.rank, comm.ErrClosed)
	}
	counts, err := c.Check(w.Rank(), w.Size())
	if err != nil {
		return err
	}
	err = w.do(func() error { return w.carry(c, counts) })
	runtime.KeepAlive(c)
	if err != nil {
		w.failed = true
		return fmt.Errorf("comm.%v on rank %d of %d: %w", c.Collective, w.rank, w.size, err)
	}
	return nil
}

// carry makes the library's call for c. Its arguments lie on the heap, where they stay.
func (w *world) carry(c comm.Call, counts []int) error {
	op := w.sum
	if c.Op == comm.Max {
		op = w.max
	}
	x, n, kind := w.buffer(c.X)
	dst, _, _ := w.buffer(c.Dst)
	switch c.Collective {
	case comm.BarrierCall:
		return w.call("MPI_Barrier", w.barrier, w.world)
	case comm.AllreduceCall:
		return pieces(n, func(at, n int) error {
			return w.call("MPI_Allreduce", w.allreduce, w.inPlace, x+uintptr(at*w.width(kind)), uintptr(n), kind, op,
				w.world)
		})
	case comm.BroadcastCall:
		return pieces(n, func(at, n int) error {
			return w.call("MPI_Bcast", w.broadcast, x+uintptr(at*w.width(kind)), uintptr(n), kind, uintptr(c.Root), w.world)
		})
	}
	lengths, starts, all := make([]int32, w.Size()), make([]int32, w.Size()), 0
	for r, k := range counts {
		lengths[r], starts[r] = int32(k), int32(all)
		if all += k; all > math.MaxInt32 {
			return fmt.Errorf("the ranks' pieces have more than %d entries together", math.MaxInt32)
		}
	}
	defer runtime.KeepAlive(lengths)
	defer runtime.KeepAlive(starts)
	if c.Collective == comm.AllgatherCall {
		return w.call("MPI_Allgatherv", w.allgatherv, x, uintptr(n), kind, dst, address(lengths), address(starts),
			kind, w.world)
	}
	return w.call("MPI_Reduce_scatter", w.reduceScatter, x, dst, address(lengths), kind, op, w.world)
}

// buffer returns where a slice lies, its length and MPI's name of its entries' type.
func (w *world) buffer(x any) (at uintptr, n int, kind uintptr) {
	switch x := x.(type) {
	case []float32:
		return address(x), len(x), w.float32
	case []float64:
		return address(x), len(x), w.float64
	case []int64:
		return address(x), len(x), w.integer
	}
	return 0, 0, 0
}

func (w *world) width(kind uintptr) int {
	if kind == w.float32 {
		return 4
	}
	return 8
}

// longest is the number of entries of one call of the library, which counts in 32 bits.
var longest = 1 << 30

// pieces calls f for consecutive pieces that the library can count.
func pieces(n int, f func(at, n int) error) error {
	for at := 0; at < n; at += longest {
		if err := f(at, min(longest, n-at)); err != nil {
			return err
		}
	}
	return nil
}

// Close ends MPI, once every rank has called it.
func (w *world) Close() error {
	if w.closed {
		return fmt.Errorf("comm.Close: this rank, %d, has %w its Comm", w.rank, comm.ErrClosed)
	}
	w.closed = true
	defer close(w.queue)
	if w.failed {
		return nil
	}
	return w.do(func() error { return w.call("MPI_Finalize", w.finalize) })
}
