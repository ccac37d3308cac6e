package formula

import (
	"cmp"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// Order returns the items of a list in the order that compare gives, equal ones by place.
func Order(g *core.Group, compare func(a, b int) int) []int {
	order := g.Ints(g.N)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := compare(a, b); c != 0 {
			return c
		}
		return a - b
	})
	return order
}

// fewValues is the number of different values up to which a list is sorted by counting them.
const fewValues = 16

// Downwards returns the places of x from the largest entry to the smallest, equal ones by place.
// NaN comes last.
func Downwards(g *core.Group, x []float64) []int {
	if order := countedDownwards(g, x); order != nil {
		return order
	}
	type item struct {
		x  float64
		at int
	}
	items := make([]item, len(x))
	for i, v := range x {
		items[i] = item{v, i}
	}
	slices.SortFunc(items, func(a, b item) int {
		switch {
		case a.x > b.x:
			return -1
		case a.x < b.x:
			return 1
		}
		return cmp.Or(cmp.Compare(b.x, a.x), a.at-b.at)
	})
	order := g.Ints(len(x))
	for k, it := range items {
		order[k] = it.at
	}
	return order
}

// countedDownwards is Downwards of entries of few values, grades of relevance for instance, or nil.
func countedDownwards(g *core.Group, x []float64) []int {
	var values [fewValues]float64
	var count [fewValues]int
	n := 0
	for _, v := range x {
		k := 0
		for k < n && values[k] > v {
			k++
		}
		if k < n && values[k] == v {
			count[k]++
			continue
		}
		if n == fewValues || v != v {
			return nil
		}
		copy(values[k+1:n+1], values[k:n])
		copy(count[k+1:n+1], count[k:n])
		values[k], count[k] = v, 1
		n++
	}
	var next [fewValues]int // where the next item of each value goes
	for k := 1; k < n; k++ {
		next[k] = next[k-1] + count[k-1]
	}
	order := g.Ints(len(x))
	for i, v := range x {
		k := 0
		for values[k] > v {
			k++
		}
		order[next[k]] = i
		next[k]++
	}
	return order
}

// Gain is the gain of a relevance: y where it is linear, else 2^y - 1.
func Gain(y float64, linear bool) float64 {
	switch {
	case linear:
		return y
	case y < 1:
		return math.Expm1(y * math.Ln2)
	}
	return math.Exp2(y) - 1
}

// Gains returns the gains of a list's relevances y up to a common factor, which keeps those of
// large relevances finite; weights, if there are any, multiply them.
func Gains(g *core.Group, y, weights []float64, linear bool) []float64 {
	const large = 500 // 2^500 leaves room for weights and sums
	top, gains := slices.Max(y), g.Buf(len(y))
	for i, v := range y {
		switch {
		case linear && top > 0x1p500:
			gains[i] = v / top
		case !linear && top > large:
			gains[i] = math.Exp2(v-(top-large)) - math.Exp2(large-top)
		default:
			gains[i] = Gain(v, linear)
		}
	}
	for i, w := range weights {
		gains[i] *= w
	}
	return gains
}

// Discount is 1/log2(1 + rank), and 0 beyond rank k unless that is 0. Ranks begin at 1.
func Discount(rank float64, k int) float64 {
	if k > 0 && rank > float64(k) {
		return 0
	}
	return 1 / math.Log2(1+rank)
}

// IdealDCG returns the discounted sum of the first k gains, all if k is 0, in the order given.
func IdealDCG(gains []float64, order []int, k int) (sum float64) {
	for r, i := range order {
		sum += gains[i] * Discount(float64(r+1), k)
	}
	return sum
}

// A SoftmaxTail is the log-sum-exp of the scores that were added, in two parts whose sum need not
// be rounded, and the mean of their directions under their softmax.
type SoftmaxTail struct{ High, Low, Mean float64 }

// EmptyTail is the tail without scores.
func EmptyTail() SoftmaxTail { return SoftmaxTail{High: math.Inf(-1)} }

// Add adds a score in two parts with its direction. share is its probability in the new tail, rest
// that of the others, and nll is -log share.
func (t *SoftmaxTail) Add(high, low, dir float64) (share, rest, nll float64) {
	gap := (t.High - high) + (t.Low - low)
	if t.High == high { // equal infinities too
		gap = t.Low - low
	}
	e := math.Exp(-math.Abs(gap))
	big, small, l := 1/(1+e), e/(1+e), math.Log1p(e)
	if gap > 0 {
		share, rest, nll = small, big, gap+l
		t.Low += l
		t.Mean += share * (dir - t.Mean)
	} else {
		share, rest, nll = big, small, l
		t.High, t.Low = high, low+l
		t.Mean = dir + rest*(t.Mean-dir)
	}
	return share, rest, nll
}

// Exp returns exp(score - log-sum-exp).
func (t *SoftmaxTail) Exp(score float64) float64 { return math.Exp((score - t.High) - t.Low) }
