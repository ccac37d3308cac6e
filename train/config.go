package train

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
	"gorgonia.org/tensor"
)

// A Config says how [Fit] trains. Epochs and Optimizer are required; the zero value of everything
// else is its default.
type Config struct {
	Epochs    int             // passes over the training set, at least 1
	Optimizer optim.Optimizer // such as optim.Adam(1e-3)

	BatchSize int // rows of a batch; 0 means 32. The last batch of an epoch may be shorter
	// Accumulate is the number of batches whose gradients make one update; 0 means 1. Exact: k
	// batches of n are one batch of k·n, with ignored labels and weights of any kind too. A loss
	// that is no quotient of two sums (see loss.Parts) has no such parts and is refused.
	Accumulate int
	Seed       uint64 // decides initial parameters, shuffling and dropout
	KeepOrder  bool   // visit the examples in their order instead of shuffling each epoch; a [data.Stream] always keeps it
	Prefetch   int    // batches that a goroutine reads ahead, of the validation set too; 0 reads each when it is needed. The results are the same

	DType tensor.Dtype // tensor.Float32, the default, or tensor.Float64

	// Comm joins runs on several ranks into one, which ends with the parameters that one rank would
	// have had, up to rounding: each batch is cut into a part for each rank, the rest of Config and
	// the datasets are the same on all. nil means one rank. See "Several ranks".
	Comm     comm.Comm
	AnyOrder bool // add gradients in whatever order Comm does: faster on many ranks, other bits from run to run

	Schedule  optim.Schedule // of the learning rate; nil means constant
	Groups    []optim.Group  // parameters with settings of their own
	ClipNorm  float64        // largest Euclidean norm of all gradients together; 0 means no limit
	ClipValue float64        // largest absolute value of a gradient; 0 means no limit. Applied before ClipNorm

	// Initial has the numbers that parameters begin with, by name, in the place of those that their
	// initialisers make: of another model's Params, of a file of weights.Load, or a part of these by
	// weights.WithPrefix. Each entry has to be a parameter of the model.
	Initial []*weights.Array

	// Scaling scales inputs by name ("input" for that of a Dataset) before the model gets them, as
	// data.Standardize measures it on the training set. Classes names the classes of whole-number
	// targets by name ("target" for that of a Dataset). Both are saved with the model: whoever loads
	// it gives it inputs as they are and gets the names by Net.ClassName.
	Scaling map[string]data.Scaling
	Classes map[string][]string

	Validation        data.Dataset // held-out examples to measure; nil means none
	ValidationRecords data.Records // for FitNamed, in the place of Validation
	ValidationBatch   int          // rows of a validation batch; 0 means the larger of BatchSize and 256
	ValidateEvery     int          // epochs between validations; 0 means 1. The last epoch always has one. Early stopping, schedules and Checkpoint.Monitor follow the epochs that have one
	ValidateSteps     int          // additional validations after so many steps within an epoch, for History.Validations; 0 means none
	// Metrics are measured besides the loss, for training and validation. After an epoch each holds
	// what the validation set gave, or without one the training set; runs at the same time need
	// metrics of their own.
	Metrics        []metric.Metric
	NoTrainMetrics bool // measure Metrics on the validation set only

	// Augment changes the numbers of a training example in place, anew in each epoch: a picture that
	// is shifted, say. Rows have the names of the fields, "input" and "target" for a Dataset, and
	// floats are of the type DType. The numbers of rng depend on Seed, the epoch and the example
	// alone, so a run that is resumed sees the same changes. With Prefetch it runs on the goroutine
	// that reads ahead. Validation sees the examples as they are.
	Augment func(rng *rand.Rand, inputs, targets Row) error

	// ClassWeights multiplies the weight of a training row by its label's entry; for whole-number
	// targets. A row whose label is no class, such as -100, is left to the loss.
	ClassWeights []float64

	EarlyStop  *EarlyStop  // end when a value no longer improves; nil means never
	Checkpoint *Checkpoint // keep the run on disk; nil means not

	FastDevRun   bool // one batch of training and one of validation, no checkpoint: does it all fit together?
	OverfitBatch int  // train on the first so many batches only, in order: the loss of a sound model goes to about 0

	Progress  io.Writer    // a progress bar where this is a terminal, a line per epoch elsewhere; nil shows nothing
	Logger    *slog.Logger // a record per epoch; nil logs nothing
	Callbacks []Callback
}

// EarlyStop ends a run when a value has not improved for a while and puts the parameters of its
// best epoch back.
type EarlyStop struct {
	Monitor  string  // "" means "val_loss"
	Patience int     // epochs without improvement after which the run ends, at least 1
	MinDelta float64 // how much better counts as better, >= 0
	Maximize bool    // larger is better
	KeepLast bool    // leave the last parameters in place of the best
}

func (e *EarlyStop) monitor() string {
	if e.Monitor == "" {
		return "val_loss"
	}
	return e.Monitor
}

// better reports whether v improves on the best so far.
func (e *EarlyStop) better(v, best float64) bool {
	if e.Maximize {
		return v > best+e.MinDelta
	}
	return v < best-e.MinDelta
}

