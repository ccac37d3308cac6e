package tensorops

import (
	"fmt"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// guarded returns a slice of n elements between two bands of NaN in one allocation, beginning off
// elements after the first band so that every alignment comes up, and a check that the bands are
// still whole.
func guarded[F Float](n, off int) (s []F, intact func() bool) {
	const band = 64
	nan := F(math.NaN())
	all := make([]F, band+off+n+band)
	for i := range all {
		all[i] = nan
	}
	s = all[band+off : band+off+n : band+off+n]
	return s, func() bool {
		for i, v := range all {
			if (i < band+off || i >= band+off+n) && v == v {
				return false
			}
		}
		return true
	}
}

// kernelCall runs one kernel on x, t and dst, all of one length, and returns what it returned.
type kernelCall[F Float] struct {
	name string
	run  func(k *kernels[F], dst, x, t []F, stream bool) []float64
	// units is the error against the generic kernel that dst may have, in units of the last place
	// of the largest term; relative that of the results.
	units    float64
	relative float64
}

// polynomialError is what float32 elements computed with in float64 are good to, where series are
// short: 2^-39.6.
func polynomialError[F Float]() float64 {
	if isFloat32[F]() {
		return 2e-12
	}
	return 1e-13
}

func kernelCalls[F Float]() []kernelCall[F] {
	minExponent, _ := exponents[F]()
	low := F((3 + minExponent) * math.Ln2 * 0.99)
	calls := []kernelCall[F]{
		{"expSum", func(k *kernels[F], _, x, _ []F, _ bool) []float64 {
			m, a, s := k.expSum(x, math.NaN())
			a, s = ownAnchor(float64(m), a, s)
			return []float64{float64(m), a, s}
		}, 0, 2e-7},
		{"expSumLong", func(k *kernels[F], _, x, _ []F, _ bool) []float64 {
			m, a, s := k.expSumLong(x, math.NaN())
			a, s = ownAnchor(float64(m), a, s)
			return []float64{float64(m), a, s}
		}, 0, 3e-7},
		{"expSumWide", func(k *kernels[F], _, x, _ []F, _ bool) []float64 {
			m, a, s := k.expSumWide(x, math.NaN())
			a, s = ownAnchor(float64(m), a, s)
			return []float64{float64(m), a, s}
		}, 0, 2e-12},
		{"expSumStore", func(k *kernels[F], dst, x, _ []F, _ bool) []float64 {
			if k.expSumStore == nil {
				m, a, s := k.expSumWide(x, math.NaN())
				a, s = ownAnchor(float64(m), a, s)
				k.expScale(dst, x, F(a), F((a+minExponent)*math.Ln2), 1, 0, false)
				return []float64{float64(m), a, s}
			}
			m, a, s := k.expSumStore(dst, x)
			return []float64{float64(m), a, s}
		}, 2, 2e-7},
		{"scale", func(k *kernels[F], dst, x, _ []F, stream bool) []float64 {
			k.scale(dst, x, -1.5, -2, stream)
			return nil
		}, 1, 0},
		{"expScale", func(k *kernels[F], dst, x, _ []F, stream bool) []float64 {
			k.expScale(dst, x, 3, low, 1.5, 0.25, stream)
			return nil
		}, 3, 0},
		{"expScaleAdd", func(k *kernels[F], dst, x, t []F, stream bool) []float64 {
			k.expScaleAdd(dst, x, t, 3, low, 1.5, -0.5, 0.25, stream)
			return nil
		}, 4, 0},
		{"shift", func(k *kernels[F], dst, x, _ []F, stream bool) []float64 {
			k.shift(dst, x, 0.5, 1.25, stream)
			return nil
		}, 2, 0},
		{"mulShift", func(k *kernels[F], dst, x, t []F, _ bool) []float64 {
			k.mulShift(dst, x, t, 0.5)
			return nil
		}, 2, 0},
		{"targetSum", func(k *kernels[F], _, x, t []F, _ bool) []float64 {
			s, g, signs := k.targetSum(t, x, 20)
			_, _, signed := k.targetSum(x, t, 20)
			return []float64{s, g, float64(signs), float64(min(signed, 1))}
		}, 0, 1e-13},
		{"scaleAdd", func(k *kernels[F], dst, x, t []F, stream bool) []float64 {
			k.scaleAdd(dst, x, t, 0.75, -2, -0.5, stream)
			return nil
		}, 2, 0},
		{"gapSum", func(k *kernels[F], _, x, _ []F, _ bool) []float64 {
			g, n := k.gapSum(x, 20)
			return []float64{g, n}
		}, 0, 1e-13},
		{"xlogx", func(k *kernels[F], _, _, t []F, _ bool) []float64 { return []float64{k.xlogx(t)} }, 0,
			polynomialError[F]()},
		{"logGap", func(k *kernels[F], dst, x, t []F, stream bool) []float64 {
			k.logGap(dst, t, x, 1.5, -0.5, stream)
			return nil
		}, 4, 0},
		{"expGap", func(k *kernels[F], _, x, _ []F, _ bool) []float64 {
			return []float64{k.expGap(x, 3, float64(low), 20)}
		}, 0, 2e-12},
		{"expScaleGap", func(k *kernels[F], dst, x, _ []F, stream bool) []float64 {
			k.expScaleGap(dst, x, 3, float64(low), 1.5, 20, 0.25, stream)
			return nil
		}, 8, 0},
		{"index", func(k *kernels[F], _, x, _ []F, _ bool) []float64 {
			return []float64{float64(k.index(x, x[len(x)-1])), float64(k.index(x, 77))}
		}, 0, 0},
	}
	return calls
}

// TestKernelsStayInside runs every kernel at every length and at starts of every alignment, between
// bands of NaN: no band changes, no input changes, no NaN from a band reaches a result, and the
// results are the generic ones.
func TestKernelsStayInside(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", func(t *testing.T) { testKernelsStayInside(t, &generic32) })
		t.Run("float64", func(t *testing.T) { testKernelsStayInside(t, &generic64) })
	})
}

