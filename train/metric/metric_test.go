package metric

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

type recorded struct {
	Kind      string
	Width     int
	Scores    []float64
	Labels    []int
	Targets   []float64
	Weights   []float64
	Values    map[string]float64
	Confusion [][]float64
}

func cases(t *testing.T) []recorded {
	t.Helper()
	text, err := os.ReadFile("testdata/record.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases []recorded }
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f.Cases
}

// every returns one empty metric of each kind that fits the batches of a case.
func every(kind string, width int) []Metric {
	ce := NewCalibrationError(10)
	switch kind {
	case "regression":
		return []Metric{NewMAE(), NewRMSE(), NewR2()}
	case "binary":
		return []Metric{NewAUROC(), NewAveragePrecision(), NewBinaryAccuracy(), ce,
			NewPrecision(2, Positive), NewRecall(2, Positive), NewF1(2, Positive)}
	}
	out := []Metric{NewAccuracy(), NewTopK(2), NewPerplexity(), NewBits(), ce}
	for _, a := range []Average{Macro, Micro} {
		out = append(out, NewPrecision(width, a), NewRecall(width, a), NewF1(width, a))
	}
	return out
}

// part returns rows [i, j) of a case.
func (c recorded) part(i, j int) Batch {
	b := Batch{Width: c.Width, Scores: c.Scores[i*c.Width : j*c.Width]}
	if c.Labels != nil {
		b.Labels = c.Labels[i:j]
	}
	if c.Targets != nil {
		b.Targets = c.Targets[i*c.Width : j*c.Width]
	}
	if c.Weights != nil {
		b.Weights = c.Weights[i:j]
	}
	return b
}

// TestScikitLearn holds every metric against the recorded values: fed at once, in parts, merged
// from parts, and carried over a saved state. Relative to 1 or the value, 1e-12 leaves room for
// sums in another order.
func TestScikitLearn(t *testing.T) {
	tested := make(map[string]bool)
	for i, c := range cases(t) {
		n := len(c.Scores) / c.Width
		seen := 0
		for _, m := range every(c.Kind, c.Width) {
			want, ok := c.Values[m.Name()]
			if !ok {
				t.Fatalf("case %d has no value for %q", i, m.Name())
			}
			seen++
			tested[m.Name()] = true
			near := func(how string, m Metric) {
				if got := m.Value(); !(math.Abs(got-want) <= 1e-12*math.Max(1, math.Abs(want))) {
					t.Errorf("case %d, %s: %s is %v, want %v", i, how, m.Name(), got, want)
				}
			}
			feed := func(m Metric, from, to int) Metric {
				if err := m.Update(c.part(from, to)); err != nil {
					t.Fatal(err)
				}
				return m
			}
			near("at once", feed(m.New(), 0, n))
			stream := m.New()
			for from := 0; from < n; from += 7 {
				feed(stream, from, min(from+7, n))
				again := stream.New()
				if err := again.Restore(stream.State()); err != nil {
					t.Fatal(err)
				}
				stream = again
			}
			near("in parts", stream)
			a, b := feed(m.New(), 0, n/3), feed(m.New(), n/3, n)
			if err := a.Merge(b); err != nil {
				t.Fatal(err)
			}
			near("merged", a)
			if got := m.New().Value(); !math.IsNaN(got) {
				t.Errorf("%s of no rows is %v, want NaN", m.Name(), got)
			}
		}
		if seen != len(c.Values) {
			t.Errorf("case %d has %d values, %d were tested", i, len(c.Values), seen)
		}
		if c.Confusion != nil {
			m := NewConfusion(c.Width)
			if err := m.Update(c.part(0, n)); err != nil {
				t.Fatal(err)
			}
			for i, row := range m.Counts() {
				for j, got := range row {
					if want := c.Confusion[i][j]; math.Abs(got-want) > 1e-12*math.Max(1, want) {
						t.Errorf("confusion (%d, %d) is %v, want %v", i, j, got, want)
					}
				}
			}
			if got, want := m.Value(), c.Values["accuracy"]; math.Abs(got-want) > 1e-12 {
				t.Errorf("confusion's accuracy %v, want %v", got, want)
			}
		}
	}
	if len(tested) < 19 {
		t.Errorf("%d metrics tested: %v", len(tested), tested)
	}
}

// TestWeights: weight 2 is a row given twice, weight 0 a row left out, even one that would be an
// error.
func TestWeights(t *testing.T) {
	for _, c := range cases(t) {
		if c.Weights != nil {
			continue
		}
		n := len(c.Scores) / c.Width
		for _, m := range every(c.Kind, c.Width) {
			twice, weighted := m.New(), m.New()
			for range 2 {
				if err := twice.Update(c.part(0, n)); err != nil {
					t.Fatal(err)
				}
			}
			b := c.part(0, n)
			b.Weights = slices.Repeat([]float64{2}, n)
			if err := weighted.Update(b); err != nil {
				t.Fatal(err)
			}
			bad := c.part(0, 1)
			bad.Weights = []float64{0}
			bad.Scores = slices.Repeat([]float64{math.NaN()}, c.Width)
			if bad.Labels != nil {
				bad.Labels = []int{99}
			}
			if err := weighted.Update(bad); err != nil {
				t.Errorf("%s: a row of weight 0: %v", m.Name(), err)
			}
			if a, b := twice.Value(), weighted.Value(); !(math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(a))) {
				t.Errorf("%s: %v for rows given twice, %v with weight 2", m.Name(), a, b)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		m    Metric
		b    Batch
		want string
	}{
		{NewAccuracy(), Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{2}},
			"label of row 0 is 2, want a label in [0, 2)"},
		{NewAccuracy(), Batch{Width: 2, Scores: []float64{1, 2, 3}, Labels: []int{0}}, "3 scores in rows of 2"},
		{NewAccuracy(), Batch{Width: 2, Scores: []float64{1, 2}}, "0 labels, want 1"},
		{NewAccuracy(), Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{0}, Weights: []float64{-1}},
			"weight of row 0 is -1"},
		{NewPerplexity(), Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{-1}},
			"metric.Perplexity: label of row 0 is -1"},
		{NewMAE(), Batch{Width: 1, Scores: []float64{1}}, "0 targets, want 1"},
		{NewAUROC(), Batch{Width: 1, Scores: []float64{1}, Targets: []float64{0.5}},
			"target 0 of row 0 is 0.5, want 0 or 1"},
		{NewAUROC(), Batch{Width: 2, Scores: []float64{1, 2}, Targets: []float64{0, 1}},
			"2 scores per row, want 1, or 2 with class labels"},
		{NewAUROC(), Batch{Width: 3, Scores: []float64{1, 2, 3}, Labels: []int{1}},
			"3 scores per row, want 1, or 2 with class labels"},
		{NewAUROC(), Batch{Width: 1, Scores: []float64{math.NaN()}, Labels: []int{1}}, "score of row 0 is NaN"},
	} {
		before := c.m.State()
		err := c.m.Update(c.b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: error %v, want one with %q", c.m, err, c.want)
		}
		if !slices.Equal(before, c.m.State()) {
			t.Errorf("%T: a faulty batch left something behind", c.m)
		}
		if err := c.m.Merge(&R2{}); err == nil {
			t.Errorf("%T: merged with an R2", c.m)
		}
		if err := c.m.Restore([]float64{1, 2, 3, 4, 5, 6, 7}); err == nil {
			t.Errorf("%T: restored a foreign state", c.m)
		}
	}
}

