package metric

import (
	"fmt"
	"math"
	"slices"
)

// A Similarity compares two embeddings.
type Similarity uint8

const (
	// Cosine is the cosine of the angle between two embeddings, 0 for one of length 0.
	Cosine Similarity = iota
	// Euclidean ranks by the distance, the nearest first.
	Euclidean
)

// Retrieval measures embeddings by what they find: each row is a query to all the others, which are
// ranked by how near they are, and those with its label are the relevant ones. The value is the
// mean of a [Ranking] over the queries.
//
// Scores are the embeddings, and labels any numbers. Of equally near rows the one that was seen
// first comes first. The weight of a row is that of its query. A row whose label no other row has
// is no query, but it is ranked in those of others. An embedding that is not finite is an error.
//
// It keeps all embeddings, and its value takes the time of comparing and sorting all pairs.
// [Retrieval.Queries] ranks a fixed set of rows in place of the others.
type Retrieval struct {
	of         *Ranking // its settings; the sums are those of one Value
	similarity Similarity
	gallery    *gallery // nil: each row is ranked in the queries of the others
	width      int      // of an embedding, 0 before the first
	embeddings []float64
	labels     []int
	weights    []float64
}

// NewRetrieval returns an empty Retrieval that takes the mean of what another metric measures, such
// as NewMAP(0) or NewHitRate(1).
func NewRetrieval(of *Ranking, s Similarity) *Retrieval {
	return &Retrieval{of: of, similarity: s}
}

// gallery is a set of embeddings with their labels.
type gallery struct {
	width      int
	embeddings []float64
	labels     []int
}

// Queries returns an empty Retrieval of the same settings whose rows are queries to the rows that r
// has seen, and to nothing else:
//
//	known := metric.NewRetrieval(metric.NewHitRate(1), metric.Cosine)
//	_, err := net.Evaluate(ctx, nil, training, known)
//	...
//	values, err := net.Evaluate(ctx, nil, test, known.Queries())
//
// A row whose label no row of r has is no query.
func (r *Retrieval) Queries() *Retrieval {
	q := NewRetrieval(r.of, r.similarity)
	q.gallery = &gallery{r.width, slices.Clone(r.embeddings), slices.Clone(r.labels)}
	return q
}

// Check returns an error when there is no such similarity, or no ranking, or when its settings are
// out of their range.
func (r *Retrieval) Check() error {
	if r.of == nil {
		return fmt.Errorf("metric.Retrieval: the ranking is nil")
	}
	if r.similarity > Euclidean {
		return fmt.Errorf("metric.Retrieval: similarity is %d, want Cosine or Euclidean", r.similarity)
	}
	if r.gallery != nil && r.gallery.width == 0 {
		return fmt.Errorf("metric.Retrieval: queries to no rows")
	}
	return r.of.Check()
}

// Name returns for instance "retrieval_map".
func (r *Retrieval) Name() string {
	if r.of == nil {
		return "retrieval"
	}
	return "retrieval_" + r.of.Name()
}

// Update adds the rows of b.
func (r *Retrieval) Update(b Batch) error {
	const name = "Retrieval"
	if err := r.Check(); err != nil {
		return err
	}
	if err := b.check(name, "ids"); err != nil {
		return err
	}
	if r.width != 0 && b.Width != r.width {
		return fmt.Errorf("metric.%s: %d scores per row, want %d as before", name, b.Width, r.width)
	}
	if g := r.gallery; g != nil && b.Width != g.width {
		return fmt.Errorf("metric.%s: %d scores per row, want %d as in the rows that are searched", name, b.Width, g.width)
	}
	for i, x := range b.Scores {
		if (math.IsNaN(x) || math.IsInf(x, 0)) && b.Weight(i/b.Width) != 0 {
			return fmt.Errorf("metric.%s: element %d of the embedding of %s is %v, want a finite number", name,
				i%b.Width, b.row(i/b.Width), x)
		}
	}
	r.width = b.Width
	for i, l := range b.Labels {
		w := b.Weight(i)
		if w == 0 {
			continue
		}
		r.embeddings = append(r.embeddings, b.Scores[i*b.Width:(i+1)*b.Width]...)
		if r.similarity == Cosine {
			normalise(r.embeddings[len(r.embeddings)-b.Width:])
		}
		r.labels, r.weights = append(r.labels, l), append(r.weights, w)
	}
	return nil
}

