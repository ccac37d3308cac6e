package tensorops

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The curve -log p itself is the cross-entropy, whatever the layout and the number of classes.
func TestCurveOfTargets(t *testing.T) {
	identity := func(value, slope, nll, _ []float64) {
		copy(value, nll)
		for i := range slope {
			slope[i] = 1
		}
	}
	forEachImpl(t, func(t *testing.T) {
		if active[float32]().softmax == nil {
			x := []float32{1, 2}
			o := &TargetSoftmax{Classes: 2, Inner: 1, Scale: 1, Curve: identity}
			if TargetSoftmaxRows(make([]float64, 1), nil, x, x, 0, 1, []float64{1}, o) {
				t.Error("valid without kernels")
			}
			return
		}
		for _, shape := range [][3]int{{40, 21, 1}, {40, 21, 20}, {9, 33, 1}, {3, 700, 1}, {2, 5000, 1}, {34, 200, 17}} {
			testCurveOfTargets(t, shape[0], shape[1], shape[2], identity)
		}
	})
}

func testCurveOfTargets(t *testing.T, rows, classes, inner int, curve func(value, slope, nll, u []float64)) {
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(classes)))
	x, y, g, weights := make([]float32, rows*classes), make([]float32, rows*classes), make([]float64, rows), make([]float64, classes)
	for i := range x {
		x[i], y[i] = float32(3*rng.NormFloat64()), float32(rng.Float64()/float64(classes))
	}
	for i := range g {
		g[i] = rng.Float64()
	}
	g[1] = 0
	for c := range weights {
		weights[c] = 0.5 + rng.Float64()
	}
	plain := &TargetSoftmax{Classes: classes, Inner: inner, Scale: 1, Weights: weights}
	bent := *plain
	bent.Curve = curve
	want, got := make([]float64, rows), make([]float64, rows)
	wantGrad, gotGrad := make([]float32, len(x)), make([]float32, len(x))
	if !TargetSoftmaxRows(want, wantGrad, x, y, 0, rows, g, plain) || !TargetSoftmaxRows(got, gotGrad, x, y, 0, rows, g, &bent) {
		t.Fatalf("%d rows of %d classes are not valid", rows, classes)
	}
	for i, v := range want {
		if math.Abs(got[i]-v) > 1e-6*v {
			t.Errorf("row %d of %d classes has the value %v, want %v", i, classes, got[i], v)
		}
	}
	for i, v := range wantGrad {
		// 4 units of the largest term
		if math.Abs(float64(gotGrad[i]-v)) > 4*0x1p-24*2 {
			t.Errorf("element %d of rows of %d classes has the gradient %v, want %v", i, classes, gotGrad[i], v)
		}
	}
	y[0] = -1
	g[0] = 1
	if TargetSoftmaxRows(got, gotGrad, x, y, 0, rows, g, &bent) {
		t.Errorf("a target of -1 is valid in rows of %d classes", classes)
	}
}
