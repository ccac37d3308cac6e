package mat

import (
	"math"
	"sync"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

func panicOf(f func()) (message any) {
	defer func() { message = recover() }()
	f()
	return nil
}

func TestRefusals(t *testing.T) {
	x, y, z, v := make([]float32, 12), make([]float32, 12), make([]float32, 12), make([]float32, 4)
	gemm := func(ta, tb bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) func() {
		return func() { Gemm(ta, tb, m, n, k, 1, a, lda, b, ldb, 1, c, ldc) }
	}
	vec := func(trans bool, m, n int, a []float32, lda int, x, y []float32) func() {
		return func() { MatVec(trans, m, n, 1, a, lda, x, 1, y) }
	}
	for _, c := range []struct {
		name string
		call func()
		want any
	}{
		{"m", gemm(false, false, -1, 3, 4, x, 4, y, 3, z, 3), negativeM},
		{"n", gemm(false, false, 3, -1, 4, x, 4, y, 3, z, 3), negativeN},
		{"k", gemm(false, false, 3, 3, -1, x, 4, y, 3, z, 3), negativeK},
		{"lda", gemm(false, false, 3, 3, 4, x, 3, y, 3, z, 3), badLDA},
		{"lda transposed", gemm(true, false, 3, 3, 4, x, 2, y, 3, z, 3), badLDA},
		{"lda of nothing", gemm(false, false, 3, 3, 0, x, 0, y, 3, z, 3), badLDA},
		{"ldb", gemm(false, false, 3, 3, 4, x, 4, y, 2, z, 3), badLDB},
		{"ldb transposed", gemm(false, true, 3, 3, 4, x, 4, y, 3, z, 3), badLDB},
		{"ldc", gemm(false, false, 3, 3, 4, x, 4, y, 3, z, 2), badLDC},
		{"ldc of nothing", gemm(false, false, 0, 0, 4, x, 4, y, 3, z, 0), badLDC},
		{"a", gemm(false, false, 3, 3, 4, x[:11], 4, y, 3, z, 3), shortA},
		{"a transposed", gemm(true, false, 3, 3, 4, x[:11], 3, y, 3, z, 3), shortA},
		{"b", gemm(false, false, 3, 3, 4, x, 4, y[:11], 3, z, 3), shortB},
		{"b transposed", gemm(false, true, 3, 3, 4, x, 4, y[:11], 4, z, 3), shortB},
		{"c", gemm(false, false, 3, 3, 4, x, 4, y, 3, z[:8], 3), shortC},
		{"no c", gemm(false, false, 3, 3, 4, x, 4, y, 3, nil, 3), shortC},
		{"sizes that overflow", gemm(true, false, 3, 3, math.MaxInt/2, x, 3, y, 3, z, 3), shortA},
		{"c is a", gemm(false, false, 3, 4, 4, x, 4, make([]float32, 16), 4, x, 4), overlapA},
		{"c is b", gemm(false, false, 4, 3, 4, make([]float32, 16), 4, x, 3, x, 3), overlapB},
		{"c begins in a", gemm(false, false, 1, 3, 4, x, 4, y, 3, x[3:], 3), overlapA},
		{"c ends in b", gemm(false, false, 1, 3, 2, y, 2, x[2:], 3, x, 3), overlapB},
		{"side by side", gemm(false, false, 3, 2, 2, x, 4, y, 3, x[2:], 4), nil},
		{"one column too many", gemm(false, false, 3, 2, 3, x, 4, y, 3, x[2:], 4), overlapA},
		{"one above the other", gemm(false, false, 1, 4, 4, x, 4, make([]float32, 16), 4, x[4:], 4), nil},
		{"different distances", gemm(false, false, 2, 2, 2, x, 4, y, 3, x[2:], 5), overlapA},
		{"nothing", gemm(false, false, 0, 3, 4, nil, 4, nil, 3, nil, 3), nil},
		{"no terms", gemm(false, false, 3, 3, 0, nil, 1, nil, 3, z, 3), nil},

		{"vector m", vec(false, -1, 3, x, 3, v, z), negativeM},
		{"vector n", vec(false, 3, -1, x, 3, v, z), negativeN},
		{"vector lda", vec(true, 3, 4, x, 3, v, z), badLDA},
		{"vector a", vec(false, 3, 4, x[:11], 4, v, z), shortA},
		{"vector x", vec(false, 3, 4, x, 4, v[:3], z), shortX},
		{"vector x transposed", vec(true, 3, 4, x, 4, v[:2], z), shortX},
		{"vector y", vec(false, 3, 4, x, 4, v, z[:2]), shortY},
		{"vector y transposed", vec(true, 3, 4, x, 4, v, z[:3]), shortY},
		{"y in a", vec(false, 3, 4, x, 4, v, x[9:]), overlapYA},
		{"y is x", vec(false, 3, 3, x, 3, v, v), overlapYX},
		{"vectors of nothing", vec(false, 0, 3, nil, 3, nil, nil), nil},

		{"bias", func() { GemmBias(false, false, 3, 3, 4, 1, x, 4, y, 3, v[:2], z, 3) }, shortBias},
		{"bias in c", func() { GemmBias(false, false, 3, 3, 4, 1, x, 4, y, 3, z[6:], z, 3) }, overlapBias},
		{"negative n with a bias", func() { GemmBias(false, false, 3, -3, 4, 1, x, 4, y, 3, nil, z, 3) }, negativeN},
	} {
		if got := panicOf(c.call); got != c.want {
			t.Errorf("%s: panic %v, want %v", c.name, got, c.want)
		}
	}
}

// paths are sizes for each way of computing a product: tiles, scalar products with either operand
// copied or not, a sum of rows.
var paths = []struct {
	ta, tb  bool
	m, n, k int
}{
	{false, false, 20, 40, 30}, {true, false, 60, 80, 30}, {false, true, 20, 40, 30}, {true, true, 20, 40, 30},
	{false, false, 20, 10, 30}, {false, true, 20, 10, 30}, {false, true, 3, 40, 30},
	{false, false, 1, 40, 30}, {true, false, 1, 40, 30}, {false, true, 1, 40, 30}, {false, false, 20, 1, 30},
}

// TestSpecialValues compares where a NaN, an infinity and a 0 beside them lead with a plain loop.
func TestSpecialValues(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		testSpecialValues[float32](t)
		testSpecialValues[float64](t)
	})
}

