package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// garden is n rows with a field of every kind: real numbers, a category, sequences and their
// lengths as inputs, labels of which some are ignored, real targets of which some are missing and
// labels of sequences as targets.
func garden(t testing.TB, n int, seed uint64) *data.Frame {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	var sizes, heights [][]float64
	var colours, species []int
	var words, tags [][]int
	weights := make([]float64, n)
	for i := range n {
		kind := rng.IntN(3)
		sizes = append(sizes, []float64{rng.NormFloat64() + float64(kind), rng.NormFloat64()})
		heights = append(heights, []float64{float64(kind) + rng.NormFloat64(), rng.NormFloat64()})
		if i%4 == 1 {
			heights[i][i%2] = math.NaN()
		}
		colours, species = append(colours, rng.IntN(4)), append(species, kind)
		if i%5 == 2 {
			species[i] = -100
		}
		var word, tag []int
		for range 1 + rng.IntN(3) {
			w := 1 + rng.IntN(5)
			word, tag = append(word, w), append(tag, w%2)
		}
		words, tags, weights[i] = append(words, word), append(tags, tag), 0.5+rng.Float64()
	}
	f, err := data.NewFrame(
		map[string]data.Series{"sizes": data.Numbers(sizes), "colour": data.Labels(colours),
			"words": data.Sequences(words, 3, 0), "length": data.Lengths(words)},
		map[string]data.Series{"species": data.Labels(species), "height": data.Numbers(heights).WithoutMissing(),
			"tags": data.Sequences(tags, 3, -100)})
	if err == nil {
		f, err = f.WithWeights(weights)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// gardener uses every input of a garden: a table for the colour, the state after the words up to
// their length, and numbers.
func gardener(b *Builder, in Nodes) (Nodes, error) {
	colour, err := b.Embedding("colour", in["colour"], 4, 2)
	if err != nil {
		return nil, err
	}
	words, err := b.Embedding("words", in["words"], 6, 3)
	if err != nil {
		return nil, err
	}
	_, state, err := b.GRU("state", words, in["length"], 3)
	if err != nil {
		return nil, err
	}
	h, err := b.Concat(in["sizes"], colour, state)
	if err != nil {
		return nil, err
	}
	if h, err = b.Dense("hidden", h, 6); err != nil {
		return nil, err
	}
	if h, err = b.Dropout("drop", G.Must(G.Tanh(h)), 0.2); err != nil {
		return nil, err
	}
	out := make(Nodes)
	for _, o := range []struct {
		name  string
		units int
	}{{"species", 3}, {"height", 2}, {"mean", 2}, {"logvar", 2}} {
		if out[o.name], err = b.Dense(o.name, h, o.units); err != nil {
			return nil, err
		}
	}
	flat := G.Must(G.Reshape(words, tensor.Shape{b.Batch() * 3, 3}))
	if flat, err = b.Dense("tags", flat, 2); err != nil {
		return nil, err
	}
	out["tags"] = G.Must(G.Reshape(flat, tensor.Shape{b.Batch(), 3, 2}))
	return out, nil
}

// harvest has a term of every kind: with labels that are ignored, with a mask, of two outputs, and
// of sequences.
func harvest() Objective {
	return Objective{
		{Output: "species", Target: "species", Loss: loss.CrossEntropy},
		{Output: "height", Target: "height", Loss: loss.Huber, Factor: 0.25},
		{Name: "divergence", Factor: 0.1, Build: func(out, _ Nodes, opts ...loss.Option) (*G.Node, error) {
			return loss.StandardGaussianKL(out["mean"], out["logvar"], opts...)
		}},
		{Output: "tags", Target: "tags", Loss: loss.CrossEntropy},
	}
}

func gardenConfig(t testing.TB, dir string) Config {
	c := Config{Epochs: 4, BatchSize: 8, Optimizer: optim.Adam(0.02), Seed: 3, ValidationRecords: garden(t, 21, 9),
		Metrics: []metric.Metric{metric.NewAccuracy(), On("height", "height", metric.NewMAE()),
			On("tags", "tags", metric.NewAccuracy())},
		EarlyStop: &EarlyStop{Patience: 3, Monitor: "val_divergence"}}
	if dir != "" {
		c.Checkpoint = &Checkpoint{Dir: dir, Resume: true, EverySteps: 1, Monitor: "val_height_mae"}
	}
	return c
}

func mustFitNamed(t testing.TB, ds data.Records, cfg Config) *Result {
	t.Helper()
	res, err := FitNamed(background, gardener, harvest(), ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestOneInputIsNamed: a run of one input is one with names, to the bit.
func TestOneInputIsNamed(t *testing.T) {
	ds := blobs(t, 30, 4)
	cfg := Config{Epochs: 3, BatchSize: 8, Optimizer: optim.Adam(0.1), Metrics: []metric.Metric{metric.NewAccuracy()}}
	want := mustFit(t, mlp, ds, cfg)
	x, y := data.Column{}, data.Column{Int: ds.Labels()}
	for i := range ds.Len() {
		x.F64 = append(x.F64, ds.Input(i).F64...)
	}
	f, err := data.NewFrame(map[string]data.Series{"x": data.NewSeries(ds.Spec().Input, x)}, map[string]data.Series{"y": data.NewSeries(ds.Spec().Target, y)})
	if err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, in Nodes) (Nodes, error) {
		n, err := mlp(b, in["x"])
		return Nodes{"logits": n}, err
	}
	cfg.Metrics = fresh(cfg.Metrics)
	got, err := FitNamed(background, model, Objective{{Output: "logits", Target: "y", Loss: loss.CrossEntropy}}, f, cfg)
	if err != nil {
		t.Fatal(err)
	}
	sameRun(t, "with names", got, want)
}

// TestTermsByHand compares the values of an epoch with those that package eager's formulas give by
// hand: with parameters of 0 every probability is 1/3, and a height is compared with 0.
func TestTermsByHand(t *testing.T) {
	f, err := data.NewFrame(map[string]data.Series{"x": data.Numbers([][]float64{{1}, {2}, {3}})},
		map[string]data.Series{"a": data.Labels([]int{0, -100, -100}),
			"b": data.Numbers([][]float64{{2}, {4}, {math.NaN()}}).WithoutMissing()})
	if err != nil {
		t.Fatal(err)
	}
	if f, err = f.WithWeights([]float64{1, 3, 1}); err != nil {
		t.Fatal(err)
	}
	model := func(b *Builder, in Nodes) (Nodes, error) {
		a, err := b.DenseWith("a", in["x"], 3, Constant(0), nil)
		if err != nil {
			return nil, err
		}
		c, err := b.DenseWith("b", in["x"], 1, Constant(0), nil)
		return Nodes{"a": a, "b": c}, err
	}
	o := Objective{{Output: "a", Target: "a", Loss: loss.CrossEntropy, Factor: 2}, {Output: "b", Target: "b", Loss: loss.MSE, Factor: -0.5}}
	for _, size := range []int{1, 2, 3} {
		var steps []Values
		cfg := Config{Epochs: 1, BatchSize: size, KeepOrder: true, Optimizer: optim.SGD(0.1), DType: tensor.Float64, ValidationRecords: f, ValidationBatch: size,
			Groups:    []optim.Group{{Match: "*", Frozen: true}},
			Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error { steps = append(steps, e.Terms); return nil })}}
		res, err := FitNamed(background, model, o, f, cfg)
		if err != nil {
			t.Fatal(err)
		}
		// a: log 3 of the one row that counts; b: (1·4 + 3·16)/4 = 13. 2·log 3 - 13/2.
		want := Values{"a": math.Log(3), "b": 13, "loss": 2*math.Log(3) - 6.5}
		v, err := res.EvaluateNamed(background, o, f)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			for _, got := range []float64{res.History.Last(name), res.History.Last("val_" + name), v[name]} {
				if math.Abs(got-w) > 1e-14 {
					t.Errorf("batches of %d: %s is %v, want %v", size, name, got, w)
				}
			}
		}
		if first := steps[1]; math.Abs(first["a"]-math.Log(3)) > 1e-14 {
			t.Errorf("batches of %d: the first step has the terms %v", size, first)
		}
	}
}

