package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestRankingExamples: values with their arithmetic.
func TestRankingExamples(t *testing.T) {
	log2 := math.Log2
	// scikit-learn's documentation of ndcg_score: the relevance 10, 0, 0, 1, 5 under scores that
	// rank it 5, 1, 0, 0, 10 and 0, 0, 10, 1, 5. It gives 0.69..., 0.49... and, of 4 items,
	// 0.35....
	relevance := []float64{10, 0, 0, 1, 5}
	first, second := []float64{.1, .2, .3, 4, 70}, []float64{.05, 1.1, 1., .5, .0}
	ideal := 10 + 5/log2(3) + 1/log2(4)
	// The documentation of label_ranking_average_precision_score: the relevant items have ranks 2
	// and 3, so that (1/2 + 1/3)/2 = 0.416....
	two := Batch{Width: 3, Scores: []float64{.75, .5, 1, 1, .2, .1}, Targets: []float64{1, 0, 0, 0, 0, 1}}
	// Relevant at the ranks 1, 3 and 4 of 5.
	one := Batch{Width: 5, Scores: []float64{5, 4, 3, 2, 1}, Targets: []float64{1, 0, 2, 3, 0}}
	for _, c := range []struct {
		m    Metric
		b    Batch
		want float64
	}{
		{NewNDCG(0, LinearGain), Batch{Width: 5, Scores: first, Targets: relevance}, (5 + 1/log2(3) + 10/log2(6)) / ideal},
		{NewNDCG(0, LinearGain), Batch{Width: 5, Scores: second, Targets: relevance},
			(1/log2(4) + 10/log2(5) + 5/log2(6)) / ideal},
		{NewNDCG(4, LinearGain), Batch{Width: 5, Scores: second, Targets: relevance}, (1/log2(4) + 10/log2(5)) / ideal},
		{NewNDCG(9, LinearGain), Batch{Width: 5, Scores: relevance, Targets: relevance}, 1},
		{NewMAP(0), two, (1./2 + 1./3) / 2},
		{NewMRR(0), two, (1./2 + 1./3) / 2},
		{NewMRR(2), two, (1. / 2) / 2},
		{NewMAP(2), two, (1. / 2) / 2},
		{NewNDCG(0, ExponentialGain), one, (1 + 3/log2(4) + 7/log2(5)) / (7 + 3/log2(3) + 1/log2(4))},
		{NewNDCG(3, ExponentialGain), one, (1 + 3/log2(4)) / (7 + 3/log2(3) + 1/log2(4))},
		{NewMAP(0), one, (1 + 2./3 + 3./4) / 3},
		{NewMAP(2), one, 1. / 2}, // the best order of 2 items has 2 relevant ones
		{NewRecallAt(1), one, 1. / 3},
		{NewRecallAt(3), one, 2. / 3},
		{NewRecallAt(99), one, 1},
		{NewHitRate(1), two, 0},
		{NewHitRate(2), two, 1. / 2},
		{NewHitRate(3), two, 1},
		// One relevant item for each row, the label's: ranks 2, 1 and, not measured, 3.
		{NewMRR(0), Batch{Width: 3, Scores: []float64{1, 2, 0, 1, 2, 0, 1, 2, 0}, Labels: []int{0, 1, Ignored}},
			(1./2 + 1) / 2},
		{NewNDCG(0, ExponentialGain), Batch{Width: 3, Scores: []float64{1, 2, 0}, Labels: []int{0}}, 1 / log2(3)},
		{NewRecallAt(1), Batch{Width: 3, Scores: []float64{1, 2, 0, 1, 2, 0, 1, 2, 0}, Labels: []int{0, 1, 2}, Mask: []bool{true, true, false}}, 1. / 2},
		// Weights of lists, and a list without a relevant item that has no part.
		{NewMRR(0), Batch{Width: 2, Scores: []float64{1, 0, 1, 0, 1, 0}, Targets: []float64{1, 0, 0, 1, 0, 0}, Weights: []float64{1, 3, 5}}, (1 + 3./2) / 4},
		// Equal scores: the first comes first.
		{NewMRR(0), Batch{Width: 3, Scores: []float64{2, 2, 2}, Targets: []float64{0, 1, 1}}, 1. / 2},
		// Infinite scores are ordinary; large relevance does not overflow: the gains are 1 :
		// 2^-1000.
		{NewMRR(0), Batch{Width: 3, Scores: []float64{math.Inf(-1), math.Inf(1), 0}, Targets: []float64{0, 0, 1}}, 1. / 2},
		{NewNDCG(0, ExponentialGain), Batch{Width: 2, Scores: []float64{1, 2}, Targets: []float64{1000, 1}}, 1 / log2(3)},
		{NewNDCG(0, LinearGain), Batch{Width: 3, Scores: []float64{1, 2, 3}, Targets: []float64{math.MaxFloat64, 0, math.MaxFloat64}}, (1 + 1/log2(4)) / (1 + 1/log2(3))},
	} {
		if err := c.m.Update(c.b); err != nil {
			t.Errorf("%s: %v", c.m.Name(), err)
		} else if got := c.m.Value(); !(math.Abs(got-c.want) <= 1e-15) { // a few roundings of numbers below 1
			t.Errorf("%s of %v is %v, want %v", c.m.Name(), c.b, got, c.want)
		}
	}
}

