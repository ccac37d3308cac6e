package comm

import (
	"fmt"
	"slices"
)

// Collective is the kind of a [Call].
type Collective int

// The collectives, as the functions of the same name call them.
const (
	AllreduceCall Collective = iota + 1
	AllgatherCall
	ReduceScatterCall
	BroadcastCall
	BarrierCall
)

var collectives = [...]string{"Collective(0)", "Allreduce", "Allgather", "ReduceScatter",
	"Broadcast", "Barrier"}

// String returns the name of the collective.
func (k Collective) String() string {
	if k < AllreduceCall || k > BarrierCall {
		return fmt.Sprintf("Collective(%d)", int(k))
	}
	return collectives[k]
}

// Call is one rank's part of a collective, for those who implement a [Comm].
type Call struct {
	Collective Collective
	// X is what this rank sends, and where a reduction or a broadcast leaves its result: a
	// []float32, []float64 or []int64, nil for a barrier.
	X any
	// Dst takes what a gather or a scattered reduction gives this rank, in a slice of X's type.
	Dst any
	// Counts holds the lengths of the ranks' pieces; nil stands for equal ones.
	Counts []int
	Op     Op
	Root   int
}

// Check returns an error that wraps [ErrArgument] unless the call is one that this rank of size may
// make, and the lengths of the ranks' pieces where a collective has them.
func (c Call) Check(rank, size int) (counts []int, err error) {
	n, kind := extent(c.X)
	m, dst := extent(c.Dst)
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("comm.%v: "+format+": %w", append(append([]any{c.Collective}, args...),
			ErrArgument)...)
	}
	switch c.Collective {
	case BarrierCall:
		return nil, nil
	case AllreduceCall, BroadcastCall, AllgatherCall, ReduceScatterCall:
		if kind == "" {
			return nil, refuse("x is %T, want []float32, []float64 or []int64", c.X)
		}
	default:
		return nil, refuse("no such collective")
	}
	if c.Op != Sum && c.Op != Max {
		return nil, refuse("operation is %v, want Sum or Max", c.Op)
	}
	if c.Root < 0 || c.Root >= size {
		return nil, refuse("root is %d, want a rank from 0 to %d", c.Root, size-1)
	}
	if c.Collective == AllreduceCall || c.Collective == BroadcastCall {
		return nil, nil
	}
	if dst != kind {
		return nil, refuse("dst is %T, want %T as x is", c.Dst, c.X)
	}
	whole, piece := m, n
	names := [2]string{"dst", "x"}
	if c.Collective == ReduceScatterCall {
		whole, piece, names = n, m, [2]string{"x", "dst"}
	}
	counts = c.Counts
	if counts == nil {
		if whole != size*piece {
			return nil, refuse("%s has %d entries, want %d, %d times those of %s", names[0], whole,
				size*piece, size, names[1])
		}
		return slices.Repeat([]int{piece}, size), nil
	}
	if len(counts) != size {
		return nil, refuse("counts has %d entries, want one for each of %d ranks", len(counts), size)
	}
	sum := 0
	for r, k := range counts {
		if k < 0 {
			return nil, refuse("count of rank %d is %d, want 0 or more", r, k)
		}
		sum += k
	}
	if piece != counts[rank] || whole != sum {
		return nil, refuse("%s has %d entries and %s %d, want %d and %d by the counts", names[1],
			piece, names[0], whole, counts[rank], sum)
	}
	return counts, nil
}

// extent returns the length of a slice and the name of its entries' type, which is empty for any
// other value.
func extent(x any) (n int, kind string) {
	switch x := x.(type) {
	case []float32:
		return len(x), "float32"
	case []float64:
		return len(x), "float64"
	case []int64:
		return len(x), "int64"
	}
	return 0, ""
}

// header is what ranks compare of a call: whether its rank's check refused it, and all that must
// be alike.
type header [6]int64

const refused = -1

// newHeader describes a call of this rank of size, and returns the error of its check.
func newHeader(c Call, rank, size int) (header, error) {
	counts, err := c.Check(rank, size)
	if err != nil {
		return header{int64(c.Collective), refused}, err
	}
	n, kind := extent(c.X)
	h := header{int64(c.Collective), 0, int64(c.Op), int64(c.Root)}
	h[1] = int64(slices.Index([]string{"", "float32", "float64", "int64"}, kind))
	if counts == nil {
		h[4] = int64(n)
		return h, nil
	}
	hash := uint64(14695981039346656037)
	for _, k := range counts {
		h[4] += int64(k)
		hash = (hash ^ uint64(k)) * 1099511628211
	}
	h[5] = int64(hash)
	return h, nil
}

// String names what another rank might have done otherwise.
func (h header) String() string {
	k := Collective(h[0])
	if h[1] == refused {
		return fmt.Sprintf("refused its own %v", k)
	}
	kinds := [...]string{"", "float32", "float64", "int64"}
	switch k {
	case BarrierCall:
		return "called Barrier"
	case BroadcastCall:
		return fmt.Sprintf("called %v of %d %s from rank %d", k, h[4], kinds[h[1]], h[3])
	case AllgatherCall:
		return fmt.Sprintf("called %v of %d %s in all", k, h[4], kinds[h[1]])
	}
	return fmt.Sprintf("called %v of %d %s by %v", k, h[4], kinds[h[1]], Op(h[2]))
}

// compare returns an error that wraps [ErrDisagree] and names two ranks unless all headers are
// alike.
func compare(headers []header) error {
	for r, h := range headers {
		switch {
		case h == headers[0]:
		case h[5] != headers[0][5] && [5]int64(h[:5]) == [5]int64(headers[0][:5]):
			return fmt.Errorf("comm.%v: rank 0 and rank %d have other counts: %w",
				Collective(h[0]), r, ErrDisagree)
		default:
			return fmt.Errorf("comm: rank 0 %v, rank %d %v: %w", headers[0], r, h, ErrDisagree)
		}
	}
	return nil
}
