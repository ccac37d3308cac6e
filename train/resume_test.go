package train

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"google.golang.org/protobuf/encoding/protowire"
	G "gorgonia.org/gorgonia"
)

// TestResumeIsTheSameRun: another loss, other examples and another validation set are noticed, the
// same ones are taken.
func TestResumeIsTheSameRun(t *testing.T) {
	smooth := func(eps float64) loss.Func { return loss.With(loss.CrossEntropy, loss.WithLabelSmoothing(eps)) }
	weighted, err := blobs(t, 24, 1).WithWeights(append(make([]float64, 23), 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		fn   loss.Func
		ds   data.Dataset
		val  data.Dataset
		want string // "" where the run goes on
	}{
		{"the same", smooth(0.1), blobs(t, 24, 1), blobs(t, 12, 2), ""},
		{"another loss", loss.SoftmaxFocal, blobs(t, 24, 1), blobs(t, 12, 2),
			`is of another run: loss is "loss.CrossEntropy `},
		{"another option", smooth(0.2), blobs(t, 24, 1), blobs(t, 12, 2), `is of another run: loss is "loss.CrossEntropy `},
		{"a sum of losses", loss.Weighted(loss.Term{Loss: smooth(0.1), Factor: 1}), blobs(t, 24, 1), blobs(t, 12, 2),
			`is of another run: loss is `},
		{"other examples", smooth(0.1), blobs(t, 24, 3), blobs(t, 12, 2), `is of another run: examples is "24 rows `},
		{"more examples", smooth(0.1), blobs(t, 25, 1), blobs(t, 12, 2), `and "25 rows `},
		{"other weights", smooth(0.1), weighted, blobs(t, 12, 2), `is of another run: examples is "24 rows `},
		{"another validation set", smooth(0.1), blobs(t, 24, 1), blobs(t, 12, 3),
			`is of another run: validation is "12 rows `},
		{"no validation set", smooth(0.1), blobs(t, 24, 1), nil, `is of another run: validation is "12 rows `},
	} {
		cfg := Config{Epochs: 2, BatchSize: 8, Optimizer: optim.Adam(.01), Validation: blobs(t, 12, 2), Checkpoint: &Checkpoint{Dir: t.TempDir(), Resume: true}}
		if _, err := Fit(background, linear3, smooth(0.1), blobs(t, 24, 1), cfg); err != nil {
			t.Fatal(err)
		}
		cfg.Epochs, cfg.Validation = 3, c.val
		_, err := Fit(background, linear3, c.fn, c.ds, cfg)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestResumeOfAnotherModel: one with the same parameters and another activation is noticed too.
func TestResumeOfAnotherModel(t *testing.T) {
	model := func(activation func(*G.Node) (*G.Node, error), scale float32) Model {
		return func(b *Builder, x *G.Node) (*G.Node, error) {
			h, err := b.Dense("out", x, 3)
			if err != nil {
				return nil, err
			}
			if h, err = activation(h); err != nil {
				return nil, err
			}
			return G.Mul(h, G.NewConstant(scale))
		}
	}
	cfg := Config{Epochs: 1, Optimizer: optim.SGD(.1), Checkpoint: &Checkpoint{Dir: t.TempDir(), Resume: true}}
	mustFit(t, model(G.Tanh, 2), blobs(t, 12, 1), cfg)
	for name, c := range map[string]struct {
		m     Model
		wrong bool
	}{"the same": {model(G.Tanh, 2), false}, "another activation": {model(G.Rectify, 2), true}, "another constant": {model(G.Tanh, 3), true}} {
		_, err := Fit(background, c.m, loss.CrossEntropy, blobs(t, 12, 1), cfg)
		if c.wrong != (err != nil) || err != nil && !strings.Contains(err.Error(), `is of another run: model is "`) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestResumeRates: a run may be made longer where its past would have been the same, not where the
// rate would jump.
func TestResumeRates(t *testing.T) {
	ds := blobs(t, 24, 1) // 3 steps an epoch
	for _, c := range []struct {
		name     string
		schedule optim.Schedule
		stop     int // after so many epochs of 2; 0 means never
		want     string
	}{
		{"constant", optim.Constant(), 0, ""},
		{"staircase", optim.Staircase(1, 0.5), 0, ""},
		{"cosine", optim.Cosine(0, 0), 0, "the run was planned for 2 epochs and Epochs is 4: the schedule cosine(warmup=0,floor=0) depends on the length"},
		{"cosine in its warmup", optim.Cosine(3, 0), 1, ""},
	} {
		cfg := Config{Epochs: 2, BatchSize: 8, Optimizer: optim.SGD(.1), Schedule: c.schedule, Checkpoint: &Checkpoint{Dir: t.TempDir(), Resume: true},
			Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
				if e.Kind == EpochDone && e.Epoch == c.stop {
					return ErrStop
				}
				return nil
			})}}
		mustFit(t, linear3, ds, cfg)
		cfg.Epochs, cfg.Callbacks = 4, nil
		_, err := Fit(background, linear3, loss.CrossEntropy, ds, cfg)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestStopSaves: a callback that ends a run within an epoch loses no step, and the run goes on to
// the bits of one that was left alone.
func TestStopSaves(t *testing.T) {
	ds := blobs(t, 60, 8)
	whole := mustFit(t, mlp, ds, fullConfig(t, t.TempDir()))
	dir := t.TempDir()
	cfg := fullConfig(t, dir)
	cfg.Checkpoint.EverySteps = 0
	saved := 0
	cfg.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
		if e.Kind == CheckpointSaved && e.Step == 11 {
			saved++
		}
		if e.Kind == StepDone && e.Step == 11 { // the third of the third epoch's four
			return ErrStop
		}
		return nil
	})}
	res := mustFit(t, mlp, ds, cfg)
	if res.Stopped != "callback" || res.Steps != 11 || saved != 1 {
		t.Fatalf("stopped by %q after %d steps with %d checkpoints there, want by the callback after 11 with 1",
			res.Stopped, res.Steps, saved)
	}
	if _, err := os.Stat(filepath.Join(dir, stepDir(11))); err != nil {
		t.Fatal(err)
	}
	cfg.Callbacks = nil
	sameRun(t, "resumed after a stop", mustFit(t, mlp, ds, cfg), whole)
}

// TestStopRestoresTheBest: with EarlyStop a stop by a callback puts the best parameters back, as
// the end of the run does.
func TestStopRestoresTheBest(t *testing.T) {
	var best []float32
	cfg := Config{Epochs: 9, BatchSize: 32, Optimizer: optim.SGD(.1), Validation: blobs(t, 10, 1), NoTrainMetrics: true,
		Metrics:   []metric.Metric{&scripted{values: []float64{3, 1, 2, 4, 5, 6, 7, 8, 9}, at: new(int)}},
		EarlyStop: &EarlyStop{Monitor: "val_scripted", Patience: 8}}
	cfg.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
		switch {
		case e.Kind == EpochDone && e.Epoch == 2:
			best = slices.Clone(e.Net.Params()[0].F32)
		case e.Kind == StepDone && e.Epoch == 4:
			return ErrStop
		}
		return nil
	})}
	res := mustFit(t, linear3, blobs(t, 64, 1), cfg)
	if res.Best == nil || res.Best.Epoch != 2 || !slices.Equal(res.Params()[0].F32, best) {
		t.Errorf("the best epoch is %+v and its parameters are back: %v", res.Best, slices.Equal(res.Params()[0].F32, best))
	}
}

