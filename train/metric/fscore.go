package metric

import (
	"fmt"
	"math"
	"slices"
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
	iou
	dice
)

// Score is precision, recall, F1, IoU or Dice of the predicted classes, averaged over classes. With
// tp, fp and fn the weights of the true positives, false positives and false negatives of a class,
//
//	precision  tp / (tp + fp)
//	recall     tp / (tp + fn)
//	F1, Dice   2·tp / (2·tp + fp + fn)
//	IoU        tp / (tp + fp + fn)
//
// and 0 where that is 0/0. IoU is the Jaccard index. Of an image each pixel is a row, and all
// pixels of all images are counted together.
//
// With labels the largest score of a row is the prediction, and with one score per row, for two
// classes, it is class 1 where the score is above 0. With targets, each 0 or 1, any number of
// classes applies to a row: each class with a score above 0 is predicted. A class that never occurs
// there is left out of the macro average; scikit-learn counts it as 0. A NaN is never right.
type Score struct {
	what       quotient
	average    Average
	classes    int
	weight     float64   // of all rows
	tp, fp, fn []float64 // by class
}

// NewPrecision returns an empty precision for 2 to 2^24 classes; the average Positive is of 2.
func NewPrecision(classes int, a Average) *Score { return newScore(precision, classes, a) }

// NewRecall returns an empty recall for 2 to 2^24 classes; the average Positive is of 2.
func NewRecall(classes int, a Average) *Score { return newScore(recall, classes, a) }

// NewF1 returns an empty F1 for 2 to 2^24 classes; the average Positive is of 2.
func NewF1(classes int, a Average) *Score { return newScore(f1, classes, a) }

// NewIoU returns an empty IoU for 2 to 2^24 classes; the average Positive is of 2.
func NewIoU(classes int, a Average) *Score { return newScore(iou, classes, a) }

// NewDice returns an empty Dice for 2 to 2^24 classes; the average Positive is of 2.
func NewDice(classes int, a Average) *Score { return newScore(dice, classes, a) }

func newScore(what quotient, classes int, a Average) *Score {
	s := &Score{what: what, average: a, classes: classes}
	if s.Check() == nil {
		s.tp, s.fp, s.fn = make([]float64, classes), make([]float64, classes), make([]float64, classes)
	}
	return s
}

// Check returns an error when the number of classes is out of its range or does not go with the
// average.
func (s *Score) Check() error {
	if s.average > Positive || s.average == Positive && s.classes != 2 {
		return fmt.Errorf("metric.%s: average %v of %d classes, want Macro, Micro, or Positive with 2 classes",
			s.kind(), s.average, s.classes)
	}
	return between(s.kind(), "number of classes", s.classes, 2, 1<<24)
}

// kind returns the end of the constructor's name.
func (s *Score) kind() string { return [...]string{"Precision", "Recall", "F1", "IoU", "Dice"}[s.what] }

// Name returns for instance "f1_macro", and "f1" for the average Positive.
func (s *Score) Name() string {
	name := [...]string{"precision", "recall", "f1", "iou", "dice"}[s.what]
	if s.average == Positive {
		return name
	}
	return name + "_" + s.average.String()
}

// Update adds the rows of b.
func (s *Score) Update(b Batch) error {
	if err := s.Check(); err != nil {
		return err
	}
	if b.Width == 1 && s.classes == 2 {
		target, err := b.binary(s.kind())
		if err != nil {
			return err
		}
		for i, x := range b.Scores {
			s.add(int(target(i)), logitClass(x), b.Weight(i))
		}
		return nil
	}
	if b.Width != s.classes {
		return fmt.Errorf("metric.%s: %d scores per row, want %d", s.kind(), b.Width, s.classes)
	}
	if b.Labels == nil && b.Targets != nil {
		return s.several(b)
	}
	if err := b.check(s.kind(), "labels"); err != nil {
		return err
	}
	for i, label := range b.Labels {
		if w := b.Weight(i); w != 0 {
			s.add(label, argmax(b.Scores[i*b.Width:(i+1)*b.Width]), w)
		}
	}
	return nil
}

// add counts a row of one class; predicted is -1 where there is no prediction.
func (s *Score) add(label, predicted int, w float64) {
	if w == 0 {
		return
	}
	s.weight += w
	if predicted == label {
		s.tp[label] += w
		return
	}
	s.fn[label] += w
	if predicted >= 0 {
		s.fp[predicted] += w
	}
}

// several counts rows to which any number of classes applies.
func (s *Score) several(b Batch) error {
	target, err := b.binary(s.kind())
	if err != nil {
		return err
	}
	for i := range b.Rows() {
		s.weight += b.Weight(i)
	}
	for i, x := range b.Scores {
		w := b.ScoreWeight(i)
		if w == 0 {
			continue
		}
		switch c, nan := i%b.Width, math.IsNaN(x); {
		case target(i) == 1 && x > 0:
			s.tp[c] += w
		case target(i) == 1:
			s.fn[c] += w
		case x > 0 || nan:
			s.fp[c] += w
		}
	}
	return nil
}

// PerClass returns the score of each class.
func (s *Score) PerClass() []float64 {
	out := make([]float64, len(s.tp))
	for c := range out {
		out[c] = s.divide(s.tp[c], s.fp[c], s.fn[c])
	}
	return out
}

func (s *Score) divide(tp, fp, fn float64) float64 {
	var d float64
	switch s.what {
	case precision:
		d = tp + fp
	case recall:
		d = tp + fn
	case iou:
		d = tp + fp + fn
	case f1, dice:
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
	switch {
	case s.weight == 0:
		return math.NaN()
	case s.average == Positive:
		return s.divide(s.tp[1], s.fp[1], s.fn[1])
	}
	var tp, fp, fn, total, n float64
	for c, a := range s.tp {
		tp, fp, fn = tp+a, fp+s.fp[c], fn+s.fn[c]
		if a+s.fp[c]+s.fn[c] > 0 {
			total += s.divide(a, s.fp[c], s.fn[c])
			n++
		}
	}
	switch {
	case s.average == Micro:
		return s.divide(tp, fp, fn)
	case n == 0:
		return 0
	}
	return total / n
}

// Merge adds the rows of another Score of the same kind, average and number of classes.
func (s *Score) Merge(other Metric) error {
	o, ok := other.(*Score)
	if !ok || o.what != s.what || o.average != s.average || o.classes != s.classes {
		return mismatch(s, other)
	}
	s.weight += o.weight
	for c := range s.tp {
		s.tp[c] += o.tp[c]
		s.fp[c] += o.fp[c]
		s.fn[c] += o.fn[c]
	}
	return nil
}

// New returns an empty Score of the same kind.
func (s *Score) New() Metric { return newScore(s.what, s.classes, s.average) }

// State returns the weights.
func (s *Score) State() []float64 { return slices.Concat([]float64{s.weight}, s.tp, s.fp, s.fn) }

// Restore sets the weights.
func (s *Score) Restore(state []float64) error {
	n := len(s.tp)
	if len(state) != 1+3*n {
		return fmt.Errorf("metric.%s: state has %d numbers, want %d", s.kind(), len(state), 1+3*n)
	}
	s.weight = state[0]
	copy(s.tp, state[1:])
	copy(s.fp, state[1+n:])
	copy(s.fn, state[1+2*n:])
	return nil
}
