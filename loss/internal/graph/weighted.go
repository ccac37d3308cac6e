package graph

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// WeightedSum is the operation Σ factor·term of terms of one shape and dtype.
type WeightedSum struct {
	Names   []string
	factors []float64
	dtype   tensor.Dtype
	shape   core.Shape
}

var (
	_ G.SDOp = (*WeightedSum)(nil)
	_ G.ADOp = (*WeightedSum)(nil)
)

// BuildWeighted adds the weighted sum of terms, which have one shape and dtype, to their graph.
func BuildWeighted(names []string, factors []float64, terms G.Nodes) (*G.Node, error) {
	o := &WeightedSum{Names: names, factors: factors, dtype: terms[0].Dtype(), shape: core.Shape(terms[0].Shape())}
	return Apply(o, terms...)
}

// Arity implements gorgonia.Op.
func (o *WeightedSum) Arity() int { return len(o.factors) }

// Type implements gorgonia.Op.
func (o *WeightedSum) Type() hm.Type {
	t := make([]hm.Type, len(o.factors)+1)
	for i := range t {
		t[i] = typeOf(o.dtype, o.shape)
	}
	return hm.NewFnType(t...)
}

// InferShape implements gorgonia.Op.
func (o *WeightedSum) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensorShape(o.shape), nil
}

// ReturnsPtr implements gorgonia.Op.
func (o *WeightedSum) ReturnsPtr() bool { return false }

// CallsExtern implements gorgonia.Op.
func (o *WeightedSum) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op: never.
func (o *WeightedSum) OverwritesInput() int { return -1 }

// String names the operation for people.
func (o *WeightedSum) String() string { return "loss.Weighted" }

// WriteHash implements gorgonia.Op.
func (o *WeightedSum) WriteHash(h hash.Hash) {
	fmt.Fprintf(h, "loss.Weighted %q %v %v %v", o.Names, o.factors, o.dtype, []int(o.shape))
}

// Hashcode implements gorgonia.Op.
func (o *WeightedSum) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// DiffWRT implements gorgonia.SDOp.
func (o *WeightedSum) DiffWRT(n int) []bool {
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = true
	}
	return wrt
}

// part is the derivative by one term: the weighted sum of the upstream alone.
func (o *WeightedSum) part(i int) *WeightedSum {
	return &WeightedSum{Names: o.Names[i : i+1], factors: o.factors[i : i+1], dtype: o.dtype, shape: o.shape}
}

// SymDiff implements gorgonia.SDOp.
func (o *WeightedSum) SymDiff(in G.Nodes, _, up *G.Node) (G.Nodes, error) {
	out := make(G.Nodes, len(in))
	for i := range in {
		var err error
		if out[i], err = Apply(o.part(i), up); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// DoDiff implements gorgonia.ADOp.
func (o *WeightedSum) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) error {
	return differentiate(o, in, out, func(i int, up G.Value) (G.Value, error) { return o.part(i).Do(up) })
}

// Do implements gorgonia.Op.
func (o *WeightedSum) Do(in ...G.Value) (G.Value, error) {
	if len(in) != len(o.factors) {
		return nil, fmt.Errorf("%v: %d operands, want %d", o, len(in), len(o.factors))
	}
	if o.dtype == tensor.Float32 {
		return weightedSum[float32](o, in)
	}
	return weightedSum[float64](o, in)
}

// weightedSum adds in float64. A term with the factor 0 adds 0 even where it is not finite.
func weightedSum[F core.Float](o *WeightedSum, in []G.Value) (G.Value, error) {
	n := o.shape.Size()
	terms := make([][]F, len(in))
	for i, v := range in {
		var err error
		if terms[i], err = flat[F](v, n); err != nil {
			return nil, core.Faultf(core.ErrShape, "Weighted", "term %s has %v", o.Names[i], err)
		}
	}
	out := make([]F, n)
	for i := range out {
		sum := 0.0
		for k, f := range o.factors {
			if f != 0 {
				sum += f * float64(terms[k][i])
			}
		}
		out[i] = F(sum)
	}
	return wrap(out, o.shape), nil
}
