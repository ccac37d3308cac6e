package tensorops

import (
	"math"
	"testing"
)

// Limits in units of the last place. exp, softmax and the sums have their own rounding errors in
// float32; the float64 ones are bounded by the polynomial and the two roundings after it.
const (
	softmaxUlps = 4
	totalUlps32 = 0.6
	logUlps32   = 2
)

// checkRow compares all three functions with the exact values of one row. slack admits an absolute
// error besides.
func checkRow[F Float](t *testing.T, what string, x []F) {
	t.Helper()
	want := bigOf(x)
	var lse [1]F
	soft, logs := make([]F, len(x)), make([]F, len(x))
	LogSumExpRows(lse[:], x, len(x))
	SoftmaxRows(soft, x, len(x))
	LogSoftmaxRows(logs, x, len(x))
	if e := ulps(lse[0], want.logSumExp()); isFloat32[F]() && e > totalUlps32 {
		t.Errorf("%s: LogSumExp = %v, want %v: %.2f ulp", what, lse[0], want.logSumExp(), e)
	} else if !isFloat32[F]() && !near64(float64(lse[0]), want.logSumExp()) {
		t.Errorf("%s: LogSumExp = %v, want %v", what, lse[0], want.logSumExp())
	}
	for i := range x {
		if e := ulps(soft[i], want.softmax(i)); e > softmaxUlps {
			t.Fatalf("%s: Softmax[%d] = %v, want %v: %.2f ulp", what, i, soft[i], want.softmax(i), e)
		}
		w := want.logSoftmax(float64(x[i]))
		if e := ulps(logs[i], w); isFloat32[F]() && e > logUlps32 {
			t.Fatalf("%s: LogSoftmax[%d] = %v, want %v: %.2f ulp", what, i, logs[i], w, e)
		} else if !isFloat32[F]() && !near64(float64(logs[i]), w) {
			t.Fatalf("%s: LogSoftmax[%d] = %v, want %v", what, i, logs[i], w)
		}
	}
}

// near64 is the rule for float64 values: relative 1e-12 or absolute 1e-14.
func near64(got, want float64) bool {
	return got == want || got != got && want != want ||
		math.Abs(got-want) <= max(1e-14, 1e-12*math.Abs(want))
}

// lengths are 0..67, which covers every tail of every loop, and both sides of the block's edges.
func lengths() []int {
	var out []int
	for n := 1; n <= 67; n++ {
		out = append(out, n)
	}
	for _, edge := range []int{128, blockLen, 2 * blockLen} {
		out = append(out, edge-1, edge, edge+1)
	}
	return out
}

func TestRowsAgainstBigFloats(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testRowsAgainstBigFloats[float32])
		t.Run("float64", testRowsAgainstBigFloats[float64])
	})
}

func testRowsAgainstBigFloats[F Float](t *testing.T) {
	rng := newRand(t, 11)
	for _, n := range lengths() {
		for i, d := range distributions {
			if (n > 67 || testing.Short()) && i != n%len(distributions) { // big floats are slow
				continue
			}
			checkRow(t, d.name, convert[F](d.row(rng, n)))
		}
	}
}

// The values that lose everything in exp(x)/Σ exp(x), in float32 too.
func TestHostileRows(t *testing.T) {
	inf := math.Inf(-1)
	rows := [][]float64{
		{40, 0, 0}, {0, 0, 40}, {90, 0, 0}, {745, 0, 0}, {-745, 0, 0}, {1e4, -1e4, 0}, {3e38, -3e38, 0}, {3e38, 3e38, 3e38},
		{-3e38, -3e38, -3e38}, {1e30, 1e30, -1e30}, {65535, 65536, 65537}, {-65537, -65536, -65535}, {inf, 1, 2},
		{inf, inf, 7},
		{-1e9, -1e9, 3}, {1, 1 + 1e-7, 1}, {1e-30, 0, -1e-30}, {-0.6931471805599453, -0.6931471805599453},
		{1e5, 1e5 - 1, 1e5 - 100},
		{0}, {-3}, {1e38}, {5e-324, 0}, {-87.5, 0}, {-103, 0}, {-104.5, 0}, {88, -88}, {-708, 0}, {-745.5, 0},
	}
	forEachImpl(t, func(t *testing.T) {
		for _, row := range rows {
			checkRow(t, "float32", convert[float32](row))
			checkRow(t, "float64", row)
		}
	})
}

// 8.496708510583178e-18 is log1p(2e^-40), computed with 50 digits by Python's decimal.
func TestLogSoftmaxNearOne(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		x, dst := []float32{40, 0, 0}, make([]float32, 3)
		LogSoftmaxRows(dst, x, 3)
		if want := float32(-8.496708510583178e-18); dst[0] != want {
			t.Errorf("LogSoftmax(40, 0, 0)[0] = %v, want %v", dst[0], want)
		}
	})
}

func TestCorners(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testCorners[float32])
		t.Run("float64", testCorners[float64])
	})
}

