package loss_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// exampleInts is a row of integers, such as the labels of a batch.
func exampleInts(g *G.ExprGraph, name string, values ...int) *G.Node {
	return G.NodeFromAny(g, tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(values)), G.WithName(name))
}

func ExamplePairwiseDistance() {
	g := G.NewGraph()
	x := exampleMatrix(g, "x", 2, 2, 3, 4, 1, 1)
	y := exampleMatrix(g, "y", 2, 2, 0, 0, 1, 2)
	fmt.Printf("%.6f\n", exampleValue(loss.PairwiseDistance(x, y, loss.WithEpsilon(0))))
	// Output: [5.000000 1.000000]
}

func ExampleTripletMargin() {
	g := G.NewGraph()
	anchor := exampleMatrix(g, "anchor", 1, 2, 0, 0)
	positive := exampleMatrix(g, "positive", 1, 2, 3, 4) // distance 5
	negative := exampleMatrix(g, "negative", 1, 2, 0, 2) // distance 2
	fmt.Printf("%.6f\n", exampleValue(loss.TripletMargin(anchor, positive, negative, loss.WithEpsilon(0))))
	// Output: 4.000000
}

func ExampleCosineEmbedding() {
	g := G.NewGraph()
	x1 := exampleMatrix(g, "x1", 2, 2, 1, 0, 1, 0)
	x2 := exampleMatrix(g, "x2", 2, 2, 3, 4, 3, 4) // cosine 0.6
	y := exampleInts(g, "y", 1, -1)
	fmt.Printf("%.6f\n", exampleValue(loss.CosineEmbedding(x1, x2, y, loss.WithReduction(loss.None))))
	// Output: [0.400000 0.600000]
}

func ExampleContrastive() {
	g := G.NewGraph()
	x1 := exampleMatrix(g, "x1", 2, 1, 0.5, 0.25) // distances as such, against zeros
	x2 := exampleMatrix(g, "x2", 2, 1, 0, 0)
	y := exampleInts(g, "y", 1, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.Contrastive(x1, x2, y, loss.WithReduction(loss.None))))
	// Output: [0.250000 0.562500]
}

func ExampleAlignment() {
	g := G.NewGraph()
	x := exampleMatrix(g, "x", 1, 2, 2, 0)
	y := exampleMatrix(g, "y", 1, 2, 0, 5) // at a right angle
	fmt.Printf("%.6f\n", exampleValue(loss.Alignment(x, y)))
	// Output: 2.000000
}
