package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// far returns the largest difference between the parameters of two nets.
func far(t *testing.T, a, b *Net) float64 {
	t.Helper()
	worst := 0.0
	pb := b.Params()
	for i, p := range a.Params() {
		for k, v := range p.F64 {
			worst = max(worst, math.Abs(v-pb[i].F64[k]))
		}
	}
	return worst
}

// TestAccumulate: k batches of n rows make the same step as one of k·n, with a short last group and
// a short last batch.
func TestAccumulate(t *testing.T) {
	ds := blobs(t, 77, 1)
	cfg := Config{Epochs: 3, BatchSize: 24, Optimizer: optim.Adam(0.01), DType: tensor.Float64, ClipNorm: 0.3,
		ClassWeights: []float64{1, 2, 0.5}, Metrics: []metric.Metric{metric.NewAccuracy()}}
	large := mustFit(t, linear3, ds, cfg)
	cfg.BatchSize, cfg.Accumulate = 8, 3
	small := mustFit(t, linear3, ds, cfg)
	if large.Steps != small.Steps {
		t.Fatalf("%d and %d steps", large.Steps, small.Steps)
	}
	// Sums of 24 terms in another order, 12 steps.
	if d := far(t, large.Net, small.Net); d > 1e-13 {
		t.Errorf("parameters differ by %v", d)
	}
	for i, e := range large.History.Epochs {
		for name, v := range e.Values {
			if got := small.History.Epochs[i].Values[name]; math.Abs(got-v) > 1e-13 {
				t.Errorf("epoch %d: %s is %v and %v", i+1, name, v, got)
			}
		}
	}
}

// TestWeights: a row of weight 2 is a row given twice, a row of weight 0 is not there; class
// weights are weights of rows.
func TestWeights(t *testing.T) {
	ds := blobs(t, 12, 1)
	weights := []float64{1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0} // by class, as it happens
	var rows []int
	for i, w := range weights {
		for range int(w) {
			rows = append(rows, i)
		}
	}
	cfg := Config{Epochs: 3, BatchSize: 12, Optimizer: optim.SGD(0.5), DType: tensor.Float64, KeepOrder: true, Metrics: []metric.Metric{metric.NewAccuracy()}}
	repeated, err := data.Subset(ds, rows)
	if err != nil {
		t.Fatal(err)
	}
	want := mustFit(t, linear3, repeated, cfg)
	weighted, err := ds.WithWeights(weights)
	if err != nil {
		t.Fatal(err)
	}
	byRow := mustFit(t, linear3, weighted, cfg)
	cfg.ClassWeights = []float64{1, 2, 0}
	byClass := mustFit(t, linear3, ds, cfg)
	for name, got := range map[string]*Result{"sample weights": byRow, "class weights": byClass} {
		if d := far(t, got.Net, want.Net); d > 1e-14 {
			t.Errorf("%s: parameters differ by %v from those of repeated rows", name, d)
		}
		if a, b := got.History.Last("loss"), want.History.Last("loss"); math.Abs(a-b) > 1e-14 {
			t.Errorf("%s: loss %v, want %v", name, a, b)
		}
	}
	if a, b := byRow.History.Last("accuracy"), want.History.Last("accuracy"); a != b {
		t.Errorf("accuracy of weighted rows %v, want %v", a, b)
	}
	none, err := ds.WithWeights(make([]float64, 12))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ClassWeights = nil
	_, err = Fit(background, linear3, loss.CrossEntropy, none, Config{Epochs: 1, Optimizer: optim.SGD(0.5)})
	if err == nil || !strings.Contains(err.Error(), "every row has weight 0") {
		t.Errorf("error %v of rows that do not count, want one about their weight", err)
	}
}

