package mat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

// gemmCase is one product with guarded operands of random content.
type gemmCase[F Float] struct {
	ta, tb      bool
	m, n, k     int
	alpha, beta F
	a, b, c     guarded[F]
}

func newCase[F Float](rng *rand.Rand, ta, tb bool, m, n, k int, alpha, beta F) gemmCase[F] {
	draw := func(transposed bool, rows, cols int) guarded[F] {
		s := stored[F](transposed, nil, rows, cols, 0)
		return guardedMatrix[F](rng, s.rows, s.cols, s.cols+rng.IntN(6)*rng.IntN(2), rng.IntN(17))
	}
	return gemmCase[F]{ta, tb, m, n, k, alpha, beta, draw(ta, m, k), draw(tb, k, n), draw(false, m, n)}
}

// randomCase draws sizes around the edges of tiles, registers and blocks, all flags, and factors.
func randomCase[F Float](rng *rand.Rand) gemmCase[F] {
	n := func(small, large int) int {
		if rng.IntN(12) == 0 {
			return 1 + rng.IntN(large)
		}
		return 1 + rng.IntN(small)
	}
	alpha, beta := []F{1, 1, -0.5}[rng.IntN(3)], []F{0, 1, 0.25}[rng.IntN(3)]
	return newCase(rng, rng.IntN(2) == 0, rng.IntN(2) == 0, n(40, 200), n(70, 200), n(70, 1300), alpha, beta)
}

func (c gemmCase[F]) String() string {
	return fmt.Sprintf("%s transA=%v transB=%v m=%d n=%d k=%d ld=%d,%d,%d alpha=%v beta=%v",
		dtypeName[F](), c.ta, c.tb, c.m, c.n, c.k, c.a.ld, c.b.ld, c.c.ld, c.alpha, c.beta)
}

func (c gemmCase[F]) run() {
	Gemm(c.ta, c.tb, c.m, c.n, c.k, c.alpha, c.a.x, c.a.ld, c.b.x, c.b.ld, c.beta, c.c.x, c.c.ld)
}

// copyC returns the case with a result of its own.
func (c gemmCase[F]) copyC() gemmCase[F] {
	all := slices.Clone(c.c.all)
	off := len(all) - len(c.c.x) - 64
	c.c.all, c.c.x = all, all[off:off+len(c.c.x)]
	return c
}

// wide returns the elements as float64, contiguous.
func wide[F Float](m matrix[F], abs bool) []float64 {
	w := make([]float64, 0, m.rows*m.cols)
	for i := range m.rows {
		for _, v := range m.x[i*m.ld:][:m.cols] {
			if abs {
				v = F(math.Abs(float64(v)))
			}
			w = append(w, float64(v))
		}
	}
	return w
}

// reference computes the case with gonum in float64, and the same for the operands' absolute
// values, which bounds the error.
func (c gemmCase[F]) reference() (want, sizes []float64) {
	side := map[bool]blas.Transpose{false: blas.NoTrans, true: blas.Trans}
	for _, abs := range []bool{false, true} {
		alpha, beta := float64(c.alpha), float64(c.beta)
		if abs {
			alpha, beta = math.Abs(alpha), math.Abs(beta)
		}
		r := wide(c.c.matrix, abs)
		gonum.Implementation{}.Dgemm(side[c.ta], side[c.tb], c.m, c.n, c.k, alpha, wide(c.a.matrix, abs), max(1, c.a.cols),
			wide(c.b.matrix, abs), max(1, c.b.cols), beta, r, c.n)
		if want, sizes = sizes, r; abs {
			return want, sizes
		}
	}
	panic("unreachable")
}

// check compares the result with want. sizes are Σ|a·b| and the like: k terms and what is added at
// the end are rounded no more than k + 3 + k/512 times in float32 or float64, and the reference k +
// 2 times in float64.
func (c gemmCase[F]) check(t *testing.T, want, sizes []float64) {
	t.Helper()
	eps := 0x1p-53
	if size[F]() == 4 {
		eps = 0x1p-24
	}
	bound := eps*float64(c.k+3+c.k/512) + 0x1p-53*float64(c.k+2)
	for i, v := range wide(c.c.matrix, false) {
		if !(math.Abs(v-want[i]) <= bound*sizes[i]) {
			t.Fatalf("%v: element %d, %d is %v, want %v within %v", c, i/c.n, i%c.n, v, want[i], bound*sizes[i])
		}
	}
	if !c.a.intact() || !c.b.intact() || !c.c.intact() {
		t.Fatalf("%v: wrote outside the result, or what lies there was used", c)
	}
}

func TestGemm(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		testGemm[float32](t)
		testGemm[float64](t)
	})
}

func testGemm[F Float](t *testing.T) {
	rng := newRand(t, 1)
	for range short(1500, 150) {
		c := randomCase[F](rng)
		want, sizes := c.reference()
		if c.beta == 0 {
			c.c.fill(F(math.NaN())) // which must not be read
		}
		c.run()
		c.check(t, want, sizes)
	}
}

// fill sets every element.
func (m matrix[F]) fill(v F) {
	for i := range m.rows {
		for j := range m.cols {
			m.x[i*m.ld+j] = v
		}
	}
}

// TestGemmEdges has every height and width of a tile and the sizes beside the edges of blocks.
func TestGemmEdges(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		testGemmEdges[float32](t)
		testGemmEdges[float64](t)
	})
}

func testGemmEdges[F Float](t *testing.T) {
	rng := newRand(t, 2)
	try := func(m, n, k int) {
		for _, flags := range [4][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
			c := newCase[F](rng, flags[0], flags[1], m, n, k, 1, 1)
			want, sizes := c.reference()
			c.run()
			c.check(t, want, sizes)
		}
	}
	for m := 1; m <= 14; m++ {
		for n := 1; n <= 34; n++ {
			try(m, n, 5)
		}
	}
	for n := 1; n <= narrow+1; n++ {
		for k := 1; k <= 34; k++ {
			try(5, n, k)
		}
	}
	for _, k := range []int{511, 512, 513, 1024, 1025} {
		try(13, 33, k)
		try(7, 3, k)
	}
	for _, m := range []int{47, 48, 49, 96, 97} {
		try(m, 97, 9)
	}
	try(3, blockBytes/(512*size[F]())+1, 512)
}

// TestBits: the levels with vector instructions, and any number of cores, give the same bits.
func TestBits(t *testing.T) {
	testBits[float32](t)
	testBits[float64](t)
}

func testBits[F Float](t *testing.T) {
	rng := newRand(t, 3)
	for round := range short(300, 40) {
		c := randomCase[F](rng)
		if round%10 == 0 { // large enough for several cores
			c = newCase(rng, c.ta, c.tb, 1+rng.IntN(300), 1+rng.IntN(300), 100+rng.IntN(700), c.alpha, c.beta)
		}
		var generic, vector []F
		for _, l := range vec.Available() {
			first := &vector
			if l == vec.Generic {
				first = &generic
			}
			for _, cores := range []int{1, 2, 5, 16} {
				own, before := c.copyC(), runtime.GOMAXPROCS(cores)
				vectest.At(l, own.run)
				runtime.GOMAXPROCS(before)
				if *first == nil {
					*first = own.c.all
				}
				if !sameBits(*first, own.c.all) {
					t.Fatalf("%v: %v on %d cores differs from the first", c, l, cores)
				}
			}
		}
	}
}

func sameBits[F Float](x, y []F) bool {
	return slices.EqualFunc(x, y, func(v, w F) bool {
		return math.Float64bits(float64(v)) == math.Float64bits(float64(w))
	})
}
