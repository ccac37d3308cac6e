package main

import (
	"fmt"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/train/data"
)

const (
	side  = 16 // pixels of a scene, in both directions
	noise = .6 // standard deviation of the noise, under the digit and around it
	ink   = .5 // how bright a pixel of a digit is, in [0, 1], to be one of its mask
)

// scenes are n pictures of noise, each with a digit pasted on it, and the masks of the digits. No
// digit is in training and in test scenes.
func scenes(seed uint64, n int, test bool) (*data.Table, error) {
	images, _, err := digits.Part(test)
	if err != nil {
		return nil, err
	}
	r := data.Rand(seed, fmt.Sprint("scenes, test ", test), 0)
	x, y := data.Column{F32: make([]float32, n*side*side)}, data.Column{Int: make([]int, n*side*side)}
	for i := range x.F32 {
		x.F32[i] = float32(noise * r.NormFloat64())
	}
	for i := range n {
		corner := i*side*side + r.IntN(side-digits.Side+1)*side + r.IntN(side-digits.Side+1)
		for k, p := range images[r.IntN(len(images))] {
			at := corner + k/digits.Side*side + k%digits.Side
			x.F32[at] += float32(p)
			if p >= ink {
				y.Int[at] = 1
			}
		}
	}
	return data.NewTable(n, data.Spec{
		Input:  data.Field{Kind: data.Float, Shape: []int{side, side, 1}},
		Target: data.Field{Kind: data.Int, Shape: []int{side, side}},
	}, x, y)
}
