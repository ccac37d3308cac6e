package train

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

// mistaken is a model with a mistake of practice that is no error.
type mistaken struct {
	name  string
	model Model
	loss  loss.Func
	ds    data.Dataset
	want  string // "" for none
	cheap bool   // Fit notices it by itself
}

func mistakes(t *testing.T) []mistaken {
	t.Helper()
	after := func(units int, f func(h *G.Node) (*G.Node, error)) Model {
		return func(b *Builder, x *G.Node) (*G.Node, error) {
			h, err := b.Dense("out", x, units)
			if err != nil {
				return nil, err
			}
			return f(h)
		}
	}
	node := func(f func(x *G.Node, opts ...loss.Option) (*G.Node, error)) func(h *G.Node) (*G.Node, error) {
		return func(h *G.Node) (*G.Node, error) { return f(h) }
	}
	same := func(h *G.Node) (*G.Node, error) { return h, nil }
	ds := blobs(t, 40, 1)
	x, one, big := make([][]float64, 40), make([]int, 40), make([][]float64, 40)
	halves := make([][]float64, 40)
	for i := range x {
		x[i], one[i] = ds.Input(i).F64, i%3+1
		big[i] = []float64{1e3 * x[i][0], 1e3 * x[i][1], 1e3 * x[i][2]}
		halves[i] = []float64{0.5, 0.5, 0}
	}
	fromOne, err := data.Classes(x, one)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := data.Classes(big, ds.Labels())
	if err != nil {
		t.Fatal(err)
	}
	soft, err := data.Values(x, halves)
	if err != nil {
		t.Fatal(err)
	}
	zeros, err := data.Classes(x, make([]int, 40))
	if err != nil {
		t.Fatal(err)
	}
	return []mistaken{
		{"sound", mlp, loss.CrossEntropy, ds, "", true},
		{"softmax before logits", after(3, node(loss.Softmax)), loss.CrossEntropy, ds, "loss.CrossEntropy: it takes logits and applies the softmax or sigmoid itself, and is given the probabilities of loss.Softmax", true},
		{"sigmoid before logits", after(3, G.Sigmoid), loss.BinaryCrossEntropy, soft,
			"given the probabilities of sigmoid", true},
		{"softmax behind a reshape", after(3, func(h *G.Node) (*G.Node, error) {
			p, err := loss.Softmax(h)
			if err != nil {
				return nil, err
			}
			return G.Reshape(p, h.Shape().Clone())
		}), loss.CrossEntropy, ds, "given the probabilities of", true},
		{"log-softmax twice", after(3, node(loss.LogSoftmax)), loss.CrossEntropy, ds,
			"which loss.LogSoftmax has done already", true},
		{"log of a softmax", after(3, func(h *G.Node) (*G.Node, error) { return G.Log(G.Must(loss.Softmax(h))) }),
			loss.CrossEntropy, ds, "which ln has done already", true},
		{"log-softmax and NLL", after(3, node(loss.LogSoftmax)), loss.NLL, ds, "", true},
		{"logits as log-probabilities", after(3, same), loss.NLL, ds,
			"it takes log-probabilities and is given logits", true},
		{"probabilities as log-probabilities", after(3, node(loss.Softmax)), loss.NLL, ds,
			"it takes log-probabilities and is given probabilities", true},
		{"one class", after(1, same), loss.CrossEntropy, zeros, "a softmax over one class is always 1", true},
		{"labels from 1", after(4, same), loss.CrossEntropy, fromOne,
			"target: the labels of 40 rows are 1 to 3 and never 0, and the model has 4 classes", true},
		{"large inputs", after(3, same), loss.CrossEntropy, wide, "a model that knows nothing has log 3 = 1.0986", true},
		{"dead layer", func(b *Builder, x *G.Node) (*G.Node, error) {
			h, err := b.DenseWith("h", x, 4, Uniform(0.1), Constant(-100))
			if err != nil {
				return nil, err
			}
			return b.Dense("out", G.Must(G.Rectify(h)), 3)
		}, loss.CrossEntropy, ds, "a dead layer, which does not learn", false},
		{"zeros at the start", func(b *Builder, x *G.Node) (*G.Node, error) {
			return b.DenseWith("out", x, 3, Constant(0), Constant(0))
		}, loss.CrossEntropy, ds, "", false},
	}
}

