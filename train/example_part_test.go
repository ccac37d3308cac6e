package train_test

import (
	"context"
	"fmt"
	"log"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	"github.com/surprisal-go/surprisal/train/weights"
)

// Train an autoencoder of pairs of numbers on numbers as they are, use its decoder alone, and begin
// another run with its encoder, which is frozen.
func ExampleNet_Part() {
	x := data.Numbers([][]float64{{100, 210}, {120, 248}, {80, 172}, {110, 230}})
	pairs, err := data.NewFrame(map[string]data.Series{"x": x}, map[string]data.Series{"x": x})
	if err != nil {
		log.Fatal(err)
	}
	decode := func(b *train.Builder, in train.Nodes) (train.Nodes, error) {
		x, err := b.Dense("decoder.x", in["code"], 2)
		return train.Nodes{"x": x}, err
	}
	model := func(b *train.Builder, in train.Nodes) (train.Nodes, error) {
		code, err := b.Dense("encoder.code", in["x"], 1)
		if err != nil {
			return nil, err
		}
		return decode(b, train.Nodes{"code": code})
	}
	scaling, err := data.Standardize(pairs, "x")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	objective := train.Objective{{Output: "x", Target: "x", Loss: loss.MSE}}
	cfg := train.Config{Epochs: 2, Optimizer: optim.Adam(0.1), Scaling: map[string]data.Scaling{"x": scaling}}
	res, err := train.FitNamed(ctx, model, objective, pairs, cfg)
	if err != nil {
		log.Fatal(err)
	}

	decoder, err := res.Part("decoder.", decode, map[string]data.Field{"code": {Kind: data.Float, Shape: []int{1}}})
	if err != nil {
		log.Fatal(err)
	}
	codes, err := data.NewFrame(map[string]data.Series{"code": data.Numbers([][]float64{{-1}, {0}, {1}})}, nil)
	if err != nil {
		log.Fatal(err)
	}
	out, err := decoder.PredictNamed(ctx, codes)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("decoded", out["x"].Shape())

	cfg.Initial = weights.WithPrefix(res.Params(), "encoder.")
	cfg.Groups = []optim.Group{{Match: "encoder.*", Frozen: true}}
	again, err := train.FitNamed(ctx, model, objective, pairs, cfg)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("frozen:", again.Params()[0].F32[0] == res.Params()[0].F32[0])
	// Output:
	// decoded (3, 2)
	// frozen: true
}
