package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
)

// loop trains until the last epoch, a stop or an error.
func (r *run) loop(ctx context.Context) error {
	if err := r.emit(ctx, Event{Kind: RunBegin}); err != nil {
		return r.stop(ctx, err)
	}
	if r.at.Batches == 0 {
		if err := r.warn(ctx, r.graph.lint()); err != nil {
			return r.stop(ctx, err)
		}
	} else {
		r.watched = nil // an earlier part of the run has warned
	}
	for {
		if len(r.history.Epochs) >= r.at.Epoch { // the epoch is complete
			if r.at.Stopped || r.at.Epoch >= r.cfg.Epochs {
				break
			}
			r.at.Epoch++
			r.at.Batch, r.at.Loss, r.at.Seconds = 0, nil, 0
			if r.metrics = fresh(r.metrics); r.ranks != nil {
				r.ranks.merged = false
			}
		}
		if err := r.epoch(ctx); err != nil {
			return r.stop(ctx, err)
		}
	}
	if r.at.Stopped {
		r.stopped = "early stopping"
	}
	r.restoreBest()
	return nil
}

// stop ends the run on all ranks. It turns a callback's wish to end into an end in good order: what
// was trained is saved and the best parameters are put back.
func (r *run) stop(ctx context.Context, err error) error {
	err = r.ranks.tell(err)
	var ended cancellation
	switch {
	case errors.As(err, &ended):
		return r.cancelled(ctx, ended.cause)
	case !errors.Is(err, ErrStop):
		return err
	}
	r.stopped, err = "callback", nil
	if r.cfg.Checkpoint != nil && r.at.Step > 0 {
		if err = r.checkpoint(ctx); errors.Is(err, ErrStop) {
			err = nil
		}
	}
	r.restoreBest()
	return err
}

// epoch makes the updates of an epoch that are not made yet and measures it.
func (r *run) epoch(ctx context.Context) error {
	start := time.Now()
	before := r.at.Seconds
	rows, err := r.order(r.at.Epoch)
	if err != nil {
		return err
	}
	examples := r.epochRecords(r.at.Epoch)
	defer closeRecords(examples)
	rows, size := r.rowsOfRank(rows, r.at.Batch)
	if r.loader == nil {
		r.loader = data.NewLoader(examples, rows, size, r.cfg.Prefetch, r.graph.single)
	} else {
		r.loader.Restart(examples, rows)
	}
	defer r.loader.Close()
	for r.at.Batch < r.batches {
		if err := ctx.Err(); err != nil {
			return cancellation{err}
		}
		if err := r.validateWithin(ctx); err != nil {
			if ctx.Err() != nil {
				return cancellation{err}
			}
			return err
		}
		if err := r.ranks.agree(nil); err != nil {
			return err
		}
		terms, norm, err := r.step(ctx, r.loader)
		if err != nil {
			if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
				return cancellation{ended}
			}
			return err
		}
		r.at.Seconds = before + time.Since(start).Seconds()
		if err := r.emit(ctx, Event{Kind: StepDone, Loss: r.graph.value(terms), Terms: r.graph.values(terms), Norm: norm}); err != nil {
			return err
		}
		if err := r.warn(ctx, r.watched.findings(r.at.Batch == r.batches)); err != nil {
			return err
		}
		if c := r.cfg.Checkpoint; c != nil && c.EverySteps > 0 && r.at.Step%c.EverySteps == 0 && r.at.Batch < r.batches {
			if err := r.checkpoint(ctx); err != nil {
				return err
			}
		}
	}
	if r.ranks != nil {
		if err := r.ranks.sameParameters(r.net.params.list); err != nil {
			return fmt.Errorf("epoch %d: %w", r.at.Epoch, err)
		}
	}
	if err := r.collect(true); err != nil {
		return err
	}
	values := make(Values)
	if err := r.graph.show(r.at.Loss, values); err != nil {
		return fmt.Errorf("epoch %d: %w", r.at.Epoch, err)
	}
	for _, m := range r.metrics {
		values[m.Name()] = m.Value()
	}
	if r.val == nil && len(r.metrics) > 0 {
		if err := show(r.cfg.Metrics, r.metrics); err != nil {
			return err
		}
	}
	if every := max(1, r.cfg.ValidateEvery); r.at.Epoch%every == 0 || r.at.Epoch == r.cfg.Epochs {
		if err := r.validate(ctx, fmt.Sprint("epoch ", r.at.Epoch), values); err != nil {
			if ctx.Err() != nil {
				return cancellation{err}
			}
			return err
		}
	}
	r.at.Seconds = before + time.Since(start).Seconds()
	r.history.Epochs = append(r.history.Epochs, Epoch{
		Epoch: r.at.Epoch, Step: r.at.Step, Rate: r.at.Rate, Seconds: r.at.Seconds, Values: values})
	if a, ok := r.schedule.(optim.Adaptive); ok {
		if v, measured := values[a.Monitor()]; measured {
			a.Observe(v)
		}
	}
	r.watch(values)
	err = r.ranks.agree(r.emit(ctx, Event{Kind: EpochDone, Record: &r.history.Epochs[len(r.history.Epochs)-1]}))
	if c := r.cfg.Checkpoint; c != nil && (err == nil || errors.Is(err, ErrStop)) && c.due(r.at.Epoch, r.cfg.Epochs, r.at.Stopped || err != nil) {
		before := r.at.Kept
		r.keep(values)
		saveErr := r.checkpoint(ctx)
		if r.savedAt != r.mark() { // it could not be written
			r.at.Kept = before
		}
		if saveErr != nil {
			return saveErr
		}
	}
	return err
}

