package train

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/surprisal-go/surprisal/train/data"
	"gorgonia.org/tensor"
)

// predictBatch is the largest number of rows that are predicted at a time.
const predictBatch = 256

// predictors are the compiled graphs of a model for prediction that no call is using.
type predictors struct {
	mu       sync.Mutex
	idle     map[int][]*program // by the number of rows
	building sync.Mutex         // models are built one at a time: they are functions of programs, and may keep notes
}

// Predict returns the model's output for every example of ds, any number of them, targets not
// needed. The first dimension of the result counts the examples.
//
// Calls from several goroutines run at the same time; where they share a dataset, it has to allow
// several readers at once, as those of package data do.
//
// Rows are predicted 256 at a time, and the last ones in a graph of the next power of two, so that
// one row costs one row. Each call has graphs of its own. The model's function builds one when a
// call finds none that is free, never two at once; they are kept for later calls, of each size as
// many as there are processors.
func (n *Net) Predict(ctx context.Context, ds data.Dataset) (*tensor.Dense, error) {
	if ctx == nil {
		return nil, errors.New("train.Predict: context is nil")
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	result, err := n.predict(ctx, ds)
	if err != nil {
		return nil, fmt.Errorf("train.Predict: %w", err)
	}
	return result, nil
}

func (n *Net) predict(ctx context.Context, ds data.Dataset) (*tensor.Dense, error) {
	if err := n.checkInput("dataset", ds); err != nil {
		return nil, err
	}
	var all data.Column
	var result *tensor.Dense
	total := ds.Len()
	for done := 0; done < total; {
		rest := total - done
		batch := 1
		for batch < min(rest, predictBatch) {
			batch *= 2
		}
		if rest > predictBatch {
			rest -= rest % predictBatch
		}
		p, err := n.take(batch)
		if err != nil {
			return nil, err
		}
		if result == nil {
			shape := p.out.Shape().Clone()
			shape[0] = total
			if p.single {
				all.F32 = make([]float32, shape.TotalSize())
				result = dense(all.F32, shape...)
			} else {
				all.F64 = make([]float64, shape.TotalSize())
				result = dense(all.F64, shape...)
			}
		}
		size := p.output.Len() / p.batch
		err = eachBatch(ctx, ds, done, done+rest, batch, 0, p.single, func(b *data.Batch) error {
			if err := p.load(b, nil); err != nil {
				return err
			}
			if err := p.run(ctx); err != nil {
				return fmt.Errorf("a batch of the rows %s: %w", someRows(b.Rows), err)
			}
			k := len(b.Rows)
			if err := all.Slice(done*size, (done+k)*size).Copy(p.output.Slice(0, k*size)); err != nil {
				return err
			}
			done += k
			return nil
		})
		n.give(p)
		if err != nil {
			return nil, err
		}
	}
	return result, nil
}

// take returns a graph for prediction that nobody else uses.
func (n *Net) take(batch int) (*program, error) {
	s := &n.predictors
	s.mu.Lock()
	if idle := s.idle[batch]; len(idle) > 0 {
		p := idle[len(idle)-1]
		s.idle[batch] = idle[:len(idle)-1]
		s.mu.Unlock()
		return p, nil
	}
	s.mu.Unlock()
	return n.compile(data.Spec{Input: n.spec.Input}, batch, purpose{readOutput: true})
}

// give keeps a graph for a later call, or closes it where there are enough.
func (n *Net) give(p *program) {
	s := &n.predictors
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		s.idle = make(map[int][]*program)
	}
	if len(s.idle[p.batch]) < runtime.GOMAXPROCS(0) {
		s.idle[p.batch] = append(s.idle[p.batch], p)
		return
	}
	p.close()
}

// compile builds the model, which may be a stranger's and is built by one goroutine at a time, and
// compiles it.
func (n *Net) compile(spec data.Spec, batch int, p purpose) (*program, error) {
	n.predictors.building.Lock()
	defer n.predictors.building.Unlock()
	f, err := buildSound(n.model, spec, n.params, n.dtype, batch, false, n.seed)
	if err != nil {
		return nil, err
	}
	return compile(f, spec, p)
}
