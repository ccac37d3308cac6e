package loss_test

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// exampleBatch is a batch of three embeddings: two of class 0 with the cosine 0.6 and one of class
// 1 with the cosines 0 and 0.8.
func exampleBatch(g *G.ExprGraph) (embeddings, labels *G.Node) {
	return exampleMatrix(g, "embeddings", 3, 2, 1, 0, 3, 4, 0, 2), exampleInts(g, "labels", 0, 0, 1)
}

func ExampleNTXent() {
	g := G.NewGraph()
	embeddings, labels := exampleBatch(g)
	fmt.Printf("%.6f\n", exampleValue(loss.NTXent(embeddings, labels, loss.WithTemperature(0.5), loss.WithReduction(loss.None))))
	fmt.Printf("%.6f %.6f\n", math.Log1p(math.Exp(0-1.2)), math.Log1p(math.Exp(1.6-1.2)))
	// Output:
	// [0.263282 0.913015 0.000000]
	// 0.263282 0.913015
}

func ExampleSupCon() {
	g := G.NewGraph()
	embeddings, labels := exampleBatch(g)
	fmt.Printf("%.6f\n", exampleValue(loss.SupCon(embeddings, labels, loss.WithTemperature(0.5))))
	// Output: 0.588149
}

func ExampleCircle() {
	g := G.NewGraph()
	embeddings, labels := exampleBatch(g)
	fmt.Printf("%.6f\n", exampleValue(loss.Circle(embeddings, labels, loss.WithGamma(1))))
	// Output: 0.789009
}

func ExampleMultiSimilarity() {
	g := G.NewGraph()
	embeddings, labels := exampleBatch(g)
	fmt.Printf("%.6f\n", exampleValue(loss.MultiSimilarity(embeddings, labels)))
	// Output: 0.449069
}

// The partners come from a memory of earlier batches.
func ExampleWithReference() {
	g := G.NewGraph()
	embeddings, labels := exampleMatrix(g, "embeddings", 1, 2, 1, 0), exampleInts(g, "labels", 7)
	memory := exampleMatrix(g, "memory", 2, 2, 3, 4, 0, 2)
	reference := loss.WithReference(memory, exampleInts(g, "memory labels", 7, 8))
	fmt.Printf("%.6f\n", exampleValue(loss.NTXent(embeddings, labels, reference, loss.WithTemperature(0.5))))
	// Output: 0.263282
}

// exampleViews are two views of two examples, with the cosines 1 and 0.6 of those that belong
// together, 0 and 0.8 of the others.
func exampleViews(g *G.ExprGraph) (queries, keys *G.Node) {
	return exampleMatrix(g, "queries", 2, 2, 1, 0, 0, 1), exampleMatrix(g, "keys", 2, 2, 1, 0, 4, 3)
}

func ExampleInfoNCE() {
	g := G.NewGraph()
	queries, keys := exampleViews(g)
	fmt.Printf("%.6f\n", exampleValue(loss.InfoNCE(queries, keys, loss.WithScale(2))))
	// Output: 0.454060
}

// The second key belongs to both queries.
func ExampleWithPositives() {
	g := G.NewGraph()
	queries, keys := exampleViews(g)
	positives := loss.WithPositives(exampleMatrix(g, "positives", 2, 2, 1, 1, 0, 1))
	fmt.Printf("%.6f\n", exampleValue(loss.InfoNCE(queries, keys, positives, loss.WithScale(2), loss.WithOneWay())))
	// Output: 0.488149
}

func ExampleSigLIP() {
	g := G.NewGraph()
	queries, keys := exampleViews(g)
	fmt.Printf("%.6f\n", exampleValue(loss.SigLIP(queries, keys)))
	// Output: 2.419135
}

func ExampleDCL() {
	g := G.NewGraph()
	queries, keys := exampleViews(g)
	fmt.Printf("%.6f\n", exampleValue(loss.DCL(queries, keys, loss.WithTemperature(1))))
	// Output: 0.332124
}

