// Package metric measures predictions while they stream by.
//
//	classes          [Accuracy], [TopK], [BinaryAccuracy], [Confusion], [Perplexity], [Bits],
//	                 [CalibrationError]; precision, recall, F1, IoU and Dice ([Score])
//	areas            [AUROC], [AveragePrecision], and both of several classes ([OneVsRest])
//	thresholds       [BestF1], and any metric of two classes at a threshold ([Threshold])
//	ranked lists     NDCG, MRR, MAP, recall and hit rate ([Ranking]), of embeddings [Retrieval]
//	numbers, times   [MAE], [RMSE], [R2]; [Concordance]
//	sequences        character and word error rates ([ErrorRate])
//
// Every metric is a [Metric]: it is updated batch by batch, gives its value at any time, and merges
// with another of its kind that saw other rows, with the result of having seen them all. Values
// agree with scikit-learn's functions of the same name. Rows carry weights; a row of weight 0, or
// with the label [Ignored], is as if it were not there. A metric of no rows is NaN.
//
// Constructors return no error. A setting out of its range, such as 0 classes, is an error of the
// metric's Check and of every Update; a training run checks its metrics before it begins.
//
// The package imports no graph: the scores are plain float64 slices, raw (logits) unless a metric
// says otherwise.
package metric

import (
	"fmt"
	"math"
)

// A Batch is predictions for some rows together with what was true. Slices belong to the caller and
// are not kept.
type Batch struct {
	Width   int       // scores per row
	Scores  []float64 // the model's output, row after row
	Labels  []int     // class labels, one per row
	Targets []float64 // real targets, as many as scores: for regression, binary targets, relevance
	Weights []float64 // one per row; nil means 1 for all
	// Mask has one entry per target: where it is false the target and its score do not count.
	// Without Targets it has one per row. nil means all count.
	Mask []bool
	// References are true sequences of labels, one per row, and Decoded those that were predicted.
	References, Decoded [][]int
	// Index has the numbers of the rows in their dataset, for errors; nil means their places in the
	// batch. A number may stand for several consecutive rows, the positions of a sequence.
	Index []int
}

// Ignored is the label of a row that is not measured, such as padding: the one that losses ignore
// unless an option says otherwise. [Ignore] ignores others.
const Ignored = -100

// Rows returns the number of rows.
func (b Batch) Rows() int {
	if b.Width <= 0 {
		return 0
	}
	return len(b.Scores) / b.Width
}

// Weight returns the weight of a row: 0 where its label is [Ignored] or its only target is masked.
func (b Batch) Weight(row int) float64 {
	oneTarget := b.Width == 1 || b.Targets == nil
	if row < len(b.Labels) && b.Labels[row] == Ignored || oneTarget && row < len(b.Mask) && !b.Mask[row] {
		return 0
	}
	if b.Weights == nil {
		return 1
	}
	return b.Weights[row]
}

// ScoreWeight returns the weight of a score and its target, by their place in Scores and Targets:
// that of their row, or 0 where they are masked.
func (b Batch) ScoreWeight(i int) float64 {
	if b.Targets != nil && i < len(b.Mask) && !b.Mask[i] {
		return 0
	}
	return b.Weight(i / b.Width)
}

// row names a row in errors.
func (b Batch) row(i int) string {
	if len(b.Index) == 0 {
		return fmt.Sprintf("row %d", i)
	}
	if each := b.Rows() / len(b.Index); each > 1 {
		return fmt.Sprintf("row %d, position %d", b.Index[i/each], i%each)
	}
	return fmt.Sprintf("row %d", b.Index[i])
}

// A Metric accumulates over batches.
type Metric interface {
	// Name is the metric's name in histories, such as "accuracy".
	Name() string
	// Update adds the rows of a batch. A batch that does not fit is an error and adds nothing.
	Update(b Batch) error
	// Value returns the metric of the rows so far, NaN where it is undefined.
	Value() float64
	// Merge adds the rows that another metric of the same kind and settings has seen.
	Merge(other Metric) error
	// New returns an empty metric with the same settings.
	New() Metric
	// State returns everything the metric has accumulated, for [Metric.Restore] to continue from.
	State() []float64
	// Restore replaces what was accumulated by an earlier State.
	Restore(state []float64) error
}

