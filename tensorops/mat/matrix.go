package mat

import "unsafe"

// matrix is a matrix as it lies in memory.
type matrix[F Float] struct {
	x              []F
	rows, cols, ld int
}

// stored returns the matrix that x holds if the product uses it, or its transpose, as one of rows ×
// cols.
func stored[F Float](transposed bool, x []F, rows, cols, ld int) matrix[F] {
	if transposed {
		rows, cols = cols, rows
	}
	return matrix[F]{x, rows, cols, ld}
}

// extent is the number of elements from the first to the last.
func (m matrix[F]) extent() int {
	if m.rows == 0 || m.cols == 0 {
		return 0
	}
	return (m.rows-1)*m.ld + m.cols
}

// fits reports whether the slice is long enough. Sizes whose extent overflows do not fit.
func (m matrix[F]) fits() bool {
	if m.rows == 0 || m.cols == 0 {
		return true
	}
	return len(m.x) >= m.cols && (len(m.x)-m.cols)/m.ld >= m.rows-1
}

// overlaps reports whether the matrices, which fit, share an element. It takes matrices of
// different leading dimensions whose memory is interleaved for overlapping.
func (m matrix[F]) overlaps(n matrix[F]) bool {
	if m.extent() == 0 || n.extent() == 0 {
		return false
	}
	from, to := uintptr(unsafe.Pointer(&m.x[0])), uintptr(unsafe.Pointer(&n.x[0]))
	if from > to {
		m, n, from, to = n, m, to, from
	}
	distance := int(to-from) / size[F]()
	if distance >= m.extent() {
		return false
	}
	switch { // a single row has any leading dimension that is long enough
	case m.rows == 1:
		return true
	case n.rows == 1 && n.cols <= m.ld:
		n.ld = m.ld
	}
	if m.ld != n.ld {
		return true
	}
	col := distance % m.ld
	return col < m.cols || col+n.cols > m.ld
}
