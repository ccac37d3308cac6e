package loss_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// listGradient is the value and the gradient of a batch of lists of some length.
func listGradient(t *testing.T, name string, length int, s, y []float64, d eager.Data, opts ...loss.Option) (float64, []float64) {
	t.Helper()
	l, err := eager.Constructors()[name](opts...)
	if err != nil {
		t.Fatal(err)
	}
	shape := []int{len(s) / length, length}
	grad := make([]float64, len(s))
	v, err := l.ValueGradient(eager.Slice(grad, shape...), d, eager.Slice(s, shape...), eager.Slice(y, shape...))
	if err != nil {
		t.Fatal(name, err)
	}
	return v, grad
}

func everyListLoss(f func(name string)) {
	for name := range rankingVariants {
		f(name)
	}
}

// Padding that is masked is nowhere (sentence-transformers #3827: it leaked into ListMLE and turned
// signs): the gradient is that of the list without it, to the bit.
func TestPaddingIsNotThere(t *testing.T) {
	everyListLoss(func(name string) {
		v, g := listGradient(t, name, 3, []float64{1.5, 0.3, -1}, []float64{2, 1, 0}, eager.Data{})
		mask := eager.Slice([]float64{1, 1, 0, 1, 0}, 1, 5)
		pv, pg := listGradient(t, name, 5, []float64{1.5, 0.3, math.NaN(), -1, math.Inf(1)}, []float64{2, 1, math.NaN(), 0, -7}, eager.Data{Mask: mask})
		if pv != v || !slices.Equal(pg, []float64{g[0], g[1], 0, g[2], 0}) {
			t.Errorf("%s: %v %v with padding, %v %v without", name, pv, pg, v, g)
		}
	})
}

// Lists of one item, of equal relevances (sentence-transformers #4032: NaN) and without relevant
// items: 0 or a finite value by the formula, and no NaN in the gradient.
func TestListsWithoutPairs(t *testing.T) {
	everyListLoss(func(name string) {
		for _, c := range []struct{ s, y []float64 }{
			{[]float64{0.5}, []float64{2}}, {[]float64{0.5}, []float64{0}},
			{[]float64{0.5, -1, 0.25}, []float64{1, 1, 1}}, {[]float64{0.5, -1, 0.25}, []float64{0, 0, 0}},
		} {
			v, g := listGradient(t, name, len(c.s), c.s, c.y, eager.Data{})
			sum := 0.0
			for _, d := range g {
				sum += math.Abs(d)
			}
			tiedCount := name == "PairwiseMSE" || name == "ListNet" || name == "ListMLE" || c.y[0] > 0 && (name == "RankingSoftmax" || strings.HasPrefix(name, "Approx") || name == "NeuralNDCG")
			if zero := len(c.s) == 1 || !tiedCount; zero && (v != 0 || sum != 0) {
				t.Errorf("%s: %v %v of relevance %v, want 0", name, v, g, c.y)
			}
			if math.IsNaN(v + sum) {
				t.Errorf("%s: %v %v of relevance %v", name, v, g, c.y)
			}
		}
	})
	// Equal relevances are in the order of the items.
	v, _ := listGradient(t, "ListMLE", 3, []float64{0.5, -1, 0.25}, []float64{1, 1, 1}, eager.Data{})
	rest := math.Log(math.Exp(-1) + math.Exp(0.25))
	nearList(t, "ListMLE", []float64{v}, []float64{math.Log(math.Exp(0.5)+math.Exp(rest)) - 0.5 + rest + 1}, 1e-15)
}

// Equal scores have ranks by position (LightGBM #2091): λ is not 0 between them.
func TestEqualScoresHaveRanks(t *testing.T) {
	v, g := listGradient(t, "LambdaRank", 2, []float64{1, 1}, []float64{0, 1}, eager.Data{})
	lambda := 1 - 1/math.Log2(3) // the gain of 1 at rank 2 instead of 1
	nearList(t, "value", []float64{v}, []float64{lambda * math.Ln2}, 1e-15)
	nearList(t, "gradient", g, []float64{lambda / 2, -lambda / 2}, 1e-15)
}

// σ is a factor of the gradient (LightGBM #2322), and the value is not divided by it.
func TestSigmaIsInTheGradient(t *testing.T) {
	v, g := listGradient(t, "RankNet", 2, []float64{0.7, 0.3}, []float64{2, 0}, eager.Data{}, loss.WithSigma(2))
	nearList(t, "value", []float64{v}, []float64{math.Log1p(math.Exp(-0.8))}, 1e-15)
	nearList(t, "gradient", g, []float64{-2 / (1 + math.Exp(0.8)), 2 / (1 + math.Exp(0.8))}, 1e-15)
}

