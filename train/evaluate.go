package train

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// evaluators are the compiled graphs of a model for evaluation that no call is using. A loss is a
// function, which two calls may fill with different things: a graph is used again where the loss
// builds the same operations as it did.
type evaluators struct {
	mu   sync.Mutex
	idle []keptEvaluator // the last used last
	out  map[int]tensor.Shape
}

type keptEvaluator struct {
	*evaluator
	key string
}

// Evaluate measures the model on a dataset without changing it: the mean loss under "loss", and
// under its name the value of each metric, after the rows of the dataset were added to it. lossFn
// may be nil when metrics are given.
//
// The mean loss is that of the whole dataset, however its ignored labels and weights fall into
// batches; an error where no row counts. A loss that is no quotient (see [loss.Parts]) gives the
// mean of its batches, weighted by their rows.
//
// A call has a graph of its own, of at most 256 rows and of no more than the dataset has. The graph
// is kept for later calls with as many rows and a loss that builds the same operations. Calls from
// several goroutines run at the same time, as those of [Net.Predict] do; metrics belong to one
// call.
func (n *Net) Evaluate(ctx context.Context, lossFn loss.Func, ds data.Dataset, metrics ...metric.Metric) (Values, error) {
	if ctx == nil {
		return nil, errors.New("train.Evaluate: context is nil")
	}
	err := checkMetrics(metrics)
	var e keptEvaluator
	if err == nil {
		e, err = n.takeEvaluator(lossFn, ds, len(metrics) > 0)
	}
	if err != nil {
		return nil, fmt.Errorf("train.Evaluate: %w", err)
	}
	defer n.keep(&e)
	v, err := e.measure(ctx, ds, metrics)
	if err != nil {
		return nil, fmt.Errorf("train.Evaluate: %w", err)
	}
	return v, nil
}

// takeEvaluator returns a graph that nobody else uses.
func (n *Net) takeEvaluator(lossFn loss.Func, ds data.Dataset, measured bool) (keptEvaluator, error) {
	s := &n.evaluators
	var key string
	if n.checkInput("dataset", ds) == nil {
		key = n.evaluationKey(lossFn, ds, measured)
	}
	if key != "" {
		s.mu.Lock()
		for i, e := range slices.Backward(s.idle) {
			if e.key == key {
				s.idle = slices.Delete(s.idle, i, i+1)
				s.mu.Unlock()
				return e, nil
			}
		}
		s.mu.Unlock()
	}
	e, err := newEvaluator(n, lossFn, ds, predictBatch, measured)
	if err != nil {
		return keptEvaluator{}, err
	}
	if key == "" {
		s.mu.Lock()
		if s.out == nil {
			s.out = make(map[int]tensor.Shape)
		}
		s.out[e.batch] = e.out.Shape().Clone()
		s.mu.Unlock()
		key = n.evaluationKey(lossFn, ds, measured)
	}
	return keptEvaluator{e, key}, nil
}

// keep keeps a graph for a later call. The one that was not used for the longest time goes where
// there are enough: two for each processor.
func (n *Net) keep(e *keptEvaluator) {
	if e.key == "" {
		e.close()
		return
	}
	s := &n.evaluators
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, *e)
	if len(s.idle) > 2*runtime.GOMAXPROCS(0) {
		s.idle[0].close()
		s.idle = slices.Delete(s.idle, 0, 1)
	}
}

// evaluationKey describes the graph that measures a dataset: its rows, what is read, and the
// operations of the loss with their numbers. It is "" as long as the model's output for such a
// graph is unknown, for a loss that does not go with it, and for one with operations that may hold
// more than they say.
func (n *Net) evaluationKey(lossFn loss.Func, ds data.Dataset, measured bool) string {
	batch := min(predictBatch, ds.Len())
	n.evaluators.mu.Lock()
	out := n.evaluators.out[batch]
	n.evaluators.mu.Unlock()
	if out == nil {
		return ""
	}
	_, masked := ds.(data.Masker)
	key := fmt.Sprint(batch, measured, masked, ds.Spec().Target)
	if lossFn == nil {
		return key
	}
	g := G.NewGraph()
	pred := G.NewTensor(g, n.dtype, len(out), G.WithShape(out...), G.WithName("pred"))
	target, _, err := leaf(g, "target", ds.Spec().Target, n.dtype, batch)
	if err != nil {
		return ""
	}
	cost, err := buildLoss(lossFn, pred, target, loss.WithReduction(loss.None))
	if err != nil {
		return ""
	}
	h := fnv.New128a()
	fmt.Fprint(h, graphIdentity(cost, pred))
	for node := range loss.Walk(cost) {
		op, value := node.Op(), leafValue(node)
		switch {
		case node == pred || node == target:
		case value != nil:
			fmt.Fprint(h, value.Data())
		case op == nil || !transparent(op):
			return ""
		default:
			fmt.Fprint(h, op) // more than the hash of some of Gorgonia's operations
		}
	}
	return fmt.Sprintf("%s %x", key, h.Sum(nil))
}

// transparent reports whether an operation is one of Gorgonia or of package loss, whose names and
// hashes say all that they do.
func transparent(op G.Op) bool {
	t := reflect.TypeOf(op)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	path := t.PkgPath()
	return strings.HasSuffix(path, "gorgonia.org/gorgonia") || strings.HasPrefix(path, "github.com/surprisal-go/surprisal/loss")
}
