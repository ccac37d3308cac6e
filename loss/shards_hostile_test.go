package loss_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// firstClass returns the first class of a rank.
func firstClass(counts []int, rank int) (first int) {
	for _, n := range counts[:rank] {
		first += n
	}
	return first
}

// Rows of infinite, huge and masked logits give what they give on one rank, with classes on ranks
// that have no class, one, or all that count; NaN and infinities included.
func TestShardsHostile(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	rows := [][]float64{
		{1, 2, 3, 4, 5, 6, 7},
		{3e38, -3e38, 0, 0, 0, 3e38, 1},
		{-inf, -inf, -inf, 2, 1, -inf, -inf},
		{-inf, -inf, -inf, -inf, -inf, 4, -inf},
		{1, -inf, 3, 4, 5, 6, 7},
		{-3e38, -3e38, -3e38, -3e38, -3e38, -3e38, -3e38},
		{1000, 0, -1000, 0, 990, 0, 0},
		{-800, -800, 0, 0, 0, 0, 0},
		{inf, 0, 0, 0, 0, 0, 0},
		{0, 0, nan, 0, 0, 0, 0},
		{-inf, -inf, -inf, -inf, -inf, -inf, -inf},
		{40, 0, 0, 0, 0, 0, 0},
		{nan, nan, nan, nan, nan, nan, nan}, // ignored
	}
	labels := []int{0, 5, 3, 5, 1, 6, 0, 0, 1, 0, 2, 0, -100}
	n, c := len(rows), 7
	var logits []float64
	for _, r := range rows {
		logits = append(logits, r...)
	}
	for name, opts := range map[string][]loss.Option{"plain": nil, "softcap": {loss.WithSoftcap(5)}, "smoothing": {loss.WithLabelSmoothing(0.3)},
		"zloss": {loss.WithZLoss(0.01), loss.WithTemperature(2)}} {
		l, err := eager.CrossEntropy(append(slices.Clone(opts), loss.WithReduction(loss.None))...)
		if err != nil {
			t.Fatal(err)
		}
		grad, values := make([]float64, n*c), make([]float64, n)
		x, y := eager.Slice(logits, n, c), eager.Slice(labels)
		if _, err := l.ValueGradient(eager.Slice(grad, n, c), eager.Data{}, x, y); err != nil {
			t.Fatal(err)
		}
		if err := l.Values(eager.Slice(values), eager.Data{}, x, y); err != nil {
			t.Fatal(err)
		}
		for _, counts := range [][]int{{7}, {0, 7}, {3, 4}, {1, 0, 6}, {5, 0, 1, 0, 1}, {1, 1, 1, 1, 1, 1, 1}} {
			got := onRanks(t, len(counts), func(r comm.Comm) ([][]float64, error) {
				first, k := firstClass(counts, r.Rank()), counts[r.Rank()]
				l, err := eager.CrossEntropy(append(slices.Clone(opts), loss.WithReduction(loss.None), loss.WithShard(r, first))...)
				if err != nil {
					return nil, err
				}
				g, v := make([]float64, n*k), make([]float64, n)
				x := eager.Slice(columns(logits, c, first, first+k), n, k)
				if _, err := l.ValueGradient(eager.Slice(g, n, k), eager.Data{}, x, y); err != nil {
					return nil, err
				}
				return [][]float64{v, g}, l.Values(eager.Slice(v), eager.Data{}, x, y)
			})
			for r := range got {
				first := firstClass(counts, r)
				for i := range n {
					what := fmt.Sprintf("%s over %v, rank %d, row %d", name, counts, r, i)
					within(t, what+": value", got[r][0][i:i+1], values[i:i+1], 1e-12)
					k := counts[r]
					within(t, what+": gradient", got[r][1][i*k:(i+1)*k], grad[i*c+first:i*c+first+k], 1e-12)
				}
			}
		}
	}
}

