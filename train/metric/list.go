package metric

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// A Gain is what an item adds to the discounted cumulative gain, by its relevance y.
type Gain uint8

const (
	// ExponentialGain is 2^y - 1, for y up to 1000.
	ExponentialGain Gain = iota
	// LinearGain is y.
	LinearGain
)

// listMeasure is what a [Ranking] takes the mean of.
type listMeasure uint8

const (
	ndcg listMeasure = iota
	reciprocalRank
	averagePrecision
	recallAt
	hitRate
)

// Ranking measures how items are ranked by their scores. Each row is a list, its scores those of
// its items, ranked from the largest on; of equal scores the first comes first. The value is the
// weighted mean over lists. With R the number of relevant items of a list, rel_r whether the item
// of rank r is relevant, and g_r its gain,
//
//	NDCG      Σ_{r<=k} g_r/log2(1+r), divided by what it is in the best order
//	MRR       1/r of the first relevant item, 0 where r > k
//	MAP       Σ_{r<=k} rel_r·(relevant up to r)/r / min(R, k)
//	recall    relevant up to k / R
//	hit rate  1 with a relevant item up to k, else 0
//
// Targets are the relevance of each item, at least 0; items of more than 0 are relevant. Or labels
// are given: then the label's item is the only relevant one. Masked items are not there. A list
// without a relevant item is left out; scikit-learn's ndcg_score counts it as 0. A NaN among the
// scores is an error.
//
// For [NewNDCG] with [LinearGain] and different scores scikit-learn's ndcg_score gives the same;
// its label_ranking_average_precision_score is [NewMAP].
//
// References: K. Järvelin and J. Kekäläinen, Cumulated Gain-Based Evaluation of IR Techniques,
// 2002; E. M. Voorhees, The TREC-8 Question Answering Track Report, 1999.
type Ranking struct {
	what listMeasure
	k    int
	gain Gain
	ratio
}

// NewNDCG returns an empty normalized discounted cumulative gain of the first k items, or of all
// for k = 0.
func NewNDCG(k int, g Gain) *Ranking { return &Ranking{what: ndcg, k: k, gain: g} }

// NewMRR returns an empty mean reciprocal rank among the first k items, or all for k = 0.
func NewMRR(k int) *Ranking { return &Ranking{what: reciprocalRank, k: k} }

// NewMAP returns an empty mean average precision of the first k items, or of all for k = 0.
func NewMAP(k int) *Ranking { return &Ranking{what: averagePrecision, k: k} }

// NewRecallAt returns an empty share of the relevant items that are among the first k, at least 1.
func NewRecallAt(k int) *Ranking { return &Ranking{what: recallAt, k: k} }

// NewHitRate returns an empty share of the lists with a relevant item among the first k, at least
// 1. For embeddings it is known as recall@k.
func NewHitRate(k int) *Ranking { return &Ranking{what: hitRate, k: k} }

// kind returns the end of the constructor's name.
func (r *Ranking) kind() string {
	return [...]string{"NDCG", "MRR", "MAP", "RecallAt", "HitRate"}[r.what]
}

// Check returns an error when K is out of its range or the gain is none.
func (r *Ranking) Check() error {
	if r.gain > LinearGain {
		return fmt.Errorf("metric.%s: gain is %d, want ExponentialGain or LinearGain", r.kind(), r.gain)
	}
	least := 0
	if r.what == recallAt || r.what == hitRate { // of all items they are 1
		least = 1
	}
	return between(r.kind(), "K", r.k, least, math.MaxInt)
}

// Name returns for instance "ndcg", "ndcg_linear@10" or "recall@5".
func (r *Ranking) Name() string {
	name := [...]string{"ndcg", "mrr", "map", "recall", "hit_rate"}[r.what]
	if r.gain == LinearGain {
		name += "_linear"
	}
	if r.k != 0 {
		name += "@" + strconv.Itoa(r.k)
	}
	return name
}

// item is an element of a list.
type item struct {
	score, relevance float64
	place            int // in the list
}

