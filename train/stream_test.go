package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// streamRows and streamFields describe the streams of these tests.
const streamRows = 60

var streamFields = data.Fields{Inputs: map[string]data.Field{"x": {Kind: data.Float, Shape: []int{3}}}, Targets: map[string]data.Field{"kind": {Kind: data.Int}}}

// generated are examples without an end, which differ from epoch to epoch.
func generated(epoch, from int) iter.Seq2[data.Example, error] {
	return func(yield func(data.Example, error) bool) {
		for row := from; ; row++ {
			rng := data.Rand(4, fmt.Sprint("epoch ", epoch), uint64(row))
			x, kind := []float64{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}, rng.IntN(3)
			x[kind] += 2
			if !yield(data.Example{In: map[string]data.Column{"x": {F64: x}}, Out: map[string]data.Column{"kind": {Int: []int{kind}}}}, nil) {
				return
			}
		}
	}
}

func newStream(t testing.TB, open func(epoch, from int) iter.Seq2[data.Example, error]) *data.Stream {
	t.Helper()
	s, err := data.NewStream(streamRows, streamFields, open)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func kinds(b *Builder, in Nodes) (Nodes, error) {
	out, err := mlp(b, in["x"])
	return Nodes{"kind": out}, err
}

var kindObjective = Objective{{Output: "kind", Target: "kind", Loss: loss.CrossEntropy}}

func fitStream(ctx context.Context, ds data.Records, cfg Config) (*Result, error) {
	return FitNamed(ctx, kinds, kindObjective, ds, cfg)
}

// jitter is an augmentation.
func jitter(rng *rand.Rand, in, _ Row) error {
	for i := range in["x"].F32 {
		in["x"].F32[i] += float32(rng.NormFloat64() / 4)
	}
	return nil
}

// streamConfig is a run with a stream, augmentation and validations within and after some epochs.
func streamConfig(t testing.TB, dir string) Config {
	c := Config{Epochs: 5, BatchSize: 8, Optimizer: optim.Adam(0.02), Seed: 3, Augment: jitter, ValidationRecords: newStream(t, generated).Epoch(100),
		ValidateEvery: 2, ValidateSteps: 3, EarlyStop: &EarlyStop{Patience: 8}, Schedule: optim.Plateau(optim.PlateauSettings{Factor: 0.7, Patience: 1, MinDelta: 0.01})}
	if dir != "" {
		c.Checkpoint = &Checkpoint{Dir: dir, Resume: true, EverySteps: 2, Monitor: "val_loss"}
	}
	return c
}

func mustFitStream(t testing.TB, cfg Config) *Result {
	t.Helper()
	res, err := fitStream(background, newStream(t, generated), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestStream: a run with a stream is the one with the same examples in memory, in their order, and
// each epoch opens the stream once.
func TestStream(t *testing.T) {
	var x [][]float64
	var y []int
	for e := range generated(1, 0) {
		x, y = append(x, e.In["x"].F64), append(y, e.Out["kind"].Int[0])
		if len(x) == streamRows {
			break
		}
	}
	frame, err := data.NewFrame(map[string]data.Series{"x": data.Numbers(x)}, map[string]data.Series{"kind": data.Labels(y)})
	if err != nil {
		t.Fatal(err)
	}
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		cfg := Config{Epochs: 1, BatchSize: 8, Optimizer: optim.Adam(0.02), Seed: 3, DType: dt}
		inOrder := cfg
		inOrder.KeepOrder = true
		want, err := fitStream(background, frame, inOrder)
		if err != nil {
			t.Fatal(err)
		}
		for _, ahead := range []int{0, 2} {
			cfg.Prefetch = ahead
			var opened []string
			counted := newStream(t, func(epoch, from int) iter.Seq2[data.Example, error] {
				opened = append(opened, fmt.Sprint(epoch, " ", from))
				return generated(epoch, from)
			})
			got, err := fitStream(background, counted, cfg)
			if err != nil {
				t.Fatal(err)
			}
			sameRun(t, fmt.Sprint("stream, prefetch ", ahead), got, want)
			if !slices.Equal(opened, []string{"1 0"}) {
				t.Errorf("prefetch %d: the stream was opened at epoch and row %q, want 1 0", ahead, opened)
			}
		}
	}
	// A trainer's steps read a stream as any records, and predictions do.
	s := newStream(t, generated)
	b := data.NewBatch(streamFields, 4, false)
	for _, rows := range [][]int{{0, 1, 2, 3}, {4, 5}, {59}, {7, 3}} {
		if err := b.Fill(s, rows); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			if got := b.In["x"].F64[3*i : 3*i+3]; !slices.Equal(got, x[row]) || b.Out["kind"].Int[i] != y[row] {
				t.Errorf("row %d is %v, want %v", row, got, x[row])
			}
		}
	}
	s.Close()
}

// TestStreamResumes: a run with a stream, augmentation and validations within epochs that ends
// after any step, or during a validation, goes on to the same bits.
func TestStreamResumes(t *testing.T) {
	want := mustFitStream(t, streamConfig(t, ""))
	if n := len(want.History.Validations); want.Steps != 40 || n != 12 {
		t.Fatalf("%d steps and %d validations within epochs, want 40 and 12, as steps 24 ends an epoch", want.Steps, n)
	}
	for i, e := range want.History.Epochs {
		if _, measured := e.Values["val_loss"]; measured != (i%2 == 1 || i == 4) {
			t.Errorf("epoch %d has a validation: %v", i+1, measured)
		}
	}
	stops := map[string]func(cancel func()) Callback{}
	for _, step := range []int{1, 3, 5, 8, 24, 39} {
		stops[fmt.Sprint("step ", step)] = func(cancel func()) Callback { return stopAt(step, cancel) }
	}
	stops["a validation"] = func(cancel func()) Callback { return &stopValidation{cancel: cancel, at: 9} }
	for how, stop := range stops {
		cfg := streamConfig(t, t.TempDir())
		cfg.Checkpoint.EverySteps = 7
		ctx, cancel := context.WithCancel(background)
		cfg.Callbacks = []Callback{stop(cancel)}
		if _, err := fitStream(ctx, newStream(t, generated), cfg); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: error %v", how, err)
		}
		cfg.Callbacks, cfg.Prefetch = nil, 2
		sameRun(t, "stopped at "+how, mustFitStream(t, cfg), want)
		other := cfg
		other.Augment = func(rng *rand.Rand, in, out Row) error { return nil }
		if _, err := fitStream(background, newStream(t, generated), other); err == nil || !strings.Contains(err.Error(), "examples") {
			t.Errorf("another augmentation gives the error %v", err)
		}
	}
}

