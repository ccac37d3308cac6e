package mat

import (
	"unsafe"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// Float is the element type of a matrix.
type Float interface{ float32 | float64 }

// kernels are the inner loops of one level. Their strides are in bytes, and a nil d has
// the stride 0.
//
// The results must depend on the operands and on k alone, not on the size of the tile or the place
// within it: a number of c is alpha times a sum, plus d in the same rounding.
type kernels[F Float] struct {
	// tile writes c = alpha·a·b + d for tiles of rows × cols numbers, side by side: tile[0][r] for r
	// rows and half of the columns, tile[1][r] for all. A sum takes its k terms one after another.
	// rs and cs are the strides of a between rows and between terms; from the end of the panel of b
	// that belongs to a tile it is next bytes to the following one.
	rows, cols int
	tile       [2][maxRows + 1]tileFunc[F]

	// dots writes c = alpha·a·bᵀ + d for tiles of height rows of a, one below the other, and
	// len(dots) rows of b at most. single is the same for one row a tile. The entries have 1, 2 ...
	// rows of b.
	dots, single []dots[F]

	// addRows[0] adds x·a to y for one row a of n numbers, addRows[1] for eight rows, in order.
	addRows [2]func(n int, y, x *F, xs int, a *F, lda int)

	// packB copies rows of panels·cols numbers to panels that are ds apart and hold their rows one
	// after another; packA rows of panels·rows numbers. packA may read and write up to a register
	// beyond the end of every row.
	packA, packB func(n, panels int, dst *F, ds int, src *F, ld int)

	// transpose writes block rows of block·blocks numbers as columns.
	block     int
	transpose func(dst *F, ds int, src *F, ld, blocks int)
}

type tileFunc[F Float] func(
	panels, k int, a *F, rs, cs int, b *F, bs, next int, c *F, ldc int, d *F, ldd int, alpha F,
)

type dots[F Float] struct {
	rows int
	run  func(tiles, k int, a *F, lda int, b *F, ldb int, c *F, ldc int, d *F, ldd int, alpha F)
}

// maxRows is the height of the largest tile that a level may have.
const maxRows = 12

// active returns the kernels of the level in use for F.
func active[F Float]() *kernels[F] {
	if k, ok := any(kernels32[vec.Active()]).(*kernels[F]); ok {
		return k
	}
	return any(kernels64[vec.Active()]).(*kernels[F])
}

// size is the number of bytes of an F.
func size[F Float]() int {
	var f F
	return int(unsafe.Sizeof(f))
}

// at returns the element that lies so many bytes after p.
func at[F Float](p *F, bytes int) *F { return (*F)(unsafe.Add(unsafe.Pointer(p), bytes)) }
