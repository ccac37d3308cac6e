package train

import (
	"fmt"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/tensorops/mat"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// product returns the matrix product of a or its transpose with b or its transpose. Unlike
// Gorgonia's it leaves its operands alone while it works, and its derivatives are products again.
func product(a, b *G.Node, ta, tb bool) (*G.Node, error) {
	dt := a.Dtype()
	matrix := tensorType(2, dt)
	o := &op{
		text: fmt.Sprintf("train.product[%v,%v,%v]", ta, tb, dt), types: []hm.Type{matrix, matrix}, out: matrix,
		diff: []bool{true, true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if len(in) != 2 || len(in[0]) != 2 || len(in[1]) != 2 {
				return nil, fmt.Errorf("train: matrix product of shapes %v", in)
			}
			m, k := orient(in[0], ta)
			k2, n := orient(in[1], tb)
			if k != k2 {
				return nil, fmt.Errorf("train: matrix product of shapes %v and %v: %d columns against %d rows", in[0],
					in[1], k, k2)
			}
			return tensor.Shape{m, n}, nil
		},
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return multiply[float32](r, in[0], in[1], nil, ta, tb)
			}
			return multiply[float64](r, in[0], in[1], nil, ta, tb)
		},
	}
	// With C = op(A)·op(B): d op(A) = G·op(B)ᵀ, d op(B) = op(A)ᵀ·G, transposed back where op
	// transposes.
	o.sym = func(in G.Nodes, _, g *G.Node) (G.Nodes, error) {
		var da, db *G.Node
		var err error
		if ta {
			da, err = product(in[1], g, tb, true)
		} else {
			da, err = product(g, in[1], false, !tb)
		}
		if err != nil {
			return nil, err
		}
		if tb {
			db, err = product(g, in[0], true, ta)
		} else {
			db, err = product(in[0], g, !ta, false)
		}
		return G.Nodes{da, db}, err
	}
	return apply(o, a, b)
}

// affine returns x·w + b, with b added to every row.
func affine(x, w, b *G.Node) (*G.Node, error) {
	dt := x.Dtype()
	matrix := tensorType(2, dt)
	return apply(&op{
		text: fmt.Sprintf("train.affine[%v]", dt), types: []hm.Type{matrix, matrix, tensorType(1, dt)}, out: matrix,
		diff: []bool{true, true, true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if len(in) != 3 || len(in[0]) != 2 || len(in[1]) != 2 || len(in[2]) != 1 || in[0][1] != in[1][0] || in[1][1] != in[2][0] {
				return nil, fmt.Errorf("train: affine map of shapes %v", in)
			}
			return tensor.Shape{in[0][0], in[1][1]}, nil
		},
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return multiply[float32](r, in[0], in[1], in[2], false, false)
			}
			return multiply[float64](r, in[0], in[1], in[2], false, false)
		},
		sym: func(in G.Nodes, _, g *G.Node) (G.Nodes, error) {
			dx, err := product(g, in[1], false, true)
			if err != nil {
				return nil, err
			}
			dw, err := product(in[0], g, true, false)
			if err != nil {
				return nil, err
			}
			db, err := columnSums(g)
			return G.Nodes{dx, dw, db}, err
		},
	}, x, w, b)
}

// columnSums adds the rows of a matrix.
func columnSums(x *G.Node) (*G.Node, error) {
	dt := x.Dtype()
	return apply(&op{
		text: fmt.Sprintf("train.columnSums[%v]", dt), types: []hm.Type{tensorType(2, dt)}, out: tensorType(1, dt),
		diff:  []bool{true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{in[0][1]}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return sumRows[float32](r, in[0])
			}
			return sumRows[float64](r, in[0])
		},
		sym: func(in G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := repeatRow(g, in[0].Shape()[0])
			return G.Nodes{n}, err
		},
	}, x)
}

// repeatRow stacks a vector n times.
func repeatRow(x *G.Node, n int) (*G.Node, error) {
	dt := x.Dtype()
	return apply(&op{
		text: fmt.Sprintf("train.repeatRow[%d,%v]", n, dt), types: []hm.Type{tensorType(1, dt)},
		out: tensorType(2, dt), diff: []bool{true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{n, in[0][0]}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return stack[float32](r, in[0], n)
			}
			return stack[float64](r, in[0], n)
		},
		sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) {
			s, err := columnSums(g)
			return G.Nodes{s}, err
		},
	}, x)
}

func orient(s tensor.Shape, transposed bool) (rows, cols int) {
	if transposed {
		return s[1], s[0]
	}
	return s[0], s[1]
}

func multiply[F float32 | float64](r *room, av, bv, bias G.Value, ta, tb bool) (G.Value, error) {
	a, err := slice[F](av)
	if err != nil {
		return nil, err
	}
	b, err := slice[F](bv)
	if err != nil {
		return nil, err
	}
	as, bs := av.Shape(), bv.Shape()
	m, k := orient(as, ta)
	_, n := orient(bs, tb)
	c := take[F](r, m*n)
	lda, ldb, ldc := max(1, as[1]), max(1, bs[1]), max(1, n)
	if bias == nil {
		mat.Gemm(ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc)
		return dense(c, m, n), nil
	}
	row, err := slice[F](bias)
	if err != nil {
		return nil, err
	}
	mat.GemmBias(ta, tb, m, n, k, 1, a, lda, b, ldb, row, c, ldc)
	return dense(c, m, n), nil
}

func sumRows[F float32 | float64](r *room, v G.Value) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	n := v.Shape()[1]
	sum := take[F](r, n)
	clear(sum)
	for ; len(x) > 0; x = x[n:] {
		if n < 8 { // shorter than a vector
			for j, v := range x[:n] {
				sum[j] += v
			}
		} else {
			optim.Accumulate(sum, x[:n])
		}
	}
	return dense(sum, n), nil
}

func stack[F float32 | float64](r *room, v G.Value, n int) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	out := take[F](r, n*len(x))
	for i := range n {
		copy(out[i*len(x):], x)
	}
	return dense(out, n, len(x)), nil
}
