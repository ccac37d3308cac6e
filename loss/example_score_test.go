package loss_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// exampleNode is an input node of any shape.
func exampleNode(g *G.ExprGraph, name string, data any, shape ...int) *G.Node {
	return G.NodeFromAny(g, tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data)), G.WithName(name))
}

func ExampleBrier() {
	fmt.Printf("%.6f\n", exampleLabelled(loss.Brier))
	// Output: 0.292015
}

func ExampleSphericalScore() {
	fmt.Printf("%.6f\n", exampleLabelled(loss.SphericalScore))
	// Output: 0.145754
}

func ExampleRankedProbability() {
	fmt.Printf("%.6f\n", exampleLabelled(loss.RankedProbability))
	// Output: 0.157918
}

func ExampleLDAM() {
	fmt.Printf("%.6f\n", exampleLabelled(loss.LDAM, loss.WithCounts([]float64{16, 1, 81}), loss.WithScale(1)))
	// Output: 0.611247
}

func ExampleAsymmetricLoss() {
	g := G.NewGraph()
	logits, target := exampleRow(g, "logits", 2, -3, 1), exampleRow(g, "target", 1, 0, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.AsymmetricLoss(logits, target, loss.WithReduction(loss.None))))
	// Output: [0.015130 0.000000 0.245860]
}

func ExampleGaussianCRPS() {
	g := G.NewGraph()
	mean, target, std := exampleRow(g, "mean", 0, 1), exampleRow(g, "target", 1, 1), exampleRow(g, "std", 1, 2)
	fmt.Printf("%.6f\n", exampleValue(loss.GaussianCRPS(mean, target, std, loss.WithReduction(loss.None))))
	// Output: [0.602441 0.467390]
}

func ExampleEnsembleCRPS() {
	g := G.NewGraph()
	ensemble := exampleNode(g, "ensemble", []float64{1, 2, 4}, 1, 3)
	target := exampleNode(g, "target", []float64{3}, 1)
	fmt.Printf("%.6f\n", exampleValue(loss.EnsembleCRPS(ensemble, target)))
	// Output: 0.666667
}

func ExampleQuantileCRPS() {
	g := G.NewGraph()
	quantiles := exampleNode(g, "quantiles", []float64{1, 2, 4}, 1, 3)
	target := exampleNode(g, "target", []float64{3}, 1)
	fmt.Printf("%.6f\n", exampleValue(loss.QuantileCRPS(quantiles, target, loss.WithLevels(.1, .5, .9))))
	// Output: 0.533333
}

func ExampleCumulativeLink() {
	g := G.NewGraph()
	score := exampleNode(g, "score", []float64{0.5}, 1)
	thresholds := exampleNode(g, "thresholds", []float64{-1, 1}, 2)
	fmt.Printf("%.6f\n", exampleValue(loss.CumulativeLink(score, thresholds, exampleLabel(g, 1))))
	// Output: 0.820904
}

func ExampleClassBalanced() {
	w, err := loss.ClassBalanced([]float64{1000, 10}, 0.99)
	fmt.Printf("%.6f %v\n", w, err)
	// Output: [0.174553 1.825447] <nil>
}

func ExampleCoxPartialLikelihood() {
	g := G.NewGraph()
	risk := exampleNode(g, "risk", []float64{1, 0, -1}, 3)
	time := exampleNode(g, "time", []float64{2, 5, 3}, 3)
	event := exampleNode(g, "event", []int{1, 0, 1}, 3)
	fmt.Printf("%.6f\n", exampleValue(loss.CoxPartialLikelihood(risk, time, event, loss.WithReduction(loss.None))))
	// Output: [0.407606 0.000000 1.313262]
}

func ExampleDiscreteHazard() {
	g := G.NewGraph()
	logits := exampleNode(g, "logits", []float64{-2, -1, 0}, 1, 3)
	fmt.Printf("%.6f\n", exampleValue(loss.DiscreteHazard(logits, exampleLabel(g, 1), exampleNode(g, "event", []int{1}, 1))))
	// Output: 1.440190
}
