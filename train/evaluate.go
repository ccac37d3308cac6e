package train

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	G "gorgonia.org/gorgonia"
)

// evaluators are the compiled graphs of a model for evaluation that no call is using. A loss is a
// function, which two calls may fill with different things: a graph is used again where the losses
// build the same operations as they did.
type evaluators struct {
	mu   sync.Mutex
	idle []keptEvaluator // the last used last
	out  map[int]Nodes   // leaves like the model's outputs, by the number of rows
}

type keptEvaluator struct {
	*evaluator
	key string
}

// Evaluate measures the model on a dataset without changing it. It returns the mean loss under
// "loss" and the value of each metric under its name, after adding the rows of the dataset to the
// metric. lossFn may be nil if metrics are given.
//
// The mean loss is that of the whole dataset, however ignored labels and weights are spread over
// batches; a dataset in which no row counts is an error. For a loss that is not a quotient (see
// [loss.Parts]) it is the mean of the batch losses, weighted by their rows.
//
// Calls run concurrently, as those of [Net.Predict] do; concurrent calls must not share metrics.
// The graph, for at most 256 rows, is kept for later calls with the same number of rows and a loss
// that builds the same operations.
func (n *Net) Evaluate(ctx context.Context, lossFn loss.Func, ds data.Dataset, metrics ...metric.Metric) (Values, error) {
	r, err := records("dataset", ds)
	if err != nil {
		return nil, fmt.Errorf("train.Evaluate: %w", err)
	}
	return n.evaluate(ctx, "Evaluate", objectiveOf(lossFn), r, metrics)
}

// EvaluateNamed is [Net.Evaluate] for records and an objective, and also returns the terms under
// their names. Metrics are as in [FitNamed].
func (n *Net) EvaluateNamed(ctx context.Context, objective Objective, ds data.Records, metrics ...metric.Metric) (Values, error) {
	return n.evaluate(ctx, "EvaluateNamed", objective, ds, metrics)
}

func (n *Net) evaluate(ctx context.Context, name string, objective Objective, ds data.Records,
	metrics []metric.Metric) (v Values, err error) {
	defer func() {
		if err != nil {
			v, err = nil, fmt.Errorf("train.%s: %w", name, err)
		}
	}()
	if ctx == nil {
		return nil, errNoContext
	}
	if err := checkMetrics(metrics); err != nil {
		return nil, err
	}
	e, err := n.takeEvaluator(objective, ds, metrics)
	if err != nil {
		return nil, err
	}
	defer n.keep(e)
	return e.measure(ctx, ds.Len(), metrics)
}

// takeEvaluator returns a graph that nobody else uses.
func (n *Net) takeEvaluator(objective Objective, ds data.Records, metrics []metric.Metric) (keptEvaluator, error) {
	s := &n.evaluators
	var key string
	if n.checkInput("dataset", ds) == nil && objective.check() == nil {
		key = n.evaluationKey(objective, ds, metrics)
	}
	if key != "" {
		s.mu.Lock()
		for i, e := range slices.Backward(s.idle) {
			if e.key == key {
				s.idle = slices.Delete(s.idle, i, i+1)
				s.mu.Unlock()
				e.ds = ds
				return e, nil
			}
		}
		s.mu.Unlock()
	}
	e, err := newEvaluator(n, objective, ds, predictBatch, metrics)
	if err != nil {
		return keptEvaluator{}, err
	}
	if key == "" {
		s.mu.Lock()
		if s.out == nil {
			s.out = make(map[int]Nodes)
		}
		s.out[e.batch] = leavesLike(G.NewGraph(), e.out)
		s.mu.Unlock()
		key = n.evaluationKey(objective, ds, metrics)
	}
	return keptEvaluator{e, key}, nil
}

// keep keeps a graph for a later call. The one that was not used for the longest time goes where
// there are enough: two for each processor.
func (n *Net) keep(e keptEvaluator) {
	if e.key == "" {
		e.close()
		return
	}
	e.ds = nil
	s := &n.evaluators
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, e)
	if len(s.idle) > 2*runtime.GOMAXPROCS(0) {
		s.idle[0].close()
		s.idle = slices.Delete(s.idle, 0, 1)
	}
}

// evaluationKey describes the graph that measures records: its rows, the targets, what metrics
// compare, and of each term what it reads and its operations with their numbers. It is "" as long
// as the model's outputs for such a graph are unknown, for a loss that does not go with them, and
// for one with operations that may hold more than they say.
func (n *Net) evaluationKey(objective Objective, ds data.Records, metrics []metric.Metric) string {
	batch, fields := min(predictBatch, ds.Len()), ds.Fields()
	n.evaluators.mu.Lock()
	out := n.evaluators.out[batch]
	n.evaluators.mu.Unlock()
	if out == nil {
		return ""
	}
	h := fnv.New128a()
	fmt.Fprintf(h, "%d %#v %#v", batch, fields.Targets, fields.Masked)
	for _, m := range metrics {
		output, target := objective.compared(m)
		fmt.Fprintf(h, " metric of %q %q", output, target)
	}
	for i, t := range objective {
		fmt.Fprintf(h, " term %q %v %q %q %v %v", t.label(i), t.factor(), t.Output, t.Target, t.Loss != nil, t.Build != nil)
		if !t.lossless() && !t.describe(h, out, fields.Targets) {
			return ""
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// describe writes the operations of a term with their numbers. It reports false where the term does
// not go with the outputs and targets, or has operations that may hold more than they say.
func (t Term) describe(h io.Writer, out Nodes, targets map[string]data.Field) bool {
	cost, pred, y, err := (&costTerm{Term: t}).trial(out, targets, nil, loss.WithReduction(loss.None))
	if err != nil {
		return false
	}
	var from G.Nodes
	given := make(map[*G.Node]bool)
	for _, name := range slices.Sorted(maps.Keys(pred)) {
		from, given[pred[name]] = append(from, pred[name]), true
	}
	for _, leaf := range y {
		given[leaf] = true
	}
	fmt.Fprint(h, graphIdentity(G.Nodes{cost}, from))
	for node := range loss.Walk(cost) {
		op, value := node.Op(), leafValue(node)
		switch {
		case given[node]:
		case value != nil:
			fmt.Fprint(h, value.Data())
		case op == nil || !transparent(op):
			return false
		default:
			fmt.Fprint(h, op) // more than the hash of some of Gorgonia's operations
		}
	}
	return true
}

// transparent reports whether an operation is one of Gorgonia or of package loss, whose names and
// hashes say all that they do.
func transparent(op G.Op) bool {
	return strings.HasSuffix(packageOf(op), "gorgonia.org/gorgonia") || isLoss(op)
}

// isLoss reports whether an operation is one of package loss.
func isLoss(op G.Op) bool {
	return op != nil && strings.HasPrefix(packageOf(op), "github.com/surprisal-go/surprisal/loss")
}

// packageOf returns the path of the package of an operation's type.
func packageOf(op G.Op) string {
	t := reflect.TypeOf(op)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath()
}
