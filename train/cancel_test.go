package train

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// observed is linear3 on its input after two operations that change nothing and call first and then
// second in each run.
func observed(first, second func()) Model {
	watch := func(name string, x *G.Node, call func()) (*G.Node, error) {
		matrix := tensorType(2, x.Dtype())
		return apply(&op{
			text: name, types: []hm.Type{matrix}, out: matrix, diff: []bool{true},
			shape: func(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil },
			do: func(_ *room, in []G.Value) (G.Value, error) {
				call()
				return in[0], nil
			},
			sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) { return G.Nodes{g}, nil },
		}, x)
	}
	return func(b *Builder, x *G.Node) (*G.Node, error) {
		x, err := watch("first", x, first)
		if err != nil {
			return nil, err
		}
		if x, err = watch("second", x, second); err != nil {
			return nil, err
		}
		return linear3(b, x)
	}
}

// A context that ends during an operation ends the run before the next one, and the step that was
// under way leaves no trace. A step of several batches that has begun its second is finished.
func TestCancelBetweenOperations(t *testing.T) {
	ds := blobs(t, 64, 1)
	for _, c := range []struct {
		batches, at   int // of an update, and that in which the context ends
		steps, second int // that are made, and runs of the second operation
	}{{1, 1, 0, 0}, {1, 6, 5, 5}, {2, 5, 2, 4}, {2, 6, 3, 6}} {
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		first, second := 0, 0
		model := observed(func() {
			if first++; first == c.at {
				cancel()
			}
		}, func() { second++ })
		cfg := Config{Epochs: 50, BatchSize: 16, Accumulate: c.batches, Optimizer: optim.SGD(0.1), Seed: 3}
		res, err := Fit(ctx, model, loss.CrossEntropy, ds, cfg)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), fmt.Sprintf("stopped after step %d,", c.steps)) {
			t.Errorf("%+v: error %v", c, err)
			continue
		}
		if res.Steps != c.steps || first != c.at || second != c.second {
			t.Errorf("%+v: %d steps, %d and %d runs of the operations", c, res.Steps, first, second)
		}
		// the parameters are those after the whole steps
		last, stop := context.WithCancel(background)
		defer stop()
		cfg.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == StepDone && e.Step == c.steps || e.Kind == RunBegin && c.steps == 0 {
				stop()
			}
			return nil
		})}
		want, err := Fit(last, observed(func() {}, func() {}), loss.CrossEntropy, ds, cfg)
		if !errors.Is(err, context.Canceled) || !sameParams(res.Net, want.Net) {
			t.Errorf("%+v: the parameters are not those after %d steps (error %v)", c, c.steps, err)
		}
	}
}

// A run that is cancelled within a step and resumed ends with the bits of one that was not.
func TestCancelledWithinAStepResumes(t *testing.T) {
	ds := blobs(t, 64, 1)
	cfg := Config{Epochs: 3, BatchSize: 16, Optimizer: optim.Adam(0.1), Seed: 3}
	whole := mustFit(t, observed(func() {}, func() {}), ds, cfg)
	cfg.Checkpoint = &Checkpoint{Dir: t.TempDir(), Resume: true}
	ctx, cancel := context.WithCancel(background)
	first := 0
	_, err := Fit(ctx, observed(func() {
		if first++; first == 7 {
			cancel()
		}
	}, func() {}), loss.CrossEntropy, ds, cfg)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if res := mustFit(t, observed(func() {}, func() {}), ds, cfg); !sameParams(res.Net, whole.Net) || res.Steps != whole.Steps {
		t.Errorf("%d steps, want the parameters of %d", res.Steps, whole.Steps)
	}
}

// Prediction and evaluation end between two operations, too.
func TestPredictIsCancelledBetweenOperations(t *testing.T) {
	ds := blobs(t, 64, 1)
	first, second := func() {}, 0
	res := mustFit(t, observed(func() { first() }, func() { second++ }), ds, Config{Epochs: 1, Optimizer: optim.SGD(0.1)})
	for name, call := range map[string]func(ctx context.Context) error{
		"Predict":  func(ctx context.Context) error { _, err := res.Predict(ctx, ds); return err },
		"Evaluate": func(ctx context.Context) error { _, err := res.Evaluate(ctx, loss.CrossEntropy, ds); return err },
	} {
		ctx, cancel := context.WithCancel(background)
		first, second = cancel, 0
		if err := call(ctx); !errors.Is(err, context.Canceled) || second != 0 {
			t.Errorf("%s: error %v after %d runs of the second operation", name, err, second)
		}
		first = func() {}
		if err := call(background); err != nil || second == 0 {
			t.Errorf("%s again: error %v after %d runs of the second operation", name, err, second)
		}
	}
}
