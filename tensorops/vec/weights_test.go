package vec_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

// bands returns n numbers between bands of 64 in one allocation, and a check that the bands still
// have the value.
func bands[T comparable](n, off int, band T) (s []T, intact func() bool) {
	all := make([]T, 64+off+n+64)
	for i := range all {
		all[i] = band
	}
	s = all[64+off : 64+off+n : 64+off+n]
	return s, func() bool {
		for i, v := range all {
			if (i < 64+off || i >= 64+off+n) && v != band {
				return false
			}
		}
		return true
	}
}

var weightLengths = func() []int {
	lengths := []int{1000, 4096, 4111}
	for n := range 131 {
		lengths = append(lengths, n)
	}
	return lengths
}()

func TestMaskWeights(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		t.Run("float32", testMaskWeights[float32])
		t.Run("float64", testMaskWeights[float64])
	})
}

func testMaskWeights[F float32 | float64](t *testing.T) {
	r := rand.New(rand.NewPCG(31, 1))
	for _, n := range weightLengths {
		mask, maskIntact := bands[byte](n, r.IntN(17), 7)
		dst, intact := bands[F](n, r.IntN(17), 5)
		want := 0
		for i := range mask {
			mask[i] = byte(r.IntN(2))
			want += int(mask[i])
		}
		ones, valid := vec.MaskWeights(dst, mask)
		if ones != want || !valid || !intact() || !maskIntact() {
			t.Fatalf("n=%d: %d ones, valid %v, want %d", n, ones, valid, want)
		}
		for i, v := range dst {
			if v != F(mask[i]) {
				t.Fatalf("n=%d: weight %d is %v of %d", n, i, v, mask[i])
			}
		}
		for _, bad := range []byte{2, 3, 128, 255} {
			if n > 0 {
				at := r.IntN(n)
				old := mask[at]
				mask[at] = bad
				if _, valid := vec.MaskWeights(dst, mask); valid {
					t.Errorf("n=%d: %d counts as a mask", n, bad)
				}
				mask[at] = old
			}
		}
	}
}

func TestSumWeights(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		t.Run("float32", testSumWeights[float32])
		t.Run("float64", testSumWeights[float64])
	})
}

func testSumWeights[F float32 | float64](t *testing.T) {
	r := rand.New(rand.NewPCG(32, 1))
	for _, n := range weightLengths {
		w, _ := bands[F](n, r.IntN(17), F(math.Inf(1)))
		var lanes [16]float64
		count := 0
		for i := range w {
			if w[i] = F(r.NormFloat64()); r.IntN(3) == 0 {
				w[i] = F(math.Copysign(0, r.NormFloat64()))
			}
			lanes[i%16] += float64(w[i])
			if w[i] != 0 {
				count++
			}
		}
		for half := 16 / 2; half > 0; half /= 2 {
			for i := range half {
				lanes[i] += lanes[half+i]
			}
		}
		sum, nonzero, finite := vec.SumWeights(w)
		if sum != lanes[0] || nonzero != count || !finite {
			t.Fatalf("n=%d: sum %v, %d, finite %v, want %v, %d", n, sum, nonzero, finite, lanes[0], count)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			if n > 0 {
				at := r.IntN(n)
				old := w[at]
				w[at] = F(bad)
				if _, _, finite := vec.SumWeights(w); finite {
					t.Errorf("n=%d: %v counts as finite", n, bad)
				}
				w[at] = old
			}
		}
	}
	// the largest numbers are finite, their sum need not be
	w := make([]F, 40)
	for i := range w {
		largest := math.MaxFloat64
		if unsafe.Sizeof(F(0)) == 4 {
			largest = math.MaxFloat32
		}
		w[i] = F(largest)
	}
	if _, nonzero, finite := vec.SumWeights(w); nonzero != len(w) || !finite {
		t.Errorf("large weights: %d not 0, finite %v", nonzero, finite)
	}
}

