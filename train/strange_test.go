package train

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

// weighing is a dataset whose weights are what a stranger makes of them.
type weighing struct {
	*data.Table
	w float64
}

func (d weighing) Weight(int) float64 { return d.w }

// breaking is a metric that panics.
type breaking struct{ metric.Metric }

func (breaking) Name() string              { return "breaking" }
func (b breaking) New() metric.Metric      { return b }
func (breaking) Update(metric.Batch) error { panic("no such class") }

// TestStrangers: what a user's own code gets wrong is an error that says where, at the first step
// at the latest, and never a panic.
func TestStrangers(t *testing.T) {
	ds := blobs(t, 12, 1)
	outside, err := data.Classes([][]float64{{1, 2, 3}, {4, 5, 6}}, []int{0, 7})
	if err != nil {
		t.Fatal(err)
	}
	base := Config{Epochs: 2, BatchSize: 4, Optimizer: optim.SGD(.1), KeepOrder: true}
	with := func(f func(*Config)) Config {
		c := base
		f(&c)
		return c
	}
	var nilTable *data.Table
	for _, c := range []struct {
		name  string
		model Model
		loss  loss.Func
		ds    data.Dataset
		cfg   Config
		want  string
	}{
		{"nil pointer as dataset", linear3, loss.CrossEntropy, nilTable, base, "dataset, a *data.Table, panicked"},
		{"NaN weight", linear3, loss.CrossEntropy, weighing{ds, math.NaN()}, base,
			"step 1: weight of row 0 is NaN, want a finite number"},
		{"infinite weight", linear3, loss.CrossEntropy, weighing{ds, math.Inf(-1)}, base,
			"step 1: weight of row 0 is -Inf, want a finite number"},
		{"negative weight and a metric", linear3, loss.CrossEntropy, weighing{ds, -1}, with(func(c *Config) { c.Metrics = []metric.Metric{metric.NewAccuracy()} }),
			"step 1: metric.Accuracy: weight of row 0 is -1, want a finite number >= 0"},
		{"no weight", linear3, loss.CrossEntropy, weighing{ds, 0}, base, "epoch 1: every row has weight 0"},
		{"no class weight", linear3, loss.CrossEntropy, ds,
			with(func(c *Config) { c.ClassWeights = []float64{0, 0, 0} }), "epoch 1: every row has weight 0"},
		{"no weight in validation", linear3, loss.CrossEntropy, ds, with(func(c *Config) { c.Validation = weighing{ds, 0} }),
			"validation after epoch 1: every row has weight 0"},
		{"label", linear3, loss.CrossEntropy, outside, base,
			"step 1: a batch of the rows 0, 1: loss.CrossEntropy: label is 7 at row 1"},
		{"validation label", linear3, loss.CrossEntropy, ds, with(func(c *Config) { c.Validation = outside }),
			"validation after epoch 1: a batch of the rows 0, 1: loss.CrossEntropy: label is 7 at row 1"},
		{"loss that panics", linear3, func(_, _ *G.Node, _ ...loss.Option) (*G.Node, error) { panic("oops") }, ds, base,
			"the loss panicked while it was built: oops"},
		{"loss that is a vector", linear3, func(p, y *G.Node, o ...loss.Option) (*G.Node, error) {
			return loss.CrossEntropy(p, y, append(o, loss.WithReduction(loss.None))...)
		}, ds, base, "the loss has shape (4), want a scalar"},
		{"loss without rows", linear3, func(p, y *G.Node, o ...loss.Option) (*G.Node, error) { return G.Sum(p) }, ds, base,
			"the loss has shape () without reduction, want 4 rows"},
		{"layer without a name", func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("", x, 3) }, loss.CrossEntropy, ds, base,
			"train.Dense: name is empty"},
		{"metric that panics", linear3, loss.CrossEntropy, ds, with(func(c *Config) { c.Metrics = []metric.Metric{breaking{}} }),
			`step 1: metric "breaking" panicked: no such class`},
		{"metric twice", linear3, loss.CrossEntropy, ds, with(func(c *Config) { c.Metrics = []metric.Metric{metric.NewAccuracy(), metric.NewAccuracy()} }),
			`two entries of Metrics have the name "accuracy"`},
		{"callback that panics", linear3, loss.CrossEntropy, ds, with(func(c *Config) {
			c.Callbacks = []Callback{CallbackFunc(func(context.Context, Event) error { panic("not today") })}
		}), "callback train.CallbackFunc panicked: not today"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Fit(background, c.model, c.loss, c.ds, c.cfg)
			if err == nil || !strings.HasPrefix(err.Error(), "train.Fit: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one of train.Fit with %q", err, c.want)
			}
		})
	}
}

