package train

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// fullConfig uses everything that has a state: slots, an adaptive schedule, dropout, metrics, early
// stopping, accumulation.
func fullConfig(t testing.TB, dir string) Config {
	c := Config{
		Epochs: 10, BatchSize: 8, Accumulate: 2, Optimizer: optim.Adam(0.02), Seed: 3, Validation: blobs(t, 40, 9),
		Schedule:  optim.Plateau(optim.PlateauSettings{Factor: 0.7, Patience: 1, MinDelta: 0.01}),
		Metrics:   []metric.Metric{metric.NewAccuracy(), metric.NewPerplexity()},
		EarlyStop: &EarlyStop{Patience: 8}, ClipNorm: 0.5,
	}
	if dir != "" {
		c.Checkpoint = &Checkpoint{Dir: dir, Resume: true, EverySteps: 2}
	}
	return c
}

// sameRun fails unless two results agree in every bit but the times.
func sameRun(t *testing.T, how string, got, want *Result) {
	t.Helper()
	if !sameParams(got.Net, want.Net) {
		t.Errorf("%s: the parameters differ", how)
	}
	if got.Steps != want.Steps || len(got.History.Epochs) != len(want.History.Epochs) || got.Stopped != want.Stopped {
		t.Fatalf("%s: %d steps, %d epochs, stopped %q, want %d, %d, %q", how, got.Steps, len(got.History.Epochs), got.Stopped,
			want.Steps, len(want.History.Epochs), want.Stopped)
	}
	sameEpochs(t, how+": epoch", got.History.Epochs, want.History.Epochs)
	sameEpochs(t, how+": validation", got.History.Validations, want.History.Validations)
	if (got.Best == nil) != (want.Best == nil) || got.Best != nil && got.Best.Epoch != want.Best.Epoch {
		t.Errorf("%s: best %+v, want %+v", how, got.Best, want.Best)
	}
}

func sameEpochs(t *testing.T, what string, got, want []Epoch) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d of them, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Epoch != w.Epoch || g.Step != w.Step || g.Rate != w.Rate || len(g.Values) != len(w.Values) {
			t.Errorf("%s %d is %+v, want %+v", what, i+1, g, w)
		}
		for name, v := range w.Values {
			if g.Values[name] != v {
				t.Errorf("%s %d: %s is %v, want %v", what, i+1, name, g.Values[name], v)
			}
		}
	}
}

// stopAt returns a callback that cancels a run after a step.
func stopAt(step int, cancel func()) Callback {
	return CallbackFunc(func(_ context.Context, e Event) error {
		if e.Kind == StepDone && e.Step == step {
			cancel()
		}
		return nil
	})
}

// TestResume cancels a run at every one of its steps in turn, and lets it go on: the end is the
// same to the bit.
func TestResume(t *testing.T) {
	ds := blobs(t, 60, 8) // 8 batches, 4 steps an epoch, the last batch short
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		cfg := fullConfig(t, "")
		cfg.DType = dt
		want := mustFit(t, mlp, ds, cfg)
		if want.Steps < 20 {
			t.Fatalf("only %d steps to cancel at", want.Steps)
		}
		for step := 1; step <= want.Steps; step += 1 + step/6 {
			cfg := fullConfig(t, t.TempDir())
			cfg.DType = dt
			cfg.Checkpoint.Every, cfg.Checkpoint.EverySteps = 4, 7 // flushing to the disk is what takes the time
			ctx, cancel := context.WithCancel(background)
			cfg.Callbacks = []Callback{stopAt(step, cancel)}
			first, err := Fit(ctx, mlp, loss.CrossEntropy, ds, cfg)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if err == nil && first.Steps != want.Steps {
				t.Fatalf("cancelled at step %d: no error after %d steps", step, first.Steps)
			}
			cfg.Callbacks = nil
			cfg.Prefetch = 2
			second, err := Fit(background, mlp, loss.CrossEntropy, ds, cfg)
			if err != nil {
				t.Fatal(err)
			}
			sameRun(t, "cancelled and resumed", second, want)
		}
	}
}

