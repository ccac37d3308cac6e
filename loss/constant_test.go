package loss_test

import (
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestConstantOperands: constants are in no graph before they are used, and are taken as targets,
// labels and weights.
func TestConstantOperands(t *testing.T) {
	constant := func(backing any, shape ...int) *G.Node {
		return G.NewConstant(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing)))
	}
	for _, newVM := range []func(g *G.ExprGraph) (G.VM, error){
		func(g *G.ExprGraph) (G.VM, error) { return G.NewTapeMachine(g), nil },
		func(g *G.ExprGraph) (G.VM, error) { return machine.New(g) },
	} {
		g := G.NewGraph()
		x := G.NewMatrix(g, tensor.Float64, G.WithShape(2, 2), G.WithName("x"),
			G.WithValue(tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{0, 0, 0, 0}))))
		labels, err := loss.CrossEntropy(x, constant([]int{1, 0}, 2), loss.WithWeights(constant([]float64{1, 3}, 2)), loss.WithReduction(loss.Sum))
		if err != nil {
			t.Fatal(err)
		}
		square, err := loss.MSE(x, constant([]float64{1, 2, 3, 4}, 2, 2))
		if err != nil {
			t.Fatal(err)
		}
		grads, err := loss.Gradients(square, x)
		if err != nil {
			t.Fatal(err)
		}
		var got [3]G.Value
		for i, n := range []*G.Node{labels, square, grads[0]} {
			G.Read(n, &got[i])
		}
		vm, err := newVM(g)
		if err != nil {
			t.Fatal(err)
		}
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		// Weights 1 and 3 times log 2; (1 + 4 + 9 + 16)/4; 2(0 - 1)/4.
		if v := got[0].Data().(float64); math.Abs(v-4*math.Ln2) > 1e-15 {
			t.Errorf("CrossEntropy is %v, want 4 log 2", v)
		}
		if v := got[1].Data().(float64); v != 7.5 {
			t.Errorf("MSE is %v, want 7.5", v)
		}
		if v := got[2].Data().([]float64); v[0] != -0.5 {
			t.Errorf("gradient is %v, want -0.5 first", v)
		}
		vm.Close()
	}
}
