package metric

import (
	"fmt"
	"math"
)

// CalibrationError is the expected calibration error. It sorts rows by confidence into bins of
// equal width and averages, with the weights of the bins, the distance between accuracy and
// confidence:
//
//	Σ_bins (weight of the bin / total weight) · |accuracy in the bin - mean confidence in the bin|
//
// With several scores per row, the confidence is the largest softmax probability, and the row is
// correct if that class is its label. With one score per row, the confidence is the sigmoid of the
// score, and the row is correct if its target is 1. Scores are logits. Infinite logits are taken as
// limits: k logits of +Inf have the confidence 1/k each. A row whose logits are all -Inf is an
// error.
//
// Reference: C. Guo et al., On Calibration of Modern Neural Networks, 2017.
type CalibrationError struct {
	bins   int
	weight []float64
	hits   []float64
	conf   []float64
}

// NewCalibrationError returns an empty CalibrationError with the given number of bins, from 1 to
// 2^20; 10 or 15 are usual.
func NewCalibrationError(bins int) *CalibrationError {
	c := &CalibrationError{bins: bins}
	if c.Check() == nil {
		c.weight, c.hits, c.conf = make([]float64, bins), make([]float64, bins), make([]float64, bins)
	}
	return c
}

// Check returns an error if the number of bins is out of range.
func (c *CalibrationError) Check() error {
	return between("CalibrationError", "number of bins", c.bins, 1, 1<<20)
}

// Name returns "calibration_error".
func (*CalibrationError) Name() string { return "calibration_error" }

// Update adds the rows of b.
func (c *CalibrationError) Update(b Batch) error {
	if err := c.Check(); err != nil {
		return err
	}
	if b.Width == 1 {
		target, err := b.binary("CalibrationError")
		if err != nil {
			return err
		}
		if err := b.noNaN("CalibrationError"); err != nil {
			return err
		}
		for i, x := range b.Scores {
			if w := b.Weight(i); w != 0 {
				c.add(sigmoid(x), target(i), w)
			}
		}
		return nil
	}
	if err := b.check("CalibrationError", "labels"); err != nil {
		return err
	}
	if err := b.noNaN("CalibrationError"); err != nil {
		return err
	}
	for i := range b.Labels {
		if row := b.Scores[i*b.Width : (i+1)*b.Width]; b.Weight(i) != 0 && math.IsInf(row[argmax(row)], -1) {
			return fmt.Errorf("metric.CalibrationError: all scores of %s are -Inf, want at least one that is larger", b.row(i))
		}
	}
	for i, label := range b.Labels {
		if w := b.Weight(i); w != 0 {
			row := b.Scores[i*b.Width : (i+1)*b.Width]
			top, hit := argmax(row), 0.0
			if top == label {
				hit = 1
			}
			c.add(confidence(row, top), hit, w)
		}
	}
	return nil
}

// confidence returns the softmax probability of the largest score, at index top.
func confidence(row []float64, top int) float64 {
	if !math.IsInf(row[top], 1) {
		return math.Exp(-surprise(row, top))
	}
	var n float64
	for _, v := range row {
		if v == row[top] {
			n++
		}
	}
	return 1 / n
}

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// add puts a row into the bin that holds its confidence, (k/bins, (k+1)/bins]; the first also holds
// 0.
func (c *CalibrationError) add(conf, hit, w float64) {
	k := int(math.Ceil(conf*float64(c.bins))) - 1
	k = max(0, min(c.bins-1, k))
	c.weight[k] += w
	c.hits[k] += w * hit
	c.conf[k] += w * conf
}

// A Bin is one bin of a reliability diagram.
type Bin struct {
	Weight     float64 // total weight of its rows
	Confidence float64 // mean confidence of its rows; NaN if there are none
	Accuracy   float64 // share of its rows that are correct; NaN if there are none
}

// Bins returns the bins in order of increasing confidence.
func (c *CalibrationError) Bins() []Bin {
	out := make([]Bin, len(c.weight))
	for k, w := range c.weight {
		out[k] = Bin{w, c.conf[k] / w, c.hits[k] / w}
	}
	return out
}

// Value returns the error, in [0, 1].
func (c *CalibrationError) Value() float64 {
	var gap, total float64
	for k, w := range c.weight {
		gap += math.Abs(c.hits[k] - c.conf[k])
		total += w
	}
	return gap / total
}

// Merge adds the rows of another CalibrationError with the same number of bins.
func (c *CalibrationError) Merge(other Metric) error {
	o, ok := other.(*CalibrationError)
	if !ok || o.bins != c.bins {
		return mismatch(c, other)
	}
	for k := range c.weight {
		c.weight[k] += o.weight[k]
		c.hits[k] += o.hits[k]
		c.conf[k] += o.conf[k]
	}
	return nil
}

// New returns an empty CalibrationError with the same number of bins.
func (c *CalibrationError) New() Metric { return NewCalibrationError(c.bins) }

// State returns the sums of the bins.
func (c *CalibrationError) State() []float64 {
	return append(append(append([]float64(nil), c.weight...), c.hits...), c.conf...)
}

// Restore sets the sums of the bins.
func (c *CalibrationError) Restore(s []float64) error {
	n := len(c.weight)
	if len(s) != 3*n {
		return fmt.Errorf("metric.CalibrationError: state has %d numbers, want %d", len(s), 3*n)
	}
	copy(c.weight, s)
	copy(c.hits, s[n:])
	copy(c.conf, s[2*n:])
	return nil
}
