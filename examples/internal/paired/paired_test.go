package paired

import (
	"errors"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	candidates := []Candidate[[]float64]{ // halves, quarters and eighths: means without rounding
		{Name: "naive", Loss: []float64{.5, .25, .75}},
		{Name: "Lovász", Loss: []float64{.75, .5, .625}},
		{Name: "same", Loss: []float64{.5, .25, .75}},
		{Name: "worse", Loss: []float64{.25, .25, .25}},
		{Name: "pixels", Loss: []float64{1, 1, 1}, Note: "of no model"},
	}
	for worth, want := range map[float64]string{
		.125: "Lovász   1.000     0.625  +0.125, better with 2 of 3 seeds: earns its place (≥ 0.125)\n",
		.25: `         recall@1  MAP
naive    1.000     0.500
Lovász   1.000     0.625  +0.125, better with 2 of 3 seeds: does not earn its place (≥ 0.250)
same     1.000     0.500  +0.000, better with 0 of 3 seeds: does not earn its place (≥ 0.250)
worse    1.000     0.250  -0.250, better with 0 of 3 seeds: does not earn its place (≥ 0.250)
pixels   1.000     1.000  of no model
`,
	} {
		var w strings.Builder
		err := Compare(&w, candidates, 3, worth, []string{"recall@1", "MAP"},
			func(values []float64, seed uint64) ([]float64, error) { return []float64{1, values[seed]}, nil })
		if err != nil || !strings.Contains(w.String(), want) {
			t.Errorf("error %v and the table\n%swant in it\n%s", err, w.String(), want)
		}
	}
	fault := errors.New("no such loss")
	err := Compare(&strings.Builder{}, candidates, 1, 1, []string{"MAP"}, func([]float64, uint64) ([]float64, error) { return nil, fault })
	if !errors.Is(err, fault) || !strings.HasPrefix(err.Error(), "naive: ") {
		t.Errorf("error %v, want that of the candidate with its name", err)
	}
}