func ExampleBatchTriplet() {
	g := G.NewGraph()
	embeddings := exampleMatrix(g, "embeddings", 4, 1, 0, 3, 1, 5) // points on a line
	labels := exampleInts(g, "labels", 0, 0, 1, 1)
	fmt.Printf("%.6f\n", exampleValue(loss.BatchTriplet(embeddings, labels, loss.WithReduction(loss.None))))
	fmt.Printf("%.6f\n", exampleValue(loss.BatchTriplet(embeddings, labels, loss.WithMining(loss.MineHard))))
	// Output:
	// [3.000000 4.000000 7.000000 3.000000]
	// 3.000000
}

// The sum over two anchors, in every triplet.
func ExampleWithMining() {
	g := G.NewGraph()
	embeddings := exampleMatrix(g, "embeddings", 3, 1, 0, 3, 4)
	labels := exampleInts(g, "labels", 0, 0, 1)
	semiHard := loss.WithMining(loss.MineSemiHard)
	fmt.Printf("%.6f\n", exampleValue(loss.BatchTriplet(embeddings, labels, semiHard, loss.WithReduction(loss.None))))
	// Output: [0.000000 3.000000 0.000000]
}

func ExampleNPairs() {
	g := G.NewGraph()
	anchors := exampleMatrix(g, "anchors", 2, 2, 1, 0, 0, 1)
	positives := exampleMatrix(g, "positives", 2, 2, math.Log(3), 0, 0, 0) // products log 3 and 0
	fmt.Printf("%.6f\n", exampleValue(loss.NPairs(anchors, positives, exampleInts(g, "labels", 4, 9), loss.WithReduction(loss.None))))
	// Output: [0.287682 0.693147]
}

func ExampleProxyNCA() {
	g := G.NewGraph()
	embeddings := exampleMatrix(g, "embeddings", 1, 2, 5, 0)
	proxies := exampleMatrix(g, "proxies", 2, 2, 1, 0, 0, 1) // squared distances 0 and 2
	fmt.Printf("%.6f\n", exampleValue(loss.ProxyNCA(embeddings, proxies, exampleInts(g, "labels", 0))))
	// Output: 0.126928
}

func ExampleProxyAnchor() {
	g := G.NewGraph()
	embeddings := exampleMatrix(g, "embeddings", 1, 2, 5, 0)
	proxies := exampleMatrix(g, "proxies", 2, 2, 1, 0, 0, 1) // cosines 1 and 0
	fmt.Printf("%.6f\n", exampleValue(loss.ProxyAnchor(embeddings, proxies, exampleInts(g, "labels", 0), loss.WithAlpha(1))))
	// Output: 0.713352
}

func ExampleUniformity() {
	g := G.NewGraph()
	x := exampleMatrix(g, "x", 2, 2, 5, 0, 0, 1) // squared distance 2
	fmt.Printf("%.6f\n", exampleValue(loss.Uniformity(x)))
	// Output: -4.000000
}

func ExampleVICReg() {
	g := G.NewGraph()
	x := exampleMatrix(g, "x", 2, 2, 1, 0, -1, 0)
	y := exampleMatrix(g, "y", 2, 2, 1, 1, -1, -1)
	// the variances are 2 and, in one view, 0
	fmt.Printf("%.6f\n", exampleValue(loss.VICReg(x, y)))
	// Output: 22.687500
}

func ExampleBarlowTwins() {
	g := G.NewGraph()
	x := exampleMatrix(g, "x", 2, 2, 1, 1, -1, -1)
	y := exampleMatrix(g, "y", 2, 2, 1, 1, -1, -1)
	// all four correlations are 1
	fmt.Printf("%.6f\n", exampleValue(loss.BarlowTwins(x, y, loss.WithEpsilon(0))))
	// Output: 0.010000
}
