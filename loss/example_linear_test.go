package loss_test

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// exampleMatrix is an input matrix with values.
func exampleMatrix(g *G.ExprGraph, name string, rows, cols int, values ...float64) *G.Node {
	v := tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(values))
	return G.NewMatrix(g, tensor.Float64, G.WithName(name), G.WithShape(rows, cols), G.WithValue(v))
}

func ExampleLinearCrossEntropy() {
	g := G.NewGraph()
	hidden := exampleMatrix(g, "hidden", 1, 2, 1, 2)
	weight := exampleMatrix(g, "weight", 2, 2, math.Log(3), 0, 0, 0) // logits log 3 and 0
	// probabilities ¾ and ¼
	fmt.Printf("%.6f\n", exampleValue(loss.LinearCrossEntropy(hidden, weight, exampleLabel(g, 1))))
	// Output: 1.386294
}

func ExampleTokenLogProb() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3)) // probabilities ¼ and ¾
	fmt.Printf("%.6f\n", exampleValue(loss.TokenLogProb(logits, exampleLabel(g, 0))))
	// Output: [-1.386294]
}

func ExampleLinearTokenLogProb() {
	g := G.NewGraph()
	hidden := exampleMatrix(g, "hidden", 1, 2, 1, 2)
	weight := exampleMatrix(g, "weight", 2, 2, math.Log(3), 0, 0, 0) // logits log 3 and 0
	fmt.Printf("%.6f\n", exampleValue(loss.LinearTokenLogProb(hidden, weight, exampleLabel(g, 1))))
	// Output: [-1.386294]
}

func ExampleEntropyTerm() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 7, 7, 7, 7)
	logProb, err := loss.TokenLogProb(logits, exampleLabel(g, 0))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.6f\n", exampleValue(loss.EntropyTerm(logProb)))
	// Output: [1.386294]
}
