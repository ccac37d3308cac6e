package metric

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// Concordance is Harrell's concordance index of risks and survival times: the weighted share of
// comparable pairs of rows in which the row that had its event first has the larger score, equal
// scores counting one half.
//
//	C = Σ w_i w_j ([s_i > s_j] + ½[s_i = s_j]) / Σ w_i w_j
//
// over the pairs where row i had an event at time t_i and row j, at that time, had not: t_j > t_i,
// or t_j = t_i and j is censored. Two events at the same time are not comparable.
//
// Scores, one per row, are risks, such as logarithms of hazard ratios: a larger one means an
// earlier event. Targets are times and labels are 1 for an event and 0 for a censored row, both
// required. A NaN is an error. It is NaN without a comparable pair. It keeps all rows, and its
// value takes O(n log n).
//
// As in scikit-survival's concordance_index_censored, but for its tolerance of 1e-8 in ties, and
// lifelines' concordance_index with the sign of the scores turned.
//
// Reference: F. E. Harrell et al., Evaluating the Yield of Medical Tests, 1982.
type Concordance struct{ rows []survival }

type survival struct{ time, event, score, weight float64 }

// NewConcordance returns an empty Concordance.
func NewConcordance() *Concordance { return new(Concordance) }

// Name returns "concordance".
func (*Concordance) Name() string { return "concordance" }

// Update adds the rows of b.
func (c *Concordance) Update(b Batch) error {
	const name = "Concordance"
	if err := b.check(name, "targets"); err != nil {
		return err
	}
	if b.Width != 1 {
		return fmt.Errorf("metric.%s: %d scores per row, want 1", name, b.Width)
	}
	if len(b.Labels) != b.Rows() {
		return fmt.Errorf("metric.%s: %d labels, want %d to match the rows: 1 for an event, 0 for a censored one",
			name, len(b.Labels), b.Rows())
	}
	if err := b.noNaN(name); err != nil {
		return err
	}
	for i, l := range b.Labels {
		switch {
		case b.Weight(i) == 0:
		case l != 0 && l != 1:
			return fmt.Errorf("metric.%s: label of %s is %d, want 1 for an event or 0", name, b.row(i), l)
		case math.IsNaN(b.Targets[i]):
			return fmt.Errorf("metric.%s: time of %s is NaN", name, b.row(i))
		}
	}
	for i, l := range b.Labels {
		if w := b.Weight(i); w != 0 {
			c.rows = append(c.rows, survival{b.Targets[i], float64(l), b.Scores[i], w})
		}
	}
	return nil
}

// Value returns the index, in [0, 1].
func (c *Concordance) Value() float64 {
	// From the latest time on, and at one time the censored rows before the events: what was seen
	// before an event is what it is comparable with, but for other events at its time.
	rows := slices.Clone(c.rows)
	slices.SortFunc(rows, func(a, b survival) int {
		return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(a.event, b.event))
	})
	scores := make([]float64, len(rows))
	for i, r := range rows {
		scores[i] = r.score
	}
	slices.Sort(scores)
	scores = slices.Compact(scores)
	place := func(score float64) int { return sort.SearchFloat64s(scores, score) }
	seen, total := make(sums, len(scores)+1), 0.0
	var r ratio
	for i := 0; i < len(rows); {
		end := i
		for end < len(rows) && rows[end].time == rows[i].time && rows[end].event == rows[i].event {
			end++
		}
		if rows[i].event == 1 {
			for _, e := range rows[i:end] {
				at := place(e.score)
				below, upTo := seen.before(at), seen.before(at+1)
				r.sum += e.weight * (below + upTo) / 2
				r.weight += e.weight * total
			}
		}
		for _, e := range rows[i:end] {
			seen.add(place(e.score), e.weight)
			total += e.weight
		}
		i = end
	}
	return min(1, r.value())
}

// sums are the partial sums of a Fenwick tree: element i, from 1, is that of the i&-i elements that
// end there.
type sums []float64

// add adds v to element i, from 0.
func (s sums) add(i int, v float64) {
	for i++; i < len(s); i += i & -i {
		s[i] += v
	}
}

// before returns the sum of the first n elements.
func (s sums) before(n int) (sum float64) {
	for ; n > 0; n -= n & -n {
		sum += s[n]
	}
	return sum
}

// Merge adds the rows of another Concordance.
func (c *Concordance) Merge(other Metric) error {
	o, ok := other.(*Concordance)
	if !ok {
		return mismatch(c, other)
	}
	c.rows = append(c.rows, o.rows...)
	return nil
}

// New returns an empty Concordance.
func (*Concordance) New() Metric { return NewConcordance() }

// State returns four numbers a row.
func (c *Concordance) State() []float64 {
	out := make([]float64, 0, 4*len(c.rows))
	for _, r := range c.rows {
		out = append(out, r.time, r.event, r.score, r.weight)
	}
	return out
}

// Restore sets the rows.
func (c *Concordance) Restore(s []float64) error {
	if len(s)%4 != 0 {
		return fmt.Errorf("metric.Concordance: state has %d numbers, want a multiple of 4", len(s))
	}
	c.rows = nil
	for r := range slices.Chunk(s, 4) {
		c.rows = append(c.rows, survival{r[0], r[1], r[2], r[3]})
	}
	return nil
}