// normalise divides x by its length, unless it is 0. Lengths whose square float64 does not hold are
// no obstacle.
func normalise(x []float64) {
	var top, sum float64
	for _, v := range x {
		top = max(top, math.Abs(v))
	}
	if top == 0 {
		return
	}
	for _, v := range x {
		sum += (v / top) * (v / top)
	}
	length := math.Sqrt(sum)
	for i, v := range x {
		x[i] = v / top / length
	}
}

// near returns the similarity of two embeddings.
func (r *Retrieval) near(x, y []float64) float64 {
	var sum float64
	if r.similarity == Cosine {
		for k, v := range x {
			sum += v * y[k]
		}
		return sum
	}
	for k, v := range x {
		sum -= (v - y[k]) * (v - y[k])
	}
	return sum
}

// Value returns the mean over the queries, in [0, 1].
func (r *Retrieval) Value() float64 {
	if r.Check() != nil {
		return math.NaN()
	}
	all := &Ranking{what: r.of.what, k: r.of.k, gain: r.of.gain}
	embeddings, labels := r.embeddings, r.labels
	if r.gallery != nil {
		embeddings, labels = r.gallery.embeddings, r.gallery.labels
	}
	list := make([]item, 0, len(labels))
	for i, l := range r.labels {
		query := r.embeddings[i*r.width : (i+1)*r.width]
		list = list[:0]
		for j, other := range labels {
			if j == i && r.gallery == nil {
				continue
			}
			relevance := 0.0
			if other == l {
				relevance = 1
			}
			list = append(list, item{r.near(query, embeddings[j*r.width:(j+1)*r.width]), relevance, j})
		}
		all.add(list, r.weights[i])
	}
	return all.Value()
}

// Merge adds the rows of another Retrieval of the same settings.
func (r *Retrieval) Merge(other Metric) error {
	o, ok := other.(*Retrieval)
	if !ok || o.similarity != r.similarity || o.Name() != r.Name() || !r.gallery.equal(o.gallery) || r.width != 0 && o.width != 0 && r.width != o.width {
		return mismatch(r, other)
	}
	r.width = max(r.width, o.width)
	r.embeddings = append(r.embeddings, o.embeddings...)
	r.labels, r.weights = append(r.labels, o.labels...), append(r.weights, o.weights...)
	return nil
}

// equal reports whether two galleries, which may be nil, are the same.
func (g *gallery) equal(o *gallery) bool {
	return g == o || g != nil && o != nil && slices.Equal(g.embeddings, o.embeddings) && slices.Equal(g.labels, o.labels)
}

// New returns an empty Retrieval of the same settings.
func (r *Retrieval) New() Metric {
	return &Retrieval{of: r.of, similarity: r.similarity, gallery: r.gallery}
}

// State returns the width of the embeddings, and for each row its label, weight and embedding.
func (r *Retrieval) State() []float64 {
	out := []float64{float64(r.width)}
	for i, l := range r.labels {
		out = append(out, float64(l), r.weights[i])
		out = append(out, r.embeddings[i*r.width:(i+1)*r.width]...)
	}
	return out
}

// Restore sets the rows.
func (r *Retrieval) Restore(s []float64) error {
	if len(s) == 0 || !(s[0] >= 0 && s[0] < 1<<30) || (len(s)-1)%(int(s[0])+2) != 0 || s[0] == 0 && len(s) > 1 {
		return fmt.Errorf("metric.Retrieval: state has %d numbers, want the width of the embeddings, and 2 and the width for each row", len(s))
	}
	r.width = int(s[0])
	r.embeddings, r.labels, r.weights = nil, nil, nil
	for row := range slices.Chunk(s[1:], r.width+2) {
		r.labels, r.weights = append(r.labels, int(row[0])), append(r.weights, row[1])
		r.embeddings = append(r.embeddings, row[2:]...)
	}
	return nil
}
