package train

import (
	"errors"
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A batch's loss is a quotient: Σ s·l over Σ s·share, in the words of package loss. Whatever covers
// several batches, an update of accumulated gradients, an epoch or an evaluation, adds up the
// numerators and the denominators and divides once; a mean of the batches' means would depend on
// how the rows with ignored labels or large weights fell into batches.

// addLoss puts the loss with its target and weights on top of the model. divisor is the node of the
// denominator, nil for a loss that is no quotient.
func (pr *program) addLoss(p purpose) (cost, divisor *G.Node, err error) {
	if pr.spec.Target.Kind == data.None {
		return nil, nil, errors.New("the dataset has no targets")
	}
	shape, err := weightShape(p, pr.out, pr.spec.Target)
	if err != nil {
		return nil, nil, err
	}
	var y, w *G.Node
	if y, pr.y, err = leaf(pr.graph, "target", pr.spec.Target, pr.dtype, pr.batch); err != nil {
		return nil, nil, err
	}
	if w, pr.w, err = leaf(pr.graph, "weights", data.Field{Kind: data.Float, Shape: shape[1:]}, pr.dtype, pr.batch); err != nil {
		return nil, nil, err
	}
	pr.perRow, pr.masked = shape.TotalSize()/pr.batch, p.masked
	reduction := loss.Mean
	if p.sum {
		reduction = loss.Sum
	}
	cost, err = buildLoss(p.lossFn, pr.out, y, loss.WithWeights(w), loss.WithReduction(reduction), loss.WithBufferReuse())
	if err != nil {
		return nil, nil, err
	}
	if !cost.IsScalar() {
		return nil, nil, fmt.Errorf("the loss %s, want a scalar", describe(cost))
	}
	pr.root = cost
	_, divisor, err = loss.Parts(cost)
	switch {
	case err == nil:
		return cost, divisor, nil
	case !errors.Is(err, loss.ErrOption):
		return nil, nil, err
	case p.sum:
		return nil, nil, fmt.Errorf("more than one batch a step (Accumulate) takes the numerators and denominators of batches: %w", err)
	}
	return cost, nil, nil
}

// weightShape returns the shape of the weights that the loss is given: (rows) where it takes that,
// as a weight per element makes the loss read as much again as its targets, and otherwise the shape
// of its values. A mask has an entry for each of these.
func weightShape(p purpose, out *G.Node, target data.Field) (tensor.Shape, error) {
	batch := out.Shape()[0]
	shape, err := lossShape(p.lossFn, out, target)
	if err != nil {
		return nil, err
	}
	if len(shape) == 0 || shape[0] != batch {
		return nil, fmt.Errorf("the loss has shape %v without reduction, want %d rows to weight: %s", shape, batch, passOptions)
	}
	if p.masked {
		if want := append(tensor.Shape{batch}, target.Shape...); !shape.Eq(want) {
			return nil, fmt.Errorf("the dataset masks elements of its targets, and the loss takes no mask of their shape %v: "+
				"its values have the shape %v", want, shape)
		}
		return shape, nil
	}
	if len(shape) > 1 {
		if s, err := scratchLoss(p.lossFn, out, target, tensor.Shape{batch}); err == nil && s.Eq(shape) {
			return tensor.Shape{batch}, nil
		}
	}
	return shape, nil
}

// passOptions tells the author of a loss what a trainer needs.
const passOptions = "a loss gets its weights and its reduction as options, and hands them on, as in " +
	"func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) { return loss.MSE(pred, target, opts...) }; " +
	"loss.Reduce does so for values of one's own"

// lossShape returns the shape that the loss has without reduction: (rows) for a loss of rows, more
// for an elementwise loss.
func lossShape(fn loss.Func, out *G.Node, target data.Field) (tensor.Shape, error) {
	return scratchLoss(fn, out, target, nil)
}

// scratchLoss builds the loss without reduction in a graph of its own, where it leaves nothing
// behind, with weights of the given shape if that is not nil.
func scratchLoss(fn loss.Func, out *G.Node, target data.Field, weights tensor.Shape) (tensor.Shape, error) {
	shape := out.Shape()
	build := func(opts ...loss.Option) (*G.Node, error) {
		g := G.NewGraph()
		pred := G.NewTensor(g, out.Dtype(), len(shape), G.WithShape(shape...), G.WithName("pred"))
		y, _, err := leaf(g, "target", target, out.Dtype(), shape[0])
		if err != nil {
			return nil, err
		}
		if weights != nil {
			w := G.NewTensor(g, out.Dtype(), len(weights), G.WithShape(weights...), G.WithName("weights"))
			opts = append(opts, loss.WithWeights(w))
		}
		return buildLoss(fn, pred, y, opts...)
	}
	n, err := build(loss.WithReduction(loss.None))
	if err == nil {
		return n.Shape(), nil
	}
	if errors.Is(err, loss.ErrOption) {
		if _, meanErr := build(); meanErr == nil {
			return nil, noNormalizer()
		}
	}
	return nil, err
}

// buildLoss calls a loss function, which may be a stranger's.
func buildLoss(fn loss.Func, pred, target *G.Node, opts ...loss.Option) (n *G.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, panicked("the loss", r)
		}
	}()
	if n, err = fn(pred, target, opts...); err != nil {
		return nil, explainLoss(err, pred.Shape()[0])
	}
	if n == nil {
		return nil, errors.New("the loss returned a nil node")
	}
	return n, nil
}

// loss returns the value of the last run: a mean, or a sum that the caller divides.
func (pr *program) loss() float64 { return first(pr.cost) }

// parts returns the numerator and the denominator of the last run's loss. One that is no quotient
// counts with the weight of its rows.
func (pr *program) parts(weight float64) mean {
	m := mean{Weight: weight}
	if pr.divisor.Len() > 0 {
		m.Weight = first(pr.divisor)
	}
	switch {
	case pr.summing:
		m.Sum = pr.loss()
	case m.Weight != 0: // where nothing counts the loss may be any number
		m.Sum = pr.loss() * m.Weight
	}
	return m
}

func first(c data.Column) float64 {
	if c.F32 != nil {
		return float64(c.F32[0])
	}
	return c.F64[0]
}

// errNoWeight is what a mean over nothing is.
var errNoWeight = errors.New("every row has weight 0 or is ignored, so there is no mean loss")

// mean is a quotient of sums over batches.
type mean struct {
	Sum    float64 `json:"sum"`
	Weight float64 `json:"weight"`
}

func (m *mean) add(n mean) {
	m.Sum += n.Sum
	m.Weight += n.Weight
}

func (m *mean) value() float64 { return m.Sum / m.Weight }
