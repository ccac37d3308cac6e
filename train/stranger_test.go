package train

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestAdviceToAuthors: errors of hand-written losses and models tell what to do instead.
func TestAdviceToAuthors(t *testing.T) {
	ds := blobs(t, 30, 1)
	cfg := Config{Epochs: 1, BatchSize: 8, Optimizer: optim.SGD(.1), Validation: blobs(t, 5, 1)}
	var kept *G.Node
	keeping := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("out", x, 3)
		kept = h
		return h, err
	}
	for _, c := range []struct {
		name  string
		model Model
		loss  loss.Func
		want  []string
	}{
		{"options dropped", linear3, func(p, y *G.Node, _ ...loss.Option) (*G.Node, error) { return loss.CrossEntropy(p, y) },
			[]string{"the loss has shape () without reduction, want 8 rows to weight", "gets its weights and its reduction as options, and hands them on",
				"return loss.MSE(pred, target, opts...)"}},
		{"normalizer", linear3, loss.With(loss.CrossEntropy, loss.WithNormalizer(8)),
			[]string{"the loss fixes its own denominator", "leave that out"}},
		{"closure over a model's node", keeping, func(p, y *G.Node, o ...loss.Option) (*G.Node, error) {
			n, err := loss.CrossEntropy(p, y, o...)
			if err != nil {
				return nil, err
			}
			return G.Add(n, G.Must(G.Sum(kept)))
		}, []string{"building the loss for 8 rows", "a node that a model's function has kept belongs to another",
			"return what the loss needs as the model's output"}},
		{"closure in place of the prediction", keeping, func(_, y *G.Node, o ...loss.Option) (*G.Node, error) {
			return loss.CrossEntropy(kept, y, o...)
		}, []string{"loss.CrossEntropy: target belongs to another graph",
			"a node that a model's function has kept belongs to another"}},
		{"model that keeps a node", func(b *Builder, x *G.Node) (*G.Node, error) {
			if kept != nil && kept.Graph() != b.Graph() {
				return G.Add(kept, x)
			}
			h, err := b.Dense("out", x, 3)
			kept = h
			return h, err
		}, loss.CrossEntropy, []string{"building the model for 5 rows", "a model is built in a new graph each time"}},
		{"batch size in a loss", linear3, func(p, y *G.Node, o ...loss.Option) (*G.Node, error) {
			q, err := G.Reshape(p, tensor.Shape{8, 3})
			if err != nil {
				return nil, err
			}
			return loss.CrossEntropy(q, y, o...)
		}, []string{"validation: building the loss for 5 rows", "graphs are built for several numbers of rows"}},
		{"batch size in a model", func(b *Builder, x *G.Node) (*G.Node, error) {
			q, err := G.Reshape(x, tensor.Shape{8, 3})
			if err != nil {
				return nil, err
			}
			return b.Dense("out", q, 3)
		}, loss.CrossEntropy, []string{"validation: building the model for 5 rows",
			"graphs are built for several numbers of rows"}},
		{"nil operand in a model", func(b *Builder, x *G.Node) (*G.Node, error) {
			var w *G.Node
			return G.Must(G.Mul(x, w)), nil
		}, loss.CrossEntropy, []string{"the model panicked while it was built", "nil pointer",
			"(in github.com/surprisal-go/surprisal/train.TestAdviceToAuthors", "stranger_test.go:"}},
	} {
		kept = nil
		_, err := Fit(background, c.model, c.loss, ds, cfg)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q in it", c.name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "reduction is None") {
			t.Errorf("%s: error %v speaks of a reduction that nobody has set", c.name, err)
		}
	}
}

// TestPanicKeepsItsCause: an error that a model or a loss panics with can be found.
func TestPanicKeepsItsCause(t *testing.T) {
	ds := blobs(t, 6, 1)
	cfg := Config{Epochs: 1, Optimizer: optim.SGD(.1)}
	_, err := Fit(background, func(*Builder, *G.Node) (*G.Node, error) { panic(io.ErrUnexpectedEOF) }, loss.CrossEntropy, ds, cfg)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v of a model, want it to wrap the cause", err)
	}
	_, err = Fit(background, linear3, func(*G.Node, *G.Node, ...loss.Option) (*G.Node, error) { panic(io.ErrUnexpectedEOF) }, ds, cfg)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v of a loss, want it to wrap the cause", err)
	}
}

// TestConstantTarget: a loss may compare with constants of its own.
func TestConstantTarget(t *testing.T) {
	fn := func(p, _ *G.Node, o ...loss.Option) (*G.Node, error) {
		rows := p.Shape()[0]
		return loss.MSE(p, G.NewConstant(tensor.New(tensor.WithShape(rows, 3), tensor.WithBacking(make([]float32, 3*rows)))), o...)
	}
	res, err := Fit(background, linear3, fn, blobs(t, 30, 1), Config{Epochs: 40, BatchSize: 8, Optimizer: optim.SGD(.1)})
	if err != nil {
		t.Fatal(err)
	}
	if l := res.History.Last("loss"); !(l < 0.05*res.History.Epochs[0].Values["loss"]) {
		t.Errorf("loss is %v after 40 epochs towards 0", l)
	}
}
