package comm

import (
	"errors"
	"fmt"
)

// Comm connects one rank to the others. Its calls come from one goroutine at a time.
//
// Collectives are called through [Allreduce], [Allgather], [ReduceScatter], [Broadcast] and
// [Barrier]; Do is what an implementation provides.
type Comm interface {
	// Rank returns this rank's number, from 0 to Size-1.
	Rank() int
	// Size returns the number of ranks.
	Size() int
	// Do carries out one collective, together with every other rank.
	Do(Call) error
	// Close ends this rank's part in the run. Every later call returns [ErrClosed].
	Close() error
}

// Errors that errors.Is recognises.
var (
	// ErrClosed marks a call on a Comm that this rank or another one closed.
	ErrClosed = errors.New("closed")
	// ErrDisagree marks a call that ranks did not make alike.
	ErrDisagree = errors.New("ranks disagree")
	// ErrArgument marks a call whose slices, counts, operation or root are not allowed.
	ErrArgument = errors.New("invalid argument")
)

// Op says how a reduction combines the ranks' entries.
type Op int

const (
	// Sum adds the entries.
	Sum Op = iota
	// Max takes the largest entry.
	Max
)

// String returns the name of the operation.
func (op Op) String() string {
	switch op {
	case Sum:
		return "Sum"
	case Max:
		return "Max"
	}
	return fmt.Sprintf("Op(%d)", int(op))
}

// Number is a type of entries that ranks exchange.
type Number interface{ float32 | float64 | int64 }

// Allreduce replaces each entry of x by the sum, or the maximum, of that entry over the ranks. All
// ranks pass slices of one length.
func Allreduce[T Number](c Comm, x []T, op Op) error {
	return c.Do(Call{Collective: AllreduceCall, X: x, Op: op})
}

// Allgather writes the slices x of all ranks to dst, one behind the other in the order of the
// ranks.
//
// counts holds the length of each rank's x, is the same on every rank and may hold zeros; nil says
// that all have one length. dst has the length of all together and does not overlap x.
func Allgather[T Number](c Comm, dst, x []T, counts []int) error {
	return c.Do(Call{Collective: AllgatherCall, X: x, Dst: dst, Counts: counts})
}

// ReduceScatter adds the slices x of all ranks, or takes their largest entries, and writes each
// rank's piece of the result to its dst: the first counts[0] entries to rank 0, and so on.
//
// counts is the same on every rank and may hold zeros; nil cuts x into equal pieces. All ranks pass
// an x of one length, which is the sum of counts, and rank r a dst of counts[r]. x keeps its
// entries and does not overlap dst.
func ReduceScatter[T Number](c Comm, dst, x []T, counts []int, op Op) error {
	return c.Do(Call{Collective: ReduceScatterCall, X: x, Dst: dst, Counts: counts, Op: op})
}

// Broadcast copies x of rank root to x of all ranks. All pass slices of one length.
func Broadcast[T Number](c Comm, x []T, root int) error {
	return c.Do(Call{Collective: BroadcastCall, X: x, Root: root})
}

// Barrier returns when every rank has called it.
func Barrier(c Comm) error { return c.Do(Call{Collective: BarrierCall}) }

// Split returns the length of each of size pieces of n items: as equal as possible, the first
// n mod size one longer. Pieces beyond n are empty.
func Split(n, size int) []int {
	counts := make([]int, size)
	for r := range counts {
		counts[r] = n / size
		if r < n%size {
			counts[r]++
		}
	}
	return counts
}