// TestFiveAndFive: 5 epochs and then 10 with resume are 10.
func TestFiveAndFive(t *testing.T) {
	ds := blobs(t, 60, 8)
	for _, o := range []optim.Optimizer{optim.SGD(.1), optim.Momentum(.1, .9), optim.Nesterov(.1, .9), optim.Adam(.01), optim.AdamW(.01),
		optim.RMSProp(.01), optim.Adagrad(.1, optim.WithInitial(.1)), optim.Lion(.003)} {
		cfg := Config{Epochs: 10, BatchSize: 16, Optimizer: o, Seed: 5, Metrics: []metric.Metric{metric.NewAccuracy()}}
		want := mustFit(t, mlp, ds, cfg)
		cfg.Checkpoint = &Checkpoint{Dir: t.TempDir(), Resume: true}
		cfg.Epochs = 5
		mustFit(t, mlp, ds, cfg)
		cfg.Epochs = 10
		sameRun(t, o.Name(), mustFit(t, mlp, ds, cfg), want)
		sameRun(t, o.Name()+" once more", mustFit(t, mlp, ds, cfg), want) // nothing left to do
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	values := []float64{3, 1, 2, 4, 5, 6}
	cfg := Config{Epochs: 6, BatchSize: 32, Optimizer: optim.SGD(.1), Validation: blobs(t, 10, 1), Metrics: []metric.Metric{&scripted{values: values, at: new(int)}},
		NoTrainMetrics: true, Checkpoint: &Checkpoint{Dir: dir, Keep: 2, Monitor: "val_scripted"}}
	mustFit(t, linear3, blobs(t, 64, 1), cfg)
	paths, err := Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	// Two steps an epoch: the best after epoch 2, and the last two.
	if want := []string{stepDir(4), stepDir(10), stepDir(12)}; !slices.Equal(names, want) {
		t.Errorf("kept %v, want %v", names, want)
	}
	if _, err := Fit(background, linear3, loss.CrossEntropy, blobs(t, 64, 1), cfg); err == nil || !strings.Contains(err.Error(), "holds 3 checkpoints of an earlier run") {
		t.Errorf("error %v, want one about the earlier run", err)
	}
}

// scripted is a metric that gives one prepared value an epoch.
type scripted struct {
	*metric.MAE
	values []float64
	at     *int
}

func (*scripted) Name() string              { return "scripted" }
func (*scripted) Update(metric.Batch) error { return nil }
func (s *scripted) New() metric.Metric      { return s }
func (s *scripted) Value() float64 {
	*s.at++
	return s.values[(*s.at-1)%len(s.values)]
}

func TestDamagedCheckpoints(t *testing.T) {
	ds := blobs(t, 60, 8)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, name := range []string{weightsFile, optimizerFile, bestFile, stateFile} {
		for _, how := range []string{"truncated", "flipped", "missing", "foreign"} {
			dir := t.TempDir()
			cfg := fullConfig(t, dir)
			cfg.Epochs = 3
			mustFit(t, mlp, ds, cfg)
			paths, err := Checkpoints(dir)
			if err != nil || len(paths) != 2 {
				t.Fatal(paths, err)
			}
			file := filepath.Join(paths[1], name)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			switch how {
			case "truncated":
				text = text[:rng.IntN(len(text))]
			case "flipped":
				text[rng.IntN(len(text))] ^= 1 << rng.IntN(8)
			case "foreign":
				text = []byte("\x89PNG\r\n\x1a\n")
			}
			if how == "missing" {
				err = os.Remove(file)
			} else {
				err = os.WriteFile(file, text, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			cfg.Epochs = 6
			_, err = Fit(background, mlp, loss.CrossEntropy, ds, cfg)
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), paths[0]) {
				t.Errorf("seed %d: %s %s: error %v, want one that names the file and the checkpoint before", seed,
					name, how, err)
			}
			if _, err := Load(paths[1], mlp); err == nil {
				t.Errorf("seed %d: %s %s: loaded", seed, name, how)
			}
			if _, err := readState(paths[0]); err != nil {
				t.Errorf("the checkpoint before is damaged: %v", err)
			}
		}
	}
}

func TestForeignCheckpoints(t *testing.T) {
	ds := blobs(t, 60, 8)
	dir := t.TempDir()
	cfg := fullConfig(t, dir)
	mustFit(t, mlp, ds, cfg)
	change := func(f func(*Config)) Config {
		c := fullConfig(t, dir)
		f(&c)
		return c
	}
	for _, c := range []struct {
		name  string
		model Model
		cfg   Config
		want  string
	}{
		{"optimizer", mlp, change(func(c *Config) { c.Optimizer = optim.SGD(1) }),
			`optimizer is "adam" there and "sgd" here`},
		{"rate", mlp, change(func(c *Config) { c.Optimizer = optim.Adam(1) }), "optimizer rate"},
		{"seed", mlp, change(func(c *Config) { c.Seed = 4 }), `seed is "3" there and "4" here`},
		{"batch", mlp, change(func(c *Config) { c.BatchSize = 4 }), "batch size"},
		{"schedule", mlp, change(func(c *Config) { c.Schedule = nil }), "schedule"},
		{"dtype", mlp, change(func(c *Config) { c.DType = tensor.Float64 }), "dtype"},
		{"early stop", mlp, change(func(c *Config) { c.EarlyStop = nil }), "settings"},
		{"model", linear3, change(func(*Config) {}), "of another model"},
		{"shape", func(b *Builder, x *G.Node) (*G.Node, error) {
			h, err := b.Dense("hidden", x, 9)
			if err != nil {
				return nil, err
			}
			return b.Dense("out", h, 3)
		}, change(func(*Config) {}), "of another model"},
	} {
		if _, err := Fit(background, c.model, loss.CrossEntropy, ds, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	paths, err := Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(paths[len(paths)-1], stateFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), `"version": 3`, `"version": 4`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Fit(background, mlp, loss.CrossEntropy, ds, cfg); err == nil || !strings.Contains(err.Error(), "version is 4, want 3") {
		t.Errorf("version: error %v", err)
	}
}

// TestUnwritable: a directory that goes away while a run is on ends it, or not, as asked.
func TestUnwritable(t *testing.T) {
	ds := blobs(t, 60, 8)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Epochs: 4, Optimizer: optim.SGD(.1), Checkpoint: &Checkpoint{Dir: filepath.Join(file, "below")}}
	if _, err := Fit(background, linear3, loss.CrossEntropy, ds, cfg); err == nil || !strings.Contains(err.Error(), "checkpoint directory") {
		t.Errorf("error %v, want one about the directory", err)
	}
	for _, goOn := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "c")
		cfg.Checkpoint = &Checkpoint{Dir: dir, KeepGoing: goOn}
		cfg.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == EpochDone && e.Epoch == 2 {
				return os.RemoveAll(dir)
			}
			return nil
		})}
		res, err := Fit(background, linear3, loss.CrossEntropy, ds, cfg)
		if res == nil {
			t.Fatal("no result")
		}
		if goOn && (err != nil || res.CheckpointError == nil || len(res.History.Epochs) != 4) {
			t.Errorf("going on: %v, %v after %d epochs", err, res.CheckpointError, len(res.History.Epochs))
		}
		if !goOn && (err == nil || !strings.Contains(err.Error(), "checkpoint at step 4") || len(res.History.Epochs) != 2) {
			t.Errorf("stopping: %v after %d epochs", err, len(res.History.Epochs))
		}
	}
}

