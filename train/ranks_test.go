package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// rankConfig has a last batch of 2 of 8 rows, ignored labels by class weights of 0, dropout and
// every kind of measurement.
func rankConfig(t testing.TB) Config {
	c := fullConfig(t, "")
	c.Epochs, c.DType, c.ClassWeights = 3, tensor.Float64, []float64{1, 0, 2.5}
	c.EarlyStop.Patience, c.ValidateSteps = 2, 1
	return c
}

// fitRanks fits on some ranks, each with a configuration of its own, and returns the results in
// their order.
func fitRanks(size int, ds data.Dataset, config func(rank int) Config) ([]*Result, error) {
	results := make([]*Result, size)
	err := comm.Run(size, func(c comm.Comm) error {
		cfg := config(c.Rank())
		cfg.Comm = c
		res, err := Fit(background, mlp, loss.CrossEntropy, ds, cfg)
		results[c.Rank()] = res
		return err
	})
	return results, err
}

// closeRun fails unless two results agree up to the order of sums.
func closeRun(t *testing.T, how string, got, want *Result) {
	t.Helper()
	const tolerance = 1e-12 // of numbers of about 1: some hundred roundings of 1e-16
	for i, a := range want.Params() {
		for j, v := range a.F64 {
			if g := got.Params()[i].F64[j]; !(math.Abs(g-v) <= tolerance) {
				t.Errorf("%s: %s[%d] is %v, want %v", how, a.Name, j, g, v)
				return
			}
		}
	}
	if got.Steps != want.Steps || len(got.History.Epochs) != len(want.History.Epochs) {
		t.Fatalf("%s: %d steps in %d epochs, want %d in %d", how, got.Steps, len(got.History.Epochs), want.Steps, len(want.History.Epochs))
	}
	for i, w := range want.History.Epochs {
		g := got.History.Epochs[i]
		for name, v := range w.Values {
			if x, ok := g.Values[name]; !ok || !(math.Abs(x-v) <= tolerance) {
				t.Errorf("%s: %s of epoch %d is %v, want %v", how, name, i+1, x, v)
			}
		}
	}
}

// TestRanksAreOne: any number of ranks, more than a batch has rows among them, end with what one
// has, each with the same bits, and the same bits again.
func TestRanksAreOne(t *testing.T) {
	ds := blobs(t, 34, 8)
	config := func(int) Config { return rankConfig(t) }
	want := mustFit(t, mlp, ds, config(0))
	for _, size := range []int{1, 2, 3, 5, 11} {
		how := fmt.Sprintf("%d ranks", size)
		got, err := fitRanks(size, ds, config)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		again, err := fitRanks(size, ds, config)
		if err != nil {
			t.Fatal(err)
		}
		closeRun(t, how, got[0], want)
		for r, res := range got {
			sameRun(t, fmt.Sprintf("rank %d of %d", r, size), res, got[0])
		}
		sameRun(t, how+" again", again[size-1], got[0])
	}
}

// TestRanksMeasure: metrics that keep rows and the numbers of a validation set smaller than the
// number of ranks.
func TestRanksMeasure(t *testing.T) {
	ds := blobs(t, 20, 8)
	config := func(int) Config {
		return Config{Epochs: 2, BatchSize: 7, Optimizer: optim.SGD(0.1), DType: tensor.Float64, Validation: blobs(t, 3, 2),
			Metrics: []metric.Metric{metric.NewTopK(2), metric.NewCalibrationError(5)}}
	}
	want := mustFit(t, mlp, ds, config(0))
	got, err := fitRanks(5, ds, config)
	if err != nil {
		t.Fatal(err)
	}
	closeRun(t, "5 ranks", got[4], want)
}

// TestRanksSingle: in float32 gradients agree to 1e-6 of the largest, and the parameters after a few
// steps of SGD as well; there are more ranks than rows.
func TestRanksSingle(t *testing.T) {
	ds := blobs(t, 4, 8)
	config := func(int) Config { return Config{Epochs: 3, Optimizer: optim.SGD(0.1)} }
	want := mustFit(t, mlp, ds, config(0))
	got, err := fitRanks(5, ds, config)
	if err != nil {
		t.Fatal(err)
	}
	var largest float64
	for _, a := range want.Params() {
		for _, v := range a.F32 {
			largest = max(largest, math.Abs(float64(v)))
		}
	}
	for i, a := range want.Params() {
		for j, v := range a.F32 {
			if g := got[3].Params()[i].F32[j]; !(math.Abs(float64(g-v)) <= 1e-6*largest) {
				t.Errorf("%s[%d] is %v, want %v", a.Name, j, g, v)
			}
		}
	}
}

