package train

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/weights"
	"gorgonia.org/tensor"
)

// A Net is a model with its parameters: what [Fit] returns and [Load] reads. Its methods may be
// called from any number of goroutines, which work at the same time; while a run trains the model,
// they take turns with its steps.
type Net struct {
	mu     sync.RWMutex // held to write by what changes parameters
	model  Model
	spec   data.Spec
	dtype  tensor.Dtype
	params *paramSet
	seed   uint64

	predictors predictors
	evaluators evaluators
}

// errNoModel is what becomes of a zero Net.
var errNoModel = errors.New("the Net is empty; one comes from Fit or Load")

// DType returns the type of the parameters.
func (n *Net) DType() tensor.Dtype { return n.dtype }

// Spec describes the examples that the model takes.
func (n *Net) Spec() data.Spec { return n.spec }

// Params returns copies of the parameters, in the order in which the model made them.
func (n *Net) Params() []*weights.Array {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.params == nil {
		return nil
	}
	return cloneAll(n.params.list)
}

// Size returns the number of numbers in all parameters.
func (n *Net) Size() int {
	size := 0
	if n.params == nil {
		return 0
	}
	for _, a := range n.params.list {
		size += a.Size()
	}
	return size
}

func cloneAll(list []*weights.Array) []*weights.Array {
	out := make([]*weights.Array, len(list))
	for i, a := range list {
		out[i] = a.Clone()
	}
	return out
}

// checkInput returns an error when the model cannot take the inputs of ds.
func (n *Net) checkInput(name string, ds data.Dataset) error {
	if n.params == nil {
		return errNoModel
	}
	if err := checkData(name, ds); err != nil {
		return err
	}
	if got := ds.Spec().Input; !got.Equal(n.spec.Input) {
		return fmt.Errorf("%s has inputs %v, want %v", name, got, n.spec.Input)
	}
	return nil
}

// eachBatch reads the rows [from, to) of a dataset in order.
func eachBatch(ctx context.Context, ds data.Dataset, from, to, size, ahead int, single bool, use func(*data.Batch) error) error {
	rows := make([]int, to-from)
	for i := range rows {
		rows[i] = from + i
	}
	l := data.NewLoader(ds, rows, size, ahead, single)
	defer l.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := l.Next()
		if err != nil || b == nil {
			return err
		}
		if err := use(b); err != nil {
			return err
		}
	}
}

// evaluator is a compiled graph for measuring a model.
type evaluator struct {
	*program
	net     *Net
	scratch scratch
	ahead   int                  // batches that are read before they are needed
	told    func(done int) error // called after each batch with the rows so far, if not nil
	graph   time.Duration        // in which it ran
}

func newEvaluator(n *Net, lossFn loss.Func, ds data.Dataset, batch int, measured bool) (*evaluator, error) {
	if err := n.checkInput("dataset", ds); err != nil {
		return nil, err
	}
	if lossFn == nil && !measured {
		return nil, errors.New("neither a loss nor a metric to measure")
	}
	spec := ds.Spec()
	if spec.Target.Kind == data.None {
		return nil, errors.New("the dataset has no targets")
	}
	_, masked := ds.(data.Masker)
	p, err := n.compile(spec, min(batch, ds.Len()), purpose{lossFn: lossFn, masked: masked, readOutput: measured})
	if err != nil {
		return nil, err
	}
	return &evaluator{program: p, net: n}, nil
}

func fresh(metrics []metric.Metric) []metric.Metric {
	out := make([]metric.Metric, len(metrics))
	for i, m := range metrics {
		out[i] = m.New()
	}
	return out
}

func (e *evaluator) measure(ctx context.Context, ds data.Dataset, metrics []metric.Metric) (Values, error) {
	e.net.mu.RLock()
	defer e.net.mu.RUnlock()
	var m mean
	done := 0
	err := eachBatch(ctx, ds, 0, ds.Len(), e.batch, e.ahead, e.single, func(b *data.Batch) error {
		if err := e.load(b, nil); err != nil {
			return err
		}
		start := time.Now()
		err := e.run(ctx)
		e.graph += time.Since(start)
		if err != nil {
			return fmt.Errorf("a batch of the rows %s: %w", someRows(b.Rows), err)
		}
		if e.perRow > 0 {
			m.add(e.parts(sum(b.W)))
		}
		if len(metrics) > 0 {
			if err := e.scratch.update(metrics, e.program, b); err != nil {
				return err
			}
		}
		if done += len(b.Rows); e.told != nil {
			return e.told(done)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	v := make(Values)
	if e.perRow > 0 {
		if m.Weight == 0 {
			return nil, errNoWeight
		}
		v["loss"] = m.value()
	}
	for _, x := range metrics {
		v[x.Name()] = x.Value()
	}
	return v, nil
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// scratch is the memory for handing batches to metrics.
type scratch struct {
	scores, turned, targets, weights []float64
	labels                           []int
}

// ignore returns labels with those that are masked replaced by the one that no metric measures.
func (s *scratch) ignore(labels []int, mask []bool) []int {
	s.labels = append(s.labels[:0], labels...)
	for i, counts := range mask {
		if !counts {
			s.labels[i] = metric.Ignored
		}
	}
	return s.labels
}

// update gives the rows of a batch to metrics. Where a row has several labels, as the positions of
// a sequence, each of them is a row to the metric.
func (s *scratch) update(metrics []metric.Metric, p *program, b *data.Batch) error {
	n, size := len(b.Rows), p.spec.Target.Size()
	var err error
	if s.scores, err = p.scores(s.scores, n); err != nil {
		return err
	}
	mb := metric.Batch{Scores: s.scores, Width: len(s.scores) / n, Weights: b.W, Index: b.Rows}
	target := b.Y.Slice(0, n*size)
	if p.spec.Target.Kind == data.Int {
		mb.Labels = target.Int
		if b.Mask != nil {
			mb.Labels = s.ignore(target.Int, b.Mask)
		}
		if size > 1 {
			if mb.Width%size != 0 {
				return fmt.Errorf("%d scores for the %d labels of a row", mb.Width, size)
			}
			mb.Width /= size
			if p.across {
				s.turned = classesLast(s.turned, s.scores, n, size)
				mb.Scores = s.turned
			}
			s.weights = s.weights[:0]
			for _, w := range b.W {
				for range size {
					s.weights = append(s.weights, w)
				}
			}
			mb.Weights = s.weights
		}
	} else {
		if cap(s.targets) < target.Len() {
			s.targets = make([]float64, target.Len())
		}
		mb.Targets, mb.Mask = s.targets[:target.Len()], b.Mask
		if err := (data.Column{F64: mb.Targets}).Copy(target); err != nil {
			return err
		}
	}
	for _, m := range metrics {
		if err := measure(m, mb); err != nil {
			return err
		}
	}
	return nil
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
