package loss

import (
	"math"
	"slices"
	"strconv"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/graph"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// With returns fn with options fixed, for callers that choose no options of their own, such as a
// trainer. Options of a later call come after the fixed ones: given twice, the last one counts.
func With(fn Func, opts ...Option) Func {
	fixed := slices.Clone(opts)
	return func(pred, target *G.Node, opts ...Option) (*G.Node, error) {
		return fn(pred, target, append(slices.Clone(fixed), opts...)...)
	}
}

// A Term is one loss of a [Weighted] sum.
type Term struct {
	Name   string // for people and for errors; the term's number if empty
	Loss   Func
	Factor float64 // finite
}

// Weighted returns the sum of losses of the same operands, each times its factor:
//
//	l = Σ_k f_k·l_k        dl = Σ_k f_k·dl_k
//
// Each term has its own denominator under [Mean]; options of a call go to every term, which must
// take them. A term with the factor 0 is computed and adds 0. [Terms] gives the nodes of the terms.
//
// A call returns an error of kind [ErrOption] without terms, for a term without a loss and for a
// factor that is not finite, and an error of kind [ErrShape] for terms of different shapes or
// dtypes, as elementwise losses and losses of rows have under [None].
func Weighted(terms ...Term) Func {
	terms = slices.Clone(terms)
	return func(pred, target *G.Node, opts ...Option) (*G.Node, error) {
		const name = "Weighted"
		if len(terms) == 0 {
			return nil, core.Faultf(ErrOption, name, "no terms, want at least one")
		}
		var names []string
		var factors []float64
		var nodes G.Nodes
		for i, t := range terms {
			label := t.Name
			if label == "" {
				label = strconv.Itoa(i)
			}
			if t.Loss == nil {
				return nil, core.Faultf(ErrOption, name, "term %s has no loss", label)
			}
			if math.IsNaN(t.Factor) || math.IsInf(t.Factor, 0) {
				return nil, core.Faultf(ErrOption, name, "term %s has the factor %v, want a finite number", label, t.Factor)
			}
			n, err := t.Loss(pred, target, opts...)
			if err != nil {
				return nil, err
			}
			if first := nodes; len(first) > 0 {
				if !n.Shape().Eq(first[0].Shape()) {
					return nil, core.Faultf(ErrShape, name, "term %s has shape %s, want %s like term %s", label,
						core.Shape(n.Shape()), core.Shape(first[0].Shape()), names[0])
				}
				if n.Dtype() != first[0].Dtype() {
					return nil, core.Faultf(ErrDType, name, "term %s has dtype %v, want %v like term %s", label, n.Dtype(), first[0].Dtype(), names[0])
				}
			}
			names, factors, nodes = append(names, label), append(factors, t.Factor), append(nodes, n)
		}
		if d := nodes[0].Dtype(); d != tensor.Float32 && d != tensor.Float64 {
			return nil, core.Faultf(ErrDType, name, "term %s has dtype %v, want float32 or float64", names[0], d)
		}
		return graph.BuildWeighted(names, factors, nodes)
	}
}

// Terms returns the names and nodes of the terms of a cost made by [Weighted], before their
// factors, or nil for any other node. Two terms that are the same loss with the same options are
// one node, listed for each.
func Terms(cost *G.Node) (names []string, nodes G.Nodes) {
	if cost == nil {
		return nil, nil
	}
	sum, ok := cost.Op().(*graph.WeightedSum)
	if !ok {
		return nil, nil
	}
	return slices.Clone(sum.Names), Operands(cost)(cost)
}

// Reduce returns a reduction of values of one's own, one per example or element, as the losses of
// this package reduce theirs.
//
// With s the weight of a value (1 by default), 0 where it is masked,
//
//	None: l = s·v      Sum: l = Σ s·v      Mean: l = Σ s·v / Σ s        dl/dv = s, divided by Σ s for Mean
//
// Values that are masked are never read.
//
// values is a node of any shape and dtype float32 or float64. The result is a scalar, or has the
// shape of values under [None].
//
// Options: [WithReduction], [WithWeights], [WithMask], [WithNormalizer], [WithNormalizerNode].
//
// Reference: standard.
func Reduce(values *G.Node, opts ...Option) (*G.Node, error) { return build(&reduce, opts, values) }

var reduce = core.Definition{
	Name: "Reduce", Operands: []core.Operand{{Name: "values", Holds: core.Real, Shape: "*"}}, Takes: core.ReduceOptions,
	Block: func(*core.Settings, core.Dims) core.BlockFunc {
		return func(b *core.Block) {
			copy(b.Out, b.X[0])
			for i := range b.Grad[0] {
				b.Grad[0][i] = 1
			}
			clear(b.Hess[0])
		}
	},
}

// ReadsBatch reports whether cost is computed, directly or by way of other nodes, from a loss whose
// values read all rows of the batch, as those of pairs and triplets in a batch do and those of all
// pixels under [WithPooled]. A row of weight 0 still has a part in the values of the others there:
// only [WithMask] leaves it out, by a mask of the given shape. It is false for a loss that has a mask
// already, and for losses of lists, images and sequences, of which each row of a batch is one.
func ReadsBatch(cost *G.Node) (mask tensor.Shape, reads bool) {
	for n := range Walk(cost) {
		if b, ok := graph.Loss(n); ok && !b.Set.Has(core.OptMask) {
			if mask := b.BatchMask(); mask != nil {
				return tensor.Shape(mask), true
			}
		}
	}
	return nil, false
}

// Parts returns the two numbers of [Mean] for a loss of this package, whatever its reduction, as
// scalar nodes:
//
//	numerator Σ s·l        denominator Σ s·share, or the normalizer
//
// Their quotient is the mean. Both are sums over examples: adding the numerators and the
// denominators of several batches gives the two numbers of all of them together. A batch in which
// no example counts has the denominator 0. The numerator is differentiable; the denominator is
// taken for a constant.
//
// The error is of kind [ErrOption] for a node that is not a loss of this package, such as a sum of
// losses, and for a loss whose mean is no such quotient, as its documentation says.
func Parts(cost *G.Node) (numerator, denominator *G.Node, err error) {
	const name = "Parts"
	if cost == nil {
		return nil, nil, core.Faultf(ErrShape, name, "cost is nil")
	}
	b, ok := graph.Loss(cost)
	if !ok || !b.Def.Takes.Has(core.OptReduction) {
		return nil, nil, core.Faultf(ErrOption, name, "%v is not a loss of this package, whose mean is a quotient of two sums", cost)
	}
	if !b.Quotient() {
		return nil, nil, core.Faultf(ErrOption, name, "the mean of %s is no quotient of two sums", b.Def.Name)
	}
	return graph.Parts(b, Operands(cost)(cost))
}
