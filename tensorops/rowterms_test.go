package tensorops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// rowCases are the losses of rows with parameters.
func rowCases() (all []RowTerms) {
	for _, l := range []RowTerms{
		{Loss: AbsoluteTerms}, {Loss: RootTerms}, {Loss: SquareTerms},
		{Loss: PowerTerms, P: [4]float64{0.3}}, {Loss: PowerTerms, P: [4]float64{-1.5}}, {Loss: PowerTerms, P: [4]float64{2.5}},
		{Loss: QuotientTerms, P: [4]float64{1}}, {Loss: QuotientTerms, P: [4]float64{1, 0, 1}}, {Loss: QuotientTerms, P: [4]float64{0, 1, 0, 1}},
		{Loss: LogTerms}, {Loss: LogTargetTerms},
		{Loss: MixedTerms, P: [4]float64{0.5, 0.5}}, {Loss: MixedTerms, P: [4]float64{0.01, 0.99}},
	} {
		for l.Wrt = range 2 {
			all = append(all, l)
		}
	}
	return all
}

// rowOperands draws numbers of the domains, some nearly equal, some 0.
func rowOperands[F Float](rng *rand.Rand, l RowLoss, n int) (x, t []F) {
	x, t = make([]F, n), make([]F, n)
	for i := range x {
		a := 4 * rng.NormFloat64()
		b := a + []float64{3, 1e-3, 1e-7}[rng.IntN(3)]*rng.NormFloat64()
		switch l {
		case LogTargetTerms:
			x[i], t[i] = F(a), F(b)
		case LogTerms:
			x[i], t[i] = F(a), F(math.Exp(b))
		default:
			x[i], t[i] = F(math.Exp(a)), F(math.Exp(b))
		}
	}
	return x, t
}

// TestRowTerms holds rows of every length, one after another and side by side, to the formulas,
// between bands that do not change.
func TestRowTerms(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testRowTerms[float32])
		t.Run("float64", testRowTerms[float64])
	})
}

func testRowTerms[F Float](t *testing.T) {
	rng := newRand(t, 51)
	for _, l := range rowCases() {
		// float64 throughout but for the roots, of which float32 terms have eight roundings; a function
		// of a quotient near 1 has the digits of the quotient
		rel := 1e-13
		if l.Loss == RootTerms && isFloat32[F]() {
			rel = 8 * 0x1p-24
		}
		for _, cols := range []int{1, 2, 3, 4, 7, 8, 9, 21, 64, 67} {
			for _, rows := range []int{1, 3, 8, rowChunk + 3} {
				x, y := rowOperands[F](rng, l.Loss, rows*cols)
				for _, inner := range []int{1, rows} {
					dst, intact := guarded[F](rows*cols, rng.IntN(9))
					sums, factors := make([]RowSum, rows), make([]float64, rows)
					for i := range factors {
						factors[i] = 1
						if l.Loss.Scales() {
							factors[i] = 0.5 + rng.Float64()
						}
					}
					if inner == 1 {
						TermsOfRows(sums, dst, x, y, factors, cols, &l)
					} else {
						TermsOfColumns(sums, dst, x, y, factors, cols, inner, &l)
					}
					what := fmt.Sprintf("%+v, %d rows of %d, inner %d", l, rows, cols, inner)
					if !intact() {
						t.Fatalf("%s: wrote outside", what)
					}
					for i := range rows {
						var want RowSum
						size := 0.0
						for c := range cols {
							at := i*cols + c
							if inner > 1 {
								at = c*inner + i
							}
							a, b := float64(x[at]), float64(y[at])
							term, byX, byT := l.Term(a, b)
							want.Terms, want.X, want.T = want.Terms+term, want.X+a, want.T+b
							if l.Loss == RootTerms {
								want.Products += math.Sqrt(a * b)
							}
							size += math.Abs(term)
							switch l.Loss { // differences
							case LogTerms:
								size += math.Abs(a * b)
							case MixedTerms:
								size += math.Abs(a*byX) + math.Abs(b*byT)
							}
							slope := factors[i] * []float64{byX, byT}[l.Wrt]
							tolerance := rel*(1+math.Abs(slope)) + 0x1p-24*math.Abs(slope)
							if !isFloat32[F]() {
								tolerance = 4e-15*math.Abs(slope) + 1e-15
								if l.Loss == PowerTerms {
									tolerance = rel * math.Abs(slope)
								}
							}
							if !(math.Abs(float64(dst[at])-slope) <= tolerance) {
								t.Fatalf("%s: derivative at (%v, %v) is %v, want %v", what, a, b, dst[at], slope)
							}
						}
						if !(math.Abs(sums[i].Terms-want.Terms) <= rel*size) || !(math.Abs(sums[i].Products-want.Products) <= rel*want.Products) || !(math.Abs(sums[i].X-want.X) <= 1e-13*float64(cols)*(1+math.Abs(want.X))) ||
							!(math.Abs(sums[i].T-want.T) <= 1e-13*float64(cols)*(1+math.Abs(want.T))) {
							t.Fatalf("%s: row %d adds up to %v, want %v", what, i, sums[i], want)
						}
					}
				}
			}
		}
	}
}

