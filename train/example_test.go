package train_test

import (
	"context"
	"fmt"
	"log"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

// Fit a line between two clouds of points, and ask it about two new ones.
func ExampleFit() {
	points := [][]float64{{0, 1}, {1, 2}, {0, 2}, {2, 0}, {3, 1}, {2, 1}}
	ds, err := data.Classes(points, []int{0, 0, 0, 1, 1, 1})
	if err != nil {
		log.Fatal(err)
	}
	model := func(b *train.Builder, x *G.Node) (*G.Node, error) { return b.Dense("out", x, 2) }
	res, err := train.Fit(context.Background(), model, loss.CrossEntropy, ds, train.Config{
		Epochs: 100, BatchSize: 4, Optimizer: optim.Adam(0.1), Seed: 1, Metrics: []metric.Metric{metric.NewAccuracy()},
	})
	if err != nil {
		log.Fatal(err)
	}
	fresh, err := data.Rows([][]float64{{0, 3}, {3, 0}})
	if err != nil {
		log.Fatal(err)
	}
	logits, err := res.Predict(context.Background(), fresh)
	if err != nil {
		log.Fatal(err)
	}
	l := logits.Data().([]float32)
	fmt.Println("accuracy", res.History.Last("accuracy"))
	fmt.Println("first is of class 0:", l[0] > l[1], " second of class 1:", l[3] > l[2])
	// Output:
	// accuracy 1
	// first is of class 0: true  second of class 1: true
}
