package main

import (
	"bytes"
	_ "embed"
	"math/rand/v2"

	"github.com/surprisal-go/surprisal/train/data"
)

//go:embed iris.csv
var iris []byte

var (
	species = []string{"setosa", "versicolor", "virginica"}
	widths  = []float64{0, 0.9, 1.7} // where narrow, medium and wide petals begin, in cm: thirds of their range
)

// flowers are the measured irises: lengths and widths of sepals and petals, in cm, and the species.
type flowers struct {
	size  [][]float64
	label []int
}

func load() (f flowers, err error) {
	table, err := data.CSV(bytes.NewReader(iris), data.CSVFormat{Header: true, Target: -1})
	if err != nil {
		return f, err
	}
	n := table.Len()
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	sizes, labels := data.Column{F64: make([]float64, 4*n)}, data.Column{Int: make([]int, n)}
	err = table.Read(rows, sizes, labels)
	for i := range n {
		f.size = append(f.size, sizes.F64[4*i:4*i+4])
	}
	f.label = labels.Int
	return f, err
}

func (f flowers) numbers() map[string]data.Series {
	return map[string]data.Series{"numbers": data.Numbers(f.size)}
}

// without leaves the petal's width out.
func (f flowers) without() map[string]data.Series {
	var rest [][]float64
	for _, s := range f.size {
		rest = append(rest, s[:3])
	}
	return map[string]data.Series{"numbers": data.Numbers(rest)}
}

// mixed has the petal's width as a category.
func (f flowers) mixed() map[string]data.Series {
	category := make([]int, len(f.size))
	for i, s := range f.size {
		for c, from := range widths {
			if s[3] >= from {
				category[i] = c
			}
		}
	}
	in := f.without()
	in["width"] = data.Labels(category)
	return in
}

// parts gives each flower one of the parts of a cross-validation, with as many of each species in
// each.
func (f flowers) parts(seed uint64, number int) []int {
	r := rand.New(rand.NewPCG(seed, uint64(number)))
	part := make([]int, len(f.label))
	for c := range species {
		var rows []int
		for i, label := range f.label {
			if label == c {
				rows = append(rows, i)
			}
		}
		for at, k := range r.Perm(len(rows)) {
			part[rows[k]] = at % folds
		}
	}
	return part
}
