package metric

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestConstructors: no constructor returns an error, whatever it is given; Check and Update do, and
// nothing panics.
func TestConstructors(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "New") {
				seen++
				if n := f.Type.Results.NumFields(); n != 1 {
					t.Errorf("%s returns %d values, want 1", f.Name.Name, n)
				}
			}
		}
	}
	if seen < 28 {
		t.Errorf("%d constructors found", seen)
	}
	for _, c := range []struct {
		m    Checker
		want string
	}{
		{NewTopK(0), "metric.TopK: K is 0, want 1 to"},
		{NewTopK(math.MinInt), "metric.TopK: K is"},
		{NewConfusion(1), "metric.Confusion: number of classes is 1, want 2 to 16384"},
		{NewConfusion(-3), "metric.Confusion: number of classes is -3"},
		{NewConfusion(math.MaxInt), "metric.Confusion: number of classes is"},
		{NewCalibrationError(0), "metric.CalibrationError: number of bins is 0, want 1 to 1048576"},
		{NewCalibrationError(math.MaxInt), "metric.CalibrationError: number of bins is"},
		{NewF1(3, Positive), "metric.F1: average positive of 3 classes, want"},
		{NewPrecision(0, Macro), "metric.Precision: number of classes is 0"},
		{NewRecall(-1, Micro), "metric.Recall: number of classes is -1"},
		{NewRecall(2, Average(9)), "metric.Recall: average Average(9) of 2 classes"},
		{Ignore(NewTopK(0), 3).(Checker), "metric.TopK: K is 0"},
		{NewIoU(1, Macro), "metric.IoU: number of classes is 1"},
		{NewDice(3, Positive), "metric.Dice: average positive of 3 classes"},
		{NewOneVsRestAUROC(1, Macro), "metric.OneVsRestAUROC: number of classes is 1, want 2 to 65536"},
		{NewOneVsRestAveragePrecision(2, Positive),
			"metric.OneVsRestAveragePrecision: average positive, want Macro or Micro"},
		{NewNDCG(-1, LinearGain), "metric.NDCG: K is -1, want 0 to"},
		{NewNDCG(1, 7), "metric.NDCG: gain is 7, want ExponentialGain or LinearGain"},
		{NewMRR(math.MinInt), "metric.MRR: K is"},
		{NewMAP(-2), "metric.MAP: K is -2"},
		{NewRecallAt(0), "metric.RecallAt: K is 0, want 1 to"},
		{NewHitRate(0), "metric.HitRate: K is 0, want 1 to"},
		{NewRetrieval(nil, Cosine), "metric.Retrieval: the ranking is nil"},
		{NewRetrieval(NewMAP(0), 2), "metric.Retrieval: similarity is 2, want Cosine or Euclidean"},
		{NewRetrieval(NewHitRate(0), Cosine), "metric.HitRate: K is 0"},
		{NewWER(), "metric.WER: no labels between words"},
	} {
		for _, m := range []Checker{c.m, c.m.New().(Checker)} {
			for _, err := range []error{m.Check(), m.Update(Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{0}})} {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: error %v, want one with %q", m.Name(), err, c.want)
				}
			}
			if v := m.Value(); !math.IsNaN(v) {
				t.Errorf("%s: value %v without rows, want NaN", m.Name(), v)
			}
			if err := m.Restore(m.State()); err != nil {
				t.Errorf("%s: %v", m.Name(), err)
			}
			switch m := m.(type) {
			case *Confusion:
				if n := len(m.Counts()); n != 0 {
					t.Errorf("%d rows of counts", n)
				}
			case *Score:
				if n := len(m.PerClass()); n != 0 {
					t.Errorf("%d classes", n)
				}
			case *CalibrationError:
				if n := len(m.Bins()); n != 0 {
					t.Errorf("%d bins", n)
				}
			}
		}
	}
}

// TestIgnored: rows with an ignored label, whatever their scores, are as if they were not there;
// Ignore does it for others.
func TestIgnored(t *testing.T) {
	nan := math.NaN()
	for _, c := range cases(t) {
		if c.Labels == nil {
			continue
		}
		n := len(c.Scores) / c.Width
		whole := c.part(0, n)
		for _, label := range []int{Ignored, 7777} {
			var padded Batch
			padded.Width = c.Width
			for i := range n {
				padded.Scores = append(padded.Scores, whole.Scores[i*c.Width:(i+1)*c.Width]...)
				padded.Labels = append(padded.Labels, whole.Labels[i])
				if i%3 == 0 {
					padded.Scores = append(padded.Scores, slices.Repeat([]float64{nan}, c.Width)...)
					padded.Labels = append(padded.Labels, label)
				}
				if whole.Weights != nil {
					padded.Weights = append(padded.Weights, whole.Weights[i])
					if i%3 == 0 {
						padded.Weights = append(padded.Weights, 5)
					}
				}
			}
			list := every(c.Kind, c.Width)
			if c.Width > 1 {
				list = append(list, NewConfusion(c.Width))
			}
			before := slices.Clone(padded.Labels)
			for _, m := range list {
				want, got := m.New(), m.New()
				if label != Ignored {
					got = Ignore(got, 1234, label)
				}
				if err := want.Update(whole); err != nil {
					t.Fatal(err)
				}
				if err := got.Update(padded); err != nil {
					t.Errorf("%s: %v", m.Name(), err)
					continue
				}
				if got.Name() != want.Name() || !slices.Equal(got.State(), want.State()) {
					t.Errorf("%s with ignored rows is %s %v, want %v", m.Name(), got.Name(), got.Value(), want.Value())
				}
			}
			if !slices.Equal(before, padded.Labels) {
				t.Error("the caller's labels were changed")
			}
		}
	}
	// Rows that are all ignored are no rows.
	a := NewAccuracy()
	if err := a.Update(Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{Ignored}}); err != nil || !math.IsNaN(a.Value()) {
		t.Errorf("nothing but ignored rows: %v, %v, want NaN", a.Value(), err)
	}
}

