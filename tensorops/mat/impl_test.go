package mat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// forEachImpl runs a test once for every implementation of the kernels. One that the processor
// lacks is skipped, or fails where the environment variable TENSOROPS_REQUIRE (names separated by
// commas) names it.
func forEachImpl(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, name := range []string{"generic", "avx2", "avx512"} {
		t.Run("impl="+name, func(t *testing.T) {
			if !use(t, name) {
				if slices.Contains(strings.Split(os.Getenv("TENSOROPS_REQUIRE"), ","), name) {
					t.Fatalf("TENSOROPS_REQUIRE names %s, which this build or processor does not have", name)
				}
				t.Skipf("this build or processor has no %s", name)
			}
			test(t)
		})
	}
}

// use makes the implementation of this name the one in use until the test ends, if there is one.
func use(t testing.TB, name string) bool {
	all := implementations()
	i := slices.IndexFunc(all, func(m implementation) bool { return m.name == name && m.available })
	if i < 0 {
		return false
	}
	before32, before64 := active32, active64
	t.Cleanup(func() { active32, active64 = before32, before64 })
	useImplementation(all[i])
	return true
}

// TestMain lets the environment variable TENSOROPS_USE choose the implementation, for benchmarks.
func TestMain(m *testing.M) {
	if name := os.Getenv("TENSOROPS_USE"); name != "" {
		all := implementations()
		i := slices.IndexFunc(all, func(m implementation) bool { return m.name == name && m.available })
		if i < 0 {
			fmt.Fprintf(os.Stderr, "TENSOROPS_USE names %s, which this build or processor does not have\n", name)
			os.Exit(1)
		}
		useImplementation(all[i])
	}
	os.Exit(m.Run())
}

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
