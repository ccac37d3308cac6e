package gradcheck_test

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// planted is an operation written in float64 for both dtypes, whose gradient the tests spoil.
type planted struct {
	name    string
	shapes  []tensor.Shape // of the operands
	out     tensor.Shape
	dtype   tensor.Dtype
	forward func(x [][]float64) []float64
	// backward gives the derivative by operand k for the upstream u.
	backward func(k int, x [][]float64, u []float64) []float64

	blind      int          // this operand plus 1 is reported as not differentiable
	gradShape  tensor.Shape // if set, the gradient's shape
	gradDType  tensor.Dtype // if set, the gradient's dtype
	writesTo   int          // Do writes to this operand plus 1
	gradWrites bool         // the gradient writes to operand 0
	noAD       bool         // no DoDiff
	overwrites bool         // DoDiff overwrites instead of adding
}

func (p *planted) apply(in ...*G.Node) (*G.Node, error) {
	p.dtype = in[0].Dtype()
	p.shapes = nil
	for _, n := range in {
		p.shapes = append(p.shapes, n.Shape().Clone())
	}
	if p.out == nil {
		p.out = p.shapes[0]
	}
	if p.noAD {
		return G.ApplyOp(symbolicOnly{p}, in...)
	}
	return G.ApplyOp(&plantedOp{planted: p}, in...)
}

type symbolicOnly struct{ *planted }

func (s symbolicOnly) op() *plantedOp                   { return &plantedOp{planted: s.planted} }
func (s symbolicOnly) Arity() int                       { return s.op().Arity() }
func (s symbolicOnly) Type() hm.Type                    { return s.op().Type() }
func (s symbolicOnly) ReturnsPtr() bool                 { return false }
func (s symbolicOnly) CallsExtern() bool                { return false }
func (s symbolicOnly) OverwritesInput() int             { return -1 }
func (s symbolicOnly) WriteHash(h hash.Hash)            { s.op().WriteHash(h) }
func (s symbolicOnly) Hashcode() uint32                 { return s.op().Hashcode() }
func (s symbolicOnly) String() string                   { return s.op().String() }
func (s symbolicOnly) DiffWRT(n int) []bool             { return s.op().DiffWRT(n) }
func (s symbolicOnly) Do(v ...G.Value) (G.Value, error) { return s.op().Do(v...) }
func (s symbolicOnly) InferShape(d ...G.DimSizer) (tensor.Shape, error) {
	return s.op().InferShape(d...)
}
func (s symbolicOnly) SymDiff(in G.Nodes, out, up *G.Node) (G.Nodes, error) {
	return s.op().SymDiff(in, out, up)
}

// plantedOp is the value; plantedGrad the derivative by operand k.
type plantedOp struct{ *planted }

type plantedGrad struct {
	*planted
	k int
}

func kind(dt tensor.Dtype, s tensor.Shape) hm.Type {
	if len(s) == 0 {
		return dt
	}
	return G.TensorType{Dims: len(s), Of: dt}
}

func (p *planted) types(last hm.Type, more ...hm.Type) hm.Type {
	var t []hm.Type
	for _, s := range p.shapes {
		t = append(t, kind(p.dtype, s))
	}
	return hm.NewFnType(append(append(t, more...), last)...)
}

func (p *planted) read(in []G.Value) [][]float64 {
	var x [][]float64
	for _, v := range in {
		switch d := v.Data().(type) {
		case float64:
			x = append(x, []float64{d})
		case float32:
			x = append(x, []float64{float64(d)})
		case []float64:
			x = append(x, append([]float64(nil), d...))
		case []float32:
			var wide []float64
			for _, f := range d {
				wide = append(wide, float64(f))
			}
			x = append(x, wide)
		}
	}
	return x
}

func value(x []float64, s tensor.Shape, dt tensor.Dtype) G.Value {
	narrow := make([]float32, len(x))
	for i, v := range x {
		narrow[i] = float32(v)
	}
	f32 := dt == tensor.Float32
	switch {
	case len(s) == 0 && f32:
		return G.NewF32(narrow[0])
	case len(s) == 0:
		return G.NewF64(x[0])
	case f32:
		return tensor.New(tensor.WithShape(s...), tensor.WithBacking(narrow))
	}
	return tensor.New(tensor.WithShape(s...), tensor.WithBacking(append([]float64(nil), x...)))
}

// spoil adds 1 to the first number of a value in place.
func spoil(v G.Value) {
	switch d := v.Data().(type) {
	case []float64:
		d[0]++
	case []float32:
		d[0]++
	}
}

func (o *plantedOp) Arity() int            { return len(o.shapes) }
func (o *plantedOp) Type() hm.Type         { return o.types(kind(o.dtype, o.out)) }
func (o *plantedOp) ReturnsPtr() bool      { return false }
func (o *plantedOp) CallsExtern() bool     { return false }
func (o *plantedOp) OverwritesInput() int  { return -1 }
func (o *plantedOp) String() string        { return "planted." + o.name }
func (o *plantedOp) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s %p", o.name, o.planted) }
func (o *plantedOp) Hashcode() uint32      { return code(o) }
func (o *plantedOp) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return o.out.Clone(), nil
}

func code(o interface{ WriteHash(hash.Hash) }) uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *plantedOp) Do(in ...G.Value) (G.Value, error) {
	y := o.forward(o.read(in))
	if o.writesTo > 0 {
		spoil(in[o.writesTo-1])
	}
	return value(y, o.out, o.dtype), nil
}

