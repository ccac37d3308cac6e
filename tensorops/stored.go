package tensorops

import "math"

// startShares sets t to the total of x, for shares. For rows of one block it leaves the terms of the sum in dst,
// so that they need not be computed again, and returns true. finishShares must follow, before x or dst change.
//
// Longer rows, and results that are written past the caches, are quicker with the terms computed twice.
func (k *kernels[F]) startShares(t *rowTotal, dst, x []F, stream bool) (kept bool) {
	if k.expSumStore == nil || stream || len(x) <= wideLen || len(x) > blockLen || &dst[0] == &x[0] {
		k.rowTotal(t, x, forShares)
		return false
	}
	m, anchor, sum := k.expSumStore(dst, x)
	if max := float64(m); withinAnchors(max) && sum == sum {
		*t = rowTotal{max: max, anchor: anchor, sum: sum}
		return true
	}
	k.rowTotal(t, x, forShares)
	return false
}

// finishShares writes factor·exp(x)/Σ exp to dst: NaN for a row that is not ordinary.
func (k *kernels[F]) finishShares(kept bool, t *rowTotal, dst, x []F, factor float64, stream bool) {
	f := factor / t.sum
	switch {
	case !ordinary(t.max):
		fill(dst, math.NaN())
	case !kept || !(math.Abs(f) >= 0x1p-100 && math.Abs(f) < 2):
		// Terms below 2^minExponent were not kept; a factor of 2 would make them count.
		k.writeShares(dst, x, t, factor, stream)
	default:
		k.scaleTerms(dst, f)
	}
}

// scaleTerms multiplies dst by f; what writeShares would write as 0, below 2^minExponent times the mantissa of f,
// becomes 0.
func (k *kernels[F]) scaleTerms(dst []F, f float64) {
	minExponent, _ := exponents[F]()
	low := exp2(minExponent - float64(int(math.Float64bits(f)>>52&0x7ff)-1023))
	k.scale(dst, dst, F(f), F(low))
}
