package loss_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
)

// pixelNumbers are n different numbers within scale of offset.
func pixelNumbers(n int, scale, offset float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		_, f := math.Modf(0.6180339887498949 * float64(i+1))
		x[i] = offset + scale*(2*f-1)
	}
	return x
}

// eachPixel returns the masked entries of an operand (images, classes, pixels), or with the classes
// last.
func eachPixel(classes, pixels int, last bool) func(i int) []int {
	return func(i int) (out []int) {
		for c := range classes {
			if last {
				out = append(out, i*classes+c)
			} else {
				out = append(out, (i/pixels*classes+c)*pixels+i%pixels)
			}
		}
		return out
	}
}

func init() {
	images := func(operand string, classes int, last, soft bool) []groupInput {
		shape := []int{3, classes, 2, 3}
		if last {
			shape = []int{3, 2, 3, classes}
		}
		x := groupInput{name: operand, shape: shape, x: pixelNumbers(18*classes, 1.5, 0.1), masked: eachPixel(classes, 6, last)}
		if operand == "prob" {
			x.x = pixelNumbers(18*classes, 0.49, 0.5)
		}
		y := groupInput{name: "target", shape: []int{3, 2, 3}, ints: make([]int, 18), masked: everyRow(1)}
		for i := range y.ints {
			if y.ints[i] = (i*i + i/5) % max(2, classes); classes > 2 && i < 6 {
				y.ints[i] = i % 2 // the first image lacks a class
			}
		}
		if soft {
			y = groupInput{name: "target", shape: shape, x: pixelNumbers(18*classes, 0.4, 0.45), data: true, masked: x.masked}
		}
		return []groupInput{x, y}
	}
	problem := func(name, title string, inputs []groupInput, opts ...loss.Option) {
		groupProblems = append(groupProblems,
			groupProblem{loss: name, title: title, inputs: inputs, mask: []int{3, 2, 3}, weights: []int{3}, opts: opts})
	}
	pooled := func(name string, inputs []groupInput, opts ...loss.Option) {
		groupProblems = append(groupProblems, groupProblem{loss: name, title: "pooled", inputs: inputs, mask: []int{3, 2, 3}, kinks: strings.HasPrefix(name, "Lovasz"), opts: append(opts, loss.WithPooled())})
	}
	ratios := []struct {
		name string
		opts []loss.Option
	}{{"Dice", nil}, {"GeneralizedDice", []loss.Option{loss.WithPower(1)}}, {"Jaccard", nil},
		{"Tversky", []loss.Option{loss.WithAlpha(0.3), loss.WithBeta(0.9)}}, {"FocalTversky", []loss.Option{loss.WithAlpha(0.7), loss.WithGamma(1.5)}}}
	for _, l := range ratios {
		weighed := append(slices.Clone(l.opts), loss.WithClassWeights([]float64{0.5, 2, 1.25}),
			loss.WithBackground(false), loss.WithSmooth(0.25), loss.WithEpsilon(0.5))
		problem(l.name, "labels", images("logits", 3, false, false))
		problem(l.name, "class weights", images("logits", 3, false, false), weighed...)
		problem(l.name, "classes last", images("logits", 3, true, true),
			append(slices.Clone(l.opts), loss.WithAxis(-1), loss.WithSquared())...)
		problem(l.name, "one class", images("logits", 1, false, false), l.opts...)
		problem(l.name, "several labels", images("logits", 2, false, true),
			append(slices.Clone(l.opts), loss.WithMultiLabel(), loss.WithSemimetric())...)
		pooled(l.name, images("logits", 3, false, false), weighed...)
		problem(l.name+"FromProb", "labels", images("prob", 3, true, false),
			append(slices.Clone(l.opts), loss.WithAxis(-1), loss.WithSquared())...)
		problem(l.name+"FromProb", "soft", images("prob", 2, false, true),
			append(slices.Clone(l.opts), loss.WithSemimetric())...)
		pooled(l.name+"FromProb", images("prob", 3, false, true), weighed...)
		if l.name != "GeneralizedDice" {
			problem(l.name, "present classes", images("logits", 3, false, false),
				append(slices.Clone(l.opts), loss.WithPresentOnly())...)
			problem(l.name+"FromProb", "present classes", images("prob", 3, false, true),
				append(slices.Clone(l.opts), loss.WithPresentOnly())...)
		}
	}
	// The errors of these seeds are 0.035 apart, more than the steps of differences. Those of pooled
	// images are not.
	apart := func(inputs []groupInput, seed uint64) []groupInput {
		r := rand.New(rand.NewPCG(seed, 1))
		for i := range inputs[0].x {
			inputs[0].x[i] = 1.5 * r.NormFloat64()
		}
		return inputs
	}
	problem("LovaszSoftmax", "labels", apart(images("logits", 3, false, false), 197341))
	problem("LovaszSoftmax", "present classes", apart(images("logits", 3, true, false), 363625), loss.WithAxis(-1),
		loss.WithPresentOnly(), loss.WithClassWeights([]float64{0.5, 2, 1.25}))
	problem("LovaszSoftmax", "one class", images("logits", 1, false, false))
	pooled("LovaszSoftmax", images("logits", 3, false, false), loss.WithBackground(false))
	problem("LovaszSoftmaxFromProb", "labels", images("prob", 3, false, false))
	pooled("LovaszSoftmaxFromProb", images("prob", 3, false, false), loss.WithPresentOnly())
	flat := []groupInput{{name: "logits", shape: []int{3, 2, 3}, x: pixelNumbers(18, 1.7, 0.05), masked: everyRow(1)}, images("logits", 2, false, false)[1]}
	problem("LovaszHinge", "labels", flat)
	pooled("LovaszHinge", flat)
}
