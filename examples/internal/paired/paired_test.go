package paired

import "testing"

func TestVerdict(t *testing.T) {
	naive := []float64{.5, .25, .75} // halves and quarters: means without rounding
	for _, c := range []struct {
		results []float64
		worth   float64
		want    string
	}{
		{[]float64{.75, .5, .625}, .125, "+0.125, better with 2 of 3 seeds: earns its place, which takes 0.125"},
		{[]float64{.75, .5, .625}, .25, "+0.125, better with 2 of 3 seeds: does not earn its place, which takes 0.250"},
		{[]float64{.5, .25, .75}, .02, "+0.000, better with 0 of 3 seeds: does not earn its place, which takes 0.020"},
		{[]float64{.25, .25, .25}, .02, "-0.250, better with 0 of 3 seeds: does not earn its place, which takes 0.020"},
	} {
		if got := Verdict(naive, c.results, c.worth); got != c.want {
			t.Errorf("Verdict(%v) = %q, want %q", c.results, got, c.want)
		}
	}
}
