package metric

import "fmt"

func ExampleScore() {
	// Two rows to which any of three classes apply, and what was predicted for them.
	b := Batch{Width: 3, Scores: []float64{1, 1, 1, 1, -1, -1}, Targets: []float64{0, 1, 1, 1, 1, 0}}
	for _, m := range []*Score{NewPrecision(3, Macro), NewRecall(3, Macro), NewF1(3, Macro), NewIoU(3, Macro), NewDice(3, Macro)} {
		if err := m.Update(b); err != nil {
			panic(err)
		}
		fmt.Printf("%-15s %.2f of the classes %.2f\n", m.Name(), m.Value(), m.PerClass())
	}
	// Output:
	// precision_macro 0.83 of the classes [0.50 1.00 1.00]
	// recall_macro    0.83 of the classes [1.00 0.50 1.00]
	// f1_macro        0.78 of the classes [0.67 0.67 1.00]
	// iou_macro       0.67 of the classes [0.50 0.50 1.00]
	// dice_macro      0.78 of the classes [0.67 0.67 1.00]
}

func ExampleOneVsRest() {
	m := NewOneVsRestAUROC(3, Macro)
	logits := []float64{
		3, 1, 0,
		1, 2, 0,
		0, 1, 4,
		4, 1, 1, // taken for class 0
	}
	if err := m.Update(Batch{Width: 3, Scores: logits, Labels: []int{0, 1, 2, 2}}); err != nil {
		panic(err)
	}
	fmt.Printf("%s %.3f of the classes %.2f\n", m.Name(), m.Value(), m.PerClass())
	// Output: auroc_macro 0.806 of the classes [0.67 1.00 0.75]
}

// Two lists of four documents with their relevance.
func ExampleRanking() {
	b := Batch{Width: 4,
		Scores:  []float64{4, 3, 2, 1, 1, 2, 3, 4},
		Targets: []float64{0, 2, 0, 1, 0, 0, 1, 0}}
	for _, m := range []Metric{NewNDCG(3, ExponentialGain), NewMRR(0), NewMAP(0), NewRecallAt(2), NewHitRate(1)} {
		if err := m.Update(b); err != nil {
			panic(err)
		}
		fmt.Printf("%-10s %.3f\n", m.Name(), m.Value())
	}
	// Output:
	// ndcg@3     0.576
	// mrr        0.500
	// map        0.500
	// recall@2   0.750
	// hit_rate@1 0.000
}

// Embeddings of two labels: does the nearest other row have the same?
func ExampleRetrieval() {
	m := NewRetrieval(NewHitRate(1), Cosine)
	embeddings := []float64{
		1, 0.1,
		5, 0.2,
		0, 1,
		1, 2,
		2, 1, // label 0 points more this way
	}
	if err := m.Update(Batch{Width: 2, Scores: embeddings, Labels: []int{0, 0, 1, 1, 1}}); err != nil {
		panic(err)
	}
	fmt.Printf("%s %.2f\n", m.Name(), m.Value())
	// Output: retrieval_hit_rate@1 0.80
}

// Risks of four patients, the times of their events, and one who was seen for 7 years without.
func ExampleConcordance() {
	m := NewConcordance()
	if err := m.Update(Batch{Width: 1, Scores: []float64{2.1, 0.3, 1.5, 1.7}, Targets: []float64{1, 7, 3, 5}, Labels: []int{1, 0, 1, 1}}); err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", m.Value()) // of 6 pairs only the events at 3 and 5 are in the wrong order
	// Output: 0.833
}

func ExampleErrorRate() {
	b := Batch{
		References: [][]int{Runes("the cat sat"), Runes("on the mat")},
		Decoded:    [][]int{Runes("the bat sat"), Runes("on mat")},
	}
	for _, m := range []Metric{NewCER(), NewWER(' ')} {
		if err := m.Update(b); err != nil {
			panic(err)
		}
		fmt.Printf("%s %.3f\n", m.Name(), m.Value()) // 1 + 4 of 21 characters, 1 + 1 of 6 words
	}
	// Output:
	// cer 0.238
	// wer 0.333
}

func ExampleEditDistance() {
	fmt.Println(EditDistance([]rune("kitten"), []rune("sitting")))
	// Output: 3
}
