package main

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// TestCurves: what is drawn as the derivative is that of what is drawn as the loss. Over a short
// step the mean slope lies between the slopes at its ends, if these rise or fall between them, give
// or take the change of the steps around it.
func TestCurves(t *testing.T) {
	for _, s := range specimenList(t) {
		if !s.pictured() {
			continue
		}
		v, err := s.view()
		if err != nil {
			t.Error(err)
			continue
		}
		c, err := s.curve(v)
		if err != nil {
			t.Error(err)
			continue
		}
		inside := 0
		for i := 2; i < samples-2; i++ {
			mean := (c.value[i+1] - c.value[i]) / (c.x[i+1] - c.x[i])
			a, b := c.slope[i], c.slope[i+1]
			slack := .5*(math.Abs(a-c.slope[i-1])+math.Abs(c.slope[i+2]-b)) + 1e-9*(1+math.Abs(c.value[i]))
			if !(mean >= math.Min(a, b)-slack && mean <= math.Max(a, b)+slack) {
				t.Errorf("%s: the loss rises by %v per unit at %v, want between %v and %v", s.Name, mean, c.x[i], a, b)
				break
			}
			if c.value[i] >= v.bottom && c.value[i] <= v.top {
				inside++
			}
		}
		if inside < samples/5 {
			t.Errorf("%s: %d of %d places are inside the panel from %v to %v", s.Name, inside, samples, v.bottom, v.top)
		}
	}
}

// TestKnownCurves holds panels to the formulas of their losses.
func TestKnownCurves(t *testing.T) {
	want := map[string]func(x float64) (l, d float64){
		"MSE":      func(x float64) (l, d float64) { return x * x, 2 * x },
		"Quantile": func(x float64) (l, d float64) { return max(-.8*x, .2*x), map[bool]float64{true: .2, false: -.8}[x > 0] },
		"Hinge":    func(x float64) (l, d float64) { return max(0, 1-x), map[bool]float64{true: 0, false: -1}[x > 1] },
		"CrossEntropy": func(x float64) (l, d float64) {
			z := math.Exp(x) + math.E + 1/math.E
			return math.Log(z) - x, math.Exp(x)/z - 1
		},
		"KL": func(p float64) (l, d float64) {
			return .3*math.Log(.3/p) + .7*math.Log(.7/(1-p)), -.3/p + .7/(1-p)
		},
		"Dice":          func(x float64) (l, d float64) { return (1.25 - x) / (1.25 + x), -2.5 / ((1.25 + x) * (1.25 + x)) },
		"Jaccard":       func(x float64) (l, d float64) { return 1 - x/1.25, -1 / 1.25 },
		"TripletMargin": func(x float64) (l, d float64) { return max(0, 2-x), map[bool]float64{true: 0, false: -1}[x > 2] },
		"ListNet": func(x float64) (l, d float64) {
			z, y := math.Exp(x)+math.E+1/math.E, math.Exp(2)+math.E+1
			return math.Log(z) - (math.Exp(2)*x+math.E-1)/y, math.Exp(x)/z - math.Exp(2)/y
		},
		"GaussianKL": func(s float64) (l, d float64) { return (s*s-1)/2 - math.Log(s), s - 1/s },
		"LaplaceNLL": func(e float64) (l, d float64) { return math.Ln2 + math.Abs(e), math.Copysign(1, e) },
		"BernoulliKL": func(p float64) (l, d float64) {
			return p*math.Log(p/.3) + (1-p)*math.Log((1-p)/.7), math.Log(p/.3) - math.Log((1-p)/.7)
		},
	}
	found := 0
	for _, s := range specimenList(t) {
		f := want[s.Name]
		if f == nil {
			continue
		}
		found++
		v, err := s.view()
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.curve(v)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range c.x {
			// Rounding only: the formulas cancel to 1e-4 of their terms near their minima.
			if l, d := f(x); math.Abs(c.value[i]-l) > 1e-11*(1+math.Abs(l)) || math.Abs(c.slope[i]-d) > 1e-11*(1+math.Abs(d)) {
				t.Errorf("%s at %v: got the loss %v and the derivative %v, want %v and %v", s.Name, x, c.value[i], c.slope[i], l, d)
				break
			}
		}
	}
	if found != len(want) {
		t.Errorf("%d of %d losses were found", found, len(want))
	}
}

// TestPieces: a curve is cut at a jump, and not where it is only steep.
func TestPieces(t *testing.T) {
	x := []float64{0, 1, 2, 3, 4, 5}
	for _, c := range []struct {
		y    []float64
		want string
	}{{[]float64{-1, -1, -1, 1, 1, 1}, "3 3"}, {[]float64{0, 1, 4, 9, 16, 25}, "6"}, {[]float64{0, 0, .1, .1, 0, 0}, "6"}} {
		var got []string
		for _, p := range pieces(x, c.y, 9) {
			got = append(got, strconv.Itoa(len(p)))
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("the curve %v has pieces of %s points, want %s", c.y, g, c.want)
		}
	}
}