// stopValidation cancels a run within a validation.
type stopValidation struct {
	cancel func()
	at     int // the step
}

func (s *stopValidation) Event(context.Context, Event) error { return nil }

func (s *stopValidation) validating(e Event, _, _ int) error {
	if e.Step == s.at {
		s.cancel()
	}
	return nil
}

// TestAugment: the changes depend on the seed, the epoch and the example, are those of a whole
// number of goroutines, and leave the data and the validation alone.
func TestAugment(t *testing.T) {
	ds := blobs(t, 30, 8)
	seen := make(map[string][]float64)
	cfg := Config{Epochs: 2, BatchSize: 8, Optimizer: optim.SGD(0.1), DType: tensor.Float64, Validation: ds, KeepOrder: true}
	cfg.Augment = func(rng *rand.Rand, in, out Row) error {
		key := fmt.Sprint(in["input"].F64[0])
		seen[key] = append(seen[key], rng.NormFloat64())
		in["input"].F64[0] += seen[key][len(seen[key])-1]
		out["target"].Int[0] = (out["target"].Int[0] + 1) % 3
		return nil
	}
	res := mustFit(t, linear3, ds, cfg)
	if len(seen) != 30 {
		t.Fatalf("%d examples were augmented, want 30: the data may have been changed", len(seen))
	}
	drawn := make(map[float64]bool)
	for key, v := range seen {
		if len(v) != 2 {
			t.Errorf("example %s was augmented %d times in 2 epochs", key, len(v))
		}
		for _, x := range v {
			drawn[x] = true
		}
	}
	if len(drawn) != 60 {
		t.Errorf("%d different numbers, want 60", len(drawn))
	}
	v, err := res.Evaluate(background, loss.CrossEntropy, ds)
	if err != nil || v["loss"] != res.History.Last("val_loss") {
		t.Errorf("validation %v, and without augmentation %v (%v)", res.History.Last("val_loss"), v["loss"], err)
	}
	if v["loss"] < res.History.Last("loss") { // its targets are not those of training
		t.Errorf("loss %v on the targets that are not trained on, %v on those that are", v["loss"],
			res.History.Last("loss"))
	}
	noisy := Config{Epochs: 2, BatchSize: 8, Optimizer: optim.SGD(0.1), Augment: func(rng *rand.Rand, in, _ Row) error {
		in["input"].F32[0] += float32(rng.NormFloat64())
		return nil
	}}
	want := mustFit(t, linear3, ds, noisy)
	noisy.Prefetch = 3
	sameRun(t, "with prefetch", mustFit(t, linear3, ds, noisy), want)
	noisy.Seed = 1
	if sameParams(mustFit(t, linear3, ds, noisy).Net, want.Net) {
		t.Error("the seed does not matter")
	}
}

