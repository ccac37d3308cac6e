package loss_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gatheredLosses gather the rows of all ranks.
var gatheredLosses = []string{"NTXent", "SupCon", "Circle", "MultiSimilarity", "InfoNCE", "SigLIP"}

// part returns the problem with the rows [lo, hi) of n.
func (p *groupProblem) part(n, lo, hi int) *groupProblem {
	q := *p
	q.inputs = slices.Clone(p.inputs)
	for k, in := range p.inputs {
		if len(in.shape) == 0 || in.shape[0] != n {
			continue
		}
		q.inputs[k].shape = append([]int{hi - lo}, in.shape[1:]...)
		width := product(in.shape[1:])
		if in.x != nil {
			q.inputs[k].x = in.x[lo*width : hi*width]
		}
		if in.ints != nil {
			q.inputs[k].ints = in.ints[lo*width : hi*width]
		}
	}
	return &q
}

// Rows of embeddings on several ranks, uneven ones, give the loss of the whole batch on every rank,
// with the derivatives of first and second order by each rank's rows; those by what ranks share add
// up.
func TestCommGathersBatches(t *testing.T) {
	seen := make(map[string]bool)
	turn := 0
	eachGroupProblem(t, func(t *testing.T, p *groupProblem) {
		beside := func(in groupInput) bool {
			return len(in.shape) > 0 && (in.with != nil || in.shape[0] != p.inputs[0].shape[0])
		}
		if !slices.Contains(gatheredLosses, p.loss) || slices.ContainsFunc(p.inputs, beside) {
			return // references and positives are not gathered
		}
		n := p.inputs[0].shape[0]
		build := func(q *groupProblem, lo, hi int, dt tensor.Dtype, red loss.Reduction, masked bool, opts ...loss.Option) ([][]float64, error) {
			more := []func(*G.ExprGraph) loss.Option{reduced(red)}
			for _, o := range opts {
				more = append(more, func(*G.ExprGraph) loss.Option { return o })
			}
			if masked {
				m, w := make([]float64, n), upstreamOf(n)
				for i := range m {
					m[i] = float64(min(1, (i+3)%5))
				}
				more = append(more, groupLeaf(loss.WithMask, dt, "m", []int{hi - lo}, m[lo:hi]), groupLeaf(loss.WithWeights, dt, "w", []int{hi - lo}, w[lo:hi]))
			}
			b, err := q.build(dt, more...)
			if err != nil {
				return nil, err
			}
			return secondOrder(b.g, dt, b.out, b.leaves, func(k int) []float64 {
				s := b.leaves[k].Shape()
				if len(s) == 0 {
					return []float64{0.5}
				}
				width := product(s[1:])
				return wave(k, n*width)[lo*width : hi*width]
			})
		}
		for _, masked := range []bool{false, true} {
			for _, red := range []loss.Reduction{loss.Mean, loss.Sum} {
				turn++
				dt, size := []tensor.Dtype{tensor.Float64, tensor.Float32}[turn/4%2], min(n, rankCounts[turn%len(rankCounts)])
				want, err := build(p, 0, n, dt, red, masked)
				if err != nil {
					t.Fatal(err)
				}
				counts := comm.Split(n, size)
				slices.Reverse(counts)
				got := onRanks(t, size, func(c comm.Comm) ([][]float64, error) {
					lo := firstClass(counts, c.Rank())
					hi := lo + counts[c.Rank()]
					return build(p.part(n, lo, hi), lo, hi, dt, red, masked, loss.WithComm(c))
				})
				seen[p.loss] = true
				g, err := p.build(tensor.Float64)
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					joined := slices.Clone(got[0][i])
					scalar := i > 0 && g.leaves[(i-1)%len(g.leaves)].Shape().IsScalar()
					for r := 1; r < size; r++ {
						switch {
						case i == 0 && got[r][0][0] != joined[0]:
							t.Errorf("rank %d has %v, rank 0 %v", r, got[r][0], joined)
						case i == 0:
						case scalar:
							joined[0] += got[r][i][0]
						default:
							joined = append(joined, got[r][i]...)
						}
					}
					within(t, fmt.Sprintf("masked=%t %v %v, %d ranks: result %d", masked, red, dt, size, i), joined, want[i], rankTolerance(dt))
				}
			}
		}
	})
	for _, name := range gatheredLosses {
		if !seen[name] {
			t.Errorf("no problem of %s ran on ranks", name)
		}
	}
}

// What cannot be gathered is refused, and bad data of one rank is an error on every rank.
func TestCommGatherFaults(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6}
	for _, test := range []struct {
		data eager.Data
		says string
	}{
		{eager.Data{Positives: eager.Slice([]bool{true, false, false, true, true, true, true, true, true}, 3, 3)}, "WithComm and WithPositives exclude each other"},
		{eager.Data{Weights: eager.Slice([]float64{1, 2})}, "weights have shape (2), want (3)"},
	} {
		l, err := eager.InfoNCE(loss.WithComm(comm.Local()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Value(test.data, eager.Slice(x, 3, 2), eager.Slice(x, 3, 2)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v, want %q", err, test.says)
		}
	}
	errs := make([]error, 3)
	comm.Run(3, func(c comm.Comm) error {
		l, err := eager.SupCon(loss.WithComm(c))
		if err != nil {
			return err
		}
		w := []float64{1, 1, 1}
		if c.Rank() == 1 {
			w[2] = -1 / (w[2] - 1)
		}
		_, errs[c.Rank()] = l.Value(eager.Data{Weights: eager.Slice(w)}, eager.Slice(x, 3, 2), eager.Slice([]int{0, 1, 0}))
		return comm.Barrier(c)
	})
	for r, err := range errs {
		if !errors.Is(err, loss.ErrValue) || !strings.Contains(err.Error(), "weight is -Inf at row 5") {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}
