// Vae trains a variational autoencoder of handwritten digits: an encoder that turns an image into
// the mean and the variance of a code of a few numbers, and a decoder that turns a code into
// an image. Its loss has two terms by name, what the image costs and what the code costs.
//
//	go run ./examples/vae
//
// The decoder alone, fed with random codes, makes new digits.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/optim"
	G "gorgonia.org/gorgonia"
)

func main() {
	seed := program.Seed("initial weights, shuffling, noise and samples")
	epochs := program.Int("epochs", 200, 1, "passes over the training images")
	out := program.Out("vae")
	program.Main(func(ctx context.Context) error { return run(ctx, os.Stdout, os.Stderr, *seed, *epochs, *out) })
}

const (
	pixels = digits.Side * digits.Side
	width  = 8 // numbers in a code
)

// layers is a dense layer of 128 rectified units with dense layers for outputs behind it.
func layers(b *train.Builder, prefix string, x *G.Node, outputs map[string]int) (train.Nodes, error) {
	h := G.Must(G.Rectify(G.Must(b.Dense(prefix+"hidden", x, 128))))
	out := make(train.Nodes)
	for name, units := range outputs {
		out[name] = G.Must(b.Dense(prefix+name, h, units))
	}
	return out, nil
}

// encode makes the mean and the logarithm of the variance of a code.
func encode(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	return layers(b, "encoder.", in["image"], map[string]int{"mean": width, "logvar": width})
}

// decode makes the logits of an image from a code.
func decode(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	return layers(b, "decoder.", in["code"], map[string]int{"image": pixels})
}

// model encodes, draws a code, mean + exp(logvar/2)·noise, and decodes it.
func model(b *train.Builder, in train.Nodes) (train.Nodes, error) {
	out, err := encode(b, in)
	if err != nil {
		return nil, err
	}
	noise, half := G.Must(b.Noise("code", width)), G.NewConstant(float32(0.5))
	deviation := G.Must(G.Exp(G.Must(G.HadamardProd(out["logvar"], half))))
	code := G.Must(G.Add(out["mean"], G.Must(G.HadamardProd(deviation, noise))))
	image, err := decode(b, train.Nodes{"code": code})
	if err != nil {
		return nil, err
	}
	out["image"] = image["image"]
	return out, nil
}

// objective is the negative evidence lower bound in nats per image: the cross-entropy of the pixels
// and the divergence of the code's distribution from that which new codes are drawn from.
var objective = train.Objective{
	{Name: "pixels", Output: "image", Target: "image", Loss: loss.BinaryCrossEntropy, Factor: pixels},
	{Name: "code", Build: func(out, _ train.Nodes, opts ...loss.Option) (*G.Node, error) {
		return loss.StandardGaussianKL(out["mean"], out["logvar"], opts...)
	}},
}

// load returns the training images and those for the test, each as an input and as a target.
func load() (training, test data.Records, err error) {
	images, _, err := digits.Images()
	if err != nil {
		return nil, nil, err
	}
	series := map[string]data.Series{"image": data.Numbers(images)}
	all, err := data.NewFrame(series, series)
	if err != nil {
		return nil, nil, err
	}
	return data.SplitRecords(all, digits.Held)
}

func run(ctx context.Context, w, progress io.Writer, seed uint64, epochs int, out string) error {
	training, test, err := load()
	if err != nil {
		return err
	}
	res, err := train.FitNamed(ctx, model, objective, training, train.Config{
		Epochs: epochs, BatchSize: 64, Optimizer: optim.Adam(2e-3), Seed: seed, Progress: progress,
	})
	if err != nil {
		return err
	}
	h := res.History
	fmt.Fprintf(w, "%d epochs in %.1f s; nats per training image: %.2f for the pixels, %.2f for the code\n",
		len(h.Epochs), h.Seconds(), pixels*h.Last("pixels"), h.Last("code"))
	code := map[string]data.Field{"code": {Kind: data.Float, Shape: []int{width}}}
	decoder, err := res.Part("decoder.", decode, code)
	if err != nil {
		return err
	}
	encoder, err := res.Part("encoder.", encode, training.Fields().Inputs)
	if err != nil {
		return err
	}
	if err := measure(ctx, w, encoder, decoder, training, test, seed); err != nil {
		return err
	}
	return draw(ctx, w, encoder, decoder, test, seed, out)
}
