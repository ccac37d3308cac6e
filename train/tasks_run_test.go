package train_test

import (
	"maps"
	"slices"
	"testing"
)

var tasks = []task{
	{name: "logistic", score: "accuracy", epochs: 200, want: 0.9171, deviation: 0.0145, ours: logistic,
		hand: map[string]program{"gorgonia": logisticByHand, "gonum": logisticByGonum}},
	{name: "iris", score: "accuracy", epochs: 60, want: 0.96, deviation: 0.027, ours: irises,
		hand: map[string]program{"gorgonia": irisesByHand}},
	{name: "convolution", score: "accuracy", epochs: 2, want: 0.9393, deviation: 0.008, ours: convolution,
		hand: map[string]program{"gorgonia": convolutionByHand}},
	{name: "characters", score: "bits", lower: true, epochs: 1, want: 3.957, deviation: 0.025, ours: characters,
		hand: map[string]program{"gorgonia": charactersByHand}},
	{name: "autoencoder", score: "nats", lower: true, epochs: 10, want: 23.66, deviation: 0.15, ours: autoencoder,
		hand: map[string]program{"gorgonia": autoencoderByHand}},
	{name: "words", score: "auroc", epochs: 1, want: 0.9037, deviation: 0.0011, ours: words,
		hand: map[string]program{"gorgonia": wordsByGorgonia, "go": wordsByHand}},
}

// TestTasks: this package does what is done by hand as well, within three deviations from seed to
// seed.
func TestTasks(t *testing.T) {
	if testing.Short() {
		t.Skip("the trainings take minutes under the race detector, and other tests train under it")
	}
	for _, task := range tasks {
		t.Run(task.name, func(t *testing.T) {
			got := task.ours(t, task.epochs, 0)
			worse := task.want - got
			if task.lower {
				worse = -worse
			}
			if !(worse <= 3*task.deviation) {
				t.Errorf("%s %.4f, want %v", task.score, got, task.want)
			}
		})
	}
}

// BenchmarkTask is a whole training, with the reading of the examples and the test, by this package
// and by hand. The score is the mean of all runs, each of which has a seed of its own.
func BenchmarkTask(b *testing.B) {
	for _, task := range tasks {
		run := func(by string, p program) {
			b.Run("task="+task.name+"/impl="+by, func(b *testing.B) {
				var sum, n float64
				for b.Loop() {
					sum += p(b, task.epochs, uint64(n))
					n++
				}
				b.ReportMetric(sum/n, task.score)
			})
		}
		run("train", task.ours)
		for _, by := range slices.Sorted(maps.Keys(task.hand)) {
			run(by, task.hand[by])
		}
	}
}
