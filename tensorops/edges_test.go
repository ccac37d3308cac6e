package tensorops

import (
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// TestRowsAcrossTheAnchorLimit: a block below -anchorLimit counts beside one just above it.
func TestRowsAcrossTheAnchorLimit(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		x, dst := make([]float64, 2048), make([]float64, 2048)
		for i := range x {
			x[i] = -65535.5
			if i >= 1024 {
				x[i] = -65536.5
			}
		}
		lse := make([]float64, 1)
		LogSumExpRows(lse, x, len(x))
		if want := -65535.5 + math.Log(1024*(1+math.Exp(-1))); math.Abs(lse[0]-want) > 1e-10 {
			t.Errorf("float64: log-sum-exp %v, want %v", lse[0], want)
		}
		SoftmaxRows(dst, x, len(x))
		if want := math.Exp(-1) / (1024 * (1 + math.Exp(-1))); math.Abs(dst[2047]/want-1) > 1e-12 {
			t.Errorf("float64: probability %v, want %v", dst[2047], want)
		}
		if l, want := CrossEntropyRow(convert[float32](x), 5, nil), math.Log(1024*(1+math.Exp(-1))); math.Abs(l-want) > 1e-6 {
			t.Errorf("float32: cross-entropy %v, want %v", l, want)
		}
	})
}

// TestTiesDoNotDependOnTheRowBefore: what a sum cuts off must not decide a rounding, for rows of
// masked classes least of all.
func TestTiesDoNotDependOnTheRowBefore(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		const n = 256
		x := make([]float32, 2*n)
		for i := range x {
			x[i] = float32(math.Inf(-1))
		}
		x[0], x[n] = 27, 0
		rng := newRand(t, 91)
		values := make([]float64, 2)
		for range short(20000, 2000) {
			x[n+70] = float32(-21 - rng.Float64())
			CrossEntropyRows(values, x, n, []int{0, 70}, nil)
			if alone := CrossEntropyRow(x[n:], 70, nil); values[1] != alone {
				t.Fatalf("x = %v: %v after another row, %v alone", x[n+70], values[1], alone)
			}
		}
	})
}

// TestFactorsNearTheLargestNumber: gradients of a factor near 3.4e38 are finite where the factor
// times a probability is.
func TestFactorsNearTheLargestNumber(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		x, dst := make([]float32, 100), make([]float32, 100)
		for i := range x {
			x[i] = -200
		}
		for top := float32(0); top < 4; top += 0.011 {
			x[3] = top
			LogSumExpGradRows(dst, x, []float32{3.3e38}, len(x))
			if math.Abs(float64(dst[3])/3.3e38-1) > 1e-6 {
				t.Fatalf("largest logit %v: gradient %v, want 3.3e38", top, dst[3])
			}
		}
	})
}

// TestZerosHaveNoSign: AVX2 and AVX-512 agree on the zeros of masked classes, too.
func TestZerosHaveNoSign(t *testing.T) {
	x, target := make([]float64, 858), make([]float64, 858)
	for i := range x {
		x[i] = float64(i%7) - 3
		if i%5 == 0 {
			x[i] = math.Inf(-1)
		}
	}
	target[1], target[2] = 0.5, 0.5
	x[7] = -2000
	var first map[string][]float64
	forEachImpl(t, func(t *testing.T) {
		got := map[string][]float64{}
		for name, f := range map[string]func(dst []float64){
			"log-sum-exp":       func(dst []float64) { LogSumExpGradRows(dst, x, []float64{-1}, len(x)) },
			"soft targets":      func(dst []float64) { SoftCrossEntropyGradRow(dst, x, target, 1e-20, nil) },
			"soft targets, -":   func(dst []float64) { SoftCrossEntropyGradRow(dst, x, target, -1e-20, nil) },
			"cross-entropy, -1": func(dst []float64) { CrossEntropyGradRow(dst, x, 1, -1, nil) },
		} {
			got[name] = make([]float64, len(x))
			f(got[name])
		}
		if vec.Active() == vec.Generic {
			return // the generic form rounds otherwise
		}
		if first == nil {
			first = got
			return
		}
		for name, g := range got {
			for i, v := range g {
				if math.Float64bits(v) != math.Float64bits(first[name][i]) {
					t.Fatalf("%s: element %d is %v, %v on AVX2", name, i, v, first[name][i])
				}
			}
		}
	})
}

// TestHeavySoftTargets: the relative accuracy of a soft cross-entropy does not depend on how much
// its weights come to.
func TestHeavySoftTargets(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, off := range []float64{0, 100, 50000} {
			x, target := make([]float64, 20), make([]float64, 20)
			for i := range x {
				x[i] = off
			}
			x[4] = off + 12
			for _, mass := range []float64{1, 1e4, 1e12} {
				target[4] = mass
				target[5] = 1e-300 // not one class
				want := mass * math.Log1p(19*math.Exp(-12))
				if l := SoftCrossEntropyRow(x, target, nil); math.Abs(l/want-1) > 1e-12 {
					t.Errorf("logits at %v, mass %v: %v, want %v", off, mass, l, want)
				}
			}
		}
	})
}

// TestBernoulliKLOfFarLogits: beyond 708 exp(-x) is 0 where its product with another exponential
// counts.
func TestBernoulliKLOfFarLogits(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, c := range []struct {
			x, t float32
			want float64
		}{
			{708.5, 0, math.Ln2},
			{-708.5, 0, math.Ln2},
			{1500, 0, math.Ln2},
			{710, 5, math.Log1p(math.Exp(-5))},
			{650, 5, math.Log1p(math.Exp(-5))},
		} {
			if got := BernoulliKLSum([]float32{c.x}, []float32{c.t}); math.Abs(got/c.want-1) > 1e-9 {
				t.Errorf("x = %v, t = %v: %v, want %v", c.x, c.t, got, c.want)
			}
		}
	})
}
