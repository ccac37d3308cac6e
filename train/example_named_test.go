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
)

// Fit a model of two inputs, a category and a number, to two targets, a class and a real number.
func ExampleFitNamed() {
	var colours, ripe []int
	var sizes, prices [][]float64
	for i := range 60 {
		colour, size := i%3, float64(i%5)-2
		colours, sizes = append(colours, colour), append(sizes, []float64{size})
		prices, ripe = append(prices, []float64{0.5*size + float64(colour)}), append(ripe, min(colour, 1))
	}
	fruit, err := data.NewFrame(
		map[string]data.Series{"colour": data.Labels(colours), "size": data.Numbers(sizes)},
		map[string]data.Series{"ripe": data.Labels(ripe), "price": data.Numbers(prices)})
	if err != nil {
		log.Fatal(err)
	}
	model := func(b *train.Builder, in train.Nodes) (train.Nodes, error) {
		colour, err := b.Embedding("colour", in["colour"], 3, 2)
		if err != nil {
			return nil, err
		}
		x, err := b.Concat(colour, in["size"])
		if err != nil {
			return nil, err
		}
		ripe, err := b.Dense("ripe", x, 2)
		if err != nil {
			return nil, err
		}
		price, err := b.Dense("price", x, 1)
		return train.Nodes{"ripe": ripe, "price": price}, err
	}
	objective := train.Objective{
		{Output: "ripe", Target: "ripe", Loss: loss.CrossEntropy},
		{Output: "price", Target: "price", Loss: loss.MSE, Factor: 0.5},
	}
	res, err := train.FitNamed(context.Background(), model, objective, fruit, train.Config{
		Epochs: 100, BatchSize: 20, Optimizer: optim.Adam(0.05), Seed: 1, Metrics: []metric.Metric{metric.NewAccuracy()},
	})
	if err != nil {
		log.Fatal(err)
	}
	h := res.History
	fmt.Println(h.Names())
	fmt.Println("accuracy", h.Last("accuracy"), " price learned:", h.Last("price") < 0.01)
	// Output:
	// [loss accuracy price ripe]
	// accuracy 1  price learned: true
}
