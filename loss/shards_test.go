package loss_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A shardSample is rows of logits, or the factors of logits, with labels, soft targets and weights.
type shardSample struct {
	n, h, c                                         int
	logits, soft, hidden, weight, bias, w, mask, up []float64
	labels                                          []int
}

func newShardSample(n, h, c int) *shardSample {
	r := rand.New(rand.NewPCG(uint64(n), uint64(c)))
	numbers := func(n int, f func() float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(float32(f())) // the same in both dtypes
		}
		return x
	}
	s := &shardSample{n: n, h: h, c: c, logits: numbers(n*c, func() float64 { return 3 * r.NormFloat64() }), soft: numbers(n*c, r.Float64),
		hidden: numbers(n*h, r.NormFloat64), weight: numbers(c*h, r.NormFloat64), bias: numbers(c, r.NormFloat64),
		w: numbers(n, r.NormFloat64), mask: numbers(n, func() float64 { return float64(r.IntN(4)+2) / 4 }), up: numbers(n, r.NormFloat64)}
	for i := range n {
		s.labels, s.mask[i] = append(s.labels, r.IntN(c)), float64(int(s.mask[i]))
	}
	s.labels[0], s.mask[1], s.w[2] = -100, 0, 0
	return s
}

// columns picks the columns [lo, hi) out of c.
func columns(x []float64, c, lo, hi int) (out []float64) {
	for at := 0; at < len(x); at += c {
		out = append(out, x[at+lo:at+hi]...)
	}
	return out
}

// shardOf returns the classes of a rank: the first shard of three and more is empty where that is
// wanted, the others are uneven.
func shardOf(classes int, c comm.Comm) (lo, hi int) {
	counts := comm.Split(classes-c.Size()/2, c.Size())
	counts[c.Size()-1] += c.Size() / 2
	for _, n := range counts[:c.Rank()] {
		lo += n
	}
	return lo, lo + counts[c.Rank()]
}

// A shardLoss is a loss whose classes can be spread.
type shardLoss struct {
	name   string
	soft   string // "": labels; "target": numbers >= 0, "log": their logarithms
	linear bool
}

var shardLosses = []shardLoss{
	{"CrossEntropy", "", false}, {"CrossEntropy", "target", false}, {"KL", "target", false}, {"KL", "log", false}, {"TokenLogProb", "", false},
	{"LinearCrossEntropy", "", true}, {"LinearCrossEntropy", "target", true}, {"LinearTokenLogProb", "", true},
}

// graph adds the loss of the classes [lo, hi) and returns its node and differentiable operands.
func (l *shardLoss) graph(g *G.ExprGraph, dt tensor.Dtype, s *shardSample, lo, hi int, opts ...loss.Option) (*G.Node, G.Nodes, error) {
	info, _ := loss.Describe(l.name)
	var in, wrt G.Nodes
	if l.linear {
		in = G.Nodes{floatLeaf(g, dt, "hidden", []int{s.n, s.h}, s.hidden), floatLeaf(g, dt, "weight", []int{hi - lo, s.h}, s.weight[lo*s.h:hi*s.h])}
		bias := floatLeaf(g, dt, "bias", []int{hi - lo}, s.bias[lo:hi])
		opts = append(opts, loss.WithBias(bias))
		wrt = append(slices.Clone(in), bias)
	} else {
		in = G.Nodes{floatLeaf(g, dt, "logits", []int{s.n, hi - lo}, columns(s.logits, s.c, lo, hi))}
		wrt = slices.Clone(in)
	}
	if l.soft == "" {
		in = append(in, labelLeaf(g, tensor.Int, "labels", []int{s.n}, s.labels))
	} else {
		t := slices.Clone(s.soft)
		for i, v := range t {
			if l.soft == "log" {
				t[i] = math.Log(v + 0.01)
			}
		}
		target := floatLeaf(g, dt, "target", []int{s.n, hi - lo}, columns(t, s.c, lo, hi))
		in, wrt = append(in, target), append(wrt, target)
	}
	opts = append(opts, loss.WithMask(floatLeaf(g, dt, "mask", []int{s.n}, s.mask)))
	if !info.Node {
		opts = append(opts, loss.WithWeights(floatLeaf(g, dt, "weights", []int{s.n}, s.w)))
	}
	cost, err := info.Call(in, opts...)
	return cost, wrt, err
}

// direction of operand k of a loss, of the classes [lo, hi).
func (l *shardLoss) direction(s *shardSample, k, lo, hi int) []float64 {
	switch {
	case l.linear && k == 0:
		return wave(k, s.n*s.h)
	case l.linear && k == 1:
		return wave(k, s.c*s.h)[lo*s.h : hi*s.h]
	case l.linear && k == 2:
		return wave(k, s.c)[lo:hi]
	}
	return columns(wave(k, s.n*s.c), s.c, lo, hi)
}

