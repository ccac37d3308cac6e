package tensorops

import (
	"fmt"
	"math"
	"math/big"
	"testing"
)

// exactSum adds float64 numbers with twice the precision (Neumaier's compensation).
type exactSum struct{ sum, lost float64 }

func (s *exactSum) add(v float64) {
	t := s.sum + v
	if math.Abs(s.sum) >= math.Abs(v) {
		s.lost += (s.sum - t) + v
	} else {
		s.lost += (v - t) + s.sum
	}
	s.sum = t
}

func (s *exactSum) value() float64 { return s.sum + s.lost }

// longRow holds what a float32 row comes down to, in float64 with compensated sums: x - max is
// exact there and exponentials are good to 2^-52, which is far below a unit of float32.
type longRow struct{ max, sum, rest float64 } // rest: the sum without the largest element

func longRowOf(x []float32) longRow {
	r := longRow{max: math.Inf(-1)}
	at := 0
	for i, v := range x {
		if float64(v) > r.max {
			r.max, at = float64(v), i
		}
	}
	var sum exactSum
	for i, v := range x {
		if i != at {
			sum.add(math.Exp(float64(v) - r.max))
		}
	}
	r.rest = sum.value()
	r.sum = 1 + r.rest
	return r
}

// TestAccuracyOfLongRows holds the limits of the package documentation for float32 rows of 1 to
// 10^7 elements.
func TestAccuracyOfLongRows(t *testing.T) {
	sizes := []int{1, 10, 100, 1000, 32000, 128256, 1_000_000}
	forEachImpl(t, func(t *testing.T) {
		for _, n := range sizes {
			if n > 200_000 && (testing.Short() || raceEnabled) {
				n = 200_000
			}
			rng := newRand(t, 71)
			for _, d := range distributions {
				var worst rowErrors
				rows := max(1, min(200, short(100_000, 20_000)/n))
				for range rows {
					worst.check(t, d.name, convert[float32](d.row(rng, n)))
				}
				t.Logf("%-9s n=%-8d %s", d.name, n, worst)
			}
		}
		if !testing.Short() && !raceEnabled {
			var worst rowErrors
			worst.check(t, "normal3", convert[float32](distributions[1].row(newRand(t, 72), 10_000_000)))
			t.Logf("%-9s n=%-8d %s", "normal3", 10_000_000, worst)
		}
	})
}

// rowErrors are the largest errors seen, in units of the last place; logsAbs is absolute.
type rowErrors struct{ lse, softmax, logs, logsAbs, loss float64 }

func (e rowErrors) String() string {
	return fmt.Sprintf("log-sum-exp %.3f  softmax %.2f  log-softmax %.2f (%.1e)  cross-entropy %.3f", e.lse, e.softmax, e.logs, e.logsAbs, e.loss)
}

func (worst *rowErrors) check(t *testing.T, name string, x []float32) {
	t.Helper()
	n := len(x)
	want := longRowOf(x)
	var lse [1]float32
	dst := make([]float32, n)
	LogSumExpRows(lse[:], x, n)
	e := ulps(lse[0], want.max+math.Log1p(want.rest))
	if worst.lse = max(worst.lse, e); e > totalUlps32 {
		t.Errorf("%s, n=%d: LogSumExp %v, want %v: %.3f ulp", name, n, lse[0], want.max+math.Log1p(want.rest), e)
	}
	SoftmaxRows(dst, x, n)
	for i, v := range x {
		worst.softmax = max(worst.softmax, ulps(dst[i], math.Exp(float64(v)-want.max)/want.sum))
	}
	if worst.softmax > softmaxUlps {
		t.Errorf("%s, n=%d: Softmax off by %.2f ulp", name, n, worst.softmax)
	}
	LogSoftmaxRows(dst, x, n)
	for i, v := range x {
		w := (float64(v) - want.max) - math.Log1p(want.rest)
		e, abs := ulps(dst[i], w), math.Abs(float64(dst[i])-w)
		worst.logs, worst.logsAbs = max(worst.logs, e), max(worst.logsAbs, abs)
		if e > logUlps32 && abs > 1e-7 {
			t.Fatalf("%s, n=%d: LogSoftmax[%d] %v, want %v: %.2f ulp", name, n, i, dst[i], w, e)
		}
	}
	for _, y := range []int{0, n / 2, active[float32]().index(x, float32(want.max))} {
		w := want.max - float64(x[y]) + math.Log1p(want.rest)
		if float64(x[y]) == want.max {
			w = math.Log1p(want.rest)
		}
		e := ulps(float32(CrossEntropyRow(x, y, nil)), w)
		if worst.loss = max(worst.loss, e); e > crossEntropyUlps {
			t.Errorf("%s, n=%d: CrossEntropy %v, want %v: %.2f ulp", name, n, CrossEntropyRow(x, y, nil), w, e)
		}
	}
}

// TestExpIsGoodToOneUlp checks the exponential inside the kernels: every 997th float32 from -87 to
// 88 against float64, and float64 arguments against big floats.
func TestExpIsGoodToOneUlp(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		k := active[float32]()
		var x, dst []float32
		check := func() {
			dst = append(dst[:0], x...)
			k.expScale(dst, x, 0, -87, 1, 0, false)
			for i, v := range x {
				if e := ulps(dst[i], math.Exp(float64(v))); e > 1 {
					t.Fatalf("exp(%v) = %v, want %v: %.3f ulp", v, dst[i], math.Exp(float64(v)), e)
				}
			}
			x = x[:0]
		}
		step := uint32(short(997, 9973))
		for bits := uint32(0); bits < math.Float32bits(88); bits += step {
			v := math.Float32frombits(bits)
			x = append(x, v, max(-v, -87))
			if len(x) >= 4096 {
				check()
			}
		}
		check()
		rng := newRand(t, 73)
		for range short(200, 50) {
			row := distribution{draw: distributions[3].draw}.row(rng, 16)
			out := make([]float64, 16)
			active[float64]().expScale(out, row, 0, -700, 1, 0, false)
			want := bigOf(append(row, 0))
			for i := range out {
				w := new(big.Float).Quo(want.exp[i], newBig(1))
				if e := ulps(out[i], toFloat(w)); e > 1 {
					t.Fatalf("exp(%v) = %v, want %v: %.2f ulp", row[i], out[i], toFloat(w), e)
				}
			}
		}
	})
}

// Results below twice the smallest normal number are 0 or right, and nothing else: probabilities of
// wide logits.
func TestTinyProbabilities(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		x, dst := make([]float32, 2000), make([]float32, 2000)
		for i := range x {
			x[i] = -float32(i) * 0.06
		}
		SoftmaxRows(dst, x, len(x))
		want := longRowOf(x)
		for i, v := range x {
			w := math.Exp(float64(v)-want.max) / want.sum
			if e := ulps(dst[i], w); e > softmaxUlps {
				t.Fatalf("probability %v, want %v: %.2f ulp", dst[i], w, e)
			}
			if w >= 0x1p-125 && dst[i] == 0 || dst[i] != 0 && dst[i] < 0x1p-126 {
				t.Fatalf("probability %v, want %v: wrongly 0, or denormal", dst[i], w)
			}
		}
	})
}
