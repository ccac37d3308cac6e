package train

import (
	"fmt"

	"github.com/chewxy/hm"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// product returns the matrix product of a or its transpose with b or its transpose. Unlike Gorgonia's it leaves its
// operands alone while it works, and its derivatives are products again.
func product(a, b *G.Node, ta, tb bool) (*G.Node, error) {
	dt := a.Dtype()
	mat := tensorType(2, dt)
	o := &op{
		text: fmt.Sprintf("train.product[%v,%v,%v]", ta, tb, dt), types: []hm.Type{mat, mat}, out: mat, diff: []bool{true, true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if len(in) != 2 || len(in[0]) != 2 || len(in[1]) != 2 {
				return nil, fmt.Errorf("train: matrix product of shapes %v", in)
			}
			m, k := orient(in[0], ta)
			k2, n := orient(in[1], tb)
			if k != k2 {
				return nil, fmt.Errorf("train: matrix product of shapes %v and %v: %d columns against %d rows", in[0], in[1], k, k2)
			}
			return tensor.Shape{m, n}, nil
		},
		do: func(in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return multiply[float32](in[0], in[1], nil, ta, tb)
			}
			return multiply[float64](in[0], in[1], nil, ta, tb)
		},
	}
	// With C = op(A)·op(B): d op(A) = G·op(B)ᵀ, d op(B) = op(A)ᵀ·G, transposed back where op transposes.
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
	mat := tensorType(2, dt)
	return apply(&op{
		text: fmt.Sprintf("train.affine[%v]", dt), types: []hm.Type{mat, mat, tensorType(1, dt)}, out: mat,
		diff: []bool{true, true, true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if len(in) != 3 || len(in[0]) != 2 || len(in[1]) != 2 || len(in[2]) != 1 || in[0][1] != in[1][0] || in[1][1] != in[2][0] {
				return nil, fmt.Errorf("train: affine map of shapes %v", in)
			}
			return tensor.Shape{in[0][0], in[1][1]}, nil
		},
		do: func(in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return multiply[float32](in[0], in[1], in[2], false, false)
			}
			return multiply[float64](in[0], in[1], in[2], false, false)
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
		text: fmt.Sprintf("train.columnSums[%v]", dt), types: []hm.Type{tensorType(2, dt)}, out: tensorType(1, dt), diff: []bool{true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{in[0][1]}, nil },
		do: func(in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return sumRows[float32](in[0])
			}
			return sumRows[float64](in[0])
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
		text: fmt.Sprintf("train.repeatRow[%d,%v]", n, dt), types: []hm.Type{tensorType(1, dt)}, out: tensorType(2, dt), diff: []bool{true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{n, in[0][0]}, nil },
		do: func(in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return stack[float32](in[0], n)
			}
			return stack[float64](in[0], n)
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

func multiply[F float32 | float64](av, bv, bias G.Value, ta, tb bool) (G.Value, error) {
	a, err := slice[F](av)
	if err != nil {
		return nil, err
	}
	b, err := slice[F](bv)
	if err != nil {
		return nil, err
	}
	m, _ := orient(av.Shape(), ta)
	_, n := orient(bv.Shape(), tb)
	c := make([]F, m*n)
	var beta F
	if bias != nil {
		row, err := slice[F](bias)
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(c); i += n {
			copy(c[i:i+n], row)
		}
		beta = 1
	}
	gemm(av.Shape(), bv.Shape(), a, b, c, n, beta, ta, tb)
	return dense(c, m, n), nil
}

func gemm[F float32 | float64](as, bs tensor.Shape, a, b, c []F, n int, beta F, ta, tb bool) {
	m, _ := orient(as, ta)
	switch a := any(a).(type) {
	case []float32:
		blas32.Gemm(side(ta), side(tb), 1, blas32.General{Rows: as[0], Cols: as[1], Stride: as[1], Data: a},
			blas32.General{Rows: bs[0], Cols: bs[1], Stride: bs[1], Data: any(b).([]float32)}, float32(beta),
			blas32.General{Rows: m, Cols: n, Stride: n, Data: any(c).([]float32)})
	case []float64:
		blas64.Gemm(side(ta), side(tb), 1, blas64.General{Rows: as[0], Cols: as[1], Stride: as[1], Data: a},
			blas64.General{Rows: bs[0], Cols: bs[1], Stride: bs[1], Data: any(b).([]float64)}, float64(beta),
			blas64.General{Rows: m, Cols: n, Stride: n, Data: any(c).([]float64)})
	}
}

func side(transposed bool) blas.Transpose {
	if transposed {
		return blas.Trans
	}
	return blas.NoTrans
}

func sumRows[F float32 | float64](v G.Value) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	n := v.Shape()[1]
	sum := make([]F, n)
	for ; len(x) > 0; x = x[n:] {
		for i, d := range x[:n] {
			sum[i] += d
		}
	}
	return dense(sum, n), nil
}

func stack[F float32 | float64](v G.Value, n int) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	out := make([]F, 0, n*len(x))
	for range n {
		out = append(out, x...)
	}
	return dense(out, n, len(x)), nil
}
