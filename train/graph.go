package train

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	"github.com/surprisal-go/surprisal/tensorops/comm"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// program is a compiled graph of a fixed number of rows: the model, where there is a loss its
// value, and where the graph trains the gradients. Short batches are padded by copies of their last
// row, of weight 0.
type program struct {
	*forward
	vm         *machine.Machine
	taps       G.Nodes // what a run computes
	targets    []*column
	weights    []*rowWeights
	terms      []*costTerm // of the loss
	names      []string    // of the terms in a history; nil where there is only one
	unweighted string      // a term that takes no weights of rows; "" where all do
	predicted  []string    // outputs that the objective names and that have no loss
	read       map[string]data.Column
	views      []*view
	viewOf     []*view     // by metric
	rows       *data.Batch // of a graph that predicts rows by themselves; nil before the first
	grads      []*gradient // of the parameters that are moved, in the order of purpose.moved
	summing    bool        // the loss is a sum, to be divided by the caller
	rowless    bool        // other ranks have all rows of the batch, and the one here stands for none
	finish     func()      // called at the end of a run of a graph with gradients, when all else is computed
}

// gradient is that of a parameter, by its name.
type gradient struct {
	*weights.Array
	squares float64 // the sum of the squares of all its numbers
}

// purpose says what a program computes besides the model's outputs.
type purpose struct {
	objective Objective
	fields    data.Fields // of the examples, for their targets
	gradients bool
	moved     []*weights.Array // the parameters that have gradients
	sum       bool             // Sum in place of Mean, and gradients that add up over runs
	comm      comm.Comm        // of the ranks that have the rest of a batch; nil for none
	outputs   bool             // all outputs leave the graph
	metrics   []metric.Metric
}

func compile(f *forward, p purpose) (*program, error) {
	pr := &program{forward: f, read: make(map[string]data.Column)}
	cost, err := pr.addLoss(p)
	if err != nil {
		return nil, err
	}
	if p.gradients {
		if err := pr.addGradients(cost, p.moved); err != nil {
			return nil, err
		}
	}
	for i, a := range pr.averages {
		if p.gradients {
			a.batch = pr.buffer(a.moments.Shape().TotalSize())
			if err := pr.copyOut(fmt.Sprintf("moments %d", i), a.moments, a.batch); err != nil {
				return nil, err
			}
		}
	}
	if err := pr.addViews(p); err != nil {
		return nil, err
	}
	for _, name := range f.outputs {
		if p.outputs {
			if err := pr.readOutput(name); err != nil {
				return nil, err
			}
		}
	}
	if p.gradients {
		end, err := pr.end(pr.taps)
		if err != nil {
			return nil, err
		}
		pr.taps = G.Nodes{end}
	}
	return pr, pr.start(pr.taps)
}

// copyOut has a node's value copied to dst whenever the graph runs.
func (pr *program) copyOut(name string, n *G.Node, dst data.Column) error {
	t, err := tap(name, n, dst)
	if err == nil {
		pr.taps = append(pr.taps, t)
	}
	return err
}

// readOutput has an output leave the graph.
func (pr *program) readOutput(name string) error {
	if _, ok := pr.read[name]; ok {
		return nil
	}
	n := pr.out[name]
	pr.read[name] = pr.buffer(n.Shape().TotalSize())
	return pr.copyOut(leafName(OutputName, name), n, pr.read[name])
}

// end adds an operation that depends on all taps and calls finish.
func (pr *program) end(taps G.Nodes) (*G.Node, error) {
	types := make([]hm.Type, len(taps))
	for i := range types {
		types[i] = pr.dtype
	}
	return apply(&op{
		text: fmt.Sprintf("train.end[%d,%v]", len(taps), pr.dtype), types: types, out: pr.dtype,
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.ScalarShape(), nil },
		do: func(_ *room, in []G.Value) (G.Value, error) {
			if pr.finish != nil {
				pr.finish()
			}
			if pr.single {
				return G.NewF32(0), nil
			}
			return G.NewF64(0), nil
		},
	}, taps...)
}

func (pr *program) addGradients(cost *G.Node, moved []*weights.Array) error {
	byName := make(map[string]*G.Node)
	for _, n := range pr.leaves {
		byName[n.Name()] = n
	}
	if len(pr.used) == 0 {
		return errors.New("the model has no parameters")
	}
	if len(moved) == 0 {
		return nil
	}
	var wrt G.Nodes
	for _, a := range moved {
		wrt = append(wrt, byName[a.Name])
	}
	grads, err := loss.Gradients(cost, wrt...)
	if err != nil {
		return err
	}
	for i, a := range moved {
		g := &gradient{Array: weights.New(a.Name, pr.single, a.Shape...)}
		pr.grads = append(pr.grads, g)
		t, err := tapGradient("gradient of "+a.Name, grads[i], g, pr.summing)
		if err != nil {
			return err
		}
		pr.taps = append(pr.taps, t)
	}
	return nil
}

