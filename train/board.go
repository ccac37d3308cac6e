package train

import (
	"context"
	"maps"
	"math"
	"time"

	"github.com/surprisal-go/surprisal/train/tensorboard"
	"github.com/surprisal-go/surprisal/train/weights"
)

// board writes a run to a TensorBoard event file.
type board struct {
	dir   string
	every int
	w     *tensorboard.Writer
}

// NewTensorBoard returns a callback that writes event files for TensorBoard to a directory. Under
// "step/" it writes the loss, its terms, the learning rate and the gradient norm of every n-th
// step, and validations within an epoch; under "epoch/" it writes the values of each epoch, at its
// last step. Each run begins with a session record, so after a resume TensorBoard drops the steps
// that are repeated.
func NewTensorBoard(dir string, every int) Callback { return &board{dir: dir, every: max(1, every)} }

func (b *board) Event(_ context.Context, e Event) error {
	if b.w == nil {
		w, err := tensorboard.NewWriter(b.dir)
		if err != nil {
			return err
		}
		b.w = w
	}
	now := time.Now()
	switch e.Kind {
	case RunBegin:
		return b.w.Start(e.Step+1, now)
	case StepDone:
		if e.Step%b.every != 0 {
			return nil
		}
		values := Values{"loss": e.Loss, "rate": e.Rate, "gradient norm": e.Norm}
		maps.Copy(values, e.Terms)
		for _, n := range values.Names() {
			if math.IsNaN(values[n]) { // no row of the step counts
				continue
			}
			if err := b.w.Scalar("step/"+n, e.Step, now, values[n]); err != nil {
				return err
			}
		}
	case Validated:
		for _, n := range e.Record.Values.Names() {
			if err := b.w.Scalar("step/"+n, e.Step, now, e.Record.Values[n]); err != nil {
				return err
			}
		}
	case EpochDone:
		for _, n := range e.Record.Values.Names() {
			if err := b.w.Scalar("epoch/"+n, e.Step, now, e.Record.Values[n]); err != nil {
				return err
			}
		}
		return b.w.Flush()
	case RunEnd:
		w := b.w
		b.w = nil
		return w.Close()
	}
	return nil
}

// histograms writes the distributions of parameters and gradients to a TensorBoard event file.
type histograms struct {
	dir   string
	every int
	w     *tensorboard.Writer
}

// NewHistograms returns a callback that writes histograms to event files for TensorBoard, after
// every n-th epoch and the last: the parameters under "parameters/" and the gradients of the last
// update, after clipping, under "gradients/". It can share a directory with [NewTensorBoard].
func NewHistograms(dir string, every int) Callback {
	return &histograms{dir: dir, every: max(1, every)}
}

func (h *histograms) Event(_ context.Context, e Event) error {
	if h.w == nil {
		w, err := tensorboard.NewWriter(h.dir)
		if err != nil {
			return err
		}
		h.w = w
	}
	now := time.Now()
	switch e.Kind {
	case RunBegin:
		return h.w.Start(e.Step+1, now)
	case EpochDone:
		if e.Epoch%h.every != 0 && e.Epoch != e.Epochs {
			return nil
		}
		for _, a := range e.Net.Params() {
			if err := h.w.Histogram("parameters/"+a.Name, e.Step, now, float64s(a)); err != nil {
				return err
			}
		}
		for _, m := range e.moved {
			if err := h.w.Histogram("gradients/"+m.param.Name, e.Step, now, float64s(m.grad.Array)); err != nil {
				return err
			}
		}
		return h.w.Flush()
	case RunEnd:
		w := h.w
		h.w = nil
		return w.Close()
	}
	return nil
}

// float64s returns the numbers of an array, which are not to be changed.
func float64s(a *weights.Array) []float64 {
	if !a.Single() {
		return a.F64
	}
	v := make([]float64, len(a.F32))
	for i, x := range a.F32 {
		v[i] = float64(x)
	}
	return v
}
