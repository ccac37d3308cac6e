package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"

	"github.com/surprisal-go/surprisal/train/data"
)

//go:embed digits.csv.gz
var digits []byte

// loadDigits returns the training and the test images, 64 pixels in [0, 1] each: every fifth row is
// a test row.
func loadDigits() (train, test data.Dataset, err error) {
	z, err := gzip.NewReader(bytes.NewReader(digits))
	if err != nil {
		return nil, nil, err
	}
	lines, err := csv.NewReader(z).ReadAll()
	if err != nil {
		return nil, nil, err
	}
	images := make([][]float64, len(lines))
	labels := make([]int, len(lines))
	for i, line := range lines {
		for j, text := range line {
			v, err := strconv.Atoi(text)
			if err != nil {
				return nil, nil, fmt.Errorf("row %d: %w", i, err)
			}
			if j == len(line)-1 {
				labels[i] = v
			} else {
				images[i] = append(images[i], float64(v)/16)
			}
		}
	}
	table, err := data.Classes(images, labels)
	if err != nil {
		return nil, nil, err
	}
	return data.Split(table, func(row int) bool { return row%5 == 4 })
}
