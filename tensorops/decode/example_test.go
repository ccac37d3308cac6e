package decode_test

import (
	"errors"
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/tensorops/decode"
)

// Two tags, noun (0) and verb (1), over three words. The middle word looks like a noun, but verbs
// seldom follow one another and nouns neither.
func ExampleViterbi() {
	emissions := []float32{
		2, 0,
		1, 0.5,
		2, 0,
	}
	transitions := []float32{
		-1, 1, // from noun
		1, -1, // from verb
	}
	scores, tags, err := decode.Viterbi(emissions, [3]int{1, 3, 2}, transitions, nil)
	fmt.Println(scores, tags, err)
	// Output: [6.5] [0 1 0] <nil>
}

// Three frames over a blank and the labels 1 and 2.
var frames = []float64{
	math.Log(0.4), math.Log(0.6), math.Inf(-1),
	math.Log(0.5), math.Log(0.3), math.Log(0.2),
	math.Log(0.4), math.Inf(-1), math.Log(0.6),
}

func ExampleCTCGreedy() {
	best, err := decode.CTCGreedy(frames, [3]int{3, 1, 3}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v %.3f\n", best[0].Labels, math.Exp(best[0].LogProb)) // 0.6·0.5·0.6
	// Output: [1 2] 0.180
}

// The probability of a labelling is the sum over its paths.
func ExampleCTCBeam() {
	lists, err := decode.CTCBeam(frames, [3]int{3, 1, 3}, nil, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range lists[0] {
		fmt.Printf("%v %.3f\n", l.Labels, math.Exp(l.LogProb))
	}
	// Output:
	// [1 2] 0.480
	// [1] 0.240
	// [2] 0.200
	// [] 0.080
}

func ExampleCTCAlign() {
	a, err := decode.CTCAlign(frames, [3]int{3, 1, 3}, []int{1, 2}, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a[0].Path, a[0].Spans)
	// Output: [1 0 2] [{0 1} {2 3}]
}

// Two heaps go to two holes; the near holes cost 1 and 1.5.
func ExampleSinkhornPlan() {
	cost := []float64{
		1, 2,
		3, 1.5,
	}
	p, err := decode.SinkhornPlan(cost, [2]int{2, 2}, nil, nil, decode.WithEpsilon(1e-3))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f, cost %.4f, value %.7f\n", p.Mass, p.TransportCost, p.Value)
	// Output: [0.5000 0.0000 0.0000 0.5000], cost 1.2500, value 1.2506931
}

// What cannot be transported does not converge, and the error says by how much.
func ExampleSinkhornPlan_infeasible() {
	inf := math.Inf(1)
	p, err := decode.SinkhornPlan([]float64{0, inf, inf, 0}, [2]int{2, 2}, []float64{0.75, 0.25}, nil, decode.WithIterations(10))
	fmt.Println(errors.Is(err, decode.ErrNotConverged))
	fmt.Printf("off by %.2f\n", p.MarginalError)
	// Output:
	// true
	// off by 0.50
}
