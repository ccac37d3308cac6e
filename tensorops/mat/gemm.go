package mat

// Gemm computes C = alpha·op(A)·op(B) + beta·C, where op(A) is m × k, op(B) is k × n and C is m ×
// n. op(A) is the transpose of A if transA is true and A otherwise; the same holds for op(B).
//
// A matrix is stored by rows: element (i, j) of A is a[i*lda+j]. Elements between the end of a row
// and the next row are neither used nor written.
//
// With beta = 0, C is not read, and a NaN there is overwritten. With alpha = 0 or k = 0, A and B
// are not read and the result is beta·C. Otherwise every term counts: 0 times infinity or NaN is
// NaN, as in a plain loop. (Gonum's product omits the elements of A that are 0.)
//
// Gemm panics if m, n or k is negative, if a leading dimension is less than 1 or less than the
// number of columns, if a slice is too short for its matrix, or if C shares an element with A or B.
// Matrices that lie side by side in the rows of a larger one share none; their leading dimensions
// must be equal.
func Gemm[F Float](
	transA, transB bool, m, n, k int, alpha F, a []F, lda int, b []F, ldb int, beta F, c []F, ldc int,
) {
	multiply(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, nil, c, ldc)
}

// GemmBias computes C = alpha·op(A)·op(B) and adds the n elements of bias to every row. C is not
// read; bias must not share an element with it. In all else GemmBias is [Gemm].
func GemmBias[F Float](
	transA, transB bool, m, n, k int, alpha F, a []F, lda int, b []F, ldb int, bias, c []F, ldc int,
) {
	if n >= 0 && len(bias) < n {
		panic(shortBias)
	}
	multiply(transA, transB, m, n, k, alpha, a, lda, b, ldb, 0, bias, c, ldc)
}

// MatVec computes y = alpha·op(A)·x + beta·y, where A is m × n. op(A) is the transpose of A if
// trans is true and A otherwise.
//
// MatVec panics if m or n is negative, if lda is less than 1 or less than n, if a slice is too
// short, or if y shares memory with a or x. In all else it is [Gemm] for vectors.
func MatVec[F Float](trans bool, m, n int, alpha F, a []F, lda int, x []F, beta F, y []F) {
	switch {
	case m < 0:
		panic(negativeM)
	case n < 0:
		panic(negativeN)
	case lda < max(1, n):
		panic(badLDA)
	}
	rows, terms := m, n
	if trans {
		rows, terms = n, m
	}
	if rows == 0 {
		return
	}
	am, xm, ym := matrix[F]{a, m, n, lda}, matrix[F]{x, 1, terms, terms}, matrix[F]{y, 1, rows, rows}
	switch {
	case !am.fits():
		panic(shortA)
	case !xm.fits():
		panic(shortX)
	case !ym.fits():
		panic(shortY)
	case ym.overlaps(am):
		panic(overlapYA)
	case ym.overlaps(xm):
		panic(overlapYX)
	}
	matVec(trans, m, n, alpha, a, lda, x, beta, y)
}

// matVec is MatVec for operands that are known to fit.
func matVec[F Float](trans bool, m, n int, alpha F, a []F, lda int, x []F, beta F, y []F) {
	q := problem[F]{rows: m, cols: 1, terms: n, alpha: alpha, beta: beta, a: a, b: x, c: y, lda: lda, ldb: 1, ldc: 1}
	if trans { // the row yᵀ = xᵀ·A
		q = problem[F]{rows: 1, cols: n, terms: m, alpha: alpha, beta: beta, a: x, b: a, c: y, lda: m, ldb: lda, ldc: n}
	}
	q.solve()
}

func multiply[F Float](
	transA, transB bool, m, n, k int, alpha F, a []F, lda int, b []F, ldb int, beta F, bias, c []F, ldc int,
) {
	switch {
	case m < 0:
		panic(negativeM)
	case n < 0:
		panic(negativeN)
	case k < 0:
		panic(negativeK)
	}
	am, bm, cm := stored(transA, a, m, k, lda), stored(transB, b, k, n, ldb), stored(false, c, m, n, ldc)
	switch {
	case lda < max(1, am.cols):
		panic(badLDA)
	case ldb < max(1, bm.cols):
		panic(badLDB)
	case ldc < max(1, n):
		panic(badLDC)
	case m == 0 || n == 0:
		return
	case !am.fits():
		panic(shortA)
	case !bm.fits():
		panic(shortB)
	case !cm.fits():
		panic(shortC)
	case cm.overlaps(am):
		panic(overlapA)
	case cm.overlaps(bm):
		panic(overlapB)
	case bias != nil && cm.overlaps(matrix[F]{bias, 1, n, n}):
		panic(overlapBias)
	}
	problem[F]{
		ta: transA, tb: transB, rows: m, cols: n, terms: k, alpha: alpha, beta: beta,
		a: a, b: b, c: c, bias: bias, lda: lda, ldb: ldb, ldc: ldc,
	}.solve()
}

const (
	negativeM = "mat: m < 0"
	negativeN = "mat: n < 0"
	negativeK = "mat: k < 0"

	badLDA = "mat: bad leading dimension of a"
	badLDB = "mat: bad leading dimension of b"
	badLDC = "mat: bad leading dimension of c"

	shortA    = "mat: insufficient length of a"
	shortB    = "mat: insufficient length of b"
	shortC    = "mat: insufficient length of c"
	shortX    = "mat: insufficient length of x"
	shortY    = "mat: insufficient length of y"
	shortBias = "mat: insufficient length of bias"

	overlapA    = "mat: c overlaps a"
	overlapB    = "mat: c overlaps b"
	overlapBias = "mat: c overlaps bias"
	overlapYA   = "mat: y overlaps a"
	overlapYX   = "mat: y overlaps x"
)
