package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/weights"
	"gorgonia.org/tensor"
)

// A Net is a model with its parameters. [Fit] returns one, and [Load] reads one. Its methods are
// safe for concurrent use and run in parallel; while the model is being trained, they alternate
// with the steps.
type Net struct {
	model  Network
	about  description
	params *paramSet

	predictors predictors
	evaluators evaluators
}

// errNoModel is what becomes of a zero Net.
var errNoModel = errors.New("the Net is empty; one comes from Fit or Load")

// errNoContext is what becomes of a nil context.
var errNoContext = errors.New("context is nil")

// DType returns the type of the parameters.
func (n *Net) DType() tensor.Dtype {
	if n.params == nil {
		return tensor.Dtype{}
	}
	return n.params.dtype
}

// Spec describes the examples of a [Model], as [Net.Fields] does for a [Network].
func (n *Net) Spec() data.Spec { return n.about.fields.Spec() }

// Fields describes the examples that the model was trained on.
func (n *Net) Fields() data.Fields { return n.about.fields }

// Params returns copies of all parameters, in the order in which the model made them.
func (n *Net) Params() []*weights.Array {
	if n.params == nil {
		return nil
	}
	n.params.mu.RLock()
	defer n.params.mu.RUnlock()
	return cloneAll(n.params.list)
}

// Size returns the total number of elements of all parameters.
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
func (n *Net) checkInput(name string, ds data.Records) error {
	if n.params == nil {
		return errNoModel
	}
	if err := checkData(name, ds); err != nil {
		return err
	}
	return checkInputs(name, ds.Fields().Inputs, n.about.fields.Inputs)
}

// eachBatch reads the rows [from, to) of a dataset in order.
func eachBatch(ctx context.Context, ds data.Records, from, to, size, ahead int, single bool, use func(*data.Batch) error) error {
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
	net   *Net
	ds    data.Records
	ahead int                  // batches that are read before they are needed
	told  func(done int) error // called after each batch with the rows so far, if not nil
	graph time.Duration        // in which it ran
}

func newEvaluator(n *Net, objective Objective, ds data.Records, batch int, metrics []metric.Metric) (*evaluator, error) {
	if err := n.checkInput("dataset", ds); err != nil {
		return nil, err
	}
	if err := objective.check(); err != nil {
		return nil, err
	}
	if objective.lossless() && len(metrics) == 0 {
		return nil, errors.New("neither a loss nor a metric to measure")
	}
	p, err := n.compile(min(batch, ds.Len()), purpose{objective: objective, fields: ds.Fields(), metrics: metrics})
	if err != nil {
		return nil, err
	}
	return &evaluator{program: p, net: n, ds: ds}, nil
}

func fresh(metrics []metric.Metric) []metric.Metric {
	out := make([]metric.Metric, len(metrics))
	for i, m := range metrics {
		out[i] = m.New()
	}
	return out
}

// measure runs the first rows of the dataset through the graph.
func (e *evaluator) measure(ctx context.Context, rows int, metrics []metric.Metric) (Values, error) {
	all, err := e.sums(ctx, 0, rows, metrics)
	if err != nil {
		return nil, err
	}
	return e.measured(all, metrics)
}

// sums runs the rows [from, to) through the graph and returns the numerators and denominators.
func (e *evaluator) sums(ctx context.Context, from, to int, metrics []metric.Metric) (means, error) {
	e.net.params.mu.RLock()
	defer e.net.params.mu.RUnlock()
	var all means
	done := 0
	err := eachBatch(ctx, e.ds, from, to, e.batch, e.ahead, e.single, func(b *data.Batch) error {
		if err := e.load(b, nil); err != nil {
			return err
		}
		start := time.Now()
		err := e.run(ctx)
		e.graph += time.Since(start)
		if err != nil {
			return fmt.Errorf("a batch of the rows %s: %w", someRows(b.Rows), err)
		}
		all.add(e.parts(sum(b.W)))
		if err := e.update(metrics, b); err != nil {
			return err
		}
		if done += len(b.Rows); e.told != nil {
			return e.told(done)
		}
		return nil
	})
	return all, err
}

// measured returns the losses and the metrics by their names.
func (e *evaluator) measured(all means, metrics []metric.Metric) (Values, error) {
	v := make(Values)
	if len(e.terms) > 0 {
		if err := e.show(all, v); err != nil {
			return nil, err
		}
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