// TestRankingBruteForce: against ranks that are counted, with the definitions written out.
func TestRankingBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range 300 {
		width, rows, k := 1+r.IntN(7), 1+r.IntN(4), r.IntN(9)
		var b Batch
		b.Width = width
		for range rows * width {
			b.Scores = append(b.Scores, float64(r.IntN(6)))
			b.Targets = append(b.Targets, float64(max(0, r.IntN(6)-2)))
			b.Mask = append(b.Mask, r.IntN(5) > 0)
		}
		for range rows {
			b.Weights = append(b.Weights, float64(r.IntN(3)))
		}
		list := []*Ranking{NewNDCG(k, ExponentialGain), NewNDCG(k, LinearGain), NewMRR(k), NewMAP(k), NewRecallAt(max(1, k)), NewHitRate(max(1, k))}
		want := make([]ratio, len(list))
		for i := range rows {
			var at []int // the items that are there
			for c := range width {
				if b.Mask[i*width+c] {
					at = append(at, i*width+c)
				}
			}
			rank := func(x []float64, of int) int {
				n := 1
				for _, o := range at {
					if x[o] > x[of] || x[o] == x[of] && o < of {
						n++
					}
				}
				return n
			}
			cut := k
			if k == 0 {
				cut = width
			}
			var relevant, found, precisions, best, firstRank float64
			var dcg, idcg [2]float64
			for _, a := range at {
				y, n := b.Targets[a], rank(b.Scores, a)
				for g, gain := range []float64{math.Pow(2, y) - 1, y} {
					if n <= cut {
						dcg[g] += gain / math.Log2(float64(n+1))
					}
					if p := rank(b.Targets, a); p <= cut {
						idcg[g] += gain / math.Log2(float64(p+1))
					}
				}
				if y > 0 {
					relevant++
					if n <= cut {
						found++
						above := 0.0
						for _, o := range at {
							if b.Targets[o] > 0 && rank(b.Scores, o) <= n {
								above++
							}
						}
						precisions += above / float64(n)
						if firstRank == 0 || float64(n) < firstRank {
							firstRank = float64(n)
						}
						best = 1
					}
				}
			}
			if w := b.Weights[i]; relevant > 0 && w > 0 {
				reciprocal := 0.0
				if firstRank > 0 {
					reciprocal = 1 / firstRank
				}
				// RecallAt and HitRate have no k = 0.
				least := func(v, all float64) float64 {
					if k > 0 {
						return v
					}
					return all
				}
				top := 0.0 // whether the first item is relevant
				for _, a := range at {
					if rank(b.Scores, a) == 1 && b.Targets[a] > 0 {
						top = 1
					}
				}
				for m, v := range []float64{dcg[0] / idcg[0], dcg[1] / idcg[1], reciprocal, precisions / min(relevant, float64(cut)),
					least(found, top) / relevant, least(best, top)} {
					want[m].sum += w * v
					want[m].weight += w
				}
			}
		}
		for i, m := range list {
			if err := m.Update(b); err != nil {
				t.Fatal(err)
			}
			if got, want := m.Value(), want[i].value(); !(math.Abs(got-want) <= 1e-14) && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("%s of %v is %v, want %v", m.Name(), b, got, want)
			}
		}
	}
}

