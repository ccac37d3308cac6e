package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
)

// A StepConfig holds the settings of a [Step].
type StepConfig struct {
	Model     Network
	Objective Objective
	Fields    data.Fields // of the batches
	BatchSize int         // rows of a whole batch; 0 means 32

	Optimizer optim.Optimizer
	Rate      func(update int) float64 // factor of the learning rate of an update, counted from 1; nil means 1
	// Groups gives some parameters different settings, as Config.Groups does. Frozen parameters do not
	// change, and their gradients are not computed.
	Groups    []optim.Group
	ClipNorm  float64 // as in Config
	ClipValue float64 // as in Config

	ranks comm.Comm // that have the rest of a batch; nil for none
}

// A Step is one kind of update in a custom training loop: a model with its objective, and an
// optimizer for its parameters. [Trainer.NewStep] makes one.
type Step struct {
	name    string
	cfg     StepConfig
	params  *paramSet
	graph   *program
	moved   []*moved // in the order of graph.grads
	updates int      // made
	runs    int      // batches: the index of the next dropout pattern
	skip    int      // rows of the whole batch before this rank's
	rows    []int    // of the batch whose gradients Apply would use; nil where there are none
}

// newStep builds and compiles a step over a set of parameters.
func newStep(name string, params *paramSet, cfg StepConfig, sum bool, metrics []metric.Metric) (*Step, error) {
	f, err := buildSound(cfg.Model, cfg.Fields.Inputs, params, cfg.BatchSize, true)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, a := range f.used {
		names = append(names, a.Name)
	}
	if err := optim.CheckGroups(cfg.Groups, names); err != nil {
		return nil, err
	}
	s := &Step{name: name, cfg: cfg, params: params}
	var free []*weights.Array
	for _, a := range f.used {
		if optim.GroupOf(cfg.Groups, a.Name, cfg.Optimizer).Frozen {
			f.averages = slices.DeleteFunc(f.averages, func(v *average) bool { return v.mean == a || v.variance == a })
		} else if !params.states[a.Name] {
			free = append(free, a)
		}
	}
	s.graph, err = compile(f, purpose{objective: cfg.Objective, fields: cfg.Fields, gradients: true, moved: free, sum: sum,
		comm: cfg.ranks, metrics: metrics})
	if err != nil {
		return nil, err
	}
	for i, a := range free {
		s.moved = append(s.moved, newMoved(a, s.graph.grads[i], cfg.Optimizer, cfg.Groups))
	}
	return s, nil
}

// forward runs the graph on a batch, with the index-th pattern of dropout. Its last operation calls
// then with the weight of the batch's rows, where its loss is finite: the parameters are moved at
// once, while the gradients are still in the caches and the other cores awake.
func (s *Step) forward(ctx context.Context, b *data.Batch, factor []float64, index int, then func(weight float64) error) (graph, update time.Duration, err error) {
	if err := s.graph.load(b, factor); err != nil {
		return 0, 0, err
	}
	for _, n := range s.graph.noises {
		n.skip = s.skip * (n.buf.Len() / s.graph.batch)
		n.draw(s.params.seed, index)
	}
	var weight float64
	for i, w := range b.W {
		if factor != nil {
			w *= factor[i]
		}
		weight += w
	}
	finite := func() bool { return !math.IsNaN(s.graph.loss()) && !math.IsInf(s.graph.loss(), 0) }
	var thenErr error
	s.graph.finish = func() {
		start := time.Now()
		if finite() {
			if thenErr = then(weight); thenErr == nil {
				for _, a := range s.graph.averages {
					a.follow()
				}
			}
		}
		update = time.Since(start)
	}
	start := time.Now()
	s.params.mu.Lock()
	err = s.graph.run(ctx)
	s.params.mu.Unlock()
	graph = time.Since(start) - update
	switch {
	case err != nil:
		return graph, update, fmt.Errorf("a batch of the rows %s: %w", someRows(b.Rows), err)
	case !finite():
		return graph, update, s.nonFinite(b, factor, index)
	}
	return graph, update, thenErr
}

// move makes the n-th update.
func (s *Step) move(n int, rate float64) {
	for _, m := range s.moved {
		m.update(s.cfg.Optimizer, n, rate)
	}
}

func (s *Step) close() { s.graph.close() }

// Name returns the name that the step was made with.
func (s *Step) Name() string { return s.name }

// Updates returns the number of updates that the step has made, including those before a resume.
func (s *Step) Updates() int { return s.updates }

// NewBatch returns a batch with the step's fields for [Step.Run]. Its method Fill reads rows of
// records; for examples from elsewhere, SetLen sets the number of rows and the caller fills them
// in.
func (s *Step) NewBatch() *data.Batch {
	return data.NewBatch(s.cfg.Fields, s.graph.batch, s.graph.single)
}

// Run computes the loss and the gradients for a batch of at most BatchSize rows. It returns the
// loss under "loss" and the terms under their names. It changes nothing except the running averages
// of layers that have them; [Step.Apply] updates the parameters.
//
// Rows of weight 0 and masked elements do not count, and a batch in which nothing counts is an
// error. Weights appear in numerator and denominator, so factors that may sum to about 0, such as
// advantages, belong in a target that Build multiplies by. A loss that is not finite is a
// [*NonFiniteError], with the first node that is not finite.
func (s *Step) Run(b *data.Batch) (Values, error) {
	if b == nil {
		return nil, fmt.Errorf("train.Run: step %q: batch is nil", s.name)
	}
	if s.runs == 0 {
		if err := s.params.checkInitial(); err != nil {
			return nil, s.fault("Run", err)
		}
	}
	values := make(Values)
	s.rows = nil
	_, _, err := s.forward(context.Background(), b, nil, s.runs, func(weight float64) error {
		return s.graph.show(s.graph.parts(weight), values)
	})
	if err != nil {
		return nil, s.fault("Run", err)
	}
	s.runs++
	s.rows = slices.Clone(b.Rows)
	return values, nil
}

// Apply updates the parameters with the gradients of the last run and returns the norm of the
// gradients before clipping. A gradient that is not finite is a [*NonFiniteError], and the
// parameters do not change. Each run can be applied once.
func (s *Step) Apply() (norm float64, err error) {
	if s.rows == nil {
		return 0, fmt.Errorf("train.Apply: step %q: %w", s.name, errors.New("there are no gradients: Run comes before Apply"))
	}
	if norm, err = s.clip(1); err != nil {
		return 0, s.fault("Apply", err)
	}
	rate := s.cfg.Optimizer.Rate()
	if s.cfg.Rate != nil {
		f := s.cfg.Rate(s.updates + 1)
		if !(f >= 0) || math.IsInf(f, 1) {
			return 0, fmt.Errorf("train.Apply: step %q: Rate returned %v for update %d, want a finite number >= 0",
				s.name, f, s.updates+1)
		}
		rate *= f
	}
	s.params.mu.Lock()
	defer s.params.mu.Unlock()
	s.updates++
	s.rows = nil
	s.move(s.updates, rate)
	return norm, nil
}

// fault names the step in an error.
func (s *Step) fault(fn string, err error) error {
	var bad *NonFiniteError
	if errors.As(err, &bad) {
		bad.Step = s.updates + 1
		if bad.Rows == nil {
			bad.Rows = s.rows
		}
	}
	return fmt.Errorf("train.%s: step %q: %w", fn, s.name, err)
}
