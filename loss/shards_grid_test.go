package loss_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	"gorgonia.org/tensor"
)

// handles returns the Comms of a run of size ranks, which ends when done is closed.
func handles(size int, done chan struct{}) []comm.Comm {
	out := make([]comm.Comm, size)
	var ready sync.WaitGroup
	ready.Add(size)
	go comm.Run(size, func(c comm.Comm) error {
		out[c.Rank()] = c
		ready.Done()
		<-done
		return nil
	})
	ready.Wait()
	return out
}

// Four ranks that spread rows over one Comm and classes over another have the loss of all rows and
// classes, and the derivatives by their parts of the logits; bad data is an error on all four.
func TestShardsOfSpreadRows(t *testing.T) {
	s := newShardSample(6, 5, 23)
	rows, classes := []int{4, 2}, []int{9, 14}
	for _, l := range shardLosses[:3] {
		for _, red := range []loss.Reduction{loss.Mean, loss.Sum} {
			for _, spoilt := range []bool{false, true} {
				opts := []loss.Option{loss.WithReduction(red)}
				if l.name == "CrossEntropy" {
					opts = append(opts, loss.WithLabelSmoothing(0.1), loss.WithClassWeights(slices.Repeat([]float64{0.5}, s.c)))
				}
				want, err := l.run(tensor.Float64, s, 0, s.c, opts...)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				over := [2][]comm.Comm{handles(2, done), handles(2, done)} // of each group of rows: its shards
				across := [2][]comm.Comm{handles(2, done), handles(2, done)}
				var wg sync.WaitGroup
				var got [2][2][][]float64
				var errs [2][2]error
				for i := range 2 {
					for j := range 2 {
						wg.Go(func() {
							mine := []int{}
							for k := range rows[i] {
								mine = append(mine, firstClass(rows, i)+k)
							}
							q := *s
							q.n = len(mine)
							q.logits, q.soft, q.labels = keepRows(s.logits, s.n, mine), keepRows(s.soft, s.n, mine), keepRows(s.labels, s.n, mine)
							q.w, q.mask = keepRows(s.w, s.n, mine), keepRows(s.mask, s.n, mine)
							if spoilt && i == 1 {
								q.labels, q.soft = slices.Clone(q.labels), slices.Clone(q.soft)
								q.labels[1], q.soft[s.c+classes[0]-1] = 99, -1
							}
							lo := firstClass(classes, j)
							got[i][j], errs[i][j] = l.run(tensor.Float64, &q, lo, lo+classes[j],
								append(slices.Clone(opts), loss.WithShard(over[i][j], lo), loss.WithComm(across[j][i]))...)
						})
					}
				}
				wg.Wait()
				close(done)
				for i := range 2 {
					for j := range 2 {
						what := fmt.Sprintf("%s %s %v, rank (%d, %d)", l.name, l.soft, red, i, j)
						if spoilt {
							if errs[i][j] == nil {
								t.Errorf("%s: no error", what)
							}
							continue
						}
						if errs[i][j] != nil {
							t.Fatal(errs[i][j])
						}
						lo, first := firstClass(classes, j), firstClass(rows, i)
						part := columns(want[1], s.c, lo, lo+classes[j])[first*classes[j]:][:rows[i]*classes[j]]
						within(t, what+": value", got[i][j][0], want[0], 1e-12)
						nearList(t, what+": gradient", got[i][j][1], part, 1e-12)
					}
				}
			}
		}
	}
}
