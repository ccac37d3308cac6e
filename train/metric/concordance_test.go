package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// pairs is the definition of the concordance index, pair by pair.
func pairs(b Batch) float64 {
	var r ratio
	for i := range b.Scores {
		for j := range b.Scores {
			later := b.Targets[j] > b.Targets[i] || b.Targets[j] == b.Targets[i] && b.Labels[j] == 0
			if i == j || b.Labels[i] != 1 || b.Labels[j] < 0 || !later {
				continue
			}
			w := b.Weight(i) * b.Weight(j)
			r.weight += w
			switch {
			case b.Scores[i] > b.Scores[j]:
				r.sum += w
			case b.Scores[i] == b.Scores[j]:
				r.sum += w / 2
			}
		}
	}
	return r.value()
}

func TestConcordance(t *testing.T) {
	// Events at 1, 2 and 2, censored at 2 and 3. Comparable: the first with the four others; each
	// of the events at 2 with both censored rows. Risks 5, 4, 1, 1, 3: the first is above all (4 of
	// 4), the second above both (2 of 2), the third equal to one and below the other (½ of 2):
	// 6.5/8.
	b := Batch{Width: 1, Scores: []float64{5, 4, 1, 1, 3}, Targets: []float64{1, 2, 2, 2, 3}, Labels: []int{1, 1, 1, 0, 0}}
	c := NewConcordance()
	if err := c.Update(b); err != nil || c.Value() != 6.5/8 {
		t.Errorf("%v, %v, want 6.5/8", c.Value(), err)
	}
	r := rand.New(rand.NewPCG(31, 32))
	for range 300 {
		n := 1 + r.IntN(30)
		b := Batch{Width: 1}
		for range n {
			b.Scores = append(b.Scores, float64(r.IntN(8)))
			b.Targets = append(b.Targets, float64(r.IntN(10)))
			b.Labels = append(b.Labels, []int{0, 1, 1, Ignored}[r.IntN(4)])
			b.Weights = append(b.Weights, float64(r.IntN(4)))
			b.Mask = append(b.Mask, r.IntN(9) > 0)
		}
		c := NewConcordance()
		if err := c.Update(b); err != nil {
			t.Fatal(err)
		}
		// Whole weights: both sums are exact.
		if got, want := c.Value(), pairs(b); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%v, want %v of %v", got, want, b)
		}
		// Turning all scores turns the index.
		for i := range b.Scores {
			b.Scores[i] = -b.Scores[i]
		}
		d := NewConcordance()
		if err := d.Update(b); err != nil {
			t.Fatal(err)
		}
		if got, want := d.Value(), 1-c.Value(); math.Abs(got-want) > 1e-15 {
			t.Errorf("%v of turned scores, want %v", got, want)
		}
	}
}

