package loss_test

import (
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Gorgonia's BinaryXent is made of logarithms of 1-x, which it rewrites while it builds them: it
// removes the node in between, after which the graph's own list of operands is wrong for nodes that
// came later. The derivatives must not be.
func TestGradientsAfterGorgoniaRemovedNodes(t *testing.T) {
	g := G.NewGraph()
	logits, target := []float64{-1, 0.5, 2}, []float64{0, 1, 0.25}
	x := floatLeaf(g, tensor.Float64, "x", []int{3}, logits)
	y := floatLeaf(g, tensor.Float64, "y", []int{3}, target)
	cost := G.Must(G.Sum(G.Must(G.BinaryXent(G.Must(G.Sigmoid(x)), y))))
	grads, err := loss.Gradients(cost, x)
	if err != nil {
		t.Fatal(err)
	}
	got, err := runTape(g, grads...)
	if err != nil {
		t.Fatal(err)
	}
	var want []float64
	for i, v := range logits {
		want = append(want, 1/(1+math.Exp(-v))-target[i])
	}
	checkNear(t, "gradient", got[0], want, 1e-13) // Gorgonia takes the logarithm of a rounded sigmoid
}
