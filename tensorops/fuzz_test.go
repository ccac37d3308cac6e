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
	{0}, {1, 2, 3}, {40, 0, 0}, {3e38, -3e38, 0}, {-3e38, -3e38}, {1e-45, -1e-45, 0}, {88.7, -88.7, 103.9},
	{65536, 65536.01, -65536},
	{-87.3, 0}, {-103.97, 0}, {1e9, -1e9},
	{0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5},
	{float32(math.Inf(-1)), 0}, {float32(math.Inf(-1)), float32(math.Inf(-1))}, {float32(math.Inf(1)), 0},
	{float32(math.NaN()), 0},
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

// compareAll admits the limits of both sides: 4 units for softmax, 2 for logarithms, 1 for values;
// 1e-14 of the entropy's and a loss's terms in float64.
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
			t.Errorf("%s %s: softmax of %v at %d is %v, generic %v", name, dtypeName[F](), x, i, got.softmax[i],
				want.softmax[i])
		}
		if e := ulps(got.logs[i], float64(want.logs[i])); e > 2*logUlps32 && math.Abs(float64(got.logs[i]-want.logs[i])) > 1e-13 {
			t.Errorf("%s %s: log-softmax of %v at %d is %v, generic %v", name, dtypeName[F](), x, i, got.logs[i],
				want.logs[i])
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

// tiny reports whether both are so small that either may be 0.
func tiny[F Float](a, b F) bool {
	limit := 0x1p-1021
	if isFloat32[F]() {
		limit = 0x1p-125
	}
	return math.Abs(float64(a)) < 2*limit && math.Abs(float64(b)) < 2*limit
}

// FuzzPoint calls elementwise losses with any operands: an element gets what it gets alone, in
// place too, and the sum is finite where all losses are.
func FuzzPoint(f *testing.F) {
	seed(f)
	cases := pointCases()
	f.Fuzz(func(t *testing.T, b []byte) {
		x := floats(b)
		n := len(x) / 2
		if n == 0 || n > 300 {
			return
		}
		x, y := x[:n], x[n:2*n]
		for _, c := range cases {
			dst, values, over := make([]float32, n), make([]float32, n), append([]float32(nil), x...)
			sum := PointSum(c.Point, &PointData[float32]{X: x, T: y, Dst: dst, Values: values}, 0.5)
			if again := PointSum(c.Point, &PointData[float32]{X: over, T: y, Dst: over}, 0.5); !same(sum, again) {
				t.Errorf("%v of %v, %v: sum %v, in place %v", c, x, y, sum, again)
			}
			regular := true
			for i := range x {
				l, _ := pointFuncs[c.Loss](c.Point, float64(x[i]), float64(y[i]), 1)
				regular = regular && finite(l)
				d, v := make([]float32, 1), make([]float32, 1)
				PointSum(c.Point, &PointData[float32]{X: x[i : i+1], T: y[i : i+1], Dst: d, Values: v}, 0.5)
				if !same(float64(d[0]), float64(dst[i])) || !same(float64(v[0]), float64(values[i])) || !same(float64(over[i]), float64(dst[i])) {
					t.Errorf("%v at (%v, %v): %v and %v among %d, %v in place, %v and %v alone", c, x[i], y[i],
						values[i], dst[i], n, over[i], v[0], d[0])
				}
			}
			if regular != finite(sum) {
				t.Errorf("%v of %v, %v: sum %v", c, x, y, sum)
			}
		}
	})
}
