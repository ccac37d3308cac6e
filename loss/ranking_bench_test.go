package loss_test

import (
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// listShapes are lists and their items: result pages, and the candidates of a first stage.
var listShapes = [][2]int{{1024, 100}, {64, 1000}}

// The losses of lists whose speed is watched; BenchmarkGraph runs them.
var listGraphs = []graphBenchmark{
	{loss: "ListNet", fn: loss.ListNet, target: fiveGrades},
	{loss: "ListMLE", fn: loss.ListMLE, target: fiveGrades},
	{loss: "LambdaRank", fn: loss.LambdaRank, target: fiveGrades},
	{loss: "ApproxNDCG", fn: loss.ApproxNDCG, target: fiveGrades},
}

// fiveGrades returns relevances of 0 to 4, equally many of each, in no order that scores have.
func fiveGrades(x []float64, _ int) []float64 {
	out := make([]float64, len(x))
	for i := range out {
		out[i] = float64(i * 7 % 5)
	}
	return out
}

// BenchmarkLambdaRankPairs measures value and gradient of one list of 1,000 items without a graph,
// per pair of items of different relevance.
func BenchmarkLambdaRankPairs(b *testing.B) {
	const n, pairs = 1000, 4 * 1000 * 1000 / 5 / 2
	d := &graphData{r: rand.New(rand.NewPCG(1, 2))}
	scores, relevance := d.uniform(n, -3, 3), fiveGrades(make([]float64, n), n)
	l, err := eager.LambdaRank()
	if err != nil {
		b.Fatal(err)
	}
	grad := make([]float64, n)
	for b.Loop() {
		if _, err := l.ValueGradient(eager.Slice(grad, n), eager.Data{}, eager.Slice(scores, n), eager.Slice(relevance, n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pairs, "ns/pair")
}
