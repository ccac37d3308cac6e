package train_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

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

func fit(ctx context.Context, table io.Reader) (*train.Result, error) {
	ds, err := data.CSV(table, data.CSVFormat{Header: true, Target: -1})
	if err != nil {
		return nil, err
	}
	model := func(b *train.Builder, x *G.Node) (*G.Node, error) {
		h, err := b.Dense("hidden", x, 16)
		if err != nil {
			return nil, err
		}
		return b.Dense("out", G.Must(G.Tanh(h)), len(ds.Classes))
	}
	return train.Fit(ctx, model, loss.CrossEntropy, ds, train.Config{
		Epochs: 100, Optimizer: optim.Adam(0.01), Metrics: []metric.Metric{metric.NewAccuracy()}, Progress: os.Stderr})
}

// Learn the classes of a table of text. The classes of this one are those of a chessboard of four
// squares, which no straight line tells apart.
func ExampleFit_table() {
	var table strings.Builder
	table.WriteString("east,north,colour\n")
	for i := range 64 {
		east, north := float64(i%8)-3.5, float64(i/8)-3.5
		colour := "white"
		if east*north > 0 {
			colour = "black"
		}
		fmt.Fprintf(&table, "%v,%v,%s\n", east/4, north/4, colour)
	}
	res, err := fit(context.Background(), strings.NewReader(table.String()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("learned:", res.History.Last("accuracy") > 0.9)
	// Output:
	// learned: true
}
