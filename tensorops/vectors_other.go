//go:build !amd64 || purego

package tensorops

// The functions below are never called where generic is the only implementation.

func gapSquares[F Float](x, y *F, n int, eps float64) float64 {
	panic("tensorops: no kernel")
}

func gapScale[F Float](dst, x, y *F, n int, eps, a float64) {
	panic("tensorops: no kernel")
}

func gapScale2[F Float](dst, x, y, z *F, n int, eps, a, delta, b float64) {
	panic("tensorops: no kernel")
}

func products[F Float](x, y *F, n int) (xx, xy, yy float64) {
	panic("tensorops: no kernel")
}

func combinedSquares[F Float](x, y *F, n int, a, b float64) float64 {
	panic("tensorops: no kernel")
}

func combine[F Float](dst, x, y *F, n int, a, b float64) {
	panic("tensorops: no kernel")
}

func expTerms(dst, x *float32, n int) (sum float64, largest float32) {
	panic("tensorops: no kernel")
}

func expLess(dst, x *float32, n int, anchor float32) float64 {
	panic("tensorops: no kernel")
}

func pairsBehind(lanes, u, weights, pull, products *float64, n int, v, weight float64) {
	panic("tensorops: no kernel")
}

func pairsBefore(lanes, u, weights, x, pull, products *float64, n int, v, score, weight float64) {
	panic("tensorops: no kernel")
}

func addColumns(sums *float64, x *float32, n, stride int) { panic("tensorops: no kernel") }

func scaleColumns(x *float32, c *float64, n int, f float64) { panic("tensorops: no kernel") }

func quotients(dst, x *float64, n int, d float64) { panic("tensorops: no kernel") }

func restQuotients(dst, x, y *float64, n int, a, d float64) { panic("tensorops: no kernel") }

func othersOf[F Float](sums *float64, x *F, labels *int, cols, rows int) {
	panic("tensorops: no kernel")
}

func violations[F Float](sums *float64, dst, x *F, labels *int, own, factor *float64, cols, rows int, margin, a, b float64) {
	panic("tensorops: no kernel")
}

func productsOf[F Float](dst *F, e, d, numbers *float64, cols, rows int) {
	panic("tensorops: no kernel")
}

func keptLargest(sums, x, t *float64, cols, rows int) { panic("tensorops: no kernel") }

func gapsOf(sums, d, e, t, scale, from *float64, cols, rows int) { panic("tensorops: no kernel") }

func rowTerms[F Float](l RowLoss, lanes *float64, dst, x, t *F, params, factors *float64, c *rowCall) {
	panic("tensorops: no kernel")
}

func rowLanes(sums, lanes *float64, bytes, twice, rows int) { panic("tensorops: no kernel") }

func scaleRows[F Float](x, factors *F, full, rest, rows int) { panic("tensorops: no kernel") }

func rowTotals[F Float](sums *float64, x *F, full, rest, rows int) { panic("tensorops: no kernel") }
