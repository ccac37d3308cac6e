package metric

import (
	"math"
	"strings"
	"testing"
)

// TestMask: a masked target is as if it were not there; what it holds is not looked at.
func TestMask(t *testing.T) {
	nan := math.NaN()
	b := Batch{Width: 2, Scores: []float64{2, nan, -1, 3, 1, -2}, Targets: []float64{1, nan, 1, 0, 1, 0}, Weights: []float64{1, 1, 2},
		Mask: []bool{true, false, true, true, true, true}}
	// The scores 2, -1, 3, 1, -2 against 1, 1, 0, 1, 0 with the weights 1, 1, 1, 2, 2.
	for _, c := range []struct {
		m    Metric
		want float64
	}{
		{NewMAE(), (1 + 2 + 3 + 0 + 4) / 7.0},
		{NewRMSE(), math.Sqrt((1 + 4 + 9 + 0 + 8) / 7.0)},
		{NewBinaryAccuracy(), (1 + 2 + 2) / 7.0},
		// Class 0: tp 3, fn 1: 6/7. Class 1: fp 1: 0.
		{NewF1(2, Macro), 6.0 / 7 / 2},
	} {
		if err := c.m.Update(b); err != nil {
			t.Errorf("%s: %v", c.m.Name(), err)
		} else if got := c.m.Value(); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%s is %v, want %v", c.m.Name(), got, c.want)
		}
	}
	// Column 0: targets 1, 1, 1 are constant and not hit: 0. Column 1: 0 and 0 likewise.
	r2 := NewR2()
	if err := r2.Update(b); err != nil || r2.Value() != 0 {
		t.Errorf("r2 is %v (%v), want 0", r2.Value(), err)
	}
	// One score a row: the two rows that count are in order.
	one := Batch{Width: 1, Scores: []float64{1, nan, 2}, Targets: []float64{0, nan, 1}, Mask: []bool{true, false, true}}
	auc := NewAUROC()
	if err := auc.Update(one); err != nil || auc.Value() != 1 {
		t.Errorf("auroc is %v (%v), want 1", auc.Value(), err)
	}
	b.Mask = b.Mask[:4]
	if err := NewMAE().Update(b); err == nil || !strings.Contains(err.Error(), "4 entries of the mask, want 6") {
		t.Errorf("error %v of a short mask", err)
	}
}