// An output layer may have ranks without a class, in both dtypes.
func TestShardsOfNothing(t *testing.T) {
	s := newShardSample(4, 3, 6)
	run := func(c comm.Comm, first, k int, opts ...loss.Option) ([][]float64, error) {
		l, err := eager.LinearCrossEntropy(append(opts, loss.WithLabelSmoothing(0.1))...)
		if err != nil {
			return nil, err
		}
		dx, dw, db := make([]float64, s.n*s.h), make([]float64, k*s.h), make([]float64, k)
		v, err := l.ValueGradients([]eager.Operand{eager.Slice(dx, s.n, s.h), eager.Slice(dw, k, s.h), {}, eager.Slice(db, k)},
			eager.Data{Bias: eager.Slice(s.bias[first:first+k], k)}, eager.Slice(s.hidden, s.n, s.h), eager.Slice(s.weight[first*s.h:(first+k)*s.h], k, s.h), eager.Slice(s.labels))
		return [][]float64{{v}, dx, dw, db}, err
	}
	want, err := run(nil, 0, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, counts := range [][]int{{0, 6}, {2, 0, 4}, {0, 0, 6, 0, 0}} {
		got := onRanks(t, len(counts), func(c comm.Comm) ([][]float64, error) {
			first := firstClass(counts, c.Rank())
			return run(c, first, counts[c.Rank()], loss.WithShard(c, first))
		})
		var dw, db []float64
		for r, g := range got {
			within(t, fmt.Sprintf("value of rank %d of %v", r, counts), g[0], want[0], 1e-12)
			within(t, fmt.Sprintf("dh of rank %d of %v", r, counts), g[1], want[1], 1e-12)
			dw, db = append(dw, g[2]...), append(db, g[3]...)
		}
		within(t, "dW", dw, want[2], 1e-12)
		within(t, "db", db, want[3], 1e-12)
	}
}

// Ranks that do not fit together are an error on every rank.
func TestShardFaults(t *testing.T) {
	logits := []float64{1, 2, 3, 4, 5, 6}
	value := func(c comm.Comm, first, classes int, labels []int, opts ...loss.Option) error {
		l, err := eager.CrossEntropy(append(opts, loss.WithShard(c, first))...)
		if err == nil {
			_, err = l.ValueGradient(eager.Slice(make([]float64, len(labels)*classes), len(labels), classes), eager.Data{},
				eager.Slice(logits[:len(labels)*classes], len(labels), classes), eager.Slice(labels))
		}
		return err
	}
	y := []int{0, 5}
	for _, test := range []struct {
		name string
		run  func(c comm.Comm) error
		kind error
		says string
	}{
		{"a gap", func(c comm.Comm) error { return value(c, 4*c.Rank(), 3, y) }, loss.ErrOption, "rank 0 has the classes [0, 3) and rank 1 [4, 7)"},
		{"an overlap", func(c comm.Comm) error { return value(c, 2*c.Rank(), 3, y) }, loss.ErrOption, "rank 0 has the classes [0, 3) and rank 1 [2, 5)"},
		{"no class 0", func(c comm.Comm) error { return value(c, 1+3*c.Rank(), 3, y) }, loss.ErrOption, "rank 0 begins with class 1"},
		{"a label above all classes", func(c comm.Comm) error { return value(c, 3*c.Rank(), 3, []int{0, 9}) }, loss.ErrValue, "label is 9 at row 1, want one in [0, 9)"},
		{"other rows", func(c comm.Comm) error { return value(c, 3*c.Rank(), 3, y[c.Rank()/2:]) }, loss.ErrShape, "rank 2 has another loss than rank 0, or operands of other lengths"},
		{"other labels", func(c comm.Comm) error { return value(c, 3*c.Rank(), 3, []int{0, 5 + c.Rank()/2}) }, loss.ErrValue, "rank 2 has other labels"},
		{"other options", func(c comm.Comm) error {
			return value(c, 3*c.Rank(), 3, y, loss.WithTemperature(float64(1+c.Rank()/2)))
		}, loss.ErrOption, "rank 2 has other options than rank 0"},
		{"class weights of one shard", func(c comm.Comm) error {
			return value(c, 3*c.Rank(), 3, y, loss.WithClassWeights(slices.Repeat([]float64{1}, 10)))
		}, loss.ErrOption, "WithClassWeights has 10 entries, want 9"},
		{"no class at all", func(c comm.Comm) error { return value(c, 0, 0, y) }, loss.ErrShape, "no rank has a class"},
		{"a target below 0", func(c comm.Comm) error {
			l, err := eager.KL(loss.WithShard(c, 3*c.Rank()))
			if err != nil {
				return err
			}
			target := []float64{1, 2, 3, 4, float64(1 - c.Rank()), 1}
			_, err = l.Value(eager.Data{}, eager.Slice(logits, 2, 3), eager.Slice(target, 2, 3))
			return err
		}, loss.ErrValue, "rank 2: target is -1"},
		{"a linear target below 0", func(c comm.Comm) error {
			l, err := eager.LinearCrossEntropy(loss.WithShard(c, 3*c.Rank()))
			if err != nil {
				return err
			}
			target := []float64{1, 2, 3, 4, float64(1 - c.Rank()), 1}
			_, err = l.Value(eager.Data{}, eager.Slice(logits[:2], 2, 1), eager.Slice(logits[:3], 3, 1), eager.Slice(target, 2, 3))
			return err
		}, loss.ErrValue, "rank 2: target is -1"},
	} {
		t.Run(test.name, func(t *testing.T) { everyRankFails(t, test.run, test.kind, test.says) })
	}
	c := comm.Local()
	for _, err := range []error{
		value(nil, 0, 3, y), value(c, -1, 3, y), value(c, 0, 3, y, loss.WithClassWeights([]float64{1, 2})),
		func() error { _, err := eager.MSE(loss.WithShard(c, 0)); return err }(),
		func() error {
			l, err := eager.KL(loss.WithShard(c, 0), loss.WithTargetLogits())
			if err == nil {
				_, err = l.Value(eager.Data{}, eager.Slice(logits, 2, 3), eager.Slice(logits, 2, 3))
			}
			return err
		}(),
	} {
		if !errors.Is(err, loss.ErrOption) {
			t.Errorf("%v, want an error of kind %v", err, loss.ErrOption)
		}
	}
}

// The part of the z-loss is that of one rank; entropies need all classes.
func TestTermsOfShards(t *testing.T) {
	s := newShardSample(6, 5, 23)
	run := func(lo, hi int, opts ...loss.Option) ([][]float64, error) {
		g := G.NewGraph()
		opts = append(opts, loss.WithZLoss(0.3), loss.WithTemperature(2))
		cost, err := loss.CrossEntropy(floatLeaf(g, tensor.Float64, "logits", []int{s.n, hi - lo}, columns(s.logits, s.c, lo, hi)), labelLeaf(g, tensor.Int, "labels", []int{s.n}, s.labels), opts...)
		if err != nil {
			return nil, err
		}
		term, err := loss.ZTerm(cost)
		if err != nil {
			return nil, err
		}
		return runTape(g, cost, term)
	}
	want, err := run(0, s.c)
	if err != nil {
		t.Fatal(err)
	}
	for r, got := range onRanks(t, 3, func(c comm.Comm) ([][]float64, error) {
		lo, hi := shardOf(s.c, c)
		return run(lo, hi, loss.WithShard(c, lo))
	}) {
		within(t, fmt.Sprintf("cost of rank %d", r), got[0], want[0], 1e-12)
		within(t, fmt.Sprintf("z-loss of rank %d", r), got[1], want[1], 1e-12)
	}
	g := G.NewGraph()
	node, err := loss.TokenLogProb(floatLeaf(g, tensor.Float64, "logits", []int{s.n, s.c}, s.logits), labelLeaf(g, tensor.Int, "labels", []int{s.n}, s.labels), loss.WithShard(comm.Local(), 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loss.EntropyTerm(node); !errors.Is(err, loss.ErrOption) {
		t.Errorf("the entropy of a shard: %v", err)
	}
}