// TestRowTermsOfHostileNumbers puts numbers of 0, outside the domains and at the ends of the range
// among others: the sums are those of the formulas, or NaN.
func TestRowTermsOfHostileNumbers(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testRowTermsOfHostileNumbers[float32])
		t.Run("float64", testRowTermsOfHostileNumbers[float64])
	})
}

func testRowTermsOfHostileNumbers[F Float](t *testing.T) {
	hostile := []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), -1, 0x1p-149, 1e-30, 3e38, 1, 0x1p-1074, 1e300}
	for _, l := range rowCases() {
		for _, a := range hostile {
			for _, b := range hostile {
				if isFloat32[F]() && (float64(F(a)) != a || float64(F(b)) != b) && a == a && b == b {
					continue
				}
				x, y := make([]F, 5), make([]F, 5)
				for i := range x {
					x[i], y[i] = 0.25, 0.5
				}
				x[3], y[3] = F(a), F(b)
				dst, sums := make([]F, 5), make([]RowSum, 1)
				TermsOfRows(sums, dst, x, y, nil, 5, &l)
				term, byX, byT := l.Term(a, b)
				other, _, _ := l.Term(0.25, 0.5)
				want := 4*other + term
				got := sums[0]
				if got.Terms != got.Terms || math.IsInf(got.Terms, 0) || got.X-got.X != 0 || got.T-got.T != 0 {
					if want-want == 0 && math.Abs(a) < 1e30 && math.Abs(b) < 1e30 && (a == 0 || math.Abs(a) > 1e-40) && (b == 0 || math.Abs(b) > 1e-40) {
						t.Errorf("%+v at (%v, %v): %v, want terms of %v", l, a, b, got, want)
					}
					continue
				}
				// the error of an exponential of y is |y| roundings
				if !(math.Abs(got.Terms-want) <= 1e-12*math.Abs(want)) && !(isFloat32[F]() && math.Abs(got.Terms-want) <= 0x1p-21*math.Abs(want)) {
					t.Errorf("%+v at (%v, %v): terms of %v, want %v", l, a, b, got.Terms, want)
				}
				slope := []float64{byX, byT}[l.Wrt]
				if d := float64(dst[3]); !(math.Abs(d-slope) <= 0x1p-22*math.Abs(slope) || d == float64(F(slope))) {
					t.Errorf("%+v at (%v, %v): derivative %v, want %v", l, a, b, d, slope)
				}
			}
		}
	}
}

// TestScaledRows scales rows, and adds them up, of every length.
func TestScaledRows(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testScaledRows[float32])
		t.Run("float64", testScaledRows[float64])
	})
}

func testScaledRows[F Float](t *testing.T) {
	rng := newRand(t, 53)
	for cols := 1; cols < 40; cols++ {
		for rows := range 6 {
			x, intact := guarded[F](rows*cols, rng.IntN(9))
			factors, sums := make([]F, rows), make([]float64, rows)
			for i := range factors {
				factors[i] = F(rng.NormFloat64())
			}
			for i := range x {
				x[i] = F(rng.IntN(100))
			}
			want := append([]F(nil), x...)
			RowTotals(sums, x, cols)
			ScaleRows(x, factors, cols)
			if !intact() {
				t.Fatalf("%d rows of %d: wrote outside", rows, cols)
			}
			for i, f := range factors {
				sum := 0.0
				for c := range cols {
					v := want[i*cols+c]
					sum += float64(v)
					if got := x[i*cols+c]; got != v*f {
						t.Fatalf("%d rows of %d: element %d of row %d is %v, want %v", rows, cols, c, i, got, v*f)
					}
				}
				if sums[i] != sum { // of whole numbers
					t.Fatalf("%d rows of %d: row %d adds up to %v, want %v", rows, cols, i, sums[i], sum)
				}
			}
		}
	}
}
