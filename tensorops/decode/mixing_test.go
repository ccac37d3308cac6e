package decode

import (
	"math"
	"testing"
)

// TestMixing: of a linear map of the plane two differences determine the fixed point, whatever the
// map's rates; plain repetition would take 2300 steps for each digit.
func TestMixing(t *testing.T) {
	step := func(y, x []float64) { // towards (1, -2), by two rates
		y[0] = 1 + 0.999*(x[0]-1)
		y[1] = -2 + 0.5*(x[1]+2)
		y[2] = 7 * x[0] // of weight 0: it follows and has no say
	}
	var m mixing
	x, y := []float64{5, 5, 0}, make([]float64, 3)
	for range 3 {
		step(y, x)
		m.add(x, y)
		m.next(x, []float64{1, 1, 0})
	}
	// The residuals differ by 4e-6, out of numbers that are rounded to 4e-16: 1e-10 of the distance
	// 4, a few times over.
	if math.Abs(x[0]-1) > 4e-9 || math.Abs(x[1]+2) > 4e-9 {
		t.Errorf("after 3 steps at %v, want (1, -2)", x)
	}
	// Points that stay where they are leave nothing to solve.
	m = mixing{}
	for range 4 {
		m.add([]float64{1, 2, 3}, []float64{2, 2, 3})
		m.next(x, []float64{1, 1, 1})
		if x[0] != 2 || x[1] != 2 || x[2] != 3 {
			t.Errorf("at %v, want the image", x)
		}
	}
	// The second of two differences along a line has nothing to add.
	m = mixing{}
	for _, p := range [][]float64{{8}, {4}, {2}} {
		m.add(p, []float64{p[0] / 2})
	}
	if m.next(x[:1], []float64{1}); x[0] != 0 {
		t.Errorf("at %v, want the fixed point 0", x[0])
	}
	m = mixing{}
	for range 9 { // more points than are kept, and NaN
		m.add([]float64{math.NaN(), 2, 3}, []float64{2, 1, 3})
		m.next(x, []float64{1, 1, 1})
	}
	if len(m.dr) != depth {
		t.Errorf("%d differences kept, want %d", len(m.dr), depth)
	}
}