func TestIgnoreMerges(t *testing.T) {
	own := NewConfusion(2)
	a, b := Ignore(own, 9), Ignore(NewConfusion(2), 9)
	for _, m := range []Metric{a, b} {
		if err := m.Update(Batch{Width: 2, Scores: []float64{0, 1, 0, 1}, Labels: []int{1, 9}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Merge(b); err != nil || own.Counts()[1][1] != 2 {
		t.Errorf("counts %v, %v, want 2 rows of class 1", own.Counts(), err)
	}
	for _, other := range []Metric{NewConfusion(2), Ignore(NewConfusion(2), 8), Ignore(NewConfusion(3), 9)} {
		if err := a.Merge(other); err == nil {
			t.Errorf("merged with %T of other settings", other)
		}
	}
}

// TestRowNumbers: errors name the rows of the dataset where the batch knows them, and the position
// in a sequence.
func TestRowNumbers(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		m    Metric
		b    Batch
		want string
	}{
		{NewAccuracy(), Batch{Width: 2, Scores: []float64{1, 2, 1, 2}, Labels: []int{0, 5}}, "label of row 41 is 5"},
		{NewAccuracy(), Batch{Width: 2, Scores: []float64{1, 2, 1, 2}, Labels: []int{0, 0}, Weights: []float64{1, nan}}, "weight of row 41 is NaN"},
		{NewPerplexity(), Batch{Width: 1, Scores: make([]float64, 6), Labels: []int{0, 0, 0, 0, 0, 5}},
			"label of row 41, position 2 is 5"},
		{NewAccuracy(), Batch{Width: 1, Scores: make([]float64, 2), Labels: []int{0, 1}},
			"label of row 41 is 1 and there is one score per row"},
		{NewBinaryAccuracy(), Batch{Width: 1, Scores: make([]float64, 2), Labels: []int{0, 2}},
			"label of row 41 is 2, want 0 or 1"},
		{NewBinaryAccuracy(), Batch{Width: 2, Scores: make([]float64, 4), Targets: []float64{0, 1, 1, 0.5}},
			"target 1 of row 41 is 0.5"},
		{NewAUROC(), Batch{Width: 1, Scores: []float64{0, nan}, Labels: []int{0, 1}}, "score of row 41 is NaN"},
		{NewCalibrationError(3), Batch{Width: 2, Scores: []float64{0, 1, 0, nan}, Labels: []int{0, 1}},
			"a score of row 41 is NaN"},
	} {
		c.b.Index = []int{17, 41}
		if err := c.m.Update(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: error %v, want one with %q", c.m, err, c.want)
		}
	}
	if err := NewAccuracy().Update(Batch{Width: 1, Scores: make([]float64, 3), Labels: make([]int, 3), Index: []int{1, 2}}); err == nil {
		t.Error("2 numbers for 3 rows: no error")
	}
}

// TestSeveralLabels: rows to which several classes apply. By class the predictions below are: class
// 0 right twice, class 1 right once and missed once, class 2 missed once and wrong once. So F1 is
// 1, 2/3 and 0, precision 1, 1 and 0, recall 1, 1/2 and 0; over all classes together tp = 3, fp = 1
// and fn = 2. Class 3 never occurs.
func TestSeveralLabels(t *testing.T) {
	b := Batch{Width: 4, Scores: []float64{2, -1, -3, -1, -1, 4, 1, -2, 0.5, -2, -2, 0}, Targets: []float64{1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 0, 0}}
	for _, c := range []struct {
		m    *Score
		want float64
	}{
		{NewF1(4, Macro), (1 + 2.0/3) / 3}, {NewF1(4, Micro), 6.0 / 9}, {NewPrecision(4, Macro), 2.0 / 3},
		{NewPrecision(4, Micro), 3.0 / 4},
		{NewRecall(4, Macro), 1.5 / 3}, {NewRecall(4, Micro), 3.0 / 5},
	} {
		if err := c.m.Update(b); err != nil {
			t.Fatal(err)
		}
		if got := c.m.Value(); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%s is %v, want %v", c.m.Name(), got, c.want)
		}
	}
	per := NewF1(4, Macro)
	b.Weights = []float64{1, 2, 1} // class 2: fn 1, fp 2; class 1: tp 2, fn 1
	if err := per.Update(b); err != nil {
		t.Fatal(err)
	}
	if got, want := per.PerClass(), []float64{1, 4.0 / 5, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("classes have %v, want %v", got, want)
	}
	// Nothing there and nothing predicted is 0/0, which is 0; a NaN is wrong either way.
	none := NewF1(2, Macro)
	if err := none.Update(Batch{Width: 2, Scores: []float64{-1, -1}, Targets: []float64{0, 0}}); err != nil || none.Value() != 0 {
		t.Errorf("nothing to find: %v, %v, want 0", none.Value(), err)
	}
	if err := none.Update(Batch{Width: 2, Scores: []float64{math.NaN(), math.NaN()}, Targets: []float64{0, 1}}); err != nil || none.fp[0] != 1 || none.fn[1] != 1 {
		t.Errorf("NaN: %v and %v, %v, want 1 wrong and 1 missed", none.fp, none.fn, err)
	}
	for _, c := range []struct {
		m    Metric
		want string
	}{
		{NewAccuracy(), "a target for each score, want one class label per row"},
		{NewConfusion(4), "a target for each score, want one class label per row"},
		{NewF1(3, Macro), "metric.F1: 4 scores per row, want 3"},
	} {
		if err := c.m.Update(b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.m.Name(), err, c.want)
		}
	}
	b.Targets[3] = 0.5
	if err := NewF1(4, Micro).Update(b); err == nil || !strings.Contains(err.Error(), "target 3 of row 0 is 0.5, want 0 or 1") {
		t.Errorf("half a class: error %v", err)
	}
}

