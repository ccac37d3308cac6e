package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestIoU: scikit-learn's documentation of jaccard_score.
func TestIoU(t *testing.T) {
	// y_true = [0, 1, 2, 2], y_pred = [0, 2, 1, 2]: 1, 0 and 1/3 for the classes.
	classes := Batch{Width: 3, Scores: []float64{1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1}, Labels: []int{0, 1, 2, 2}}
	// y_true = [[0, 1, 1], [1, 1, 0]], y_pred = [[1, 1, 1], [1, 0, 0]]: 0.5, 0.5, 1; macro 0.6666,
	// micro 0.6.
	labels := Batch{Width: 3, Scores: []float64{1, 1, 1, 1, -1, -1}, Targets: []float64{0, 1, 1, 1, 1, 0}}
	// Dice of the same: tp 1, 1, 1, fp 1, 0, 0, fn 0, 1, 0: 2/3, 2/3 and 1.
	masked := labels
	masked.Mask = []bool{false, true, true, true, true, true} // fp of class 0 is gone
	for _, c := range []struct {
		m        *Score
		b        Batch
		value    float64
		perClass []float64
	}{
		{NewIoU(3, Macro), classes, (1 + 0 + 1./3) / 3, []float64{1, 0, 1. / 3}},
		{NewIoU(3, Micro), classes, 2. / 6, []float64{1, 0, 1. / 3}},
		{NewIoU(3, Macro), labels, 2. / 3, []float64{0.5, 0.5, 1}},
		{NewIoU(3, Micro), labels, 0.6, []float64{0.5, 0.5, 1}},
		{NewIoU(3, Macro), masked, 2.5 / 3, []float64{1, 0.5, 1}},
		{NewDice(3, Macro), labels, (2./3 + 2./3 + 1) / 3, []float64{2. / 3, 2. / 3, 1}},
		{NewDice(3, Micro), labels, 6. / 8, []float64{2. / 3, 2. / 3, 1}},
		// [0, 1, 1] and [1, 1, 1], as two classes of one image: 0.6666.
		{NewIoU(2, Positive), Batch{Width: 1, Scores: []float64{1, 1, 1}, Labels: []int{0, 1, 1}}, 2. / 3,
			[]float64{0, 2. / 3}},
		{NewDice(2, Positive), Batch{Width: 1, Scores: []float64{1, 1, 1}, Labels: []int{0, 1, 1}}, 4. / 5,
			[]float64{0, 4. / 5}},
	} {
		if err := c.m.Update(c.b); err != nil {
			t.Fatal(err)
		}
		if got := c.m.Value(); math.Abs(got-c.value) > 1e-15 {
			t.Errorf("%s is %v, want %v", c.m.Name(), got, c.value)
		}
		if got := c.m.PerClass(); !slices.Equal(got, c.perClass) {
			t.Errorf("%s of the classes is %v, want %v", c.m.Name(), got, c.perClass)
		}
	}
	if err := NewIoU(3, Macro).Merge(NewDice(3, Macro)); err == nil {
		t.Error("IoU merged with Dice")
	}
}

// TestOneVsRestExample: scikit-learn's documentation of average_precision_score: of three classes
// 5/6, 3/4 and 3/4, whose mean it gives as 0.77.
func TestOneVsRestExample(t *testing.T) {
	b := Batch{Width: 3, Scores: []float64{.7, .2, .1, .4, .3, .3, .1, .8, .1, .2, .3, .5, .4, .4, .2, .1, .2, .7},
		Targets: []float64{1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1}}
	ap := NewOneVsRestAveragePrecision(3, Macro)
	if err := ap.Update(b); err != nil {
		t.Fatal(err)
	}
	if got := ap.PerClass(); math.Abs(got[0]-5./6) > 1e-15 || got[1] != 0.75 || got[2] != 0.75 {
		t.Errorf("average precisions %v, want 5/6, 3/4, 3/4", got)
	}
	if got, want := ap.Value(), (5./6+1.5)/3; math.Abs(got-want) > 1e-15 {
		t.Errorf("%s is %v, want %v", ap.Name(), got, want)
	}
	// Pairs of a positive and a negative row in order: class 0 has 0.7 above all 4 and 0.4 above 3
	// and equal to one: 7.5/8. Class 1: 0.8 above 4, 0.3 above 2 and equal to one, below 0.4:
	// 6.5/8. Class 2: 0.2 above 2, 0.7 above 4: 6/8.
	auc := NewOneVsRestAUROC(3, Macro)
	if err := auc.Update(b); err != nil {
		t.Fatal(err)
	}
	if got := auc.PerClass(); !slices.Equal(got, []float64{7.5 / 8, 6.5 / 8, 6. / 8}) {
		t.Errorf("areas %v, want 7.5/8, 6.5/8, 6/8", got)
	}
}

