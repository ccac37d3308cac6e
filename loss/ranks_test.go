package loss_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// rankCounts are the numbers of ranks that the laws are tested on.
var rankCounts = []int{1, 2, 3, 5, 7}

// secondOrder returns the value, the gradients and, along directions in all operands, the
// Hessian-vector products of a cost; direction returns that in operand k.
func secondOrder(g *G.ExprGraph, dt tensor.Dtype, cost *G.Node, wrt G.Nodes, direction func(k int) []float64) ([][]float64, error) {
	grads, err := loss.Gradients(cost, wrt...)
	if err != nil {
		return nil, err
	}
	out := append(G.Nodes{cost}, grads...)
	for k, d := range grads {
		along, err := loss.VJP(d, floatLeaf(g, dt, fmt.Sprint("v", k), d.Shape(), direction(k)), wrt...)
		if err != nil {
			return nil, err
		}
		out = append(out, along...)
	}
	return runTape(g, out...)
}

// wave is a direction of n numbers for operand k.
func wave(k, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = math.Sin(float64(1 + i + 3*k))
	}
	return v
}

// onRanks runs f on each of size ranks and returns what they return.
func onRanks(t *testing.T, size int, f func(c comm.Comm) ([][]float64, error)) [][][]float64 {
	t.Helper()
	out := make([][][]float64, size)
	if err := comm.Run(size, func(c comm.Comm) (err error) {
		out[c.Rank()], err = f(c)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// everyRankFails runs f on 3 ranks, each of which has to return an error of that kind that says so.
func everyRankFails(t *testing.T, f func(c comm.Comm) error, kind error, says string) {
	t.Helper()
	errs := make([]error, 3)
	comm.Run(3, func(c comm.Comm) error {
		errs[c.Rank()] = f(c)
		return comm.Barrier(c) // every rank comes here
	})
	for r, err := range errs {
		if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("rank %d: %v, want %q of kind %v", r, err, says, kind)
		}
	}
}

// within holds numbers to others, within tol of the largest of these, NaN and infinities included.
func within(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d entries, want %d", what, len(got), len(want))
	}
	largest := 0.0
	for _, w := range want {
		if !math.IsInf(w, 0) {
			largest = max(largest, math.Abs(w))
		}
	}
	for i, w := range want {
		if g := got[i]; g != w && !(g != g && w != w) && !(math.Abs(g-w) <= tol*largest) {
			t.Errorf("%s: entry %d is %v, want %v within %g of %g", what, i, g, w, tol, largest)
			return
		}
	}
}

// A float64 result on ranks differs by a few roundings from that of one rank; float32 is rounded
// once more at the end.
func rankTolerance(dt tensor.Dtype) float64 {
	if dt == tensor.Float32 {
		return 1e-6
	}
	return 1e-12
}

// piece returns the rows of a rank of size: those of rows that it has, or, where there are none,
// row 0 with a weight of 0.
func piece(rows int, c comm.Comm, weights []float64) (mine []int, w []float64) {
	counts := comm.Split(rows, c.Size())
	first := 0
	for _, n := range counts[:c.Rank()] {
		first += n
	}
	for i := range counts[c.Rank()] {
		mine, w = append(mine, first+i), append(w, weights[first+i])
	}
	if mine == nil {
		return []int{0}, []float64{0}
	}
	return mine, w
}

// Rows and elements spread over ranks give the loss of all of them on every rank, to the bit the
// same, with the rows' own derivatives of first and second order, in every reduction.
func TestCommIsOneLoss(t *testing.T) {
	turn := 0
	contract(t, 5, 4, func(t *testing.T, p *problem) {
		var sets [][]loss.Option
		sets = append(sets, nil)
		if p.of.has("WithClassWeights") {
			sets = append(sets, []loss.Option{loss.WithClassWeights([]float64{0.75, 1.25, 2, 0})})
		} else {
			sets = append(sets, []loss.Option{loss.WithNormalizer(3)})
		}
		weights := []float64{1, 0.5, 0, 1.5, -0.25}
		for s, set := range sets {
			for _, red := range []loss.Reduction{loss.Mean, loss.Sum} {
				if red == loss.Sum && s > 0 {
					continue
				}
				turn++
				size := rankCounts[turn%len(rankCounts)]
				dt := []tensor.Dtype{tensor.Float64, tensor.Float32}[turn%2]
				all := trial{dtype: dt, red: red, weights: p.spread(weights...), opts: set}
				b, cost, err := p.prepared(&all)
				if err != nil {
					t.Fatal(err)
				}
				want, err := secondOrder(b.g, dt, cost, b.wrt(), func(k int) []float64 { return wave(k, p.size()) })
				if err != nil {
					t.Fatal(err)
				}
				got := onRanks(t, size, func(c comm.Comm) ([][]float64, error) {
					rows, w := piece(5, c, weights)
					q := p.keep(rows)
					own := trial{dtype: dt, red: red, weights: q.spread(w...), opts: append(slices.Clone(set), loss.WithComm(c))}
					b, cost, err := q.prepared(&own)
					if err != nil {
						return nil, err
					}
					return secondOrder(b.g, dt, cost, b.wrt(), func(k int) []float64 { return keepRows(wave(k, p.size()), 5, rows) })
				})
				joined := slices.Clone(want)
				for i := range joined {
					if i > 0 {
						joined[i] = nil
					}
				}
				for r, parts := range got {
					if math.Float64bits(parts[0][0]) != math.Float64bits(got[0][0][0]) {
						t.Errorf("%v: rank %d has %v, rank 0 %v", red, r, parts[0][0], got[0][0][0])
					}
					joined[0] = parts[0]
					for i, x := range parts[1:] {
						if rows := comm.Split(5, size)[r]; rows > 0 {
							joined[1+i] = append(joined[1+i], x...)
						}
					}
				}
				for i := range want {
					within(t, fmt.Sprintf("%v, %d ranks: result %d", red, size, i), joined[i], want[i], rankTolerance(dt))
				}
			}
		}
	})
}

// A batch that two of three ranks have, beside one of weights 0 where there are weights, counts
// twice; losses whose values read the batch refuse.
func TestCommOfGroups(t *testing.T) {
	whole := make(map[string]bool)
	eachGroupProblem(t, func(t *testing.T, p *groupProblem) {
		if p.node || slices.Contains(gatheredLosses, p.loss) {
			return
		}
		size := 3
		for _, red := range []loss.Reduction{loss.Mean, loss.Sum} {
			b, err := p.build(tensor.Float64, reduced(red))
			if err != nil {
				t.Fatal(err)
			}
			order := func(b *groupBuild) ([][]float64, error) {
				if p.title == "fast emit" { // which has no second order
					grads, err := loss.Gradients(b.out, b.leaves...)
					if err != nil {
						return nil, err
					}
					return runTape(b.g, append(G.Nodes{b.out}, grads...)...)
				}
				return secondOrder(b.g, tensor.Float64, b.out, b.leaves, func(k int) []float64 { return wave(k, b.leaves[k].Shape().TotalSize()) })
			}
			want, err := order(b)
			if err != nil {
				t.Fatal(err)
			}
			copies := float64(size)
			refused := false
			var building sync.Mutex // a problem's options keep the nodes of its last graph
			got := onRanks(t, size, func(c comm.Comm) ([][]float64, error) {
				more := []func(*G.ExprGraph) loss.Option{reduced(red), func(*G.ExprGraph) loss.Option { return loss.WithComm(c) }}
				if p.weights != nil {
					if c.Rank() == 0 {
						copies--
					}
					w := slices.Repeat([]float64{float64(min(c.Rank(), 1))}, product(p.weights))
					more = append(more, groupLeaf(loss.WithWeights, tensor.Float64, "w", p.weights, w))
				}
				building.Lock()
				b, err := p.build(tensor.Float64, more...)
				building.Unlock()
				if err != nil {
					if c.Rank() == 0 {
						refused = errors.Is(err, loss.ErrOption) && strings.Contains(err.Error(), "whole batch")
					}
					return nil, nil
				}
				return order(b)
			})
			if refused {
				whole[p.loss] = true
				return
			}
			for r, parts := range got {
				for i := range want {
					w := want[i]
					switch {
					case p.weights != nil && r == 0 && i > 0:
						w = make([]float64, len(w))
					case red == loss.Mean && i > 0:
						w = scaled(w, 1/copies)
					case red == loss.Sum && i == 0:
						w = scaled(w, copies)
					}
					within(t, fmt.Sprintf("%v, rank %d: result %d", red, r, i), parts[i], w, 1e-12)
				}
			}
		}
	})
	refusing := strings.Fields("BarlowTwins BatchTriplet CoxPartialLikelihood DCL Dice DiceFromProb FocalTversky FocalTverskyFromProb" +
		" GeneralizedDice GeneralizedDiceFromProb Jaccard JaccardFromProb LovaszHinge LovaszSoftmax LovaszSoftmaxFromProb" +
		" NPairs ProxyAnchor SinkhornDivergence Tversky TverskyFromProb Uniformity VICReg")
	if got := slices.Sorted(maps.Keys(whole)); !slices.Equal(got, refusing) {
		t.Errorf("%v refuse, want %v", got, refusing)
	}
}

// A linear cross-entropy whose rows are spread has the gradients by hidden of its rows, and those by
// what ranks share add up.
func TestCommOfProducts(t *testing.T) {
	s := newLinearSample(13, 7, 9)
	for _, soft := range []bool{false, true} {
		opts := []loss.Option{loss.WithClassWeights([]float64{1, 2, 0, 0.5, 1, 1, 3, 1, 1}), loss.WithLabelSmoothing(0.1)}
		run := func(s *linearSample, hidden, target []float64, opts ...loss.Option) ([][]float64, error) {
			g := G.NewGraph()
			cost, wrt, err := s.build(g, tensor.Float64, false, soft, true, opts, "weights", "mask")
			if err != nil {
				return nil, err
			}
			return secondOrder(g, tensor.Float64, cost, wrt, func(k int) []float64 {
				switch k {
				case 0:
					return hidden
				case 3:
					return target
				}
				return wave(k, wrt[k].Shape().TotalSize())
			})
		}
		want, err := run(s, wave(0, s.n*s.h), wave(3, s.n*s.c), opts...)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range rankCounts {
			got := onRanks(t, size, func(c comm.Comm) ([][]float64, error) {
				rows, w := piece(s.n, c, s.weights)
				q := *s
				q.n, q.hidden, q.soft, q.labels = len(rows), keepRows(s.hidden, s.n, rows), keepRows(s.soft, s.n, rows), keepRows(s.labels, s.n, rows)
				q.weights, q.mask = w, keepRows(s.mask, s.n, rows)
				return run(&q, keepRows(wave(0, s.n*s.h), s.n, rows), keepRows(wave(3, s.n*s.c), s.n, rows), append(slices.Clone(opts), loss.WithComm(c))...)
			})
			operands := 3
			if soft {
				operands++
			}
			for i := range want {
				joined := slices.Clone(got[0][i])
				for r := 1; r < size; r++ {
					switch k := (i - 1) % operands; {
					case i == 0:
					case k == 1 || k == 2:
						for j, v := range got[r][i] {
							joined[j] += v
						}
					default:
						joined = append(joined, got[r][i]...)
					}
				}
				within(t, fmt.Sprintf("soft=%t, %d ranks: result %d", soft, size, i), joined, want[i], 1e-12)
			}
		}
	}
}

// What is wrong on one rank is an error on every rank that names it, and no rank waits in vain.
func TestCommFaults(t *testing.T) {
	labels := [][]int{{0, 1}, {1, 2}, {2, 0}}
	logits := []float64{1, 2, 3, 4, 5, 6}
	for _, test := range []struct {
		name string
		run  func(c comm.Comm) error
		kind error
		says string
	}{
		{"a label out of range", func(c comm.Comm) error {
			y := slices.Clone(labels[c.Rank()])
			if c.Rank() == 1 {
				y[1] = 7
			}
			l, err := eager.CrossEntropy(loss.WithComm(c))
			if err == nil {
				_, err = l.ValueGradient(eager.Slice(make([]float64, 6), 2, 3), eager.Data{}, eager.Slice(logits, 2, 3), eager.Slice(y))
			}
			return err
		}, loss.ErrValue, "rank 1: label is 7 at row 1, want one in [0, 3)"},
		{"a negative target under Sum", func(c comm.Comm) error {
			y := slices.Clone(logits)
			if c.Rank() == 2 {
				y[4] = -1
			}
			l, err := eager.CrossEntropy(loss.WithComm(c), loss.WithReduction(loss.Sum))
			if err == nil {
				_, err = l.Value(eager.Data{}, eager.Slice(logits, 2, 3), eager.Slice(y, 2, 3))
			}
			return err
		}, loss.ErrValue, "rank 2: target is -1"},
		{"other options", func(c comm.Comm) error {
			l, err := eager.CrossEntropy(loss.WithComm(c), loss.WithLabelSmoothing(0.1*float64(c.Rank()/2)))
			if err == nil {
				_, err = l.Value(eager.Data{}, eager.Slice(logits, 2, 3), eager.Slice(labels[0]))
			}
			return err
		}, loss.ErrOption, "rank 2 has other options than rank 0"},
		{"other losses", func(c comm.Comm) error {
			l, err := eager.MSE(loss.WithComm(c))
			if c.Rank() == 0 {
				l, err = eager.MAE(loss.WithComm(c))
			}
			if err == nil {
				_, err = l.Value(eager.Data{}, eager.Slice(logits), eager.Slice(logits))
			}
			return err
		}, loss.ErrShape, "rank 1 has another loss than rank 0"},
		{"another derivative", func(c comm.Comm) error {
			l, err := eager.MSE(loss.WithComm(c))
			switch {
			case err != nil:
			case c.Rank() == 1:
				_, err = l.Value(eager.Data{}, eager.Slice(logits), eager.Slice(logits))
			default:
				err = l.Gradient(0, eager.Slice(make([]float64, 6)), eager.Data{}, eager.Slice(logits), eager.Slice(logits))
			}
			return err
		}, loss.ErrOption, "rank 1 computes another derivative than rank 0"},
		{"another normalizer", func(c comm.Comm) error {
			l, err := eager.MSE(loss.WithComm(c))
			if err == nil {
				_, err = l.Value(eager.Data{Normalizer: eager.Scalar(float64(3 + c.Rank()/2))}, eager.Slice(logits), eager.Slice(logits))
			}
			return err
		}, loss.ErrValue, "normalizer is 4 on rank 2 and 3 on rank 0"},
		{"a normalizer that is none", func(c comm.Comm) error {
			l, err := eager.MSE(loss.WithComm(c))
			if err == nil {
				_, err = l.Value(eager.Data{Normalizer: eager.Scalar(float64(3 - 4*(c.Rank()/2)))}, eager.Slice(logits), eager.Slice(logits))
			}
			return err
		}, loss.ErrValue, "rank 2: normalizer is -1"},
	} {
		t.Run(test.name, func(t *testing.T) { everyRankFails(t, test.run, test.kind, test.says) })
	}
	c := comm.Local()
	l, err := eager.MSE(loss.WithComm(c))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := l.Value(eager.Data{}, eager.Slice(logits), eager.Slice(logits)); !errors.Is(err, comm.ErrClosed) {
		t.Errorf("a closed Comm: %v", err)
	}
	if _, err := eager.MSE(loss.WithComm(nil)); !errors.Is(err, loss.ErrOption) {
		t.Errorf("WithComm(nil): %v", err)
	}
	if _, err := eager.TokenLogProb(loss.WithComm(c)); !errors.Is(err, loss.ErrOption) {
		t.Errorf("WithComm for a node: %v", err)
	}
}