// TestLintData: each mistake is found, once and alone, by LintData, and by Fit where that costs
// nothing; a sound model has none.
func TestLintData(t *testing.T) {
	for _, c := range mistakes(t) {
		found, err := LintData(c.model, c.loss, c.ds)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		check := func(who string, found []Finding) {
			if c.want == "" && len(found) > 0 {
				t.Errorf("%s: %s found %v, want nothing", c.name, who, found)
			}
			if c.want != "" && (len(found) != 1 || !strings.Contains(found[0].String(), c.want)) {
				t.Errorf("%s: %s found %v, want one with %q", c.name, who, found, c.want)
			}
		}
		check("LintData", found)
		if !c.cheap {
			continue
		}
		var warned []Finding
		var log, lines bytes.Buffer
		_, err = Fit(background, c.model, c.loss, c.ds, Config{Epochs: 2, BatchSize: 8, Optimizer: optim.SGD(1e-9),
			Logger: slog.New(slog.NewTextHandler(&log, nil)), Progress: &lines,
			Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
				if e.Kind == Warning {
					warned = append(warned, e.Finding)
				}
				return nil
			})}})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		check("Fit", warned)
		if got := strings.Count(log.String(), "level=WARN"); got != len(warned) {
			t.Errorf("%s: %d warnings in the log, want %d", c.name, got, len(warned))
		}
		if got := strings.Count(lines.String(), "warning: "); got != len(warned) {
			t.Errorf("%s: %d warnings in the progress, want %d", c.name, got, len(warned))
		}
	}
}

// TestLintDataFaults: what cannot be looked at is an error or a finding.
func TestLintDataFaults(t *testing.T) {
	ds := blobs(t, 4, 1)
	if _, err := LintData(linear3, loss.CrossEntropy, nil); err == nil || err.Error() != "train.LintData: dataset is nil" {
		t.Errorf("error %v of no dataset", err)
	}
	if _, err := LintDataNamed(nil, harvest(), garden(t, 4, 1)); err == nil || err.Error() != "train.LintDataNamed: model is nil" {
		t.Errorf("error %v of no model", err)
	}
	if found, err := LintDataNamed(gardener, harvest(), garden(t, 40, 1)); err != nil || len(found) > 0 {
		t.Errorf("a sound model of many fields: %v, %v", found, err)
	}
	apart := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("out", x, 3)
		if err != nil {
			return nil, err
		}
		return loss.LogSoftmax(h)
	}
	spec := data.Spec{Input: ds.Spec().Input, Target: ds.Spec().Input}
	if found, err := Lint(apart, loss.JensenShannon, spec); err != nil || len(found) != 1 || !strings.Contains(found[0].What, "it takes probabilities and is given log-probabilities") {
		t.Errorf("log-probabilities as probabilities: %v, %v", found, err)
	}
	log := func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("out", G.Must(G.Log(x)), 3) }
	found, err := LintData(log, loss.CrossEntropy, ds)
	if err != nil || len(found) != 1 || found[0].What != "the first loss is not finite" || !strings.Contains(found[0].Node, "ln") {
		t.Errorf("logarithms of negative numbers: %v, %v", found, err)
	}
}

// TestResumedRunIsQuiet: a run that goes on does not warn again.
func TestResumedRunIsQuiet(t *testing.T) {
	dir := t.TempDir()
	model := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("out", x, 3)
		if err != nil {
			return nil, err
		}
		return loss.Softmax(h)
	}
	for epochs, want := range []int{0: 0, 1: 1, 2: 0} {
		if epochs == 0 {
			continue
		}
		warnings := 0
		_, err := Fit(background, model, loss.CrossEntropy, blobs(t, 9, 1), Config{Epochs: epochs, Optimizer: optim.SGD(0.1), Checkpoint: &Checkpoint{Dir: dir, Resume: true},
			Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
				if e.Kind == Warning {
					warnings++
				}
				return nil
			})}})
		if err != nil || warnings != want {
			t.Errorf("%d epochs: %d warnings, want %d (%v)", epochs, warnings, want, err)
		}
	}
}
