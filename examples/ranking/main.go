// Ranking learns to order images of digits from graded lists, by losses of whole lists and by the
// squared error of the grades.
//
//	go run ./examples/ranking
//
// The means of five seeds:
//
//	MSE         0.665
//	ListNet     0.697  +0.032, better with 5 of 5 seeds: earns its place, which takes 0.020
//	LambdaRank  0.693  +0.028, better with 5 of 5 seeds: earns its place, which takes 0.020
//	ApproxNDCG  0.691  +0.026, better with 5 of 5 seeds: earns its place, which takes 0.020
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/paired"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	"gonum.org/v1/gonum/stat"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func main() {
	seeds := flag.Int("seeds", 5, "number of runs of each loss")
	n := flag.Int("lists", 200, "number of training lists")
	epochs := flag.Int("epochs", 30, "passes over the training lists")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *seeds, *n, *epochs); err != nil {
		log.Fatal(err)
	}
}

// scorer gives each image of a list a score of its own, linear in its pixels.
func scorer(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	x, err := G.Reshape(in["items"], tensor.Shape{b.Batch() * items, digits.Side * digits.Side})
	if err != nil {
		return nil, err
	}
	if x, err = b.Dense("score", x, 1); err != nil {
		return nil, err
	}
	x, err = G.Reshape(x, tensor.Shape{b.Batch(), items})
	return train.Nodes{"scores": x}, err
}

var losses = []struct {
	name string
	fn   loss.Func
}{
	{"MSE", loss.MSE},
	{"ListNet", loss.ListNet},
	{"LambdaRank", loss.With(loss.LambdaRank, loss.WithTopK(5))},
	{"ApproxNDCG", loss.With(loss.ApproxNDCG, loss.WithTemperature(.1))},
}

// worth is the gain in NDCG@5 from which on a loss earns its place.
const worth = .02

func run(ctx context.Context, w io.Writer, seeds, n, epochs int) error {
	results := make([][]float64, len(losses)) // by loss and seed
	for seed := range uint64(seeds) {
		known, err := lists(rand.New(rand.NewPCG(seed, 0)), n, false)
		if err != nil {
			return err
		}
		test, err := lists(rand.New(rand.NewPCG(seed, 1)), 500, true)
		if err != nil {
			return err
		}
		for i, l := range losses {
			objective := train.Objective{{Output: "scores", Target: "relevance", Loss: l.fn}}
			res, err := train.FitNamed(ctx, scorer, objective, known, train.Config{
				Epochs: epochs, BatchSize: 10, Optimizer: optim.Adam(.03), Schedule: optim.Cosine(0, 0), Seed: seed})
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			v, err := res.EvaluateNamed(ctx, objective, test, metric.NewNDCG(5, metric.ExponentialGain))
			if err != nil {
				return err
			}
			results[i] = append(results[i], v["ndcg@5"])
		}
	}
	fmt.Fprintf(w, "NDCG@5 of 500 lists of %d images, learnt from %d others; means of %d seeds\n\n", items, n, seeds)
	for i, l := range losses {
		fmt.Fprintf(w, "%-12s%.3f", l.name, stat.Mean(results[i], nil))
		if i > 0 {
			fmt.Fprint(w, "  ", paired.Verdict(results[0], results[i], worth))
		}
		fmt.Fprintln(w)
	}
	return nil
}
