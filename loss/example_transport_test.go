package loss_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

func ExampleSinkhorn() {
	g := G.NewGraph()
	cost := exampleNode(g, "cost", []float64{1, 2, 3, 1.5}, 2, 2)
	fmt.Printf("%.6f\n", exampleValue(loss.Sinkhorn(cost, nil, nil, loss.WithTransportCost(), loss.WithEpsilon(0.05))))
	// Output: 1.250000
}

func ExampleSinkhornDivergence() {
	g := G.NewGraph()
	x := exampleNode(g, "x", []float64{0, 0, 1, 0}, 2, 2)
	y := exampleNode(g, "y", []float64{0, 2, 1, 2}, 2, 2)
	fmt.Printf("%.6f\n", exampleValue(loss.SinkhornDivergence(x, y)))
	// Output: 4.000000
}
