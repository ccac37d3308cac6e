package train

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The loss of a batch is the quotient Σ s·l / Σ s·share that package loss defines. Accumulated
// gradients, epochs and evaluations cover several batches: they sum the numerators and the
// denominators and divide once. A mean of batch means would depend on which batches hold the rows
// with ignored labels or large weights.

// weightsName is the name of the leaf that holds the weights.
const weightsName = "weights"

// costTerm is a term of the objective, built in a graph.
type costTerm struct {
	Term
	label            string
	node             *G.Node
	outputs, targets map[string]bool // the ones it depends on
	cost             data.Column
	divisor          data.Column  // denominator of the mean; empty for a loss that is not a quotient
	readsBatch       bool         // its values read all rows of the batch, so padding rows must be masked
	mask             tensor.Shape // shape of that mask
	weights          tensor.Shape // shape of its weights; nil if it takes none
}

// rowWeights is a leaf that holds a weight per row, or per element of a masked target.
type rowWeights struct {
	*column
	perRow int
	mask   string // target whose mask is applied; "" for none
}

// addLoss adds the terms of the objective, with their targets and weights, to the model's graph. It
// returns the cost, or nil for an objective without losses.
func (pr *program) addLoss(p purpose) (cost *G.Node, err error) {
	targets := make(Nodes)
	for _, name := range slices.Sorted(maps.Keys(p.fields.Targets)) {
		c, err := leaf(pr.graph, data.TargetName, name, p.fields.Targets[name], pr.dtype, pr.batch)
		if err != nil {
			return nil, err
		}
		pr.targets, targets[name] = append(pr.targets, c), c.node
	}
	inTerm := func(t *costTerm, err error) error {
		if err != nil && len(p.objective) > 1 {
			err = fmt.Errorf("term %q: %w", t.label, err)
		}
		return err
	}
	for i, t := range p.objective {
		tm := &costTerm{Term: t, label: t.label(i), outputs: map[string]bool{t.Output: true},
			targets: map[string]bool{t.Target: true}}
		if err := pr.checkTerm(tm, targets, p.fields); err != nil {
			return nil, inTerm(tm, err)
		}
		if t.lossless() {
			pr.predicted = append(pr.predicted, t.Output)
		} else {
			pr.terms = append(pr.terms, tm)
		}
	}
	if p.comm != nil {
		if err := pr.spread(&p); err != nil {
			return nil, err
		}
	}
	pr.summing = p.sum
	for _, t := range pr.terms {
		if err := pr.addTerm(t, targets, p); err != nil {
			return nil, inTerm(t, err)
		}
	}
	pr.names = p.objective.names()
	return pr.weightedSum()
}

// spread decides how ranks compute the loss of a batch. A single term is a quotient of sums: each
// rank computes its part of them, and the division comes after the exchange. Several terms, whose
// denominators differ, and values that read the rows of other ranks need collectives inside the
// graph.
func (pr *program) spread(p *purpose) error {
	together := len(pr.terms) > 1
	for _, t := range pr.terms {
		if t.readsBatch && p.sum {
			return fmt.Errorf("the values of the loss %q read the whole batch, of which a rank has a part: with Comm, Accumulate must be 1", t.label)
		}
		together = together || t.readsBatch
	}
	if !together || p.sum {
		p.comm, p.sum = nil, true
	}
	return nil
}

// weightedSum returns the weighted sum of the terms.
func (pr *program) weightedSum() (*G.Node, error) {
	var sum []loss.Term
	for _, t := range pr.terms {
		node := func(_, _ *G.Node, _ ...loss.Option) (*G.Node, error) { return t.node, nil }
		sum = append(sum, loss.Term{Name: t.label, Factor: t.factor(), Loss: node})
	}
	switch {
	case len(sum) == 0:
		return nil, nil
	case len(sum) == 1 && sum[0].Factor == 1:
		return sum[0].Loss(nil, nil)
	case len(sum) > 1 && pr.summing:
		return nil, fmt.Errorf("more than one batch a step (Accumulate, Comm) takes one quotient, and the objective has %d terms with denominators of their own", len(sum))
	}
	return loss.Weighted(sum...)(nil, nil)
}

