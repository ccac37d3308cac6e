package loss_test

import (
	"fmt"
	"log"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// exampleRow is an input node of one row.
func exampleRow(g *G.ExprGraph, name string, x ...float64) *G.Node {
	v := tensor.New(tensor.WithShape(1, len(x)), tensor.WithBacking(x))
	return G.NewMatrix(g, tensor.Float64, G.WithName(name), G.WithShape(1, len(x)), G.WithValue(v))
}

// exampleValue runs the graph of a loss and returns its value.
func exampleValue(cost *G.Node, err error) any {
	if err != nil {
		log.Fatal(err)
	}
	m := G.NewTapeMachine(cost.Graph())
	defer m.Close()
	if err := m.RunAll(); err != nil {
		log.Fatal(err)
	}
	return cost.Value().Data()
}

func ExampleKL() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, 0)
	target := exampleRow(g, "target", 0.25, 0.75)
	// ¼·log(¼/½) + ¾·log(¾/½)
	fmt.Printf("%.6f\n", exampleValue(loss.KL(logits, target)))
	// Output: 0.130812
}

func ExampleKLFromLogProb() {
	g := G.NewGraph()
	logProb := exampleRow(g, "logProb", -math.Ln2, -math.Ln2)
	target := exampleRow(g, "target", 0.25, 0.75)
	fmt.Printf("%.6f\n", exampleValue(loss.KLFromLogProb(logProb, target)))
	// Output: 0.130812
}

func ExampleReverseKL() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, 0)
	target := exampleRow(g, "target", 0.25, 0.75)
	// ½·log(½/¼) + ½·log(½/¾)
	fmt.Printf("%.6f\n", exampleValue(loss.ReverseKL(logits, target)))
	// Output: 0.143841
}

func ExampleJensenShannon() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.1, 0.4, 0.5)
	target := exampleRow(g, "target", 0.8, 0.15, 0.05)
	js := exampleValue(loss.JensenShannon(prob, target)).(float64)
	fmt.Printf("%.5f bits\n", js/math.Ln2)
	// Output: 0.42020 bits
}

func ExampleTotalVariation() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.5, 0.5)
	target := exampleRow(g, "target", 0.25, 0.75)
	fmt.Println(exampleValue(loss.TotalVariation(prob, target)))
	// Output: 0.25
}

func ExampleHellinger() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.5, 0.5)
	target := exampleRow(g, "target", 0.25, 0.75)
	fmt.Printf("%.6f\n", exampleValue(loss.Hellinger(prob, target)))
	// Output: 0.184592
}

func ExampleBhattacharyya() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.5, 0.5)
	target := exampleRow(g, "target", 0.25, 0.75)
	fmt.Printf("%.6f\n", exampleValue(loss.Bhattacharyya(prob, target)))
	// Output: 0.034668
}

func ExampleGeneralizedKL() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 1, 3)
	target := exampleRow(g, "target", 2, 3)
	// 2·log 2 - 2 + 1
	fmt.Printf("%.6f\n", exampleValue(loss.GeneralizedKL(prob, target)))
	// Output: 0.386294
}

func ExampleRenyi() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.5, 0.5)
	target := exampleRow(g, "target", 0.25, 0.75)
	// log Σ t²/p = log 5/4
	fmt.Printf("%.6f\n", exampleValue(loss.Renyi(prob, target)))
	// Output: 0.223144
}

func ExampleAlphaDivergence() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.5, 0.5)
	target := exampleRow(g, "target", 0.25, 0.75)
	// (Σ t²/p - 1)/2
	fmt.Println(exampleValue(loss.AlphaDivergence(prob, target, loss.WithAlpha(2))))
	// Output: 0.125
}

func ExampleGaussianKL() {
	g := G.NewGraph()
	mean1, std1 := exampleRow(g, "mean1", 1), exampleRow(g, "std1", 2)
	mean2, std2 := exampleRow(g, "mean2", 3), exampleRow(g, "std2", 4)
	// log 4/2 + (2² + (1-3)²)/(2·4²) - ½
	fmt.Printf("%.6f\n", exampleValue(loss.GaussianKL(mean1, std1, mean2, std2)))
	// Output: 0.443147
}

func ExampleStandardGaussianKL() {
	g := G.NewGraph()
	mean, logVar := exampleRow(g, "mean", 1, 2), exampleRow(g, "logVar", 0, 0)
	// ½(1 + 4), for the row
	fmt.Println(exampleValue(loss.StandardGaussianKL(mean, logVar)))
	// Output: 2.5
}

func ExampleBernoulliKL() {
	g := G.NewGraph()
	logits1, logits2 := exampleRow(g, "logits1", math.Log(3)), exampleRow(g, "logits2", 0)
	// probabilities ¾ and ½: ¾·log(¾/½) + ¼·log(¼/½)
	fmt.Printf("%.6f\n", exampleValue(loss.BernoulliKL(logits1, logits2)))
	// Output: 0.130812
}