// TestWeightsOfLongVectors is about more elements than a kernel is given at once.
func TestWeightsOfLongVectors(t *testing.T) {
	const n = 1<<24 + 5
	mask, w := make([]byte, n), make([]float32, n)
	for i := 0; i < n; i += 3 {
		mask[i] = 1
	}
	want := (n + 2) / 3
	if ones, valid := vec.MaskWeights(w, mask); ones != want || !valid {
		t.Errorf("%d ones, valid %v, want %d", ones, valid, want)
	}
	if sum, nonzero, finite := vec.SumWeights(w); sum != float64(want) || nonzero != want || !finite {
		t.Errorf("sum %v of %d, finite %v, want %d", sum, nonzero, finite, want)
	}
	mask[0] = 9
	if _, valid := vec.MaskWeights(w, mask); valid {
		t.Error("9 counts as a mask")
	}
}

func TestMultiplyAndDivide(t *testing.T) {
	vectest.Each(t, func(t *testing.T) {
		t.Run("float32", func(t *testing.T) { testPairs(t, vec.Multiply, product[float32]) })
		t.Run("float64", func(t *testing.T) { testPairs(t, vec.Multiply, product[float64]) })
		t.Run("quotients", func(t *testing.T) { testPairs(t, vec.Divide, func(a, b float64) float64 { return a / b }) })
	})
}

// product is a·b, 0 for an a of 0.
func product[F float32 | float64](a, b F) F {
	if a == 0 {
		return 0
	}
	return a * b
}

func testPairs[F float32 | float64](t *testing.T, run func(dst, a, b []F), exact func(a, b F) F) {
	r := rand.New(rand.NewPCG(33, 1))
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 3e38, 0, 1e-45}
	for _, n := range weightLengths {
		a, _ := bands[F](n, r.IntN(17), 5)
		b, _ := bands[F](n, r.IntN(17), 5)
		dst, intact := bands[F](n, r.IntN(17), 5)
		want := make([]F, n)
		for i := range a {
			a[i], b[i] = F(r.NormFloat64()), F(r.NormFloat64())
			if r.IntN(4) == 0 {
				a[i] = F(math.Copysign(0, r.NormFloat64()))
			}
			if r.IntN(4) == 0 {
				b[i] = F(odd[r.IntN(len(odd))])
			}
			if r.IntN(16) == 0 {
				a[i] = F(odd[r.IntN(len(odd))])
			}
			want[i] = exact(a[i], b[i])
		}
		run(dst, a, b)
		overA, overB := append([]F(nil), a...), append([]F(nil), b...)
		run(overA, overA, b)
		run(overB, a, overB)
		for i, v := range want {
			for form, got := range map[string]F{"": dst[i], " over a": overA[i], " over b": overB[i]} {
				if got != v && (got == got || v == v) {
					t.Fatalf("n=%d: of %v and %v%s: %v, want %v", n, a[i], b[i], form, got, v)
				}
			}
		}
		if !intact() {
			t.Fatalf("n=%d: wrote outside", n)
		}
	}
}

func TestWeightPanicsAndAllocations(t *testing.T) {
	x, short, mask, wide := make([]float32, 50), make([]float32, 49), make([]byte, 50), make([]float64, 50)
	for name, f := range map[string]func(){
		"MaskWeights": func() { vec.MaskWeights(short, mask) },
		"Multiply":    func() { vec.Multiply(x, x, short) },
		"Divide":      func() { vec.Divide(wide, wide[:9], wide) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != "vec: length mismatch" {
					t.Errorf("%s: panic %q", name, got)
				}
			}()
			f()
		}()
	}
	vectest.Each(t, func(t *testing.T) {
		if got := testing.AllocsPerRun(10, func() {
			vec.MaskWeights(x, mask)
			vec.SumWeights(x)
			vec.Multiply(x, x, x)
			vec.Divide(wide, wide, wide)
		}); got > 0 {
			t.Errorf("%v allocations", got)
		}
	})
}

func BenchmarkWeights(b *testing.B) {
	const n = 4096
	x, y, mask, wide := make([]float32, n), make([]float32, n), make([]byte, n), make([]float64, n)
	for _, f := range []struct {
		name string
		run  func()
	}{
		{"MaskWeights", func() { vec.MaskWeights(x, mask) }},
		{"SumWeights", func() { vec.SumWeights(x) }},
		{"Multiply", func() { vec.Multiply(x, x, y) }},
		{"Divide", func() { vec.Divide(wide, wide, wide) }},
	} {
		b.Run("op="+f.name, func(b *testing.B) {
			for b.Loop() {
				f.run()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
		})
	}
}
