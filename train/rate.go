package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
)

// A RateTest says how [FindRate] varies the learning rate. Its zero value is its default.
type RateTest struct {
	From, To float64 // the first and the last rate, 0 < From < To; both 0 mean 1e-6 and 1
	Steps    int     // between them, at least 10; 0 means 100
}

// Rates are the losses of a run whose learning rate grows from step to step, as [FindRate]
// measures them.
type Rates struct {
	Rates  []float64 // of each step
	Losses []float64 // before each step, smoothed
	// Best is the rate at which the loss falls fastest, which is near the largest that works: one for
	// the peak of a schedule, and a few times too large for a constant rate.
	Best float64
}

// FindRate trains a new model with a learning rate that grows exponentially from step to step, and
// returns the losses by rate:
//
//	rate_k = From·(To/From)^(k/(Steps-1))    k = 0 ... Steps-1
//
// The losses are moving averages, s_k ← 0.9·s_k-1 + 0.1·l_k, divided by 1 - 0.9^(k+1) as for Adam.
// The test ends early where the average is above four times its least or not finite, and is an
// error where it never fell. Package report draws the result:
//
//	r, err := train.FindRate(ctx, model, loss.CrossEntropy, ds, cfg, train.RateTest{})
//	picture, err := report.Rates("Learning rates", r.Rates, r.Losses, r.Best)
//
// The configuration is that of [Fit], by which the model is trained afterwards. Of its optimizer
// the rate has no meaning here; Epochs, Schedule, Validation, Metrics, EarlyStop, Checkpoint and
// everything that shows a run are left out.
//
// Reference: L. N. Smith, Cyclical Learning Rates for Training Neural Networks, 2017.
func FindRate(ctx context.Context, model Model, lossFn loss.Func, ds data.Dataset, cfg Config, test RateTest) (*Rates, error) {
	r, err := records("dataset", ds)
	if err == nil && lossFn == nil {
		err = errors.New("loss is nil")
	}
	if err != nil {
		return nil, fmt.Errorf("train.FindRate: %w", err)
	}
	return findRate(ctx, "FindRate", model.network(), objectiveOf(lossFn), r, cfg, test)
}

// FindRateNamed is [FindRate] for records, a network and an objective.
func FindRateNamed(ctx context.Context, model Network, objective Objective, ds data.Records, cfg Config,
	test RateTest) (*Rates, error) {
	return findRate(ctx, "FindRateNamed", model, objective, ds, cfg, test)
}

// The smoothing of losses, and how far above the least a loss ends the test.
const (
	rateSmoothing = 0.9
	rateBlowUp    = 4
)

func findRate(ctx context.Context, fn string, model Network, objective Objective, ds data.Records, cfg Config,
	test RateTest) (*Rates, error) {
	fail := func(err error) (*Rates, error) { return nil, fmt.Errorf("train.%s: %w", fn, err) }
	if test.From == 0 && test.To == 0 {
		test.From, test.To = 1e-6, 1
	}
	if test.Steps == 0 {
		test.Steps = 100
	}
	switch {
	case !(test.From > 0) || !(test.To > test.From) || math.IsInf(test.To, 1):
		return fail(fmt.Errorf("rates from %v to %v, want 0 < From < To", test.From, test.To))
	case test.Steps < 10:
		return fail(fmt.Errorf("%d steps, want at least 10", test.Steps))
	case cfg.Optimizer != nil && !(cfg.Optimizer.Rate() > 0):
		return fail(fmt.Errorf("the optimizer has the rate %v, want a positive one, which the test then varies", cfg.Optimizer.Rate()))
	}
	out := &Rates{}
	average, least := 0.0, math.Inf(1)
	watch := func(_ context.Context, e Event) error {
		if e.Kind != StepDone {
			return nil
		}
		if math.IsNaN(e.Loss) { // no row of the batch counts
			if e.Step >= test.Steps {
				return ErrStop
			}
			return nil
		}
		average = rateSmoothing*average + (1-rateSmoothing)*e.Loss
		smooth := average / (1 - math.Pow(rateSmoothing, float64(len(out.Losses)+1)))
		out.Rates, out.Losses = append(out.Rates, e.Rate), append(out.Losses, smooth)
		least = min(least, smooth)
		if e.Step >= test.Steps || smooth > rateBlowUp*least && least > 0 {
			return ErrStop
		}
		return nil
	}
	cfg.Epochs = test.Steps // each has a step at least
	cfg.Validation, cfg.ValidationRecords, cfg.Metrics, cfg.EarlyStop, cfg.Checkpoint = nil, nil, nil, nil, nil
	cfg.FastDevRun, cfg.Progress, cfg.Logger = false, nil, nil
	cfg.Callbacks = []Callback{CallbackFunc(watch)}
	if cfg.Optimizer != nil {
		cfg.Schedule = growing{test, cfg.Optimizer.Rate()}
	}
	r, err := newRun(ctx, model, objective, ds, cfg)
	if err != nil {
		return fail(err)
	}
	defer r.close()
	var bad *NonFiniteError
	if err := r.loop(ctx); err != nil && !errors.As(err, &bad) {
		return fail(err)
	}
	out.Best = out.steepest()
	if out.Best == 0 {
		return fail(fmt.Errorf("the loss never fell in %d steps with rates from %v", len(out.Losses), test.From))
	}
	return out, nil
}

// steepest returns the rate at which the smoothed loss falls fastest, by the logarithm of the rate,
// before its least; 0 where it never falls.
func (r *Rates) steepest() float64 {
	least := 0
	for i, l := range r.Losses {
		if l < r.Losses[least] {
			least = i
		}
	}
	best, fall := 0.0, 0.0
	for i := 1; i < least; i++ { // the rates are at equal distances
		if d := r.Losses[i-1] - r.Losses[i+1]; d > fall {
			best, fall = r.Rates[i], d
		}
	}
	return best
}

// growing is the schedule of a rate test with an optimizer of some rate.
type growing struct {
	RateTest
	rate float64
}

func (g growing) Factor(p optim.Position) float64 {
	return g.From * math.Pow(g.To/g.From, float64(p.Step-1)/float64(g.Steps-1)) / g.rate
}
func (g growing) Name() string { return fmt.Sprintf("rate test %+v", g.RateTest) }
func (growing) Check() error   { return nil }