// checkTerm returns an error if the output or the target of a term does not exist. It determines
// what the term reads and the shape of its weights.
func (pr *program) checkTerm(t *costTerm, targets Nodes, fields data.Fields) (err error) {
	if t.Output != "" && pr.out[t.Output] == nil {
		return fmt.Errorf("the model has no output %q, only %q", t.Output, pr.outputs)
	}
	if t.Target != "" && targets[t.Target] == nil {
		if len(targets) == 0 {
			return errors.New("the dataset has no targets")
		}
		return fmt.Errorf("the dataset has no target %q, only %q", t.Target, slices.Sorted(maps.Keys(targets)))
	}
	if t.lossless() {
		return nil
	}
	t.weights, err = weightShape(t, pr.out, fields)
	return err
}

// addTerm builds a term and copies its value and its denominator out of the graph.
func (pr *program) addTerm(t *costTerm, targets Nodes, p purpose) (err error) {
	reduction := loss.Mean
	if p.sum {
		reduction = loss.Sum
	}
	opts := []loss.Option{loss.WithReduction(reduction), loss.WithBufferReuse()}
	if t.weights != nil {
		w, err := pr.weightsOf(t.weights, t.Target, p.fields.Masked[t.Target])
		if err != nil {
			return err
		}
		opts = append(opts, loss.WithWeights(w.node))
	} else {
		pr.unweighted = t.label
	}
	if t.readsBatch {
		mask, err := pr.maskOf(t, p.fields)
		if err != nil {
			return err
		}
		opts = append(opts, loss.WithMask(mask))
	}
	if p.comm != nil {
		opts = append(opts, loss.WithComm(p.comm))
	}
	t.node, err = t.build(pr.out, targets, opts...)
	if err != nil {
		return err
	}
	if !t.node.IsScalar() {
		return fmt.Errorf("the loss %s, want a scalar", describe(t.node))
	}
	t.cost = pr.buffer(1)
	if err := pr.copyOut("cost "+t.label, t.node, t.cost); err != nil {
		return err
	}
	_, divisor, err := loss.Parts(t.node)
	switch {
	case err == nil:
		t.divisor = pr.buffer(1)
		return pr.copyOut("divisor "+t.label, divisor, t.divisor)
	case !errors.Is(err, loss.ErrOption):
		return err
	case p.sum || p.comm != nil && !(t.readsBatch && isLoss(t.node.Op())): // else it has the rows of all ranks
		return fmt.Errorf("more than one batch a step (Accumulate, Comm) takes the numerators and denominators of batches: %w", err)
	}
	return nil
}

// maskOf returns the leaf that masks padding rows in a term whose values read all rows. It has one
// entry per row or, for pooled losses, per pixel; there it also holds the dataset's mask.
func (pr *program) maskOf(t *costTerm, fields data.Fields) (*G.Node, error) {
	if len(t.mask) == 1 {
		return pr.presentRows()
	}
	w, err := pr.weightsOf(t.mask, t.Target, fields.Masked[t.Target]) // all weights are 1, else load refuses them
	if err != nil {
		return nil, err
	}
	return w.node, nil
}

// weightsOf returns the leaf for weights of the given shape that apply the mask of a target. Terms
// with the same shape and mask share it.
func (pr *program) weightsOf(shape tensor.Shape, target string, masked bool) (*rowWeights, error) {
	mask, name := "", weightsName
	if masked {
		mask = target
	}
	for _, w := range pr.weights {
		if w.node.Shape().Eq(shape) && w.mask == mask {
			return w, nil
		}
	}
	if len(pr.weights) > 0 {
		name = strconv.Itoa(len(pr.weights) + 1)
	}
	c, err := leaf(pr.graph, weightsName, name, data.Field{Kind: data.Float, Shape: shape[1:]}, pr.dtype, pr.batch)
	if err != nil {
		return nil, err
	}
	w := &rowWeights{column: c, perRow: shape.TotalSize() / pr.batch, mask: mask}
	pr.weights = append(pr.weights, w)
	return w, nil
}