// start compiles what the roots need and nothing else: Gorgonia's derivatives are built for every
// operand, and the derivative of the input would cost as much as that of the first weight. Results
// keep their memory from run to run, as taps copy whatever leaves the graph.
func (pr *program) start(roots G.Nodes) (err error) {
	pr.vm, err = machine.New(pr.graph, machine.WithOutputs(roots...), machine.WithBufferReuse())
	return err
}

func (pr *program) close() error { return pr.vm.Close() }

// load copies a batch into the leaves. factor multiplies the weight of each row; it may be nil.
func (pr *program) load(b *data.Batch, factor []float64) error {
	n := len(b.Rows)
	if n == 0 || n > pr.batch {
		return fmt.Errorf("a batch of %d rows, want 1 to %d", n, pr.batch)
	}
	for _, c := range pr.in {
		if err := c.bind(b.In[c.name], n, pr.batch); err != nil {
			return err
		}
	}
	for _, c := range pr.targets {
		if err := pad(c.Column, b.Out[c.name], n, pr.batch, c.field.Size()); err != nil {
			return err
		}
	}
	if pr.present != nil {
		for i := range pr.batch {
			here := 0.0
			if i < n && !pr.rowless {
				here = 1
			}
			if pr.single {
				pr.present.F32[i] = float32(here)
			} else {
				pr.present.F64[i] = here
			}
		}
	}
	if pr.unweighted != "" {
		for i, w := range b.W[:n] {
			if factor != nil {
				w *= factor[i]
			}
			if w != 1 {
				return fmt.Errorf("row %d has the weight %v, and the loss %q is one value of the whole batch, which takes no weights", b.Rows[i], w, pr.unweighted)
			}
		}
	}
	for _, w := range pr.weights {
		if err := w.fill(b, factor, pr.batch); err != nil {
			return err
		}
	}
	return nil
}

// fill writes the weights of a batch and 0 for the rows that it lacks.
func (w *rowWeights) fill(b *data.Batch, factor []float64, batch int) error {
	masks := b.Mask[w.mask]
	if w.mask != "" && len(masks) < len(b.Rows)*w.perRow {
		return fmt.Errorf("the dataset no longer masks its target %q", w.mask)
	}
	for i := range batch {
		v := 0.0
		if i < len(b.Rows) {
			v = b.W[i]
			if factor != nil {
				v *= factor[i]
			}
		}
		var mask []bool
		if w.mask != "" && i < len(b.Rows) {
			mask = masks[i*w.perRow : (i+1)*w.perRow]
		}
		if w.F32 != nil {
			weigh(w.F32[i*w.perRow:(i+1)*w.perRow], float32(v), mask)
		} else {
			weigh(w.F64[i*w.perRow:(i+1)*w.perRow], v, mask)
		}
	}
	return nil
}

// weigh fills in the weights of a row: an element that is masked has the weight 0, with which
// losses never read it.
func weigh[F float32 | float64](dst []F, w F, mask []bool) {
	if mask == nil {
		for j := range dst {
			dst[j] = w
		}
		return
	}
	choice := [2]F{0, w}
	for j := range dst {
		k := 0
		if mask[j] { // no jump for the compiler, and none that a random mask would make expensive
			k = 1
		}
		dst[j] = choice[k]
	}
}

// bind makes n rows of a batch the value of the leaf: a whole batch as it lies, until the loader's
// next step, and a short one as a padded copy.
func (c *column) bind(from data.Column, n, batch int) error {
	if n < batch || from.Len() != c.Len() || (from.F32 != nil) != (c.F32 != nil) || (from.Int != nil) != (c.Int != nil) {
		if err := pad(c.Column, from, n, batch, c.field.Size()); err != nil {
			return err
		}
		from = c.Column
	}
	var v *tensor.Dense
	switch shape := c.node.Shape(); {
	case from.Int != nil:
		v = dense(from.Int, shape...)
	case from.F32 != nil:
		v = dense(from.F32, shape...)
	default:
		v = dense(from.F64, shape...)
	}
	return G.Let(c.node, v)
}

// pad copies n rows and repeats the last: a row that the model can process like any other, whatever
// it computes.
func pad(dst, src data.Column, n, batch, size int) error {
	if err := dst.Slice(0, n*size).Copy(src.Slice(0, n*size)); err != nil {
		return err
	}
	for i := n; i < batch; i++ {
		if err := dst.Slice(i*size, (i+1)*size).Copy(src.Slice((n-1)*size, n*size)); err != nil {
			return err
		}
	}
	return nil
}

// run executes the graph once, and ends between two operations where the context does. The error of
// an operation comes without the machine's words around it: those of this module name themselves.
func (pr *program) run(ctx context.Context) error {
	err := pr.vm.Run(ctx)
	var failed *machine.Error
	switch {
	case !errors.As(err, &failed):
		return err
	case failed.Node.Op() == nil || strings.Contains(failed.Err.Error(), failed.Node.Op().String()):
		return failed.Err
	}
	return fmt.Errorf("%v: %w", failed.Node.Op(), failed.Err)
}