// TestOneVsRest: each class is the binary metric of its column, for labels that of the probability
// of its class; micro is all columns in one.
func TestOneVsRest(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	for range 100 {
		n, width := 1+r.IntN(30), 2+r.IntN(4)
		labels, several := Batch{Width: width}, Batch{Width: width}
		probabilities := make([]float64, 0, n*width)
		for range n {
			sum := 0.0
			for range width {
				x := 3 * r.NormFloat64()
				labels.Scores = append(labels.Scores, x)
				sum += math.Exp(x)
				several.Scores = append(several.Scores, float64(r.IntN(6)))
				several.Targets = append(several.Targets, float64(r.IntN(2)))
				several.Mask = append(several.Mask, r.IntN(5) > 0)
			}
			for _, x := range labels.Scores[len(labels.Scores)-width:] {
				probabilities = append(probabilities, math.Exp(x)/sum)
			}
			labels.Labels = append(labels.Labels, r.IntN(width))
			labels.Mask = append(labels.Mask, r.IntN(5) > 0)
			labels.Weights = append(labels.Weights, float64(r.IntN(3)))
		}
		several.Weights = labels.Weights
		for _, b := range []Batch{labels, several} {
			for _, pair := range [][2]Metric{{NewAUROC(), NewOneVsRestAUROC(width, Macro)}, {NewAveragePrecision(), NewOneVsRestAveragePrecision(width, Macro)}} {
				all, got := pair[0].New(), pair[1].(*OneVsRest)
				micro := newOneVsRest(got.what, width, Micro)
				for _, m := range []Metric{got, micro} {
					if err := m.Update(b); err != nil {
						t.Fatal(err)
					}
				}
				var mean ratio
				for c := range width {
					one := Batch{Width: 1, Weights: b.Weights}
					for i := range n {
						score, target, there := probabilities[i*width+c], 0.0, true
						if b.Labels != nil {
							if b.Labels[i] == c {
								target = 1
							}
							there = b.Mask[i]
						} else {
							score, target, there = b.Scores[i*width+c], b.Targets[i*width+c], b.Mask[i*width+c]
						}
						one.Scores, one.Targets, one.Mask = append(one.Scores, score), append(one.Targets, target), append(one.Mask, there)
					}
					m := pair[0].New()
					for _, m := range []Metric{m, all} {
						if err := m.Update(one); err != nil {
							t.Fatal(err)
						}
					}
					want := m.Value()
					if g := got.PerClass()[c]; !(math.Abs(g-want) <= 1e-14) && !(math.IsNaN(g) && math.IsNaN(want)) {
						t.Errorf("%s of class %d is %v, want %v", got.Name(), c, g, want)
					}
					if !math.IsNaN(want) {
						mean.sum += want
						mean.weight++
					}
				}
				for _, c := range []struct{ got, want float64 }{{got.Value(), mean.value()}, {micro.Value(), all.Value()}} {
					if !(math.Abs(c.got-c.want) <= 1e-14) && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
						t.Errorf("%s or its micro form is %v, want %v", got.Name(), c.got, c.want)
					}
				}
			}
		}
	}
}

// TestLogOdds: the log-odds keep their order where probabilities round to 0 or 1, and infinite
// logits are the limit.
func TestLogOdds(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ row, want []float64 }{
		{[]float64{0, 0}, []float64{0, 0}},
		{[]float64{1, 3}, []float64{-2, 2}},
		{[]float64{3000, 0, 0}, []float64{3000 - math.Ln2, -3000, -3000}}, // log 2 of the others is far below the first
		{[]float64{3e38, 0, -inf}, []float64{3e38, -3e38, -inf}},
		{[]float64{inf, 5, -inf}, []float64{inf, -inf, -inf}},
		{[]float64{inf, inf, 0, inf}, []float64{-math.Ln2, -math.Ln2, -inf, -math.Ln2}}, // p = 1/3
		{[]float64{-inf, 2}, []float64{-inf, inf}},
		{[]float64{0, math.Log(2), math.Log(5)}, []float64{math.Log(1. / 7), math.Log(2. / 6), math.Log(5. / 3)}},
	} {
		got := make([]float64, len(c.row))
		logOdds(got, c.row)
		for i, w := range c.want {
			if got[i] != w && !(math.Abs(got[i]-w) <= 1e-15*max(1, math.Abs(w))) {
				t.Errorf("log-odds of %v are %v, want %v", c.row, got, c.want)
				break
			}
		}
	}
	for _, c := range []struct {
		b    Batch
		want string
	}{
		{Batch{Width: 2, Scores: []float64{1, math.NaN()}, Labels: []int{0}, Index: []int{41}},
			"metric.OneVsRestAUROC: a score of row 41 is NaN"},
		{Batch{Width: 2, Scores: []float64{-inf, -inf}, Labels: []int{0}}, "all scores of row 0 are -Inf"},
		{Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{2}}, "label of row 0 is 2, want a label in [0, 2)"},
		{Batch{Width: 2, Scores: []float64{1, 2}, Targets: []float64{1, 0.5}}, "target 1 of row 0 is 0.5, want 0 or 1"},
		{Batch{Width: 3, Scores: []float64{1, 2, 3}, Labels: []int{2}}, "3 scores per row, want 2"},
	} {
		m := NewOneVsRestAUROC(2, Macro)
		if err := m.Update(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
		if !slices.Equal(m.State(), []float64{0, 0}) {
			t.Error("a faulty batch left something behind")
		}
	}
	m := NewOneVsRestAUROC(2, Macro)
	for _, state := range [][]float64{nil, {0}, {1, 2, 3, 4}, {0, 0, 0}, {-1, 0}, {math.NaN(), 0}, {1e300, 1, 1, 1, 0}} {
		if err := m.Restore(state); err == nil {
			t.Errorf("restored %v", state)
		}
	}
	for _, other := range []Metric{NewOneVsRestAUROC(3, Macro), NewOneVsRestAUROC(2, Micro), NewOneVsRestAveragePrecision(2, Macro), NewAUROC()} {
		if err := m.Merge(other); err == nil {
			t.Errorf("merged with %T %s", other, other.Name())
		}
	}
}
