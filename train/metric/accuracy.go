package metric

import (
	"fmt"
	"math"
	"strconv"
)

// ratio is a weighted share: the state of the accuracies and of mean errors.
type ratio struct{ sum, weight float64 }

func (r ratio) value() float64 {
	if r.weight == 0 {
		return math.NaN()
	}
	return r.sum / r.weight
}

// Accuracy is the weighted share of rows whose largest score is the label's. Among equal scores the
// first counts as the largest. Labels required.
type Accuracy struct{ ratio }

// NewAccuracy returns an empty Accuracy.
func NewAccuracy() *Accuracy { return new(Accuracy) }

// Name returns "accuracy".
func (*Accuracy) Name() string { return "accuracy" }

// Update adds the rows of b.
func (a *Accuracy) Update(b Batch) error {
	if err := b.check("Accuracy", "labels"); err != nil {
		return err
	}
	for i, label := range b.Labels {
		w := b.Weight(i)
		if w == 0 {
			continue
		}
		a.weight += w
		if argmax(b.Scores[i*b.Width:(i+1)*b.Width]) == label {
			a.sum += w
		}
	}
	return nil
}

// Value returns the accuracy, in [0, 1].
func (a *Accuracy) Value() float64 { return a.value() }

// Merge adds the rows of another Accuracy.
func (a *Accuracy) Merge(other Metric) error {
	o, ok := other.(*Accuracy)
	if !ok {
		return mismatch(a, other)
	}
	a.sum, a.weight = a.sum+o.sum, a.weight+o.weight
	return nil
}

// New returns an empty Accuracy.
func (*Accuracy) New() Metric { return NewAccuracy() }

// State returns the sums.
func (a *Accuracy) State() []float64 { return []float64{a.sum, a.weight} }

// Restore sets the sums.
func (a *Accuracy) Restore(s []float64) error { return restore("Accuracy", s, &a.sum, &a.weight) }

// TopK is the weighted share of rows whose label is among the K largest scores. A label counts when
// fewer than K other classes come before it; of equal scores the class with the larger index comes
// first, as in scikit-learn's top_k_accuracy_score. Labels required.
type TopK struct {
	k int
	ratio
}

// NewTopK returns an empty TopK; k is at least 1, and at most the number of classes.
func NewTopK(k int) *TopK { return &TopK{k: k} }

// Check returns an error when K is below 1.
func (t *TopK) Check() error { return between("TopK", "K", t.k, 1, math.MaxInt) }

// Name returns "top5_accuracy" for K = 5.
func (t *TopK) Name() string { return "top" + strconv.Itoa(t.k) + "_accuracy" }

// Update adds the rows of b.
func (t *TopK) Update(b Batch) error {
	if err := t.Check(); err != nil {
		return err
	}
	if err := b.check("TopK", "labels"); err != nil {
		return err
	}
	if t.k > b.Width {
		return fmt.Errorf("metric.TopK: K is %d and rows have %d scores, among which every label is", t.k, b.Width)
	}
	for i, label := range b.Labels {
		w := b.Weight(i)
		if w == 0 {
			continue
		}
		row := b.Scores[i*b.Width : (i+1)*b.Width]
		before, valid := 0, true
		for c, v := range row {
			if math.IsNaN(v) {
				valid = false
			}
			if v > row[label] || v == row[label] && c > label {
				before++
			}
		}
		t.weight += w
		if valid && before < t.k {
			t.sum += w
		}
	}
	return nil
}

// Value returns the share, in [0, 1].
func (t *TopK) Value() float64 { return t.value() }

// Merge adds the rows of another TopK of the same K.
func (t *TopK) Merge(other Metric) error {
	o, ok := other.(*TopK)
	if !ok || o.k != t.k {
		return mismatch(t, other)
	}
	t.sum, t.weight = t.sum+o.sum, t.weight+o.weight
	return nil
}

// New returns an empty TopK of the same K.
func (t *TopK) New() Metric { return &TopK{k: t.k} }

// State returns the sums.
func (t *TopK) State() []float64 { return []float64{t.sum, t.weight} }

// Restore sets the sums.
func (t *TopK) Restore(s []float64) error { return restore("TopK", s, &t.sum, &t.weight) }

// BinaryAccuracy is the weighted share of logits on the right side of 0: a logit above 0 means 1,
// any other means 0. With several scores per row each counts for itself. Targets, each 0 or 1, or
// labels with one score per row, required.
type BinaryAccuracy struct{ ratio }

// NewBinaryAccuracy returns an empty BinaryAccuracy.
func NewBinaryAccuracy() *BinaryAccuracy { return new(BinaryAccuracy) }

// Name returns "binary_accuracy".
func (*BinaryAccuracy) Name() string { return "binary_accuracy" }

// Update adds the rows of b.
func (a *BinaryAccuracy) Update(b Batch) error {
	targets, err := b.binary("BinaryAccuracy")
	if err != nil {
		return err
	}
	for i, x := range b.Scores {
		w := b.ScoreWeight(i)
		if w == 0 {
			continue
		}
		a.weight += w
		if !math.IsNaN(x) && (x > 0) == (targets(i) == 1) {
			a.sum += w
		}
	}
	return nil
}

// binary returns the 0/1 target of each score.
func (b Batch) binary(name string) (func(i int) float64, error) {
	if b.Targets == nil && b.Width == 1 && b.Labels != nil {
		if err := b.check(name, ""); err != nil {
			return nil, err
		}
		if len(b.Labels) != b.Rows() {
			return nil, fmt.Errorf("metric.%s: %d labels, want %d to match the rows", name, len(b.Labels), b.Rows())
		}
		for i, l := range b.Labels {
			if l != 0 && l != 1 && b.Weight(i) != 0 {
				return nil, fmt.Errorf("metric.%s: label of %s is %d, want 0 or 1", name, b.row(i), l)
			}
		}
		return func(i int) float64 { return float64(b.Labels[i]) }, nil
	}
	if err := b.check(name, "targets"); err != nil {
		return nil, err
	}
	for i, t := range b.Targets {
		if t != 0 && t != 1 && b.ScoreWeight(i) != 0 {
			return nil, fmt.Errorf("metric.%s: target %d of %s is %v, want 0 or 1", name, i%b.Width, b.row(i/b.Width), t)
		}
	}
	return func(i int) float64 { return b.Targets[i] }, nil
}

// Value returns the accuracy, in [0, 1].
func (a *BinaryAccuracy) Value() float64 { return a.value() }

// Merge adds the rows of another BinaryAccuracy.
func (a *BinaryAccuracy) Merge(other Metric) error {
	o, ok := other.(*BinaryAccuracy)
	if !ok {
		return mismatch(a, other)
	}
	a.sum, a.weight = a.sum+o.sum, a.weight+o.weight
	return nil
}

// New returns an empty BinaryAccuracy.
func (*BinaryAccuracy) New() Metric { return NewBinaryAccuracy() }

// State returns the sums.
func (a *BinaryAccuracy) State() []float64 { return []float64{a.sum, a.weight} }

// Restore sets the sums.
func (a *BinaryAccuracy) Restore(s []float64) error {
	return restore("BinaryAccuracy", s, &a.sum, &a.weight)
}
