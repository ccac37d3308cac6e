package main

import (
	"context"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	pixels = digits.Side * digits.Side
	width  = 16 // random numbers that the generator makes an image of
	batch  = 64
	rounds = 3 // updates of the critic for each of the generator
)

// generate makes images from random numbers.
func generate(b *train.Builder, noise *G.Node) (*G.Node, error) {
	h := G.Must(G.Rectify(G.Must(b.Dense("generator.hidden", noise, 128))))
	return G.Sigmoid(G.Must(b.Dense("generator.image", h, pixels)))
}

// scores gives each of the images in a row a score, as shape (rows, images in a row).
func scores(b *train.Builder, images ...*G.Node) (*G.Node, error) {
	x := G.Must(G.Reshape(G.Must(b.Concat(images...)), tensor.Shape{b.Batch() * len(images), pixels}))
	h := G.Must(G.LeakyRelu(G.Must(b.Dense("critic.hidden", x, 128)), 0.2))
	return G.Reshape(G.Must(b.Dense("critic.score", h, 1)), tensor.Shape{b.Batch(), len(images)})
}

// column is one of the scores of each row.
func column(scores *G.Node, k int) *G.Node { return G.Must(G.Slice(scores, nil, G.S(k))) }

// criticNetwork is what the critic learns by: the scores of true and of generated images, and the
// squared difference from 1 of the length of the score's gradient, somewhere on the line between
// them.
func criticNetwork(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	fake, err := generate(b, in["noise"])
	if err != nil {
		return nil, err
	}
	way := G.Must(G.BroadcastHadamardProd(G.Must(G.Sub(in["image"], fake)), in["place"], nil, []byte{1}))
	between := G.Must(G.Add(fake, way))
	scores, err := scores(b, in["image"], fake, between)
	if err != nil {
		return nil, err
	}
	// No other image depends on those between, so these are the slopes of their own scores. The
	// square root has no derivative at 0.
	slope, err := loss.Gradients(G.Must(G.Sum(scores)), between)
	if err != nil {
		return nil, err
	}
	square := G.Must(G.Add(G.Must(G.Sum(G.Must(G.Square(slope[0])), 1)), G.NewConstant(float32(1e-12))))
	excess := G.Must(G.Square(G.Must(G.Sub(G.Must(G.Sqrt(square)), G.NewConstant(float32(1))))))
	return train.Nodes{"true": column(scores, 0), "false": column(scores, 1), "excess": excess}, nil
}

// generatorNetwork is what the generator learns by: the scores of its images.
func generatorNetwork(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	fake, err := generate(b, in["noise"])
	if err != nil {
		return nil, err
	}
	scores, err := scores(b, fake)
	return train.Nodes{"false": column(scores, 0)}, err
}

// mean is a term of an objective: the mean of an output.
func mean(output string, factor float64) train.Term {
	return train.Term{Name: output, Factor: factor, Build: func(out, _ train.Nodes, opts ...loss.Option) (*G.Node, error) {
		return loss.Reduce(out[output], opts...)
	}}
}

// game is the two networks, each with the step that moves it and leaves the other alone.
type game struct {
	*train.Trainer
	critic, generator *train.Step
	images            [][]float64 // true ones
	seed              uint64
}

func newGame(images [][]float64, seed uint64) (g *game, err error) {
	g = &game{images: images, seed: seed}
	if g.Trainer, err = train.NewTrainer(train.TrainerConfig{Seed: seed}); err != nil {
		return nil, err
	}
	numbers := func(n int) data.Field { return data.Field{Kind: data.Float, Shape: []int{n}} }
	adam := optim.Adam(1e-3, optim.WithBetas(0.5, 0.9))
	g.critic, err = g.NewStep("critic", train.StepConfig{
		Model: criticNetwork, Objective: train.Objective{mean("false", 1), mean("true", -1), mean("excess", 10)},
		Fields:    data.Fields{Inputs: map[string]data.Field{"image": numbers(pixels), "noise": numbers(width), "place": numbers(1)}},
		BatchSize: batch, Optimizer: adam, Groups: []optim.Group{{Match: "generator.*", Frozen: true}},
	})
	if err != nil {
		return nil, err
	}
	g.generator, err = g.NewStep("generator", train.StepConfig{
		Model: generatorNetwork, Objective: train.Objective{mean("false", -1)}, Fields: data.Fields{Inputs: map[string]data.Field{"noise": numbers(width)}},
		BatchSize: batch, Optimizer: adam, Groups: []optim.Group{{Match: "critic.*", Frozen: true}},
	})
	return g, err
}

// move makes an update. Its images and numbers depend on the seed and the number of the update.
func (g *game) move(s *train.Step) (train.Values, error) {
	r := data.Rand(g.seed, s.Name(), uint64(s.Updates()))
	b := s.NewBatch()
	b.SetLen(batch)
	for i := range b.In["noise"].F32 {
		b.In["noise"].F32[i] = float32(r.NormFloat64())
	}
	for i := range b.In["place"].F32 {
		b.In["place"].F32[i] = r.Float32()
		for k, v := range g.images[r.IntN(len(g.images))] {
			b.In["image"].F32[i*pixels+k] = float32(v)
		}
	}
	values, err := s.Run(b)
	if err == nil {
		_, err = s.Apply()
	}
	return values, err
}

// play makes a round of updates and returns the critic's last values.
func (g *game) play(ctx context.Context) (values train.Values, err error) {
	for range rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if values, err = g.move(g.critic); err != nil {
			return nil, err
		}
	}
	_, err = g.move(g.generator)
	return values, err
}

// generated are n new images.
func (g *game) generated(ctx context.Context, n int) (images [][]float64, err error) {
	r := data.Rand(g.seed, "generated", 0)
	noise := make([][]float64, n)
	for i := range noise {
		for range width {
			noise[i] = append(noise[i], r.NormFloat64())
		}
	}
	frame, err := data.NewFrame(map[string]data.Series{"noise": data.Numbers(noise)}, nil)
	if err != nil {
		return nil, err
	}
	net, err := g.Net(func(b *train.Builder, in train.Nodes) (train.Nodes, error) {
		image, err := generate(b, in["noise"])
		return train.Nodes{"image": image}, err
	}, frame.Fields())
	if err != nil {
		return nil, err
	}
	out, err := net.PredictNamed(ctx, frame)
	if err != nil {
		return nil, err
	}
	images = make([][]float64, n)
	for i, v := range out["image"].Data().([]float32) {
		images[i/pixels] = append(images[i/pixels], float64(v))
	}
	return images, nil
}
