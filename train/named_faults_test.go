package train

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

// TestNamedFaults: what does not fit is an error that names the field, the output or the term.
func TestNamedFaults(t *testing.T) {
	ds := garden(t, 12, 1)
	with := func(change func(o Objective) Objective) Objective { return change(harvest()) }
	add := func(terms ...Term) Objective { return append(harvest(), terms...) }
	outputs := func(change func(out Nodes)) Network {
		return func(b *Builder, in Nodes) (Nodes, error) {
			out, err := gardener(b, in)
			if err == nil {
				change(out)
			}
			return out, err
		}
	}
	mse := func(out, target Nodes, opts ...loss.Option) (*G.Node, error) {
		return loss.MSE(out["height"], target["hieght"], opts...)
	}
	cfg := Config{Epochs: 1, Optimizer: optim.SGD(0.1)}
	for want, c := range map[string]struct {
		model     Network
		objective Objective
		ds        data.Records
		change    func(c *Config)
	}{
		"model is nil":              {nil, harvest(), ds, nil},
		"dataset is nil":            {gardener, harvest(), nil, nil},
		"the objective has no loss": {gardener, nil, ds, nil},
		"the model returned no outputs": {func(*Builder, Nodes) (Nodes, error) { return nil, nil }, harvest(),
			ds, nil},
		`a nil node as its output "species"`: {outputs(func(out Nodes) { out["species"] = nil }), harvest(), ds, nil},
		`output "tags" has shape (3), want 5 rows`: {outputs(func(out Nodes) {
			out["tags"] = G.Must(G.Sum(out["species"], 0))
		}), harvest(), ds, func(c *Config) { c.BatchSize = 5 }},
		`no term and no metric uses the output "extra"`: {outputs(func(out Nodes) { out["extra"] = out["mean"] }),
			harvest(), ds, nil},
		`no term and no metric uses the target "tags"`: {gardener,
			append(with(func(o Objective) Objective { return o[:3] }), Term{Output: "tags"}), ds, nil},
		`no output of the model depends on the input "colour"`: {func(b *Builder, in Nodes) (Nodes, error) {
			h, err := b.Dense("h", in["sizes"], 2)
			return Nodes{"height": h}, err
		}, Objective{{Output: "height", Target: "height", Loss: loss.MSE}},
			mustSelect(t, ds, []string{"colour", "sizes"}, []string{"height"}), nil},
		`the model has no output "specie", only ["height" "logvar"`: {gardener,
			add(Term{Output: "specie", Target: "species", Loss: loss.CrossEntropy}), ds, nil},
		`the dataset has no target "weight", only ["height" "spec`: {gardener,
			add(Term{Output: "height", Target: "weight", Loss: loss.MSE, Name: "w"}), ds, nil},
		`the dataset has no targets`: {gardener, harvest(),
			mustSelect(t, ds, []string{"sizes", "colour", "words", "length"}, nil), nil},
		`outputs are ["height" "logvar" "mean" "species" "tags"], targets`: {gardener,
			add(Term{Name: "w", Build: mse}), ds, nil},
		`term "w": its loss depends on the target "height", which is masked: set Target`: {gardener, add(Term{Name: "w", Build: func(out, target Nodes, opts ...loss.Option) (*G.Node, error) {
			return loss.MSE(out["height"], target["height"], opts...)
		}}), ds, nil},
		`two terms have the name "tags"`: {gardener,
			add(Term{Output: "tags", Target: "tags", Loss: loss.CrossEntropy}), ds, nil},
		`a term has the name "loss", which the history uses`: {gardener,
			add(Term{Name: "loss", Output: "tags", Target: "tags", Loss: loss.CrossEntropy}), ds, nil},
		`a metric has the name "tags_accuracy" of a loss`: {gardener, add(Term{Name: "tags_accuracy", Output: "tags", Target: "tags", Loss: loss.CrossEntropy}), ds, func(c *Config) { c.Metrics = []metric.Metric{On("tags", "tags", metric.NewAccuracy())} }},
		`term "w" has the factor NaN`: {gardener,
			add(Term{Name: "w", Output: "tags", Target: "tags", Loss: loss.CrossEntropy, Factor: math.NaN()}), ds, nil},
		`term "w" has a Loss and a Build`: {gardener,
			add(Term{Name: "w", Output: "tags", Target: "tags", Loss: loss.CrossEntropy, Build: mse}), ds, nil},
		`term "w" has the output "tags" and the target ""`: {gardener,
			add(Term{Name: "w", Output: "tags", Loss: loss.CrossEntropy}), ds, nil},
		`term "4" has neither a loss nor an output`: {gardener, add(Term{}), ds, nil},
		`the loss panicked while it was built: oops`: {gardener,
			add(Term{Name: "w", Build: func(Nodes, Nodes, ...loss.Option) (*G.Node, error) { panic("oops") }}), ds, nil},
		`takes one quotient, and the objective has 4 terms`: {gardener, harvest(), ds,
			func(c *Config) { c.Accumulate = 2 }},
		`ClassWeights need one target, the dataset has ["hei`: {gardener, harvest(), ds,
			func(c *Config) { c.ClassWeights = []float64{1} }},
		`the model has no output "leaf", only`: {gardener, harvest(), ds,
			func(c *Config) { c.Metrics = []metric.Metric{On("leaf", "tags", metric.NewAccuracy())} }},
		`metric "tags_accuracy": the dataset has no target`: {gardener, harvest(), ds,
			func(c *Config) { c.Metrics = []metric.Metric{On("tags", "leaf", metric.NewAccuracy())} }},
		`train.On: metric is nil`: {gardener, harvest(), ds,
			func(c *Config) { c.Metrics = []metric.Metric{On("tags", "tags", nil)} }},
		`both Validation and ValidationRecords are set`: {gardener, harvest(), ds, func(c *Config) {
			c.Validation, c.ValidationRecords = blobs(t, 3, 1), ds
		}},
		`validation: dataset has no input "colour", only ["sizes"]`: {gardener, harvest(), ds, func(c *Config) {
			c.ValidationRecords = mustSelect(t, ds, []string{"sizes"}, []string{"species"})
		}},
		`EarlyStop watches "val_divergenc"`: {gardener, harvest(), ds,
			func(c *Config) { c.EarlyStop = &EarlyStop{Patience: 1, Monitor: "val_divergenc"} }},
	} {
		cfg := cfg
		if c.change != nil {
			c.change(&cfg)
		}
		_, err := FitNamed(background, c.model, c.objective, c.ds, cfg)
		if err == nil || !strings.HasPrefix(err.Error(), "train.FitNamed: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one of train.FitNamed with %q", err, want)
		}
	}
}

