package train

import (
	"fmt"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Dot returns the inner products of each row's candidates x, of shape (rows, candidates, numbers),
// with the row's vector y, of shape (rows, numbers): shape (rows, candidates).
//
//	p_nk = Σ_j x_nkj·y_nj        dp_nk/dx_nkj = y_nj        dp_nk/dy_nj = x_nkj
//
// With x and y from [Builder.Embedding] these are the scores of a word's neighbours, or of what
// someone may like. Derivatives are exact to any order.
func (b *Builder) Dot(x, y *G.Node) (*G.Node, error) {
	switch {
	case x == nil || x.Dims() != 3:
		return nil, fmt.Errorf("train.Dot: x %s, want shape (rows, candidates, numbers)", describe(x))
	case y == nil || y.Dims() != 2 || y.Shape()[0] != x.Shape()[0] || y.Shape()[1] != x.Shape()[2]:
		return nil, fmt.Errorf("train.Dot: y %s, want shape (%d, %d) for x of shape %v",
			describe(y), x.Shape()[0], x.Shape()[2], x.Shape())
	case x.Dtype() != b.dtype || y.Dtype() != b.dtype:
		return nil, fmt.Errorf("train.Dot: x is %v and y %v, want %v", x.Dtype(), y.Dtype(), b.dtype)
	}
	return dot(x, y)
}

// The form Σ p_nk·x_nkj·y_nj has three derivatives, each a function of two of its operands, and the
// derivatives of each are the other two.

// dot returns Σ_j x_nkj·y_nj.
func dot(x, y *G.Node) (*G.Node, error) {
	return form("dot", x, y, tensor.Shape{x.Shape()[1]}, dotRow[float32], dotRow[float64],
		func(_, y, g *G.Node) (*G.Node, error) { return outer(g, y) },
		func(x, _, g *G.Node) (*G.Node, error) { return mixed(x, g) })
}

// outer returns p_nk·y_nj.
func outer(p, y *G.Node) (*G.Node, error) {
	return form("outer", p, y, tensor.Shape{p.Shape()[1], y.Shape()[1]}, outerRow[float32], outerRow[float64],
		func(_, y, g *G.Node) (*G.Node, error) { return dot(g, y) },
		func(p, _, g *G.Node) (*G.Node, error) { return mixed(g, p) })
}

// mixed returns Σ_k x_nkj·p_nk.
func mixed(x, p *G.Node) (*G.Node, error) {
	return form("mixed", x, p, tensor.Shape{x.Shape()[2]}, mixedRow[float32], mixedRow[float64],
		func(_, p, g *G.Node) (*G.Node, error) { return outer(p, g) },
		func(x, _, g *G.Node) (*G.Node, error) { return dot(x, g) })
}

// form makes an operation that computes each row of its result, of the given shape, from those of
// its operands; da and db make its derivatives from the operands and that of the result.
func form(name string, a, b *G.Node, shape tensor.Shape, single func(dst, a, b []float32), double func(dst, a, b []float64),
	da, db func(a, b, g *G.Node) (*G.Node, error)) (*G.Node, error) {
	dt := a.Dtype()
	return apply(&op{
		text:  fmt.Sprintf("train.%s[%v,%v,%v]", name, a.Shape(), b.Shape(), dt),
		types: []hm.Type{tensorType(a.Dims(), dt), tensorType(b.Dims(), dt)}, out: tensorType(1+len(shape), dt),
		diff:  []bool{true, true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return append(tensor.Shape{in[0][0]}, shape...), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return eachRow(r, in, shape, single)
			}
			return eachRow(r, in, shape, double)
		},
		sym: func(in G.Nodes, _, g *G.Node) (G.Nodes, error) {
			first, err := da(in[0], in[1], g)
			if err != nil {
				return nil, err
			}
			second, err := db(in[0], in[1], g)
			return G.Nodes{first, second}, err
		},
	}, a, b)
}

func eachRow[F float32 | float64](r *room, in []G.Value, shape tensor.Shape, f func(dst, a, b []F)) (G.Value, error) {
	a, err := slice[F](in[0])
	if err != nil {
		return nil, err
	}
	b, err := slice[F](in[1])
	if err != nil {
		return nil, err
	}
	n, width := in[0].Shape()[0], shape.TotalSize()
	wa, wb := len(a)/n, len(b)/n
	out := take[F](r, n*width)
	tensorops.ParallelFor(n, max(1, 1<<13/max(wa, width)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(out[i*width:(i+1)*width], a[i*wa:(i+1)*wa], b[i*wb:(i+1)*wb])
		}
	})
	return dense(out, append(tensor.Shape{n}, shape...)...), nil
}

// dotRow adds in four sums, each of which need not wait for the others.
func dotRow[F float32 | float64](dst, x, y []F) {
	j := len(y)
	for k := range dst {
		row := x[k*j : (k+1)*j]
		var s0, s1, s2, s3 F // an array would lie in memory
		i := 0
		for ; i+4 <= j; i += 4 {
			a, b := row[i:i+4:i+4], y[i:i+4:i+4]
			s0 += a[0] * b[0]
			s1 += a[1] * b[1]
			s2 += a[2] * b[2]
			s3 += a[3] * b[3]
		}
		for ; i < j; i++ {
			s0 += row[i] * y[i]
		}
		dst[k] = s0 + s1 + (s2 + s3)
	}
}

func outerRow[F float32 | float64](dst, p, y []F) {
	for k, v := range p {
		row := dst[k*len(y):][:len(y)]
		for i, u := range y {
			row[i] = v * u
		}
	}
}

func mixedRow[F float32 | float64](dst, x, p []F) {
	clear(dst)
	for k, v := range p {
		row := x[k*len(dst):][:len(dst)]
		i := 0
		for ; i+4 <= len(row); i += 4 {
			a, b := row[i:i+4:i+4], dst[i:i+4:i+4]
			b[0] += v * a[0]
			b[1] += v * a[1]
			b[2] += v * a[2]
			b[3] += v * a[3]
		}
		for ; i < len(row); i++ {
			dst[i] += v * row[i]
		}
	}
}