// byRank compares items by their rank; no score is NaN.
func byRank(a, b item) int {
	switch {
	case a.score > b.score:
		return -1
	case a.score < b.score:
		return 1
	}
	return a.place - b.place
}

// Update adds the lists of b.
func (r *Ranking) Update(b Batch) error {
	if err := r.Check(); err != nil {
		return err
	}
	kind := "targets"
	if b.Targets == nil {
		kind = "labels"
	}
	if err := b.check(r.kind(), kind); err != nil {
		return err
	}
	if err := b.noNaN(r.kind()); err != nil {
		return err
	}
	most := math.MaxFloat64
	if r.what == ndcg && r.gain == ExponentialGain {
		most = 1000
	}
	for i, y := range b.Targets {
		if !(y >= 0 && y <= most) && b.ScoreWeight(i) != 0 {
			return fmt.Errorf("metric.%s: relevance %d of %s is %v, want 0 to %v", r.kind(), i%b.Width,
				b.row(i/b.Width), y, most)
		}
	}
	var list []item
	for i := range b.Rows() {
		list = list[:0]
		for c := range b.Width {
			at := i*b.Width + c
			t := item{score: b.Scores[at], place: c}
			switch {
			case b.ScoreWeight(at) == 0:
				continue
			case b.Targets != nil:
				t.relevance = b.Targets[at]
			case b.Labels[i] == c:
				t.relevance = 1
			}
			list = append(list, t)
		}
		r.add(list, b.Weight(i))
	}
	return nil
}

// add adds a list, which it sorts. One without a relevant item has no part.
func (r *Ranking) add(list []item, w float64) {
	relevant := 0
	for _, t := range list {
		if t.relevance > 0 {
			relevant++
		}
	}
	if relevant == 0 || w == 0 {
		return
	}
	slices.SortFunc(list, byRank)
	k := len(list)
	if r.k > 0 {
		k = min(k, r.k)
	}
	r.weight += w
	r.sum += w * r.measure(list, k, relevant)
}

// measure returns the value of a ranked list.
func (r *Ranking) measure(list []item, k, relevant int) float64 {
	if r.what == ndcg {
		return r.ndcg(list, k)
	}
	var found, precisions float64
	for i, t := range list[:k] {
		if t.relevance <= 0 {
			continue
		}
		switch found++; r.what {
		case reciprocalRank:
			return 1 / float64(i+1)
		case hitRate:
			return 1
		}
		precisions += found / float64(i+1)
	}
	switch r.what {
	case averagePrecision:
		return precisions / float64(min(relevant, k))
	case recallAt:
		return found / float64(relevant)
	}
	return 0
}

func (r *Ranking) ndcg(list []item, k int) float64 {
	gains := make([]float64, len(list))
	for i, t := range list {
		gains[i] = t.relevance
		if r.gain == ExponentialGain {
			gains[i] = math.Expm1(t.relevance * math.Ln2)
		}
	}
	top := slices.Max(gains) // in units of which no sum overflows
	sum := func() (s float64) {
		for i, g := range gains[:k] {
			s += g / top / math.Log2(float64(i+2))
		}
		return s
	}
	got := sum()
	slices.SortFunc(gains, func(a, b float64) int { return cmp.Compare(b, a) })
	return got / sum()
}

// Value returns the mean over the lists, in [0, 1].
func (r *Ranking) Value() float64 { return r.value() }

// Merge adds the lists of another Ranking of the same kind and settings.
func (r *Ranking) Merge(other Metric) error {
	o, ok := other.(*Ranking)
	if !ok || o.what != r.what || o.k != r.k || o.gain != r.gain {
		return mismatch(r, other)
	}
	r.sum, r.weight = r.sum+o.sum, r.weight+o.weight
	return nil
}

// New returns an empty Ranking of the same kind and settings.
func (r *Ranking) New() Metric { return &Ranking{what: r.what, k: r.k, gain: r.gain} }

// State returns the sums.
func (r *Ranking) State() []float64 { return []float64{r.sum, r.weight} }

// Restore sets the sums.
func (r *Ranking) Restore(s []float64) error { return restore(r.kind(), s, &r.sum, &r.weight) }
