package train

import (
	"fmt"

	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
)

// noise is a leaf of random numbers, drawn anew for each batch in training.
type noise struct {
	name   string
	normal bool    // standard normal numbers; otherwise the mask of a dropout layer
	p      float64 // probability of a 0 in the mask
	node   *G.Node
	buf    data.Column
	skip   int // numbers of the batch that come before those here
}

// Noise returns standard normal random numbers of shape (rows, shape...), drawn anew for each batch
// during training, and zeros, their mean, otherwise. The numbers of a batch depend only on the
// run's seed, the name and the number of the batch.
//
// A variational autoencoder samples its code with it, as mean + exp(logvar/2)·noise.
func (b *Builder) Noise(name string, shape ...int) (*G.Node, error) {
	name, err := b.reserveUse("Noise", name)
	if err != nil {
		return nil, err
	}
	f := data.Field{Kind: data.Float, Shape: shape}
	for _, d := range shape {
		if d < 1 {
			return nil, fmt.Errorf("train.Noise: %q has shape %v, want positive dimensions", name, shape)
		}
	}
	leafName := name + ".noise"
	c, err := leaf(b.graph, leafName, leafName, f, b.dtype, b.batch)
	if err != nil {
		return nil, fmt.Errorf("train.Noise: %w", err)
	}
	b.noises = append(b.noises, &noise{name: name, normal: true, node: c.node, buf: c.Column})
	return c.node, nil
}

// draw fills in the numbers of a batch.
func (n *noise) draw(seed uint64, batch int) {
	purpose := "dropout "
	if n.normal {
		purpose = "noise "
	}
	rng := data.Rand(seed, purpose+n.name, uint64(batch))
	next, keep := rng.NormFloat64, 1/(1-n.p)
	if !n.normal {
		next = func() float64 {
			if rng.Float64() < n.p {
				return 0
			}
			return keep
		}
	}
	for range n.skip {
		next()
	}
	for i := range n.buf.F32 {
		n.buf.F32[i] = float32(next())
	}
	for i := range n.buf.F64 {
		n.buf.F64[i] = next()
	}
}
