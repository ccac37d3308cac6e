package decode

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestSinkhornMarginals: on random problems with weights of 0 and forbidden cells the plan has its
// marginals, its potentials give it, the pin holds, and the value is both of its expressions.
func TestSinkhornMarginals(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	converged := 0
	for range 200 {
		n, m, eps := 1+r.IntN(6), 1+r.IntN(6), 0.05+r.Float64()
		weights := func(n int) []float64 {
			w, sum := make([]float64, n), 0.0
			for i := range w {
				if i == 0 || r.IntN(4) > 0 {
					w[i] = r.Float64() + 0.1
				}
				sum += w[i]
			}
			for i := range w {
				w[i] /= sum
			}
			return w
		}
		a, b, cost := weights(n), weights(m), make([]float64, n*m)
		for k := range cost {
			cost[k] = r.NormFloat64()
			if k >= m && k%m > 0 && r.IntN(5) == 0 { // row and column 0 keep every plan feasible
				cost[k] = inf
			}
		}
		p, err := SinkhornPlan(cost, [2]int{n, m}, a, b, WithEpsilon(eps), WithThreshold(1e-12), WithIterations(3000))
		if errors.Is(err, ErrNotConverged) { // row and column 0 may be too light to take what is left
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		converged++
		rows, cols := make([]float64, n), make([]float64, m)
		value, transport := 0.0, 0.0
		for k, x := range p.Mass {
			i, j := k/m, k%m
			rows[i] += x
			cols[j] += x
			if x > 0 {
				transport += x * cost[k]
				value += x*cost[k] + eps*x*math.Log(x/(a[i]*b[j]))
			}
			if a[i]*b[j] == 0 || math.IsInf(cost[k], 1) {
				if x != 0 {
					t.Errorf("mass %v in a cell of none", x)
				}
			} else if want := a[i] * b[j] * math.Exp((p.F[i]+p.G[j]-cost[k])/eps); !near([]float64{x}, []float64{want}, 1e-12) {
				t.Errorf("mass %v, the potentials say %v", x, want)
			}
		}
		// The columns are exact but for the rounding of exponents up to a few hundred.
		if !near(rows, a, 1.1e-12) || !near(cols, b, 1e-12) {
			t.Errorf("rows %v, want %v; columns %v, want %v", rows, a, cols, b)
		}
		// The value by the dual is off by the square of the marginal error times the potentials.
		if !near([]float64{p.Value, p.TransportCost}, []float64{value, transport}, 1e-10) {
			t.Errorf("value %v, transport %v, want %v, %v", p.Value, p.TransportCost, value, transport)
		}
		if fa, gb := mean(a, p.F), mean(b, p.G); math.Abs(fa-gb) > 1e-12*max(1, math.Abs(fa)) {
			t.Errorf("Σaf is %v, Σbg %v", fa, gb)
		}
		for i := range a { // the fixed point, at weights of 0 as at the others
			sum := 0.0
			for j := range b {
				if b[j] > 0 {
					sum += b[j] * math.Exp((p.G[j]-cost[i*m+j])/eps)
				}
			}
			if want := -eps * math.Log(sum); !near([]float64{p.F[i]}, []float64{want}, 1e-9) {
				t.Errorf("potential of row %d of weight %v is %v, want %v", i, a[i], p.F[i], want)
			}
		}
	}
	if converged < 150 {
		t.Errorf("%d of 200 converged", converged)
	}
}

// TestSinkhornSmall: values by hand.
func TestSinkhornSmall(t *testing.T) {
	// At ε = 1e-3 the cells off the diagonal have e^-1250 of the mass: the plan is diag(½, ½), its
	// cost (1 + 1.5)/2, and KL = log 2 (POT #54).
	p, err := SinkhornPlan([]float64{1, 2, 3, 1.5}, [2]int{2, 2}, nil, nil, WithEpsilon(1e-3))
	if err != nil || !near(p.Mass, []float64{0.5, 0, 0, 0.5}, 1e-13) || !near([]float64{p.TransportCost, p.Value}, []float64{1.25, 1.25 + 1e-3*math.Ln2}, 1e-13) {
		t.Errorf("%+v, %v", p, err)
	}
	// One row: the plan is b, exactly, even where rounding moves exponents; f = Σ b C / 2.
	b := []float64{0.5, 0, 0.5}
	p, err = SinkhornPlan([]float64{1e6 + 0.1, inf, 3}, [2]int{1, 3}, nil, b, WithEpsilon(1e-6))
	if err != nil || !slices.Equal(p.Mass, b) || p.MarginalError != 0 || !near(p.F, []float64{(1e6 + 3.1) / 4}, 1e-15) || p.G[1] != inf {
		t.Errorf("one row: %+v, %v", p, err)
	}
	one, err := SinkhornPlan([]float32{2, -4}, [2]int{2, 1}, []float32{0.25, 0.75}, nil)
	if err != nil || !slices.Equal(one.Mass, []float64{0.25, 0.75}) || one.Value != 0.5-3 || one.TransportCost != -2.5 || one.G[0] != -1.25 {
		t.Errorf("one column: %+v, %v", one, err)
	}
	// A symmetric problem has f = g, to what is left of the marginal error: points at a distance of
	// 1 are linked by e^-10 of mass, which divides it.
	s, err := SinkhornPlan([]float64{0, 1, 4, 1, 0, 1, 4, 1, 0}, [2]int{3, 3}, []float64{0.2, 0.3, 0.5}, []float64{0.2, 0.3, 0.5}, WithThreshold(1e-14))
	if err != nil || !near(s.F, s.G, 1e-14/math.Exp(-10)) {
		t.Errorf("f %v, g %v, %v", s.F, s.G, err)
	}
}

// TestSinkhornHard: uneven weights and ε down to 0.0025. All problems end before the limit, the
// slowest after 1250 iterations, and together in 7,800 (8,100 in pure Go); sweeps alone need more
// than 17,000 and do not end in two of them, nor do steps that may make the error larger.
func TestSinkhornHard(t *testing.T) {
	r := rand.New(rand.NewPCG(0, 9))
	total := 0
	for range 150 {
		n, m := 2+r.IntN(12), 2+r.IntN(12)
		cost := make([]float64, n*m)
		for k := range cost {
			cost[k] = r.Float64()
		}
		epsilon := math.Exp(-1 - 5*r.Float64())
		a, b := make([]float64, n), make([]float64, m)
		for _, w := range [][]float64{a, b} {
			sum := 0.0
			for i := range w {
				w[i] = math.Exp(3 * r.NormFloat64())
				sum += w[i]
			}
			for i := range w {
				w[i] /= sum
			}
		}
		p, err := SinkhornPlan(cost, [2]int{n, m}, a, b, WithEpsilon(epsilon))
		if err != nil {
			t.Errorf("%d x %d, ε %v: %v", n, m, epsilon, err)
			continue
		}
		total += p.Iterations
	}
	if total > 10000 {
		t.Errorf("%d iterations", total)
	}
}

// TestSinkhornNotConverged: the error says how far it is, and the plan beside it is what it says.
func TestSinkhornNotConverged(t *testing.T) {
	// Nothing may go from one half to the other, and they do not weigh the same: what is too much
	// on one side is too little on the other.
	for _, c := range []struct {
		a    []float64
		most int
	}{{[]float64{0.6, 0.4}, 7}, {[]float64{0.75, 0.25}, 2000}, {[]float64{1 - 1e-6, 1e-6}, 1}} {
		p, err := SinkhornPlan([]float64{0, inf, inf, 0}, [2]int{2, 2}, c.a, nil, WithIterations(c.most))
		if p == nil || !errors.Is(err, ErrNotConverged) {
			t.Fatalf("%v, error %v", p, err)
		}
		if want := fmt.Sprintf("decode.SinkhornPlan: not converged after %d iterations: the marginal error is %v, want at most 1e-09", c.most, p.MarginalError); err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if off := 2 * (c.a[0] - 0.5); p.Iterations != c.most || !near([]float64{p.MarginalError}, []float64{off}, 1e-9) || !near(p.Mass, []float64{0.5, 0, 0, 0.5}, 1e-9) {
			t.Errorf("off by %v: %+v", off, p)
		}
	}
}

func TestSinkhornErrors(t *testing.T) {
	nan, big := math.NaN(), 1e308
	ok := []float64{1, 2, 3, 4}
	for _, c := range []struct {
		cost, a, b []float64
		opts       []Option
		kind       error
		want       string
	}{
		{[]float64{1, 2, nan, 4}, nil, nil, nil, ErrValue, "cost of row 1, column 0 is NaN"},
		{[]float64{1, -inf, 3, 4}, nil, nil, nil, ErrValue, "cost of row 0, column 1 is -Inf"},
		{[]float64{1, 2, 3, big}, nil, nil, nil, ErrValue,
			"cost of row 1, column 1 is 1e+308, want a number whose quotient by ε, 0.1, is finite"},
		{[]float64{inf, inf, 3, 4}, nil, nil, nil, ErrValue,
			"cost of row 0 is +Inf wherever there is weight, want a cell for its weight of 0.5"},
		{[]float64{inf, 1, inf, 4}, nil, nil, nil, ErrValue, "cost of column 0 is +Inf wherever"},
		{[]float64{inf, 1, 1, 4}, nil, []float64{1, 0}, nil, ErrValue, "cost of row 0 is +Inf wherever"},
		{ok, []float64{0.5, 0.4}, nil, nil, ErrValue, "a sums to 0.9, want 1"},
		{ok, []float64{1.5, -0.5}, nil, nil, ErrValue, "a[1] is -0.5, want a finite number of at least 0"},
		{ok, nil, []float64{nan, 1}, nil, ErrValue, "b[0] is NaN"},
		{ok, nil, []float64{0, inf}, nil, ErrValue, "b[1] is +Inf"},
		{ok, []float64{1}, nil, nil, ErrShape, "1 elements of a, want those of shape (2)"},
		{ok[:3], nil, nil, nil, ErrShape, "3 elements of cost, want those of shape (2, 2)"},
		{ok, nil, nil, []Option{WithEpsilon(0)}, ErrOption, "decode.SinkhornPlan: WithEpsilon(0), want a positive number"},
		{ok, nil, nil, []Option{WithEpsilon(nan)}, ErrOption, "WithEpsilon(NaN)"},
		{ok, nil, nil, []Option{WithIterations(0)}, ErrOption, "WithIterations(0), want at least 1"},
		{ok, nil, nil, []Option{WithThreshold(-1)}, ErrOption, "WithThreshold(-1), want a positive number"},
		{ok, nil, nil, []Option{WithThreshold(inf)}, ErrOption, "WithThreshold(+Inf)"},
	} {
		if p, err := SinkhornPlan(c.cost, [2]int{2, 2}, c.a, c.b, c.opts...); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || p != nil {
			t.Errorf("%v, error %v, want one with %q", p, err, c.want)
		}
	}
	// Costs that leave the potentials no digits end in an error, or in a plan with its marginals.
	for _, cost := range [][]float64{{3e38, 0, -3e38, 1e300}, {0, 1e17, 1e17, 1}, {1e20, 1, 2, 1e20}} {
		p, err := SinkhornPlan(cost, [2]int{2, 2}, []float64{0.3, 0.7}, nil)
		if err == nil && !near([]float64{p.Mass[0] + p.Mass[1], p.Mass[2] + p.Mass[3]}, []float64{0.3, 0.7}, 1e-9) || err != nil && !errors.Is(err, ErrNotConverged) {
			t.Errorf("costs %v: %+v, %v", cost, p, err)
		}
	}
	// A float32 tenth sums to 1 within rounding, and the plan has the weights that do to the last
	// digit.
	tenths := slices.Repeat([]float32{0.1}, 10)
	if p, err := SinkhornPlan(make([]float32, 100), [2]int{10, 10}, tenths, tenths); err != nil || !near(p.Mass[:1], []float64{0.01}, 1e-15) {
		t.Errorf("tenths: %v, %v", p, err)
	}
}