func TestConcordanceCorners(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		what string
		b    Batch
		want float64
	}{
		{"no rows", Batch{Width: 1, Labels: []int{}, Targets: []float64{}}, nan},
		{"one", Batch{Width: 1, Scores: []float64{1}, Targets: []float64{1}, Labels: []int{1}}, nan},
		{"all censored", Batch{Width: 1, Scores: []float64{1, 2}, Targets: []float64{1, 2}, Labels: []int{0, 0}}, nan},
		{"all at once", Batch{Width: 1, Scores: []float64{1, 2}, Targets: []float64{1, 1}, Labels: []int{1, 1}}, nan},
		{"all alike", Batch{Width: 1, Scores: []float64{2, 2, 2}, Targets: []float64{1, 2, 3}, Labels: []int{1, 1, 1}}, 0.5},
		{"infinite", Batch{Width: 1, Scores: []float64{inf, 3e38, -inf}, Targets: []float64{-5, 0, inf}, Labels: []int{1, 1, 0}}, 1},
	} {
		m := NewConcordance()
		if err := m.Update(c.b); err != nil {
			t.Errorf("%s: %v", c.what, err)
		} else if got := m.Value(); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	for _, c := range []struct {
		b    Batch
		want string
	}{
		{Batch{Width: 1, Scores: []float64{1, 2}, Targets: []float64{1, 2}, Labels: []int{1, 2}, Index: []int{3, 41}},
			"metric.Concordance: label of row 41 is 2, want 1 for an event or 0"},
		{Batch{Width: 1, Scores: []float64{1, nan}, Targets: []float64{1, 2}, Labels: []int{1, 0}},
			"a score of row 1 is NaN"},
		{Batch{Width: 1, Scores: []float64{1, 2}, Targets: []float64{nan, 2}, Labels: []int{1, 0}}, "time of row 0 is NaN"},
		{Batch{Width: 1, Scores: []float64{1}, Targets: []float64{1}},
			"0 labels, want 1 to match the rows: 1 for an event"},
		{Batch{Width: 1, Scores: []float64{1}, Labels: []int{1}}, "want a target for each score"},
		{Batch{Width: 2, Scores: []float64{1, 2}, Targets: []float64{1, 2}, Labels: []int{1}}, "2 scores per row, want 1"},
	} {
		m := NewConcordance()
		if err := m.Update(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
		if len(m.State()) != 0 {
			t.Error("a faulty batch left something behind")
		}
	}
	if err := NewConcordance().Merge(NewMAE()); err == nil {
		t.Error("merged with a MAE")
	}
	if err := NewConcordance().Restore([]float64{1, 2, 3}); err == nil {
		t.Error("restored 3 numbers")
	}
}

// distance is the recursion that defines the edit distance.
func distance(a, b []int) int {
	switch {
	case len(a) == 0:
		return len(b)
	case len(b) == 0:
		return len(a)
	}
	d := distance(a[1:], b[1:])
	if a[0] != b[0] {
		d++
	}
	return min(d, distance(a[1:], b)+1, distance(a, b[1:])+1)
}

func TestEditDistance(t *testing.T) {
	// Levenshtein's usual example: kitten, sitten, sittin, sitting.
	if d := EditDistance([]rune("kitten"), []rune("sitting")); d != 3 {
		t.Errorf("kitten, sitting: %d, want 3", d)
	}
	r := rand.New(rand.NewPCG(41, 42))
	for range 300 {
		a, b := make([]int, r.IntN(6)), make([]int, r.IntN(6))
		for _, s := range [][]int{a, b} {
			for i := range s {
				s[i] = r.IntN(3)
			}
		}
		if got, want := EditDistance(a, b), distance(a, b); got != want || EditDistance(b, a) != want {
			t.Fatalf("%v, %v: %d, want %d", a, b, got, want)
		}
	}
}

// texts is a batch of sequences of code points.
func texts(pairs ...string) Batch {
	var b Batch
	for i := 0; i < len(pairs); i += 2 {
		b.References, b.Decoded = append(b.References, Runes(pairs[i])), append(b.Decoded, Runes(pairs[i+1]))
	}
	return b
}

func TestErrorRate(t *testing.T) {
	// Characters: "hello world" has 11, of which "helo wurld" lost one and changed one; "naïve" has
	// 5, one changed. Words: 2 of 2 and 1 of 1.
	b := texts("hello world", "helo wurld", "naïve", "naive")
	weighted := b
	weighted.Weights = []float64{1, 3}
	padded := b
	padded.References = [][]int{append(Runes("hello"), append([]int{Ignored, Ignored}, Runes(" world")...)...), Runes("naïve")}
	padded.Decoded = [][]int{append(Runes("helo wurld"), Ignored), Runes("naive")}
	masked := texts("abc", "xyz", "ab", "ab")
	masked.Mask = []bool{false, true}
	others := texts("axbx", "yab")
	for _, c := range []struct {
		what string
		m    Metric
		b    Batch
		want float64
	}{
		{"characters", NewCER(), b, 3. / 16},
		{"words", NewWER(' '), b, 3. / 3},
		{"weights", NewCER(), weighted, (2 + 3.) / (11 + 15)},
		{"padding", NewCER(), padded, 3. / 16},
		{"padding", NewWER(' '), padded, 3. / 3},
		{"a mask", NewCER(), masked, 0},
		{"separators in a row", NewWER(' ', '\n'), texts("  the cat\n sat ", "the  hat sat"), 1. / 3},
		{"more than there is", NewCER(), texts("a", "bcd"), 3},
		{"an empty reference beside another", NewCER(), texts("", "ab", "ab", "ab"), 1},
		{"nothing but empty references", NewCER(), texts("", "ab"), math.NaN()},
		{"ignored besides", Ignore(NewCER(), 'x', 'y'), others, 0},
		{"words that are not labels alike", NewWER(0), Batch{References: [][]int{{1, 128, 0, math.MaxInt32}}, Decoded: [][]int{{1, 0, 128, 0, math.MaxInt32}}}, 2. / 2},
	} {
		if err := c.m.Update(c.b); err != nil {
			t.Errorf("%s: %v", c.what, err)
		} else if got := c.m.Value(); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	if !slices.Equal(padded.References[0][4:8], []int{'o', Ignored, Ignored, ' '}) || !slices.Equal(others.References[0], Runes("axbx")) {
		t.Error("the caller's sequences were changed")
	}
	for _, c := range []struct {
		b    Batch
		want string
	}{
		{Batch{Width: 1, Scores: []float64{1}, Labels: []int{0}}, "metric.CER: 0 decoded sequences and 0 references"},
		{Batch{References: [][]int{{1}, {2}}, Decoded: [][]int{{1}}}, "1 decoded sequences and 2 references"},
		{Batch{References: [][]int{{1}}, Decoded: [][]int{{1}}, Weights: []float64{1, 2}}, "2 weights, want 1"},
		{Batch{References: [][]int{{1}, {1}}, Decoded: [][]int{{1}, {1}}, Weights: []float64{1, -2}, Index: []int{5, 41}}, "weight of row 41 is -2"},
		{Batch{References: [][]int{{1}}, Decoded: [][]int{{1}}, Mask: []bool{}},
			"0 entries of the mask, want 1 to match the rows"},
	} {
		m := NewCER()
		if err := m.Update(c.b); err == nil || !strings.Contains(err.Error(), c.want) || m.weight != 0 {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	for _, other := range []Metric{NewCER(), NewWER('-'), NewMAE()} {
		if err := NewWER(' ').Merge(other); err == nil {
			t.Errorf("merged with %T %s of other settings", other, other.Name())
		}
	}
}
