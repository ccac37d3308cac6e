package train

import (
	"fmt"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// tap adds an operation that copies a node's value to dst whenever the graph runs, or adds it where accumulate is
// set. A node's Value after a run cannot be trusted, since later operations write into registers that are no longer
// needed; a tap is a use of the node, so it happens while the value is there.
func tap(name string, n *G.Node, dst data.Column, accumulate bool) (*G.Node, error) {
	dt := n.Dtype()
	return apply(&op{
		text: "train.tap[" + name + "]", types: []hm.Type{tensorType(n.Dims(), dt)}, out: dt,
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.ScalarShape(), nil },
		do: func(in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return G.NewF32(0), store(dst.F32, in[0], accumulate)
			}
			return G.NewF64(0), store(dst.F64, in[0], accumulate)
		},
	}, n)
}

func store[F float32 | float64](dst []F, v G.Value, accumulate bool) error {
	src, err := slice[F](v)
	if err != nil {
		return err
	}
	if len(src) != len(dst) {
		return fmt.Errorf("train: %d numbers for a room of %d", len(src), len(dst))
	}
	if !accumulate {
		copy(dst, src)
		return nil
	}
	for i, d := range src {
		dst[i] += d
	}
	return nil
}
