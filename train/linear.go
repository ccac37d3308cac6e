package train

import (
	"fmt"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/train/optim"
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
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return multiply[float32](r, in[0], in[1], nil, ta, tb)
			}
			return multiply[float64](r, in[0], in[1], nil, ta, tb)
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
		text: fmt.Sprintf("train.columnSums[%v]", dt), types: []hm.Type{tensorType(2, dt)}, out: tensorType(1, dt), diff: []bool{true},
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
		text: fmt.Sprintf("train.repeatRow[%d,%v]", n, dt), types: []hm.Type{tensorType(1, dt)}, out: tensorType(2, dt), diff: []bool{true},
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
	m, _ := orient(av.Shape(), ta)
	_, n := orient(bv.Shape(), tb)
	c := take[F](r, m*n)
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

// The tile of a product that one core computes at a time. Gonum cuts matrices into blocks of 64 by 64 and starts goroutines of its own
// for four or more of them, which would take a processor away from the helpers of tensorops and let them fall asleep.
const tileRows, tileCols = 64, 128

// gemm computes c = op(a)·op(b) + beta·c, tile by tile. Each number of c is summed in an order that does not depend on the tiles.
func gemm[F float32 | float64](as, bs tensor.Shape, a, b, c []F, n int, beta F, ta, tb bool) {
	m, k := orient(as, ta)
	down, across := (m+tileRows-1)/tileRows, (n+tileCols-1)/tileCols
	tensorops.ParallelFor(down*across, 1, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			i, j := t/across*tileRows, t%across*tileCols
			rows, cols := min(tileRows, m-i), min(tileCols, n-j)
			x := part(a, as[1], i, 0, ta)
			y := part(b, bs[1], 0, j, tb)
			z := part(c, n, i, j, false)
			switch x := any(x).(type) {
			case []float32:
				blas32.Implementation().Sgemm(side(ta), side(tb), rows, cols, k, 1, x, as[1], any(y).([]float32), bs[1], float32(beta), any(z).([]float32), n)
			case []float64:
				blas64.Implementation().Dgemm(side(ta), side(tb), rows, cols, k, 1, x, as[1], any(y).([]float64), bs[1], float64(beta), any(z).([]float64), n)
			}
		}
	})
}

// part is a row-major matrix from (i, j) on, or where it is transposed from (j, i) on.
func part[F float32 | float64](x []F, stride, i, j int, transposed bool) []F {
	if transposed {
		i, j = j, i
	}
	return x[i*stride+j:]
}

func side(transposed bool) blas.Transpose {
	if transposed {
		return blas.Trans
	}
	return blas.NoTrans
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
		optim.Accumulate(sum, x[:n])
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
