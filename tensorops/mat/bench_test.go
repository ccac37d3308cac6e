package mat

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

var benchShapes = [][3]int{{128, 784, 256}, {128, 256, 10}, {512, 512, 512}, {2048, 512, 4096}} // m, k, n

func BenchmarkGemm(b *testing.B) {
	for _, s := range benchShapes {
		benchGemm[float32](b, "dtype=f32", false, false, s)
		benchGemm[float64](b, "dtype=f64", false, false, s)
	}
}

// BenchmarkTransposed has the products of a gradient: with one transposed operand.
func BenchmarkTransposed(b *testing.B) {
	for _, s := range append(benchShapes, [3]int{784, 128, 256}, [3]int{256, 128, 10}) {
		benchGemm[float32](b, "trans=NT/dtype=f32", false, true, s)
		benchGemm[float32](b, "trans=TN/dtype=f32", true, false, s)
		benchGemm[float64](b, "trans=NT/dtype=f64", false, true, s)
		benchGemm[float64](b, "trans=TN/dtype=f64", true, false, s)
	}
}

// BenchmarkVocabulary has the three products of a linear layer of 2048 rows, 512 inputs and 32000
// classes, 240 rows at a time: the logits, and the gradients by the inputs and by the weights.
func BenchmarkVocabulary(b *testing.B) {
	const rows, width, classes, chunk = 2048, 512, 32000, 240
	rng := rand.New(rand.NewPCG(1, 2))
	hidden, weight := normal[float32](rng, rows*width), normal[float32](rng, classes*width)
	logits, dHidden, dWeight := make([]float32, chunk*classes), make([]float32, rows*width), make([]float32, classes*width)
	each := func(b *testing.B, f func(lo, n int)) {
		for b.Loop() {
			for lo := 0; lo < rows; lo += chunk {
				f(lo, min(chunk, rows-lo))
			}
		}
		reportSpeed(b, rows, width, classes)
	}
	b.Run("product=logits", func(b *testing.B) {
		each(b, func(lo, n int) {
			Gemm(false, true, n, classes, width, 1, hidden[lo*width:], width, weight, width, 0, logits, classes)
		})
	})
	b.Run("product=inputs", func(b *testing.B) {
		each(b, func(lo, n int) {
			Gemm(false, false, n, width, classes, 1, logits, classes, weight, width, 0, dHidden[lo*width:], width)
		})
	})
	b.Run("product=weights", func(b *testing.B) {
		each(b, func(lo, n int) {
			Gemm(true, false, classes, width, n, 1, logits, classes, hidden[lo*width:], width, 1, dWeight, width)
		})
	})
}

// BenchmarkGonum is gonum's product, for comparison.
func BenchmarkGonum(b *testing.B) {
	for _, s := range benchShapes[:3] {
		m, k, n := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("dtype=f32/shape=%dx%dx%d", m, k, n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			x, y, z := normal[float32](rng, m*k), normal[float32](rng, k*n), make([]float32, m*n)
			for b.Loop() {
				gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, m, n, k, 1, x, k, y, n, 0, z, n)
			}
			reportSpeed(b, m, n, k)
		})
	}
}

func BenchmarkMatVec(b *testing.B) {
	for _, trans := range []bool{false, true} {
		b.Run(fmt.Sprintf("trans=%v/dtype=f32/shape=1024x1024", trans), func(b *testing.B) {
			const n = 1024
			rng := rand.New(rand.NewPCG(1, 2))
			a, x, y := normal[float32](rng, n*n), normal[float32](rng, n), make([]float32, n)
			for b.Loop() {
				MatVec(trans, n, n, 1, a, n, x, 0, y)
			}
			reportSpeed(b, n, n, 1)
		})
	}
}

func benchGemm[F Float](b *testing.B, name string, ta, tb bool, shape [3]int) {
	m, k, n := shape[0], shape[1], shape[2]
	b.Run(fmt.Sprintf("%s/shape=%dx%dx%d", name, m, k, n), func(b *testing.B) {
		rng := rand.New(rand.NewPCG(1, 2))
		lda, ldb := k, n
		if ta {
			lda = m
		}
		if tb {
			ldb = k
		}
		x, y, z := normal[F](rng, m*k), normal[F](rng, k*n), make([]F, m*n)
		for b.Loop() {
			Gemm(ta, tb, m, n, k, 1, x, lda, y, ldb, 0, z, n)
		}
		reportSpeed(b, m, n, k)
	})
}

// reportSpeed adds the speed: a product has 2mnk operations.
func reportSpeed(b *testing.B, m, n, k int) {
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
}
