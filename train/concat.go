package train

import (
	"fmt"
	"strings"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Concat joins matrices with the same number of rows along their columns, such as the numbers of a
// table and the embeddings of its categories: shape (rows, total number of columns).
func (b *Builder) Concat(parts ...*G.Node) (*G.Node, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("train.Concat: nothing to put together")
	}
	widths := make([]int, len(parts))
	for i, p := range parts {
		switch {
		case p == nil || p.Dims() != 2 || p.Shape()[0] != parts[0].Shape()[0]:
			return nil, fmt.Errorf("train.Concat: part %d %s, want shape (rows, columns) with the rows of the first",
				i, describe(p))
		case p.Dtype() != b.dtype:
			return nil, fmt.Errorf("train.Concat: part %d is %v, want %v", i, p.Dtype(), b.dtype)
		}
		widths[i] = p.Shape()[1]
	}
	return concat(widths, parts)
}

func concat(widths []int, parts G.Nodes) (*G.Node, error) {
	dt, total := parts[0].Dtype(), 0
	types := make([]hm.Type, len(parts))
	diff := make([]bool, len(parts))
	for i, w := range widths {
		types[i], diff[i] = tensorType(2, dt), true
		total += w
	}
	return apply(&op{
		text: fmt.Sprintf("train.concat[%v,%v]", strings.Trim(fmt.Sprint(widths), "[]"), dt), types: types,
		out: types[0], diff: diff,
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{in[0][0], total}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return sideBySide[float32](r, in, total)
			}
			return sideBySide[float64](r, in, total)
		},
		sym: func(in G.Nodes, _, g *G.Node) (G.Nodes, error) {
			out := make(G.Nodes, len(in))
			from := 0
			for i, w := range widths {
				var err error
				if out[i], err = columns(g, from, w); err != nil {
					return nil, err
				}
				from += w
			}
			return out, nil
		},
	}, parts...)
}

// columns returns width columns of a matrix.
func columns(x *G.Node, from, width int) (*G.Node, error) {
	dt, total := x.Dtype(), x.Shape()[1]
	matrix := tensorType(2, dt)
	return apply(&op{
		text: fmt.Sprintf("train.columns[%d,%d,%d,%v]", from, width, total, dt), types: []hm.Type{matrix},
		out: matrix, diff: []bool{true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{in[0][0], width}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return cutColumns[float32](r, in[0], from, width, width, 0)
			}
			return cutColumns[float64](r, in[0], from, width, width, 0)
		},
		sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := intoColumns(g, from, total)
			return G.Nodes{n}, err
		},
	}, x)
}

// intoColumns returns a matrix of zeros but for some columns.
func intoColumns(x *G.Node, to, total int) (*G.Node, error) {
	dt, width := x.Dtype(), x.Shape()[1]
	matrix := tensorType(2, dt)
	return apply(&op{
		text: fmt.Sprintf("train.intoColumns[%d,%d,%d,%v]", to, width, total, dt), types: []hm.Type{matrix},
		out: matrix, diff: []bool{true},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{in[0][0], total}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return cutColumns[float32](r, in[0], 0, width, total, to)
			}
			return cutColumns[float64](r, in[0], 0, width, total, to)
		},
		sym: func(_ G.Nodes, _, g *G.Node) (G.Nodes, error) {
			n, err := columns(g, to, width)
			return G.Nodes{n}, err
		},
	}, x)
}

func sideBySide[F float32 | float64](r *room, in []G.Value, total int) (G.Value, error) {
	rows := in[0].Shape()[0]
	out := take[F](r, rows*total)
	at := 0
	for _, v := range in {
		x, err := slice[F](v)
		if err != nil {
			return nil, err
		}
		w := v.Shape()[1]
		for i := range rows {
			copy(out[i*total+at:i*total+at+w], x[i*w:])
		}
		at += w
	}
	return dense(out, rows, total), nil
}

// cutColumns copies width columns of a matrix to columns of another, which is 0 elsewhere.
func cutColumns[F float32 | float64](r *room, v G.Value, from, width, total, to int) (G.Value, error) {
	x, err := slice[F](v)
	if err != nil {
		return nil, err
	}
	rows, wide := v.Shape()[0], v.Shape()[1]
	out := take[F](r, rows*total)
	if width < total {
		clear(out)
	}
	for i := range rows {
		copy(out[i*total+to:i*total+to+width], x[i*wide+from:])
	}
	return dense(out, rows, total), nil
}