// TestBest: NaN is never the best, the best checkpoint stays, and one call loads it.
func TestBest(t *testing.T) {
	nan := math.NaN()
	ds, val := blobs(t, 64, 1), blobs(t, 10, 1)
	for _, c := range []struct {
		name   string
		values []float64
		early  bool
		best   int // epoch
	}{
		{"NaN first", []float64{nan, 3, 1, 2, 4, 5}, false, 3},
		{"NaN between", []float64{3, nan, 1, nan, 4, 5}, false, 3},
		{"NaN always", []float64{nan, nan, nan, nan, nan, nan}, false, 0},
		{"early stopping", []float64{3, 1, 2, 4, 5, 6}, true, 2},
	} {
		dir := t.TempDir()
		cfg := Config{Epochs: 6, BatchSize: 32, Optimizer: optim.SGD(.1), Validation: val, NoTrainMetrics: true,
			Metrics: []metric.Metric{&scripted{values: c.values, at: new(int)}}, Checkpoint: &Checkpoint{Dir: dir, Keep: 1}}
		if c.early {
			cfg.EarlyStop = &EarlyStop{Monitor: "val_scripted", Patience: 3}
		} else {
			cfg.Checkpoint.Monitor = "val_scripted"
		}
		var want []float32
		cfg.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == EpochDone && e.Epoch == c.best {
				want = slices.Clone(e.Net.Params()[0].F32)
			}
			return nil
		})}
		res := mustFit(t, linear3, ds, cfg)
		net, err := LoadBest(dir, linear3)
		if c.best == 0 {
			if err == nil || !strings.Contains(err.Error(), "train.LoadBest: the run kept no best parameters") || res.BestPath != "" {
				t.Errorf("%s: error %v and path %q, want no best", c.name, err, res.BestPath)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !slices.Equal(net.Params()[0].F32, want) {
			t.Errorf("%s: not the parameters of epoch %d", c.name, c.best)
		}
		if net, err = Load(res.BestPath, linear3); err != nil || !slices.Equal(net.Params()[0].F32, want) {
			t.Errorf("%s: %q is not the best (%v)", c.name, res.BestPath, err)
		}
	}
	if _, err := LoadBest(t.TempDir(), linear3); err == nil || !strings.Contains(err.Error(), "holds no checkpoints") {
		t.Errorf("error %v of an empty directory", err)
	}
}

