package metric

import (
	"fmt"
	"math"
)

// An Average says how the scores of the classes become one.
type Average uint8

const (
	// Macro is the mean over the classes that occur, as a label or as a prediction.
	Macro Average = iota
	// Micro counts over all classes together: for single labels it is the accuracy.
	Micro
	// Positive is the score of class 1 of two.
	Positive
)

// String returns "macro", "micro" or "positive".
func (a Average) String() string {
	switch a {
	case Macro:
		return "macro"
	case Micro:
		return "micro"
	case Positive:
		return "positive"
	}
	return fmt.Sprintf("Average(%d)", uint8(a))
}

// quotient is what a [Score] divides.
type quotient uint8

const (
	precision quotient = iota
	recall
	f1
)

// Score is precision, recall or F1 of the predicted classes, averaged over classes. With tp, fp and fn the weights of the
// true positives, false positives and false negatives of a class,
//
//	precision  tp / (tp + fp)
//	recall     tp / (tp + fn)
//	F1         2·tp / (2·tp + fp + fn)
//
// and 0 where that is 0/0. Predictions and inputs are those of [Confusion].
type Score struct {
	what    quotient
	average Average
	m       *Confusion
}

// NewPrecision returns an empty precision for at least 2 classes.
func NewPrecision(classes int, a Average) (*Score, error) { return newScore(precision, classes, a) }

// NewRecall returns an empty recall for at least 2 classes.
func NewRecall(classes int, a Average) (*Score, error) { return newScore(recall, classes, a) }

// NewF1 returns an empty F1 for at least 2 classes.
func NewF1(classes int, a Average) (*Score, error) { return newScore(f1, classes, a) }

func newScore(what quotient, classes int, a Average) (*Score, error) {
	m, err := NewConfusion(classes)
	if err != nil {
		return nil, err
	}
	if a > Positive || a == Positive && classes != 2 {
		return nil, fmt.Errorf("metric: average %v of %d classes, want Macro, Micro, or Positive with 2 classes", a, classes)
	}
	return &Score{what, a, m}, nil
}

// Name returns for instance "f1_macro", and "f1" for the average Positive.
func (s *Score) Name() string {
	name := [...]string{"precision", "recall", "f1"}[s.what]
	if s.average == Positive {
		return name
	}
	return name + "_" + s.average.String()
}

// Update adds the rows of b.
func (s *Score) Update(b Batch) error { return s.m.Update(b) }

// PerClass returns the score of each class.
func (s *Score) PerClass() []float64 {
	out := make([]float64, s.m.classes)
	for c := range out {
		out[c] = s.divide(s.m.class(c))
	}
	return out
}

// class returns the weights of a class's true positives, false positives and false negatives.
func (c *Confusion) class(k int) (tp, fp, fn float64) {
	for i := range c.classes {
		if i == k {
			tp = c.counts[k*c.classes+k]
			continue
		}
		fp += c.counts[i*c.classes+k]
		fn += c.counts[k*c.classes+i]
	}
	return tp, fp, fn + c.missed[k]
}

func (s *Score) divide(tp, fp, fn float64) float64 {
	var d float64
	switch s.what {
	case precision:
		d = tp + fp
	case recall:
		d = tp + fn
	case f1:
		tp *= 2
		d = tp + fp + fn
	}
	if d == 0 {
		return 0
	}
	return tp / d
}

// Value returns the average, in [0, 1].
func (s *Score) Value() float64 {
	var seen bool
	for _, v := range s.m.State() {
		seen = seen || v != 0
	}
	switch {
	case !seen:
		return math.NaN()
	case s.average == Positive:
		return s.divide(s.m.class(1))
	}
	var tp, fp, fn, total, n float64
	for c := range s.m.classes {
		a, b, d := s.m.class(c)
		tp, fp, fn = tp+a, fp+b, fn+d
		if a+b+d > 0 {
			total += s.divide(a, b, d)
			n++
		}
	}
	if s.average == Micro {
		return s.divide(tp, fp, fn)
	}
	return total / n
}

// Merge adds the rows of another Score of the same kind, average and number of classes.
func (s *Score) Merge(other Metric) error {
	o, ok := other.(*Score)
	if !ok || o.what != s.what || o.average != s.average || o.m.classes != s.m.classes {
		return mismatch(s, other)
	}
	s.m.merge(o.m)
	return nil
}

// New returns an empty Score of the same kind.
func (s *Score) New() Metric { return &Score{s.what, s.average, s.m.empty()} }

// State returns the counts.
func (s *Score) State() []float64 { return s.m.State() }

// Restore sets the counts.
func (s *Score) Restore(state []float64) error { return s.m.Restore(state) }
