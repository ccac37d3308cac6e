package train_test

import (
	"fmt"
	"log"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
)

// Learn online, from examples that come one at a time: y = 2x + 1.
func ExampleTrainer() {
	t, err := train.NewTrainer(train.TrainerConfig{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	number := data.Field{Kind: data.Float, Shape: []int{1}}
	line := func(b *train.Builder, in train.Nodes) (train.Nodes, error) {
		y, err := b.Dense("line", in["x"], 1)
		return train.Nodes{"y": y}, err
	}
	step, err := t.NewStep("learn", train.StepConfig{
		Model:     line,
		Objective: train.Objective{{Output: "y", Target: "y", Loss: loss.MSE}},
		Fields:    data.Fields{Inputs: map[string]data.Field{"x": number}, Targets: map[string]data.Field{"y": number}},
		BatchSize: 1,
		Optimizer: optim.SGD(0.1),
	})
	if err != nil {
		log.Fatal(err)
	}
	b := step.NewBatch()
	var values train.Values
	for step.Updates() < 300 {
		x := float32(step.Updates()%5) - 2
		b.SetLen(1)
		b.In["x"].F32[0], b.Out["y"].F32[0] = x, 2*x+1
		if values, err = step.Run(b); err != nil {
			log.Fatal(err)
		}
		if _, err := step.Apply(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(step.Updates(), "updates, learned:", values["loss"] < 1e-6)
	// Output:
	// 300 updates, learned: true
}
