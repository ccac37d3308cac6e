package metric

import "slices"

// ignoring hides rows from a metric.
type ignoring struct {
	Metric
	labels []int
	copied []int
}

// Ignore returns m without the rows whose label is among labels, such as that of padding: what
// loss.WithIgnoreIndex is to a loss. Of sequences it ignores the elements that are among labels.
// The label [Ignored] is always ignored. What is measured accumulates in m.
func Ignore(m Metric, labels ...int) Metric {
	return &ignoring{Metric: m, labels: slices.Clone(labels)}
}

// Check returns an error when a setting of the metric is out of its range.
func (g *ignoring) Check() error {
	if c, ok := g.Metric.(Checker); ok {
		return c.Check()
	}
	return nil
}

// Update adds the rows of b that are not ignored.
func (g *ignoring) Update(b Batch) error {
	if b.Labels != nil {
		g.copied = append(g.copied[:0], b.Labels...)
		g.mark(g.copied)
		b.Labels = g.copied
	}
	for _, list := range []*[][]int{&b.References, &b.Decoded} {
		*list = slices.Clone(*list)
		for i, s := range *list {
			(*list)[i] = slices.Clone(s)
			g.mark((*list)[i])
		}
	}
	return g.Metric.Update(b)
}

// mark replaces the labels to be ignored by the one that no metric measures.
func (g *ignoring) mark(labels []int) {
	for i, l := range labels {
		if slices.Contains(g.labels, l) {
			labels[i] = Ignored
		}
	}
}

// Merge adds the rows of a metric that ignores the same labels.
func (g *ignoring) Merge(other Metric) error {
	o, ok := other.(*ignoring)
	if !ok || !slices.Equal(g.labels, o.labels) {
		return mismatch(g, other)
	}
	return g.Metric.Merge(o.Metric)
}

// New returns an empty metric that ignores the same labels.
func (g *ignoring) New() Metric { return Ignore(g.Metric.New(), g.labels...) }
