package loss_test

import (
	"math"
	"slices"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"gorgonia.org/tensor"
)

// near the end of float64
const (
	huge = 1.6e308
	half = 0.8e308
)

// TestFiniteLimits holds losses to values that are finite though sums of their operands are not.
// Each want follows from the formula with all operands divided by a number that cancels.
func TestFiniteLimits(t *testing.T) {
	for _, c := range []struct {
		name         string
		pred, target []float64
		label        []int
		want         float64
		gradient     []float64
	}{
		// 2·|p - t|/(|p| + |t|) = 2/3; its slope 4t/(p+t)² = 4/(9·half) is a subnormal number
		{name: "SMAPE", pred: []float64{huge, 1}, target: []float64{half, 1}, want: 2. / 3,
			gradient: []float64{4 / half / 9, 0}},
		// p = (½, ½) without variance: (½)² + (½)², and a = (1, -1) in (a_j - ⟨a, p⟩)/S
		{name: "EvidentialMSE", pred: []float64{huge, huge}, label: []int{1}, want: 0.5,
			gradient: []float64{0.5 / huge, -0.5 / huge}},
		// B = Σ √(p·t) > 1
		{name: "Hellinger", pred: []float64{huge, huge}, target: []float64{huge, huge}, want: 0, gradient: []float64{0, 0}},
		// p = (½, ½): Σ p·(log p - log t); the slope p_j·(log(p_j/t_j) - l) is 0
		{name: "ReverseKL", pred: []float64{1, 1}, target: []float64{huge, huge},
			want: math.Log(0.5) - math.Log(huge), gradient: []float64{0, 0}},
		// t(t/2 - x) of the first entry is 0, those of the second 0 with p = (1, 0): ⟨p, x⟩ - ½
		{name: "Sparsemax", pred: []float64{0x1p520, 0}, target: []float64{0x1p521, 0}, want: 0x1p520,
			gradient: []float64{-0x1p521, 0}},
		// t·(4/3·√t - x) is 0 for √t = 3/4·x
		{name: "Entmax15", pred: []float64{0x1p400, 0}, target: []float64{0x1p796 * 9, 0}, want: 0x1p400,
			gradient: []float64{-0x1p796 * 9, 0}},
	} {
		at := slices.IndexFunc(lossContenders(t), func(d contender) bool {
			return d.name == c.name && (d.kind == "" || (d.kind == "labels") == (c.label != nil))
		})
		of := lossContenders(t)[at]
		p := &problem{of: &of, shape: []int{1, 2}, axis: 1, x: [][]float64{c.pred, c.target}, y: c.label}
		got := p.solve(t, trial{red: loss.None, dtype: tensor.Float64})
		if v := got.value[0]; !near64(v, c.want, 1e-15, 0) {
			t.Errorf("%s is %v, want %v", c.name, v, c.want)
		}
		for i, w := range c.gradient {
			if g := got.grads[0][i]; !(math.Abs(g-w) <= max(0x1p-1073, 1e-15*math.Abs(w))) {
				t.Errorf("%s: gradient[%d] is %v, want %v", c.name, i, g, w)
			}
		}
	}
}

// TestSMAPEOfHugeRows is the first of those on rows that a kernel computes.
func TestSMAPEOfHugeRows(t *testing.T) {
	of := lossContenders(t)[slices.IndexFunc(lossContenders(t), func(d contender) bool { return d.name == "SMAPE" })]
	n := 200
	p := &problem{of: &of, shape: []int{n, 1}, axis: 1, x: [][]float64{slices.Repeat([]float64{huge}, n), slices.Repeat([]float64{half}, n)}}
	got := p.solve(t, trial{red: loss.None, dtype: tensor.Float64})
	for i, v := range got.value {
		if !near64(v, 2./3, 1e-15, 0) || math.Abs(got.grads[0][i]-4/half/9) > 0x1p-1073 {
			t.Fatalf("element %d is %v with the slope %v, want 2/3 and %v", i, v, got.grads[0][i], 4/half/9)
		}
	}
}

// TestSMAPEOfInfinities: two infinite operands have no ratio.
func TestSMAPEOfInfinities(t *testing.T) {
	of := lossContenders(t)[slices.IndexFunc(lossContenders(t), func(d contender) bool { return d.name == "SMAPE" })]
	for _, n := range []int{1, 200} {
		inf := slices.Repeat([]float64{math.Inf(1)}, n)
		p := &problem{of: &of, shape: []int{n, 1}, axis: 1, x: [][]float64{inf, inf}}
		if v := p.solve(t, trial{red: loss.None, dtype: tensor.Float64}).value[0]; v == v {
			t.Errorf("SMAPE of Inf and Inf is %v, want NaN", v)
		}
	}
}

// TestLargeCounts: where the rate is near the count, the terms of the likelihood that grow with it
// cancel. At μ = t the negative binomial is ½·log(2πt(1+t/r)) and small terms of Stirling's series,
// Poisson's ½·log(2πt) and, in the one that has the exact t!, 1/(12t) - 1/(360t³).
func TestLargeCounts(t *testing.T) {
	for _, alpha := range []float64{1e-12, 1e-9, 1e-6, 1e-3, 0.01} {
		for _, f := range []float64{3, 7, 14} {
			count := math.Exp(f)
			r := 1 / alpha
			series := func(x float64) float64 { return 1/(12*x) - 1/(360*x*x*x) + 1/(1260*math.Pow(x, 5)) }
			for name, want := range map[string]float64{
				"NegativeBinomial": (math.Log(2*math.Pi*count)+math.Log1p(count/r))/2 + series(count) + series(r) - series(count+r),
				"PoissonNLL":       math.Log(2*math.Pi*count) / 2,
			} {
				if name == "NegativeBinomial" && count > 16*r {
					continue
				}
				of := lossContenders(t)[slices.IndexFunc(lossContenders(t), func(d contender) bool { return d.name == name })]
				p := &problem{of: &of, shape: []int{1, 1}, axis: 1, x: [][]float64{{f}, {count}}}
				opts := []loss.Option{loss.WithFull()}
				if name == "NegativeBinomial" {
					opts = append(opts, loss.WithAlpha(alpha))
				}
				got := p.solve(t, trial{red: loss.Sum, dtype: tensor.Float64, opts: opts})
				// the next term of the series is below 1e-11 at 20 and vanishes above
				if v := got.value[0]; !near64(v, want, 1e-14, 3e-12) {
					t.Errorf("%s of %v at α = %v is %v, want %v", name, count, alpha, v, want)
				}
			}
		}
	}
}