func TestRankingErrors(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		m    Metric
		b    Batch
		want string
	}{
		{NewNDCG(0, LinearGain), Batch{Width: 2, Scores: []float64{1, 2}, Targets: []float64{1, -1}, Index: []int{41}}, "metric.NDCG: relevance 1 of row 41 is -1, want 0 to"},
		{NewMAP(0), Batch{Width: 2, Scores: []float64{1, 2}, Targets: []float64{nan, 1}},
			"metric.MAP: relevance 0 of row 0 is NaN"},
		{NewMRR(0), Batch{Width: 2, Scores: []float64{1, 2}, Targets: []float64{math.Inf(1), 1}},
			"relevance 0 of row 0 is +Inf"},
		{NewNDCG(0, ExponentialGain), Batch{Width: 2, Scores: []float64{1, 2}, Targets: []float64{1001, 1}},
			"relevance 0 of row 0 is 1001, want 0 to 1000"},
		{NewHitRate(1), Batch{Width: 2, Scores: []float64{1, nan}, Targets: []float64{1, 1}},
			"metric.HitRate: a score of row 0 is NaN"},
		{NewRecallAt(1), Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{2}},
			"metric.RecallAt: label of row 0 is 2, want a label in [0, 2)"},
		{NewMRR(0), Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{1}, Mask: []bool{true, true}},
			"2 entries of the mask, want 1 to match the rows"},
		{NewMRR(0), Batch{Width: 2, Scores: []float64{1, 2}}, "0 labels, want 1"},
	} {
		before := c.m.State()
		if err := c.m.Update(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
		if !slices.Equal(before, c.m.State()) {
			t.Errorf("%s: a faulty batch left something behind", c.m.Name())
		}
	}
	for _, other := range []Metric{NewMRR(1), NewMAP(0), NewNDCG(0, LinearGain), NewAccuracy()} {
		if err := NewNDCG(0, ExponentialGain).Merge(other); err == nil {
			t.Errorf("merged with %s", other.Name())
		}
	}
}

// TestRetrievalExample: three of label 0 and two of label 1 on a line, and one of its own. By
// distance the neighbours of each are, relevant ones marked:
//
//	0 (0): 1* 1.5 3.5* 4 9     first 1, precisions 1 and 2/3
//	1 (0): 1.5 0* 3.5* 4 9     first 2, precisions 1/2 and 2/3
//	1.5 (1): 1 0 3.5 4* 9      first 4, precision 1/4; 0 is at 1.5, 3.5 at 2, 4 at 2.5
//	3.5 (0): 4 1.5 1* 0* 9     first 3, precisions 1/3 and 2/4
//	4 (1): 3.5 1.5* 1 0 9      first 2, precision 1/2
//	9 (2): no query
func TestRetrievalExample(t *testing.T) {
	b := Batch{Width: 1, Scores: []float64{0, 1, 1.5, 3.5, 4, 9}, Labels: []int{0, 0, 1, 0, 1, 2}}
	for _, c := range []struct {
		of   *Ranking
		want float64
	}{
		{NewMRR(0), (1 + 1./2 + 1./4 + 1./3 + 1./2) / 5},
		{NewHitRate(1), 1. / 5},
		{NewHitRate(2), 3. / 5},
		{NewRecallAt(3), (1 + 1 + 0 + 1./2 + 1) / 5},
		{NewMAP(0), ((1+2./3)/2 + (1./2+2./3)/2 + 1./4 + (1./3+2./4)/2 + 1./2) / 5},
	} {
		m := NewRetrieval(c.of, Euclidean)
		if err := m.Update(b); err != nil {
			t.Fatal(err)
		}
		if got := m.Value(); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%s is %v, want %v", m.Name(), got, c.want)
		}
		if c.of.weight != 0 {
			t.Errorf("%s: the ranking given was changed", m.Name())
		}
	}
	// Weights are those of queries: 0 leaves a row out, its embedding too.
	b.Weights = []float64{1, 2, 1, 1, 1, 1}
	m := NewRetrieval(NewHitRate(1), Euclidean)
	if err := m.Update(b); err != nil || math.Abs(m.Value()-1./6) > 1e-15 {
		t.Errorf("weighted: %v, %v, want 1/6", m.Value(), err)
	}
	b.Weights = []float64{1, 1, 0, 0, 1, 0} // 0 and 1 find each other, 4 is alone
	m = NewRetrieval(NewHitRate(1), Euclidean)
	if err := m.Update(b); err != nil || m.Value() != 1 {
		t.Errorf("left out: %v, %v, want 1", m.Value(), err)
	}
}

