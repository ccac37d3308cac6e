package train

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestAgainGradients: the gradient of what is applied twice is the sum over both uses.
func TestAgainGradients(t *testing.T) {
	twice := func(layer func(b *Builder, x *G.Node) (*G.Node, error)) func(b *Builder, x, _ *G.Node) (*G.Node, error) {
		return func(b *Builder, x, _ *G.Node) (*G.Node, error) {
			first, err := layer(b, x)
			if err != nil {
				return nil, err
			}
			second, err := layer(b.Again(), G.Must(G.Square(x)))
			if err != nil {
				return nil, err
			}
			return G.HadamardProd(G.Must(G.Tanh(first)), second)
		}
	}
	for _, c := range []struct {
		name    string
		shape   []int
		lengths bool
		layer   func(b *Builder, x, lengths *G.Node) (*G.Node, error)
	}{
		{"dense", []int{3}, false, twice(func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("d", x, 2) })},
		{"dense of itself", []int{3}, false, func(b *Builder, x, _ *G.Node) (*G.Node, error) {
			x, err := b.Dense("d", x, 3)
			if err != nil {
				return nil, err
			}
			return b.Again().Dense("d", G.Must(G.Tanh(x)), 3)
		}},
		{"convolution", []int{3, 3, 2}, false, twice(func(b *Builder, x *G.Node) (*G.Node, error) {
			return b.Conv2D("c", x, 2, Window{Height: 2, Width: 2})
		})},
		{"states", []int{3, 2}, false, twice(func(b *Builder, x *G.Node) (*G.Node, error) { s, _, err := b.GRU("g", x, nil, 2); return s, err })},
		{"layer norm", []int{3}, false, twice(func(b *Builder, x *G.Node) (*G.Node, error) { return b.LayerNorm("n", x) })},
		{"batch norm", []int{2}, false, twice(func(b *Builder, x *G.Node) (*G.Node, error) { return b.BatchNorm("n", x) })},
		{"products of words", []int{2}, true, func(b *Builder, x, lengths *G.Node) (*G.Node, error) {
			word, err := b.Embedding("e", lengths, 3, 2)
			if err != nil {
				return nil, err
			}
			other, err := b.Again().Embedding("e", lengths, 3, 2)
			if err != nil {
				return nil, err
			}
			return b.Dot(G.Must(G.Reshape(G.Must(G.Add(other, x)), tensor.Shape{b.Batch(), 1, 2})), word)
		}},
	} {
		t.Run(c.name, func(t *testing.T) { checkLayer(t, c.shape, c.lengths, c.layer) })
	}
}

// siamese scores two inputs by the difference of their encodings.
func siamese(b *Builder, in Nodes) (Nodes, error) {
	encode := func(b *Builder, x *G.Node) (*G.Node, error) {
		x, err := b.Dense("hidden", x, 4)
		if err != nil {
			return nil, err
		}
		if x, err = b.BatchNorm("norm", x); err != nil {
			return nil, err
		}
		return b.Dropout("drop", x, 0.3)
	}
	x, err := encode(b, in["x"])
	if err != nil {
		return nil, err
	}
	y, err := encode(b.Again(), in["y"])
	if err != nil {
		return nil, err
	}
	out, err := b.Dense("out", G.Must(G.Abs(G.Must(G.Sub(x, y)))), 3)
	return Nodes{"class": out}, err
}

// TestAgainIsSaved: a siamese network has its parameters once, draws two masks of dropout, resumes to
// the bit and is loaded as it was saved.
func TestAgainIsSaved(t *testing.T) {
	_, _, _, ds := pairsOf(t)
	objective := Objective{{Output: "class", Target: "labels", Loss: loss.CrossEntropy}}
	fit := func(ctx context.Context, dir string, callbacks ...Callback) (*Result, error) {
		return FitNamed(ctx, siamese, objective, ds, Config{Epochs: 3, BatchSize: 4, Optimizer: optim.Adam(0.05), Seed: 5, Callbacks: callbacks,
			Checkpoint: &Checkpoint{Dir: dir, Resume: true, EverySteps: 1}})
	}
	want, err := fit(background, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range want.Params() {
		names = append(names, a.Name)
	}
	once := []string{"hidden.weight", "hidden.bias", "norm.running_mean", "norm.running_var", "norm.weight", "norm.bias", "out.weight", "out.bias"}
	if !slices.Equal(names, once) {
		t.Errorf("parameters %q, want %q", names, once)
	}
	s, err := SummarizeNamed(siamese, ds.Fields())
	if err != nil || len(s.Params) != len(once) || s.Size != 3*4+4+4*4+4*3+3 {
		t.Errorf("summary %v (%v)", s, err)
	}
	f, err := build(siamese, ds.Fields().Inputs, newParamSet(tensor.Float64, 1), 40, true)
	if err != nil || len(f.noises) != 2 || len(f.averages) != 2 {
		t.Fatalf("%v (%v)", f, err)
	}
	for _, n := range f.noises {
		n.draw(1, 1)
	}
	if slices.Equal(f.noises[0].buf.F64, f.noises[1].buf.F64) {
		t.Error("both uses drop the same numbers")
	}
	for step := 1; step < want.Steps; step += 3 {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(background)
		fit(ctx, dir, stopAt(step, cancel)) // its error is that of the context
		cancel()
		got, err := fit(background, dir)
		if err != nil {
			t.Fatal(err)
		}
		sameRun(t, "resumed", got, want)
	}
	path := t.TempDir() + "/net"
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadNamed(path, siamese)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := want.EvaluateNamed(background, objective, ds)
	b, errB := loaded.EvaluateNamed(background, objective, ds)
	if errA != nil || errB != nil || a["loss"] != b["loss"] {
		t.Errorf("loss %v (%v) and loaded %v (%v)", a, errA, b, errB)
	}
}

// TestAgainErrors: Again makes nothing new.
func TestAgainErrors(t *testing.T) {
	for want, second := range map[string]func(b *Builder, x *G.Node) (*G.Node, error){
		`train.Param: Again: the model has not used the parameter "other.weight" before`: func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("other", x, 3) },
		`train.Param: Again: "d.weight" has shape [3 2], want [3 3] as at its first use`: func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("d", x, 2) },
		`train.Dropout: Again: the model has not used the name "drop" before`:            func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dropout("drop", x, 0.5) },
		`train.Param: Again: the model has not used the parameter "n.running_mean"`:      func(b *Builder, x *G.Node) (*G.Node, error) { return b.BatchNorm("n", x) },
	} {
		_, err := Summarize(func(b *Builder, x *G.Node) (*G.Node, error) {
			x, err := b.Dense("d", x, 3)
			if err != nil {
				return nil, err
			}
			return second(b.Again(), x)
		}, data.Spec{Input: data.Field{Kind: data.Float, Shape: []int{3}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