// TestInfiniteScores: the confidence of an infinite logit is the limit. Rows: sure and right, sure
// and wrong, undecided between two and right: the bin of 1 has 1 right of 2 and the mean confidence
// 1, a gap of 1/2 · 2 rows; the other has the gap |1 - 1/2| of 1 row.
func TestInfiniteScores(t *testing.T) {
	inf := math.Inf(1)
	c := NewCalibrationError(10)
	if err := c.Update(Batch{Width: 3, Scores: []float64{inf, 0, -inf, 5, inf, 0, inf, inf, 3}, Labels: []int{0, 0, 0}}); err != nil {
		t.Fatal(err)
	}
	if got := c.Value(); got != 0.5 {
		t.Errorf("calibration error %v, want 1/2", got)
	}
	one := NewCalibrationError(10)
	if err := one.Update(Batch{Width: 1, Scores: []float64{inf, -inf, inf}, Labels: []int{1, 0, 0}}); err != nil {
		t.Fatal(err)
	}
	if got := one.Value(); math.Abs(got-1.0/3) > 1e-15 {
		t.Errorf("calibration error of single logits %v, want 1/3", got)
	}
	if err := c.Update(Batch{Width: 2, Scores: []float64{-inf, -inf}, Labels: []int{0}, Index: []int{6}}); err == nil || !strings.Contains(err.Error(), "all scores of row 6 are -Inf") {
		t.Errorf("a row without a distribution: %v", err)
	}
}

func TestTopKBeyondClasses(t *testing.T) {
	b := Batch{Width: 3, Scores: []float64{1, 2, 3}, Labels: []int{0}}
	if err := NewTopK(4).Update(b); err == nil || !strings.Contains(err.Error(), "K is 4 and rows have 3 scores") {
		t.Errorf("error %v", err)
	}
	m := NewTopK(3)
	if err := m.Update(b); err != nil || m.Value() != 1 {
		t.Errorf("all of 3 classes: %v, %v, want 1", m.Value(), err)
	}
}

// TestTwoColumns: the scores of both classes are worth their difference.
func TestTwoColumns(t *testing.T) {
	inf := math.Inf(1)
	two := Batch{Width: 2, Scores: []float64{1, 3, 2, 2.5, 0, -1, inf, inf, -inf, 4, 1, -inf}, Labels: []int{1, 0, 0, 1, 1, 0}}
	one := Batch{Width: 1, Scores: []float64{2, 0.5, -1, 0, inf, -inf}, Labels: two.Labels}
	for _, m := range []Metric{NewAUROC(), NewAveragePrecision(), NewBestF1(), Threshold(NewAUROC(), 1)} {
		a, b := m.New(), m.New()
		if err := a.Update(one); err != nil {
			t.Fatal(err)
		}
		if err := b.Update(two); err != nil {
			t.Fatal(err)
		}
		if a.Value() != b.Value() || !slices.Equal(a.State(), b.State()) {
			t.Errorf("%s of two columns %v, want %v", m.Name(), b.Value(), a.Value())
		}
		if err := b.Update(Batch{Width: 2, Scores: []float64{1, 2}, Labels: []int{2}}); err == nil || !strings.Contains(err.Error(), "label of row 0 is 2, want a label in [0, 2)") {
			t.Errorf("%s: error %v", m.Name(), err)
		}
	}
}