func testSpecialValues[F Float](t *testing.T) {
	rng := newRand(t, 5)
	inf, nan := F(math.Inf(1)), F(math.NaN())
	for _, p := range paths {
		for _, v := range []F{inf, -inf, nan, 0} {
			c := newCase[F](rng, p.ta, p.tb, p.m, p.n, p.k, 1, 0)
			c.c.fill(nan)
			c.a.x[2] = v
			c.b.x[0], c.b.x[1] = 0, inf
			c.run()
			for i := range c.m {
				for j := range c.n {
					var sum F
					for q := range c.k {
						a, b := c.a.at(c.ta, i, q), c.b.at(c.tb, q, j)
						sum += a * b
					}
					got := c.c.at(false, i, j)
					if kind(got) != kind(sum) {
						t.Fatalf("%v with %v: element %d, %d is %v, want %v", c, v, i, j, got, sum)
					}
				}
			}
		}
	}
}

// at returns element (i, j) of the matrix or of its transpose.
func (m matrix[F]) at(transposed bool, i, j int) F {
	if transposed {
		i, j = j, i
	}
	return m.x[i*m.ld+j]
}

// kind is 0 for a number, else the number of a NaN or an infinity.
func kind[F Float](v F) int {
	switch x := float64(v); {
	case x != x:
		return 1
	case math.IsInf(x, 1):
		return 2
	case math.IsInf(x, -1):
		return 3
	}
	return 0
}