// TestBoardAfterResume: a run that is killed after steps that no checkpoint has makes them again.
// The session record tells which of the first are void; without them each step and epoch is there
// once.
func TestBoardAfterResume(t *testing.T) {
	dir := t.TempDir()
	board := filepath.Join(dir, "board")
	ds := blobs(t, 64, 1) // 2 steps an epoch
	cfg := Config{Epochs: 3, Optimizer: optim.SGD(0.1), Checkpoint: &Checkpoint{Dir: filepath.Join(dir, "c"), Resume: true}}
	oops := CallbackFunc(func(_ context.Context, e Event) error {
		if e.Kind == StepDone && e.Step == 5 { // the checkpoint before is of step 4
			return context.DeadlineExceeded
		}
		return nil
	})
	cfg.Callbacks = []Callback{NewTensorBoard(board, 1), oops}
	if _, err := Fit(background, linear3, loss.CrossEntropy, ds, cfg); err == nil {
		t.Fatal("no error of the callback")
	}
	cfg.Callbacks = cfg.Callbacks[:1]
	mustFit(t, linear3, ds, cfg)
	files, err := filepath.Glob(filepath.Join(board, "events.out.tfevents.*"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	slices.Sort(files)
	count := make(map[string][]int)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for len(text) > 0 { // TFRecords: length, its checksum, message, its checksum
			n := binary.LittleEndian.Uint64(text)
			step, tag, start := boardEvent(t, text[12:12+n])
			text = text[16+n:]
			if start { // as TensorBoard does: what lies at this step and after it is void
				for name, steps := range count {
					count[name] = slices.DeleteFunc(steps, func(s int) bool { return s >= step })
				}
			}
			if tag != "" {
				count[tag] = append(count[tag], step)
			}
		}
	}
	if got := count["step/loss"]; !slices.Equal(got, []int{1, 2, 3, 4, 5, 6}) {
		t.Errorf("step/loss at %v, want 1 to 6", got)
	}
	if got := count["epoch/loss"]; !slices.Equal(got, []int{2, 4, 6}) {
		t.Errorf("epoch/loss at %v, want 2, 4, 6", got)
	}
}

// boardEvent reads step and tag of an Event of TensorFlow's event.proto, and whether it is a
// SessionLog of status START.
func boardEvent(t *testing.T, b []byte) (step int, tag string, start bool) {
	t.Helper()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		b = b[n:]
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			t.Fatal("no protocol buffer")
		}
		v := b[:n]
		b = b[n:]
		switch num {
		case 2:
			s, _ := protowire.ConsumeVarint(v)
			step = int(s)
		case 5: // Summary, with one Value, with its tag first
			summary, _ := protowire.ConsumeBytes(v)
			_, _, n := protowire.ConsumeTag(summary)
			value, _ := protowire.ConsumeBytes(summary[n:])
			_, _, n = protowire.ConsumeTag(value)
			name, _ := protowire.ConsumeBytes(value[n:])
			tag = string(name)
		case 7:
			log, _ := protowire.ConsumeBytes(v)
			start = slices.Equal(log, []byte{1 << 3, 1})
		}
	}
	return step, tag, start
}
