package train

import (
	"context"
	"errors"
)

// ErrStop is returned by a [Callback] to end a run early and in good order: [Fit] returns without
// error, with Config.Checkpoint the steps so far are saved, and Config.EarlyStop puts the best
// parameters back.
var ErrStop = errors.New("train: stop requested")

// An EventKind says what happened.
type EventKind uint8

// The events of a run, in order: RunBegin, then for every epoch its StepDone events and one
// EpochDone, each followed by a CheckpointSaved where one was written, and RunEnd, which comes
// however the run ended.
const (
	RunBegin EventKind = iota
	StepDone
	EpochDone
	CheckpointSaved
	RunEnd
	// Validated comes after a validation within an epoch.
	Validated
	// Warning comes once for each finding of [Lint] and [LintData] that a run makes by itself, after
	// RunBegin or after an early step.
	Warning
)

// An Event is a place in a run and what was measured there.
type Event struct {
	Kind          EventKind
	Epoch, Epochs int     // the current epoch, from 1, and the last
	Step, Steps   int     // updates made, and the number in the whole run
	InEpoch       int     // updates made in this epoch
	PerEpoch      int     // updates in an epoch
	Loss          float64 // of the last step (StepDone), NaN where no row of it counts
	Terms         Values  // of the last step by name, where the objective has several (StepDone)
	Norm          float64 // of the gradients before clipping (StepDone)
	Rate          float64 // of the last step
	Record        *Epoch  // of EpochDone and Validated; not to be changed
	Net           *Net    // the model; a callback may evaluate it or predict with it
	History       *History
	Path          string  // of the checkpoint (CheckpointSaved)
	Err           error   // why the run ended (RunEnd)
	Finding       Finding // what is suspicious (Warning)

	moved []*moved // with the gradients of the last update
}

// A Callback is told what happens in a run. An error from it ends the run with that error,
// [ErrStop] without one. Errors at RunEnd are reported when the run itself ended well.
type Callback interface {
	Event(ctx context.Context, e Event) error
}

// A CallbackFunc is a function as a [Callback].
type CallbackFunc func(ctx context.Context, e Event) error

// Event calls the function.
func (f CallbackFunc) Event(ctx context.Context, e Event) error { return f(ctx, e) }
