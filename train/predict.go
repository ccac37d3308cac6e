package train

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
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
	r, err := records("dataset", ds)
	if err != nil {
		return nil, fmt.Errorf("train.Predict: %w", err)
	}
	all, err := n.predictAll(ctx, "Predict", r)
	if err != nil {
		return nil, err
	}
	if out := all[OutputName]; out != nil {
		return out, nil
	}
	return nil, fmt.Errorf("train.Predict: the model has the outputs %q; PredictNamed returns them", slices.Sorted(maps.Keys(all)))
}

// PredictNamed is [Net.Predict] for records: it returns all outputs of the model by their names.
func (n *Net) PredictNamed(ctx context.Context, ds data.Records) (map[string]*tensor.Dense, error) {
	return n.predictAll(ctx, "PredictNamed", ds)
}

func (n *Net) predictAll(ctx context.Context, name string, ds data.Records) (all map[string]*tensor.Dense, err error) {
	if ctx == nil {
		return nil, fmt.Errorf("train.%s: context is nil", name)
	}
	all, err = n.predict(ctx, ds)
	if err != nil {
		return nil, fmt.Errorf("train.%s: %w", name, err)
	}
	return all, nil
}

func (n *Net) predict(ctx context.Context, ds data.Records) (map[string]*tensor.Dense, error) {
	if err := n.checkInput("dataset", ds); err != nil {
		return nil, err
	}
	n.params.mu.RLock()
	defer n.params.mu.RUnlock()
	all, results := make(map[string]data.Column), make(map[string]*tensor.Dense)
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
		if done == 0 {
			for name, out := range p.out {
				shape := out.Shape().Clone()
				shape[0] = total
				var c data.Column
				if p.single {
					c.F32 = make([]float32, shape.TotalSize())
					results[name] = dense(c.F32, shape...)
				} else {
					c.F64 = make([]float64, shape.TotalSize())
					results[name] = dense(c.F64, shape...)
				}
				all[name] = c
			}
		}
		err = eachBatch(ctx, ds, done, done+rest, batch, 0, p.single, func(b *data.Batch) error {
			if err := p.load(b, nil); err != nil {
				return err
			}
			if err := p.run(); err != nil {
				return fmt.Errorf("a batch of the rows %s: %w", someRows(b.Rows), err)
			}
			k := len(b.Rows)
			for name, from := range p.read {
				size := from.Len() / p.batch
				if err := all[name].Slice(done*size, (done+k)*size).Copy(from.Slice(0, k*size)); err != nil {
					return err
				}
			}
			done += k
			return nil
		})
		n.give(p)
		if err != nil {
			return nil, err
		}
	}
	return results, nil
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
	return n.compile(batch, purpose{outputs: true})
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
func (n *Net) compile(batch int, p purpose) (*program, error) {
	n.predictors.building.Lock()
	defer n.predictors.building.Unlock()
	f, err := buildSound(n.model, n.about.fields.Inputs, n.params, batch, false)
	if err != nil {
		return nil, err
	}
	return compile(f, p)
}
