package main

import (
	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/paired"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	width = 16  // numbers in an embedding
	noise = .25 // standard deviation of the noise of a view
)

// network embeds two noisy views of an image, which are the image itself except in training, and
// puts a classifier of the seven digits on the first. The views lie side by side in the rows of a
// batch and are taken for rows in between.
func network(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	const pixels = digits.Side * digits.Side
	x, z := G.Must(b.Concat(in["image"], in["image"])), G.Must(b.Noise("noise", 2*pixels))
	x = G.Must(G.Add(x, G.Must(G.Mul(z, G.NewConstant(float32(noise))))))
	x = G.Must(b.Dense("hidden", G.Must(G.Reshape(x, tensor.Shape{2 * b.Batch(), pixels})), 128))
	x = G.Must(b.Dense("embedding", G.Must(G.Rectify(x)), width))
	x = G.Must(G.Reshape(x, tensor.Shape{b.Batch(), 2 * width}))
	first, second := G.Must(G.Slice(x, nil, G.S(0, width))), G.Must(G.Slice(x, nil, G.S(width, 2*width)))
	logits, err := b.Dense("classes", first, 7)
	return train.Nodes{"first": first, "second": second, "logits": logits}, err
}

// predicted are the outputs of the network without a loss.
var predicted = train.Objective{{Output: "first"}, {Output: "second"}, {Output: "logits"}}

// methods are ways to train: the first, a classifier whose last layer is cut off, is the naive one.
// InfoNCE needs no labels. The last is none.
var methods = []paired.Candidate[train.Term]{
	{Name: "cross-entropy", Loss: train.Term{Output: "logits", Target: "digit", Loss: loss.CrossEntropy}},
	{Name: "triplet", Loss: embedding(loss.BatchTriplet, loss.WithMining(loss.MineHard), loss.WithSoft())},
	{Name: "NTXent", Loss: embedding(loss.NTXent)},
	{Name: "SupCon", Loss: embedding(loss.SupCon)},
	{Name: "InfoNCE", Loss: train.Term{Build: func(out, _ train.Nodes, opts ...loss.Option) (*G.Node, error) {
		return loss.InfoNCE(out["first"], out["second"], opts...)
	}}},
	{Name: "pixels", Note: "images so small and well centred need no embedding"},
}

// embedding is a loss of the first view and the labels.
func embedding(fn loss.Func, opts ...loss.Option) train.Term {
	return train.Term{Output: "first", Target: "digit", Loss: loss.With(fn, opts...)}
}
