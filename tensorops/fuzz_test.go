package tensorops

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/surprisal-go/surprisal/tensorops/vec"
	"github.com/surprisal-go/surprisal/tensorops/vec/vectest"
)

// hostileRows seed the fuzz targets: what has broken softmax implementations before.
var hostileRows = [][]float32{
	{0}, {1, 2, 3}, {40, 0, 0}, {3e38, -3e38, 0}, {-3e38, -3e38}, {1e-45, -1e-45, 0}, {88.7, -88.7, 103.9}, {65536, 65536.01, -65536},
	{-87.3, 0}, {-103.97, 0}, {1e9, -1e9}, {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5},
	{float32(math.Inf(-1)), 0}, {float32(math.Inf(-1)), float32(math.Inf(-1))}, {float32(math.Inf(1)), 0}, {float32(math.NaN()), 0},
	{float32(math.Copysign(0, -1)), 0, math.SmallestNonzeroFloat32},
}

func seed(f *testing.F) {
	for _, row := range hostileRows {
		var b []byte
		for range 1 + 70/len(row) { // short, and long enough for whole registers
			for _, v := range row {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
			}
			f.Add(b)
		}
	}
}

func floats(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// FuzzRows compares every implementation with the generic one on any row at all.
func FuzzRows(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		x := floats(b)
		if len(x) == 0 || len(x) > 5000 {
			return
		}
		var want rowResults[float32]
		var want64 rowResults[float64]
		vectest.At(vec.Generic, func() { want, want64 = allOf(x), allOf(widen(x)) })
		atLevels(func(l vec.Level) {
			compareAll(t, l.String(), x, allOf(x), want)
			compareAll(t, l.String(), widen(x), allOf(widen(x)), want64)
		})
	})
}

// rowResults is what the functions make of one row.
type rowResults[F Float] struct {
	lse, loss, entropy  float64
	softmax, logs, grad []F
}

func allOf[F Float](x []F) rowResults[F] {
	r := rowResults[F]{softmax: make([]F, len(x)), logs: make([]F, len(x)), grad: make([]F, len(x))}
	var lse [1]F
	LogSumExpRows(lse[:], x, len(x))
	r.lse = float64(lse[0])
	SoftmaxRows(r.softmax, x, len(x))
	LogSoftmaxRows(r.logs, x, len(x))
	r.loss = CrossEntropyGradRow(r.grad, x, len(x)/2, 0.5, nil)
	r.entropy = EntropyRow(x)
	return r
}

// compareAll admits the limits of both sides: 4 units for softmax, 2 for logarithms, 1 for values; 1e-14 of the
// entropy's and a loss's terms in float64.
func compareAll[F Float](t *testing.T, name string, x []F, got, want rowResults[F]) {
	t.Helper()
	value := func(what string, g, w float64) {
		if e := ulps(F(g), float64(F(w))); e > 2 && !(math.Abs(g-w) <= 1e-13*max(1, math.Abs(float64(maxOf(x))))*boolFloat(!isFloat32[F]())) {
			t.Errorf("%s %s: %s of %v is %v, generic %v", name, dtypeName[F](), what, x, g, w)
		}
	}
	value("log-sum-exp", got.lse, want.lse)
	value("cross-entropy", got.loss, want.loss)
	value("entropy", got.entropy, want.entropy)
	for i := range x {
		if e := ulps(got.softmax[i], float64(want.softmax[i])); e > 2*softmaxUlps && !tiny(got.softmax[i], want.softmax[i]) {
			t.Errorf("%s %s: softmax of %v at %d is %v, generic %v", name, dtypeName[F](), x, i, got.softmax[i], want.softmax[i])
		}
		if e := ulps(got.logs[i], float64(want.logs[i])); e > 2*logUlps32 && math.Abs(float64(got.logs[i]-want.logs[i])) > 1e-13 {
			t.Errorf("%s %s: log-softmax of %v at %d is %v, generic %v", name, dtypeName[F](), x, i, got.logs[i], want.logs[i])
		}
		if e := ulps(got.grad[i], float64(want.grad[i])); e > 2*gradientUlps && !tiny(got.grad[i], want.grad[i]) {
			t.Errorf("%s %s: gradient of %v at %d is %v, generic %v", name, dtypeName[F](), x, i, got.grad[i], want.grad[i])
		}
	}
}

func boolFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// tiny says that both are so small that either may be 0.
func tiny[F Float](a, b F) bool {
	limit := 0x1p-1021
	if isFloat32[F]() {
		limit = 0x1p-125
	}
	return math.Abs(float64(a)) < 2*limit && math.Abs(float64(b)) < 2*limit
}

// FuzzPointLosses compares the elementwise losses of every implementation with the generic ones.
func FuzzPointLosses(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		x := floats(b)
		n := len(x) / 2
		if n == 0 || n > 5000 {
			return
		}
		x, y := x[:n], x[n:2*n]
		for i, v := range y { // targets in [0, 1], or not finite
			if v-v == 0 {
				y[i] = float32(math.Abs(math.Mod(float64(v), 1)))
			}
		}
		for _, l := range vec.Available()[1:] {
			for loss := range pointLosses {
				comparePoints(t, l, loss, x, y)
			}
		}
	})
}

// comparePoints holds a kernel to the generic one; what overflows float32 on the way has a sum that says so.
func comparePoints(t *testing.T, l vec.Level, loss int, x, y []float32) {
	relative, absolute := pointUnits[float32]()
	y = pointTargets(loss, y)
	a, w := make([]float32, len(x)), make([]float32, len(x))
	got, want := kernels32[l].pointSum[loss](x, y, 0.75, 0.5), generic32.pointSum[loss](x, y, 0.75, 0.5)
	if both := kernels32[l].pointBoth[loss](a, x, y, 0.5, 0.75, 0.5, false); !same(both, got) {
		t.Errorf("%s: sum of loss %d of %v, %v is %v, with the gradient %v", l, loss, x, y, got, both)
	}
	if !finite(got) {
		return
	}
	size := want
	if loss == pointPoisson || loss == pointGamma { // values of two terms, which may cancel
		for i, v := range x {
			size += 2 * math.Abs(float64(v)) * max(1, float64(y[i]))
		}
	}
	// values below the smallest normal numbers have no digits to compare
	if !(math.Abs(got-want) <= 2*relative*size+float64(len(x))*0x1p-120) {
		t.Errorf("%s: sum of loss %d of %v, %v is %v, generic %v", l, loss, x, y, got, want)
	}
	generic32.pointBoth[loss](w, x, y, 0.5, 0.75, 0.5, false)
	for i := range a {
		// the terms of a slope are not above 1, but for those of a difference, which have no others
		size := max(1, math.Abs(float64(w[i])))
		if loss == pointCauchy || loss == pointPseudoHuber {
			size *= 2 // the scaled difference is in it twice
		}
		if !(math.Abs(float64(a[i]-w[i])) <= 2*relative*size+absolute) {
			t.Errorf("%s: gradient of loss %d of %v, %v is %v, generic %v", l, loss, x[i], y[i], a[i], w[i])
		}
	}
}
