package tensorops

import (
	"math"
	"slices"
	"testing"
)

// Sums and combinations of vectors are those of float64, rounded once, on every level and for every
// length; they stay within their slices.
func TestVectors(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testVectors[float32](t, 0x1p-24)
		testVectors[float64](t, 0x1p-53)
	})
}

func testVectors[F Float](t *testing.T, rounding float64) {
	r := newRand(t, 7)
	for _, n := range []int{1, 3, 15, 16, 17, 48, 100, 129} {
		draw := func() []F {
			x := make([]F, n)
			for i := range x {
				x[i] = F(r.NormFloat64())
			}
			return x
		}
		x, y, z := draw(), draw(), draw()
		var squares, combined, xx, xy, yy, size float64
		for i, v := range x {
			a, b := float64(v), float64(y[i])
			squares += (a - b + 0.25) * (a - b + 0.25)
			combined += (2*a - 3*b) * (2*a - 3*b)
			xx, xy, yy, size = xx+a*a, xy+a*b, yy+b*b, size+math.Abs(a*b)
		}
		near := func(what string, got, want, size float64) {
			if !(math.Abs(got-want) <= size) {
				t.Errorf("%s of %d: %v, want %v", what, n, got, want)
			}
		}
		// a sum of n terms is within n roundings of them
		sum := float64(n+4) * 0x1p-53
		near("GapSquares", GapSquares(x, y, 0.25), squares, sum*squares)
		near("CombinedSquares", CombinedSquares(x, y, 2, -3), combined, 4*sum*combined)
		gotXX, gotXY, gotYY := DotProducts(x, y)
		near("x·x", gotXX, xx, sum*xx)
		near("x·y", gotXY, xy, sum*size)
		near("y·y", gotYY, yy, sum*yy)

		each := func(what string, f func(dst []F), want func(a, b, c float64) float64) {
			buf := make([]F, n+2)
			buf[0], buf[n+1] = 7, 7
			f(buf[1 : n+1])
			if buf[0] != 7 || buf[n+1] != 7 {
				t.Errorf("%s of %d writes beyond", what, n)
			}
			for i, v := range buf[1 : n+1] {
				// the rounding of the result, and those of terms of up to 16 in float64
				near(what, float64(v), want(float64(x[i]), float64(y[i]), float64(z[i])), rounding*math.Abs(float64(v))+0x1p-48)
			}
		}
		each("GapScale", func(d []F) { GapScale(d, x, y, 0.25, -2) }, func(a, b, _ float64) float64 { return -2 * (a - b + 0.25) })
		each("GapScale2", func(d []F) { GapScale2(d, x, y, z, 0.25, -2, -0.5, 3) },
			func(a, b, c float64) float64 { return -2*(a-b+0.25) + 3*(a-c-0.5) })
		each("Combine", func(d []F) { Combine(d, x, y, 2, -3) }, func(a, b, _ float64) float64 { return 2*a - 3*b })
	}
}

// Terms of a row have the digits of float32 and their sum more; rows that are not ordinary have
// the sum NaN.
func TestExpTerms(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		r := newRand(t, 8)
		for _, n := range []int{1, 7, 8, 9, 31, 32, 33, 40, 100, 1000} {
			for _, spread := range []float64{0, 1, 30, 1e4} {
				x, dst := make([]float32, n), make([]float32, n+2)
				for i := range x {
					x[i] = float32(spread * r.NormFloat64())
				}
				dst[0], dst[n+1] = 7, 7
				largest, got := ExpTerms(dst[1:n+1], x)
				top, want := math.Inf(-1), 0.0
				for _, v := range x {
					top = max(top, float64(v))
				}
				for i, v := range x {
					e := math.Exp(float64(v) - top)
					want += e
					d := top - float64(v)
					if g := float64(dst[i+1]); math.Abs(g-e) > (2+d/2)*0x1p-23*e+0x1p-125 {
						t.Errorf("n %d: exp(%v) = %v, want %v", n, -d, g, e)
					}
				}
				if dst[0] != 7 || dst[n+1] != 7 {
					t.Errorf("n %d: writes beyond", n)
				}
				inPlace := append([]float32{}, x...)
				if s := ExpLess(inPlace, inPlace, largest); s != got || !slices.Equal(inPlace, dst[1:n+1]) {
					t.Errorf("n %d: in place %v, sum %v, want %v and %v", n, inPlace, s, dst[1:n+1], got)
				}
				if float64(largest) != top || math.Abs(got-want) > 4e-7*want {
					t.Errorf("n %d: largest %v, sum %v, want %v and %v", n, largest, got, top, want)
				}
			}
			for _, v := range []float64{math.NaN(), math.Inf(1)} {
				x := make([]float32, n)
				x[n/2] = float32(v)
				if _, sum := ExpTerms(make([]float32, n), x); sum == sum {
					t.Errorf("n %d with %v: sum %v, want NaN", n, v, sum)
				}
			}
		}
	})
}

