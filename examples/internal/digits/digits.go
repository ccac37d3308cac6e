// Package digits has 1,797 images of handwritten digits for the examples.
package digits

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"image"
	"strconv"

	"github.com/surprisal-go/surprisal/train/data"
)

// Side is the number of pixels in a row and in a column of an image.
const Side = 8

//go:embed digits.csv.gz
var compressed []byte

// Images returns the pixels of all images, Side rows of Side numbers in [0, 1] each, where 0 is
// paper and 1 is ink, and the digits that they show.
func Images() (pixels [][]float64, labels []int, err error) {
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, nil, err
	}
	lines, err := csv.NewReader(z).ReadAll()
	if err != nil {
		return nil, nil, err
	}
	pixels, labels = make([][]float64, len(lines)), make([]int, len(lines))
	for i, line := range lines {
		for j, text := range line {
			v, err := strconv.Atoi(text)
			if err != nil {
				return nil, nil, fmt.Errorf("digits: row %d: %w", i, err)
			}
			if j == len(line)-1 {
				labels[i] = v
			} else {
				pixels[i] = append(pixels[i], float64(v)/16)
			}
		}
	}
	return pixels, labels, nil
}

// Picture returns an image to look at, of rows of so many pixels. Ink is black; numbers outside [0,
// 1] count as the nearer end.
func Picture[F float32 | float64](pixels []F, width int) image.Image {
	m := image.NewGray(image.Rect(0, 0, width, len(pixels)/width))
	for i, p := range pixels {
		m.Pix[i] = uint8(255*(1-min(max(float64(p), 0), 1)) + 0.5)
	}
	return m
}

// Held reports whether an image is one for tests: every fifth is.
func Held(image int) bool { return image%5 == 4 }

// Part returns the images for tests, or those for training, with their digits.
func Part(held bool) (pixels [][]float64, labels []int, err error) {
	all, digits, err := Images()
	for i, m := range all {
		if Held(i) == held {
			pixels, labels = append(pixels, m), append(labels, digits[i])
		}
	}
	return pixels, labels, err
}

// Split returns the images for training and those for tests, with their digits as classes.
func Split() (train, test data.Dataset, err error) {
	pixels, labels, err := Images()
	if err != nil {
		return nil, nil, err
	}
	table, err := data.Classes(pixels, labels)
	if err != nil {
		return nil, nil, err
	}
	return data.Split(table, Held)
}
