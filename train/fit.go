package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"time"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
)

// A Result is a trained model together with the record of its run.
type Result struct {
	*Net
	History *History
	Steps   int    // updates made
	Best    *Epoch // the best epoch by Config.EarlyStop; nil without it
	// BestPath is the file or directory with the best parameters among the checkpoints, as [LoadBest]
	// reads them; "" if there are none.
	BestPath string
	Stopped  string // why the run ended before its last epoch: "early stopping", "callback" or ""
	Time     Timing

	CheckpointError error // the last error that Checkpoint.KeepGoing ignored
}

// Timing breaks down the duration of a run.
type Timing struct {
	Total    time.Duration
	Setup    time.Duration // building and compiling graphs, and reading a checkpoint
	Graph    time.Duration // running graphs, that of the validation too
	Update   time.Duration // clipping and the optimizer
	Validate time.Duration // validation, with its graph
	Exchange time.Duration // with other ranks, and waiting for them
}

// Overhead returns the share of the time after the setup that went neither into graphs nor into
// updates of the parameters: reading data, metrics, callbacks and checkpoints.
func (t Timing) Overhead() float64 {
	if t.Total <= t.Setup {
		return 0
	}
	return 1 - float64(t.Graph+t.Update)/float64(t.Total-t.Setup)
}

// Fit trains a model on a dataset and returns it with its history.
//
// Each epoch visits every example once, in an order that depends on the seed and the epoch. A short
// last batch is padded, and the padding has weight 0, so its mean, its gradient and the loss of the
// epoch are exactly those of the real rows. Rows of weight 0, ignored labels and masked targets
// (see [data.Masker]) do not count; an epoch in which no row counts is an error. The same
// configuration and data give the same bits on any number of cores.
//
// When the context is cancelled, Fit stops before the next operation of its graph (or, with
// Accumulate, after the current update) and returns the partial result with an error that wraps the
// context's. A loss or gradient that is not finite ends the run before the parameters change, with
// a [*NonFiniteError]. Other errors return a nil Result if nothing was trained yet. With
// Config.Checkpoint, a cancelled run has saved its state.
func Fit(ctx context.Context, model Model, lossFn loss.Func, ds data.Dataset, cfg Config) (*Result, error) {
	r, err := records("dataset", ds)
	if err == nil && lossFn == nil {
		err = errors.New("loss is nil")
	}
	if err != nil {
		return nil, fmt.Errorf("train.Fit: %w", err)
	}
	return fitAs(ctx, "Fit", model.network(), objectiveOf(lossFn), r, cfg)
}