func testKernelsStayInside[F Float](t *testing.T, generic *kernels[F]) {
	rng := newRand(t, 61)
	for _, n := range lengths() {
		if n > blockLen {
			continue
		}
		for _, call := range kernelCalls[F]() {
			off := rng.IntN(17)
			x, xIntact := guarded[F](n, off)
			p, tIntact := guarded[F](n, rng.IntN(17))
			dst, dstIntact := guarded[F](n, rng.IntN(17))
			copy(x, convert[F](distributions[1].row(rng, n)))
			copy(p, softTarget[F](rng, n))
			xWas, pWas := append([]F(nil), x...), append([]F(nil), p...)
			want := make([]F, n)
			wantResults := call.run(generic, want, xWas, pWas, false)
			for _, stream := range []bool{false, true} {
				results := call.run(active[F](), dst, x, p, stream)
				what := fmt.Sprintf("%s, n=%d, start %d, stream %v", call.name, n, off, stream)
				if !xIntact() || !tIntact() || !dstIntact() {
					t.Fatalf("%s: wrote outside", what)
				}
				for i := range x {
					if x[i] != xWas[i] || p[i] != pWas[i] {
						t.Fatalf("%s: changed its input", what)
					}
				}
				for i, r := range results {
					if math.Abs(r-wantResults[i]) > call.relative*math.Abs(wantResults[i]) || r != r {
						t.Fatalf("%s: result %d is %v, generic %v", what, i, r, wantResults[i])
					}
				}
				for i := range dst {
					if call.units > 0 && !(math.Abs(float64(dst[i]-want[i])) <= call.units*ulp[F](max(1, math.Abs(float64(want[i]))))) {
						t.Fatalf("%s: dst[%d] is %v, generic %v", what, i, dst[i], want[i])
					}
				}
			}
		}
	}
}

// TestKernelsInPlace gives every kernel that allows it dst = x.
func TestKernelsInPlace(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 62)
		for _, n := range lengths() {
			for _, call := range kernelCalls[float32]() {
				x, p := convert[float32](distributions[1].row(rng, n)), softTarget[float32](rng, n)
				if call.units == 0 {
					continue
				}
				for _, stream := range []bool{false, true} {
					want, got := make([]float32, n), append([]float32(nil), x...)
					call.run(active[float32](), want, x, p, stream)
					call.run(active[float32](), got, got, p, stream)
					target := append([]float32(nil), p...)
					call.run(active[float32](), target, x, target, stream)
					for i := range got {
						if got[i] != want[i] || target[i] != want[i] {
							t.Fatalf("%s, n=%d, stream %v: dst[%d] is %v over x, %v over t, %v apart", call.name, n,
								stream, i, got[i], target[i], want[i])
						}
					}
				}
			}
		}
	})
}

// TestInstructionSetsAgree demands the same bits from AVX2 and AVX-512, of every kernel, also on
// hostile rows.
func TestInstructionSetsAgree(t *testing.T) {
	if len(vec.Available()) < vec.Levels {
		t.Skip("this build or processor has not both AVX2 and AVX-512")
	}
	t.Run("float32", func(t *testing.T) { testSetsAgree(t, kernels32[vec.AVX2], kernels32[vec.AVX512]) })
	t.Run("float64", func(t *testing.T) { testSetsAgree(t, kernels64[vec.AVX2], kernels64[vec.AVX512]) })
}

func testSetsAgree[F Float](t *testing.T, a, b *kernels[F]) {
	rng := newRand(t, 63)
	for _, n := range lengths() {
		for at, d := range distributions {
			x, p := convert[F](d.row(rng, n)), softTarget[F](rng, n)
			for i := range x {
				x[i] = min(x[i], 80) // the contract: no exponent of 2 beyond maxExponent
			}
			if at == 0 {
				x[rng.IntN(n)] = F(math.NaN())
				x[rng.IntN(n)] = F(math.Inf(-1))
			}
			for _, call := range kernelCalls[F]() {
				dstA, dstB := make([]F, n), make([]F, n)
				ra, rb := call.run(a, dstA, x, p, false), call.run(b, dstB, x, p, false)
				for i := range ra {
					if !same(ra[i], rb[i]) {
						t.Fatalf("%s, %s, n=%d: result %d is %v with %s, %v with %s", call.name, d.name, n, i, ra[i],
							a.name, rb[i], b.name)
					}
				}
				for i := range dstA {
					if !same(float64(dstA[i]), float64(dstB[i])) {
						t.Fatalf("%s, %s, n=%d: dst[%d] is %v with %s, %v with %s", call.name, d.name, n, i, dstA[i],
							a.name, dstB[i], b.name)
					}
				}
			}
		}
	}
}

// TestLevelChoosesKernels: the level of vec is that of the kernels here.
func TestLevelChoosesKernels(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, name := range []string{active[float32]().name, active[float64]().name} {
			if name != vec.Active().String() {
				t.Errorf("kernels %s are in use at level %v", name, vec.Active())
			}
		}
	})
}
