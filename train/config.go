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

// A Config holds the settings of [Fit]. Epochs and Optimizer are required; every other field has a
// default, its zero value.
type Config struct {
	Epochs    int             // passes over the training set, at least 1
	Optimizer optim.Optimizer // such as optim.Adam(1e-3)

	BatchSize int // rows of a batch; 0 means 32. The last batch of an epoch may be shorter
	// Accumulate is the number of batches per update; 0 means 1. The gradient of k batches of n rows
	// is exactly that of one batch of k·n rows, whatever the ignored labels and weights. A loss that
	// is not a quotient of two sums (see loss.Parts) is refused.
	Accumulate int
	Seed       uint64 // decides initial parameters, shuffling and dropout
	// KeepOrder keeps the order of the examples instead of shuffling them in each epoch. A
	// [data.Stream] is never shuffled.
	KeepOrder bool
	// Prefetch is the number of batches to read ahead on a goroutine, for the validation set too; 0
	// reads each batch when it is needed. Results do not depend on it.
	Prefetch int

	DType tensor.Dtype // tensor.Float32, the default, or tensor.Float64

	// Comm joins runs on several ranks into one, which ends with the parameters that one rank would
	// have had, up to rounding: each batch is cut into a part for each rank, the rest of Config and
	// the datasets are the same on all. nil means one rank. See "Several ranks".
	Comm     comm.Comm
	AnyOrder bool // add gradients in whatever order Comm does: faster on many ranks, other bits from run to run

	Schedule  optim.Schedule // of the learning rate; nil means constant
	Groups    []optim.Group  // different settings for some parameters
	ClipNorm  float64        // limit of the Euclidean norm of all gradients together; 0 means none
	ClipValue float64        // limit of each gradient element's absolute value, applied before ClipNorm; 0 means none

	// Initial holds initial values of parameters, by name; they replace those of the initialisers.
	// They come from another model's Params or from weights.Load, and weights.WithPrefix selects some
	// of them. Every entry must be a parameter of the model.
	Initial []*weights.Array

	// Scaling rescales inputs, by name, before they reach the model; data.Standardize measures it on
	// the training set. Classes holds the class names of whole-number targets, by name. (A Dataset's
	// fields are called "input" and "target".) Both are saved with the model: a loaded model takes raw
	// inputs, and Net.ClassName returns its class names.
	Scaling map[string]data.Scaling
	Classes map[string][]string

	Validation        data.Dataset // held-out examples to measure; nil means none
	ValidationRecords data.Records // replaces Validation for FitNamed
	ValidationBatch   int          // rows of a validation batch; 0 means the larger of BatchSize and 256
	// ValidateEvery is the number of epochs between validations; 0 means 1. The last epoch is always
	// validated. EarlyStop, Schedule and Checkpoint.Monitor skip epochs without validation.
	ValidateEvery int
	// ValidateSteps is the number of steps between additional validations within an epoch, which are
	// recorded in History.Validations; 0 means none.
	ValidateSteps int
	// Metrics are measured beside the loss, on the training and the validation set. After an epoch
	// each holds its state for the validation set, or for the training set if there is no validation.
	// Concurrent runs must not share metrics.
	Metrics        []metric.Metric
	NoTrainMetrics bool // measure Metrics on the validation set only

	// Augment changes a training example in place, differently in each epoch: it shifts a picture,
	// for example. The rows hold the fields by name ("input" and "target" for a Dataset), with floats
	// in DType. The state of rng depends only on Seed, the epoch and the example, so a resumed run
	// applies the same changes. With Prefetch it is called on the goroutine that reads ahead.
	// Validation examples are not augmented.
	Augment func(rng *rand.Rand, inputs, targets Row) error

	// ClassWeights multiplies the weight of each training row by the entry of its label, for
	// whole-number targets. Rows whose label is not a class, such as -100, are left to the loss.
	ClassWeights []float64

	EarlyStop  *EarlyStop  // stop when a value no longer improves; nil means never
	Checkpoint *Checkpoint // keep the run on disk; nil means do not

	FastDevRun   bool // train and validate on one batch each, without checkpoints, to check that everything fits together
	OverfitBatch int  // train on the first few batches only, in order; the loss of a sound model falls to about 0

	Progress  io.Writer    // a progress bar on a terminal, a line per epoch elsewhere; nil means none
	Logger    *slog.Logger // a record per epoch; nil means none
	Callbacks []Callback
}

// EarlyStop ends a run when a value has stopped improving and restores the parameters of its best
// epoch.
type EarlyStop struct {
	Monitor  string  // "" means "val_loss"
	Patience int     // measured epochs without improvement before the run ends, at least 1
	MinDelta float64 // smallest change that counts as an improvement, >= 0
	Maximize bool    // larger values are better
	KeepLast bool    // keep the last parameters instead of restoring the best
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

// withDefaults checks the configuration and fills in its defaults.
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

// checkLimits returns an error for a gradient limit that is negative or not finite.
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

// heldOut returns the validation set, or nil if there is none.
func (c *Config) heldOut() (data.Records, error) {
	switch {
	case c.Validation == nil:
		return c.ValidationRecords, nil
	case c.ValidationRecords != nil:
		return nil, errors.New("both Validation and ValidationRecords are set")
	}
	return records("Validation", c.Validation)
}

// checkClassTargets returns an error unless the dataset has one label per row for ClassWeights.
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

// checkMetrics returns an error if a metric is nil or invalid, or if two share a name: one of them
// would be lost.
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

// records returns a dataset as records. Calling a method of a nil dataset panics, which becomes an
// error.
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

// checkData returns an error if a dataset is missing, empty or inconsistent.
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
