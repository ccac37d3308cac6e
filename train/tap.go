package train

import (
	"fmt"

	"github.com/chewxy/hm"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// tap adds an operation that copies a node's value to dst whenever the graph runs. The value itself
// is memory that the next run writes to.
func tap(name string, n *G.Node, dst data.Column) (*G.Node, error) {
	return tapWith(name, n, func(v G.Value) error {
		if dst.F32 != nil {
			return store(dst.F32, v, func(src []float32) { copy(dst.F32, src) })
		}
		return store(dst.F64, v, func(src []float64) { copy(dst.F64, src) })
	})
}

// tapGradient copies or adds a node's value to dst and keeps the sum of squares.
func tapGradient(name string, n *G.Node, dst *gradient, add bool) (*G.Node, error) {
	return tapWith(name, n, func(v G.Value) error {
		if dst.Single() {
			return store(dst.F32, v, func(src []float32) { dst.squares = optim.Collect(dst.F32, src, add) })
		}
		return store(dst.F64, v, func(src []float64) { dst.squares = optim.Collect(dst.F64, src, add) })
	})
}

func tapWith(name string, n *G.Node, use func(v G.Value) error) (*G.Node, error) {
	dt := n.Dtype()
	return apply(&op{
		text: "train.tap[" + name + "]", types: []hm.Type{tensorType(n.Dims(), dt)}, out: dt,
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.ScalarShape(), nil },
		do: func(_ *room, in []G.Value) (G.Value, error) {
			if dt == tensor.Float32 {
				return G.NewF32(0), use(in[0])
			}
			return G.NewF64(0), use(in[0])
		},
	}, n)
}

// store hands the numbers of a value to f when they fit dst.
func store[F float32 | float64](dst []F, v G.Value, f func(src []F)) error {
	src, err := slice[F](v)
	if err != nil {
		return err
	}
	if len(src) != len(dst) {
		return fmt.Errorf("train: %d numbers for a room of %d", len(src), len(dst))
	}
	f(src)
	return nil
}