// run returns value, gradients and Hessian-vector products.
func (l *shardLoss) run(dt tensor.Dtype, s *shardSample, lo, hi int, opts ...loss.Option) ([][]float64, error) {
	g := G.NewGraph()
	cost, wrt, err := l.graph(g, dt, s, lo, hi, opts...)
	if err != nil {
		return nil, err
	}
	if !cost.IsScalar() {
		up := floatLeaf(g, dt, "up", []int{s.n}, s.up)
		grads, err := loss.VJP(cost, up, wrt...)
		if err != nil {
			return nil, err
		}
		out := append(G.Nodes{cost}, grads...)
		for k, d := range grads {
			along, err := loss.VJP(d, floatLeaf(g, dt, fmt.Sprint("v", k), d.Shape(), l.direction(s, k, lo, hi)), wrt...)
			if err != nil {
				return nil, err
			}
			out = append(out, along...)
		}
		return runTape(g, out...)
	}
	return secondOrder(g, dt, cost, wrt, func(k int) []float64 { return l.direction(s, k, lo, hi) })
}

// options are the settings that the loss is tested with.
func (l *shardLoss) options(classes int) map[string][]loss.Option {
	w, prior := make([]float64, classes), make([]float64, classes)
	for i := range w {
		w[i], prior[i] = float64(i%4)/2, -float64(i%3)
	}
	all := map[string][]loss.Option{
		"plain":       nil,
		"temperature": {loss.WithTemperature(1.7)},
	}
	if l.name != "KL" {
		all["softcap"] = []loss.Option{loss.WithSoftcap(3), loss.WithTemperature(0.5)}
	}
	if strings.HasSuffix(l.name, "CrossEntropy") {
		all["zloss"] = []loss.Option{loss.WithZLoss(0.1), loss.WithClassWeights(w)}
		all["smoothing"] = []loss.Option{loss.WithLabelSmoothing(0.2)}
		all["priors"] = []loss.Option{loss.WithLogPrior(prior)}
		all["prior"] = []loss.Option{loss.WithLogPrior(prior), loss.WithLabelSmoothing(0.2), loss.WithClassWeights(w)}
		all["everything"] = []loss.Option{loss.WithSoftcap(4), loss.WithTemperature(1.5), loss.WithLabelSmoothing(0.1), loss.WithZLoss(0.1), loss.WithClassWeights(w)}
		all["normalizer"] = []loss.Option{loss.WithClassWeights(w), loss.WithNormalizer(3)}
	}
	if l.soft == "log" {
		for name := range all {
			all[name] = append(all[name], loss.WithLogTarget())
		}
	}
	return all
}

// join puts the results of shards together: value, then derivatives by the operands. The first
// result of each rank is the same to the bit.
func (l *shardLoss) join(t *testing.T, s *shardSample, operands int, got [][][]float64, bounds func(r int) (lo, hi int)) [][]float64 {
	t.Helper()
	joined := slices.Clone(got[0])
	for i := range joined {
		k := (i - 1) % operands
		for r := 1; r < len(got); r++ {
			if i == 0 || l.linear && k == 0 {
				for j, v := range got[r][i] {
					if math.Float64bits(v) != math.Float64bits(got[0][i][j]) {
						t.Errorf("rank %d has %v at result %d[%d], rank 0 %v", r, v, i, j, got[0][i][j])
						break
					}
				}
			}
		}
		if i == 0 || l.linear && k == 0 {
			continue
		}
		if l.linear && k < 3 {
			for r := 1; r < len(got); r++ {
				joined[i] = append(slices.Clone(joined[i]), got[r][i]...)
			}
			continue
		}
		joined[i] = make([]float64, s.n*s.c)
		for r := range got {
			lo, hi := bounds(r)
			for row := range s.n {
				copy(joined[i][row*s.c+lo:row*s.c+hi], got[r][i][row*(hi-lo):])
			}
		}
	}
	return joined
}

// Classes spread over ranks give the value and the derivatives of first and second order of one
// rank, under every option and reduction.
func TestShardsAreOneLoss(t *testing.T) {
	s := newShardSample(6, 5, 23)
	turn := 0
	for _, l := range shardLosses {
		info, _ := loss.Describe(l.name)
		for name, set := range l.options(s.c) {
			for _, red := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
				if info.Node && red != loss.None || red != loss.Mean && name == "normalizer" {
					continue
				}
				turn++
				size, dt := rankCounts[turn%len(rankCounts)], []tensor.Dtype{tensor.Float64, tensor.Float32}[turn/len(rankCounts)%2]
				opts := slices.Clone(set)
				if !info.Node {
					opts = append(opts, loss.WithReduction(red))
				}
				t.Run(fmt.Sprintf("%s%s/%s/%v/%v/%d", l.name, l.soft, name, red, dt, size), func(t *testing.T) {
					want, err := l.run(dt, s, 0, s.c, opts...)
					if err != nil {
						t.Fatal(err)
					}
					bounds := make([][2]int, size)
					got := onRanks(t, size, func(c comm.Comm) ([][]float64, error) {
						lo, hi := shardOf(s.c, c)
						bounds[c.Rank()] = [2]int{lo, hi}
						return l.run(dt, s, lo, hi, append(slices.Clone(opts), loss.WithShard(c, lo))...)
					})
					operands := 1
					if l.linear {
						operands = 3
					}
					if l.soft != "" {
						operands++
					}
					joined := l.join(t, s, operands, got, func(r int) (int, int) { return bounds[r][0], bounds[r][1] })
					for i := range want {
						within(t, fmt.Sprintf("result %d", i), joined[i], want[i], rankTolerance(dt))
					}
				})
			}
		}
	}
}
