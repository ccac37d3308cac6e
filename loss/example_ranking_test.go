package loss_test

import (
	"fmt"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// exampleList is a list of four items with scores and relevances.
func exampleList() (scores, relevance *G.Node) {
	g := G.NewGraph()
	return exampleRow(g, "scores", 2, 0, 1, 0.5), exampleRow(g, "relevance", 1, 2, 0, 0)
}

func ExampleListNet() {
	g := G.NewGraph()
	scores := exampleRow(g, "scores", 2, 0, 1)
	relevance := exampleRow(g, "relevance", 1, 0, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.ListNet(scores, relevance)))
	// Output: 1.043431
}

func ExampleRankingSoftmax() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.RankingSoftmax(scores, relevance)))
	// Output: 5.638019
}

func ExampleUniqueSoftmax() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.UniqueSoftmax(scores, relevance)))
	// Output: 8.102388
}

func ExampleListMLE() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.ListMLE(scores, relevance)))
	// Output: 3.484452
}

func ExampleRankNet() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.RankNet(scores, relevance)))
	// Output: 0.985788
}

func ExampleLambdaRank() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.LambdaRank(scores, relevance)))
	// Output: 0.199931
}

func ExamplePairwiseHinge() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.PairwiseHinge(scores, relevance)))
	// Output: 1.300000
}

func ExamplePairwiseMSE() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.PairwiseMSE(scores, relevance)))
	// Output: 4.125000
}

func ExamplePairwiseQuantile() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.PairwiseQuantile(scores, relevance, loss.WithQuantile(0.9), loss.WithSquared())))
	// Output: 4.370000
}

func ExamplePairwiseSoftZeroOne() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.PairwiseSoftZeroOne(scores, relevance)))
	// Output: 0.537136
}

func ExampleApproxNDCG() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.ApproxNDCG(scores, relevance, loss.WithTemperature(0.5))))
	// Output: 0.380096
}

func ExampleApproxMRR() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.ApproxMRR(scores, relevance, loss.WithTemperature(0.5))))
	// Output: 0.155844
}

func ExampleNeuralNDCG() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.NeuralNDCG(scores, relevance)))
	// Output: 0.363689
}

func ExampleMarginRanking() {
	g := G.NewGraph()
	x1, x2 := exampleRow(g, "x1", 2, 0.5), exampleRow(g, "x2", 1, 1)
	y := exampleRow(g, "y", 1, -1) // the first score should be the larger one in the first pair alone
	fmt.Printf("%.2f\n", exampleValue(loss.MarginRanking(x1, x2, y, loss.WithMargin(1), loss.WithReduction(loss.None))))
	// Output: [0.00 0.50]
}

// The second of two lists has no relevant item.
func ExampleWithEmptyLists() {
	for _, empty := range []loss.EmptyLists{loss.EmptySkip, loss.EmptyZero, loss.EmptyOne} {
		g := G.NewGraph()
		scores := G.NodeFromAny(g, tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{1, 0, 2, 1})),
			G.WithName("scores"))
		relevance := G.NodeFromAny(g, tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{0, 1, 0, 0})),
			G.WithName("relevance"))
		fmt.Printf("%.4f\n", exampleValue(loss.ApproxMRR(scores, relevance, loss.WithEmptyLists(empty))))
	}
	// Output:
	// 0.4223
	// 0.2112
	// 0.7112
}

// The mean over all pairs of the batch, each counted by its difference of relevance.
func ExampleWithPairWeights() {
	scores, relevance := exampleList()
	fmt.Printf("%.6f\n", exampleValue(loss.RankNet(scores, relevance, loss.WithPairSum(), loss.WithPairWeights(loss.PairLabelDiff))))
	// Output: 1.443256
}

// Two lists of two and three items in one row, without padding.
func ExampleWithSegments() {
	g := G.NewGraph()
	scores := G.NodeFromAny(g, tensor.New(tensor.WithBacking([]float64{2, 1, 0.5, -1, 3})), G.WithName("scores"))
	relevance := G.NodeFromAny(g, tensor.New(tensor.WithBacking([]float64{1, 0, 2, 0, 1})), G.WithName("relevance"))
	ids := G.NodeFromAny(g, tensor.New(tensor.WithBacking([]int{1, 1, 2, 2, 2})), G.WithName("ids"))
	fmt.Printf("%.6f\n", exampleValue(loss.ListNet(scores, relevance, loss.WithSegments(ids), loss.WithReduction(loss.None))))
	// Output: [0.582203 0.000000 2.118899 0.000000 0.000000]
}
