package gradcheck_test

import (
	"fmt"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func ExampleCheck() {
	report, err := gradcheck.Check(func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		return loss.CrossEntropy(in[0], in[1])
	}, []gradcheck.Input{
		gradcheck.Var("logits", []float64{2, -1, 0.5, 0, 1, 3}, 2, 3),
		gradcheck.Data("labels", []int{0, 2}),
	}, gradcheck.WithPasses(gradcheck.Grad, gradcheck.Lisp))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.OK(), len(report.Elements), "derivatives")
	// Output: true 12 derivatives
}

// Gorgonia's ByIndices scatters the gradient along the wrong axis.
func ExampleReport() {
	report, err := gradcheck.Check(func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) {
		return G.ByIndices(in[0], in[1], 1)
	}, []gradcheck.Input{
		gradcheck.Var("x", []float64{1, 2, 3, 4, 5, 6, 7, 8}, 2, 4),
		gradcheck.Data("indices", []int{3, 1}),
	}, gradcheck.WithUpstream(1, 2, 4, 8))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range report.Failures() {
		fmt.Printf("%s%v is %.3f and should be %.3f: %v\n", e.Input, e.Index, e.Analytic, e.Numeric, e.Verdict)
	}
	for _, s := range report.Summaries {
		fmt.Println(strings.Join(s.Causes, "\n"))
	}
	// Output:
	// x[0 0] is 1.000 and should be 0.000: wrong
	// x[0 3] is 0.000 and should be 1.000: zero
	// x[1 0] is 4.000 and should be 0.000: wrong
	// x[1 3] is 0.000 and should be 4.000: zero
	// only where axis 1 is [0 3]
	// operation ByIndicesOp{axis=1}: its own derivative by operand 0 is wrong: 1.17075 instead of 0 at (1, 0)
}
