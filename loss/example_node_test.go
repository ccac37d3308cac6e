package loss_test

import (
	"fmt"
	"log"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func ExampleLogSumExp() {
	g := G.NewGraph()
	x := exampleRow(g, "x", 1000, 1000)
	// 1000 + log 2
	fmt.Printf("%.4f\n", exampleValue(loss.LogSumExp(x)))
	// Output: [1000.6931]
}

func ExampleSoftmax() {
	g := G.NewGraph()
	x := exampleRow(g, "x", 0, math.Log(3), math.Inf(-1))
	fmt.Printf("%.2f\n", exampleValue(loss.Softmax(x)))
	// Output: [0.25 0.75 0.00]
}

func ExampleLogSoftmax() {
	g := G.NewGraph()
	x := exampleRow(g, "x", 40, 0)
	// -log(1 + e^-40) keeps its digits
	fmt.Printf("%.4g\n", exampleValue(loss.LogSoftmax(x)))
	// Output: [-4.248e-18 -40]
}

func ExampleLogSigmoid() {
	g := G.NewGraph()
	x := exampleRow(g, "x", -1000, 0)
	fmt.Printf("%.4f\n", exampleValue(loss.LogSigmoid(x)))
	// Output: [-1000.0000 -0.6931]
}

func ExampleSoftplus() {
	g := G.NewGraph()
	x := exampleRow(g, "x", 0, 1000)
	fmt.Printf("%.4f\n", exampleValue(loss.Softplus(x)))
	// Output: [0.6931 1000.0000]
}

func ExampleEntropy() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 7, 7, 7, 7)
	// four equal classes: 2 bits
	h := exampleValue(loss.Entropy(logits)).([]float64)
	fmt.Printf("%.4f bits\n", h[0]/math.Ln2)
	// Output: 2.0000 bits
}

func ExampleEntropyFromProb() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.5, 0.25, 0.25, 0)
	h := exampleValue(loss.EntropyFromProb(prob)).([]float64)
	fmt.Printf("%.4f bits\n", h[0]/math.Ln2)
	// Output: 1.5000 bits
}

// The Hessian of a loss times a vector is the gradient of Σ g·v.
func ExampleGradients() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, 0)
	target := exampleRow(g, "target", 0.25, 0.75)
	v := exampleRow(g, "v", 1, 0)
	cost, err := loss.CrossEntropy(logits, target)
	if err != nil {
		log.Fatal(err)
	}
	grads, err := loss.Gradients(cost, logits)
	if err != nil {
		log.Fatal(err)
	}
	product, err := loss.Gradients(G.Must(G.Sum(G.Must(G.HadamardProd(grads[0], v)))), logits)
	if err != nil {
		log.Fatal(err)
	}
	var gradient, hessian G.Value
	G.Read(grads[0], &gradient)
	G.Read(product[0], &hessian)
	exampleValue(cost, nil)
	// softmax - target, and diag(p) - p·pᵀ times v
	fmt.Println(gradient.Data(), hessian.Data())
	// Output: [0.25 -0.25] [0.25 -0.25]
}

func ExampleReduce() {
	g := G.NewGraph()
	values := G.NewVector(g, tensor.Float64, G.WithName("values"), G.WithShape(3),
		G.WithValue(tensor.New(tensor.WithShape(3), tensor.WithBacking([]float64{1, 5, 100}))))
	mask := G.NewVector(g, tensor.Bool, G.WithName("mask"), G.WithShape(3),
		G.WithValue(tensor.New(tensor.WithShape(3), tensor.WithBacking([]bool{true, true, false}))))
	mean := G.Must(loss.Reduce(values, loss.WithMask(mask)))
	m := G.NewTapeMachine(g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(mean.Value())
	// Output: 3
}
