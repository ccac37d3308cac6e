package vec_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

var (
	inf     = math.Inf(1)
	nan     = math.NaN()
	hostile = []float64{0, math.Copysign(0, -1), 1, -1, inf, -inf, nan, 1e-300, -1e-300, 5e-324, 0x1p-1022, 0x1p-1030, 3e38, -3e38, 1e308, -1e308,
		math.MaxFloat64, 709.78, 709.79, 710, 745, -745.13, -745.14, -746, -708.4, 1e-17, -1e-17, 0.5, 2, math.Sqrt2,
		math.Sqrt2 / 2, math.Ln2, -math.Ln2,
		math.Nextafter(1, 0), math.Nextafter(1, 2), math.Nextafter(-1, 0), 0x1p52, 0x1p53, 1e16}
)

// functions are the functions under test beside an exact evaluation, with where to draw points
// from.
var functions = []struct {
	name  string
	f     func(dst, x []float64)
	math  func(float64) float64 // for the special values
	exact func(x *big.Float) *big.Float
	draw  func(r *rand.Rand) float64
}{
	{"Exp", vec.Exp, math.Exp, vectest.BigExp, func(r *rand.Rand) float64 { return 1400*r.Float64() - 700 }},
	{"Exp near 0", vec.Exp, math.Exp, vectest.BigExp, func(r *rand.Rand) float64 { return r.NormFloat64() }},
	{"Expm1", vec.Expm1, math.Expm1, exactExpm1, func(r *rand.Rand) float64 { return 20 * r.NormFloat64() }},
	{"Expm1 near 0", vec.Expm1, math.Expm1, exactExpm1,
		func(r *rand.Rand) float64 { return math.Ldexp(r.NormFloat64(), -r.IntN(50)) }},
	{"Log", vec.Log, vec.Logarithm, vectest.BigLog,
		func(r *rand.Rand) float64 { return math.Ldexp(1+r.Float64(), r.IntN(2000)-1000) }},
	{"Log near 1", vec.Log, vec.Logarithm, vectest.BigLog,
		func(r *rand.Rand) float64 { return 1 + math.Ldexp(r.Float64(), -1-r.IntN(40)) }},
	{"Log below 1", vec.Log, vec.Logarithm, vectest.BigLog, func(r *rand.Rand) float64 { return r.Float64() + 1e-9 }},
	{"Log1p", vec.Log1p, math.Log1p, exactLog1p,
		func(r *rand.Rand) float64 { return math.Ldexp(r.Float64(), 60-r.IntN(120)) }},
	{"Sqrt", vec.Sqrt, math.Sqrt, exactSqrt,
		func(r *rand.Rand) float64 { return math.Ldexp(1+r.Float64(), r.IntN(2000)-1000) }},
	{"Log1p below 0", vec.Log1p, math.Log1p, exactLog1p, func(r *rand.Rand) float64 { return -0.999 * r.Float64() }},
}

func exactSqrt(x *big.Float) *big.Float { return new(big.Float).SetPrec(200).Sqrt(x) }

// The exact forms carry enough bits that the subtraction and the addition of 1 lose none that
// matter.
func exactExpm1(x *big.Float) *big.Float {
	return new(big.Float).Sub(vectest.BigExp(x), big.NewFloat(1))
}

func exactLog1p(x *big.Float) *big.Float {
	return vectest.BigLog(new(big.Float).Add(x, big.NewFloat(1)))
}

// ulps is the distance of got from the exact value in units of got's last place.
func ulps(got float64, want *big.Float) float64 {
	unit := math.Nextafter(math.Abs(got), inf) - math.Abs(got)
	d := new(big.Float).Sub(new(big.Float).SetFloat64(got), want)
	d.Quo(d, new(big.Float).SetFloat64(unit))
	f, _ := d.Float64()
	return math.Abs(f)
}

func TestAccuracy(t *testing.T) {
	points := 400
	if testing.Short() {
		points = 40
	}
	vectest.Each(t, func(t *testing.T) {
		for i, f := range functions {
			r := rand.New(rand.NewPCG(7, uint64(i)))
			x, got := make([]float64, points), make([]float64, points)
			for i := range x {
				x[i] = f.draw(r)
			}
			f.f(got, x)
			worst, at := 0.0, 0.0
			for i, v := range x {
				if u := ulps(got[i], f.exact(new(big.Float).SetPrec(220).SetFloat64(v))); u > worst {
					worst, at = u, v
				}
			}
			// 2 ulp is what the package promises.
			if worst > 2 {
				t.Errorf("%s(%v) is off by %.2f ulp, want at most 2", f.name, at, worst)
			}
			t.Logf("%s: at most %.2f ulp", f.name, worst)
		}
	})
}

func TestSpecialValues(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		for _, f := range functions {
			got := make([]float64, len(hostile))
			f.f(got, hostile)
			for i, v := range hostile {
				want := f.math(v)
				same := got[i] == want || got[i] != got[i] && want != want
				if !same && !(math.Abs(got[i]-want) <= 4e-16*math.Abs(want) || math.Abs(want) < 0x1p-1020 && math.Abs(got[i]-want) <= 5e-324) {
					t.Errorf("%s(%v) is %v, want %v", f.name, v, got[i], want)
				}
			}
		}
	})
}

