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

// zeros is the derivative of something that does not depend on its operand.
type zeros struct {
	dtype tensor.Dtype
	shape tensor.Shape
}

// NewZeros returns the derivative of something that does not depend on n.
func NewZeros(n *G.Node) G.Op { return &zeros{n.Dtype(), n.Shape().Clone()} }

func (z *zeros) Arity() int                                     { return 1 }
func (z *zeros) Type() hm.Type                                  { t := typeOf(z.dtype, core.Shape(z.shape)); return hm.NewFnType(t, t) }
func (z *zeros) InferShape(...G.DimSizer) (tensor.Shape, error) { return z.shape.Clone(), nil }
func (z *zeros) ReturnsPtr() bool                               { return false }
func (z *zeros) CallsExtern() bool                              { return false }
func (z *zeros) OverwritesInput() int                           { return -1 }
func (z *zeros) String() string                                 { return "loss.zeros" }
func (z *zeros) DiffWRT(n int) []bool                           { return make([]bool, n) }
func (z *zeros) DoDiff(G.ExecutionContext, G.Nodes, *G.Node) error {
	return nil
}
func (z *zeros) SymDiff(in G.Nodes, _, _ *G.Node) (G.Nodes, error) {
	return make(G.Nodes, len(in)), nil
}

func (z *zeros) WriteHash(h hash.Hash) {
	fmt.Fprintf(h, "loss.zeros %v %v", z.dtype, []int(z.shape))
}

func (z *zeros) Hashcode() uint32 {
	h := fnv.New32a()
	z.WriteHash(h)
	return h.Sum32()
}

func (z *zeros) Do(...G.Value) (G.Value, error) {
	switch {
	case len(z.shape) > 0:
		return tensor.New(tensor.Of(z.dtype), tensor.WithShape(z.shape...)), nil
	case z.dtype == tensor.Float32:
		return G.NewF32(0), nil
	case z.dtype == tensor.Float64:
		return G.NewF64(0), nil
	}
	return nil, fmt.Errorf("loss.zeros: dtype %v has no derivative", z.dtype)
}
