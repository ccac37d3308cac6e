package loss_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// A listOracle computes the value of a list in big floats from the definition: all pairs, all
// ranks, the matrix entry by entry.
type listOracle struct {
	loss string
	opts []loss.Option
	want func(s, y []*big.Float) *big.Float
}

func bigSub(x, y *big.Float) *big.Float { return bigAdd(x, bigNeg(y)) }

func bigSigmoid(x *big.Float) *big.Float {
	return bigDiv(bigOf(1), bigAdd(bigOf(1), bigExp(bigNeg(x))))
}

// bigGain is 2^y - 1.
func bigGain(y *big.Float) *big.Float {
	return bigSub(bigExp(bigMul(y, bigLog(bigOf(2)))), bigOf(1))
}

func bigLogSum(x ...*big.Float) *big.Float {
	sum := bigOf(0)
	for _, v := range x {
		sum = bigAdd(sum, bigExp(v))
	}
	return bigLog(sum)
}

// bigDiscount is 1/log2(1+rank).
func bigDiscount(rank *big.Float) *big.Float {
	return bigDiv(bigLog(bigOf(2)), bigLog(bigAdd(bigOf(1), rank)))
}

// bigIdeal is the discounted sum of the first k gains, the largest first.
func bigIdeal(y []*big.Float, k int) (best []*big.Float, ideal *big.Float) {
	best, ideal = slices.Clone(y), bigOf(0)
	slices.SortFunc(best, func(a, b *big.Float) int { return b.Cmp(a) })
	for i, v := range best {
		if best[i] = bigGain(v); i < k {
			ideal = bigAdd(ideal, bigMul(best[i], bigDiscount(bigOf(float64(i+1)))))
		}
	}
	return best, ideal
}

// rankOf counts the items that stand before item i.
func rankOf(s []*big.Float, i int) int {
	rank := 1
	for j := range s {
		if c := s[j].Cmp(s[i]); c > 0 || c == 0 && j < i {
			rank++
		}
	}
	return rank
}

// bigPairs is the mean of f over the pairs with y_i > y_j, or over all pairs.
func bigPairs(all bool, f func(s, y []*big.Float, i, j int) *big.Float) func(s, y []*big.Float) *big.Float {
	return func(s, y []*big.Float) *big.Float {
		sum, n := bigOf(0), 0
		for i := range s {
			for j := range s {
				if i != j && (all || y[i].Cmp(y[j]) > 0) {
					sum, n = bigAdd(sum, f(s, y, i, j)), n+1
				}
			}
		}
		return bigDiv(sum, bigOf(float64(max(n, 1))))
	}
}

func bigRankPair(sigma float64) func(s, y []*big.Float, i, j int) *big.Float {
	return func(s, _ []*big.Float, i, j int) *big.Float {
		return bigLog(bigAdd(bigOf(1), bigExp(bigMul(bigOf(sigma), bigSub(s[j], s[i])))))
	}
}

// bigSmoothRank is 1 + Σ sigmoid((s_j-s_i)/T).
func bigSmoothRank(s []*big.Float, i int, t float64) *big.Float {
	rank := bigOf(1)
	for j := range s {
		if j != i {
			rank = bigAdd(rank, bigSigmoid(bigDiv(bigSub(s[j], s[i]), bigOf(t))))
		}
	}
	return rank
}

