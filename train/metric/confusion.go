package metric

import (
	"fmt"
	"math"
)

// Confusion counts, with weights, how often each class was taken for each. Its value is the
// accuracy. Labels required.
type Confusion struct {
	classes int
	counts  []float64 // true class, then predicted
	missed  []float64 // by true class: rows with NaN scores, predicted as nothing
}

// NewConfusion returns an empty matrix for 2 to 2^14 classes. With a single score per row, a logit,
// there are two classes.
func NewConfusion(classes int) *Confusion {
	c := &Confusion{classes: classes}
	if c.Check() == nil {
		c.counts, c.missed = make([]float64, classes*classes), make([]float64, classes)
	}
	return c
}

// Check returns an error when the number of classes is out of its range: the matrix of 2^14 takes 2
// GiB.
func (c *Confusion) Check() error {
	return between("Confusion", "number of classes", c.classes, 2, 1<<14)
}

// Name returns "confusion_accuracy".
func (*Confusion) Name() string { return "confusion_accuracy" }

// Update adds the rows of b: the largest score is the prediction, or with one score per row class 1
// where it is above 0.
func (c *Confusion) Update(b Batch) error {
	if err := c.Check(); err != nil {
		return err
	}
	if b.Width == 1 && c.classes == 2 {
		target, err := b.binary("Confusion")
		if err != nil {
			return err
		}
		for i, x := range b.Scores {
			c.add(int(target(i)), logitClass(x), b.Weight(i))
		}
		return nil
	}
	if b.Width != c.classes {
		return fmt.Errorf("metric.Confusion: %d scores per row, want %d", b.Width, c.classes)
	}
	if err := b.check("Confusion", "labels"); err != nil {
		return err
	}
	for i, label := range b.Labels {
		if b.Weight(i) != 0 {
			c.add(label, argmax(b.Scores[i*b.Width:(i+1)*b.Width]), b.Weight(i))
		}
	}
	return nil
}

func logitClass(x float64) int {
	switch {
	case math.IsNaN(x):
		return -1
	case x > 0:
		return 1
	}
	return 0
}

func (c *Confusion) add(label, predicted int, w float64) {
	switch {
	case w == 0:
	case predicted < 0:
		c.missed[label] += w
	default:
		c.counts[label*c.classes+predicted] += w
	}
}

// Counts returns the matrix: Counts()[t][p] is how often class t was taken for class p.
func (c *Confusion) Counts() [][]float64 {
	m := make([][]float64, len(c.missed))
	for i := range m {
		m[i] = append([]float64(nil), c.counts[i*c.classes:(i+1)*c.classes]...)
	}
	return m
}

// Value returns the accuracy.
func (c *Confusion) Value() float64 {
	var r ratio
	for i, v := range c.counts {
		r.weight += v
		if i/c.classes == i%c.classes {
			r.sum += v
		}
	}
	for _, v := range c.missed {
		r.weight += v
	}
	return r.value()
}

// Merge adds the rows of another Confusion of as many classes.
func (c *Confusion) Merge(other Metric) error {
	o, ok := other.(*Confusion)
	if !ok || o.classes != c.classes {
		return mismatch(c, other)
	}
	for i, v := range o.counts {
		c.counts[i] += v
	}
	for i, v := range o.missed {
		c.missed[i] += v
	}
	return nil
}

// New returns an empty matrix of as many classes.
func (c *Confusion) New() Metric { return NewConfusion(c.classes) }

// State returns the counts.
func (c *Confusion) State() []float64 {
	return append(append([]float64(nil), c.counts...), c.missed...)
}

// Restore sets the counts.
func (c *Confusion) Restore(s []float64) error {
	if len(s) != len(c.counts)+len(c.missed) {
		return fmt.Errorf("metric.Confusion: state has %d numbers, want %d", len(s), len(c.counts)+len(c.missed))
	}
	copy(c.counts, s)
	copy(c.missed, s[len(c.counts):])
	return nil
}