// weightShape returns the shape of a term's weights: (rows) if the loss accepts it, because a
// weight per element doubles what the loss reads, and otherwise the shape of its values. Masks
// always have the shape of the values. A loss with a single value for the whole batch takes no
// weights: its shape is nil.
func weightShape(t *costTerm, out Nodes, fields data.Fields) (tensor.Shape, error) {
	batch := rowsOf(out)
	shape, err := t.shape(out, fields.Targets, nil)
	if err != nil {
		return nil, err
	}
	pooled := len(t.mask) > 1
	if pooled && fields.Masked[t.Target] {
		if want := append(tensor.Shape{batch}, fields.Targets[t.Target].Shape...); !t.mask.Eq(want) {
			return nil, fmt.Errorf("the dataset masks elements of its targets, of shape %v, and the loss takes masks of shape %v", want, t.mask)
		}
	}
	if pooled || len(shape) == 0 && t.readsBatch && !fields.Masked[t.Target] {
		return nil, nil
	}
	if len(shape) == 0 || shape[0] != batch {
		return nil, fmt.Errorf("the loss has shape %v without reduction, want %d rows to weight: %s", shape, batch, passOptions)
	}
	for name, uses := range t.targets {
		if uses && fields.Masked[name] && t.Target != name {
			return nil, fmt.Errorf("its loss depends on the target %q, which is masked: set Target to it", name)
		}
	}
	if fields.Masked[t.Target] {
		if want := append(tensor.Shape{batch}, fields.Targets[t.Target].Shape...); !shape.Eq(want) {
			return nil, fmt.Errorf("the dataset masks elements of its targets, and the loss takes no mask of their shape %v: "+
				"its values have the shape %v", want, shape)
		}
		return shape, nil
	}
	if len(shape) > 1 {
		if s, err := t.shape(out, fields.Targets, tensor.Shape{batch}); err == nil && s.Eq(shape) {
			return tensor.Shape{batch}, nil
		}
	}
	return shape, nil
}

// passOptions explains to the author of a loss what the trainer expects of it.
const passOptions = "a loss gets its weights and its reduction as options, and hands them on, as in " +
	"func(pred, target *G.Node, opts ...loss.Option) (*G.Node, error) { return loss.MSE(pred, target, opts...) }; " +
	"loss.Reduce does so for values of one's own"

// lossShape returns the shape of a loss without reduction: (rows), or more axes for an elementwise
// loss.
func lossShape(fn loss.Func, out *G.Node, target data.Field) (tensor.Shape, error) {
	t := &costTerm{Term: objectiveOf(fn)[0], outputs: make(map[string]bool), targets: make(map[string]bool)}
	return t.shape(Nodes{OutputName: out}, map[string]data.Field{data.TargetName: target}, nil)
}

// rowsOf returns the number of rows of a batch, which all outputs of a model have.
func rowsOf(out Nodes) int {
	for _, n := range out {
		return n.Shape()[0]
	}
	return 0
}

// shape returns the shape of the term without reduction, built with weights of the given shape
// unless that is nil, and records what the term depends on.
func (t *costTerm) shape(out Nodes, targets map[string]data.Field, weights tensor.Shape) (tensor.Shape, error) {
	n, pred, y, err := t.trial(out, targets, weights, loss.WithReduction(loss.None))
	if err == nil {
		t.mask, t.readsBatch = loss.ReadsBatch(n)
		reached := make(map[*G.Node]bool)
		for m := range loss.Walk(n) {
			reached[m] = true
		}
		for name, p := range pred {
			t.outputs[name] = t.outputs[name] || reached[p]
		}
		for name, p := range y {
			t.targets[name] = t.targets[name] || reached[p]
		}
		return n.Shape(), nil
	}
	if errors.Is(err, loss.ErrOption) {
		if _, _, _, meanErr := t.trial(out, targets, weights); meanErr == nil {
			return nil, noNormalizer()
		}
	}
	return nil, err
}

// trial builds the term in a temporary graph, on leaves with the shapes and types of the outputs
// and targets, with weights of the given shape unless that is nil.
func (t *costTerm) trial(out Nodes, targets map[string]data.Field, weights tensor.Shape,
	opts ...loss.Option) (n *G.Node, pred, y Nodes, err error) {
	g := G.NewGraph()
	pred, y = leavesLike(g, out), make(Nodes)
	var dtype tensor.Dtype
	for _, p := range pred {
		dtype = p.Dtype()
	}
	for name, f := range targets {
		c, err := leaf(g, data.TargetName, name, f, dtype, rowsOf(out))
		if err != nil {
			return nil, nil, nil, err
		}
		y[name] = c.node
	}
	if weights != nil {
		w := G.NewTensor(g, dtype, len(weights), G.WithShape(weights...), G.WithName(weightsName))
		opts = append(opts, loss.WithWeights(w))
	}
	n, err = t.build(pred, y, opts...)
	return n, pred, y, err
}

