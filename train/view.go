package train

import (
	"fmt"
	"slices"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
)

// view is an output and a target as metrics see them: plain numbers, a row for each label.
type view struct {
	output, target string
	field          data.Field
	across         bool // the output has its classes before the positions of its labels

	batch                            metric.Batch // the last one
	scores, turned, targets, weights []float64
	labels                           []int
}

// addViews has the outputs that metrics compare copied out of the graph.
func (pr *program) addViews(p purpose) error {
	for _, m := range p.metrics {
		v := &view{}
		if v.output, v.target = p.objective.compared(m); v.output == "" && v.target == "" {
			return fmt.Errorf("metric %q: no term has an output and a target to compare; name them by train.On", m.Name())
		}
		if i := slices.IndexFunc(pr.views, func(u *view) bool { return u.output == v.output && u.target == v.target }); i >= 0 {
			pr.viewOf = append(pr.viewOf, pr.views[i])
			continue
		}
		out, target := pr.out[v.output], v.target
		field, ok := p.fields.Targets[target]
		switch {
		case out == nil:
			return fmt.Errorf("metric %q: the model has no output %q, only %q", m.Name(), v.output, pr.outputs)
		case !ok:
			return fmt.Errorf("metric %q: the dataset has no target %q", m.Name(), target)
		}
		v.field = field
		if err := pr.readOutput(v.output); err != nil {
			return err
		}
		if field.Kind == data.Int {
			var err error
			if v.across, err = classesFirst(p.objective.lossOf(v.output, target), out, field); err != nil {
				return err
			}
		}
		pr.views, pr.viewOf = append(pr.views, v), append(pr.viewOf, v)
	}
	return nil
}

// update gives the rows of a batch to metrics, in the order of those that the program was compiled
// for.
func (pr *program) update(metrics []metric.Metric, b *data.Batch) error {
	for _, v := range pr.views {
		if err := v.load(pr, b); err != nil {
			return err
		}
	}
	for i, m := range metrics {
		if err := measure(m, pr.viewOf[i].batch); err != nil {
			return err
		}
	}
	return nil
}

// load brings the output and the target of a batch into the form of a metric's batch. Where a row
// has several labels, as the positions of a sequence, each of them is a row to the metric.
func (v *view) load(pr *program, b *data.Batch) error {
	n, size, out := len(b.Rows), v.field.Size(), pr.read[v.output]
	width := out.Len() / pr.batch
	v.scores = slices.Grow(v.scores[:0], n*width)[:n*width]
	if err := (data.Column{F64: v.scores}).Copy(out.Slice(0, n*width)); err != nil {
		return err
	}
	v.batch = metric.Batch{Scores: v.scores, Width: width, Weights: b.W, Index: b.Rows}
	target, mask := b.Out[v.target].Slice(0, n*size), b.Mask[v.target]
	if v.field.Kind != data.Int {
		v.targets = slices.Grow(v.targets[:0], target.Len())[:target.Len()]
		v.batch.Targets, v.batch.Mask = v.targets, mask
		return data.Column{F64: v.targets}.Copy(target)
	}
	v.batch.Labels = target.Int
	if mask != nil {
		v.batch.Labels = v.ignore(target.Int, mask)
	}
	if size == 1 {
		return nil
	}
	if width%size != 0 {
		return fmt.Errorf("%d scores for the %d labels of a row", width, size)
	}
	v.batch.Width /= size
	if v.across {
		v.turned = classesLast(v.turned, v.scores, n, size)
		v.batch.Scores = v.turned
	}
	v.weights = v.weights[:0]
	for _, w := range b.W {
		for range size {
			v.weights = append(v.weights, w)
		}
	}
	v.batch.Weights = v.weights
	return nil
}

// ignore returns labels with those that are masked replaced by the one that no metric measures.
func (v *view) ignore(labels []int, mask []bool) []int {
	v.labels = append(v.labels[:0], labels...)
	for i, counts := range mask {
		if !counts {
			v.labels[i] = metric.Ignored
		}
	}
	return v.labels
}

// measure hands a batch to a metric, which may be a stranger's.
func measure(m metric.Metric, b metric.Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("metric %q panicked: %v", m.Name(), r)
		}
	}()
	return m.Update(b)
}