// The pairs of an item are the sums of their terms.
func TestLogisticPairs(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		r := newRand(t, 9)
		for n := range 14 {
			draw := func(lo, hi float64) []float64 {
				x := make([]float64, n)
				for i := range x {
					x[i] = lo + (hi-lo)*r.Float64()
				}
				return x
			}
			for _, before := range []bool{false, true} {
				s := LogisticSides{U: draw(0, 1), X: draw(-3, 0), Weights: draw(0, 1), Pull: draw(0, 1), Products: draw(0, 2)}
				want := LogisticSides{Pull: append([]float64{}, s.Pull...), Products: append([]float64{}, s.Products...)}
				const v, score, weight = 0.75, -2, 0.5
				all, sum, far := 1.0, 0.0, 0.0
				for k, u := range s.U {
					gap, p := weight-s.Weights[k], v*u/(1+v*u)
					if before {
						gap, p = -gap, 1/(1+v*u)
					}
					all *= 1 + v*u
					sum += gap * p
					far += gap * (s.X[k] - score)
					want.Pull[k] += gap * p
					want.Products[k] = (1+want.Products[k])*(1+v*u) - 1
				}
				var product, own, distance float64
				if before {
					product, own, distance = PairsBefore(&s, v, score, weight)
				} else {
					product, own = PairsBehind(&s, v, weight)
					far = 0
				}
				got := append(append([]float64{product, own, distance}, s.Pull...), s.Products...)
				for k, w := range append(append([]float64{all - 1, sum, far}, want.Pull...), want.Products...) {
					if math.Abs(got[k]-w) > 1e-13*(1+math.Abs(w)) { // a few roundings of up to fourteen terms
						t.Errorf("%d pairs, before %v: number %d is %v, want %v", n, before, k, got[k], w)
					}
				}
			}
		}
	})
}

// Quotients have the bits of single divisions, in place too.
func TestQuotients(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		r := newRand(t, 11)
		for _, n := range []int{1, 15, 16, 33, 100} {
			x, y := make([]float64, n), make([]float64, n)
			for i := range x {
				x[i], y[i] = r.NormFloat64(), r.NormFloat64()
			}
			x[n/2] = math.Inf(1)
			q, rest := make([]float64, n), append([]float64{}, y...)
			Quotients(q, x, 3)
			RestQuotients(rest, x, rest, 0.1, 7)
			for i, v := range x {
				if w := (v - float64(0.1*y[i])) / 7; q[i] != v/3 || rest[i] != w {
					t.Errorf("n %d: %v and %v, want %v and %v", n, q[i], rest[i], v/3, w)
				}
			}
		}
	})
}

// Columns add up over whole rows of four and those left; scaled, they are rounded once.
func TestColumns(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		r := newRand(t, 12)
		for _, rows := range []int{1, 4, 7, 16} {
			for _, n := range []int{1, 15, 16, 33, 64} {
				x, c := make([]float32, rows*n), make([]float64, n)
				sums, want, size := make([]float64, n), make([]float64, n), make([]float64, n)
				for i := range c {
					sums[i], c[i] = r.NormFloat64(), r.NormFloat64()
					want[i] = sums[i]
				}
				for i := range x {
					x[i] = float32(r.NormFloat64())
					want[i%n] += float64(x[i])
					size[i%n] += math.Abs(float64(x[i]))
				}
				AddColumns(sums, x)
				for j, w := range want {
					if math.Abs(sums[j]-w) > 3*0x1p-24*size[j]+1e-14 { // three additions in float32
						t.Errorf("%d rows of %d: column %d is %v, want %v", rows, n, j, sums[j], w)
					}
				}
				row := append([]float32{}, x[:n]...)
				ScaleColumns(row, c, 0.5)
				for j, v := range row {
					if w := float32(float64(x[j]) * (0.5 + c[j])); v != w {
						t.Errorf("%d columns: %v, want %v", n, v, w)
					}
				}
			}
		}
	})
}