func mustSelect(t *testing.T, f *data.Frame, inputs, targets []string) data.Records {
	t.Helper()
	s, err := f.Select(inputs, targets)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTermFaults: a term of which nothing counts, and one that is not finite, are named.
func TestTermFaults(t *testing.T) {
	f, err := data.NewFrame(map[string]data.Series{"x": data.Numbers([][]float64{{1}, {-1}})},
		map[string]data.Series{"a": data.Labels([]int{-100, -100}), "b": data.Numbers([][]float64{{2}, {4}})})
	if err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, in Nodes) (Nodes, error) {
		a, err := b.DenseWith("a", in["x"], 3, Constant(0), nil)
		if err != nil {
			return nil, err
		}
		c, err := b.DenseWith("b", in["x"], 1, Constant(1), nil)
		return Nodes{"a": a, "b": c}, err
	}
	o := Objective{{Output: "a", Target: "a", Loss: loss.CrossEntropy}, {Output: "b", Target: "b", Loss: loss.MSE}}
	cfg := Config{Epochs: 1, Optimizer: optim.SGD(0.1)}
	if _, err := FitNamed(background, model, o, f, cfg); err == nil || !strings.Contains(err.Error(), `epoch 1: term "a": every row has weight 0`) {
		t.Errorf("error %v of a term without rows", err)
	}
	o[0] = Term{Name: "log", Output: "a", Build: func(out, _ Nodes, opts ...loss.Option) (*G.Node, error) {
		return loss.Reduce(G.Must(G.Log(out["b"])), opts...)
	}}
	o = append(o, Term{Output: "a"})
	f = mustSelect(t, f, []string{"x"}, []string{"b"}).(*data.Frame)
	var bad *NonFiniteError
	if _, err := FitNamed(background, model, o, f, cfg); !errors.As(err, &bad) || bad.What != `term "log" of the loss` || !strings.Contains(bad.Node, "ln") {
		t.Errorf("error %v of the logarithm of -1", err)
	}
}

// TestOnMerges: a metric of names keeps what a metric promises.
func TestOnMerges(t *testing.T) {
	a, b := On("o", "t", metric.NewAccuracy()), On("o", "t", metric.NewAccuracy())
	batch := metric.Batch{Width: 2, Scores: []float64{1, 0}, Labels: []int{0}}
	if err := b.Update(batch); err != nil {
		t.Fatal(err)
	}
	if err := a.Merge(b); err != nil || a.Value() != 1 || a.Name() != "o_accuracy" {
		t.Errorf("%s is %v after a merge (%v)", a.Name(), a.Value(), err)
	}
	if err := a.Merge(metric.NewAccuracy()); err == nil {
		t.Error("no error for a merge with a metric without names")
	}
	if n := a.New(); !math.IsNaN(n.Value()) || n.Restore(a.State()) != nil || n.Value() != 1 {
		t.Errorf("a new metric restored has %v", n.Value())
	}
}