// TestCheckpointInTheWay: a file with the name of a checkpoint is not replaced.
func TestCheckpointInTheWay(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, stepDir(2))
	if err := os.WriteFile(file, []byte("notes"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Epochs: 1, BatchSize: 30, Optimizer: optim.SGD(.1), Checkpoint: &Checkpoint{Dir: dir}}
	if _, err := Fit(background, linear3, loss.CrossEntropy, blobs(t, 60, 8), cfg); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want one about %s", err, file)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "notes" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// TestLoad: a model from a checkpoint or a saved file predicts the same bits, for any number of
// rows.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	ds := blobs(t, 60, 8)
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		sub := filepath.Join(dir, dt.String())
		res := mustFit(t, mlp, ds, Config{Epochs: 2, Optimizer: optim.Adam(.01), DType: dt, Checkpoint: &Checkpoint{Dir: sub}})
		file := filepath.Join(sub, "model.safetensors")
		if err := res.Save(file); err != nil {
			t.Fatal(err)
		}
		paths, err := Checkpoints(sub)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, paths[len(paths)-1]} {
			net, err := Load(path, mlp)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{1, 2, 255, 256, 257, 600} {
				many := blobs(t, n, 12)
				want, err := res.Predict(background, many)
				if err != nil {
					t.Fatal(err)
				}
				got, err := net.Predict(background, many)
				if err != nil {
					t.Fatal(err)
				}
				if !got.Shape().Eq(tensor.Shape{n, 3}) || !got.Eq(want) {
					t.Errorf("%d rows: shape %v, or other numbers", n, got.Shape())
				}
			}
		}
		if _, err := Load(file, linear3); err == nil || !strings.Contains(err.Error(), "of another model") {
			t.Errorf("another model: %v", err)
		}
	}
	if _, err := Load(filepath.Join(dir, "nothing"), mlp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	plain := filepath.Join(dir, "plain.safetensors")
	if err := weights.Save(plain, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(plain, mlp); err == nil || !strings.Contains(err.Error(), "no model of this package") {
		t.Errorf("a file without description: %v", err)
	}
}

// TestPredictionsOfRows: a row's prediction does not depend on the rows around it.
func TestPredictionsOfRows(t *testing.T) {
	ds := blobs(t, 10, 8)
	res := mustFit(t, mlp, ds, Config{Epochs: 2, Optimizer: optim.Adam(.01), DType: tensor.Float64})
	all, err := res.Predict(background, ds)
	if err != nil {
		t.Fatal(err)
	}
	f := all.Data().([]float64)
	if slices.Equal(f[:3], f[3:6]) {
		t.Error("two rows have the same prediction")
	}
	v, err := res.Evaluate(background, loss.CrossEntropy, ds)
	if err != nil {
		t.Fatal(err)
	}
	m := metric.NewPerplexity()
	if err := m.Update(metric.Batch{Width: 3, Scores: f, Labels: ds.Labels()}); err != nil {
		t.Fatal(err)
	}
	if got, want := v["loss"], m.State()[0]/10; got-want > 1e-14 || want-got > 1e-14 {
		t.Errorf("loss %v, of the predictions %v", got, want)
	}
}
