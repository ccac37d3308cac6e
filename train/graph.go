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

// program is a compiled graph for a fixed number of rows. It computes the model's outputs, the loss
// if there is one and, for training, the gradients. Short batches are padded with copies of their
// last row, which have weight 0.
type program struct {
	*forward
	vm         *machine.Machine
	taps       G.Nodes // roots of a run
	targets    []*column
	weights    []*rowWeights
	terms      []*costTerm // of the loss
	names      []string    // of the terms in a history; nil if there is only one
	unweighted string      // a term that takes no row weights; "" if all do
	predicted  []string    // outputs that the objective names without a loss
	read       map[string]data.Column
	views      []*view
	viewOf     []*view     // by metric
	rows       *data.Batch // input of a graph that predicts single rows; nil before the first
	grads      []*gradient // in the order of purpose.moved
	summing    bool        // the loss is a sum, which the caller divides
	rowless    bool        // this rank has no rows of the batch; the one that is loaded does not count
	finish     func()      // called at the end of a training run, after all other operations
}

// gradient is the gradient of the parameter with the same name.
type gradient struct {
	*weights.Array
	squares float64 // sum of squares of its elements
}

// purpose specifies what a program computes besides the model's outputs.
type purpose struct {
	objective Objective
	fields    data.Fields // of the dataset, which has the targets
	gradients bool
	moved     []*weights.Array // the parameters that have gradients
	sum       bool             // Sum instead of Mean, with gradients accumulated over runs
	comm      comm.Comm        // the ranks that share a batch; nil for a single rank
	outputs   bool             // copy all outputs out of the graph
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

// copyOut copies the value of a node to dst on every run.
func (pr *program) copyOut(name string, n *G.Node, dst data.Column) error {
	t, err := tap(name, n, dst)
	if err == nil {
		pr.taps = append(pr.taps, t)
	}
	return err
}

// readOutput copies an output out of the graph on every run.
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

// start compiles only the operations on which the roots depend: Gorgonia builds derivatives for
// every operand, and the derivative of the input would cost as much as that of the first weight.
// Results can reuse their memory in each run because taps copy everything that leaves the graph.
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

// fill writes the weights of a batch, and 0 for padding rows.
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

// weigh writes the weights of a row. Masked elements have weight 0, and losses never read those.
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
		if mask[j] { // compiles without a branch, which a random mask would mispredict
			k = 1
		}
		dst[j] = choice[k]
	}
}

// bind sets the value of the leaf to n rows of a batch. A full batch is used in place, which is
// valid until the loader's next step; a short one is copied and padded.
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

// pad copies n rows and fills the rest with copies of the last, which any model can process.
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

// run executes the graph once and stops between two operations when the context ends. Errors of
// operations of this module name the operation themselves and are returned without the machine's
// prefix.
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
