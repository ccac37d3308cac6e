package tensorops

import (
	"fmt"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

// Whole blocks of -Inf have no anchor: their terms must be 0 in every gradient, whichever way it is
// taken.
func TestMaskedBlocks(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testMaskedBlocks[float32])
		t.Run("float64", testMaskedBlocks[float64])
	})
}

func testMaskedBlocks[F Float](t *testing.T) {
	rng := newRand(t, 44)
	const n = 3*blockLen + 5
	for open := range 4 { // the block that is not masked
		x, p := make([]F, n), softTarget[F](rng, n)
		for i := range x {
			x[i] = F(rng.NormFloat64())
			if i/blockLen != open {
				x[i], p[i] = F(math.Inf(-1)), 0
			}
		}
		y := open*blockLen + 3
		softmax, dst := make([]F, n), make([]F, n)
		SoftmaxRows(softmax, x, n)
		for i, v := range softmax {
			if masked := i/blockLen != open; masked != (v == 0) || v != v {
				t.Fatalf("block %d: softmax[%d] = %v, masked: %v", open, i, v, masked)
			}
		}
		l := CrossEntropyGradRow(dst, x, y, 1, nil)
		checkLoss(t, fmt.Sprintf("block %d, label", open), l, dst, 1, bigCrossEntropy(x, oneHotOf(n, y), nil))
		want := bigCrossEntropy(x, widen(p), nil)
		l = SoftCrossEntropyGradRow(dst, x, p, 1, nil)
		checkLoss(t, fmt.Sprintf("block %d, soft", open), l, dst, 1, want)
		KLGradRow(dst, x, p, 1)
		checkLoss(t, fmt.Sprintf("block %d, KL", open), l, dst, 1, want)
	}
}

// The divergence's gradient is that of the cross-entropy, its value does not depend on whether a
// gradient is taken, and dst may be either operand.
func TestKLGrad(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testKLGrad[float32])
		t.Run("float64", testKLGrad[float64])
	})
}

func testKLGrad[F Float](t *testing.T) {
	rng := newRand(t, 45)
	for _, n := range []int{1, 2, 10, 64, 65, 1000, blockLen + 1, 5000, 70000} {
		x, p := convert[F](distributions[1].row(rng, n)), softTarget[F](rng, n)
		for _, g := range []float64{1, -0.25, 3, 1e-40} {
			dst, want := make([]F, n), make([]F, n)
			SoftCrossEntropyGradRow(want, x, p, g, nil)
			kl := KLGradRow(dst, x, p, g)
			if alone := KLRow(x, p); alone != kl {
				t.Errorf("n=%d: %v with the gradient, %v alone", n, kl, alone)
			}
			overX, overT := append([]F(nil), x...), append([]F(nil), p...)
			KLGradRow(overX, overX, p, g)
			KLGradRow(overT, x, overT, g)
			for i := range dst {
				if dst[i] != want[i] {
					t.Fatalf("n=%d, g=%v: gradient[%d] = %v, of the cross-entropy %v", n, g, i, dst[i], want[i])
				}
				// in place the exponentials are taken again: 4 units of the larger term on either
				// side
				limit := 2 * gradientUlps * ulp[F](math.Abs(g)*max(1, math.Abs(float64(p[i]))))
				if math.Abs(float64(overX[i]-dst[i])) > limit || math.Abs(float64(overT[i]-dst[i])) > limit {
					t.Fatalf("n=%d, g=%v: gradient[%d] = %v, over x %v, over t %v", n, g, i, dst[i], overX[i], overT[i])
				}
			}
		}
	}
}

// Weights outside their domain are reported, wherever they stand; those of rows that do not count
// are not read.
func TestTargetsOutsideTheirDomain(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		rng := newRand(t, 46)
		for _, cols := range []int{1, 2, 10, 65, 1000, 3000} {
			const rows = 7
			x := convert[float32](distributions[1].row(rng, rows*cols))
			var p []float32
			for range rows {
				p = append(p, softTarget[float32](rng, cols)...)
			}
			values, dst, g := make([]float64, rows), make([]float32, rows*cols), make([]float64, rows)
			for i := range g {
				g[i] = 1
			}
			for _, v := range []float32{float32(math.Copysign(0, -1)), 1, 3e38, -1e-30, -1, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				at := rng.IntN(len(p))
				was := p[at]
				p[at] = v
				want := v >= 0 && !math.IsInf(float64(v), 0)
				for _, counts := range []float64{1, 0} {
					g[at/cols] = counts
					for _, o := range []*CrossEntropyOptions{nil, {Smoothing: 0.1}, {Scale: 2}} {
						if got := SoftCrossEntropyRows(values, x, p, cols, g, o); got != (want || counts == 0) {
							t.Errorf("cols=%d: %v in a row with factor %v: valid is %v", cols, v, counts, got)
						}
						if got := SoftCrossEntropyGradRows(values, dst, x, p, cols, g, o); got != (want || counts == 0) {
							t.Errorf("cols=%d: %v in a row with factor %v: valid with gradient is %v", cols, v, counts, got)
						}
					}
					if got := KLRows(values, x, p, cols, g); got != (want || counts == 0) {
						t.Errorf("cols=%d: %v in a row with factor %v: valid for KL is %v", cols, v, counts, got)
					}
					if got := KLGradRows(values, dst, x, p, cols, g); got != (want || counts == 0) {
						t.Errorf("cols=%d: %v in a row with factor %v: valid for KL with gradient is %v", cols, v,
							counts, got)
					}
				}
				p[at], g[at/cols] = was, 1
			}
		}
	})
}

