package loss_test

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// exampleErrors prints the values of a loss for predictions with errors of 0.1, -1 and 10.
func exampleErrors(f loss.Func, opts ...loss.Option) {
	g := G.NewGraph()
	pred, target := exampleRow(g, "pred", 2.1, 1, 13), exampleRow(g, "target", 2, 2, 3)
	fmt.Printf("%.4f\n", exampleValue(f(pred, target, append(opts, loss.WithReduction(loss.None))...)))
}

func ExampleMSE() {
	exampleErrors(loss.MSE)
	// Output: [0.0100 1.0000 100.0000]
}

func ExampleHalfSquared() {
	exampleErrors(loss.HalfSquared)
	// Output: [0.0050 0.5000 50.0000]
}

func ExampleMAE() {
	exampleErrors(loss.MAE)
	// Output: [0.1000 1.0000 10.0000]
}

func ExampleHuber() {
	exampleErrors(loss.Huber, loss.WithDelta(2))
	// Output: [0.0050 0.5000 18.0000]
}

func ExampleSmoothL1() {
	exampleErrors(loss.SmoothL1)
	// Output: [0.0050 0.5000 9.5000]
}

func ExampleLogCosh() {
	exampleErrors(loss.LogCosh)
	// Output: [0.0050 0.4338 9.3069]
}

func ExamplePseudoHuber() {
	exampleErrors(loss.PseudoHuber)
	// Output: [0.0050 0.4142 9.0499]
}

func ExampleCharbonnier() {
	exampleErrors(loss.Charbonnier)
	// Output: [0.1000 1.0000 10.0000]
}

func ExampleQuantile() {
	// The 0.9-quantile: predictions below the target cost nine times as much as those above.
	exampleErrors(loss.Quantile, loss.WithQuantile(0.9))
	// Output: [0.0100 0.9000 1.0000]
}

func ExampleExpectile() {
	exampleErrors(loss.Expectile, loss.WithTau(0.9))
	// Output: [0.0010 0.9000 10.0000]
}

func ExampleEpsilonInsensitive() {
	exampleErrors(loss.EpsilonInsensitive, loss.WithEpsilon(0.5))
	// Output: [0.0000 0.5000 9.5000]
}

func ExampleMAPE() {
	exampleErrors(loss.MAPE)
	// Output: [0.0500 0.5000 3.3333]
}

func ExampleSMAPE() {
	exampleErrors(loss.SMAPE)
	// Output: [0.0488 0.6667 1.2500]
}

func ExampleMSLE() {
	exampleErrors(loss.MSLE)
	// Output: [0.0011 0.1644 1.5694]
}

func ExampleWing() {
	exampleErrors(loss.Wing)
	// Output: [0.1823 1.0986 10.0986]
}

func ExampleCauchy() {
	exampleErrors(loss.Cauchy)
	// Output: [0.0050 0.4055 3.9318]
}

func ExampleGemanMcClure() {
	exampleErrors(loss.GemanMcClure)
	// Output: [0.0050 0.4000 1.9231]
}

func ExampleWelsch() {
	exampleErrors(loss.Welsch)
	// Output: [0.0050 0.3935 1.0000]
}

func ExampleTukey() {
	exampleErrors(loss.Tukey)
	// Output: [0.0050 0.4776 3.6582]
}

func ExampleBarron() {
	// From least squares to a bounded loss.
	for _, alpha := range []float64{2, 1, 0, -2} {
		exampleErrors(loss.Barron, loss.WithAlpha(alpha))
	}
	// Output:
	// [0.0050 0.5000 50.0000]
	// [0.0050 0.4142 9.0499]
	// [0.0050 0.4055 3.9318]
	// [0.0050 0.4000 1.9231]
}

// exampleCounts prints the values of a loss for log-means of 2 and 5, and counts of 2 and 3.
func exampleCounts(f loss.Func, opts ...loss.Option) {
	g := G.NewGraph()
	pred, target := exampleRow(g, "pred", math.Ln2, math.Log(5)), exampleRow(g, "target", 2, 3)
	fmt.Printf("%.4f\n", exampleValue(f(pred, target, append(opts, loss.WithReduction(loss.None))...)))
}