func bigNeuralNDCG(t float64, iterations int) func(s, y []*big.Float) *big.Float {
	return func(s, y []*big.Float) *big.Float {
		n := len(s)
		p := make([][]*big.Float, n)
		normalise := func(at func(i, j int) **big.Float) {
			for i := range n {
				sum := bigOf(0)
				for j := range n {
					sum = bigAdd(sum, *at(i, j))
				}
				for j := range n {
					*at(i, j) = bigDiv(*at(i, j), sum)
				}
			}
		}
		rows := func(i, j int) **big.Float { return &p[i][j] }
		for i := range n {
			p[i] = make([]*big.Float, n)
			for j := range n {
				z := bigMul(bigOf(float64(n-1-2*i)), s[j])
				for m := range n {
					z = bigSub(z, bigZero().Abs(bigSub(s[j], s[m])))
				}
				p[i][j] = bigExp(bigDiv(z, bigOf(t)))
			}
		}
		normalise(rows)
		for range iterations {
			normalise(func(i, j int) **big.Float { return &p[j][i] })
			normalise(rows)
		}
		_, ideal := bigIdeal(y, n)
		sum := bigOf(0)
		for i := range n {
			for j := range n {
				sum = bigAdd(sum, bigMul(bigMul(p[i][j], bigGain(y[j])), bigDiscount(bigOf(float64(i+1)))))
			}
		}
		return bigSub(bigOf(1), bigDiv(sum, ideal))
	}
}