// fitAs is Fit and FitNamed, by the name that its errors have.
func fitAs(ctx context.Context, name string, model Network, objective Objective, ds data.Records, cfg Config) (*Result, error) {
	r, err := newRun(ctx, model, objective, ds, cfg)
	if err == nil && name == "FitNamed" {
		if err = r.graph.checkUse(); err != nil {
			r.close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("train.%s: %w", name, err)
	}
	defer r.close()
	err = r.loop(ctx)
	if endErr := r.emit(ctx, Event{Kind: RunEnd, Err: err}); err == nil && endErr != nil && !errors.Is(endErr, ErrStop) {
		err = endErr
	}
	if err != nil {
		return r.result(), fmt.Errorf("train.%s: %w", name, err)
	}
	return r.result(), nil
}

// run is a training run: everything that Fit works with.
type run struct {
	*Step  // of every batch
	cfg    Config
	ds     data.Records
	loader *data.Loader // of the batches; nil before the first
	held   data.Records // the validation set; nil for none
	net    *Net
	val    *evaluator

	ranks     *ranks // the others; nil for one
	whole     int    // rows of a batch, on all ranks
	rows      int    // of an epoch
	schedule  optim.Schedule
	callbacks []Callback
	metrics   []metric.Metric // of the training batches of this epoch
	perEpoch  int             // updates
	batches   int             // of an epoch

	at      position
	history *History
	best    []*weights.Array
	stopped string
	savedAt [2]int            // mark of the last checkpoint
	words   map[string]string // the settings, once they were needed
	watched *watched          // what early batches show; nil once it was told
	saveErr error
	started time.Time
	time    Timing
}

// position is where a run is. With parameters, slots and history it is all that a run needs to go
// on.
type position struct {
	Epoch     int     `json:"epoch"`   // the current one, from 1
	Step      int     `json:"step"`    // updates made
	Batch     int     `json:"batch"`   // batches of the epoch that are done
	Batches   int     `json:"batches"` // batches of the run that are done: the index of dropout patterns
	Loss      means   `json:"loss"`    // of the epoch so far, by term
	Rate      float64 `json:"rate"`
	Seconds   float64 `json:"seconds"` // of the epoch so far
	BestEpoch int     `json:"best_epoch"`
	BestValue exact   `json:"best_value"`
	Bad       int     `json:"bad"`     // epochs without improvement
	Stopped   bool    `json:"stopped"` // by early stopping
	Kept      kept    `json:"kept"`    // the best checkpoint
}

type kept struct {
	Step  int   `json:"step"`
	Value exact `json:"value"`
}

// newRun sets a run up, together with those of the other ranks.
func newRun(ctx context.Context, model Network, objective Objective, ds data.Records, cfg Config) (*run, error) {
	k := newRanks(&cfg)
	r, err := newOwnRun(ctx, model, objective, ds, cfg, k)
	if k != nil {
		err = k.join(r, err)
	}
	if err == nil {
		err = r.openCheckpoints()
	}
	if err != nil {
		if r != nil {
			r.close()
		}
		return nil, err
	}
	r.time.Setup = time.Since(r.started)
	return r, nil
}

// newOwnRun sets up what a run has of its own.
func newOwnRun(ctx context.Context, model Network, objective Objective, ds data.Records, cfg Config, k *ranks) (*run, error) {
	switch {
	case ctx == nil:
		return nil, errors.New("context is nil")
	case model == nil:
		return nil, errors.New("model is nil")
	}
	if err := objective.check(); err != nil {
		return nil, err
	}
	if objective.lossless() {
		return nil, errors.New("the objective has no loss")
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("not started: %w", err)
	}
	if err := checkData("dataset", ds); err != nil {
		return nil, err
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	held, err := cfg.heldOut()
	if err != nil {
		return nil, err
	}
	fields := ds.Fields()
	if len(cfg.ClassWeights) > 0 {
		if err := checkClassTargets(fields); err != nil {
			return nil, err
		}
	}
	params := newParamSet(cfg.DType, cfg.Seed)
	if err := params.setInitial(cfg.Initial); err != nil {
		return nil, err
	}
	about := description{fields: fields, classes: cfg.Classes, scaling: cfg.Scaling}
	if err := about.check(); err != nil {
		return nil, err
	}
	net := &Net{model: about.scaled(model), about: about, params: params}
	r := &run{cfg: cfg, ds: ds, held: held, net: net, schedule: cfg.Schedule, history: new(History), started: time.Now(),
		ranks: k, whole: min(cfg.BatchSize, ds.Len())}
	r.at = position{Epoch: 1, BestValue: exact(math.Inf(1))}
	if cfg.EarlyStop != nil && cfg.EarlyStop.Maximize {
		r.at.BestValue = exact(math.Inf(-1))
	}
	r.metrics = fresh(cfg.Metrics)
	if cfg.NoTrainMetrics {
		r.metrics = nil
	}
	r.Step, err = newStep("", params, StepConfig{Model: net.model, Objective: objective, Fields: fields, BatchSize: k.largest(r.whole),
		Optimizer: cfg.Optimizer, Groups: cfg.Groups, ClipNorm: cfg.ClipNorm, ClipValue: cfg.ClipValue, ranks: k.checked()},
		cfg.Accumulate > 1, r.metrics)
	if err != nil {
		return nil, err
	}
	if k != nil && !r.graph.summing {
		k.joint, k.comm = true, r.Step.cfg.ranks
	}
	params.sealed = true
	r.watched = newWatched(r.graph, fields)
	if err := params.checkInitial(); err != nil {
		r.close()
		return nil, err
	}
	if err := r.prepare(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// prepare sets up everything that depends on the parameters.
func (r *run) prepare() error {
	cfg := &r.cfg
	if a, ok := r.schedule.(optim.Adaptive); ok {
		r.schedule = a.New()
	}
	rows, err := r.order(1)
	if err != nil {
		return err
	}
	r.rows, r.batches = len(rows), (len(rows)+r.whole-1)/r.whole
	r.perEpoch = (r.batches + cfg.Accumulate - 1) / cfg.Accumulate
	if err := r.checkMonitors(); err != nil {
		return err
	}
	if r.held != nil {
		val, err := newEvaluator(r.net, r.Step.cfg.Objective, r.held, cfg.ValidationBatch, cfg.Metrics)
		if err != nil {
			return fmt.Errorf("validation: %w", err)
		}
		val.ahead = cfg.Prefetch
		r.val = val
	}
	if cfg.Progress != nil && r.ranks.first() {
		r.callbacks = append(r.callbacks, NewProgress(cfg.Progress))
	}
	if cfg.Logger != nil && r.ranks.first() {
		r.callbacks = append(r.callbacks, NewLog(cfg.Logger))
	}
	r.callbacks = append(r.callbacks, cfg.Callbacks...)
	return nil
}

// checkMonitors returns an error when a value that decides something will never be measured.
func (r *run) checkMonitors() error {
	have := Values{"loss": 0}
	for _, name := range r.graph.names {
		have[name] = 0
	}
	for _, m := range r.cfg.Metrics {
		if _, ok := have[m.Name()]; ok {
			return fmt.Errorf("a metric has the name %q of a loss", m.Name())
		}
	}
	held := maps.Clone(have)
	for _, m := range r.metrics {
		have[m.Name()] = 0
	}
	if r.held != nil {
		for _, m := range r.cfg.Metrics {
			held[m.Name()] = 0
		}
		for name := range held {
			have["val_"+name] = 0
		}
	}
	check := func(what, name string) error {
		if _, ok := have[name]; !ok {
			return fmt.Errorf("%s watches %q, which is not measured; measured are %q", what, name, have.Names())
		}
		return nil
	}
	if e := r.cfg.EarlyStop; e != nil {
		if err := check("EarlyStop", e.monitor()); err != nil {
			return err
		}
	}
	if c := r.cfg.Checkpoint; c != nil && c.Monitor != "" {
		if err := check("Checkpoint", c.Monitor); err != nil {
			return err
		}
	}
	if a, ok := r.schedule.(optim.Adaptive); ok {
		return check("Schedule", a.Monitor())
	}
	return nil
}

// order returns the rows of an epoch.
func (r *run) order(epoch int) ([]int, error) {
	n := r.ds.Len()
	limit := n
	if r.cfg.OverfitBatch > 0 {
		limit = min(n, r.cfg.OverfitBatch*r.whole)
	}
	var rows []int
	if r.cfg.KeepOrder || streamOf(r.ds) != nil || r.cfg.OverfitBatch > 0 {
		rows = make([]int, n)
		for i := range rows {
			rows[i] = i
		}
	} else {
		var err error
		if rows, err = data.Permutation(n, r.cfg.Seed, epoch); err != nil {
			return nil, err
		}
	}
	if r.cfg.FastDevRun {
		limit = min(limit, r.whole)
	}
	return rows[:limit], nil
}

func (r *run) close() {
	r.Step.close()
	if r.val != nil {
		r.val.close()
		closeRecords(r.held)
	}
}

func (r *run) result() *Result {
	r.time.Total = time.Since(r.started)
	if r.ranks != nil {
		r.time.Exchange = r.ranks.spent
	}
	res := &Result{Net: r.net, History: r.history, Steps: r.at.Step, BestPath: r.bestPath(), Stopped: r.stopped,
		Time: r.time, CheckpointError: r.saveErr}
	if i := r.at.BestEpoch; i > 0 && i <= len(r.history.Epochs) {
		res.Best = &r.history.Epochs[i-1]
	}
	return res
}

// tell hands an event to a callback. A panic there would lose what was trained.
func tell(ctx context.Context, c Callback, e Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("callback %T panicked: %v\n%s", c, r, debug.Stack())
		}
	}()
	return c.Event(ctx, e)
}

// emit completes an event and hands it to the callbacks.
func (r *run) emit(ctx context.Context, e Event) error {
	r.place(&e)
	var first error
	for _, c := range r.callbacks {
		if err := tell(ctx, c, e); err != nil && (first == nil || errors.Is(first, ErrStop)) {
			first = err
		}
	}
	return first
}

// place fills in where the run is.
func (r *run) place(e *Event) {
	e.Epoch, e.Epochs = r.at.Epoch, r.cfg.Epochs
	e.Step, e.Steps = r.at.Step, r.cfg.Epochs*r.perEpoch
	e.InEpoch, e.PerEpoch = (r.at.Batch+r.cfg.Accumulate-1)/r.cfg.Accumulate, r.perEpoch
	e.Rate, e.Net, e.History = r.at.Rate, r.net, r.history
	e.moved = r.moved
}

// validating tells the callbacks that watch a validation how far it is.
func (r *run) validating(done, rows int) error {
	var e Event
	r.place(&e)
	for _, c := range r.callbacks {
		if w, ok := c.(watcher); ok {
			if err := w.validating(e, done, rows); err != nil {
				return err
			}
		}
	}
	return nil
}
