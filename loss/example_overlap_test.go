package loss_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// examplePixels prints the values of one image of four pixels and two classes, of which the first
// three pixels belong to the first.
func examplePixels(f loss.Func, opts ...loss.Option) {
	g := G.NewGraph()
	logits := G.NodeFromAny(g, tensor.New(tensor.WithShape(1, 2, 4), tensor.WithBacking([]float64{2, 1, 0, -1, 0, 0, 0, 0})), G.WithName("logits"))
	labels := G.NodeFromAny(g, tensor.New(tensor.WithShape(1, 4), tensor.WithBacking([]int{0, 0, 0, 1})),
		G.WithName("labels"))
	fmt.Printf("%.6f\n", exampleValue(f(logits, labels, append(opts, loss.WithReduction(loss.None))...)))
}

// exampleProbabilities is examplePixels of probabilities.
func exampleProbabilities(f loss.Func, opts ...loss.Option) {
	g := G.NewGraph()
	prob := G.NodeFromAny(g, tensor.New(tensor.WithShape(1, 2, 4), tensor.WithBacking([]float64{1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75})), G.WithName("prob"))
	labels := G.NodeFromAny(g, tensor.New(tensor.WithShape(1, 4), tensor.WithBacking([]int{0, 0, 0, 1})),
		G.WithName("labels"))
	fmt.Printf("%.6f\n", exampleValue(f(prob, labels, append(opts, loss.WithReduction(loss.None))...)))
}

func ExampleDice() {
	examplePixels(loss.Dice, loss.WithSmooth(0))
	// Output: [0.215040 0.441770]
}

func ExampleDiceFromProb() {
	exampleProbabilities(loss.DiceFromProb, loss.WithSmooth(0)) // 1 - 2·2.25/5.5 and 1 - 2·0.75/2.5
	// Output: [0.181818 0.400000]
}

func ExampleGeneralizedDice() {
	examplePixels(loss.GeneralizedDice)
	// Output: [0.399634]
}

func ExampleGeneralizedDiceFromProb() {
	exampleProbabilities(loss.GeneralizedDiceFromProb) // weights 1/9 and 1
	// Output: [0.357143]
}

func ExampleJaccard() {
	examplePixels(loss.Jaccard, loss.WithSmooth(0))
	// Output: [0.353963 0.612816]
}

func ExampleJaccardFromProb() {
	exampleProbabilities(loss.JaccardFromProb, loss.WithSmooth(0)) // 1 - 2.25/3.25 and 1 - 0.75/1.75
	// Output: [0.307692 0.571429]
}

func ExampleTversky() {
	examplePixels(loss.Tversky, loss.WithAlpha(0.3), loss.WithBeta(0.7))
	// Output: [0.184148 0.208029]
}

func ExampleTverskyFromProb() {
	exampleProbabilities(loss.TverskyFromProb, loss.WithAlpha(0), loss.WithBeta(1), loss.WithSmooth(0)) // misses alone: 0.75/3 and 0.25/1
	// Output: [0.250000 0.250000]
}

func ExampleFocalTversky() {
	examplePixels(loss.FocalTversky)
	// Output: [0.249142 0.354078]
}

func ExampleFocalTverskyFromProb() {
	exampleProbabilities(loss.FocalTverskyFromProb, loss.WithGamma(0.5), loss.WithAlpha(0), loss.WithBeta(1), loss.WithSmooth(0)) // √¼
	// Output: [0.500000 0.500000]
}

func ExampleLovaszSoftmax() {
	examplePixels(loss.LovaszSoftmax)
	// Output: [0.308526 0.384471]
}

func ExampleLovaszSoftmaxFromProb() {
	exampleProbabilities(loss.LovaszSoftmaxFromProb)
	// Output: [0.270833 0.375000]
}

func ExampleLovaszHinge() {
	g := G.NewGraph()
	logits := G.NodeFromAny(g, tensor.New(tensor.WithShape(1, 4), tensor.WithBacking([]float64{2, 0.5, -1, -0.5})),
		G.WithName("logits"))
	labels := G.NodeFromAny(g, tensor.New(tensor.WithShape(1, 4), tensor.WithBacking([]int{1, 1, 1, 0})),
		G.WithName("labels"))
	fmt.Printf("%.6f\n", exampleValue(loss.LovaszHinge(logits, labels)))
	// Output: 0.875000
}