var listOracles = []listOracle{
	{"ListNet", nil, func(s, y []*big.Float) *big.Float {
		sum := bigOf(0)
		for i := range s {
			sum = bigAdd(sum, bigMul(bigExp(bigSub(y[i], bigLogSum(y...))), bigSub(bigLogSum(s...), s[i])))
		}
		return sum
	}},
	{"RankingSoftmax", []loss.Option{loss.WithEpsilon(0.5)}, func(s, y []*big.Float) *big.Float {
		sum, total := bigOf(0), bigAdd(y...)
		for i := range s {
			nll := bigSub(bigLogSum(s...), s[i])
			miss := bigSub(bigOf(1), bigExp(bigNeg(nll)))
			sum = bigAdd(sum, bigMul(y[i], nll), bigDiv(bigMul(bigMul(bigOf(0.5), y[i]), miss), total))
		}
		return sum
	}},
	{"UniqueSoftmax", nil, func(s, y []*big.Float) *big.Float {
		sum := bigOf(0)
		for i := range s {
			among := []*big.Float{s[i]}
			for j := range s {
				if y[j].Cmp(y[i]) < 0 {
					among = append(among, s[j])
				}
			}
			sum = bigAdd(sum, bigMul(bigGain(y[i]), bigSub(bigLogSum(among...), s[i])))
		}
		return sum
	}},
	{"ListMLE", []loss.Option{loss.WithTopK(3)}, func(s, y []*big.Float) *big.Float {
		sum, left := bigOf(0), make([]int, len(s))
		for i := range left {
			left[i] = i
		}
		for range min(3, len(s)) {
			var scores []*big.Float
			best := 0
			for k, i := range left {
				scores = append(scores, s[i])
				if y[i].Cmp(y[left[best]]) > 0 {
					best = k
				}
			}
			sum = bigAdd(sum, bigSub(bigLogSum(scores...), s[left[best]]))
			left = slices.Delete(left, best, best+1)
		}
		return sum
	}},
	{"RankNet", []loss.Option{loss.WithSigma(1.5)}, bigPairs(false, bigRankPair(1.5))},
	{"RankNet", []loss.Option{loss.WithPairWeights(loss.PairLabelDiff)}, bigPairs(false, func(s, y []*big.Float, i, j int) *big.Float {
		return bigMul(bigSub(y[i], y[j]), bigRankPair(1)(s, y, i, j))
	})},
	{"LambdaRank", []loss.Option{loss.WithTopK(3)}, bigPairs(false, func(s, y []*big.Float, i, j int) *big.Float {
		_, ideal := bigIdeal(y, 3)
		discount := func(i int) *big.Float {
			if r := rankOf(s, i); r <= 3 {
				return bigDiscount(bigOf(float64(r)))
			}
			return bigOf(0)
		}
		l := bigMul(bigSub(bigGain(y[i]), bigGain(y[j])), bigZero().Abs(bigSub(discount(i), discount(j))))
		return bigDiv(bigMul(l, bigRankPair(1)(s, y, i, j)), ideal)
	})},
	{"PairwiseHinge", []loss.Option{loss.WithMargin(0.75)}, bigPairs(false, func(s, _ []*big.Float, i, j int) *big.Float {
		if l := bigAdd(bigOf(0.75), bigSub(s[j], s[i])); l.Sign() > 0 {
			return l
		}
		return bigOf(0)
	})},
	{"PairwiseSoftZeroOne", []loss.Option{loss.WithSigma(2)}, bigPairs(false, func(s, _ []*big.Float, i, j int) *big.Float {
		return bigSigmoid(bigMul(bigOf(2), bigSub(s[j], s[i])))
	})},
	{"PairwiseMSE", nil, bigPairs(true, func(s, y []*big.Float, i, j int) *big.Float {
		u := bigSub(bigSub(y[i], y[j]), bigSub(s[i], s[j]))
		return bigMul(u, u)
	})},
	{"PairwiseQuantile", []loss.Option{loss.WithQuantile(0.25), loss.WithSquared()}, bigPairs(false, func(s, y []*big.Float, i, j int) *big.Float {
		u := bigSub(bigSub(y[i], y[j]), bigSub(s[i], s[j]))
		if u.Sign() > 0 {
			return bigMul(bigMul(u, u), bigOf(0.25))
		}
		return bigMul(bigMul(u, u), bigOf(0.75))
	})},
	{"ApproxNDCG", []loss.Option{loss.WithTemperature(0.5)}, func(s, y []*big.Float) *big.Float {
		_, ideal := bigIdeal(y, len(y))
		sum := bigOf(0)
		for i := range s {
			sum = bigAdd(sum, bigMul(bigGain(y[i]), bigDiscount(bigSmoothRank(s, i, 0.5))))
		}
		return bigSub(bigOf(1), bigDiv(sum, ideal))
	}},
	{"ApproxNDCG", []loss.Option{loss.WithTopK(2)}, func(s, y []*big.Float) *big.Float {
		_, ideal := bigIdeal(y, 2)
		sum, sorted := bigOf(0), slices.Clone(s)
		slices.SortFunc(sorted, func(a, b *big.Float) int { return b.Cmp(a) })
		for i := range s {
			c := bigOf(1)
			if len(s) > 2 {
				c = bigSigmoid(bigSub(s[i], bigDiv(bigAdd(sorted[1], sorted[2]), bigOf(2))))
			}
			sum = bigAdd(sum, bigMul(bigMul(c, bigGain(y[i])), bigDiscount(bigSmoothRank(s, i, 1))))
		}
		return bigSub(bigOf(1), bigDiv(sum, ideal))
	}},
	{"ApproxMRR", nil, func(s, y []*big.Float) *big.Float {
		best := bigOf(0)
		for i := range s {
			if q := bigDiv(bigOf(1), bigSmoothRank(s, i, 1)); y[i].Sign() > 0 && q.Cmp(best) > 0 {
				best = q
			}
		}
		return bigSub(bigOf(1), best)
	}},
	{"ApproxMRR", []loss.Option{loss.WithLinearGain()}, func(s, y []*big.Float) *big.Float {
		sum := bigOf(0)
		for i := range s {
			sum = bigAdd(sum, bigMul(y[i], bigSub(bigOf(1), bigDiv(bigOf(1), bigSmoothRank(s, i, 1)))))
		}
		return bigDiv(sum, bigAdd(y...))
	}},
	{"NeuralNDCG", []loss.Option{loss.WithIterations(0), loss.WithTemperature(2)}, bigNeuralNDCG(2, 0)},
	{"NeuralNDCG", []loss.Option{loss.WithIterations(3)}, bigNeuralNDCG(1, 3)},
}

