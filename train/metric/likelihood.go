package metric

import "math"

// Perplexity is exp of the mean cross-entropy in nats: 2 to the power of [Bits]. Scores are logits,
// of which the softmax is taken. Labels required. A row with a logit of NaN or +Inf, or of nothing
// but -Inf, is no distribution and makes it NaN, as it makes the loss.
type Perplexity struct{ likelihood }

// Bits is the mean cross-entropy in bits per row: what a symbol costs in an ideal code made from
// the model. Scores are logits, of which the softmax is taken. Labels required.
type Bits struct{ likelihood }

// likelihood is a weighted mean of -log softmax(scores)[label].
type likelihood struct{ ratio }

// NewPerplexity returns an empty Perplexity.
func NewPerplexity() *Perplexity { return new(Perplexity) }

// NewBits returns an empty Bits.
func NewBits() *Bits { return new(Bits) }

func (l *likelihood) update(name string, b Batch) error {
	if err := b.check(name, "labels"); err != nil {
		return err
	}
	for i, label := range b.Labels {
		if w := b.Weight(i); w != 0 {
			row := b.Scores[i*b.Width : (i+1)*b.Width]
			l.sum += w * surprise(row, label)
			l.weight += w
		}
	}
	return nil
}

// surprise returns -log softmax(row)[label] in nats.
func surprise(row []float64, label int) float64 {
	top := math.Inf(-1)
	for _, v := range row {
		if math.IsNaN(v) {
			return v
		}
		top = max(top, v)
	}
	if math.IsInf(top, 0) {
		return math.NaN()
	}
	var rest float64 // the terms other than the largest, so that a certain prediction keeps its digits
	largest := true
	for _, v := range row {
		if v == top && largest {
			largest = false
			continue
		}
		rest += math.Exp(v - top)
	}
	return (top - row[label]) + math.Log1p(rest)
}

// Name returns "perplexity".
func (*Perplexity) Name() string { return "perplexity" }

// Name returns "bits".
func (*Bits) Name() string { return "bits" }

// Update adds the rows of b.
func (p *Perplexity) Update(b Batch) error { return p.update("Perplexity", b) }

// Update adds the rows of b.
func (p *Bits) Update(b Batch) error { return p.update("Bits", b) }

// Value returns the perplexity, at least 1.
func (p *Perplexity) Value() float64 { return math.Exp(p.value()) }

// Value returns the bits per row, at least 0.
func (p *Bits) Value() float64 { return p.value() / math.Ln2 }

// Merge adds the rows of another Perplexity.
func (p *Perplexity) Merge(other Metric) error {
	o, ok := other.(*Perplexity)
	if !ok {
		return mismatch(p, other)
	}
	p.sum, p.weight = p.sum+o.sum, p.weight+o.weight
	return nil
}

// Merge adds the rows of another Bits.
func (p *Bits) Merge(other Metric) error {
	o, ok := other.(*Bits)
	if !ok {
		return mismatch(p, other)
	}
	p.sum, p.weight = p.sum+o.sum, p.weight+o.weight
	return nil
}

// New returns an empty Perplexity.
func (*Perplexity) New() Metric { return NewPerplexity() }

// New returns an empty Bits.
func (*Bits) New() Metric { return NewBits() }

// State returns the sums.
func (l *likelihood) State() []float64 { return []float64{l.sum, l.weight} }

// Restore sets the sums.
func (l *likelihood) Restore(s []float64) error { return restore("likelihood", s, &l.sum, &l.weight) }