func (o *plantedOp) DiffWRT(n int) []bool {
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = i != o.blind-1
	}
	return wrt
}

func (o *plantedOp) SymDiff(in G.Nodes, _, up *G.Node) (G.Nodes, error) {
	out := make(G.Nodes, len(in))
	for k, d := range o.DiffWRT(len(in)) {
		if !d {
			continue
		}
		var err error
		if out[k], err = G.ApplyOp(&plantedGrad{o.planted, k}, append(append(G.Nodes{}, in...), up)...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (o *plantedOp) DoDiff(_ G.ExecutionContext, in G.Nodes, out *G.Node) error {
	up, err := out.Grad()
	if err != nil {
		return err
	}
	var args []G.Value
	for _, n := range in {
		args = append(args, n.Value())
	}
	x, u := o.read(args), o.read([]G.Value{up})[0]
	for k, d := range o.DiffWRT(len(in)) {
		if !d {
			continue
		}
		into, err := in[k].Grad()
		if err != nil {
			return err
		}
		g := o.backward(k, x, u)
		switch dst := into.Data().(type) {
		case []float64:
			for i, v := range g {
				if o.overwrites {
					dst[i] = 0
				}
				dst[i] += v
			}
		case []float32:
			for i, v := range g {
				dst[i] += float32(v)
			}
		}
	}
	return nil
}

func (o *plantedGrad) shape() tensor.Shape {
	if o.gradShape != nil && o.k == 0 {
		return o.gradShape
	}
	return o.shapes[o.k]
}

func (o *plantedGrad) result() tensor.Dtype {
	if o.gradDType != (tensor.Dtype{}) && o.k == 0 {
		return o.gradDType
	}
	return o.dtype
}

func (o *plantedGrad) Arity() int { return len(o.shapes) + 1 }
func (o *plantedGrad) Type() hm.Type {
	return o.types(kind(o.result(), o.shape()), kind(o.dtype, o.out))
}
func (o *plantedGrad) ReturnsPtr() bool      { return false }
func (o *plantedGrad) CallsExtern() bool     { return false }
func (o *plantedGrad) OverwritesInput() int  { return -1 }
func (o *plantedGrad) String() string        { return fmt.Sprintf("planted.%s'[%d]", o.name, o.k) }
func (o *plantedGrad) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s' %d %p", o.name, o.k, o.planted) }
func (o *plantedGrad) Hashcode() uint32      { return code(o) }
func (o *plantedGrad) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return o.shape().Clone(), nil
}

func (o *plantedGrad) Do(in ...G.Value) (G.Value, error) {
	x := o.read(in)
	n := len(o.shapes)
	g := o.backward(o.k, x[:n], x[n])
	if o.gradWrites {
		spoil(in[0])
	}
	return value(g, o.shape(), o.result()), nil
}

// twice is x³ with a derivative that is an operation with a derivative of its own, which spoil
// changes.
type twice struct {
	spoil func(h []float64)
	order int // 0 x³, 1 3x²·u, 2 6x·u·v by x, 3 3x²·v by u
	n     int
}

func (o *twice) apply(in ...*G.Node) (*G.Node, error) {
	o.n = in[0].Shape()[0]
	return G.ApplyOp(o, in...)
}

func (o *twice) Arity() int { return []int{1, 2, 3, 2}[o.order] }
func (o *twice) Type() hm.Type {
	v := G.TensorType{Dims: 1, Of: tensor.Float64}
	t := []hm.Type{v}
	for range o.Arity() {
		t = append(t, v)
	}
	return hm.NewFnType(t...)
}
func (o *twice) InferShape(...G.DimSizer) (tensor.Shape, error) { return tensor.Shape{o.n}, nil }
func (o *twice) ReturnsPtr() bool                               { return false }
func (o *twice) CallsExtern() bool                              { return false }
func (o *twice) OverwritesInput() int                           { return -1 }
func (o *twice) String() string                                 { return fmt.Sprintf("twice%d", o.order) }
func (o *twice) WriteHash(h hash.Hash)                          { fmt.Fprint(h, o.String()) }
func (o *twice) Hashcode() uint32                               { return code(o) }
func (o *twice) DiffWRT(n int) []bool {
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = o.order < 2
	}
	return wrt
}

func (o *twice) SymDiff(in G.Nodes, _, up *G.Node) (G.Nodes, error) {
	next := func(order int, in ...*G.Node) *G.Node {
		return G.Must((&twice{spoil: o.spoil, order: order}).apply(in...))
	}
	if o.order == 0 {
		return G.Nodes{next(1, in[0], up)}, nil
	}
	return G.Nodes{next(2, in[0], in[1], up), next(3, in[0], up)}, nil
}

func (o *twice) Do(in ...G.Value) (G.Value, error) {
	x := (*planted)(nil).read(in)
	y := make([]float64, o.n)
	for i, v := range x[0] {
		y[i] = v * v * v
		switch o.order {
		case 1, 3:
			y[i] = 3 * v * v * x[1][i]
		case 2:
			y[i] = 6 * v * x[1][i] * x[2][i]
		}
	}
	if o.order == 2 {
		o.spoil(y)
	}
	return value(y, tensor.Shape{o.n}, tensor.Float64), nil
}