func ExamplePoissonNLL() {
	exampleCounts(loss.PoissonNLL)
	// Output: [0.6137 0.1717]
}

// A model whose outputs are rates, such as those of a softplus, passes their logarithms.
func ExamplePoissonNLL_rates() {
	g := G.NewGraph()
	rate, target := exampleRow(g, "rate", 2, 0.5), exampleRow(g, "target", 3, 0)
	cost, err := loss.PoissonNLL(G.Must(G.Log(rate)), target, loss.WithReduction(loss.Sum))
	if err != nil {
		fmt.Println(err)
		return
	}
	grads, err := loss.Gradients(cost, rate)
	if err != nil {
		fmt.Println(err)
		return
	}
	var value, gradient G.Value
	G.Read(cost, &value)
	G.Read(grads[0], &gradient)
	if err := G.NewTapeMachine(g).RunAll(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f\n%.4f\n", value, gradient.Data()) // 2 - 3·log 2 + 0.5, and 1 - t/λ
	// Output:
	// 0.4206
	// [-0.5000 1.0000]
}

func ExampleGamma() {
	exampleCounts(loss.Gamma)
	// Output: [1.6931 2.2094]
}

func ExampleTweedie() {
	exampleCounts(loss.Tweedie, loss.WithPower(1.5))
	// Output: [5.6569 7.1554]
}

func ExampleNegativeBinomial() {
	// -log of the probabilities 3·¼·¼ and 4·(2/7)²·(5/7)³
	exampleCounts(loss.NegativeBinomial, loss.WithAlpha(0.5), loss.WithFull())
	// Output: [1.6740 2.1286]
}

// A model predicts the dispersion of each count beside its mean: 0.5 for the first, as in the
// example above, and 0.001 for the second, where the value is near that of Poisson's distribution,
// 1.9634.
func ExampleWithDispersion() {
	g := G.NewGraph()
	pred, target := exampleRow(g, "pred", math.Ln2, math.Log(5)), exampleRow(g, "target", 2, 3)
	dispersion := exampleRow(g, "dispersion", 0.5, 1e-3)
	cost, err := loss.NegativeBinomial(pred, target, loss.WithDispersion(dispersion), loss.WithFull(), loss.WithReduction(loss.None))
	fmt.Printf("%.4f\n", exampleValue(cost, err))
	// Output: [1.6740 1.9630]
}

// exampleWidths prints the mean of a likelihood for means 1 and 3, targets 2 and 3, and widths 1
// and 4.
func exampleWidths(f func(mean, target, width *G.Node, opts ...loss.Option) (*G.Node, error), opts ...loss.Option) {
	g := G.NewGraph()
	mean, target, width := exampleRow(g, "mean", 1, 3), exampleRow(g, "target", 2, 3), exampleRow(g, "width", 1, 4)
	fmt.Printf("%.6f\n", exampleValue(f(mean, target, width, opts...)))
}

func ExampleGaussianNLL() {
	// (½ + log 2)/2, widths being variances
	exampleWidths(loss.GaussianNLL)
	// Output: 0.596574
}

func ExampleLaplaceNLL() {
	// (log 2 + 1 + log 8)/2
	exampleWidths(loss.LaplaceNLL)
	// Output: 1.886294
}

func ExampleStudentTNLL() {
	// (2·log(8/3) + 5/2·log(5/4) + log 4)/2
	exampleWidths(loss.StudentTNLL, loss.WithAlpha(4))
	// Output: 1.952906
}

func ExampleCosineDistance() {
	g := G.NewGraph()
	// 1 - 24/25
	fmt.Printf("%.4f\n", exampleValue(loss.CosineDistance(exampleRow(g, "pred", 3, 4), exampleRow(g, "target", 4, 3))))
	// Output: 0.0400
}
