// Ranking learns to order images of digits from graded lists, by losses of whole lists and by the
// squared error of the grades.
//
//	go run ./examples/ranking
//
// The means of five seeds:
//
//	             NDCG@5
//	MSE          0.678
//	ListNet      0.709   +0.030, better with 5 of 5 seeds: earns its place (≥ 0.020)
//	LambdaRank   0.711   +0.033, better with 5 of 5 seeds: earns its place (≥ 0.020)
//	ApproxNDCG   0.702   +0.024, better with 5 of 5 seeds: earns its place (≥ 0.020)
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/paired"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func main() {
	seeds := program.Int("seeds", 5, 1, "number of runs of each loss")
	n := program.Int("lists", 200, 1, "number of training lists")
	epochs := program.Int("epochs", 30, 1, "passes over the training lists")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, *seeds, *n, *epochs) })
}

// scorer gives each image of a list a score of its own, linear in its pixels.
func scorer(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	x := G.Must(G.Reshape(in["items"], tensor.Shape{b.Batch() * items, digits.Side * digits.Side}))
	x, err := G.Reshape(G.Must(b.Dense("score", x, 1)), tensor.Shape{b.Batch(), items})
	return train.Nodes{"scores": x}, err
}

var losses = []paired.Candidate[loss.Func]{
	{Name: "MSE", Loss: loss.MSE},
	{Name: "ListNet", Loss: loss.ListNet},
	{Name: "LambdaRank", Loss: loss.With(loss.LambdaRank, loss.WithTopK(5))},
	{Name: "ApproxNDCG", Loss: loss.With(loss.ApproxNDCG, loss.WithTemperature(.1))},
}

// worth is the gain in NDCG@5 from which on a loss earns its place.
const worth = .02

func run(ctx context.Context, w io.Writer, seeds, n, epochs int) error {
	fmt.Fprintf(w, "500 lists of %d images, ordered by what was learnt from %d others; means of %d seeds\n\n", items, n, seeds)
	return paired.Compare(w, losses, seeds, worth, []string{"NDCG@5"}, func(l loss.Func, seed uint64) ([]float64, error) {
		known, err := lists(seed, n, false)
		if err != nil {
			return nil, err
		}
		test, err := lists(seed, 500, true)
		if err != nil {
			return nil, err
		}
		objective := train.Objective{{Output: "scores", Target: "relevance", Loss: l}}
		res, err := train.FitNamed(ctx, scorer, objective, known, train.Config{
			Epochs: epochs, BatchSize: 10, Optimizer: optim.Adam(.03), Schedule: optim.Cosine(0, 0), Seed: seed})
		if err != nil {
			return nil, err
		}
		v, err := res.EvaluateNamed(ctx, objective, test, metric.NewNDCG(5, metric.ExponentialGain))
		return []float64{v["ndcg@5"]}, err
	})
}
