package tensorops

import (
	"fmt"
	"testing"
)

// benchShapes are small, medium, and two the size of a language model's vocabulary: rows x columns.
var benchShapes = [][2]int{{64, 10}, {1024, 1000}, {512, 32000}, {128, 128256}}

// benchRows runs a benchmark for every type and shape. bytes is what the work reads and writes, in units of x.
func benchRows(b *testing.B, suffix string, units int, f32 func(x []float32, cols int) func(), f64 func(x []float64, cols int) func()) {
	for _, shape := range benchShapes {
		n := shape[0] * shape[1]
		b.Run(fmt.Sprintf("dtype=f32/shape=%dx%d%s", shape[0], shape[1], suffix), func(b *testing.B) {
			benchLoop(b, units*n*4, f32(normal3[float32](n), shape[1]))
		})
	}
	for _, shape := range benchShapes {
		n := shape[0] * shape[1]
		b.Run(fmt.Sprintf("dtype=f64/shape=%dx%d%s", shape[0], shape[1], suffix), func(b *testing.B) {
			benchLoop(b, units*n*8, f64(normal3[float64](n), shape[1]))
		})
	}
}

func benchLoop(b *testing.B, bytes int, f func()) {
	f()
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

// normal3 draws n numbers of deviation 3.
func normal3[F Float](n int) []F {
	rng := newRand(nil, 1)
	x := make([]F, n)
	for i := range x {
		x[i] = F(3 * rng.NormFloat64())
	}
	return x
}

func BenchmarkLogSumExp(b *testing.B) { benchRows(b, "", 1, benchLSE[float32], benchLSE[float64]) }

func benchLSE[F Float](x []F, cols int) func() {
	dst := make([]F, len(x)/cols)
	return func() { LogSumExpRows(dst, x, cols) }
}

func BenchmarkSoftmax(b *testing.B) { benchRows(b, "", 2, benchSoftmax[float32], benchSoftmax[float64]) }

func benchSoftmax[F Float](x []F, cols int) func() {
	dst := make([]F, len(x))
	return func() { SoftmaxRows(dst, x, cols) }
}

func BenchmarkLogSoftmax(b *testing.B) {
	benchRows(b, "", 2, benchLogSoftmax[float32], benchLogSoftmax[float64])
}

func benchLogSoftmax[F Float](x []F, cols int) func() {
	dst := make([]F, len(x))
	return func() { LogSoftmaxRows(dst, x, cols) }
}
