package main

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/train/data"
)

const (
	items  = 20 // of a list
	grades = 5  // 0 to 4
)

// lists are n lists of images, each graded by a judge who prefers large digits. What an image is
// worth to a judge is its digit with noise; judges differ in how generous they are. No image is in
// training and in test lists.
func lists(seed uint64, n int, test bool) (*data.Frame, error) {
	images, labels, err := digits.Part(test)
	if err != nil {
		return nil, err
	}
	r := data.Rand(seed, fmt.Sprint("lists, test ", test), 0)
	var pixels, relevance [][]float64
	for range n {
		var list, grade []float64
		generous := 2 * r.NormFloat64()
		for range items {
			image := r.IntN(len(images))
			value := float64(labels[image]) + 1.5*r.NormFloat64() + generous
			list = append(list, images[image]...)
			grade = append(grade, min(max(math.Round((value-5)/1.5), 0), grades-1))
		}
		pixels, relevance = append(pixels, list), append(relevance, grade)
	}
	return data.NewFrame(map[string]data.Series{"items": data.Numbers(pixels)},
		map[string]data.Series{"relevance": data.Numbers(relevance)})
}