// TestRanksResume stops after some steps, in the middle of an epoch too, and goes on: on as many
// ranks to the bit, on others up to rounding.
func TestRanksResume(t *testing.T) {
	ds := blobs(t, 34, 8)
	full := func(int) Config { return rankConfig(t) }
	want, err := fitRanks(3, ds, full)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{1, 3, 5} {
		for _, size := range []int{3, 2, 1} {
			dir, how := filepath.Join(t.TempDir(), "run"), fmt.Sprintf("after step %d on %d ranks", step, size)
			stopped, err := fitRanks(3, ds, func(rank int) Config {
				c := rankConfig(t)
				c.Checkpoint = &Checkpoint{Dir: dir, EverySteps: 1}
				if rank == 1 {
					c.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
						if e.Kind == StepDone && e.Step == step {
							return ErrStop
						}
						return nil
					})}
				}
				return c
			})
			if err != nil || stopped[0].Steps != step || stopped[2].Stopped != "callback" {
				t.Fatalf("%s: stopped %+v, %v", how, stopped[0], err)
			}
			got, err := fitRanks(size, ds, func(int) Config {
				c := rankConfig(t)
				c.Checkpoint = &Checkpoint{Dir: dir, Resume: true, EverySteps: 1}
				return c
			})
			switch {
			case err != nil:
				t.Fatalf("%s: %v", how, err)
			case size == 3:
				for _, res := range got {
					if !sameParams(res.Net, want[0].Net) {
						t.Errorf("%s: the parameters differ", how)
					}
				}
			}
			closeRun(t, how, got[size-1], want[0])
		}
	}
}

// TestRanksDisagree: ranks that are not of one run get an error, each, before any step.
func TestRanksDisagree(t *testing.T) {
	ds := blobs(t, 20, 8)
	for want, change := range map[string]func(c *Config){
		`seed is "3" on rank 0 and "4" on rank 2`:                func(c *Config) { c.Seed = 4 },
		`Epochs is "3" on rank 0 and "2" on rank 2`:              func(c *Config) { c.Epochs = 2 },
		`batch size is "8" on rank 0 and "7" on rank 2`:          func(c *Config) { c.BatchSize = 7 },
		`clip norm is "0.5" on rank 0 and "0" on rank 2`:         func(c *Config) { c.ClipNorm = 0 },
		`optimizer is "adam" on rank 0 and "sgd" on rank 2`:      func(c *Config) { c.Optimizer = optim.SGD(1) },
		`one has the setting "Metrics[1]", the other`:            func(c *Config) { c.Metrics = c.Metrics[:1] },
		`validation is "40 rows`:                                 func(c *Config) { c.Validation = blobs(t, 40, 10) },
		"rank 2: Accumulate is -1, want at least 1":              func(c *Config) { c.Accumulate = -1 },
		`dtype is "float64" on rank 0 and "float32" on rank 2`:   func(c *Config) { c.DType = tensor.Float32 },
		`AnyOrder is "false" on rank 0 and "true" on rank 2`:     func(c *Config) { c.AnyOrder = true },
		`Checkpoint is "none" on rank 0 and "every 1 epochs, ev`: func(c *Config) { c.Checkpoint = &Checkpoint{Dir: "never"} },
	} {
		var mu sync.Mutex
		steps, errs := 0, 0
		err := comm.Run(3, func(k comm.Comm) error {
			c := rankConfig(t)
			c.Comm = k
			if k.Rank() == 2 {
				change(&c)
			}
			c.Callbacks = []Callback{CallbackFunc(func(context.Context, Event) error {
				mu.Lock()
				defer mu.Unlock()
				steps++
				return nil
			})}
			_, err := Fit(background, mlp, loss.CrossEntropy, ds, c)
			mu.Lock()
			defer mu.Unlock()
			if want := strings.TrimPrefix(want, "rank 2: "); err != nil && strings.Contains(err.Error(), want) {
				errs++
			}
			return err
		})
		if errs != 3 || steps != 0 {
			t.Errorf("%d of 3 ranks have the error %q, after %d events: %v", errs, want, steps, err)
		}
	}
	err := comm.Run(2, func(k comm.Comm) error {
		_, err := Fit(background, mlp, loss.CrossEntropy, blobs(t, 20, uint64(k.Rank())), Config{Epochs: 1, Optimizer: optim.SGD(1), Comm: k})
		return err
	})
	if err == nil || strings.Count(err.Error(), `examples is "20 rows`) != 2 {
		t.Errorf("other examples: %v", err)
	}
}

