package tensorops

import (
	"math"
	"testing"
)

// TestGuessChangesNoBits sums rows with good, bad and no guesses at the anchor: rows that begin
// with other elements than they go on with, masked ones among them, so that the first elements
// mislead.
func TestGuessChangesNoBits(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testGuess[float32])
		t.Run("float64", testGuess[float64])
	})
}

func testGuess[F Float](t *testing.T) {
	k := active[F]()
	t.Run("expSum", func(t *testing.T) { guessKernel(t, k.expSum) })
	t.Run("expSumLong", func(t *testing.T) { guessKernel(t, k.expSumLong) })
	t.Run("expSumWide", func(t *testing.T) { guessKernel(t, k.expSumWide) })
}

func guessKernel[F Float](t *testing.T, expSum func(x []F, guess float64) (max F, anchor, sum float64)) {
	rng := newRand(t, 81)
	rows := map[string]func(i int) float64{
		"normal":       func(int) float64 { return 3 * rng.NormFloat64() },
		"masked first": func(i int) float64 { return cond(i < 300, math.Inf(-1), rng.NormFloat64()) },
		"low first":    func(i int) float64 { return cond(i < 300, -5000, rng.NormFloat64()) },
		"high first":   func(i int) float64 { return cond(i < 100, 3000, rng.NormFloat64()) },
		"one high":     func(i int) float64 { return cond(i == 700, 90, -rng.Float64()) },
		"far":          func(int) float64 { return 60000 + rng.NormFloat64() },
	}
	for name, draw := range rows {
		for _, n := range []int{1, 64, 127, 128, 129, 512, 513, 1000, 1024} {
			x := make([]F, n)
			for i := range x {
				x[i] = F(draw(i))
			}
			max, anchor, sum := expSum(x, math.NaN())
			if math.IsInf(float64(max), -1) {
				continue // nothing but -Inf has no anchor
			}
			want, wantSum := ownAnchor(float64(max), anchor, sum)
			if exact := sumBeyondAnchors(x, float64(max), -1) * math.Exp(float64(max)-want*math.Ln2); math.Abs(wantSum/exact-1) > 1e-6 {
				t.Errorf("%s, n=%d: sum %v, want %v", name, n, wantSum, exact)
			}
			for _, off := range []float64{0, 1, -1, 39, -39, 41, -41, 61, -61, 200, -200, 5000, -5000} {
				m, a, s := expSum(x, want+off)
				if a-want > 42 || want-a > 92 {
					t.Errorf("%s, n=%d, guess off by %v: anchor %v, want about %v", name, n, off, a, want)
				}
				a, s = ownAnchor(float64(m), a, s)
				if m != max || a != want || s != wantSum {
					t.Errorf("%s, n=%d, guess off by %v: max %v, sum %v·2^%v, want %v, %v·2^%v", name, n, off, m, s,
						a, max, wantSum, want)
				}
			}
			if n == 1 {
				continue // a row of a NaN alone has no anchor
			}
			x[rng.IntN(n)] = F(math.NaN())
			for _, guess := range []float64{math.NaN(), want, want + 300} {
				if _, _, s := expSum(x, guess); s == s {
					t.Errorf("%s, n=%d, guess %v: sum %v of a row with a NaN", name, n, guess, s)
				}
			}
		}
	}
}

func cond(yes bool, a, b float64) float64 {
	if yes {
		return a
	}
	return b
}

// TestSumsAroundTheLargest plants elements that share nearly all of the sum in every position of a
// row: what float32 sums lose of them is put right.
func TestSumsAroundTheLargest(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 82)
		for _, n := range []int{65, 130, 300, 1000, 1024, 3000} {
			x, dst, lse := make([]float32, n), make([]float32, n), make([]float32, 1)
			for at := 0; at < n; at += 1 + rng.IntN(17) {
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				x[at] = float32(7 + 4*rng.Float64()) // a share of 0.3 to 1
				want := longRowOf(x)
				LogSumExpRows(lse, x, n)
				if e := ulps(lse[0], want.max+math.Log1p(want.rest)); e > totalUlps32 {
					t.Errorf("n=%d, largest at %d: log-sum-exp off by %.3f ulp", n, at, e)
				}
				SoftmaxRows(dst, x, n)
				if e := ulps(dst[at], 1/want.sum); e > softmaxUlps {
					t.Errorf("n=%d, largest at %d: softmax off by %.2f ulp", n, at, e)
				}
			}
		}
	})
}

// TestRowsAfterRows compares rows in a matrix, where the row before gives the guess, with the same
// rows alone: rows whose anchors are far apart, masked rows, rows with NaN or infinities, and rows
// that are not to be read, in every order.
func TestRowsAfterRows(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 83)
		inf := float32(math.Inf(1))
		for _, cols := range []int{65, 100, 127, 512, 700, 1000, 1024} {
			const rows = 37
			x := make([]float32, rows*cols)
			labels, g := make([]int, rows), make([]float64, rows)
			for i := range rows {
				row := x[i*cols : (i+1)*cols]
				shift := []float64{0, 0, 0, 20, -300, 5000, 60000, 3e5}[rng.IntN(8)]
				for j := range row {
					row[j] = float32(shift + 3*rng.NormFloat64())
				}
				labels[i], g[i] = rng.IntN(cols), rng.NormFloat64()
				switch rng.IntN(9) {
				case 0:
					row[rng.IntN(cols)] = float32(math.NaN())
				case 1:
					row[rng.IntN(cols)] = inf
				case 2:
					for j := range row {
						row[j] = -inf
					}
				case 3:
					row[rng.IntN(cols)] = -inf
				case 4:
					labels[i] = -1
				case 5:
					g[i] = 0
				}
			}
			same := func(what string, i int, got, want float64) {
				if got != want && !(got != got && want != want) {
					t.Errorf("cols=%d, row %d: %s %v in the matrix, %v alone", cols, i, what, got, want)
				}
			}
			lse, alone := make([]float32, rows), make([]float32, 1)
			LogSumExpRows(lse, x, cols)
			values, dst, grad := make([]float64, rows), make([]float32, len(x)), make([]float32, cols)
			CrossEntropyGradRows(values, dst, x, cols, labels, g, nil)
			for i := range rows {
				row := x[i*cols : (i+1)*cols]
				LogSumExpRows(alone, row, cols)
				same("log-sum-exp", i, float64(lse[i]), float64(alone[0]))
				want := 0.0
				clear(grad)
				if labels[i] >= 0 && g[i] != 0 {
					want = CrossEntropyGradRow(grad, row, labels[i], g[i], nil)
				}
				same("cross-entropy", i, values[i], want)
				for j, v := range grad {
					same("gradient", i, float64(dst[i*cols+j]), float64(v))
				}
			}
		}
	})
}
