// Package paired compares losses by what models reach that were trained with the same seeds.
package paired

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gonum.org/v1/gonum/stat"
)

// Candidate is a loss, of whatever type a program has its losses, with the name that it has in the
// table. The first one is the naive one, which the others are compared with, unless they have a
// note.
type Candidate[L any] struct {
	Name string
	Loss L
	Note string // in place of a verdict
}

// Compare runs each candidate with each seed and writes a table of the means of what run measures.
// A candidate earns its place if its mean of the last measure is above the first one's by worth or
// more.
func Compare[L any](w io.Writer, candidates []Candidate[L], seeds int, worth float64, measures []string,
	run func(l L, seed uint64) (values []float64, err error)) error {
	width := 0
	for _, c := range candidates {
		width = max(width, utf8.RuneCountInString(c.Name))
	}
	line := func(name string, cells []string, last string) {
		text := fmt.Sprintf("%-*s", width+3, name)
		for k, cell := range cells {
			text += fmt.Sprintf("%-*s", max(len(measures[k]), 5)+2, cell)
		}
		fmt.Fprintln(w, strings.TrimRight(text+last, " "))
	}
	line("", measures, "")
	var naive []float64
	for _, c := range candidates {
		reached := make([][]float64, len(measures)) // by measure and seed
		for seed := range uint64(seeds) {
			values, err := run(c.Loss, seed)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			for k := range measures {
				reached[k] = append(reached[k], values[k])
			}
		}
		var means []string
		for _, v := range reached {
			means = append(means, fmt.Sprintf("%.3f", stat.Mean(v, nil)))
		}
		switch last := reached[len(measures)-1]; {
		case naive == nil:
			naive = last
		case c.Note == "":
			c.Note = verdict(naive, last, worth)
		}
		line(c.Name, means, c.Note)
	}
	return nil
}

// verdict says by how much the mean of results is above that of naive, with how many seeds a result
// is the better one, and whether the gain reaches worth.
func verdict(naive, results []float64, worth float64) string {
	gain, better := stat.Mean(results, nil)-stat.Mean(naive, nil), 0
	for k, v := range results {
		if v > naive[k] {
			better++
		}
	}
	verdict := "does not earn its place"
	if gain >= worth {
		verdict = "earns its place"
	}
	return fmt.Sprintf("%+.3f, better with %d of %d seeds: %s (≥ %.3f)", gain, better, len(results), verdict, worth)
}
