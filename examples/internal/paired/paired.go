// Package paired compares the results of two losses that were trained with the same seeds.
package paired

import (
	"fmt"

	"gonum.org/v1/gonum/stat"
)

// Verdict says by how much the mean of results is above that of naive, with how many seeds a result
// is the better one, and whether the gain reaches worth. Both have one result for each seed.
func Verdict(naive, results []float64, worth float64) string {
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
	return fmt.Sprintf("%+.3f, better with %d of %d seeds: %s, which takes %.3f", gain, better, len(results), verdict, worth)
}
