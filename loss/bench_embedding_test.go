package loss_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// benchEmbeddings measures losses of embeddings with the gradients by all operands.
func benchEmbeddings(b *testing.B) {
	for _, c := range []struct {
		loss       string
		rows, cols int
		call       func(x G.Nodes, opts ...loss.Option) (*G.Node, error)
	}{
		{"TripletMargin", 1024, 128, func(x G.Nodes, opts ...loss.Option) (*G.Node, error) {
			return loss.TripletMargin(x[0], x[1], x[2], opts...)
		}},
		{"InfoNCE", 512, 128, func(x G.Nodes, opts ...loss.Option) (*G.Node, error) {
			return loss.InfoNCE(x[0], x[1], opts...)
		}},
	} {
		for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			b.Run(fmt.Sprintf("loss=%s/dtype=%s/shape=%dx%d/pass=both", c.loss, dtypeName(dt), c.rows, c.cols), func(b *testing.B) {
				g, r := G.NewGraph(), rand.New(rand.NewPCG(1, 2))
				var operands G.Nodes
				info, _ := loss.Describe(c.loss)
				for _, name := range info.Operands {
					x := make([]float64, c.rows*c.cols)
					for i := range x {
						x[i] = 3 * r.NormFloat64()
					}
					operands = append(operands, benchInput(g, dt, name, x, c.rows, c.cols))
				}
				cost, err := c.call(operands, loss.WithBufferReuse())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := loss.Gradients(cost, operands...); err != nil {
					b.Fatal(err)
				}
				benchMachine(b, operands[0], cost)
			})
		}
	}
}
