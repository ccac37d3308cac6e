package tensorops

import (
	"fmt"
	"testing"
)

// benchShapes are small, medium, and two the size of a language model's vocabulary: rows x columns.
var benchShapes = [][2]int{{64, 10}, {1024, 1000}, {512, 32000}, {128, 128256}}

// benchRows runs a benchmark for every type and shape. bytes is what the work reads and writes, in
// units of x.
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

func BenchmarkSoftmax(b *testing.B) {
	benchRows(b, "", 2, benchSoftmax[float32], benchSoftmax[float64])
}

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

func BenchmarkCrossEntropy(b *testing.B) {
	benchRows(b, "/pass=forward", 1, benchCrossEntropy[float32], benchCrossEntropy[float64])
	benchRows(b, "/pass=both", 2, benchCrossEntropyGrad[float32], benchCrossEntropyGrad[float64])
}

// benchLabels draws uniform labels.
func benchLabels(rows, cols int) []int {
	rng := newRand(nil, 2)
	labels := make([]int, rows)
	for i := range labels {
		labels[i] = rng.IntN(cols)
	}
	return labels
}

func benchCrossEntropy[F Float](x []F, cols int) func() {
	rows := len(x) / cols
	values, labels := make([]float64, rows), benchLabels(rows, cols)
	return func() { CrossEntropyRows(values, x, cols, labels, nil) }
}

func benchCrossEntropyGrad[F Float](x []F, cols int) func() {
	rows := len(x) / cols
	values, g, labels, dst := make([]float64, rows), make([]float64, rows), benchLabels(rows, cols), make([]F, len(x))
	for i := range g {
		g[i] = 1 / float64(rows)
	}
	return func() { CrossEntropyGradRows(values, dst, x, cols, labels, g, nil) }
}

// BenchmarkMemory prints what the machine's memory allows: reading, copying with ordinary stores,
// and copying with stores past the caches, over a matrix of the shapes above. A kernel's time is to
// be read beside these.
func BenchmarkMemory(b *testing.B) {
	for _, shape := range benchShapes[1:] {
		x := normal3[float32](shape[0] * shape[1])
		dst := make([]float32, len(x))
		k := active[float32]()
		size := fmt.Sprintf("/shape=%dx%d", shape[0], shape[1])
		overChunks := func(f func(lo, hi int)) func() {
			return func() { ParallelFor(len(x), chunkLen, f) }
		}
		b.Run("op=read"+size, func(b *testing.B) {
			benchLoop(b, 4*len(x), overChunks(func(lo, hi int) {
				if k.index(x[lo:hi], 1e30) >= 0 {
					panic("found what is not there")
				}
			}))
		})
		b.Run("op=copy"+size, func(b *testing.B) {
			benchLoop(b, 8*len(x), overChunks(func(lo, hi int) { k.shift(dst[lo:hi], x[lo:hi], 0, 0, false) }))
		})
		b.Run("op=stream"+size, func(b *testing.B) {
			benchLoop(b, 8*len(x), overChunks(func(lo, hi int) { k.shift(dst[lo:hi], x[lo:hi], 0, 0, true) }))
		})
	}
}