// TestClip: with a limit below every norm the updates of plain descent have the length rate·limit.
func TestClip(t *testing.T) {
	var norms []float64
	cfg := Config{Epochs: 2, BatchSize: 16, Optimizer: optim.SGD(1), DType: tensor.Float64, ClipNorm: 1e-3, KeepOrder: true,
		Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == StepDone {
				norms = append(norms, e.Norm)
			}
			return nil
		})}}
	start := mustFit(t, linear3, blobs(t, 16, 1), Config{Epochs: 1, BatchSize: 16, Optimizer: optim.SGD(1), DType: tensor.Float64, Groups: []optim.Group{{Match: "*", Frozen: true}}})
	res := mustFit(t, linear3, blobs(t, 16, 1), cfg)
	var length float64
	was := start.Params()
	for i, p := range res.Params() {
		for k, v := range p.F64 {
			length += (v - was[i].F64[k]) * (v - was[i].F64[k])
		}
	}
	// Two steps in almost the same direction.
	if got := math.Sqrt(length); got > 2e-3 || got < 1.99e-3 {
		t.Errorf("two steps of length 1e-3 moved the parameters by %v", got)
	}
	if len(norms) != 2 || norms[0] < 0.1 {
		t.Errorf("norms %v, want those before clipping", norms)
	}
	cfg.ClipNorm, cfg.ClipValue, cfg.Epochs = 0, 1e-3, 1
	cfg.Callbacks = nil
	res = mustFit(t, linear3, blobs(t, 16, 1), cfg)
	for i, p := range res.Params() {
		for k, v := range p.F64 {
			if d := math.Abs(v - was[i].F64[k]); d > 1e-3+1e-15 {
				t.Errorf("%s moved by %v at %d, want at most 1e-3", p.Name, d, k)
			}
		}
	}
}

// TestGroups: frozen parameters stay, and a group's decay is decoupled from the gradient.
func TestGroupsInFit(t *testing.T) {
	ds := blobs(t, 16, 1)
	frozen := Config{Epochs: 1, BatchSize: 16, Optimizer: optim.Adam(0.1), DType: tensor.Float64, Groups: []optim.Group{{Match: "*", Frozen: true}}}
	start := mustFit(t, linear3, ds, frozen).Params()
	cfg := frozen
	cfg.Groups = []optim.Group{{Match: "*.bias", Frozen: true}, {Match: "*.weight", Decay: 0.5, Scale: 0.2}}
	got := mustFit(t, linear3, ds, cfg).Params()
	for _, p := range got {
		for i, v := range p.F64 {
			was := start[slices.IndexFunc(start, func(a *arrayT) bool { return a.Name == p.Name })].F64[i]
			if p.Name == "out.bias" {
				if v != was {
					t.Errorf("the frozen bias moved from %v to %v", was, v)
				}
				continue
			}
			// Adam's first step is rate·sign(g), up to ε.
			step := v - was*(1-0.02*0.5)
			if math.Abs(math.Abs(step)-0.02) > 1e-6 {
				t.Errorf("weight %d moved by %v beside its decay, want 0.02", i, step)
			}
		}
	}
}

// TestGroupsOfL2: a group's L2 takes the place of the optimizer's, and 0 is none. Beside a step
// without it, one with λ moves each parameter by -rate·λ·parameter, here -¼·parameter.
func TestGroupsOfL2(t *testing.T) {
	ds := blobs(t, 16, 1)
	one := func(groups []optim.Group, opts ...optim.Option) []*arrayT {
		return mustFit(t, linear3, ds, Config{Epochs: 1, BatchSize: 16, Optimizer: optim.SGD(0.5, opts...), DType: tensor.Float64, Groups: groups}).Params()
	}
	start, plain := one([]optim.Group{{Match: "*", Frozen: true}}), one(nil)
	all := one(nil, optim.WithL2(0.5))
	group := one([]optim.Group{{Match: "*.weight", L2: 0.5}}, optim.WithL2(7))
	without := one([]optim.Group{{Match: "*"}}, optim.WithL2(7))
	for k, p := range plain {
		for i, v := range p.F64 {
			shrunk := v - 0.25*start[k].F64[i]
			mine := shrunk
			if p.Name == "out.bias" {
				mine = v - 0.5*7*start[k].F64[i]
			}
			for what, pair := range map[string][2]float64{"the optimizer's": {all[k].F64[i], shrunk}, "a group's": {group[k].F64[i], mine}, "none": {without[k].F64[i], v}} {
				if math.Abs(pair[0]-pair[1]) > 1e-15 {
					t.Errorf("%s of %s is %v, want %v", what, p.Name, pair[0], pair[1])
				}
			}
		}
	}
}