// TestRetrievalCosine: lengths have no say, whatever they are, and a zero vector is as near to
// everything as a right angle.
func TestRetrievalCosine(t *testing.T) {
	b := Batch{Width: 2, Scores: []float64{1e300, 0, 1e-300, 1e-301, 0, 3, -1e-320, 0, 0, 0}, Labels: []int{0, 0, 1, 1, 1}}
	// Cosines of the first: 0.995, 0, -1, 0: finds its like. The second: 0.995 with the first. The
	// third (0, 3): 0, 0.0995, 0, 0: the second, of another label, comes first, then the first of
	// those at 0, the fourth, the fifth: rank 3. The fourth: -1, -0.995, 0, 0: the third. The
	// fifth: all 0: the first, the second, then the third: rank 3.
	m := NewRetrieval(NewMRR(0), Cosine)
	if err := m.Update(b); err != nil {
		t.Fatal(err)
	}
	if got, want := m.Value(), (1+1+1./3+1+1./3)/5; math.Abs(got-want) > 1e-15 {
		t.Errorf("mrr %v, want %v", got, want)
	}
	for _, c := range []struct {
		b    Batch
		want string
	}{
		{Batch{Width: 3, Scores: []float64{1, 2, 3}, Labels: []int{0}}, "3 scores per row, want 2 as before"},
		{Batch{Width: 2, Scores: []float64{1, math.NaN()}, Labels: []int{0}, Index: []int{7}},
			"element 1 of the embedding of row 7 is NaN, want a finite number"},
		{Batch{Width: 2, Scores: []float64{math.Inf(1), 1}, Labels: []int{0}},
			"element 0 of the embedding of row 0 is +Inf"},
		{Batch{Width: 2, Scores: []float64{1, 1}}, "0 labels, want 1"},
		{Batch{Width: 2, Scores: []float64{1, 1}, Targets: []float64{1, 1}}, "want one class label per row"},
	} {
		before := m.State()
		if err := m.Update(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
		if !slices.Equal(before, m.State()) {
			t.Error("a faulty batch left something behind")
		}
	}
	for _, state := range [][]float64{nil, {2, 0, 1}, {-1}, {math.NaN(), 1}, {0, 1, 2}, {1e300}} {
		if err := m.Restore(state); err == nil {
			t.Errorf("restored %v", state)
		}
	}
	for _, other := range []Metric{NewRetrieval(NewMRR(0), Euclidean), NewRetrieval(NewMAP(0), Cosine), NewMRR(0)} {
		if err := m.Merge(other); err == nil {
			t.Errorf("merged with %T %s", other, other.Name())
		}
	}
}

// TestQueries: three queries to rows in the directions of 0, 30 and 90 degrees; no row finds itself
// or another query, and the label 5 has no part.
func TestQueries(t *testing.T) {
	b := Batch{Width: 2, Scores: []float64{1, 0, 0, 1, 1, 0}, Labels: []int{1, 1, 5}}
	rows := Batch{Width: 2, Scores: []float64{2, 0, .866, .5, 0, 3}, Labels: []int{2, 1, 1}}
	for s, want := range map[Similarity]float64{
		Cosine:    (1./2 + 1) / 2,
		Euclidean: 1, // the distances are 1, .52 and 3.16, and 2.24, 1 and 2
	} {
		searched := NewRetrieval(NewMRR(0), s)
		if err := searched.Update(rows); err != nil {
			t.Fatal(err)
		}
		m := searched.Queries()
		if err := m.Update(b); err != nil {
			t.Fatal(err)
		}
		if got := m.Value(); got != want {
			t.Errorf("%v: mean reciprocal rank %v, want %v", s, got, want)
		}
		if err := m.Merge(searched.Queries()); err != nil {
			t.Error(err)
		}
		wide := Batch{Width: 3, Scores: make([]float64, 3), Labels: []int{1}}
		for want, err := range map[string]error{
			"queries to no rows": NewRetrieval(NewMAP(0), s).Queries().Check(),
			"3 scores per row, want 2 as in the rows that are searched": searched.Queries().Update(wide),
			"cannot merge": m.Merge(m.Queries()),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
}
