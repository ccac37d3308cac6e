//go:build amd64 && !purego

package tensorops

import "unsafe"

// The functions below call the kernels for n elements, a multiple of vectorStep.

func float32s[F Float](p *F) *float32 { return (*float32)(unsafe.Pointer(p)) }
func float64s[F Float](p *F) *float64 { return (*float64)(unsafe.Pointer(p)) }
func bytesOf[F Float](p *F) *byte     { return (*byte)(unsafe.Pointer(p)) }

func gapSquares[F Float](x, y *F, n int, eps float64) float64 {
	if isFloat32[F]() {
		return gapSquaresF32AVX2(float32s(x), float32s(y), n, eps)
	}
	return gapSquaresF64AVX2(float64s(x), float64s(y), n, eps)
}

func gapScale[F Float](dst, x, y *F, n int, eps, a float64) {
	if isFloat32[F]() {
		gapScaleF32AVX2(float32s(dst), float32s(x), float32s(y), n, eps, a)
		return
	}
	gapScaleF64AVX2(float64s(dst), float64s(x), float64s(y), n, eps, a)
}

func gapScale2[F Float](dst, x, y, z *F, n int, eps, a, delta, b float64) {
	if isFloat32[F]() {
		gapScale2F32AVX2(float32s(dst), float32s(x), float32s(y), float32s(z), n, eps, a, delta, b)
		return
	}
	gapScale2F64AVX2(float64s(dst), float64s(x), float64s(y), float64s(z), n, eps, a, delta, b)
}

func products[F Float](x, y *F, n int) (xx, xy, yy float64) {
	if isFloat32[F]() {
		return productsF32AVX2(float32s(x), float32s(y), n)
	}
	return productsF64AVX2(float64s(x), float64s(y), n)
}

func combinedSquares[F Float](x, y *F, n int, a, b float64) float64 {
	if isFloat32[F]() {
		return combinedSquaresF32AVX2(float32s(x), float32s(y), n, a, b)
	}
	return combinedSquaresF64AVX2(float64s(x), float64s(y), n, a, b)
}

func combine[F Float](dst, x, y *F, n int, a, b float64) {
	if isFloat32[F]() {
		combineF32AVX2(float32s(dst), float32s(x), float32s(y), n, a, b)
		return
	}
	combineF64AVX2(float64s(dst), float64s(x), float64s(y), n, a, b)
}

func expTerms(dst, x *float32, n int) (sum float64, largest float32) {
	return expTermsF32AVX2(dst, x, n)
}

func expLess(dst, x *float32, n int, anchor float32) float64 {
	return expLessF32AVX2(dst, x, n, anchor)
}

func pairsBehind(lanes, u, weights, pull, products *float64, n int, v, weight float64) {
	pairsBehindF64AVX2(lanes, u, weights, pull, products, n, v, weight)
}

func pairsBefore(lanes, u, weights, x, pull, products *float64, n int, v, score, weight float64) {
	pairsBeforeF64AVX2(lanes, u, weights, x, pull, products, n, v, score, weight)
}

func addColumns(sums *float64, x *float32, n, stride int) { addColumnsF32AVX2(sums, x, n, stride) }

func scaleColumns(x *float32, c *float64, n int, f float64) { scaleColumnsF32AVX2(x, c, n, f) }

func quotients(dst, x *float64, n int, d float64) { quotientsF64AVX2(dst, x, n, d) }

func restQuotients(dst, x, y *float64, n int, a, d float64) { restQuotientsF64AVX2(dst, x, y, n, a, d) }

func othersOf[F Float](sums *float64, x *F, labels *int, cols, rows int) {
	if isFloat32[F]() {
		othersOfF32AVX2(sums, float32s(x), labels, cols, rows)
		return
	}
	othersOfF64AVX2(sums, float64s(x), labels, cols, rows)
}

func violations[F Float](sums *float64, dst, x *F, labels *int, own, factor *float64, cols, rows int, margin, a, b float64) {
	if isFloat32[F]() {
		violationsF32AVX2(sums, float32s(dst), float32s(x), labels, own, factor, cols, rows, margin, a, b)
		return
	}
	violationsF64AVX2(sums, float64s(dst), float64s(x), labels, own, factor, cols, rows, margin, a, b)
}

func productsOf[F Float](dst *F, e, d, numbers *float64, cols, rows int) {
	if isFloat32[F]() {
		productsOfF32AVX2(float32s(dst), e, d, numbers, cols, rows)
		return
	}
	productsOfF64AVX2(float64s(dst), e, d, numbers, cols, rows)
}

func keptLargest(sums, x, t *float64, cols, rows int) { keptLargestF64AVX2(sums, x, t, cols, rows) }

func gapsOf(sums, d, e, t, scale, from *float64, cols, rows int) {
	gapsOfF64AVX2(sums, d, e, t, scale, from, cols, rows)
}

// rowTerms calls the kernel of a loss of rows.
func rowTerms[F Float](l RowLoss, lanes *float64, dst, x, t *F, params, factors *float64, c *rowCall) {
	single := 0
	if isFloat32[F]() {
		single = 1
	}
	d, a, b := bytesOf(dst), bytesOf(x), bytesOf(t) // of either type
	switch l {
	case AbsoluteTerms:
		absoluteTermsF64AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
	case RootTerms:
		if single != 0 {
			rootTermsF32AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
			return
		}
		rootTermsF64AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
	case SquareTerms:
		squareTermsF64AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
	case PowerTerms:
		powerTermsF64AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
	case QuotientTerms:
		quotientTermsF64AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
	case LogTerms:
		logTermsF64AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
	case LogTargetTerms:
		logTargetTermsF64AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
	case MixedTerms:
		mixedTermsF64AVX2(lanes, d, a, b, params, factors, c.full, c.rest, c.rows, c.step, c.next, c.which, single)
	}
}

// rowLanes adds up the lanes of sums.
func rowLanes(sums, lanes *float64, bytes, twice, rows int) {
	rowLanesF64AVX2(sums, lanes, bytes, twice, rows)
}

func scaleRows[F Float](x, factors *F, full, rest, rows int) {
	if isFloat32[F]() {
		scaleRowsF32AVX2(float32s(x), float32s(factors), full, rest, rows)
		return
	}
	scaleRowsF64AVX2(float64s(x), float64s(factors), full, rest, rows)
}

func rowTotals[F Float](sums *float64, x *F, full, rest, rows int) {
	if isFloat32[F]() {
		rowTotalsF32AVX2(sums, float32s(x), full, rest, rows)
		return
	}
	rowTotalsF64AVX2(sums, float64s(x), full, rest, rows)
}
