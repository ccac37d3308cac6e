package metric

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// scored keeps every score with its truth, since an exact area needs all of them in order: 24 bytes
// a row.
type scored struct{ rows []scoredRow }

type scoredRow struct{ score, target, weight float64 }

func (s *scored) update(name string, b Batch) error {
	score, target, err := b.positive(name)
	if err != nil {
		return err
	}
	for i := range b.Rows() {
		if math.IsNaN(score(i)) && b.Weight(i) != 0 {
			return fmt.Errorf("metric.%s: score of %s is NaN", name, b.row(i))
		}
	}
	for i := range b.Rows() {
		if w := b.Weight(i); w != 0 {
			s.rows = append(s.rows, scoredRow{score(i), target(i), w})
		}
	}
	return nil
}

// positive returns the score of class 1 of each row and its 0/1 target. Of two scores, logits or
// probabilities of both classes, it is the difference, in the order of which the probability of
// class 1 is too.
func (b Batch) positive(name string) (score, target func(i int) float64, err error) {
	switch {
	case b.Width == 1:
		target, err = b.binary(name)
		return func(i int) float64 { return b.Scores[i] }, target, err
	case b.Width == 2 && b.Labels != nil:
		err = b.check(name, "labels")
		score = func(i int) float64 {
			if b.Scores[2*i] == b.Scores[2*i+1] { // also where both are infinite
				return 0
			}
			return b.Scores[2*i+1] - b.Scores[2*i]
		}
		return score, func(i int) float64 { return float64(b.Labels[i]) }, err
	}
	more := ""
	if name == "AUROC" || name == "AveragePrecision" {
		more = "; OneVsRest" + name + " takes more"
	}
	return nil, nil, fmt.Errorf("metric.%s: %d scores per row, want 1, or 2 with class labels%s", name, b.Width, more)
}

// groups calls f with the weights of the positives and negatives of each distinct score, the
// largest first.
func (s *scored) groups(f func(score, positive, negative float64)) {
	slices.SortStableFunc(s.rows, func(a, b scoredRow) int { return cmp.Compare(b.score, a.score) })
	for i := 0; i < len(s.rows); {
		score := s.rows[i].score
		var pos, neg float64
		for ; i < len(s.rows) && s.rows[i].score == score; i++ {
			if s.rows[i].target == 1 {
				pos += s.rows[i].weight
			} else {
				neg += s.rows[i].weight
			}
		}
		f(score, pos, neg)
	}
}

func (s *scored) merge(o *scored) { s.rows = append(s.rows, o.rows...) }

// State returns three numbers a row.
func (s *scored) State() []float64 {
	out := make([]float64, 0, 3*len(s.rows))
	for _, r := range s.rows {
		out = append(out, r.score, r.target, r.weight)
	}
	return out
}

// Restore sets the rows.
func (s *scored) Restore(state []float64) error {
	if len(state)%3 != 0 {
		return fmt.Errorf("metric: state has %d numbers, want a multiple of 3", len(state))
	}
	s.rows = s.rows[:0]
	for i := 0; i < len(state); i += 3 {
		s.rows = append(s.rows, scoredRow{state[i], state[i+1], state[i+2]})
	}
	return nil
}

// AUROC is the area under the receiver operating characteristic: the probability that a positive
// row has a larger score than a negative one, ties counting one half. It is NaN unless both kinds
// occur. One score per row, logit or probability, and a 0/1 target or label, or two scores per row,
// those of both classes, and a label. It keeps all scores.
type AUROC struct{ scored }

// NewAUROC returns an empty AUROC.
func NewAUROC() *AUROC { return new(AUROC) }

// Name returns "auroc".
func (*AUROC) Name() string { return "auroc" }

// Update adds the rows of b.
func (a *AUROC) Update(b Batch) error { return a.update("AUROC", b) }

// Value returns the area, in [0, 1].
func (a *AUROC) Value() float64 {
	var above, area, negatives float64
	a.groups(func(_, pos, neg float64) {
		area += neg * (above + pos/2)
		above += pos
		negatives += neg
	})
	return area / (above * negatives)
}

// Merge adds the rows of another AUROC.
func (a *AUROC) Merge(other Metric) error {
	o, ok := other.(*AUROC)
	if !ok {
		return mismatch(a, other)
	}
	a.merge(&o.scored)
	return nil
}

// New returns an empty AUROC.
func (*AUROC) New() Metric { return NewAUROC() }

// AveragePrecision summarises the precision-recall curve as Σ (R_n - R_{n-1})·P_n over the distinct
// scores in falling order, without interpolation. It is NaN without a positive row. Inputs as for
// [AUROC]; it keeps all scores.
type AveragePrecision struct{ scored }

// NewAveragePrecision returns an empty AveragePrecision.
func NewAveragePrecision() *AveragePrecision { return new(AveragePrecision) }

// Name returns "average_precision".
func (*AveragePrecision) Name() string { return "average_precision" }

// Update adds the rows of b.
func (a *AveragePrecision) Update(b Batch) error { return a.update("AveragePrecision", b) }

// Value returns the average precision, in [0, 1].
func (a *AveragePrecision) Value() float64 {
	var tp, all, sum float64
	a.groups(func(_, pos, neg float64) {
		tp += pos
		all += pos + neg
		if pos > 0 {
			sum += pos * tp / all
		}
	})
	return sum / tp
}

// Merge adds the rows of another AveragePrecision.
func (a *AveragePrecision) Merge(other Metric) error {
	o, ok := other.(*AveragePrecision)
	if !ok {
		return mismatch(a, other)
	}
	a.merge(&o.scored)
	return nil
}

// New returns an empty AveragePrecision.
func (*AveragePrecision) New() Metric { return NewAveragePrecision() }
