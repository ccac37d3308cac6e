package metric

import (
	"fmt"
	"math"
	"slices"
)

// BestF1 is the largest F1 score over all thresholds, where the rows whose scores are above the
// threshold are predicted positive. It is NaN without a positive row. Inputs as for [AUROC]; it
// keeps all scores.
//
// Losses with class weights or a focus on hard rows, and classes of very different sizes, put the
// best threshold far from 0. [BestF1.Threshold] finds it on validation data, and [Threshold]
// applies it to other metrics:
//
//	best := metric.NewBestF1()
//	_, err := net.Evaluate(ctx, nil, validation, best)
//	...
//	f1 := metric.Threshold(metric.NewF1(2, metric.Positive), best.Threshold())
//	values, err := net.Evaluate(ctx, nil, test, f1)
//
// The threshold with the largest F1 is also the one with the largest IoU = F1/(2 - F1).
type BestF1 struct{ scored }

// NewBestF1 returns an empty BestF1.
func NewBestF1() *BestF1 { return new(BestF1) }

// Name returns "best_f1".
func (*BestF1) Name() string { return "best_f1" }

// Update adds the rows of b.
func (f *BestF1) Update(b Batch) error { return f.update("BestF1", b) }

// best returns the largest F1 with its threshold.
func (f *BestF1) best() (f1, threshold float64) {
	f1, threshold = math.NaN(), math.NaN()
	var positives float64
	for _, r := range f.rows {
		positives += r.target * r.weight
	}
	if positives == 0 {
		return f1, threshold
	}
	var tp, predicted, lowest float64
	open := false // the best threshold so far is the next one below lowest
	f.groups(func(score, pos, neg float64) {
		if open {
			threshold, open = score+(lowest-score)/2, false
			if !(threshold < lowest) { // neighbours, or an infinity
				threshold = score
			}
		}
		tp, predicted, lowest = tp+pos, predicted+pos+neg, score
		if v := 2 * tp / (predicted + positives); !(v <= f1) {
			f1, open = v, true
		}
	})
	if open {
		threshold = math.Inf(-1)
	}
	return f1, threshold
}

// Value returns the largest F1, in [0, 1].
func (f *BestF1) Value() float64 {
	f1, _ := f.best()
	return f1
}

// Threshold returns the largest threshold with the largest F1, halfway between the scores next to
// it, or -Inf if every row has to be predicted positive. It is NaN where the value is.
func (f *BestF1) Threshold() float64 {
	_, threshold := f.best()
	return threshold
}

// Merge adds the rows of another BestF1.
func (f *BestF1) Merge(other Metric) error {
	o, ok := other.(*BestF1)
	if !ok {
		return mismatch(f, other)
	}
	f.merge(&o.scored)
	return nil
}

// New returns an empty BestF1.
func (*BestF1) New() Metric { return NewBestF1() }

// shifted moves the decision of a metric of two classes.
type shifted struct {
	Metric
	threshold float64
	scores    []float64
}

// Threshold returns m with another threshold than 0. It measures one score per row, from which the
// threshold has been subtracted: the row's score or, of two scores and a class label, the second
// minus the first. So [NewF1], [NewIoU], [BinaryAccuracy] and [Confusion] predict class 1 where
// that is above the threshold, which is part of the name, as in "f1@0.25". More scores per row and
// a threshold of NaN are errors. What is measured accumulates in m.
func Threshold(m Metric, threshold float64) Metric {
	return &shifted{Metric: m, threshold: threshold}
}

// Name returns for instance "f1@0.25".
func (s *shifted) Name() string { return fmt.Sprintf("%s@%.4g", s.Metric.Name(), s.threshold) }

// Check returns an error when the threshold is NaN or a setting of the metric is out of its range.
func (s *shifted) Check() error {
	if math.IsNaN(s.threshold) {
		return fmt.Errorf("metric.Threshold: the threshold is NaN")
	}
	if c, ok := s.Metric.(Checker); ok {
		return c.Check()
	}
	return nil
}

// Update adds the rows of b with their scores moved.
func (s *shifted) Update(b Batch) error {
	if err := s.Check(); err != nil {
		return err
	}
	score, _, err := b.positive("Threshold")
	if err != nil {
		return err
	}
	n := b.Rows()
	s.scores = slices.Grow(s.scores[:0], n)[:n]
	for i := range n {
		if x := score(i); x == s.threshold { // also where both are infinite
			s.scores[i] = 0
		} else {
			s.scores[i] = x - s.threshold
		}
	}
	b.Width, b.Scores = 1, s.scores
	return s.Metric.Update(b)
}

// Merge adds the rows of a metric with the same threshold.
func (s *shifted) Merge(other Metric) error {
	o, ok := other.(*shifted)
	if !ok || o.threshold != s.threshold {
		return mismatch(s, other)
	}
	return s.Metric.Merge(o.Metric)
}

// New returns an empty metric with the same threshold.
func (s *shifted) New() Metric { return Threshold(s.Metric.New(), s.threshold) }
