package main

import (
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// width is how many numbers the model keeps for each word.
const width = 64

// bigram looks the last word up in a table of 64 numbers for each and scores all words by a linear
// map of them, the output layer. The scores are the loss's own affair: what the model returns are
// the 64 numbers.
type bigram struct {
	vocabulary int
	output     map[*G.ExprGraph]layer
}

// layer is the parameters of an output layer, a row of weight and a number of bias for each word.
type layer struct{ weight, bias *G.Node }

func newBigram(vocabulary int) *bigram {
	return &bigram{vocabulary, make(map[*G.ExprGraph]layer)}
}

// hidden is the model: the numbers of the last words.
func (m *bigram) hidden(b *train.Builder, words *G.Node) (*G.Node, error) {
	h, err := b.EmbeddingWith("embedding", words, m.vocabulary, width, train.Normal(0.1))
	if err != nil {
		return nil, err
	}
	const bound = 1.0 / 8 // 1/√width
	var out layer
	if out.weight, err = b.Param("out.weight", train.Uniform(bound), m.vocabulary, width); err != nil {
		return nil, err
	}
	if out.bias, err = b.Param("out.bias", train.Uniform(bound), m.vocabulary); err != nil {
		return nil, err
	}
	m.output[b.Graph()] = out
	return G.Reshape(h, tensor.Shape{b.Batch(), width})
}

// loss is the cross-entropy of the next words under the scores hidden·weightᵀ + bias. The trainer
// also builds it in a graph without the model, to see its shape.
func (m *bigram) loss(hidden, next *G.Node, opts ...loss.Option) (*G.Node, error) {
	out, ok := m.output[hidden.Graph()]
	if !ok {
		out = newLayer(hidden.Graph(), m.vocabulary)
	}
	return loss.LinearCrossEntropy(hidden, out.weight, next, slices.Concat(opts, []loss.Option{loss.WithBias(out.bias)})...)
}

// newLayer is an output layer of float32 numbers that nothing trains.
func newLayer(g *G.ExprGraph, vocabulary int) layer {
	return layer{
		G.NewMatrix(g, tensor.Float32, G.WithName("out.weight"), G.WithShape(vocabulary, width), G.WithInit(G.Zeroes())),
		G.NewVector(g, tensor.Float32, G.WithName("out.bias"), G.WithShape(vocabulary), G.WithInit(G.Zeroes())),
	}
}
