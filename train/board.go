package train

import (
	"context"
	"maps"
	"math"
	"time"

	"github.com/surprisal-go/surprisal/train/tensorboard"
)

// board writes a run to a TensorBoard event file.
type board struct {
	dir   string
	every int
	w     *tensorboard.Writer
}

// NewTensorBoard returns a callback that writes event files for TensorBoard into a directory: the
// loss, its terms, the rate and the norm of the gradients of each step under "step/", or of every
// n-th step for every > 1, and the values of each epoch under "epoch/", at its last step. A run
// begins with a session record: of the run that it resumes, TensorBoard forgets the steps that are
// made again.
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
