package comm_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/tensorops/comm/commtest"
)

var sizes = []int{1, 2, 3, 5, 7}

// foreign is a Comm that the package does not know, so that its wrappers do their work.
type foreign struct{ comm.Comm }

// forms are the ways in which the same collectives are carried out.
var forms = map[string]func(comm.Comm) comm.Comm{
	"plain":         func(c comm.Comm) comm.Comm { return c },
	"checked":       func(c comm.Comm) comm.Comm { return comm.Checked(foreign{c}) },
	"deterministic": func(c comm.Comm) comm.Comm { return comm.Deterministic(foreign{c}) },
	"both": func(c comm.Comm) comm.Comm {
		return comm.Checked(comm.Deterministic(foreign{c}))
	},
}

// forEach runs f on every number of ranks in every form.
func forEach(t *testing.T, f func(comm.Comm) error) {
	for name, form := range forms {
		for _, size := range sizes {
			err := comm.Run(size, func(c comm.Comm) error { return f(form(c)) })
			if err != nil {
				t.Errorf("%s, %d ranks: %v", name, size, err)
			}
		}
	}
	if err := f(comm.Local()); err != nil {
		t.Errorf("local: %v", err)
	}
}

func TestCollectives(t *testing.T) {
	forEach(t, commtest.Collectives)
}

// TestOrder: sums run in the order of the ranks, in slices longer than a deterministic reduction
// gathers at once.
func TestOrder(t *testing.T) {
	const n = 70_001
	terms := []float64{1e16, 1, -1e16, 1, 0.1} // every order of them has another sum
	for name, form := range forms {
		for _, size := range []int{2, 3, 5} {
			want := terms[0]
			for _, v := range terms[1:size] {
				want += v
			}
			err := comm.Run(size, func(c comm.Comm) error {
				c = form(c)
				x := slices.Repeat([]float64{terms[c.Rank()]}, n)
				counts := comm.Split(n, size)
				dst := make([]float64, counts[c.Rank()])
				err := comm.ReduceScatter(c, dst, x, counts, comm.Sum)
				err = errors.Join(err, comm.Allreduce(c, x, comm.Sum))
				for i, v := range append(x, dst...) {
					if v != want {
						return fmt.Errorf("entry %d is %v, want %v", i, v, want)
					}
				}
				return err
			})
			if err != nil {
				t.Errorf("%s, %d ranks: %v", name, size, err)
			}
		}
	}
}

func TestMaxKeepsNaN(t *testing.T) {
	forEach(t, func(c comm.Comm) error {
		x := []float64{math.Inf(-1), 1}
		if c.Rank() == c.Size()/2 {
			x[1] = math.NaN()
		}
		err := comm.Allreduce(c, x, comm.Max)
		if !math.IsInf(x[0], -1) || !math.IsNaN(x[1]) {
			return fmt.Errorf("Max is %v, want [-Inf NaN]", x)
		}
		return err
	})
}

