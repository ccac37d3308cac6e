package metric

import (
	"fmt"
	"math"
)

// MAE is the weighted mean of |score - target| over all numbers. Targets required.
type MAE struct{ ratio }

// RMSE is the root of the weighted mean of (score - target)² over all numbers. Targets required.
type RMSE struct{ ratio }

// NewMAE returns an empty MAE.
func NewMAE() *MAE { return new(MAE) }

// NewRMSE returns an empty RMSE.
func NewRMSE() *RMSE { return new(RMSE) }

func (r *ratio) residuals(name string, b Batch, f func(e float64) float64) error {
	if err := b.check(name, "targets"); err != nil {
		return err
	}
	for i, x := range b.Scores {
		if w := b.ScoreWeight(i); w != 0 {
			r.sum += w * f(x-b.Targets[i])
			r.weight += w
		}
	}
	return nil
}

// Name returns "mae".
func (*MAE) Name() string { return "mae" }

// Name returns "rmse".
func (*RMSE) Name() string { return "rmse" }

// Update adds the rows of b.
func (m *MAE) Update(b Batch) error { return m.residuals("MAE", b, math.Abs) }

// Update adds the rows of b.
func (m *RMSE) Update(b Batch) error {
	return m.residuals("RMSE", b, func(e float64) float64 { return e * e })
}

// Value returns the mean absolute error.
func (m *MAE) Value() float64 { return m.value() }

// Value returns the root of the mean squared error.
func (m *RMSE) Value() float64 { return math.Sqrt(m.value()) }

// Merge adds the rows of another MAE.
func (m *MAE) Merge(other Metric) error {
	o, ok := other.(*MAE)
	if !ok {
		return mismatch(m, other)
	}
	m.sum, m.weight = m.sum+o.sum, m.weight+o.weight
	return nil
}

// Merge adds the rows of another RMSE.
func (m *RMSE) Merge(other Metric) error {
	o, ok := other.(*RMSE)
	if !ok {
		return mismatch(m, other)
	}
	m.sum, m.weight = m.sum+o.sum, m.weight+o.weight
	return nil
}

// New returns an empty MAE.
func (*MAE) New() Metric { return NewMAE() }

// New returns an empty RMSE.
func (*RMSE) New() Metric { return NewRMSE() }

// State returns the sums.
func (m *MAE) State() []float64 { return []float64{m.sum, m.weight} }

// State returns the sums.
func (m *RMSE) State() []float64 { return []float64{m.sum, m.weight} }

// Restore sets the sums.
func (m *MAE) Restore(s []float64) error { return restore("MAE", s, &m.sum, &m.weight) }

// Restore sets the sums.
func (m *RMSE) Restore(s []float64) error { return restore("RMSE", s, &m.sum, &m.weight) }

// R2 is the coefficient of determination, 1 - Σ w(y-p)²/Σ w(y-ȳ)², averaged over the columns of the
// target. A column whose target is constant gives 1 when it is predicted exactly and 0 otherwise.
// It is NaN for fewer than 2 rows. Targets required.
type R2 struct {
	rows float64 // of weight other than 0
	cols []moments
}

// moments are a column's weight, mean of the target, Σ w(y-mean)² and Σ w(y-p)²: deviations, since
// sums of squares of targets far from 0 would lose all digits. For the same reason the mean is
// relative to the first target, the origin.
type moments struct{ weight, origin, mean, spread, residual float64 }

// NewR2 returns an empty R2.
func NewR2() *R2 { return new(R2) }

// Name returns "r2".
func (*R2) Name() string { return "r2" }

// Update adds the rows of b.
func (r *R2) Update(b Batch) error {
	if err := b.check("R2", "targets"); err != nil {
		return err
	}
	if r.cols == nil {
		r.cols = make([]moments, b.Width)
	}
	if len(r.cols) != b.Width {
		return fmt.Errorf("metric.R2: %d scores per row, want %d as before", b.Width, len(r.cols))
	}
	for i := range b.Rows() {
		w := b.Weight(i)
		if w == 0 {
			continue
		}
		r.rows++
		for c := range r.cols {
			if b.ScoreWeight(i*b.Width+c) == 0 {
				continue
			}
			y := b.Targets[i*b.Width+c]
			e := y - b.Scores[i*b.Width+c]
			r.cols[c].merge(moments{w, y, 0, 0, w * e * e})
		}
	}
	return nil
}

// merge is the pairwise update of Chan, Golub and LeVeque (Updating Formulae and a Pairwise
// Algorithm for Computing Sample Variances, 1979).
func (m *moments) merge(o moments) {
	total := m.weight + o.weight
	if total == 0 {
		return
	}
	if m.weight == 0 {
		m.origin = o.origin
	}
	d := (o.origin - m.origin) + o.mean - m.mean
	m.spread += o.spread + d*d*m.weight*o.weight/total
	m.mean += d * o.weight / total
	m.residual += o.residual
	m.weight = total
}

// Value returns R², at most 1.
func (r *R2) Value() float64 {
	if r.rows < 2 {
		return math.NaN()
	}
	var sum float64
	for _, c := range r.cols {
		switch {
		case c.spread != 0:
			sum += 1 - c.residual/c.spread
		case c.residual == 0:
			sum++
		}
	}
	return sum / float64(len(r.cols))
}

// Merge adds the rows of another R2 of as many columns.
func (r *R2) Merge(other Metric) error {
	o, ok := other.(*R2)
	if !ok || r.cols != nil && o.cols != nil && len(r.cols) != len(o.cols) {
		return mismatch(r, other)
	}
	if r.cols == nil {
		r.cols = make([]moments, len(o.cols))
	}
	r.rows += o.rows
	for i, c := range o.cols {
		r.cols[i].merge(c)
	}
	return nil
}

// New returns an empty R2.
func (*R2) New() Metric { return NewR2() }

// State returns the moments.
func (r *R2) State() []float64 {
	out := []float64{r.rows}
	for _, c := range r.cols {
		out = append(out, c.weight, c.origin, c.mean, c.spread, c.residual)
	}
	return out
}

// Restore sets the moments.
func (r *R2) Restore(s []float64) error {
	if len(s)%5 != 1 {
		return fmt.Errorf("metric.R2: state has %d numbers, want 1 and 5 for each column", len(s))
	}
	r.rows, r.cols = s[0], nil
	for i := 1; i < len(s); i += 5 {
		r.cols = append(r.cols, moments{s[i], s[i+1], s[i+2], s[i+3], s[i+4]})
	}
	return nil
}