// withDefaults checks a configuration and fills its defaults in.
func (c Config) withDefaults() (Config, error) {
	if c.BatchSize == 0 {
		c.BatchSize = 32
	}
	if c.Accumulate == 0 {
		c.Accumulate = 1
	}
	if c.ValidationBatch == 0 {
		c.ValidationBatch = max(c.BatchSize, 256)
	}
	if c.DType == (tensor.Dtype{}) {
		c.DType = tensor.Float32
	}
	if c.Schedule == nil {
		c.Schedule = optim.Constant()
	}
	if c.Optimizer == nil {
		return c, errors.New("no Optimizer")
	}
	for _, n := range []struct {
		name  string
		v, lo int
	}{{"Epochs", c.Epochs, 1}, {"BatchSize", c.BatchSize, 1}, {"Accumulate", c.Accumulate, 1}, {"Prefetch", c.Prefetch, 0},
		{"ValidationBatch", c.ValidationBatch, 1}, {"OverfitBatch", c.OverfitBatch, 0}, {"ValidateEvery", c.ValidateEvery, 0},
		{"ValidateSteps", c.ValidateSteps, 0}} {
		if n.v < n.lo {
			return c, fmt.Errorf("%s is %d, want at least %d", n.name, n.v, n.lo)
		}
	}
	if err := checkLimits(c.ClipNorm, c.ClipValue); err != nil {
		return c, err
	}
	for i, w := range c.ClassWeights {
		if !(w >= 0) || math.IsInf(w, 1) {
			return c, fmt.Errorf("ClassWeights has %v at index %d, want a finite number >= 0", w, i)
		}
	}
	if c.DType != tensor.Float32 && c.DType != tensor.Float64 {
		return c, fmt.Errorf("DType is %v, want float32 or float64", c.DType)
	}
	if err := checkMetrics(c.Metrics); err != nil {
		return c, err
	}
	for i, cb := range c.Callbacks {
		if cb == nil {
			return c, fmt.Errorf("nil in Callbacks at index %d", i)
		}
	}
	if err := c.Optimizer.Check(); err != nil {
		return c, err
	}
	if err := c.Schedule.Check(); err != nil {
		return c, err
	}
	if c.Checkpoint != nil {
		if err := c.Checkpoint.check(); err != nil {
			return c, err
		}
	}
	if e := c.EarlyStop; e != nil && (e.Patience < 1 || !(e.MinDelta >= 0)) {
		return c, fmt.Errorf("EarlyStop has patience %d and minimal change %v, want a patience >= 1 and a change >= 0", e.Patience, e.MinDelta)
	}
	if c.FastDevRun {
		c.Epochs, c.Checkpoint, c.EarlyStop = 1, nil, nil
	}
	return c, nil
}

// checkLimits returns an error for limits of gradients that are none.
func checkLimits(norm, value float64) error {
	for _, n := range []struct {
		name string
		v    float64
	}{{"ClipNorm", norm}, {"ClipValue", value}} {
		if !(n.v >= 0) || math.IsInf(n.v, 1) {
			return fmt.Errorf("%s is %v, want a finite number >= 0", n.name, n.v)
		}
	}
	return nil
}

// heldOut returns the validation set, nil where there is none.
func (c *Config) heldOut() (data.Records, error) {
	switch {
	case c.Validation == nil:
		return c.ValidationRecords, nil
	case c.ValidationRecords != nil:
		return nil, errors.New("both Validation and ValidationRecords are set")
	}
	return records("Validation", c.Validation)
}

// checkClassTargets returns an error where class weights have nothing to go by.
func checkClassTargets(f data.Fields) error {
	if len(f.Targets) > 1 {
		return fmt.Errorf("ClassWeights need one target, the dataset has %q; loss.WithClassWeights fixes those of one loss", slices.Sorted(maps.Keys(f.Targets)))
	}
	for _, t := range f.Targets {
		if t.Kind == data.Int && t.Size() == 1 {
			return nil
		}
		return fmt.Errorf("ClassWeights need one whole-number target per row, the dataset has targets %v", t)
	}
	return errors.New("ClassWeights need one whole-number target per row, the dataset has no targets")
}

// checkMetrics returns an error when a metric is nil or two have one name, of which only one would
// be seen.
func checkMetrics(metrics []metric.Metric) error {
	seen := make(map[string]bool)
	for i, m := range metrics {
		if m == nil {
			return fmt.Errorf("nil in Metrics at index %d", i)
		}
		if c, ok := m.(metric.Checker); ok {
			if err := c.Check(); err != nil {
				return err
			}
		}
		if seen[m.Name()] {
			return fmt.Errorf("two entries of Metrics have the name %q", m.Name())
		}
		seen[m.Name()] = true
	}
	return nil
}

// records returns a dataset as records. A nil one panics when it is asked what it holds.
func records(name string, ds data.Dataset) (r data.Records, err error) {
	defer func() {
		if r := recover(); r != nil { // a nil pointer of a type that is a Dataset, for one
			err = fmt.Errorf("%s, a %T, panicked when it was asked what it holds: %v", name, ds, r)
		}
	}()
	if ds == nil {
		return nil, fmt.Errorf("%s is nil", name)
	}
	return data.AsRecords(ds), nil
}

// checkData returns an error when a dataset is missing, empty or inconsistent.
func checkData(name string, ds data.Records) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s, a %T, panicked when it was asked what it holds: %v", name, ds, r)
		}
	}()
	if ds == nil {
		return fmt.Errorf("%s is nil", name)
	}
	if err := ds.Fields().Check(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if ds.Len() <= 0 {
		return fmt.Errorf("%s has no rows", name)
	}
	return nil
}
