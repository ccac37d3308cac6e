package loss_test

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// exampleSigned prints the values of a loss at logits ½, ½ and 2 with signs +1, -1 and -1.
func exampleSigned(f loss.Func, opts ...loss.Option) {
	g := G.NewGraph()
	x, y := exampleRow(g, "x", 0.5, 0.5, 2), exampleRow(g, "y", 1, -1, -1)
	fmt.Printf("%.4f\n", exampleValue(f(x, y, append(opts, loss.WithReduction(loss.None))...)))
}

func ExampleBinaryCrossEntropy() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3)) // probabilities ½ and ¾
	target := exampleRow(g, "target", 1, 0)
	// (log 2 + log 4)/2
	fmt.Printf("%.6f\n", exampleValue(loss.BinaryCrossEntropy(logits, target)))
	// Output: 1.039721
}

func ExampleBinaryCrossEntropyFromProb() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.5, 0.75)
	target := exampleRow(g, "target", 1, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.BinaryCrossEntropyFromProb(prob, target)))
	// Output: 1.039721
}

func ExampleSigmoidFocal() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3))
	target := exampleRow(g, "target", 1, 0)
	// (¼·log 2 + 9/16·log 4)/2
	fmt.Printf("%.6f\n", exampleValue(loss.SigmoidFocal(logits, target)))
	// Output: 0.476539
}

func ExampleMultiLabelSoftMargin() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3))
	target := exampleRow(g, "target", 1, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.MultiLabelSoftMargin(logits, target)))
	// Output: 1.039721
}

func ExampleMultiLabelMargin() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0.1, 0.2, 0.4, 0.8)
	// classes 3 and 0 apply; what follows -1 does not count
	v := tensor.New(tensor.WithShape(1, 4), tensor.WithBacking([]int{3, 0, -1, 1}))
	lists := G.NewMatrix(g, tensor.Int, G.WithName("lists"), G.WithShape(1, 4), G.WithValue(v))
	fmt.Printf("%.6f\n", exampleValue(loss.MultiLabelMargin(logits, lists)))
	// Output: 0.850000
}

func ExampleHinge() {
	exampleSigned(loss.Hinge)
	// Output: [0.5000 1.5000 3.0000]
}

func ExampleSquaredHinge() {
	exampleSigned(loss.SquaredHinge)
	// Output: [0.2500 2.2500 9.0000]
}

func ExamplePerceptron() {
	exampleSigned(loss.Perceptron)
	// Output: [0.0000 0.5000 2.0000]
}

func ExampleSoftMargin() {
	exampleSigned(loss.SoftMargin)
	// Output: [0.4741 0.9741 2.1269]
}

func ExampleModifiedHuber() {
	// the last margin, -2, is in the linear tail
	exampleSigned(loss.ModifiedHuber)
	// Output: [0.2500 2.2500 8.0000]
}

func ExampleHingeEmbedding() {
	// distances of a similar pair and of two pairs to keep 1 apart
	exampleSigned(loss.HingeEmbedding)
	// Output: [0.5000 0.5000 0.0000]
}
