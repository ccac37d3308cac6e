package train

import (
	"fmt"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gather looks up rows of a table (V, D) by indices of any shape S: the result has the shape (S...,
// D).
func gather(table, ids *G.Node) (*G.Node, error) {
	dt, dims := table.Dtype(), ids.Dims()
	vocabulary, width := table.Shape()[0], table.Shape()[1]
	return apply(&op{
		text:  fmt.Sprintf("train.gather[%d,%d,%d,%v]", vocabulary, width, dims, dt),
		types: []hm.Type{tensorType(2, dt), tensorType(dims, tensor.Int)}, out: tensorType(dims+1, dt),
		diff:  []bool{true, false},
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return append(in[1].Clone(), in[0][1]), nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return lookup[float32](r, in[0], in[1])
			}
			return lookup[float64](r, in[0], in[1])
		},
		sym: func(in G.Nodes, _, g *G.Node) (G.Nodes, error) {
			d, err := scatter(in[1], g, vocabulary)
			return G.Nodes{d, nil}, err
		},
	}, table, ids)
}

// scatter returns a table (vocabulary, D) in which row v is the sum of the rows of g (S..., D)
// whose index in ids is v.
func scatter(ids, g *G.Node, vocabulary int) (*G.Node, error) {
	dt, dims := g.Dtype(), ids.Dims()
	width := g.Shape()[g.Dims()-1]
	return apply(&op{
		text:  fmt.Sprintf("train.scatter[%d,%d,%d,%v]", vocabulary, width, dims, dt),
		types: []hm.Type{tensorType(dims, tensor.Int), tensorType(dims+1, dt)}, out: tensorType(2, dt),
		diff:  []bool{false, true},
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.Shape{vocabulary, width}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return spread[float32](r, in[0], in[1], vocabulary, width)
			}
			return spread[float64](r, in[0], in[1], vocabulary, width)
		},
		sym: func(in G.Nodes, _, up *G.Node) (G.Nodes, error) {
			d, err := gather(up, in[0])
			return G.Nodes{nil, d}, err
		},
	}, ids, g)
}

// indices returns the row numbers of a table of n rows and checks their range.
func indices(v G.Value, n int) ([]int, error) {
	t, ok := v.(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("train: embedding indices are a %T, want a dense tensor of int", v)
	}
	ids, err := tensorops.Elements[int](t)
	if err != nil {
		return nil, fmt.Errorf("train: embedding indices are %w", err)
	}
	for i, id := range ids {
		if id < 0 || id >= n {
			return nil, fmt.Errorf("train: embedding index %d is %d, want an index in [0, %d)", i, id, n)
		}
	}
	return ids, nil
}

func lookup[F float32 | float64](r *room, table, idv G.Value) (G.Value, error) {
	rows, width := table.Shape()[0], table.Shape()[1]
	ids, err := indices(idv, rows)
	if err != nil {
		return nil, err
	}
	w, err := slice[F](table)
	if err != nil {
		return nil, err
	}
	out := take[F](r, len(ids)*width)
	for i, id := range ids {
		copy(out[i*width:(i+1)*width], w[id*width:(id+1)*width])
	}
	return dense(out, append(idv.Shape().Clone(), width)...), nil
}

func spread[F float32 | float64](r *room, idv, gv G.Value, vocabulary, width int) (G.Value, error) {
	ids, err := indices(idv, vocabulary)
	if err != nil {
		return nil, err
	}
	g, err := slice[F](gv)
	if err != nil {
		return nil, err
	}
	out := take[F](r, vocabulary*width)
	clear(out)
	for i, id := range ids {
		optim.Accumulate(out[id*width:(id+1)*width], g[i*width:(i+1)*width])
	}
	return dense(out, vocabulary, width), nil
}
