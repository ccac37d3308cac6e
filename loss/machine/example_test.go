package machine_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A logistic regression, fitted by a solver of Gorgonia.
func Example() {
	g := G.NewGraph()
	x := G.NewMatrix(g, tensor.Float64, G.WithName("x"), G.WithShape(4, 1),
		G.WithValue(tensor.New(tensor.WithShape(4, 1), tensor.WithBacking([]float64{-2, -1, 1, 2}))))
	y := G.NewMatrix(g, tensor.Float64, G.WithName("y"), G.WithShape(4, 1),
		G.WithValue(tensor.New(tensor.WithShape(4, 1), tensor.WithBacking([]float64{0, 0, 1, 1}))))
	w := G.NewMatrix(g, tensor.Float64, G.WithName("w"), G.WithShape(1, 1), G.WithInit(G.Zeroes()))

	cost, err := loss.BinaryCrossEntropy(G.Must(G.Mul(x, w)), y)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := G.Grad(cost, w); err != nil {
		fmt.Println(err)
		return
	}
	m, err := machine.New(g, machine.WithOutputs(cost), machine.WithGradients(w))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	solver := G.NewVanillaSolver(G.WithLearnRate(1))
	for range 3 {
		if err := m.RunAll(); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%.4f\n", cost.Value())
		if err := solver.Step(G.NodesToValueGrads(G.Nodes{w})); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// 0.6931
	// 0.2941
	// 0.1978
}

// Errors name the node and keep their kind.
func ExampleMachine_Run() {
	g := G.NewGraph()
	logits := G.NewMatrix(g, tensor.Float64, G.WithName("logits"), G.WithShape(1, 2),
		G.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float64{1, 2}))))
	labels := G.NewVector(g, tensor.Int, G.WithName("labels"), G.WithShape(1))
	if _, err := loss.CrossEntropy(logits, labels); err != nil {
		fmt.Println(err)
		return
	}
	m, err := machine.New(g)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Run(context.Background()))

	if err := G.Let(labels, tensor.New(tensor.WithShape(1), tensor.WithBacking([]int{7}))); err != nil {
		fmt.Println(err)
		return
	}
	err = m.Run(context.Background())
	fmt.Println(errors.Is(err, loss.ErrValue))
	// Output:
	// machine: node labels :: Vector int: no value is bound to this input
	// true
}
