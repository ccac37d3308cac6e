package tensorops

import (
	"math"
	"testing"
)

// TestSoftmaxTiles checks that rows in tiles come to what they do in groups, to the bit: with the
// same numbers in a layout whose classes lie too near each other for tiles, and in one that is its
// own destination.
func TestSoftmaxTiles(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testSoftmaxTiles[float32](t)
		testSoftmaxTiles[float64](t)
	})
}

func testSoftmaxTiles[F Float](t *testing.T) {
	const rows, near, far = 300, 30, 150
	for _, classes := range []int{chunkClasses, 100} {
		for _, c := range softmaxCases {
			want := newSoftmaxInput[F](newRand(nil, 5), c, rows, classes, near, 2)
			wantValues, wantDst := make([]float64, rows), make([]F, len(want.x))
			want.run(wantValues, wantDst, 0, rows)

			in := *want
			in.inner, in.x, in.t = far, make([]F, len(want.x)), make([]F, len(want.x))
			for i := range rows {
				for y := range classes {
					from, to := place(i, classes, near)+y*near, place(i, classes, far)+y*far
					in.x[to], in.t[to] = want.x[from], want.t[from]
				}
			}
			values, dst := make([]float64, rows), make([]F, len(in.x))
			in.run(values, dst, 0, rows)
			own := make([]float64, rows)
			in.run(own, in.x, 0, rows)
			for i := range rows {
				if !same(values[i], wantValues[i]) || !same(own[i], wantValues[i]) {
					t.Fatalf("%s, %s, %d classes, row %d: values %v and %v, want %v", dtypeName[F](), c.name, classes, i, values[i], own[i],
						wantValues[i])
				}
				for y := range classes {
					from, to := place(i, classes, near)+y*near, place(i, classes, far)+y*far
					if !same(float64(dst[to]), float64(wantDst[from])) || !same(float64(in.x[to]), float64(wantDst[from])) {
						t.Fatalf("%s, %s, %d classes, row %d: gradients %v and %v, want %v", dtypeName[F](), c.name, classes, i, dst[to],
							in.x[to], wantDst[from])
					}
				}
			}
		}
	}
}

// TestSoftmaxFarCap checks softcaps beyond what exponentials take, in rows of many classes.
func TestSoftmaxFarCap(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		const classes, softcap, x = 600, 800, 5000
		logits := make([]float32, classes)
		for i := range logits {
			logits[i] = x
		}
		logits[7] = -x
		z := softcap * math.Tanh(float64(x)/softcap)
		values, dst := make([]float64, 1), make([]float32, classes)
		LabelSoftmaxRows(values, dst, logits, 0, 1, []int{7}, []float64{1}, &LabelSoftmax{Classes: classes, Inner: 1, Scale: 1, Softcap: softcap})
		if want := 2*z + math.Log(classes-1); math.Abs(values[0]-want) > 1e-12*want {
			t.Errorf("value %v, want %v", values[0], want)
		}
		slope := 1 / math.Cosh(float64(x)/softcap) / math.Cosh(float64(x)/softcap)
		if want := float32(-slope); ulps(dst[7], float64(want)) > 2 {
			t.Errorf("gradient at the label %v, want %v", dst[7], want)
		}
	})
}
