package gradcheck_test

import (
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Losses of every mechanism, in both dtypes and all reductions, by all passes, to second order.
func TestLosses(t *testing.T) {
	in := []gradcheck.Input{
		gradcheck.Var("pred", []float64{.1, .3, .6, .25, .35, .4}, 2, 3),
		gradcheck.Var("target", []float64{.2, .35, .45, .6, .15, .25}, 2, 3),
	}
	for _, name := range []string{"CrossEntropy", "CrossEntropyFromProb", "KL", "BinaryCrossEntropy", "MSE", "MAE", "Huber"} {
		f, ok := loss.Lookup(name)
		if !ok {
			t.Fatalf("no loss %s", name)
		}
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			for _, red := range []loss.Reduction{loss.Mean, loss.Sum, loss.None} {
				build := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
					return f(in[0], in[1], loss.WithReduction(red))
				}
				t.Run(name, func(t *testing.T) {
					gradcheck.Test(t, build, in, gradcheck.WithDType(dt), gradcheck.WithRandomUpstream(),
						gradcheck.WithPasses(gradcheck.Grad, gradcheck.Reverse, gradcheck.Lisp, gradcheck.Machine), gradcheck.WithSecondOrder(2))
				})
			}
		}
	}
}

func TestLabels(t *testing.T) {
	x := make([]float64, 3200)
	y := make([]int, 32)
	for i := range x {
		x[i] = float64(i*7919%1000)/250 - 2
	}
	for i := range y {
		y[i] = i * 37 % 100
	}
	in := []gradcheck.Input{gradcheck.Var("logits", x, 32, 100), gradcheck.Data("labels", y)}
	ce := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		return loss.CrossEntropy(in[0], in[1])
	}
	gradcheck.Test(t, ce, in, gradcheck.WithPasses(gradcheck.Grad, gradcheck.Lisp))
	gradcheck.Test(t, ce, in, gradcheck.WithSample(20), gradcheck.WithPasses(gradcheck.Reverse))
	gradcheck.Test(t, ce, in, gradcheck.WithDirections(3), gradcheck.WithDType(tensor.Float32))
}

// Gorgonia's Grad returns the derivatives of an earlier call in the same graph.
func TestGradTwice(t *testing.T) {
	// Σ (d Σx³/dx)² = Σ 9x⁴
	build := func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		cost := G.Must(G.Sum(G.Must(G.Cube(in[0]))))
		g, err := G.Grad(cost, in[0])
		if err != nil {
			return nil, err
		}
		return G.Sum(G.Must(G.Square(g[0])))
	}
	in := []gradcheck.Input{gradcheck.Var("x", []float64{1, 2, -1.5})}
	r, err := gradcheck.Check(build, in, gradcheck.WithPasses(gradcheck.Grad))
	if err != nil {
		t.Fatal(err)
	}
	if r.OK() {
		t.Errorf("gorgonia.Grad called twice passes:\n%v", r)
	}
	gradcheck.Test(t, build, in, gradcheck.WithPasses(gradcheck.Reverse))
}
