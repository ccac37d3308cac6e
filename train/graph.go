package train

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/weights"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// program is a compiled graph of a fixed number of rows: the model, where there is a loss its
// value, and where the graph trains the gradients. Short batches are padded by copies of their last
// row, of weight 0.
type program struct {
	*forward
	vm      *machine.Machine
	spec    data.Spec
	y, w    data.Column
	perRow  int // weights per row; 0 without a loss
	masked  bool
	root    *G.Node // the loss
	cost    data.Column
	divisor data.Column // what the mean loss is divided by; empty for a loss that is no quotient
	output  data.Column
	grads   []*gradient // of params.list, in its order
	summing bool        // the loss is a sum, to be divided by the caller
	across  bool        // the output has its classes before the positions of its labels
	finish  func()      // called at the end of a run of a graph with gradients, when all else is computed
}

// gradient is that of a parameter, by its name.
type gradient struct {
	*weights.Array
	squares float64 // the sum of the squares of all its numbers
}

// purpose says what a program computes besides the model's output.
type purpose struct {
	lossFn     loss.Func // nil for prediction
	masked     bool      // batches say which elements of their targets count
	gradients  bool
	sum        bool // Sum in place of Mean, and gradients that add up over runs
	readOutput bool
}

func compile(f *forward, spec data.Spec, p purpose) (*program, error) {
	pr := &program{forward: f, spec: spec, summing: p.sum}
	var roots G.Nodes
	add := func(name string, n *G.Node, dst data.Column) error {
		t, err := tap(name, n, dst)
		if err == nil {
			roots = append(roots, t)
		}
		return err
	}
	if p.lossFn != nil {
		cost, divisor, err := pr.addLoss(p)
		if err != nil {
			return nil, err
		}
		pr.cost = f.buffer(1)
		if err := add("cost", cost, pr.cost); err != nil {
			return nil, err
		}
		if divisor != nil {
			pr.divisor = f.buffer(1)
			if err := add("divisor", divisor, pr.divisor); err != nil {
				return nil, err
			}
		}
		if p.gradients {
			taps, err := pr.addGradients(cost)
			if err != nil {
				return nil, err
			}
			roots = append(roots, taps...)
		}
	}
	if p.readOutput {
		pr.output = f.buffer(f.out.Shape().TotalSize())
		if err := add("output", f.out, pr.output); err != nil {
			return nil, err
		}
	}
	if p.readOutput && spec.Target.Kind == data.Int {
		var err error
		if pr.across, err = classesFirst(p.lossFn, f.out, spec.Target); err != nil {
			return nil, err
		}
	}
	if p.gradients {
		end, err := pr.end(roots)
		if err != nil {
			return nil, err
		}
		roots = G.Nodes{end}
	}
	return pr, pr.start(roots)
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

func (pr *program) addGradients(cost *G.Node) (taps G.Nodes, err error) {
	byName := make(map[string]*G.Node)
	for _, n := range pr.leaves {
		byName[n.Name()] = n
	}
	var wrt G.Nodes
	for _, a := range pr.params.list {
		wrt = append(wrt, byName[a.Name])
	}
	if len(wrt) == 0 {
		return nil, errors.New("the model has no parameters")
	}
	grads, err := loss.Gradients(cost, wrt...)
	if err != nil {
		return nil, err
	}
	for i, a := range pr.params.list {
		g := &gradient{Array: weights.New(a.Name, pr.single, a.Shape...)}
		pr.grads = append(pr.grads, g)
		t, err := tapGradient("gradient of "+a.Name, grads[i], g, pr.summing)
		if err != nil {
			return nil, err
		}
		taps = append(taps, t)
	}
	return taps, nil
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
	if err := pr.bind(b, n); err != nil {
		return err
	}
	if pr.perRow == 0 {
		return nil
	}
	if pr.masked && b.Mask == nil {
		return errors.New("the dataset no longer masks its targets")
	}
	if err := pad(pr.y, b.Y, n, pr.batch, pr.spec.Target.Size()); err != nil {
		return err
	}
	for i := range pr.batch {
		w := 0.0
		if i < n {
			w = b.W[i]
			if factor != nil {
				w *= factor[i]
			}
		}
		var mask []bool
		if pr.masked && i < n {
			mask = b.Mask[i*pr.perRow : (i+1)*pr.perRow]
		}
		if pr.single {
			weigh(pr.w.F32[i*pr.perRow:(i+1)*pr.perRow], float32(w), mask)
		} else {
			weigh(pr.w.F64[i*pr.perRow:(i+1)*pr.perRow], w, mask)
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

// bind makes a batch the graph's input: a whole one as it lies, until the loader's next step, and a
// short one as a padded copy.
func (pr *program) bind(b *data.Batch, n int) error {
	from := b.X
	if size := pr.spec.Input.Size(); n < pr.batch || from.Len() != pr.batch*size || (from.F32 != nil) != (pr.xbuf.F32 != nil) || (from.Int != nil) != (pr.xbuf.Int != nil) {
		if err := pad(pr.xbuf, from, n, pr.batch, size); err != nil {
			return err
		}
		from = pr.xbuf
	}
	var v *tensor.Dense
	switch shape := pr.x.Shape(); {
	case from.Int != nil:
		v = dense(from.Int, shape...)
	case from.F32 != nil:
		v = dense(from.F32, shape...)
	default:
		v = dense(from.F64, shape...)
	}
	return G.Let(pr.x, v)
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

// run executes the graph once, and ends between two operations where the context does. The error of an operation comes without the machine's words around
// it: those of this module name themselves.
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

// scores copies the first n rows of the output into dst as float64.
func (pr *program) scores(dst []float64, n int) ([]float64, error) {
	size := pr.output.Len() / pr.batch
	if cap(dst) < n*size {
		dst = make([]float64, n*size)
	}
	dst = dst[:n*size]
	return dst, data.Column{F64: dst}.Copy(pr.output.Slice(0, n*size))
}
