package train_test

import (
	"context"
	"fmt"
	"log"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

// Answer one request, and a stream of which nobody knows the end.
func ExampleNet_PredictStream() {
	ds, err := data.Classes([][]float64{{-2}, {-1}, {1}, {2}}, []int{0, 0, 1, 1})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	model := func(b *train.Builder, x *G.Node) (*G.Node, error) { return b.Dense("out", x, 2) }
	net, err := train.Fit(ctx, model, loss.CrossEntropy, ds, train.Config{
		Epochs: 100, Optimizer: optim.Adam(0.1), Classes: map[string][]string{"target": {"negative", "positive"}}})
	if err != nil {
		log.Fatal(err)
	}
	name := func(out train.Row) string {
		logits, best := out["output"].F32, 0
		if logits[1] > logits[0] {
			best = 1
		}
		return net.ClassName("target", best)
	}
	out, err := net.PredictRow(ctx, train.Row{"input": {F64: []float64{3}}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("3 is", name(out))

	stream := func(yield func(train.Row, error) bool) {
		for x := -4.0; yield(train.Row{"input": {F64: []float64{x}}}, nil); x += 3 {
		}
	}
	seen := 0
	for out, err := range net.PredictStream(ctx, stream, 1) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name(out))
		if seen++; seen == 3 {
			break
		}
	}
	// Output:
	// 3 is positive
	// negative
	// negative
	// positive
}
