package train

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

type arrayT = weights.Array

// emptySet is a dataset without rows.
type emptySet struct{ *data.Table }

func (emptySet) Len() int { return 0 }

// TestBadInput: each fault is an error that says what was got and what was wanted.
func TestBadInput(t *testing.T) {
	good := blobs(t, 12, 1)
	sgd := optim.SGD(0.1)
	labels, err := data.Classes([][]float64{{1, 2, 3}, {4, 5, 6}}, []int{1, 7})
	if err != nil {
		t.Fatal(err)
	}
	nan, err := data.Classes([][]float64{{1, 2, 3}, {4, math.NaN(), 6}}, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	wide, err := data.Classes([][]float64{{1, 2, 3, 4}}, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	bare, err := data.Rows([][]float64{{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	node := func(f func(b *Builder, x *G.Node) (*G.Node, error)) Model { return f }
	for _, c := range []struct {
		name  string
		model Model
		loss  loss.Func
		ds    data.Dataset
		cfg   Config
		want  string
	}{
		{"no model", nil, loss.CrossEntropy, good, Config{Epochs: 1, Optimizer: sgd}, "model is nil"},
		{"no loss", linear3, nil, good, Config{Epochs: 1, Optimizer: sgd}, "loss is nil"},
		{"no dataset", linear3, loss.CrossEntropy, nil, Config{Epochs: 1, Optimizer: sgd}, "dataset is nil"},
		{"no rows", linear3, loss.CrossEntropy, emptySet{good}, Config{Epochs: 1, Optimizer: sgd}, "dataset has no rows"},
		{"no optimizer", linear3, loss.CrossEntropy, good, Config{Epochs: 1}, "no Optimizer"},
		{"no epochs", linear3, loss.CrossEntropy, good, Config{Optimizer: sgd}, "Epochs is 0, want at least 1"},
		{"negative batch", linear3, loss.CrossEntropy, good, Config{Epochs: 1, Optimizer: sgd, BatchSize: -3},
			"BatchSize is -3"},
		{"rate", linear3, loss.CrossEntropy, good, Config{Epochs: 1, Optimizer: optim.Adam(-1)}, "rate is -1"},
		{"optimizer option", linear3, loss.CrossEntropy, good,
			Config{Epochs: 1, Optimizer: optim.SGD(1, optim.WithBetas(.9, .9))}, "WithBetas is not an option"},
		{"dtype", linear3, loss.CrossEntropy, good, Config{Epochs: 1, Optimizer: sgd, DType: tensor.Int}, "DType is int"},
		{"nil metric", linear3, loss.CrossEntropy, good,
			Config{Epochs: 1, Optimizer: sgd, Metrics: []metric.Metric{nil}}, "nil in Metrics"},
		{"label", linear3, loss.CrossEntropy, labels, Config{Epochs: 1, Optimizer: sgd, KeepOrder: true}, "7"},
		{"NaN feature", linear3, loss.CrossEntropy, nan, Config{Epochs: 1, Optimizer: sgd},
			"input of row 1 has NaN at element 1"},
		{"no target", linear3, loss.CrossEntropy, bare, Config{Epochs: 1, Optimizer: sgd}, "no targets"},
		{"validation shape", linear3, loss.CrossEntropy, good, Config{Epochs: 1, Optimizer: sgd, Validation: wide},
			"has inputs float (4), want float (3)"},
		{"class weights", linear3, loss.CrossEntropy, good,
			Config{Epochs: 1, Optimizer: sgd, ClassWeights: []float64{1, 1}}, "2 class weights"},
		{"group", linear3, loss.CrossEntropy, good,
			Config{Epochs: 1, Optimizer: sgd, Groups: []optim.Group{{Match: "*.bais"}}}, "no parameter"},
		{"monitor", linear3, loss.CrossEntropy, good,
			Config{Epochs: 1, Optimizer: sgd, EarlyStop: &EarlyStop{Patience: 1}}, `"val_loss", which is not measured`},
		{"no parameters", node(func(b *Builder, x *G.Node) (*G.Node, error) { return x, nil }), loss.CrossEntropy, good,
			Config{Epochs: 1, Optimizer: sgd}, "no parameters"},
		{"nil output", node(func(b *Builder, x *G.Node) (*G.Node, error) { return nil, nil }), loss.CrossEntropy, good,
			Config{Epochs: 1, Optimizer: sgd}, "nil node"},
		{"panic", node(func(b *Builder, x *G.Node) (*G.Node, error) { panic("oops") }), loss.CrossEntropy, good,
			Config{Epochs: 1, Optimizer: sgd}, "oops"},
		{"name twice", node(func(b *Builder, x *G.Node) (*G.Node, error) {
			h, err := b.Dense("a", x, 3)
			if err != nil {
				return nil, err
			}
			return b.Dense("a", h, 3)
		}), loss.CrossEntropy, good, Config{Epochs: 1, Optimizer: sgd}, `"a.weight" is used twice`},
		{"foreign node", node(func(b *Builder, x *G.Node) (*G.Node, error) {
			return G.NewMatrix(G.NewGraph(), tensor.Float32, G.WithShape(12, 3), G.WithName("z")), nil
		}), loss.CrossEntropy, good, Config{Epochs: 1, Optimizer: sgd}, "another graph"},
		{"loss and target", linear3, loss.MSE, good, Config{Epochs: 1, Optimizer: sgd}, "loss.MSE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Fit(background, c.model, c.loss, c.ds, c.cfg)
			if err == nil || !strings.HasPrefix(err.Error(), "train.Fit: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one of train.Fit with %q", err, c.want)
			}
		})
	}
	if _, err := Fit(nilContext(), linear3, loss.CrossEntropy, good, Config{Epochs: 1, Optimizer: sgd}); err == nil {
		t.Error("no error for a nil context")
	}
}

func nilContext() context.Context { return nil }

func TestRaggedRows(t *testing.T) {
	if _, err := data.Classes([][]float64{{1, 2}, {1}}, []int{0, 1}); err == nil || !strings.Contains(err.Error(), "row 1 has 1 numbers, want 2") {
		t.Errorf("ragged rows: %v", err)
	}
	if _, err := data.Classes([][]float64{}, nil); err == nil || !strings.Contains(err.Error(), "no rows") {
		t.Errorf("no rows: %v", err)
	}
}