// Scores of any size give no NaN; one NaN makes its list NaN and no other.
func TestHostileScores(t *testing.T) {
	everyListLoss(func(name string) {
		y := []float64{1, 0, 3, 0}
		_, want := listGradient(t, name, 4, []float64{0.5, 1, -1, 2}, y, eager.Data{}, loss.WithReduction(loss.Sum))
		for _, s := range [][]float64{{1e4, -1e4, 3, 0}, {3e38, -3e38, 3e38, 1}, {-3e38, 3e38, 0, 0}, {1e-300, 0, -1e-300, 0}, {7, 7, 7, 7}} {
			v, g := listGradient(t, name, 4, s, y, eager.Data{}, loss.WithReduction(loss.Sum))
			for _, d := range append(g, v) {
				if math.IsNaN(d) {
					t.Errorf("%s of scores %v: %v %v", name, s, v, g)
					break
				}
			}
		}
		both := []float64{math.NaN(), 1, -1, 2, 0.5, 1, -1, 2}
		v, g := listGradient(t, name, 4, both, append(y, y...), eager.Data{}, loss.WithReduction(loss.Sum))
		if !math.IsNaN(v) || !slices.Equal(g[4:], want) {
			t.Errorf("%s with a NaN in the first list: %v %v, want NaN and %v in the second", name, v, g, want)
		}
	})
}

// Relevances of any size keep gains and shares finite where the loss is a ratio.
func TestLargeRelevance(t *testing.T) {
	for _, name := range []string{"LambdaRank", "ApproxNDCG", "ApproxMRR", "NeuralNDCG", "ListNet", "ListMLE", "RankNet"} {
		for _, opts := range [][]loss.Option{nil, {loss.WithLinearGain()}} {
			if opts != nil && (name[0] == 'L' && name != "LambdaRank" || name == "RankNet") {
				continue
			}
			v, g := listGradient(t, name, 3, []float64{0.5, 1, -1}, []float64{3e38, 2000, 0}, eager.Data{}, opts...)
			for _, d := range append(g, v) {
				if math.IsNaN(d) || math.IsInf(d, 0) {
					t.Errorf("%s: %v %v", name, v, g)
				}
			}
		}
	}
}

// A relevance that has no gain is an error that names its place; weights of items are >= 0.
func TestBadLists(t *testing.T) {
	call := func(name string, y []float64, d eager.Data, opts ...loss.Option) error {
		l, err := eager.Constructors()[name](opts...)
		if err != nil {
			return err
		}
		_, err = l.Value(d, eager.Slice([]float64{1, 2, 3, 4}, 2, 2), eager.Slice(y, 2, 2))
		return err
	}
	fails := func(err error, want error, text string) {
		t.Helper()
		if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("error is %v, want one with %q", err, text)
		}
	}
	dcg := loss.WithPairWeights(loss.PairDCG)
	for _, name := range []string{"RankingSoftmax", "UniqueSoftmax", "LambdaRank", "ApproxNDCG", "ApproxMRR", "NeuralNDCG"} {
		fails(call(name, []float64{0, 1, -1, 2}, eager.Data{}), loss.ErrValue, "relevance is -1 at")
		fails(call(name, []float64{0, 1, math.NaN(), 2}, eager.Data{}), loss.ErrValue, "relevance is NaN at")
		fails(call(name, []float64{0, 1, 0, 2}, eager.Data{Weights: eager.Slice([]float64{1, 1, 1, -2}, 2, 2)}),
			loss.ErrValue, "weight is -2 at item 1 of list 1")
	}
	for _, name := range []string{"ListNet", "ListMLE", "RankNet", "PairwiseHinge", "PairwiseMSE", "PairwiseQuantile", "PairwiseSoftZeroOne"} {
		if err := call(name, []float64{0, 1, -1, 2}, eager.Data{}); err != nil {
			t.Error(err)
		}
		fails(call(name, []float64{0, 1, math.Inf(1), 2}, eager.Data{}), loss.ErrValue, "relevance is +Inf at")
		if strings.HasPrefix(name, "Pair") || name == "RankNet" {
			fails(call(name, []float64{0, 1, -1, 2}, eager.Data{}, dcg), loss.ErrValue, "relevance is -1 at")
			fails(call(name, make([]float64, 4), eager.Data{}, loss.WithTopK(2)), loss.ErrOption,
				"WithTopK needs WithPairWeights(PairDCG)")
		}
	}
	for _, o := range []loss.Option{loss.WithTopK(0), loss.WithPairWeights(9), loss.WithSigma(0)} {
		fails(call("RankNet", make([]float64, 4), eager.Data{}, o), loss.ErrOption, "want")
	}
	fails(call("ApproxMRR", make([]float64, 4), eager.Data{}, loss.WithEmptyLists(7)), loss.ErrOption,
		"want one of the 3 constants")
	fails(call("NeuralNDCG", make([]float64, 4), eager.Data{}, loss.WithIterations(-1)), loss.ErrOption,
		"want a number >= 0")
}