// The values are those of the definitions, to their own last digits: for lists in no order, with
// ties, and in an order so clear that the value is near 0.
func TestRankingOracles(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for k, o := range listOracles {
		t.Run(fmt.Sprint(k, o.loss), func(t *testing.T) {
			for trial := range 9 {
				n := 2 + trial%5
				s, y := make([]float64, n), make([]float64, n)
				for i := range s {
					y[i] = float64(r.IntN(4))
					switch trial % 3 {
					case 0:
						s[i] = 2 * r.NormFloat64()
					case 1:
						s[i] = float64(r.IntN(3)) / 2
					case 2:
						s[i] = 9*y[i] + r.NormFloat64()
					}
				}
				y[r.IntN(n)] = 4 // a relevant item, and a pair
				y[r.IntN(n)] = 0
				if slices.Max(y) == 0 {
					y[0] = 1
				}
				var bs, by []*big.Float
				for i := range s {
					bs, by = append(bs, bigOf(s[i])), append(by, bigOf(y[i]))
				}
				want := float64Of(o.want(bs, by))
				// Sums of up to 36 positive terms of a few roundings each, and the differences of
				// scores near 30 in exponents.
				if got := listValue(t, o.loss, s, y, o.opts...); !(math.Abs(got-want) <= 2e-13*math.Abs(want)) {
					t.Errorf("scores %v relevance %v: %v, want %v (relative %.1e)", s, y, got, want,
						math.Abs(got-want)/math.Abs(want))
				}
			}
		})
	}
}

// listValue is the value of one list.
func listValue(t *testing.T, name string, s, y []float64, opts ...loss.Option) float64 {
	t.Helper()
	l, err := eager.Constructors()[name](opts...)
	if err != nil {
		t.Fatal(err)
	}
	v, err := l.Value(eager.Data{}, eager.Slice(s, len(s)), eager.Slice(y, len(y)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The likelihoods of all orders of a list add up to 1.
func TestListMLEIsALikelihood(t *testing.T) {
	scores, sum := []float64{0.5, -1.25, 2, 0.75}, 0.0
	var walk func(order []float64, left int)
	walk = func(order []float64, left int) {
		if left == 0 {
			sum += math.Exp(-listValue(t, "ListMLE", scores, order))
		}
		for i, y := range order {
			if y == 0 {
				next := slices.Clone(order)
				next[i] = float64(left)
				walk(next, left-1)
			}
		}
	}
	walk(make([]float64, 4), 4)
	if math.Abs(sum-1) > 1e-14 { // 24 terms below 1, each within 2 units in the last place
		t.Errorf("the likelihoods add up to %v, want 1", sum)
	}
}

// Lists of few grades are computed without a logarithm for each pair. Weights of 1 for the items
// take the other way, whose values the oracles above hold.
func TestLambdaRankOfFewGrades(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct {
		n, grades int
		draw      func(y float64) float64
		opts      []loss.Option
	}{
		{700, 2, func(float64) float64 { return 3 * r.NormFloat64() }, nil},
		{300, 5, func(float64) float64 { return 3 * r.NormFloat64() },
			[]loss.Option{loss.WithPairSum(), loss.WithSigma(1.5)}},
		{80, 5, func(float64) float64 { return float64(r.IntN(7)) }, []loss.Option{loss.WithTopK(9)}}, // ties
		{40, 3, func(y float64) float64 { return 12*y + r.Float64() }, nil},                           // in order
		{40, 3, func(y float64) float64 { return -12*y + r.Float64() }, []loss.Option{loss.WithLinearGain()}},
	} {
		s, y, ones := make([]float64, c.n), make([]float64, c.n), make([]float64, c.n)
		for i := range s {
			y[i], ones[i] = float64(i%c.grades), 1
			s[i] = c.draw(y[i])
		}
		v, g := listGradient(t, "LambdaRank", c.n, s, y, eager.Data{}, c.opts...)
		want, pairs := listGradient(t, "LambdaRank", c.n, s, y, eager.Data{Weights: eager.Slice(ones, 1, c.n)}, c.opts...)
		if !(math.Abs(v-want) <= 1e-12*want) {
			t.Errorf("%d items: value %v, want %v (relative %.1e)", c.n, v, want, math.Abs(v-want)/want)
		}
		for i, d := range g {
			// Exponentials of quotients: the spread of the scores times 2^-53, and sums of 700
			// terms.
			if !(math.Abs(d-pairs[i]) <= 1e-12*math.Abs(pairs[i])+1e-15*want) {
				t.Errorf("%d items: gradient %v at %d, want %v", c.n, d, i, pairs[i])
				break
			}
		}
	}
}