// TestNamedBatches: the losses of a run do not depend on the batches of an evaluation.
func TestNamedBatches(t *testing.T) {
	ds := garden(t, 37, 1)
	cfg := gardenConfig(t, "")
	cfg.DType = tensor.Float64
	res := mustFitNamed(t, ds, cfg)
	want, err := res.EvaluateNamed(background, harvest(), ds, On("height", "height", metric.NewMAE()))
	if err != nil {
		t.Fatal(err)
	}
	sum := want["species"] + 0.25*want["height"] + 0.1*want["divergence"] + want["tags"]
	if len(want) != 6 || math.Abs(want["loss"]-sum) > 1e-12 {
		t.Errorf("values %v, want a loss of %v and those of its terms", want, sum)
	}
	for _, size := range []int{1, 5, 37} {
		cfg.Epochs, cfg.BatchSize, cfg.Groups, cfg.EarlyStop = 1, size, []optim.Group{{Match: "*", Frozen: true}}, nil
		cfg.ValidationRecords, cfg.ValidationBatch = ds, size
		frozen := mustFitNamed(t, ds, cfg)
		if size == 1 {
			want, err = frozen.EvaluateNamed(background, harvest(), ds)
			if err != nil {
				t.Fatal(err)
			}
		}
		for name, w := range want {
			if name == "height_mae" {
				continue
			}
			// Sums of 37 rows in another order.
			if got := frozen.History.Last("val_" + name); !(math.Abs(got-w) < 1e-12) {
				t.Errorf("batches of %d: %s is %v, want %v", size, name, got, w)
			}
		}
	}
}