// The weights of λ are constants: the gradient is Σ λ·∂l/∂s with the weights of the ranks at hand,
// and so is the Hessian, which the change of ranks has no part in.
func TestLambdaIsConstant(t *testing.T) {
	s, y := []float64{0.5, 1.25, -1, 0.75}, []float64{2, 0, 1, 0}
	_, got := listGradient(t, "LambdaRank", 4, s, y, eager.Data{}, loss.WithPairSum())
	rank := []float64{3, 1, 4, 2}
	ideal := 3 + 1/math.Log2(3)
	want := make([]float64, 4)
	for i := range s {
		for j := range s {
			if y[i] > y[j] {
				lambda := (math.Exp2(y[i]) - math.Exp2(y[j])) * math.Abs(1/math.Log2(1+rank[i])-1/math.Log2(1+rank[j])) / ideal
				d := lambda / (1 + math.Exp(s[i]-s[j])) / 5 // the mean over the 5 pairs
				want[i] -= d
				want[j] += d
			}
		}
	}
	nearList(t, "gradient", got, want, 1e-15)
}

// y of MarginRanking may be integers of any type that holds it; anything but -1 and 1 is an error.
func TestMarginRankingSigns(t *testing.T) {
	run := func(kind tensor.Dtype, y []int) ([]float64, error) {
		g := G.NewGraph()
		x1, x2 := floatLeaf(g, tensor.Float32, "x1", []int{2, 2}, []float64{1, 2, 3, 4}), floatLeaf(g, tensor.Float32, "x2", []int{2, 2}, []float64{2, 1, 4, 3})
		out, err := loss.MarginRanking(x1, x2, labelLeaf(g, kind, "y", []int{2, 2}, y), loss.WithReduction(loss.None), loss.WithMargin(0.5),
			loss.WithMask(floatLeaf(g, tensor.Float32, "m", []int{2}, []float64{1, 1})))
		if err != nil {
			return nil, err
		}
		grads, err := loss.VJP(out, floatLeaf(g, tensor.Float32, "up", []int{2, 2}, []float64{1, 2, 3, 4}), x1, x2)
		if err != nil {
			return nil, err
		}
		values, err := runTape(g, out, grads[0], grads[1])
		return slices.Concat(values...), err
	}
	for _, kind := range []tensor.Dtype{tensor.Int, tensor.Int64, tensor.Int32} {
		got, err := run(kind, []int{1, 1, -1, -1})
		if err != nil {
			t.Fatal(err)
		}
		nearList(t, kind.String(), got, []float64{1.5, 0, 0, 1.5, -1, 0, 0, 4, 1, 0, 0, -4}, 0)
	}
	if _, err := run(tensor.Int, []int{1, 0, 1, 1}); !errors.Is(loss.Cause(err), loss.ErrValue) {
		t.Errorf("a sign of 0: error is %v", err)
	}
	g := G.NewGraph()
	x, z := floatLeaf(g, tensor.Float64, "x", []int{2}, []float64{1, 2}), floatLeaf(g, tensor.Float64, "z", []int{2}, []float64{2, 1})
	if _, err := loss.MarginRanking(x, z, labelLeaf(g, tensor.Int, "y", []int{3}, []int{1, 1, 1})); !errors.Is(err, loss.ErrShape) {
		t.Errorf("three signs for two scores: error is %v", err)
	}
	if _, err := loss.MarginRanking(x, z, floatLeaf(g, tensor.Float32, "f", []int{2}, []float64{1, 1})); !errors.Is(err, loss.ErrDType) {
		t.Errorf("signs of float32 beside float64: error is %v", err)
	}
}
