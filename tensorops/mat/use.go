package mat

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/tensor"
)

// Use makes [Implementation] the linear algebra of [gorgonia.org/tensor],
// [gonum.org/v1/gonum/blas/blas32] and [gonum.org/v1/gonum/blas/blas64], for the whole program.
// From then on it computes every product of matrices, and of matrix and vector, of a Gorgonia
// graph, with its convolutions and all gradients, and those of gonum's package mat.
//
// Call it once, at the start of the program: it must not run beside a graph or a product. The low
// bits of results change, because sums are formed in another order, and 0 times infinity or NaN is
// NaN where gonum's product skips zeros. Batch normalisation takes its linear algebra from Gorgonia
// itself; gorgonia.Use(mat.Implementation{}) sets that.
func Use() {
	tensor.Use(Implementation{})
	blas32.Use(Implementation{})
	blas64.Use(Implementation{})
}

// Implementation is gonum's BLAS with the products of this package: Sgemm and Dgemm, and Sgemv and
// Dgemv where both vectors are contiguous. Arguments are refused as gonum refuses them, and
// operands that overlap the result give what they give there.
type Implementation struct{ gonum.Implementation }

var (
	_ blas.Float32    = Implementation{}
	_ blas.Float64    = Implementation{}
	_ blas.Complex64  = Implementation{}
	_ blas.Complex128 = Implementation{}
)

// Sgemm computes C = alpha·op(A)·op(B) + beta·C; see [Gemm].
func (i Implementation) Sgemm(
	tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int,
	beta float32, c []float32, ldc int,
) {
	if !gemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) {
		i.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
	}
}

// Dgemm computes C = alpha·op(A)·op(B) + beta·C; see [Gemm].
func (i Implementation) Dgemm(
	tA, tB blas.Transpose, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int,
	beta float64, c []float64, ldc int,
) {
	if !gemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) {
		i.Implementation.Dgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
	}
}

// Sgemv computes y = alpha·op(A)·x + beta·y; see [MatVec].
func (i Implementation) Sgemv(
	tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int,
	beta float32, y []float32, incY int,
) {
	if !gemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY) {
		i.Implementation.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
	}
}

// Dgemv computes y = alpha·op(A)·x + beta·y; see [MatVec].
func (i Implementation) Dgemv(
	tA blas.Transpose, m, n int, alpha float64, a []float64, lda int, x []float64, incX int,
	beta float64, y []float64, incY int,
) {
	if !gemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY) {
		i.Implementation.Dgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
	}
}

// gemm computes the product, or returns false where gonum's would panic, its operands overlap, or
// there is nothing to multiply.
func gemm[F Float](
	tA, tB blas.Transpose, m, n, k int, alpha F, a []F, lda int, b []F, ldb int,
	beta F, c []F, ldc int,
) bool {
	if !transpose(tA) || !transpose(tB) || m <= 0 || n <= 0 || k <= 0 {
		return false
	}
	q := problem[F]{
		ta: tA != blas.NoTrans, tb: tB != blas.NoTrans, rows: m, cols: n, terms: k, alpha: alpha, beta: beta,
		a: a, b: b, c: c, lda: lda, ldb: ldb, ldc: ldc,
	}
	am, bm, cm := stored(q.ta, a, m, k, lda), stored(q.tb, b, k, n, ldb), stored(false, c, m, n, ldc)
	if !am.proper() || !bm.proper() || !cm.proper() || cm.overlaps(am) || cm.overlaps(bm) {
		return false
	}
	q.solve()
	return true
}

// gemv is gemm for a vector.
func gemv[F Float](
	tA blas.Transpose, m, n int, alpha F, a []F, lda int, x []F, incX int,
	beta F, y []F, incY int,
) bool {
	if !transpose(tA) || m <= 0 || n <= 0 || incX != 1 || incY != 1 {
		return false
	}
	rows, terms := m, n
	if tA != blas.NoTrans {
		rows, terms = n, m
	}
	am, xm, ym := matrix[F]{a, m, n, lda}, matrix[F]{x, 1, terms, terms}, matrix[F]{y, 1, rows, rows}
	if !am.proper() || !xm.proper() || !ym.proper() || ym.overlaps(am) || ym.overlaps(xm) {
		return false
	}
	matVec(tA != blas.NoTrans, m, n, alpha, a, lda, x, beta, y)
	return true
}

func transpose(t blas.Transpose) bool {
	return t == blas.NoTrans || t == blas.Trans || t == blas.ConjTrans
}

// proper reports whether a matrix of one element or more is stored as it must be.
func (m matrix[F]) proper() bool { return m.ld >= m.cols && m.fits() }