// TestHostile: scores that are NaN or infinite are ordinary.
func TestHostile(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	a := NewAccuracy()
	if err := a.Update(Batch{Width: 3, Scores: []float64{nan, 1, 2, -inf, -inf, 3, inf, 0, 0}, Labels: []int{0, 2, 0}}); err != nil {
		t.Fatal(err)
	}
	if got := a.Value(); got != 2.0/3 {
		t.Errorf("accuracy %v, want 2/3: a row with NaN is wrong", got)
	}
	b := NewBits()
	if err := b.Update(Batch{Width: 2, Scores: []float64{0, -inf, 800, 0}, Labels: []int{0, 0}}); err != nil {
		t.Fatal(err)
	}
	if got := b.Value(); got != 0 {
		t.Errorf("bits of certain predictions %v, want 0", got)
	}
	// -log softmax([40,0,0])[0] = log1p(2·exp(-40)), not 0.
	if got, want := surprise([]float64{40, 0, 0}, 0), 2*math.Exp(-40); math.Abs(got-want) > 1e-15*want {
		t.Errorf("surprise %v, want %v", got, want)
	}
	p := NewPerplexity()
	if err := p.Update(Batch{Width: 2, Scores: []float64{0, -inf}, Labels: []int{1}}); err != nil {
		t.Fatal(err)
	}
	if got := p.Value(); !math.IsInf(got, 1) {
		t.Errorf("perplexity of the impossible %v, want +Inf", got)
	}
}

func ExampleConfusion() {
	m := NewConfusion(2)
	scores := []float64{2, 1, 0, 3, 5, 4}
	if err := m.Update(Batch{Width: 2, Scores: scores, Labels: []int{0, 1, 1}}); err != nil {
		panic(err)
	}
	fmt.Println(m.Counts(), m.Value())
	// Output: [[1 0] [1 1]] 0.6666666666666666
}
