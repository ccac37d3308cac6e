package train

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// classesFirst reports whether a model's output has its classes on axis 1, before the positions of
// a row's labels, as (N, C, L), and not on the last axis, as (N, L, C). Where both are possible the
// loss decides: it takes one of the two with another number of positions. An output of two axes has
// all scores of a row on the last.
func classesFirst(fn loss.Func, out *G.Node, target data.Field) (bool, error) {
	shape, size := out.Shape(), target.Size()
	if len(shape) < 3 {
		return false, nil
	}
	inner := shape[1:]
	last, first := total(inner[:len(inner)-1]) == size, total(inner[1:]) == size
	switch {
	case last && (!first || size == 1):
		return false, nil
	case first && !last:
		return true, nil
	case !last:
		return false, fmt.Errorf("metrics have no classes to compare: the output %v has labels of shape %v, "+
			"want (rows, labels, classes) or (rows, classes, labels)", shape, target.Shape)
	}
	takes := func(classesFirst bool) bool {
		longer := slices.Clone(target.Shape)
		longer[0]++
		classes := inner[len(inner)-1]
		try := slices.Concat([]int{shape[0]}, longer, []int{classes})
		if classesFirst {
			try = slices.Concat([]int{shape[0], classes}, longer)
		}
		pred := G.NewTensor(G.NewGraph(), out.Dtype(), len(try), G.WithShape(try...), G.WithName("pred"))
		_, err := lossShape(fn, pred, data.Field{Kind: data.Int, Shape: longer})
		return err == nil
	}
	if fn != nil && len(target.Shape) == len(inner)-1 {
		if a, b := takes(false), takes(true); a != b {
			return b, nil
		}
	}
	return false, fmt.Errorf("metrics cannot tell classes from labels in the output %v, "+
		"where both axes have one length, and the loss does not say which", shape)
}

func total(shape tensor.Shape) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// classesLast brings n rows of scores from (classes, labels) to (labels, classes), in dst.
func classesLast(dst, scores []float64, n, labels int) []float64 {
	dst = slices.Grow(dst[:0], len(scores))[:len(scores)]
	width := len(scores) / n
	classes := width / labels
	for i := range n {
		for c := range classes {
			for l := range labels {
				dst[i*width+l*classes+c] = scores[i*width+c*labels+l]
			}
		}
	}
	return dst
}

// show brings what copies of metrics have measured to the metrics themselves, which a program
// holds.
func show(metrics, copies []metric.Metric) (err error) {
	for i, m := range metrics {
		if e := restore(m, copies[i]); e != nil {
			err = errors.Join(err, fmt.Errorf("metric %q does not take its own state: %w", m.Name(), e))
		}
	}
	return err
}

// restore sets a metric, which may be a stranger's, to the state of another.
func restore(m, from metric.Metric) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it panicked: %v", r)
		}
	}()
	if reflect.TypeOf(m).Comparable() && m == from { // a metric whose New returns itself
		return nil
	}
	return m.Restore(from.State())
}