// TestDisagree: every rank gets the error, which names the ranks that differ, nothing changes and
// the run goes on.
func TestDisagree(t *testing.T) {
	calls := map[string]struct {
		odd  func(c comm.Comm, x []float64) error
		want string
	}{
		"length": {func(c comm.Comm, x []float64) error { return comm.Allreduce(c, x[1:], comm.Sum) },
			"rank 0 called Allreduce of 3 float64 by Sum, rank 2 called Allreduce of 2 float64 by Sum"},
		"type": {func(c comm.Comm, x []float64) error { return comm.Allreduce(c, []int64{1, 2, 3}, comm.Sum) },
			"rank 2 called Allreduce of 3 int64"},
		"operation": {func(c comm.Comm, x []float64) error { return comm.Allreduce(c, x, comm.Max) },
			"rank 2 called Allreduce of 3 float64 by Max"},
		"collective": {func(c comm.Comm, x []float64) error { return comm.Barrier(c) },
			"rank 2 called Barrier"},
		"root": {func(c comm.Comm, x []float64) error { return comm.Broadcast(c, x, 1) },
			"rank 2 called Broadcast of 3 float64 from rank 1"},
	}
	for _, form := range []string{"plain", "both"} {
		for name, call := range calls {
			err := comm.Run(3, func(c comm.Comm) error {
				c = forms[form](c)
				x := []float64{1, 2, 3}
				var err error
				if c.Rank() == 2 {
					err = call.odd(c, x)
				} else {
					err = comm.Allreduce(c, x, comm.Sum)
				}
				if !errors.Is(err, comm.ErrDisagree) || !strings.Contains(err.Error(), call.want) {
					return fmt.Errorf("rank %d: %v, want %q", c.Rank(), err, call.want)
				}
				before := slices.Clone(x)
				if err := comm.Allreduce(c, x, comm.Sum); err != nil {
					return err
				}
				if !slices.Equal(before, []float64{1, 2, 3}) || !slices.Equal(x, []float64{3, 6, 9}) {
					return fmt.Errorf("x is %v, then %v", before, x)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s, %s: %v", form, name, err)
			}
		}
		err := comm.Run(2, func(c comm.Comm) error {
			c = forms[form](c)
			counts := [][]int{{2, 1}, {1, 2}}[c.Rank()]
			err := comm.Allgather(c, make([]float64, 3), make([]float64, counts[c.Rank()]), counts)
			if !errors.Is(err, comm.ErrDisagree) || !strings.Contains(err.Error(), "rank 0 and rank 1 have other counts") {
				return fmt.Errorf("rank %d: %v", c.Rank(), err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s, counts: %v", form, err)
		}
	}
}

// TestArgument: a call that one rank's arguments forbid is an error on every rank.
func TestArgument(t *testing.T) {
	x := []float64{1, 2}
	calls := map[string]func(comm.Comm) error{
		"op is Op(2)":        func(c comm.Comm) error { return comm.Allreduce(c, x, comm.Op(2)) },
		"root is -1":         func(c comm.Comm) error { return comm.Broadcast(c, x, -1) },
		"root is 2":          func(c comm.Comm) error { return comm.Broadcast(c, x, 2) },
		"dst has 3 entries":  func(c comm.Comm) error { return comm.Allgather(c, make([]float64, 3), x, nil) },
		"x has 2 entries":    func(c comm.Comm) error { return comm.ReduceScatter(c, x, x, nil, comm.Sum) },
		"counts has 1":       func(c comm.Comm) error { return comm.Allgather(c, x, x, []int{2}) },
		"count of rank 0":    func(c comm.Comm) error { return comm.Allgather(c, x, x, []int{-1, 3}) },
		"by the counts":      func(c comm.Comm) error { return comm.Allgather(c, x, x, []int{2, 1}) },
		"no such collective": func(c comm.Comm) error { return c.Do(comm.Call{X: x}) },
		"x is []int":         func(c comm.Comm) error { return c.Do(comm.Call{Collective: comm.AllreduceCall, X: []int{1}}) },
		"dst is []float32": func(c comm.Comm) error {
			return c.Do(comm.Call{Collective: comm.AllgatherCall, X: x, Dst: make([]float32, 4)})
		},
	}
	for _, form := range []string{"plain", "both"} {
		for want, call := range calls {
			want = strings.Replace(want, "op is", "operation is", 1)
			err := comm.Run(2, func(c comm.Comm) error {
				c = forms[form](c)
				if c.Rank() == 1 {
					err := comm.Allreduce(c, []float64{1, 2}, comm.Sum)
					if !errors.Is(err, comm.ErrArgument) || !strings.Contains(err.Error(), "rank 0") {
						return fmt.Errorf("rank 1: %v", err)
					}
					return nil
				}
				if err := call(c); !errors.Is(err, comm.ErrArgument) || !strings.Contains(err.Error(), want) {
					return fmt.Errorf("%v, want %q", err, want)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s, %s: %v", form, want, err)
			}
		}
	}
	if err := comm.Run(0, func(comm.Comm) error { return nil }); !errors.Is(err, comm.ErrArgument) {
		t.Errorf("Run of no ranks: %v", err)
	}
}

// TestClosed: nobody waits for a rank that has left.
func TestClosed(t *testing.T) {
	for _, form := range []string{"plain", "both"} {
		err := comm.Run(5, func(c comm.Comm) error {
			c = forms[form](c)
			if err := comm.Barrier(c); err != nil || c.Rank() == 3 {
				return err // closes rank 3
			}
			for range 2 {
				err := comm.Allreduce(c, []int64{1}, comm.Sum)
				if !errors.Is(err, comm.ErrClosed) || !strings.Contains(err.Error(), "rank 3") {
					return fmt.Errorf("rank %d: %v, want that rank 3 has closed", c.Rank(), err)
				}
			}
			return comm.Barrier(comm.Local())
		})
		if err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
	forEach(t, func(c comm.Comm) error {
		if err := errors.Join(comm.Barrier(c), c.Close()); err != nil {
			return err
		}
		call, again := comm.Barrier(c), c.Close()
		if !errors.Is(call, comm.ErrClosed) || !errors.Is(again, comm.ErrClosed) ||
			!strings.Contains(call.Error(), "this rank") {
			return fmt.Errorf("after Close: %v, %v", call, again)
		}
		return nil
	})
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		n, size int
		want    []int
	}{{7, 3, []int{3, 2, 2}}, {2, 3, []int{1, 1, 0}}, {0, 2, []int{0, 0}}, {6, 2, []int{3, 3}}} {
		if got := comm.Split(c.n, c.size); !slices.Equal(got, c.want) {
			t.Errorf("Split(%d, %d) = %v, want %v", c.n, c.size, got, c.want)
		}
	}
}