// TestLengthsAndGuards runs every length around the vectors with guards around the slices, in place
// and not.
func TestLengthsAndGuards(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		for _, f := range functions {
			for n := range 68 {
				for offset := range 3 {
					x, dst := guarded(n, offset), guarded(n, offset)
					r := rand.New(rand.NewPCG(3, uint64(n)))
					for i := range n {
						x[guard+offset+i] = f.draw(r)
					}
					in, out := x[guard+offset:guard+offset+n], dst[guard+offset:guard+offset+n]
					f.f(out, in)
					for i, v := range in {
						one := []float64{v}
						f.f(one, one)
						if out[i] != one[0] {
							t.Fatalf("%s: element %d of %d is %v, alone %v", f.name, i, n, out[i], one[0])
						}
					}
					f.f(in, in)
					for i := range in {
						if in[i] != out[i] {
							t.Fatalf("%s: in place element %d of %d is %v, want %v", f.name, i, n, in[i], out[i])
						}
					}
					checkGuards(t, fmt.Sprint(f.name, " ", n), x, n, offset)
					checkGuards(t, fmt.Sprint(f.name, " ", n), dst, n, offset)
				}
			}
		}
	})
}

const guard = 16

func guarded(n, offset int) []float64 {
	x := make([]float64, guard+offset+n+guard)
	for i := range x {
		x[i] = nan
	}
	return x
}

func checkGuards(t *testing.T, what string, x []float64, n, offset int) {
	t.Helper()
	for i, v := range x {
		if inside := i >= guard+offset && i < guard+offset+n; !inside && v == v {
			t.Fatalf("%s: wrote %v at guard %d", what, v, i)
		}
	}
}

func TestConversions(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for n := range 40 {
			narrow := make([]float32, n)
			for i := range narrow {
				narrow[i] = float32(math.Ldexp(r.NormFloat64(), r.IntN(250)-125))
			}
			wide := make([]float64, n)
			vec.Widen(wide, narrow)
			back := make([]float32, n)
			vec.Narrow(back, wide, 0.3)
			for i, v := range narrow {
				if wide[i] != float64(v) {
					t.Fatalf("Widen: %v became %v", v, wide[i])
				}
				if want := float32(0.3 * float64(v)); back[i] != want {
					t.Fatalf("Narrow: %v, want %v", back[i], want)
				}
			}
		}
	})
}

func TestWithin(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		testWithin[float32](t)
		testWithin[float64](t)
	})
}

func testWithin[F float32 | float64](t *testing.T) {
	for n := range 70 {
		x := make([]F, n)
		for i := range x {
			x[i] = F(i) / 70
		}
		if !vec.Within(x, 0, 1) {
			t.Fatalf("%T: %d numbers of [0, 1] are not within", x, n)
		}
		for i := range x {
			for _, v := range []float64{-1e-30, 1.1, inf, -inf, nan} {
				old := x[i]
				x[i] = F(v)
				if vec.Within(x, 0, 1) {
					t.Fatalf("%T: %v at %d of %d is within [0, 1]", x, v, i, n)
				}
				x[i] = old
			}
		}
	}
}

// TestSameBits holds AVX2 to AVX-512.
func TestSameBits(t *testing.T) {
	all := vec.Available()
	if len(all) < 3 {
		t.Skip("the processor has one vector instruction set at most")
	}
	for _, f := range functions {
		r := rand.New(rand.NewPCG(11, 12))
		x := append([]float64(nil), hostile...)
		for range 5000 {
			x = append(x, f.draw(r))
		}
		var got [2][]float64
		for i, k := range all[1:] {
			got[i] = make([]float64, len(x))
			vectest.At(k, func() { f.f(got[i], x) })
		}
		for i, v := range x {
			if math.Float64bits(got[0][i]) != math.Float64bits(got[1][i]) {
				t.Errorf("%s(%v): %v by %s, %v by %s", f.name, v, got[0][i], all[1], got[1][i], all[2])
			}
		}
	}
}

func TestLengthMismatchPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"Exp":    func() { vec.Exp(make([]float64, 2), make([]float64, 3)) },
		"Widen":  func() { vec.Widen(make([]float64, 2), make([]float32, 3)) },
		"Narrow": func() { vec.Narrow(make([]float32, 2), make([]float64, 3), 1) },
	} {
		func() {
			defer func() {
				if r := recover(); r != "vec: length mismatch" {
					t.Errorf("%s: recovered %v, want a length mismatch", name, r)
				}
			}()
			f()
		}()
	}
}

func TestNoAllocations(t *testing.T) {
	x := make([]float64, 1003)
	if n := testing.AllocsPerRun(10, func() { vec.Exp(x, x); vec.Log1p(x, x); vec.Within(x, 0, 1) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkVec(b *testing.B) {
	for _, l := range vec.Available() {
		for _, f := range functions {
			b.Run(fmt.Sprintf("f=%s/level=%v", f.name, l), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 1))
				x, dst := make([]float64, 1024), make([]float64, 1024)
				for i := range x {
					x[i] = f.draw(r)
				}
				b.SetBytes(8 * 1024)
				vectest.At(l, func() {
					for b.Loop() {
						f.f(dst, x)
					}
				})
			})
		}
	}
}