// TestRanksFail: what ends the run of one rank ends it on all, whenever it comes, and says why.
func TestRanksFail(t *testing.T) {
	ds := blobs(t, 34, 8)
	fault := errors.New("fault of one rank")
	at := func(kind EventKind, step int, err error) Callback {
		return CallbackFunc(func(_ context.Context, e Event) error {
			if e.Kind == kind && e.Step >= step {
				return err
			}
			return nil
		})
	}
	for _, kind := range []EventKind{RunBegin, StepDone, EpochDone} {
		for _, step := range []int{0, 2, 3, 4} {
			results, err := fitRanks(3, ds, func(rank int) Config {
				c := rankConfig(t)
				if rank == 1 {
					c.Callbacks = []Callback{at(kind, step, fault)}
				}
				return c
			})
			if kind == RunBegin && step > 0 {
				continue
			}
			if !errors.Is(err, fault) || strings.Count(err.Error(), "fault of one rank") != 3 || strings.Count(err.Error(), "rank 1: ") != 2 {
				t.Errorf("event %v, step %d: %v", kind, step, err)
			}
			if !sameParams(results[0].Net, results[1].Net) || !sameParams(results[2].Net, results[1].Net) {
				t.Errorf("event %v, step %d: the parameters differ", kind, step)
			}
		}
	}

	// A label that is no class, in one rank's part of a batch.
	x, y := [][]float64{{1, 2, 3}, {2, 3, 4}, {3, 4, 5}, {4, 5, 6}}, []int{0, 1, 2, 3}
	bad, err := data.Classes(x, y)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fitRanks(2, bad, func(int) Config {
		return Config{Epochs: 1, Optimizer: optim.SGD(1), KeepOrder: true}
	})
	if err == nil || !strings.Contains(err.Error(), "rank 1: step 1: ") || strings.Count(err.Error(), "label") < 2 {
		t.Errorf("bad label: %v", err)
	}
}

// TestRanksCancel: the context of one rank ends the run of all after the same step, which is saved.
func TestRanksCancel(t *testing.T) {
	ds, dir := blobs(t, 34, 8), filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	var steps [3]int
	err := comm.Run(3, func(k comm.Comm) error {
		c := rankConfig(t)
		c.Comm, c.Checkpoint = k, &Checkpoint{Dir: dir}
		own := background
		if k.Rank() == 2 {
			own, c.Callbacks = ctx, []Callback{stopAt(2, cancel)}
		}
		res, err := Fit(own, mlp, loss.CrossEntropy, ds, c)
		steps[k.Rank()] = res.Steps
		return err
	})
	if !errors.Is(err, context.Canceled) || strings.Count(err.Error(), "stopped after step 2, in epoch 1") != 3 ||
		strings.Count(err.Error(), "rank 2: context canceled") != 2 || steps != [3]int{2, 2, 2} {
		t.Errorf("steps %v: %v", steps, err)
	}
	if paths, err := Checkpoints(dir); err != nil || len(paths) != 1 || filepath.Base(paths[0]) != stepDir(2) {
		t.Errorf("checkpoints %v, %v", paths, err)
	}
}

// TestRanksRefuse: a layer that reads the whole batch, and a loss that is no quotient.
func TestRanksRefuse(t *testing.T) {
	ds := blobs(t, 20, 8)
	normed := func(b *Builder, x *G.Node) (*G.Node, error) {
		h, err := b.BatchNorm("norm", x)
		if err != nil {
			return nil, err
		}
		return b.Dense("out", h, 3)
	}
	sum := func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) {
		return loss.Weighted(loss.Term{Name: "a", Factor: 1, Loss: loss.CrossEntropy}, loss.Term{Name: "b", Factor: 2, Loss: loss.CrossEntropy})(pred, target, opts...)
	}
	for want, run := range map[string]struct {
		model Model
		loss  loss.Func
	}{
		"LayerNorm does the same on any number of ranks":                                    {normed, loss.CrossEntropy},
		"(Accumulate, Comm) takes the numerators and denominators of batches: loss.Parts: ": {linear3, sum},
	} {
		err := comm.Run(2, func(k comm.Comm) error {
			_, err := Fit(background, run.model, run.loss, ds, Config{Epochs: 1, Optimizer: optim.SGD(1), Comm: k})
			return err
		})
		if err == nil || strings.Count(err.Error(), want) != 2 {
			t.Errorf("%v, want twice %q", err, want)
		}
	}
}

// TestRanksDrift: parameters that are no longer the same are noticed at the end of the epoch.
func TestRanksDrift(t *testing.T) {
	_, err := fitRanks(3, blobs(t, 34, 8), func(rank int) Config {
		c := rankConfig(t)
		if rank == 1 {
			c.Callbacks = []Callback{CallbackFunc(func(_ context.Context, e Event) error {
				if e.Kind == StepDone && e.Step == 1 {
					e.Net.params.list[0].F64[0] = math.Nextafter(e.Net.params.list[0].F64[0], 2)
				}
				return nil
			})}
		}
		return c
	})
	if err == nil || strings.Count(err.Error(), "epoch 1: rank 0 and rank 1 have other parameters") != 3 {
		t.Errorf("error %v of parameters that drift", err)
	}
}

// TestRanksNamed: a run with names, whose terms have denominators of their own.
func TestRanksNamed(t *testing.T) {
	fit := func(k comm.Comm) *Result {
		c := gardenConfig(t, "")
		c.Comm, c.DType = k, tensor.Float64
		res, err := FitNamed(background, gardener, harvest(), garden(t, 30, 1), c)
		if err != nil {
			t.Error(err)
		}
		return res
	}
	want := fit(nil)
	for _, size := range []int{2, 3} {
		results := make([]*Result, size)
		comm.Run(size, func(k comm.Comm) error {
			results[k.Rank()] = fit(k)
			return nil
		})
		if !t.Failed() {
			closeRun(t, fmt.Sprintf("%d ranks", size), results[1], want)
		}
	}
}