// TestStreamFaults: what is wrong with a stream or an augmentation is an error that says where.
func TestStreamFaults(t *testing.T) {
	cut := func(rows int, then error) func(epoch, from int) iter.Seq2[data.Example, error] {
		return func(epoch, from int) iter.Seq2[data.Example, error] {
			return func(yield func(data.Example, error) bool) {
				row := from
				for e := range generated(epoch, from) {
					if row++; row > rows {
						if then != nil {
							yield(data.Example{}, then)
						}
						return
					}
					if !yield(e, nil) {
						return
					}
				}
			}
		}
	}
	changed := func(change func(e *data.Example)) func(epoch, from int) iter.Seq2[data.Example, error] {
		return func(epoch, from int) iter.Seq2[data.Example, error] {
			return func(yield func(data.Example, error) bool) {
				for e := range generated(epoch, from) {
					if change(&e); !yield(e, nil) {
						return
					}
				}
			}
		}
	}
	failure := errors.New("the line is dead")
	for _, c := range []struct {
		name string
		open func(epoch, from int) iter.Seq2[data.Example, error]
		want string
	}{
		{"early end", cut(37, nil), "epoch 1, row 37: the stream has ended, and an epoch has 60 examples"},
		{"failure", cut(37, failure), "epoch 1, row 37: the line is dead"},
		{"nil", func(int, int) iter.Seq2[data.Example, error] { return nil }, "open returned nil"},
		{"no input", changed(func(e *data.Example) { e.In = nil }), `row 0: the example has no input "x"`},
		{"another target", changed(func(e *data.Example) { e.Out["more"] = data.Column{Int: []int{1}} }),
			`has the target "more", which is no field`},
		{"another length", changed(func(e *data.Example) { e.In["x"] = data.Column{F64: []float64{1}} }),
			`input "x" has 1 numbers, want 3`},
		{"floats for labels", changed(func(e *data.Example) { e.Out["kind"] = data.Column{F64: []float64{1}} }),
			`target "kind": data: floats do not convert`},
		{"NaN", changed(func(e *data.Example) { e.In["x"].F64[1] = math.NaN() }), "NaN at element 1"},
		{"panic", changed(func(*data.Example) { panic("no more") }), "no more"},
	} {
		for _, ahead := range []int{0, 2} {
			_, err := fitStream(background, newStream(t, c.open), Config{Epochs: 1, BatchSize: 8, Optimizer: optim.SGD(0.1), Prefetch: ahead})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, prefetch %d: error %v, want %q", c.name, ahead, err, c.want)
			}
			if c.want == failure.Error() && !errors.Is(err, failure) {
				t.Errorf("%s: %v does not wrap the stream's error", c.name, err)
			}
		}
	}
	for _, c := range []struct {
		name string
		f    func(rng *rand.Rand, in, out Row) error
		want string
	}{
		{"error", func(*rand.Rand, Row, Row) error { return failure }, "augmenting row 0: the line is dead"},
		{"panic", func(*rand.Rand, Row, Row) error { panic("oh") }, "oh"},
		{"NaN", func(_ *rand.Rand, in, _ Row) error { in["input"].F32[2] = float32(math.NaN()); return nil },
			"input of row 0 has NaN at element 2"},
		{"other memory", func(_ *rand.Rand, in, _ Row) error {
			in["input"] = data.Column{F32: make([]float32, 3)}
			return nil
		}, "it replaced the numbers of input, want them changed in their place"},
		{"another field", func(_ *rand.Rand, _, out Row) error { out["more"] = data.Column{}; return nil },
			"it added to the targets"},
	} {
		_, err := Fit(background, linear3, loss.CrossEntropy, blobs(t, 8, 1), Config{Epochs: 1, KeepOrder: true, Optimizer: optim.SGD(0.1), Augment: c.f})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Augment, %s: error %v, want %q", c.name, err, c.want)
		}
	}
	for name, f := range map[string]func() (*data.Stream, error){
		"no rows":   func() (*data.Stream, error) { return data.NewStream(0, streamFields, generated) },
		"no open":   func() (*data.Stream, error) { return data.NewStream(1, streamFields, nil) },
		"no fields": func() (*data.Stream, error) { return data.NewStream(1, data.Fields{}, generated) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestStreamWeightsAndMasks: a stream with weights and a masked target is the frame with the same, and
// an example that does not go with its stream is an error.
func TestStreamWeightsAndMasks(t *testing.T) {
	const n, size = 30, 2
	fields := data.Fields{Inputs: map[string]data.Field{"x": {Kind: data.Float, Shape: []int{3}}},
		Targets: map[string]data.Field{"y": {Kind: data.Float, Shape: []int{size}}}, Masked: map[string]bool{"y": true}}
	var x, y [][]float64
	var weights []float64
	var mask []bool
	rng := rand.New(rand.NewPCG(1, 5))
	for i := range n {
		x, y = append(x, []float64{rng.NormFloat64(), rng.NormFloat64(), 1}), append(y, []float64{rng.NormFloat64(), rng.NormFloat64()})
		weights, mask = append(weights, []float64{1, 0, 2.5}[i%3]), append(mask, i%4 != 0, i%5 != 0)
		if i%5 == 0 {
			y[i][1] = math.NaN() // it is never read
		}
	}
	open := func(change func(row int, e *data.Example)) func(epoch, from int) iter.Seq2[data.Example, error] {
		return func(_, from int) iter.Seq2[data.Example, error] {
			return func(yield func(data.Example, error) bool) {
				for i := from; i < n; i++ {
					e := data.Example{In: map[string]data.Column{"x": {F64: x[i]}}, Out: map[string]data.Column{"y": {F64: y[i]}},
						Mask: map[string][]bool{"y": mask[i*size:][:size]}, Weight: weights[i]}
					if change(i, &e); !yield(e, nil) {
						return
					}
				}
			}
		}
	}
	fit := func(ds data.Records) (*Result, error) {
		model := func(b *Builder, in Nodes) (Nodes, error) {
			out, err := b.Dense("out", in["x"], size)
			return Nodes{"y": out}, err
		}
		return FitNamed(background, model, Objective{{Output: "y", Target: "y", Loss: loss.MSE}}, ds,
			Config{Epochs: 2, BatchSize: 8, KeepOrder: true, Optimizer: optim.Adam(0.02), ValidationRecords: ds})
	}
	frame, err := data.NewFrame(map[string]data.Series{"x": data.Numbers(x)}, map[string]data.Series{"y": data.Numbers(y).WithMask(mask)})
	if err != nil {
		t.Fatal(err)
	}
	if frame, err = frame.WithWeights(weights); err != nil {
		t.Fatal(err)
	}
	want, err := fit(frame)
	if err != nil {
		t.Fatal(err)
	}
	stream := func(change func(row int, e *data.Example)) *data.Stream {
		s, err := data.NewStream(n, fields, open(change))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	got, err := fit(stream(func(int, *data.Example) {}).WithWeights())
	if err != nil {
		t.Fatal(err)
	}
	sameRun(t, "stream", got, want)
	for want, change := range map[string]func(e *data.Example){
		`row 9: the example has no mask of target "y", only of []`: func(e *data.Example) { e.Mask = nil },
		`row 9: the mask of target "y" has 1 elements, want 2`:     func(e *data.Example) { e.Mask = map[string][]bool{"y": {true}} },
		`row 9: the example has a mask of "z", which is no masked`: func(e *data.Example) { e.Mask = map[string][]bool{"y": {true, true}, "z": nil} },
		`weight of row 9 is NaN, want a finite number`:             func(e *data.Example) { e.Weight = math.NaN() },
	} {
		_, err := fit(stream(func(row int, e *data.Example) {
			if row == 9 {
				change(e)
			}
		}).WithWeights())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := fit(stream(func(int, *data.Example) {})); err == nil || !strings.Contains(err.Error(), "row 0: the example has the weight 1, and the stream is one without") {
		t.Errorf("weights that the stream has not: %v", err)
	}
}

// TestValidationsAreShown: validations within an epoch are events, and lines of the progress.
func TestValidationsAreShown(t *testing.T) {
	var text strings.Builder
	var at []int
	cfg := Config{Epochs: 1, BatchSize: 8, Optimizer: optim.SGD(0.1), Validation: blobs(t, 12, 9), ValidateSteps: 3, Progress: &text}
	cfg.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
		if e.Kind == Validated {
			at = append(at, e.Step, e.Record.Step)
		}
		return nil
	})}
	res := mustFit(t, func(b *Builder, x *G.Node) (*G.Node, error) { return linear3(b, x) }, blobs(t, 60, 8), cfg)
	if !slices.Equal(at, []int{3, 3, 6, 6}) || len(res.History.Validations) != 2 {
		t.Errorf("validations at steps %v, in the history %d", at, len(res.History.Validations))
	}
	if !strings.Contains(text.String(), "step 3/8  val_loss ") || !strings.Contains(text.String(), "step 6/8  val_loss ") {
		t.Errorf("progress:\n%s", text.String())
	}
}
