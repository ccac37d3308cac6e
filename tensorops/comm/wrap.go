package comm

import "fmt"

// Checked returns a Comm on which calls that disagree between ranks are an error on every rank, as
// in [Run], whatever c does with them. Each call is preceded by a gather of six integers.
func Checked(c Comm) Comm {
	switch c.(type) {
	case *local, *member, *checked:
		return c
	}
	return &checked{Comm: c}
}

type checked struct{ Comm }

func (c *checked) Do(call Call) error {
	mine, fault := newHeader(call, c.Rank(), c.Size())
	flat := make([]int64, c.Size()*len(mine))
	if err := Allgather(c.Comm, flat, mine[:], nil); err != nil {
		return err
	}
	if fault != nil {
		return fault
	}
	headers := make([]header, c.Size())
	for r := range headers {
		copy(headers[r][:], flat[r*len(mine):])
		if headers[r][1] == refused {
			return fmt.Errorf("comm: rank %d %v: %w", r, headers[r], ErrArgument)
		}
	}
	if err := compare(headers); err != nil {
		return err
	}
	return c.Comm.Do(call)
}

// Deterministic returns a Comm whose reductions of floating numbers add in the order of the ranks:
// every rank and every run on that many ranks gets the same bits.
//
// Each reduction is a gather, in pieces of 32,768 entries, followed by a sum on each rank, so that
// k ranks move k times the slice where a reduction moves it about twice. Reductions of integers are
// left as they are.
func Deterministic(c Comm) Comm {
	switch c.(type) {
	case *local, *member, *deterministic:
		return c
	}
	return &deterministic{Comm: c}
}

// gathered is the number of entries that a deterministic reduction gathers from each rank at once:
// 256 KB of float64, which stay in a core's cache while they are added.
const gathered = 32768

type deterministic struct {
	Comm
	narrow []float32
	wide   []float64
}

func (d *deterministic) Do(call Call) error {
	if call.Collective != AllreduceCall && call.Collective != ReduceScatterCall {
		return d.Comm.Do(call)
	}
	switch x := call.X.(type) {
	case []float32:
		return reduceInOrder(d.Comm, &d.narrow, x, call)
	case []float64:
		return reduceInOrder(d.Comm, &d.wide, x, call)
	}
	return d.Comm.Do(call)
}

// reduceInOrder carries out a reduction by gathering pieces of x into room and combining them in
// the order of the ranks.
func reduceInOrder[T Number](c Comm, room *[]T, x []T, call Call) error {
	counts, err := call.Check(c.Rank(), c.Size())
	if err != nil {
		return err
	}
	from, to, dst := 0, len(x), x
	if call.Collective == ReduceScatterCall {
		for _, k := range counts[:c.Rank()] {
			from += k
		}
		to, dst = from+counts[c.Rank()], call.Dst.([]T)
	}
	for at := 0; at < len(x); at += gathered {
		part := x[at:min(at+gathered, len(x))]
		if need := len(part) * c.Size(); len(*room) < need {
			*room = make([]T, need)
		}
		all := (*room)[:len(part)*c.Size()]
		if err := Allgather(c, all, part, nil); err != nil {
			return err
		}
		for r := 1; r < c.Size(); r++ {
			combine(all[:len(part)], all[r*len(part):][:len(part)], call.Op)
		}
		if lo, hi := max(from, at), min(to, at+len(part)); lo < hi {
			copy(dst[lo-from:hi-from], all[lo-at:hi-at])
		}
	}
	return nil
}
