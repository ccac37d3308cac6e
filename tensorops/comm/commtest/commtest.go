// Package commtest has the law of collectives for tests of whatever is a [comm.Comm].
package commtest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// Collectives makes every collective with every type, on slices that are empty, shorter than the
// number of ranks and longer, and returns an error for a result that is not that of its ranks'
// slices. All ranks call it together.
func Collectives(c comm.Comm) error {
	return errors.Join(collectives[float32](c), collectives[float64](c), collectives[int64](c))
}

// entry is what rank r holds at i: small integers, exact in every type and in every order.
func entry[T comm.Number](r, i int) T { return T((r*31+i*17)%23 - 11) }

func fill[T comm.Number](r, from, n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = entry[T](r, from+i)
	}
	return x
}

func reduced[T comm.Number](size, n int, op comm.Op) []T {
	out := fill[T](0, 0, n)
	for r := 1; r < size; r++ {
		for i, v := range fill[T](r, 0, n) {
			if op == comm.Sum {
				out[i] += v
			} else {
				out[i] = max(out[i], v)
			}
		}
	}
	return out
}

func same[T comm.Number](what string, got, want []T) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s: %v, want %v", what, got, want)
	}
	return nil
}

func collectives[T comm.Number](c comm.Comm) error {
	rank, size := c.Rank(), c.Size()
	for _, n := range []int{0, 1, 10} {
		counts := comm.Split(n, size)
		from := 0
		for _, k := range counts[:rank] {
			from += k
		}
		for _, op := range []comm.Op{comm.Sum, comm.Max} {
			want := reduced[T](size, n, op)
			x := fill[T](rank, 0, n)
			err := comm.Allreduce(c, x, op)
			if err = errors.Join(err, same(fmt.Sprint("Allreduce ", op), x, want)); err != nil {
				return err
			}
			x, dst := fill[T](rank, 0, n), make([]T, counts[rank])
			err = comm.ReduceScatter(c, dst, x, counts, op)
			err = errors.Join(err, same(fmt.Sprint("ReduceScatter ", op), dst, want[from:from+len(dst)]),
				same("x after ReduceScatter", x, fill[T](rank, 0, n)))
			if err != nil {
				return err
			}
		}
		dst := make([]T, n)
		err := comm.Allgather(c, dst, fill[T](9, from, counts[rank]), counts)
		if err = errors.Join(err, same("Allgather", dst, fill[T](9, 0, n))); err != nil {
			return err
		}
		dst = make([]T, n*size)
		err = comm.Allgather(c, dst, fill[T](9, n*rank, n), nil)
		if err = errors.Join(err, same("even Allgather", dst, fill[T](9, 0, n*size))); err != nil {
			return err
		}
		for root := range size {
			x := fill[T](rank, 0, n)
			err := comm.Broadcast(c, x, root)
			if err = errors.Join(err, same("Broadcast", x, fill[T](root, 0, n))); err != nil {
				return err
			}
		}
	}
	return comm.Barrier(c)
}