// cancelled saves a run whose context has ended and returns the error that says so.
func (r *run) cancelled(ctx context.Context, cause error) error {
	err := fmt.Errorf("stopped after step %d, in epoch %d: %w", r.at.Step, r.at.Epoch, cause)
	if r.cfg.Checkpoint == nil || r.at.Step == 0 {
		return err
	}
	return errors.Join(err, r.checkpoint(context.WithoutCancel(ctx)))
}

// checkpoint saves the run and tells the callbacks, unless that was done at this place already.
func (r *run) checkpoint(ctx context.Context) error {
	if err := r.ranks.agree(nil); err != nil {
		return err
	}
	if len(r.history.Epochs) < r.at.Epoch {
		if err := r.collect(false); err != nil {
			return err
		}
	}
	if r.savedAt == r.mark() {
		return nil
	}
	if !r.ranks.first() {
		r.savedAt = r.mark()
		return nil
	}
	path, err := r.save()
	if err != nil {
		err = fmt.Errorf("checkpoint at step %d, %s: %w", r.at.Step, path, err)
		if r.cfg.Checkpoint.KeepGoing {
			r.saveErr = err
			return nil
		}
		return err
	}
	return r.emit(ctx, Event{Kind: CheckpointSaved, Path: path})
}

// validateWithin measures the validation set after a step within an epoch that Config.ValidateSteps
// names, unless that was done before the run was resumed here.
func (r *run) validateWithin(ctx context.Context) error {
	every, done := r.cfg.ValidateSteps, r.history.Validations
	if every == 0 || r.val == nil || r.at.Batch == 0 || r.at.Step%every != 0 || len(done) > 0 && done[len(done)-1].Step == r.at.Step {
		return nil
	}
	values := make(Values)
	if err := r.validate(ctx, fmt.Sprint("step ", r.at.Step), values); err != nil {
		return err
	}
	r.history.Validations = append(done, Epoch{Epoch: r.at.Epoch, Step: r.at.Step, Rate: r.at.Rate, Seconds: r.at.Seconds, Values: values})
	return r.emit(ctx, Event{Kind: Validated, Record: &r.history.Validations[len(done)]})
}

// validate adds the values of the validation set, after a place of the run.
func (r *run) validate(ctx context.Context, place string, values Values) error {
	if r.val == nil {
		return nil
	}
	start, graph := time.Now(), r.val.graph
	defer func() {
		r.time.Validate += time.Since(start)
		r.time.Graph += r.val.graph - graph
	}()
	rows := r.held.Len()
	if r.cfg.FastDevRun {
		rows = min(rows, r.val.batch)
	}
	all, metrics, err := r.measureHeld(ctx, rows, fresh(r.cfg.Metrics))
	var v Values
	if err == nil {
		v, err = r.val.measured(all, metrics)
	}
	if err == nil {
		err = show(r.cfg.Metrics, metrics)
	}
	if err != nil {
		return fmt.Errorf("validation after %s: %w", place, err)
	}
	for name, x := range v {
		values["val_"+name] = x
	}
	return nil
}

// watch keeps the best parameters for early stopping and decides whether to go on.
func (r *run) watch(values Values) {
	e := r.cfg.EarlyStop
	if e == nil {
		return
	}
	v, measured := values[e.monitor()]
	if !measured {
		return
	}
	if e.better(v, float64(r.at.BestValue)) {
		r.at.BestEpoch, r.at.BestValue, r.at.Bad = r.at.Epoch, exact(v), 0
		if !e.KeepLast {
			r.best = cloneAll(r.net.params.list)
		}
	} else if r.at.Bad++; r.at.Bad >= e.Patience {
		r.at.Stopped = true
	}
}