// leavesLike returns leaves of a graph with the types and shapes of a model's outputs.
func leavesLike(g *G.ExprGraph, out Nodes) Nodes {
	leaves := make(Nodes, len(out))
	for name, n := range out {
		leaves[name] = G.NewTensor(g, n.Dtype(), n.Dims(), G.WithShape(n.Shape()...), G.WithName(leafName(OutputName, name)))
	}
	return leaves
}

// build calls the term's function. It is user code, so panics become errors.
func (t *costTerm) build(out, target Nodes, opts ...loss.Option) (n *G.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, panicked("the loss", r)
		}
	}()
	if t.Build != nil {
		n, err = t.Build(maps.Clone(out), maps.Clone(target), opts...)
		if err != nil {
			err = fmt.Errorf("%w (outputs are %q, targets %q)", err, slices.Sorted(maps.Keys(out)),
				slices.Sorted(maps.Keys(target)))
		}
	} else {
		n, err = t.Loss(out[t.Output], target[t.Target], opts...)
	}
	if err != nil {
		return nil, explainLoss(err, rowsOf(out))
	}
	if n == nil {
		return nil, errors.New("the loss returned a nil node")
	}
	return n, nil
}

// loss returns the value of the last run: a mean, or a sum that the caller has to divide.
func (pr *program) loss() (sum float64) {
	for _, t := range pr.terms {
		sum += t.factor() * first(t.cost)
	}
	return sum
}

// parts returns the numerators and denominators of the terms in the last run. The weight of the
// rows is the denominator of a loss that is not a quotient.
func (pr *program) parts(weight float64) (all means) {
	for _, t := range pr.terms {
		m := mean{Weight: weight}
		if t.divisor.Len() > 0 {
			m.Weight = first(t.divisor)
		}
		switch {
		case pr.summing:
			m.Sum = first(t.cost)
		case m.Weight != 0: // if nothing counts, the loss is arbitrary
			m.Sum = first(t.cost) * m.Weight
		}
		all = append(all, m)
	}
	return all
}

func first(c data.Column) float64 {
	if c.F32 != nil {
		return float64(c.F32[0])
	}
	return c.F64[0]
}

// errNoWeight is the error of a mean over nothing.
var errNoWeight = errors.New("every row has weight 0 or is ignored, so there is no mean loss")

// mean is a quotient of sums over batches.
type mean struct {
	Sum    float64 `json:"sum"`
	Weight float64 `json:"weight"`
}

func (m *mean) value() float64 { return m.Sum / m.Weight }

// scale returns the factor that turns the gradient of the sum into that of the mean.
func (m *mean) scale(rows []int) (float64, error) {
	switch {
	case m.Weight != 0:
		return 1 / m.Weight, nil
	case m.Sum != 0:
		return 0, fmt.Errorf("the weights of the rows %s add up to 0, so there is no mean loss", someRows(rows))
	}
	return 1, nil
}

// means holds one mean per term of an objective.
type means []mean

func (ms *means) add(ns means) {
	if *ms == nil {
		*ms = make(means, len(ns))
	}
	for i, n := range ns {
		(*ms)[i].Sum += n.Sum
		(*ms)[i].Weight += n.Weight
	}
}

// value returns the loss of the objective. A term in which nothing counts contributes 0; if that
// holds for all terms, the loss is NaN.
func (pr *program) value(ms means) float64 {
	total, counts := 0.0, false
	for i, m := range ms {
		if m.Weight != 0 || m.Sum != 0 {
			total, counts = total+pr.terms[i].factor()*m.value(), true
		}
	}
	if !counts {
		return math.NaN()
	}
	return total
}

// values returns the terms by name if there are several. A term in which nothing counts is NaN.
func (pr *program) values(ms means) Values {
	if pr.names == nil {
		return nil
	}
	v := make(Values, len(ms))
	for i, m := range ms {
		v[pr.names[i]] = m.value()
	}
	return v
}

// show adds the loss to values and, if there are several terms, each of them by name. A term in
// which nothing counts is an error.
func (pr *program) show(ms means, values Values) error {
	for i, m := range ms {
		switch {
		case m.Weight == 0 && pr.names == nil:
			return errNoWeight
		case m.Weight == 0:
			return fmt.Errorf("term %q: %w", pr.names[i], errNoWeight)
		}
	}
	maps.Copy(values, pr.values(ms))
	values["loss"] = pr.value(ms)
	return nil
}
