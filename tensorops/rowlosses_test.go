package tensorops

import (
	"math"
	"testing"
)

// Sums over rows without the label's element, what violates a margin and quadratic forms are those
// of float64, rounded once, on every level and for every number of columns; they stay within their
// slices.
func TestRowLosses(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testRowLosses[float32](t, 0x1p-24)
		testRowLosses[float64](t, 0x1p-53)
	})
}

func testRowLosses[F Float](t *testing.T, rounding float64) {
	const rows = 5
	r := newRand(t, 11)
	for _, cols := range []int{1, 2, 3, 4, 5, 7, 8, 21, 64, 131} {
		n := rows * cols
		x, e, d, w := make([]F, n), make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], e[i], d[i], w[i] = F(r.NormFloat64()), math.Exp(r.NormFloat64()), r.NormFloat64(), r.Float64()
		}
		labels := make([]int, rows)
		per := make([]float64, rows)
		for i := range labels {
			labels[i], per[i] = (i*7)%cols, 0.5+r.Float64()
		}
		labels[0], labels[1] = cols-1, 0
		near := func(what string, got, want, size float64) {
			t.Helper()
			// a sum of as many terms is within as many roundings of them
			if !(math.Abs(got-want) <= float64(cols+4)*0x1p-53*size) && got != want {
				t.Errorf("%s of %d columns: %v, want %v", what, cols, got, want)
			}
		}
		padded := func(what string, f func(dst []F)) []F {
			buf := make([]F, n+2)
			buf[0], buf[n+1] = 7, 7
			f(buf[1 : n+1])
			if buf[0] != 7 || buf[n+1] != 7 {
				t.Errorf("%s of %d columns writes beyond", what, cols)
			}
			return buf[1 : n+1]
		}
		of := func(i, j int) float64 { return float64(x[i*cols+j]) }

		for _, y := range [][]int{nil, labels} {
			sums := make([]RowSums, rows)
			SumOthers(sums, x, y)
			for i, s := range sums {
				sum, squares, most, size := 0.0, 0.0, math.Inf(-1), 0.0
				for j := range cols {
					if v := of(i, j); y == nil || j != y[i] {
						sum, squares, most, size = sum+v, squares+v*v, max(most, v), size+math.Abs(v)
					}
				}
				near("Sum", s.Sum, sum, size)
				near("Squares", s.Squares, squares, squares)
				if s.Most != most {
					t.Errorf("the largest of %d columns is %v, want %v", cols, s.Most, most)
				}
			}
		}

		for _, form := range [][2]float64{{1, 0}, {0, 2}} {
			violations := make([]Violation, rows)
			dst := padded("Violations", func(dst []F) { Violations(violations, dst, x, labels, per, per, 0.25, form[0], form[1]) })
			for i, s := range violations {
				loss, slope := 0.0, 0.0
				for j := range cols {
					g, v := 0.0, 0.25+(of(i, j)-per[i])
					if j != labels[i] && v > 0 {
						g = form[0] + form[1]*v
						loss, slope = loss+g*v, slope+g
					}
					if got := float64(dst[i*cols+j]); !(math.Abs(got-per[i]*g) <= rounding*math.Abs(got)) {
						t.Errorf("Violations of %d columns: %v, want %v", cols, got, per[i]*g)
					}
				}
				near("Loss", s.Loss, loss, loss)
				near("Slope", s.Slope, slope, slope)
			}
		}

		kept := make([]KeptSums, rows)
		SumKept(kept, d, w)
		gaps, from := make([]GapSums, rows), make([]float64, rows)
		from[2] = 0.5
		gap := make([]float64, n)
		RowGaps(gaps, gap, e, w, per, from)
		for i := range rows {
			hit, most, squares, product, largest, size := 0.0, math.Inf(-1), 0.0, 0.0, 0.0, 0.0
			for j := range cols {
				at := i*cols + j
				hit, most = hit+w[at]*d[at], max(most, (1-w[at])*d[at])
				g := math.FMA(per[i], e[at], -w[at])
				squares, product, largest = squares+g*g, product+e[at]*(g-from[i]), max(largest, w[at])
				size += math.Abs(w[at]*d[at]) + e[at]*math.Abs(g-from[i])
				if gap[at] != g-from[i] {
					t.Errorf("RowGaps of %d columns: %v, want %v", cols, gap[at], g-from[i])
				}
			}
			near("Hit", kept[i].Hit, hit, size)
			near("Product", gaps[i].Product, product, size)
			near("Squares", gaps[i].Squares, squares, squares)
			if kept[i].Most != most || gaps[i].Most != largest {
				t.Errorf("the largest of %d columns are %v and %v, want %v and %v", cols, kept[i].Most, gaps[i].Most, most, largest)
			}
		}

		numbers := make([][3]float64, rows)
		for i := range numbers {
			numbers[i] = [3]float64{per[i], -0.5, 2}
		}
		dst := padded("RowProducts", func(dst []F) { RowProducts(dst, e, d, numbers) })
		for at, got := range dst {
			if want := F(math.FMA(per[at/cols], d[at], -0.5) * e[at] * 2); got != want {
				t.Errorf("RowProducts of %d columns: %v, want %v", cols, got, want)
			}
		}

		x[n/2] = F(math.NaN())
		sums := make([]RowSums, rows)
		SumOthers(sums, x, nil)
		violations := make([]Violation, rows)
		padded("Violations", func(dst []F) { Violations(violations, dst, x, make([]int, rows), per, per, 1, 1, 0) })
		if row := n / 2 / cols; sums[row].Sum == sums[row].Sum || n/2%cols != 0 && violations[row].Loss == violations[row].Loss {
			t.Errorf("%d columns: a NaN is lost", cols)
		}
	}
}

// Rows side by side are copied to rows one after another and back, and weighed sums are those of
// float64.
func TestRowLayouts(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testRowLayouts[float32](t)
		testRowLayouts[float64](t)
	})
}

func testRowLayouts[F Float](t *testing.T) {
	r := newRand(t, 13)
	for _, cols := range []int{1, 3, 4, 5, 21, 40} {
		const inner = BesideRows + 5
		x := make([]F, cols*inner)
		v := make([]float64, cols)
		for i := range x {
			x[i] = F(r.NormFloat64())
		}
		for i := range v {
			v[i] = r.NormFloat64()
		}
		n := BesideRows * cols
		rows, group, back := make([]F, n), make([]F, n), make([]F, len(x))
		GatherBeside(rows, group, x[2:], inner, cols)
		ScatterBeside(back[2:], group, rows, inner, cols)
		sums := make([]float64, BesideRows)
		RowDots(sums, rows, v)
		for i := range inner {
			want, size := 0.0, 0.0
			for c := range cols {
				at := c*inner + i
				inside := i >= 2 && i < 2+BesideRows
				if inside && rows[(i-2)*cols+c] != x[at] || inside != (back[at] == x[at]) || !inside && back[at] != 0 {
					t.Errorf("%d columns: element %d of row %d is not copied", cols, c, i)
				}
				want, size = want+v[c]*float64(x[at]), size+math.Abs(v[c]*float64(x[at]))
			}
			if i >= 2 && i < 2+BesideRows && !(math.Abs(sums[i-2]-want) <= float64(cols+4)*0x1p-53*size) {
				t.Errorf("the sum of %d columns is %v, want %v", cols, sums[i-2], want)
			}
		}
	}
}