// TestNoTerms: with alpha = 0 or k = 0 neither operand is read.
func TestNoTerms(t *testing.T) {
	nan := math.NaN()
	for _, p := range paths {
		for _, k := range []int{0, p.k} {
			a, b := make([]float64, 5000), make([]float64, 5000)
			for i := range a {
				a[i], b[i] = nan, nan
			}
			alpha := 1.0
			if k > 0 {
				alpha = 0
			}
			for _, beta := range []float64{0, 1, 2} {
				c := make([]float64, p.m*p.n)
				for i := range c {
					if c[i] = 3; beta == 0 {
						c[i] = nan
					}
				}
				Gemm(p.ta, p.tb, p.m, p.n, k, alpha, a, 80, b, 80, beta, c, p.n)
				for i, v := range c {
					if v != 3*beta {
						t.Fatalf("%+v with k=%d alpha=%v beta=%v: element %d is %v", p, k, alpha, beta, i, v)
					}
				}
			}
			bias, c := normal[float64](newRand(t, 6), p.n), make([]float64, p.m*p.n)
			GemmBias(p.ta, p.tb, p.m, p.n, k, alpha, a, 80, b, 80, bias, c, p.n)
			for i, v := range c {
				if v != bias[i%p.n] {
					t.Fatalf("%+v with k=%d alpha=%v and a bias: element %d is %v, want %v", p, k, alpha, i, v, bias[i%p.n])
				}
			}
		}
	}
}

// TestBias: a bias gives the bits of the same numbers in every row of C, with beta = 1.
func TestBias(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		rng := newRand(t, 7)
		for _, p := range paths {
			for _, k := range []int{p.k, 700} {
				c := newCase[float32](rng, p.ta, p.tb, p.m, p.n, k, 0.75, 1)
				bias := normal[float32](rng, p.n)
				for i := range p.m {
					copy(c.c.x[i*c.c.ld:][:p.n], bias)
				}
				own := c.copyC()
				own.c.fill(float32(math.NaN()))
				c.run()
				GemmBias(p.ta, p.tb, p.m, p.n, k, 0.75, c.a.x, c.a.ld, c.b.x, c.b.ld, bias, own.c.x, own.c.ld)
				if !sameBits(c.c.all, own.c.all) {
					t.Fatalf("%v: the bias gives another result", c)
				}
			}
		}
	})
}

func TestMatVec(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		testMatVec[float32](t)
		testMatVec[float64](t)
	})
}

// testMatVec compares MatVec with the product by a matrix of one column.
func testMatVec[F Float](t *testing.T) {
	rng := newRand(t, 8)
	for range short(400, 60) {
		m, n := 1+rng.IntN(90), 1+rng.IntN(90)
		trans := rng.IntN(2) == 0
		rows, terms := m, n
		if trans {
			rows, terms = n, m
		}
		c := newCase[F](rng, trans, false, rows, 1, terms, []F{1, -0.5}[rng.IntN(2)], []F{0, 1, 0.25}[rng.IntN(3)])
		c.b, c.c = guardedMatrix[F](rng, terms, 1, 1, 3), guardedMatrix[F](rng, rows, 1, 1, 5)
		want, sizes := c.reference()
		if c.beta == 0 {
			c.c.fill(F(math.NaN()))
		}
		MatVec(trans, m, n, c.alpha, c.a.x, c.a.ld, c.b.x, c.beta, c.c.x)
		c.check(t, want, sizes)
	}
}

func TestAllocations(t *testing.T) {
	rng := newRand(t, 9)
	bias := normal[float32](rng, 200)
	for _, p := range append(paths, struct {
		ta, tb  bool
		m, n, k int
	}{true, false, 200, 200, 700}) {
		c := newCase[float32](rng, p.ta, p.tb, p.m, p.n, p.k, 0.5, 1)
		if n := testing.AllocsPerRun(20, func() {
			c.run()
			GemmBias(p.ta, p.tb, p.m, p.n, p.k, 1, c.a.x, c.a.ld, c.b.x, c.b.ld, bias, c.c.x, c.c.ld)
		}); n != 0 && !raceEnabled {
			t.Errorf("%v: %v allocations", c, n)
		}
	}
}

// TestConcurrent runs products beside each other, which must not share memory for their blocks.
func TestConcurrent(t *testing.T) {
	rng := newRand(t, 10)
	c := newCase[float32](rng, true, false, 120, 130, 300, 1, 0)
	want := c.copyC()
	want.run()
	var group sync.WaitGroup
	for range 8 {
		own := c.copyC()
		group.Go(func() {
			for range 20 {
				own.run()
				if !sameBits(want.c.all, own.c.all) {
					t.Error("a product beside others differs")
				}
			}
		})
	}
	group.Wait()
}
