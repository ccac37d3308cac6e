package train

import (
	"fmt"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/tensorops"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LengthMask returns a matrix of shape (rows, width) that marks the valid positions of padded
// sequences:
//
//	m_ij = 1 for j < length_i, otherwise 0
//
// lengths is a node of Int of shape (rows) with entries in [0, width]; an entry outside is an error
// when the graph runs. The mask has no gradient.
func (b *Builder) LengthMask(lengths *G.Node, width int) (*G.Node, error) {
	switch {
	case lengths == nil || lengths.Dims() != 1:
		return nil, fmt.Errorf("train.LengthMask: lengths %s, want shape (rows)", describe(lengths))
	case lengths.Dtype() != tensor.Int:
		return nil, fmt.Errorf("train.LengthMask: lengths have dtype %v, want int", lengths.Dtype())
	case width < 1:
		return nil, fmt.Errorf("train.LengthMask: width is %d, want at least 1", width)
	}
	dt := b.dtype
	return apply(&op{
		text: fmt.Sprintf("train.lengthMask[%d,%v]", width, dt), types: []hm.Type{tensorType(1, tensor.Int)},
		out:   tensorType(2, dt),
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{in[0][0], width}, nil },
		do: func(r *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return lengthMask[float32](r, in[0], width)
			}
			return lengthMask[float64](r, in[0], width)
		},
	}, lengths)
}

func lengthMask[F float32 | float64](r *room, v G.Value, width int) (G.Value, error) {
	t, ok := v.(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("train: lengths are a %T, want a dense tensor of int", v)
	}
	lengths, err := tensorops.Elements[int](t)
	if err != nil {
		return nil, fmt.Errorf("train: lengths are %w", err)
	}
	out := take[F](r, len(lengths)*width)
	clear(out)
	for i, n := range lengths {
		if n < 0 || n > width {
			return nil, fmt.Errorf("train: length %d is %d, want 0 to %d", i, n, width)
		}
		for j := range n {
			out[i*width+j] = 1
		}
	}
	return dense(out, len(lengths), width), nil
}
