package loss_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// examplePair is the value of a loss of log-probabilities -1 of the chosen and -3 of the rejected
// completion, both -2 under the reference.
func examplePair(f func(chosen, rejected, refChosen, refRejected *G.Node, opts ...loss.Option) (*G.Node, error), opts ...loss.Option) any {
	g := G.NewGraph()
	x := func(name string, v float64) *G.Node { return exampleNode(g, name, []float64{v}, 1) }
	return exampleValue(f(x("chosen", -1), x("rejected", -3), x("refChosen", -2), x("refRejected", -2), opts...))
}

// exampleTwo is the value of a loss of -0.5 of the chosen and -1.5 of the rejected completion.
func exampleTwo(f loss.Func, opts ...loss.Option) any {
	g := G.NewGraph()
	return exampleValue(f(exampleNode(g, "chosen", []float64{-0.5}, 1), exampleNode(g, "rejected", []float64{-1.5}, 1), opts...))
}

func ExampleDPO() {
	fmt.Printf("%.6f\n", examplePair(loss.DPO, loss.WithBeta(0.5)))
	// Output: 0.313262
}

func ExampleDPOHinge() {
	fmt.Printf("%.6f\n", examplePair(loss.DPOHinge))
	// Output: 0.800000
}

func ExampleIPO() {
	fmt.Printf("%.6f\n", examplePair(loss.IPO))
	// Output: 9.000000
}

func ExampleAPOZero() {
	fmt.Printf("%.6f\n", examplePair(loss.APOZero))
	// Output: 0.950042
}

func ExampleAPODown() {
	fmt.Printf("%.6f\n", examplePair(loss.APODown))
	// Output: 0.975145
}

func ExampleNCA() {
	fmt.Printf("%.6f\n", examplePair(loss.NCA))
	// Output: 1.338793
}

func ExampleSimPO() {
	fmt.Printf("%.6f\n", exampleTwo(loss.SimPO))
	// Output: 0.201413
}

func ExampleCPO() {
	fmt.Printf("%.6f\n", exampleTwo(loss.CPO))
	// Output: 0.644397
}

func ExampleORPO() {
	fmt.Printf("%.6f\n", exampleTwo(loss.ORPO))
	// Output: 0.017086
}

func ExampleBradleyTerry() {
	fmt.Printf("%.6f\n", exampleTwo(loss.BradleyTerry))
	// Output: 0.313262
}

func ExampleKTO() {
	g := G.NewGraph()
	logp, ref := exampleNode(g, "logp", []float64{-1, -3}, 2), exampleNode(g, "refLogp", []float64{-2, -2}, 2)
	baseline, err := loss.KTOBaseline(logp, ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	labels := exampleNode(g, "labels", []int{1, 0}, 2)
	fmt.Printf("%.6f\n", exampleValue(loss.KTO(logp, ref, labels, loss.WithKL(baseline))))
	// Output: 0.475021
}

func ExampleKTOBaseline() {
	g := G.NewGraph()
	logp, ref := exampleNode(g, "logp", []float64{-1, -3, 0}, 3), exampleNode(g, "refLogp", []float64{-2, -2, -2}, 3)
	fmt.Printf("%.6f\n", exampleValue(loss.KTOBaseline(logp, ref)))
	// Output: 0.666667
}

func ExampleGRPO() {
	g := G.NewGraph()
	logp := exampleNode(g, "logp", []float64{-1, -2, -0.5, -1}, 2, 2)
	ref := exampleNode(g, "ref", []float64{-1.5, -2, -0.5, -1.5}, 2, 2)
	advantages, err := loss.Advantages([]float64{1, 0}, []int{0, 0})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.6f\n", exampleValue(loss.GRPO(logp, nil, ref, exampleNode(g, "advantages", advantages, 2), loss.WithBeta(0.04))))
	// Output: 0.002131
}

func ExamplePPO() {
	g := G.NewGraph()
	logp, old := exampleNode(g, "logp", []float64{-1, -2}, 1, 2), exampleNode(g, "oldLogp", []float64{-1.5, -2}, 1, 2)
	fmt.Printf("%.6f\n", exampleValue(loss.PPO(logp, old, exampleNode(g, "advantages", []float64{1}, 1))))
	// Output: -1.100000
}

func ExamplePPOValue() {
	g := G.NewGraph()
	value, old := exampleNode(g, "value", []float64{1.5}, 1), exampleNode(g, "oldValue", []float64{1}, 1)
	fmt.Printf("%.6f\n", exampleValue(loss.PPOValue(value, old, exampleNode(g, "returns", []float64{2}, 1))))
	// Output: 0.320000
}

func ExampleSequenceLogProb() {
	g := G.NewGraph()
	tokens := exampleNode(g, "tokens", []float64{-1, -2, -0.5, -4}, 2, 2)
	mask := exampleNode(g, "mask", []bool{true, true, true, false}, 2, 2)
	fmt.Printf("%.6f\n", exampleValue(loss.SequenceLogProb(tokens, mask)))
	// Output: [-3.000000 -0.500000]
}

func ExampleLog1mExp() {
	g := G.NewGraph()
	fmt.Printf("%.6f\n", exampleValue(loss.Log1mExp(exampleRow(g, "x", -1, -1e-20))))
	// Output: [-0.458675 -46.051702]
}

func ExampleAdvantages() {
	a, err := loss.Advantages([]float64{1, 0, 0, 1, 5}, []int{0, 0, 0, 1, 1}, loss.LeaveOneOut())
	fmt.Println(a, err)
	// Output: [1 -0.5 -0.5 -4 4] <nil>
}
