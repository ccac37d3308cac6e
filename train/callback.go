package train

import (
	"context"
	"errors"
)

// ErrStop is returned by a [Callback] to end a run early without an error from [Fit]. With
// Config.Checkpoint the steps so far are saved, and with Config.EarlyStop the best parameters are
// restored.
var ErrStop = errors.New("train: stop requested")

// An EventKind identifies an event.
type EventKind uint8

// A run begins with RunBegin. Each epoch has a StepDone for every update, then one EpochDone; each
// of these is followed by a CheckpointSaved if a checkpoint was written. RunEnd comes last, however
// the run ended.
const (
	RunBegin EventKind = iota
	StepDone
	EpochDone
	CheckpointSaved
	RunEnd
	// Validated comes after a validation within an epoch.
	Validated
	// Warning reports a finding of [Lint] or [LintData] that Fit has noticed, once, after RunBegin or
	// after one of the first steps.
	Warning
)

// An Event reports the progress of a run and the values measured at that point.
type Event struct {
	Kind          EventKind
	Epoch, Epochs int     // the current epoch, counted from 1, and the number of epochs
	Step, Steps   int     // updates made so far, and in the whole run
	InEpoch       int     // updates made in this epoch
	PerEpoch      int     // updates per epoch
	Loss          float64 // StepDone: loss of the step, NaN if no row of it counts
	Terms         Values  // StepDone: losses of the terms by name, if there are several
	Norm          float64 // StepDone: norm of the gradients before clipping
	Rate          float64 // learning rate of the last step
	Record        *Epoch  // EpochDone, Validated: the new entry of History; read-only
	Net           *Net    // the model, for evaluation or prediction
	History       *History
	Path          string  // CheckpointSaved: directory of the checkpoint
	Err           error   // RunEnd: the error that ended the run
	Finding       Finding // Warning: the finding

	moved []*moved // with the gradients of the last update
}

// A Callback receives the events of a run. An error from it ends the run with that error, except
// [ErrStop], which ends it without one. An error at RunEnd is reported only if the run itself
// succeeded.
type Callback interface {
	Event(ctx context.Context, e Event) error
}

// A CallbackFunc is a function that serves as a [Callback].
type CallbackFunc func(ctx context.Context, e Event) error

// Event calls f.
func (f CallbackFunc) Event(ctx context.Context, e Event) error { return f(ctx, e) }