func TestEarlyStop(t *testing.T) {
	for _, keepLast := range []bool{false, true} {
		values := []float64{5, 3, 4, 3.5, 2.95, 6}
		var atBest []*arrayT
		cfg := Config{Epochs: 20, BatchSize: 16, Optimizer: optim.SGD(0.1), Validation: blobs(t, 10, 2), NoTrainMetrics: true,
			Metrics:   []metric.Metric{&scripted{values: values, at: new(int)}},
			EarlyStop: &EarlyStop{Monitor: "val_scripted", Patience: 3, MinDelta: 0.1, KeepLast: keepLast},
			Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
				if e.Kind == EpochDone && e.Epoch == 2 {
					atBest = e.Net.Params()
				}
				return nil
			})}}
		res := mustFit(t, linear3, blobs(t, 64, 1), cfg)
		// 2.95 is not 0.1 better than 3: the best is epoch 2, and epoch 5 is the third without
		// improvement.
		if res.Stopped != "early stopping" || len(res.History.Epochs) != 5 || res.Best == nil || res.Best.Epoch != 2 {
			t.Fatalf("stopped %q after %d epochs, best %+v", res.Stopped, len(res.History.Epochs), res.Best)
		}
		same := slices.Equal(res.Params()[0].F32, atBest[0].F32)
		if same == keepLast {
			t.Errorf("KeepLast %v: best parameters are back: %v", keepLast, same)
		}
	}
	grow := Config{Epochs: 3, Optimizer: optim.SGD(0.1), Validation: blobs(t, 10, 2), NoTrainMetrics: true,
		Metrics: []metric.Metric{&scripted{values: []float64{1, 3, 2}, at: new(int)}}, EarlyStop: &EarlyStop{Monitor: "val_scripted", Patience: 5, Maximize: true}}
	if res := mustFit(t, linear3, blobs(t, 64, 1), grow); res.Best.Epoch != 2 || res.Stopped != "" {
		t.Errorf("maximising: best epoch %d, stopped %q", res.Best.Epoch, res.Stopped)
	}
}

func TestFastDevRun(t *testing.T) {
	dir := t.TempDir()
	ds := blobs(t, 600, 1)
	res := mustFit(t, linear3, ds, Config{Epochs: 50, Optimizer: optim.SGD(0.1), Validation: ds, FastDevRun: true,
		Checkpoint: &Checkpoint{Dir: dir}, EarlyStop: &EarlyStop{Patience: 1}})
	if res.Steps != 1 || len(res.History.Epochs) != 1 || math.IsNaN(res.History.Last("val_loss")) {
		t.Errorf("%d steps, history %+v", res.Steps, res.History)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("directory has %v, %v", list, err)
	}
}

// TestOverfitBatch: a sound model learns two batches of noise by heart.
func TestOverfitBatch(t *testing.T) {
	wide := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("hidden", x, 64)
		if err != nil {
			return nil, err
		}
		if h, err = G.Tanh(h); err != nil {
			return nil, err
		}
		return b.Dense("out", h, 3)
	}
	noisy := blobs(t, 200, 1)
	res := mustFit(t, wide, noisy, Config{Epochs: 400, BatchSize: 4, Optimizer: optim.Adam(0.02), OverfitBatch: 2})
	if got := res.History.Last("loss"); got > 0.01 || res.Steps != 800 {
		t.Errorf("loss %v after %d steps, want about 0 after 800", got, res.Steps)
	}
}

func TestCosineInFit(t *testing.T) {
	res := mustFit(t, linear3, blobs(t, 64, 1),
		Config{Epochs: 4, BatchSize: 16, Optimizer: optim.SGD(0.5), Schedule: optim.Cosine(4, 0.1)})
	if r := res.History.Series("loss"); r[3] > r[0] {
		t.Errorf("losses %v", r)
	}
	if got := res.History.Epochs[0].Rate; got != 0.5 {
		t.Errorf("rate after the warm-up is %v, want 0.5", got)
	}
	if got := res.History.Epochs[3].Rate; math.Abs(got-0.05) > 1e-15 {
		t.Errorf("last rate is %v, want 0.05", got)
	}
}

func TestRegression(t *testing.T) {
	var x, y [][]float64
	for i := range 50 {
		v := float64(i)/25 - 1
		x, y = append(x, []float64{v, v * v}), append(y, []float64{3*v - 1, 2 * v * v})
	}
	ds, err := data.Values(x, y)
	if err != nil {
		t.Fatal(err)
	}
	m := func(b *Builder, x *G.Node) (*G.Node, error) { return b.Dense("line", x, 2) }
	for name, fn := range map[string]loss.Func{"MSE": loss.MSE, "Huber": loss.Huber, "MAE": loss.MAE} {
		res, err := Fit(background, m, fn, ds, Config{Epochs: 300, BatchSize: 16, Optimizer: optim.Adam(0.02), Validation: ds,
			Schedule: optim.Cosine(0, 0), Metrics: []metric.Metric{metric.NewR2(), metric.NewMAE(), metric.NewRMSE()}})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.History.Last("val_r2"); got < 0.999 {
			t.Errorf("%s: R² %v after 300 epochs", name, got)
		}
	}
}

