package tensorops

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
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

// longRow is the softmax of a float32 row in float64 with compensated sums: x - max is exact there
// and exponentials are accurate to 2^-52, far below a unit in the last place of float32.
type longRow struct {
	max, sum, rest, logs float64   // rest is the sum without the largest element, logs is log(1 + rest)
	exp                  []float64 // of x - max
}

func longRowOf(x []float32) longRow {
	r := longRow{max: math.Inf(-1), exp: make([]float64, len(x))}
	at := 0
	for i, v := range x {
		if float64(v) > r.max {
			r.max, at = float64(v), i
		}
	}
	var sum exactSum
	for i, v := range x {
		r.exp[i] = math.Exp(float64(v) - r.max)
		if i != at {
			sum.add(r.exp[i])
		}
	}
	r.rest = sum.value()
	r.sum, r.logs = 1+r.rest, math.Log1p(r.rest)
	return r
}

// TestAccuracyOfLongRows checks the limits of the package documentation for float32 rows of 1 to
// 10^7 elements.
func TestAccuracyOfLongRows(t *testing.T) {
	for _, n := range []int{1, 10, 100, 1000, 32000, 128256, 1_000_000} {
		if n > 200_000 && (testing.Short() || raceEnabled) {
			n = 200_000
		}
		rng := newRand(t, 71)
		for _, d := range distributions {
			testAccuracy(t, rng, d, n, max(1, min(200, short(100_000, 20_000)/n)))
		}
	}
	if !testing.Short() && !raceEnabled {
		testAccuracy(t, newRand(t, 72), distributions[1], 10_000_000, 1)
	}
}

// testAccuracy checks rows of n elements at every level; drawing and adding them is the long part.
func testAccuracy(t *testing.T, rng *rand.Rand, d distribution, n, count int) {
	t.Run(fmt.Sprintf("%s/n=%d", d.name, n), func(t *testing.T) {
		rows, want := make([][]float32, count), make([]longRow, count)
		for i := range rows {
			rows[i] = convert[float32](d.row(rng, n))
			want[i] = longRowOf(rows[i])
		}
		forEachImpl(t, func(t *testing.T) {
			var worst rowErrors
			for i := range rows {
				worst.check(t, rows[i], want[i])
			}
			t.Log(worst)
		})
	})
}

// rowErrors are the largest errors seen, in units of the last place; logsAbs is absolute.
type rowErrors struct{ lse, softmax, logs, logsAbs, loss float64 }

func (e rowErrors) String() string {
	return fmt.Sprintf("log-sum-exp %.3f  softmax %.2f  log-softmax %.2f (%.1e)  cross-entropy %.3f", e.lse,
		e.softmax, e.logs, e.logsAbs, e.loss)
}

func (worst *rowErrors) check(t *testing.T, x []float32, want longRow) {
	t.Helper()
	n := len(x)
	var lse [1]float32
	dst := make([]float32, n)
	LogSumExpRows(lse[:], x, n)
	e := ulps(lse[0], want.max+want.logs)
	if worst.lse = max(worst.lse, e); e > totalUlps32 {
		t.Errorf("LogSumExp %v, want %v: %.3f ulp", lse[0], want.max+want.logs, e)
	}
	SoftmaxRows(dst, x, n)
	for i := range x {
		worst.softmax = max(worst.softmax, ulps(dst[i], want.exp[i]/want.sum))
	}
	if worst.softmax > softmaxUlps {
		t.Errorf("Softmax off by %.2f ulp", worst.softmax)
	}
	LogSoftmaxRows(dst, x, n)
	for i, v := range x {
		w := (float64(v) - want.max) - want.logs
		e, abs := ulps(dst[i], w), math.Abs(float64(dst[i])-w)
		worst.logs, worst.logsAbs = max(worst.logs, e), max(worst.logsAbs, abs)
		if e > logUlps32 && abs > 1e-7 {
			t.Fatalf("LogSoftmax[%d] %v, want %v: %.2f ulp", i, dst[i], w, e)
		}
	}
	for _, y := range []int{0, n / 2, active[float32]().index(x, float32(want.max))} {
		w := want.max - float64(x[y]) + want.logs
		if float64(x[y]) == want.max {
			w = want.logs
		}
		e := ulps(float32(CrossEntropyRow(x, y, nil)), w)
		if worst.loss = max(worst.loss, e); e > crossEntropyUlps {
			t.Errorf("CrossEntropy %v, want %v: %.2f ulp", CrossEntropyRow(x, y, nil), w, e)
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