// LogSoftmaxLogitGradRows against big floats: g - softmax·Σg.
func TestLogSoftmaxLogitGrad(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testLogSoftmaxLogitGrad[float32])
		t.Run("float64", testLogSoftmaxLogitGrad[float64])
	})
}

func testLogSoftmaxLogitGrad[F Float](t *testing.T) {
	rng := newRand(t, 47)
	for _, n := range []int{1, 3, 17, short(1000, 130), short(2500, 300)} {
		for _, d := range distributions {
			x, g, dst := convert[F](d.row(rng, n)), make([]F, n), make([]F, n)
			sum := 0.0
			for i := range g {
				g[i] = F(rng.NormFloat64())
				sum += float64(g[i])
			}
			LogSoftmaxLogitGradRows(dst, x, g, n)
			r := bigOf(x)
			for i, v := range dst {
				term := r.softmax(i) * sum
				want := float64(g[i]) - term
				if limit := 2 * gradientUlps * ulp[F](max(math.Abs(term), math.Abs(float64(g[i])))); math.Abs(float64(v)-want) > limit+1e-13*boolFloat(!isFloat32[F]()) {
					t.Fatalf("%s, n=%d: gradient[%d] = %v, want %v", d.name, n, i, v, want)
				}
			}
		}
	}
}

// A gradient that is written past the caches is the gradient of each row alone.
func TestStreamedSoftTargets(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		t.Run("float32", testStreamedSoftTargets[float32])
		t.Run("float64", testStreamedSoftTargets[float64])
	})
}

func testStreamedSoftTargets[F Float](t *testing.T) {
	const rows, cols = 200, 21001 // odd: every row begins at another alignment
	if !streams[F](rows*cols, cols) {
		t.Fatal("the result is too small for what is tested here")
	}
	x, p := make([]F, rows*cols), make([]F, rows*cols)
	for i := range x {
		x[i], p[i] = F(float64(i%8191)*-1e-3), F(float64(i%13)/cols)
	}
	all, row, g := make([]F, rows*cols), make([]F, cols), make([]float64, rows)
	for i := range g {
		g[i] = 0.5
	}
	KLGradRows(nil, all, x, p, cols, g)
	for _, i := range []int{0, 1, 7, rows - 1} {
		KLGradRow(row, x[i*cols:(i+1)*cols], p[i*cols:(i+1)*cols], g[i])
		for c, v := range row {
			if all[i*cols+c] != v {
				t.Fatalf("row %d element %d is %v, alone %v", i, c, all[i*cols+c], v)
			}
		}
	}
}

// FuzzSoftTargets compares every implementation's losses of soft targets with the generic one's.
func FuzzSoftTargets(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		x := floats(b)
		n := len(x) / 2
		if n == 0 || n > 5000 {
			return
		}
		x, p := x[:n], x[n:2*n]
		for i, v := range p { // weights in [0, 1), or not finite
			if v-v == 0 {
				p[i] = float32(math.Abs(math.Mod(float64(v), 1)))
			}
		}
		var want softResults[float32]
		var want64 softResults[float64]
		vectest.At(vec.Generic, func() { want, want64 = softOf(x, p), softOf(widen(x), widen(p)) })
		atLevels(func(l vec.Level) {
			compareSoft(t, l.String(), x, p, softOf(x, p), want)
			compareSoft(t, l.String(), widen(x), widen(p), softOf(widen(x), widen(p)), want64)
		})
	})
}

// softResults is what the losses of a soft target make of one row.
type softResults[F Float] struct {
	ce, kl          float64
	ceGrad, klGrad  []F
	ceValid, klSame bool
}

func softOf[F Float](x, p []F) softResults[F] {
	r := softResults[F]{ceGrad: make([]F, len(x)), klGrad: make([]F, len(x))}
	value := make([]float64, 1)
	r.ceValid = SoftCrossEntropyGradRows(value, r.ceGrad, x, p, len(x), []float64{0.5}, nil)
	r.ce = value[0]
	valid := KLGradRows(value, r.klGrad, x, p, len(x), []float64{0.5})
	r.kl = value[0]
	r.klSame = valid == r.ceValid
	return r
}

func compareSoft[F Float](t *testing.T, name string, x, p []F, got, want softResults[F]) {
	t.Helper()
	if got.ceValid != want.ceValid || !got.klSame {
		t.Fatalf("%s %s: targets %v are valid: %v, generic %v", name, dtypeName[F](), p, got.ceValid, want.ceValid)
	}
	if !want.ceValid {
		return // the numbers mean nothing
	}
	mass, far := 0.0, 0.0
	for i, v := range p {
		mass += float64(v)
		if v > 0 {
			far = max(far, float64(maxOf(x))-float64(x[i]))
		}
	}
	// Two units of the value on either side, and what the logarithms of targets are good to.
	value := func(what string, g, w float64) {
		if limit := 4*ulp[F](w) + 1e-11*mass*(100+far); !same(g, w) && !(math.Abs(g-w) <= limit) {
			t.Errorf("%s %s: %s of %v against %v is %v, generic %v", name, dtypeName[F](), what, x, p, g, w)
		}
	}
	value("cross-entropy", got.ce, want.ce)
	value("divergence", got.kl, want.kl)
	for i, w := range want.ceGrad {
		limit := 2*gradientUlps*float64(ulp[F](max(0.5*mass, 1))) + 1e-13
		for _, g := range []F{got.ceGrad[i], got.klGrad[i]} {
			if d := math.Abs(float64(g - w)); !(d <= limit) && !(g != g && w != w) {
				t.Errorf("%s %s: gradient of %v against %v at %d is %v, generic %v", name, dtypeName[F](), x, p, i, g, w)
			}
		}
	}
}