// TestCallbackPanicKeepsTheResult: what was trained before is there.
func TestCallbackPanicKeepsTheResult(t *testing.T) {
	res, err := Fit(background, linear3, loss.CrossEntropy, blobs(t, 12, 1), Config{Epochs: 5, BatchSize: 4, Optimizer: optim.SGD(.1),
		Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == EpochDone && e.Epoch == 2 {
				panic("not today")
			}
			return nil
		})}})
	if err == nil || res == nil || res.Steps != 6 || len(res.History.Epochs) != 2 {
		t.Errorf("result %+v and error %v, want 6 steps in 2 epochs and an error", res, err)
	}
}

// TestEmptyNet: a Net that comes from nowhere says so.
func TestEmptyNet(t *testing.T) {
	var n Net
	ds := blobs(t, 3, 1)
	_, predictErr := n.Predict(background, ds)
	_, evaluateErr := n.Evaluate(background, loss.CrossEntropy, ds)
	for what, err := range map[string]error{"Predict": predictErr, "Evaluate": evaluateErr, "Save": n.Save(filepath.Join(t.TempDir(), "w"))} {
		if err == nil || !strings.Contains(err.Error(), "train."+what+": the Net is empty") {
			t.Errorf("%s: error %v, want one about an empty Net", what, err)
		}
	}
	if n.Size() != 0 || n.Params() != nil {
		t.Errorf("%d numbers in %v, want none", n.Size(), n.Params())
	}
	res := mustFit(t, linear3, ds, Config{Epochs: 1, Optimizer: optim.SGD(.1)})
	if _, err := res.Predict(nilContext(), ds); err == nil {
		t.Error("no error for a nil context in Predict")
	}
	if _, err := res.Evaluate(background, nil, ds, nil); err == nil || !strings.Contains(err.Error(), "nil in Metrics") {
		t.Errorf("error %v, want one about a nil metric", err)
	}
}

// TestResumeAdvice: only a damaged checkpoint is to be removed.
func TestResumeAdvice(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Epochs: 3, Optimizer: optim.SGD(.1), Checkpoint: &Checkpoint{Dir: dir, Resume: true}}
	mustFit(t, linear3, blobs(t, 12, 1), cfg)
	fit := func(rate float64, epochs int) error {
		c := cfg
		c.Optimizer, c.Epochs = optim.SGD(rate), epochs
		_, err := Fit(background, linear3, loss.CrossEntropy, blobs(t, 12, 1), c)
		return err
	}
	if err := fit(.2, 3); err == nil || !strings.Contains(err.Error(), `is of another run: optimizer rate is "0.1" there and "0.2" here`) || strings.Contains(err.Error(), "remove") {
		t.Errorf("another rate: %v", err)
	}
	if err := fit(.1, 2); err == nil || !strings.Contains(err.Error(), "has 3 epochs and Epochs is 2") {
		t.Errorf("fewer epochs: %v", err)
	}
	if _, err := Load(dir, linear3); err == nil || !strings.Contains(err.Error(), "is no checkpoint and holds 2; the newest is "+filepath.Join(dir, stepDir(3))) {
		t.Errorf("the directory of all checkpoints: %v", err)
	}
}
