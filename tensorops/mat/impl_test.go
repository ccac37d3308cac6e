package mat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// newRand returns a generator whose seed is printed when the test fails.
func newRand(t testing.TB, seed uint64) *rand.Rand {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("rand.NewPCG(%d, 1)", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

// short returns small under -short and full otherwise.
func short(full, small int) int {
	if testing.Short() {
		return small
	}
	return full
}

// normal returns n normal numbers.
func normal[F Float](rng *rand.Rand, n int) []F {
	x := make([]F, n)
	for i := range x {
		x[i] = F(rng.NormFloat64())
	}
	return x
}

func dtypeName[F Float]() string { return fmt.Sprintf("float%d", 8*size[F]()) }

// guarded is a matrix whose memory is NaN wherever it has no element: before, after, and between
// the rows.
type guarded[F Float] struct {
	matrix[F]
	all []F
}

// guardedMatrix draws a matrix that begins off elements after the first band, so that every
// alignment comes up.
func guardedMatrix[F Float](rng *rand.Rand, rows, cols, ld, off int) guarded[F] {
	const band = 64
	g := guarded[F]{matrix: matrix[F]{rows: rows, cols: cols, ld: ld}}
	extent := g.extent()
	g.all = make([]F, band+off+extent+band)
	for i := range g.all {
		g.all[i] = F(math.NaN())
	}
	g.x = g.all[band+off : band+off+extent : band+off+extent]
	for i := range rows {
		for j := range cols {
			g.x[i*ld+j] = F(rng.NormFloat64())
		}
	}
	return g
}

// intact reports whether the elements alone differ from NaN.
func (g guarded[F]) intact() bool {
	inside := 0
	for _, v := range g.all {
		if v == v {
			inside++
		}
	}
	for i := range g.rows {
		for j := range g.cols {
			if g.x[i*g.ld+j] != g.x[i*g.ld+j] {
				return false
			}
		}
	}
	return inside == g.rows*g.cols
}