// step makes one update from up to Accumulate batches. It returns the mean losses by term and the
// norm of the gradients. Where the context ends during the first batch, nothing is done; later
// batches are computed all the same, because those of an update belong together.
func (r *run) step(ctx context.Context, loader *data.Loader) (all means, norm float64, err error) {
	if r.ranks != nil {
		ctx = context.WithoutCancel(ctx)
	}
	if r.graph.summing {
		for _, g := range r.graph.grads {
			clear(g.F32)
			clear(g.F64)
		}
	}
	var rows []int
	var sum float64 // weights of this rank's rows of the last batch
	for last := false; !last; {
		b, own, err := r.next(loader)
		if err != nil {
			return nil, 0, fmt.Errorf("step %d: %w", r.at.Step+1, err)
		}
		if b == nil {
			return nil, 0, fmt.Errorf("step %d: the dataset ended after %d of %d batches", r.at.Step+1, r.at.Batch, r.batches)
		}
		last = (r.at.Batch+1)%r.cfg.Accumulate == 0 || r.at.Batch+1 == r.batches
		if r.graph.summing {
			rows = append(rows, b.Rows[:own]...)
		} else {
			rows = b.Rows
		}
		err = r.forwardBatch(ctx, b, func(weight float64) error {
			sum = weight
			all.add(r.graph.parts(weight))
			if !last || r.ranks != nil {
				return nil
			}
			scale := 1.0
			if r.graph.summing { // there is one term
				if scale, err = all[0].scale(rows); err != nil {
					return err
				}
			}
			if norm, err = r.clip(scale); err == nil {
				r.update()
			}
			return err
		})
		if err == nil && last && r.ranks != nil {
			norm, err = r.together(all, sum, rows)
		}
		var bad *NonFiniteError
		if errors.As(err, &bad) {
			bad.Step, bad.Epoch, bad.Rows = r.at.Step+1, r.at.Epoch, slices.Clone(rows)
		}
		if err != nil {
			return nil, 0, err
		}
		r.at.Batch++
		r.at.Batches++
		ctx = context.WithoutCancel(ctx)
	}
	r.at.Loss.add(all)
	return all, norm, nil
}

// forwardBatch is [Step.forward] with class weights, metrics and the time that it takes.
func (r *run) forwardBatch(ctx context.Context, b *data.Batch, then func(weight float64) error) error {
	step := r.at.Step + 1
	factor, err := r.classFactors(b)
	if err != nil {
		return fmt.Errorf("step %d: %w", step, err)
	}
	graph, update, err := r.forward(ctx, b, factor, r.at.Batches, then)
	r.time.Graph += graph
	r.time.Update += update
	var bad *NonFiniteError
	switch {
	case errors.As(err, &bad):
		return err
	case err != nil:
		return fmt.Errorf("step %d: %w", step, err)
	}
	if r.ranks != nil && b == r.ranks.none {
		return nil
	}
	r.watched.see(r.graph, b)
	if len(r.metrics) > 0 {
		if err := r.graph.update(r.metrics, b); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
	}
	return nil
}

// classes returns how many scores the model has for a row.
func (r *run) classes() int {
	output, _ := r.Step.cfg.Objective.pair()
	return r.graph.out[output].Shape().TotalSize() / r.graph.batch
}

// classFactors returns the class weight of each row of a batch, nil where there are none.
func (r *run) classFactors(b *data.Batch) ([]float64, error) {
	if len(r.cfg.ClassWeights) == 0 {
		return nil, nil
	}
	f := make([]float64, len(b.Rows))
	var labels []int
	var mask []bool
	for name, y := range b.Out { // there is one target
		labels, mask = y.Int, b.Mask[name]
	}
	for i, row := range b.Rows {
		switch label := labels[i]; {
		case label >= 0 && label < len(r.cfg.ClassWeights):
			f[i] = r.cfg.ClassWeights[label]
		case label >= 0 && label < r.classes() && (mask == nil || mask[i]):
			return nil, fmt.Errorf("row %d has label %d and there are %d class weights", row, label, len(r.cfg.ClassWeights))
		default: // no class: the loss ignores the label or refuses it
			f[i] = 1
		}
	}
	return f, nil
}

// update moves the parameters, whose lock is held.
func (r *run) update() {
	r.at.Step++
	r.at.Rate = r.cfg.Optimizer.Rate() * r.schedule.Factor(optim.Position{
		Step: r.at.Step, Epoch: r.at.Epoch, StepsPerEpoch: r.perEpoch, Steps: r.cfg.Epochs * r.perEpoch})
	r.move(r.at.Step, r.at.Rate)
}
