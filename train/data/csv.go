package data

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// CSVFormat says how [CSV] reads a table.
type CSVFormat struct {
	Header  bool    // the first line names the columns
	Comma   rune    // the separator; 0 means a comma
	Target  int     // the column of the target; negative counts from the end, so -1 is the last
	Values  bool    // the target is a real number and not a class
	Divisor float64 // divides every feature; 0 means 1
}

// A CSVTable is what [CSV] read.
type CSVTable struct {
	*Table
	Features []string // names of the feature columns; empty without a header
	Classes  []string // the texts of the classes: label i is Classes[i]. They are sorted, as numbers where all are whole numbers; nil for real targets
}

// CSV reads examples from a table of text: one target column, and numbers in all the others. Classes may have any text. Lines
// of different lengths, texts that are no numbers and numbers that are not finite are errors that name the line and column.
func CSV(r io.Reader, f CSVFormat) (*CSVTable, error) {
	if f.Divisor == 0 {
		f.Divisor = 1
	}
	in := csv.NewReader(r)
	if f.Comma != 0 {
		in.Comma = f.Comma
	}
	in.ReuseRecord = true
	t := new(CSVTable)
	var x, values []float64
	var labels []string
	rows, target := 0, 0
	for first := true; ; {
		line, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("data.CSV: %w", err)
		}
		if first {
			if target = f.Target; target < 0 {
				target += len(line)
			}
			if target < 0 || target >= len(line) || len(line) < 2 {
				return nil, fmt.Errorf("data.CSV: target is column %d of %d, want one of at least 2 columns", f.Target, len(line))
			}
			first = false
			if f.Header {
				for i, name := range line {
					if i != target {
						t.Features = append(t.Features, name)
					}
				}
				continue
			}
		}
		for i, text := range line {
			if i == target && !f.Values {
				labels = append(labels, text)
				continue
			}
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				l, c := in.FieldPos(i)
				return nil, fmt.Errorf("data.CSV: line %d, column %d: %q is no finite number", l, c, text)
			}
			if i == target {
				values = append(values, v)
			} else {
				x = append(x, v/f.Divisor)
			}
		}
		rows++
	}
	if rows == 0 {
		return nil, errors.New("data.CSV: no rows")
	}
	spec := Spec{Field{Float, []int{len(x) / rows}}, Field{Float, []int{1}}}
	y := Column{F64: values}
	if !f.Values {
		t.Classes = classNames(labels)
		index := make(map[string]int)
		for i, name := range t.Classes {
			index[name] = i
		}
		y = Column{Int: make([]int, rows)}
		for i, text := range labels {
			y.Int[i] = index[text]
		}
		spec.Target = Field{Kind: Int}
	}
	var err error
	t.Table, err = NewTable(rows, spec, Column{F64: x}, y)
	return t, err
}

// classNames returns the distinct texts in order: as numbers where all of them are, otherwise as texts.
func classNames(labels []string) []string {
	names := slices.Clone(labels)
	slices.Sort(names)
	names = slices.Compact(names)
	numbers := make(map[string]int)
	for _, n := range names {
		v, err := strconv.Atoi(n)
		if err != nil {
			return names
		}
		numbers[n] = v
	}
	slices.SortStableFunc(names, func(a, b string) int { return numbers[a] - numbers[b] })
	return names
}
