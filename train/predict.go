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
	running  chan struct{}      // holds an entry for each graph in use, at most one for each processor
	building sync.Mutex         // models are built one at a time: they are functions of programs, and may keep notes
}

// Predict returns the model's output for every example of ds; targets are not needed. The first
// dimension of the result counts the examples.
//
// Calls run concurrently. If they share a dataset, it must allow concurrent readers, as the
// datasets of package data do.
//
// Rows are predicted in batches of 256, and the remaining ones in a batch of the next power of two,
// so that one row has the cost of one row. Over all calls, at most as many batches run at a time as
// there are processors. If no compiled graph of the right size is free, the model's function builds
// one, never two at once; graphs are kept for later calls. A cancelled context ends a call, whether
// it is running or waiting.
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
	return nil, fmt.Errorf("train.Predict: the model has the outputs %q; PredictNamed returns them",
		slices.Sorted(maps.Keys(all)))
}

// PredictNamed is [Net.Predict] for records. It returns all outputs of the model by name.
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
		size := graphSize(rest)
		if rest > predictBatch {
			rest -= rest % predictBatch
		}
		err := eachBatch(ctx, ds, done, done+rest, size, 0, n.params.dtype == tensor.Float32, func(b *data.Batch) error {
			err := n.runBatch(ctx, size, b, func(p *program) error {
				if done == 0 {
					for name, out := range p.out {
						all[name], results[name] = p.room(out.Shape(), total)
					}
				}
				for name, from := range p.read {
					width, k := from.Len()/p.batch, len(b.Rows)
					if err := all[name].Slice(done*width, (done+k)*width).Copy(from.Slice(0, k*width)); err != nil {
						return err
					}
				}
				return nil
			})
			done += len(b.Rows)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// graphSize returns the number of rows of the graph for some rows.
func graphSize(rows int) int {
	size := 1
	for size < min(rows, predictBatch) {
		size *= 2
	}
	return size
}

// room returns memory for an output of some rows, and a tensor over it.
func (pr *program) room(shape tensor.Shape, rows int) (c data.Column, t *tensor.Dense) {
	shape = shape.Clone()
	shape[0] = rows
	if c = pr.buffer(shape.TotalSize()); pr.single {
		return c, dense(c.F32, shape...)
	}
	return c, dense(c.F64, shape...)
}

// runBatch runs a batch in a graph of the given size and hands that to use.
func (n *Net) runBatch(ctx context.Context, size int, b *data.Batch, use func(p *program) error) error {
	p, err := n.take(ctx, size)
	if err != nil {
		return err
	}
	defer n.give(p)
	if err := p.load(b, nil); err != nil {
		return err
	}
	if err := p.run(ctx); err != nil {
		return fmt.Errorf("a batch of the rows %s: %w", someRows(b.Rows), err)
	}
	return use(p)
}

// take returns a graph for prediction that nobody else uses, once fewer are in use than there are
// processors.
func (n *Net) take(ctx context.Context, size int) (*program, error) {
	s := &n.predictors
	s.mu.Lock()
	if s.running == nil {
		s.idle, s.running = make(map[int][]*program), make(chan struct{}, runtime.GOMAXPROCS(0))
	}
	s.mu.Unlock()
	select {
	case s.running <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	if idle := s.idle[size]; len(idle) > 0 {
		p := idle[len(idle)-1]
		s.idle[size] = idle[:len(idle)-1]
		s.mu.Unlock()
		return p, nil
	}
	s.mu.Unlock()
	p, err := n.compile(size, purpose{outputs: true})
	if err != nil {
		<-s.running
	}
	return p, err
}

// give keeps a graph for a later call.
func (n *Net) give(p *program) {
	s := &n.predictors
	s.mu.Lock()
	s.idle[p.batch] = append(s.idle[p.batch], p)
	s.mu.Unlock()
	<-s.running
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
