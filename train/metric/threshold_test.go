package metric

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestBestF1 holds the value and the threshold against F1 and IoU at every threshold by itself.
func TestBestF1(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := Batch{Width: 1}
	for range 60 {
		y := r.IntN(2)
		b.Labels = append(b.Labels, y)
		b.Scores = append(b.Scores, math.Round(10*(r.NormFloat64()+float64(y)))/10) // with ties
		b.Weights = append(b.Weights, float64(r.IntN(3)))
	}
	at := func(m Metric, threshold float64) float64 {
		m = Threshold(m, threshold)
		if err := m.Update(b); err != nil {
			t.Fatal(err)
		}
		return m.Value()
	}
	best := NewBestF1()
	if err := best.Update(b); err != nil {
		t.Fatal(err)
	}
	f1, iou := math.Inf(-1), math.Inf(-1)
	for _, threshold := range append([]float64{math.Inf(-1)}, b.Scores...) {
		f1, iou = max(f1, at(NewF1(2, Positive), threshold)), max(iou, at(NewIoU(2, Positive), threshold))
	}
	if got := best.Value(); math.Abs(got-f1) > 1e-15 || math.Abs(at(NewF1(2, Positive), best.Threshold())-f1) > 1e-15 {
		t.Errorf("best F1 %v, at its threshold %v, want %v", got, at(NewF1(2, Positive), best.Threshold()), f1)
	}
	if got := at(NewIoU(2, Positive), best.Threshold()); math.Abs(got-iou) > 1e-15 {
		t.Errorf("IoU at the threshold %v, want %v", got, iou)
	}
}

// TestBestThreshold: it separates what has to be separated, whatever is between.
func TestBestThreshold(t *testing.T) {
	inf, next := math.Inf(1), math.Nextafter(1, 2)
	for _, c := range []struct {
		scores []float64
		labels []int
		want   float64
	}{
		{[]float64{3, 1, 0}, []int{1, 0, 0}, 2},
		{[]float64{next, 1}, []int{1, 0}, 1},
		{[]float64{inf, 1}, []int{1, 0}, 1},
		{[]float64{1, -inf}, []int{1, 0}, -inf},
		{[]float64{1, 0}, []int{0, 1}, -inf}, // both
		{[]float64{1, 0}, []int{0, 0}, math.NaN()},
		{nil, nil, math.NaN()},
	} {
		m := NewBestF1()
		if err := m.Update(Batch{Width: 1, Scores: c.scores, Labels: c.labels}); err != nil {
			t.Fatal(err)
		}
		if got := m.Threshold(); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want) && math.IsNaN(m.Value())) {
			t.Errorf("scores %v with labels %v: threshold %v, want %v", c.scores, c.labels, got, c.want)
		}
	}
}

func TestThresholdFaults(t *testing.T) {
	two := Batch{Width: 2, Scores: []float64{1, 2.5, 1, 1.5}, Labels: []int{1, 0}}
	m := Threshold(NewF1(2, Positive), 1)
	if err := m.Update(two); err != nil || m.Value() != 1 {
		t.Errorf("margins of 1.5 and 0.5 at the threshold 1: %v, error %v", m.Value(), err)
	}
	if two.Scores[1] != 2.5 {
		t.Error("the caller's scores have changed")
	}
	for want, err := range map[string]error{
		"metric.Threshold: the threshold is NaN":                                      Threshold(NewAUROC(), math.NaN()).Update(two),
		"metric.F1: average positive of 3 classes":                                    Threshold(NewF1(3, Positive), 1).(Checker).Check(),
		"metric.Threshold: 3 scores per row, want 1, or 2 with class labels":          m.Update(Batch{Width: 3, Scores: make([]float64, 3), Labels: []int{0}}),
		"metric.Threshold: 0 scores per row, want 1, or 2 with class labels":          m.Update(Batch{}),
		"metric: cannot merge *metric.shifted \"f1@2\" into *metric.shifted \"f1@1\"": m.Merge(Threshold(NewF1(2, Positive), 2)),
		"metric: cannot merge *metric.AUROC \"auroc\" into *metric.BestF1 \"best_":    NewBestF1().Merge(NewAUROC()),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
