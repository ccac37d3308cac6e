package loss_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func ExampleListNet() {
	g := G.NewGraph()
	scores := exampleRow(g, "scores", 2, 0, 1)
	relevance := exampleRow(g, "relevance", 1, 0, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.ListNet(scores, relevance)))
	// Output: 1.043431
}

// Two lists of two and three items in one row, without padding.
func ExampleWithSegments() {
	g := G.NewGraph()
	scores := G.NodeFromAny(g, tensor.New(tensor.WithBacking([]float64{2, 1, 0.5, -1, 3})), G.WithName("scores"))
	relevance := G.NodeFromAny(g, tensor.New(tensor.WithBacking([]float64{1, 0, 2, 0, 1})), G.WithName("relevance"))
	ids := G.NodeFromAny(g, tensor.New(tensor.WithBacking([]int{1, 1, 2, 2, 2})), G.WithName("ids"))
	fmt.Printf("%.6f\n", exampleValue(loss.ListNet(scores, relevance, loss.WithSegments(ids), loss.WithReduction(loss.None))))
	// Output: [0.582203 0.000000 2.118899 0.000000 0.000000]
}
