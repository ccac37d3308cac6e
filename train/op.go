package train

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// op is every graph operation of this package: its identity and what it does, as functions. The
// layers use these in place of Gorgonia's own where those are wrong (dropout), transpose shared
// weights in place (matrix product) or copy more than they compute (broadcast addition).
type op struct {
	text  string // the whole identity: nodes of equal hash are merged
	types []hm.Type
	out   hm.Type
	shape func(in []tensor.Shape) (tensor.Shape, error)
	do    func(r *room, in []G.Value) (G.Value, error)
	room  room
	diff  []bool
	sym   func(in G.Nodes, out, grad *G.Node) (G.Nodes, error)
}

var (
	_ G.SDOp = (*op)(nil)
	_ G.ADOp = (*op)(nil)
)

// room is the memory of an operation's result, which the next run overwrites. Graphs of this
// package run on one machine each and everything that leaves them is copied by a tap, so nobody
// sees that; with fresh memory for every run, which Gorgonia's own operations take, the parameters
// and the optimizer's state fall out of the caches.
type room struct {
	f32 []float32
	f64 []float64
}

// take returns room for n numbers, with whatever is in there.
func take[F float32 | float64](r *room, n int) []F {
	var out any
	if _, single := any(F(0)).(float32); single {
		if cap(r.f32) < n {
			r.f32 = make([]float32, n)
		}
		out = r.f32[:n]
	} else {
		if cap(r.f64) < n {
			r.f64 = make([]float64, n)
		}
		out = r.f64[:n]
	}
	return out.([]F)
}

func (o *op) Arity() int { return len(o.types) }

func (o *op) Type() hm.Type {
	return hm.NewFnType(append(append([]hm.Type(nil), o.types...), o.out)...)
}

func (o *op) InferShape(in ...G.DimSizer) (tensor.Shape, error) {
	shapes := make([]tensor.Shape, len(in))
	for i, d := range in {
		s, ok := d.(tensor.Shape)
		if !ok {
			return nil, fmt.Errorf("%s: operand %d has no shape", o.text, i)
		}
		shapes[i] = s
	}
	return o.shape(shapes)
}

// Do runs the operation. A panic becomes an error with its name; on a TapeMachine it would end the
// process.
func (o *op) Do(in ...G.Value) (v G.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, fmt.Errorf("%s: %v", o.text, r)
		}
	}()
	return o.do(&o.room, in)
}

func (o *op) ReturnsPtr() bool      { return false }
func (o *op) CallsExtern() bool     { return false }
func (o *op) OverwritesInput() int  { return -1 }
func (o *op) String() string        { return o.text }
func (o *op) WriteHash(h hash.Hash) { fmt.Fprint(h, o.text) }

func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *op) DiffWRT(n int) []bool {
	d := make([]bool, n)
	copy(d, o.diff)
	return d
}

func (o *op) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	if o.sym == nil {
		return make(G.Nodes, len(in)), nil
	}
	return o.sym(in, out, grad)
}

// DoDiff is what a LispMachine calls. The trainer differentiates symbolically and never runs one;
// without this method that machine would take the gradient for zero and say nothing.
func (o *op) DoDiff(G.ExecutionContext, G.Nodes, *G.Node) error {
	return fmt.Errorf("%s: layers of package train do not run on a LispMachine; take the gradients of loss.Gradients",
		o.text)
}

// apply adds an operation to the graph; Gorgonia's panics on malformed graphs become errors.
func apply(o *op, in ...*G.Node) (n *G.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, fmt.Errorf("%s: %v", o.text, r)
		}
	}()
	return G.ApplyOp(o, in...)
}

func tensorType(dims int, of tensor.Dtype) hm.Type {
	if dims == 0 {
		return of
	}
	return G.TensorType{Dims: dims, Of: of}
}

// slice returns the numbers of any floating value in row-major order.
func slice[F float32 | float64](v G.Value) ([]F, error) {
	switch t := v.(type) {
	case *tensor.Dense:
		return tensorops.Elements[F](t)
	case *G.F32:
		return []F{F(*t)}, nil
	case *G.F64:
		return []F{F(*t)}, nil
	}
	return nil, fmt.Errorf("a value of type %T, want a dense tensor", v)
}

// dense makes a tensor of a result.
func dense[T any](data []T, shape ...int) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}
