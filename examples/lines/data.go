package main

import (
	"github.com/surprisal-go/surprisal/examples/internal/digits"
	"github.com/surprisal-go/surprisal/train/data"
)

const (
	fewest, most = 3, 8 // digits in a line
	widest       = 4    // columns of a gap, which is before, after and between digits
	longest      = most*digits.Side + (most+1)*widest
	margin       = window / 2 // columns of paper on both sides, so that each column has a window
)

// lines are lines of digits: as records, which have all of this by name, and as they are.
type lines struct {
	records *data.Frame
	pixels  [][]float64 // digits.Side rows of longest + 2·margin pixels
	digits  [][]int
	columns []int // that are there
}

// newLines makes n lines of a part of the images: of those for training or, with held, of those for
// the test.
func newLines(part func(held bool) ([][]float64, []int, error), held bool, seed uint64, n int) (l lines, err error) {
	images, labels, err := part(held)
	if err != nil {
		return l, err
	}
	purpose := "training lines"
	if held {
		purpose = "test lines"
	}
	r := data.Rand(seed, purpose, 0)
	const row = longest + 2*margin
	for range n {
		pixels, at := make([]float64, digits.Side*row), 0
		line := make([]int, fewest+r.IntN(most-fewest+1))
		for k := range line {
			image := r.IntN(len(images))
			at += r.IntN(widest + 1)
			for y := range digits.Side {
				copy(pixels[y*row+margin+at:], images[image][y*digits.Side:(y+1)*digits.Side])
			}
			at += digits.Side
			line[k] = labels[image]
		}
		l.pixels, l.digits, l.columns = append(l.pixels, pixels), append(l.digits, line), append(l.columns, at+r.IntN(widest+1))
	}
	flat := make([]float64, 0, n*digits.Side*row)
	for _, p := range l.pixels {
		flat = append(flat, p...)
	}
	l.records, err = data.NewFrame(
		map[string]data.Series{"line": data.NewSeries(data.Field{Kind: data.Float, Shape: []int{digits.Side, row, 1}}, data.Column{F64: flat})},
		map[string]data.Series{"digits": data.Sequences(l.digits, most, 0), "length": data.Lengths(l.digits), "columns": data.Labels(l.columns)})
	return l, err
}