func TestHistoryFormats(t *testing.T) {
	h := &History{Epochs: []Epoch{
		{Epoch: 1, Step: 5, Rate: 0.1, Seconds: 0.25, Values: Values{"loss": 1.0 / 3, "val_auroc": math.NaN()}},
		{Epoch: 2, Step: 10, Rate: 0.05, Seconds: 0.5, Values: Values{"loss": math.Inf(1), "val_loss": 2}},
	}, Validations: []Epoch{
		{Epoch: 1, Step: 3, Rate: 0.1, Seconds: 0.125, Values: Values{"val_loss": 4}},
		{Epoch: 2, Step: 8, Rate: 0.05, Seconds: 0.25, Values: Values{"val_loss": 3, "val_brier": 0.5}},
	}}
	var buf bytes.Buffer
	if err := h.WriteJSON(&buf); err != nil {
		t.Fatal(err)
	}
	back, err := ReadHistory(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", back), fmt.Sprintf("%+v", h); got != want {
		t.Errorf("JSON gave %s, want %s", got, want)
	}
	if err := h.WriteCSV(&buf); err != nil {
		t.Fatal(err)
	}
	want := `epoch,step,rate,seconds,loss,val_loss,val_auroc,val_brier
1,3,0.1,0.125,,4,,
1,5,0.1,0.25,0.3333333333333333,,NaN,
2,8,0.05,0.25,,3,,0.5
2,10,0.05,0.5,+Inf,2,,
`
	if got := buf.String(); got != want {
		t.Errorf("CSV is\n%swant\n%s", got, want)
	}
	if _, err := ReadHistory(strings.NewReader("{")); err == nil {
		t.Error("no error for half a history")
	}
	path := filepath.Join(t.TempDir(), "h.json")
	if err := h.Save(path); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "{\n") {
		t.Errorf("saved %.20q, %v", text, err)
	}
	if err := h.Save(path + ".txt"); err == nil || !strings.Contains(err.Error(), `want .json or .csv`) {
		t.Errorf("error %v, want one about the format", err)
	}
}

func TestLogAndBoard(t *testing.T) {
	var buf bytes.Buffer
	dir := t.TempDir()
	log := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "seconds" {
			return slog.Attr{}
		}
		return a
	}}))
	mustFit(t, linear3, blobs(t, 64, 1), Config{Epochs: 2, Optimizer: optim.SGD(0.1), Logger: log, Validation: blobs(t, 9, 2),
		Checkpoint: &Checkpoint{Dir: filepath.Join(dir, "c")}, Callbacks: []Callback{NewTensorBoard(dir, 1)}})
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "level=INFO msg=epoch epoch=1 step=2 rate=0.1 loss=") || !strings.Contains(lines[0], " val_loss=") ||
		!strings.HasPrefix(lines[1], "level=INFO msg=checkpoint step=2 path=") || lines[4] != `level=INFO msg="run ended" step=4` {
		t.Errorf("log:\n%s", buf.String())
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]int{"step/loss": 4, "step/rate": 4, "step/gradient norm": 4, "epoch/loss": 2, "epoch/val_loss": 2} {
		if got := bytes.Count(text, []byte(tag)); got != want {
			t.Errorf("%d scalars of %s, want %d", got, tag, want)
		}
	}
}

func TestCallbackError(t *testing.T) {
	oops := errors.New("oops")
	for _, kind := range []EventKind{RunBegin, StepDone, EpochDone, RunEnd} {
		ended := false
		_, err := Fit(background, linear3, loss.CrossEntropy, blobs(t, 64, 1), Config{Epochs: 2, Optimizer: optim.SGD(0.1),
			Callbacks: []Callback{CallbackFunc(func(_ context.Context, e Event) error {
				ended = ended || e.Kind == RunEnd
				if e.Kind == kind {
					return oops
				}
				return nil
			})}})
		if !errors.Is(err, oops) || !ended {
			t.Errorf("event %d: error %v, run end seen: %v", kind, err, ended)
		}
	}
}
