package loss_test

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

func ExampleCTC() {
	g := G.NewGraph()
	// Two frames of a sequence with the classes blank, a and b, all equally likely.
	logits := exampleNode(g, "logits", make([]float64, 6), 2, 1, 3)
	targets := exampleNode(g, "targets", []int{1}, 1, 1)
	inputLengths, targetLengths := exampleNode(g, "frames", []int{2}, 1), exampleNode(g, "labels", []int{1}, 1)
	// 3 of 9 paths become "a": aa, a and blank, blank and a. -log(3/9)
	fmt.Printf("%.6f\n", exampleValue(loss.CTC(logits, targets, inputLengths, targetLengths)))
	// Output: 1.098612
}

func ExampleCTCFromLogProb() {
	g := G.NewGraph()
	logits := exampleNode(g, "logits", []float64{1, 2, 0, 0, 1, 3}, 2, 1, 3)
	logProb, err := loss.LogSoftmax(logits)
	if err != nil {
		panic(err)
	}
	targets := exampleNode(g, "targets", []int{1, 2}, 1, 2)
	inputLengths, targetLengths := exampleNode(g, "frames", []int{2}, 1), exampleNode(g, "labels", []int{2}, 1)
	// The only path is a, b: -log softmax(1, 2, 0)[1] - log softmax(0, 1, 3)[2], divided by 2 labels
	fmt.Printf("%.6f\n", exampleValue(loss.CTCFromLogProb(logProb, targets, inputLengths, targetLengths)))
	// Output: 0.288726
}

func ExampleLinearChainCRF() {
	g := G.NewGraph()
	// Two steps of two tags. All scores are 0 but that a 1 never follows a 1.
	emissions := exampleNode(g, "emissions", make([]float64, 4), 1, 2, 2)
	transitions := exampleNode(g, "transitions", []float64{0, 0, 0, math.Inf(-1)}, 2, 2)
	tags, lengths := exampleNode(g, "tags", []int{0, 1}, 1, 2), exampleNode(g, "lengths", []int{2}, 1)
	// One of three equally likely sequences: log 3
	fmt.Printf("%.6f\n", exampleValue(loss.LinearChainCRF(emissions, transitions, tags, lengths)))
	// Output: 1.098612
}

func ExampleRNNT() {
	g := G.NewGraph()
	// Two frames, one label, the classes blank and a, all equally likely.
	logits := exampleNode(g, "logits", make([]float64, 8), 1, 2, 2, 2)
	targets := exampleNode(g, "targets", []int{1}, 1, 1)
	inputLengths, targetLengths := exampleNode(g, "frames", []int{2}, 1), exampleNode(g, "labels", []int{1}, 1)
	// Two paths of three steps, a in the first frame or in the second: -log(2/8)
	fmt.Printf("%.6f\n", exampleValue(loss.RNNT(logits, targets, inputLengths, targetLengths)))
	// Output: 1.386294
}

func ExampleRNNTAdditive() {
	g := G.NewGraph()
	encoder := exampleNode(g, "encoder", []float64{0, 1, 2, 0}, 1, 2, 2)
	predictor := exampleNode(g, "predictor", []float64{0, 1, 1, 0}, 1, 2, 2)
	targets := exampleNode(g, "targets", []int{1}, 1, 1)
	inputLengths, targetLengths := exampleNode(g, "frames", []int{2}, 1), exampleNode(g, "labels", []int{1}, 1)
	// -log((σ(2)/2 + σ(-2)·σ(-1))·σ(3)): a in the first frame or in the second
	fmt.Printf("%.6f\n", exampleValue(loss.RNNTAdditive(encoder, predictor, targets, inputLengths, targetLengths)))
	// Output: 0.798396
}