// TestResumeNamed stops a run at every step and goes on: the end is the same to the bit.
func TestResumeNamed(t *testing.T) {
	ds := garden(t, 30, 1)
	want := mustFitNamed(t, ds, gardenConfig(t, ""))
	if want.Steps < 12 {
		t.Fatalf("%d steps, want 12 to stop at", want.Steps)
	}
	for step := 1; step <= want.Steps; step += 3 {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(background)
		cfg := gardenConfig(t, dir)
		cfg.Callbacks = []Callback{stopAt(step, cancel)}
		if _, err := FitNamed(ctx, gardener, harvest(), ds, cfg); step < want.Steps && !errors.Is(err, context.Canceled) {
			t.Fatalf("step %d: %v", step, err)
		}
		sameRun(t, "resumed", mustFitNamed(t, ds, gardenConfig(t, dir)), want)
		cancel()
	}
	dir := t.TempDir()
	cfg := gardenConfig(t, dir)
	cfg.Epochs = 1
	mustFitNamed(t, ds, cfg)
	other := harvest()
	other[1].Factor = 0.5
	if _, err := FitNamed(background, gardener, other, ds, gardenConfig(t, dir)); err == nil || !strings.Contains(err.Error(), "is of another run: loss is") {
		t.Errorf("error %v of another factor", err)
	}
	swapped := func(b *Builder, in Nodes) (Nodes, error) {
		out, err := gardener(b, in)
		if err == nil {
			out["mean"], out["logvar"] = out["logvar"], out["mean"]
		}
		return out, err
	}
	if _, err := FitNamed(background, swapped, harvest(), ds, gardenConfig(t, dir)); err == nil || !strings.Contains(err.Error(), "is of another run: model is") {
		t.Errorf("error %v of outputs that have changed places", err)
	}
}

// TestNamedFiles: a model with names is saved, loaded and predicts all outputs; what watches a run
// sees its terms.
func TestNamedFiles(t *testing.T) {
	ds, dir := garden(t, 30, 1), t.TempDir()
	cfg := gardenConfig(t, filepath.Join(dir, "c"))
	var lines bytes.Buffer
	cfg.Progress, cfg.Callbacks = &lines, []Callback{NewTensorBoard(dir, 1)}
	res := mustFitNamed(t, ds, cfg)
	if !strings.Contains(lines.String(), "  divergence ") || !strings.Contains(lines.String(), "  val_tags_accuracy ") {
		t.Errorf("progress:\n%s", lines.String())
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"step/divergence", "step/species", "epoch/val_height", "epoch/height_mae"} {
		if !bytes.Contains(text, []byte(tag)) {
			t.Errorf("no scalar %s in the event file", tag)
		}
	}
	if err := res.Save(filepath.Join(dir, "m")); err != nil {
		t.Fatal(err)
	}
	net, err := LoadNamed(filepath.Join(dir, "m"), gardener)
	if err != nil {
		t.Fatal(err)
	}
	if f := net.Fields(); len(f.Inputs) != 4 || !f.Targets["height"].Equal(data.Field{Kind: data.Float, Shape: []int{2}}) {
		t.Errorf("loaded fields %+v", f)
	}
	bare, err := ds.Select([]string{"sizes", "colour", "words", "length"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := res.PredictNamed(background, ds)
	if err != nil {
		t.Fatal(err)
	}
	got, err := net.PredictNamed(background, bare)
	if err != nil || len(got) != 5 || !got["tags"].Shape().Eq(tensor.Shape{30, 3, 2}) {
		t.Fatal(len(got), err)
	}
	for name, w := range want {
		if !slices.Equal(got[name].Data().([]float32), w.Data().([]float32)) {
			t.Errorf("%s of the loaded model differs", name)
		}
	}
	if best, err := LoadBestNamed(filepath.Join(dir, "c"), gardener); err != nil || best.Size() != net.Size() {
		t.Errorf("best %v, %v", best, err)
	}
	if _, err := net.Predict(background, blobs(t, 3, 1)); err == nil || !strings.Contains(err.Error(), `dataset has no input "colour", only ["input"]`) {
		t.Errorf("error %v of a dataset without the inputs", err)
	}
	if _, err := Load(filepath.Join(dir, "m"), linear3); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("error %v of a model with another input", err)
	}
	found, err := LintNamed(gardener, harvest(), ds.Fields())
	if err != nil || len(found) != 0 {
		t.Errorf("lint found %v, %v", found, err)
	}
}