func testCorners[F Float](t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, n := range []int{1, 3, 17, 64, 65, 1000, blockLen + 5, 3*blockLen + 1} {
		for _, at := range []int{0, n / 2, n - 1} {
			for _, c := range []struct {
				name          string
				rest, special float64
				lse, share    float64 // share: every softmax and log-softmax element of the row
			}{
				{"all -Inf", -inf, -inf, -inf, nan},
				{"+Inf", 0, inf, inf, nan},
				{"+Inf among -Inf", -inf, inf, inf, nan},
				{"+Inf among huge", -3e38, inf, inf, nan},
				{"NaN", 0, nan, nan, nan},
				{"NaN among -Inf", -inf, nan, nan, nan},
				{"NaN among +Inf", inf, nan, nan, nan},
				{"NaN among huge", 3e38, nan, nan, nan},
				{"NaN among -huge", -3e38, nan, nan, nan},
			} {
				// The row stands between two ordinary ones, which must not notice.
				x := make([]F, 3*n)
				for i := range n {
					x[n+i] = F(c.rest)
				}
				x[n+at] = F(c.special)
				wantLSE := c.lse
				if n == 1 {
					wantLSE = c.special
				}
				lse, soft, logs, grad := make([]F, 3), make([]F, 3*n), make([]F, 3*n), make([]F, 3*n)
				LogSumExpRows(lse, x, n)
				SoftmaxRows(soft, x, n)
				LogSoftmaxRows(logs, x, n)
				LogSumExpGradRows(grad, x, []F{1, 1, 1}, n)
				if !same(float64(lse[1]), wantLSE) {
					t.Errorf("%s, n=%d: LogSumExp = %v, want %v", c.name, n, lse[1], wantLSE)
				}
				for i := range n {
					if soft[n+i] == soft[n+i] || logs[n+i] == logs[n+i] {
						t.Fatalf("%s, n=%d: Softmax[%d] = %v, LogSoftmax = %v, want NaN", c.name, n, i, soft[n+i],
							logs[n+i])
					}
					wantGrad := nan
					if c.lse == inf && i != at {
						wantGrad = 0
					}
					if !same(float64(grad[n+i]), wantGrad) {
						t.Fatalf("%s, n=%d: LogSumExp gradient[%d] = %v, want %v", c.name, n, i, grad[n+i], wantGrad)
					}
				}
				for i := range n {
					for _, v := range []F{soft[i], soft[2*n+i], grad[i]} {
						if ulps(v, 1/float64(n)) > softmaxUlps {
							t.Fatalf("%s, n=%d: neighbour row holds %v, want %v", c.name, n, v, 1/float64(n))
						}
					}
				}
			}
		}
	}
}

func same(a, b float64) bool { return a == b || a != a && b != b }

// A masked class has probability exactly 0 and the others are those of the row without it.
func TestMaskedClasses(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 5)
		for _, n := range []int{2, 5, 67, 1025, 5000} {
			x := convert[float32](distributions[1].row(rng, n))
			var kept []float32
			for i := range x {
				switch {
				case i == 0 || rng.IntN(3) > 0:
					kept = append(kept, x[i])
				default:
					x[i] = float32(math.Inf(-1))
				}
			}
			p, q := make([]float32, n), make([]float32, len(kept))
			SoftmaxRows(p, x, n)
			SoftmaxRows(q, kept, len(kept))
			j := 0
			for i := range p {
				if math.IsInf(float64(x[i]), -1) {
					if p[i] != 0 {
						t.Fatalf("n=%d: probability %v of a masked class, want 0", n, p[i])
					}
					continue
				}
				if ulps(p[i], float64(q[j])) > 2*softmaxUlps {
					t.Fatalf("n=%d: probability %v, without the masked classes %v", n, p[i], q[j])
				}
				j++
			}
		}
	})
}

func TestRowsInPlace(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 3)
		for _, n := range lengths() {
			x := convert[float32](distributions[1].row(rng, 3*n))
			for name, f := range map[string]func(dst, x []float32, cols int){"Softmax": SoftmaxRows[float32], "LogSoftmax": LogSoftmaxRows[float32]} {
				want, got := make([]float32, len(x)), append([]float32(nil), x...)
				f(want, x, n)
				f(got, got, n)
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("%s in place, n=%d: element %d is %v, want %v", name, n, i, got[i], want[i])
					}
				}
			}
		}
	})
}

func TestLengthMismatchPanics(t *testing.T) {
	x, y := make([]float32, 6), make([]float32, 5)
	for _, f := range []func(){
		func() { SoftmaxRows(y, x, 3) },
		func() { SoftmaxRows(x, x, 0) },
		func() { SoftmaxRows(x, x, 4) },
		func() { LogSoftmaxRows(y, x, 3) },
		func() { LogSumExpRows(y, x, 3) },
		func() { LogSumExpGradRows(x, x, y, 3) },
		func() { SoftmaxGradRows(x, x, y, 3) },
		func() { LogSoftmaxGradRows(y, x, x, 3) },
	} {
		mustPanic(t, "tensorops: length mismatch", f)
	}
}

// Zero rows are no error in the slice forms: there is nothing to do.
func TestNoRows(t *testing.T) {
	SoftmaxRows[float32](nil, nil, 3)
	LogSumExpRows[float64](nil, nil, 3)
}