// A Checker is a Metric whose settings may be out of their range.
type Checker interface {
	Metric
	// Check returns an error when a setting is out of its range. Update returns it too.
	Check() error
}

// between returns an error for a setting outside [lo, hi].
func between(name, setting string, v, lo, hi int) error {
	if v < lo || v > hi {
		return fmt.Errorf("metric.%s: %s is %d, want %d to %d", name, setting, v, lo, hi)
	}
	return nil
}

// check returns an error for a batch whose slices disagree, or that lacks what kind names: "labels"
// that are classes, "ids", which are labels of any value, or "targets".
func (b Batch) check(name, kind string) error {
	if b.Width <= 0 || len(b.Scores)%b.Width != 0 {
		return fmt.Errorf("metric.%s: %d scores in rows of %d", name, len(b.Scores), b.Width)
	}
	n := b.Rows()
	if err := b.checkRows(name, n); err != nil {
		return err
	}
	switch kind {
	case "labels", "ids":
		if b.Labels == nil && b.Targets != nil {
			return fmt.Errorf("metric.%s: the batch has a target for each score, want one class label per row", name)
		}
		if len(b.Labels) != n {
			return fmt.Errorf("metric.%s: %d labels, want %d to match the rows", name, len(b.Labels), n)
		}
		for i, l := range b.Labels {
			if kind == "labels" && (l < 0 || l >= b.Width) && b.Weight(i) != 0 {
				if b.Width == 1 && l == 1 {
					return fmt.Errorf("metric.%s: label of %s is 1 and there is one score per row, "+
						"want a score for each class; BinaryAccuracy takes one", name, b.row(i))
				}
				return fmt.Errorf("metric.%s: label of %s is %d, want a label in [0, %d)", name, b.row(i), l, b.Width)
			}
		}
	case "targets":
		if b.Targets == nil && b.Labels != nil {
			return fmt.Errorf("metric.%s: the batch has class labels and %d scores per row, want a target for each score", name, b.Width)
		}
		if len(b.Targets) != len(b.Scores) {
			return fmt.Errorf("metric.%s: %d targets, want %d to match the scores", name, len(b.Targets), len(b.Scores))
		}
	}
	return nil
}

// checkRows returns an error unless what there is for n rows fits.
func (b Batch) checkRows(name string, n int) error {
	if b.Weights != nil && len(b.Weights) != n {
		return fmt.Errorf("metric.%s: %d weights, want %d to match the rows", name, len(b.Weights), n)
	}
	if k := len(b.Index); k > 0 && n%k != 0 {
		return fmt.Errorf("metric.%s: %d numbers of rows for %d rows, want as many, or a divisor for sequences", name, k, n)
	}
	for i, w := range b.Weights {
		if !(w >= 0) || math.IsInf(w, 1) {
			return fmt.Errorf("metric.%s: weight of %s is %v, want a finite number >= 0", name, b.row(i), w)
		}
	}
	want, what := n, "rows"
	if b.Targets != nil {
		want, what = len(b.Targets), "targets"
	}
	if b.Mask != nil && len(b.Mask) != want {
		return fmt.Errorf("metric.%s: %d entries of the mask, want %d to match the %s", name, len(b.Mask), want, what)
	}
	return nil
}

// noNaN returns an error for a score that counts and is NaN.
func (b Batch) noNaN(name string) error {
	for i, x := range b.Scores {
		if math.IsNaN(x) && b.ScoreWeight(i) != 0 {
			return fmt.Errorf("metric.%s: a score of %s is NaN", name, b.row(i/b.Width))
		}
	}
	return nil
}

// argmax returns the index of the first largest score, or -1 when one of them is NaN: such a row is
// right for no class.
func argmax(row []float64) int {
	best := 0
	for i, v := range row {
		if math.IsNaN(v) {
			return -1
		}
		if v > row[best] {
			best = i
		}
	}
	return best
}

// restore copies a state of a fixed length into fields.
func restore(name string, state []float64, fields ...*float64) error {
	if len(state) != len(fields) {
		return fmt.Errorf("metric.%s: state has %d numbers, want %d", name, len(state), len(fields))
	}
	for i, f := range fields {
		*f = state[i]
	}
	return nil
}

// mismatch is the error of merging metrics that differ.
func mismatch(into, other Metric) error {
	return fmt.Errorf("metric: cannot merge %T %q into %T %q", other, other.Name(), into, into.Name())
}
