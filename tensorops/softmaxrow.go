package tensorops

import "math"

// writeShares writes dst[i] = factor·exp(x[i]) / (sum·2^anchor), the total being that of an
// ordinary row.
func (k *kernels[F]) writeShares(dst, x []F, t *rowTotal, factor float64, stream bool) {
	anchor, low, m, ok := scaling[F](t.anchor, factor/t.sum)
	if t.beyondAnchors || !ok {
		writeSharesSlow(dst, x, t, factor)
		return
	}
	k.expScale(dst, x, anchor, low, m, 0, stream)
}

// scaling returns f·2^-anchor as m·2^-newAnchor with 1 <= |m| < 4, and the low below which
// exp(x)·2^-newAnchor would not be a normal number of type F. What is dropped there is below
// 2^minExponent·|m|. ok is false for an f that is 0, denormal, infinite or NaN, or too large for
// type F.
func scaling[F Float](anchor, f float64) (newAnchor, low F, m float64, ok bool) {
	bits := math.Float64bits(f)
	e := int(bits >> 52 & 0x7ff)
	if e == 0 || e == 0x7ff {
		return 0, 0, 0, false
	}
	minExponent, maxExponent := exponents[F]()
	power := float64(e - 1023)
	mantissa := math.Float64frombits(bits&^(0x7ff<<52) | 1023<<52)
	if power > maxExponent {
		return 0, 0, 0, false // an entry of the table times 4 would be no number any more
	}
	anchor -= power
	return F(anchor), atLeast[F]((anchor + minExponent) * math.Ln2), mantissa, true
}

// writeSharesSlow is writeShares for what the kernels are not made for: elements beyond the
// anchors, and factors that are 0, infinite or NaN.
func writeSharesSlow[F Float](dst, x []F, t *rowTotal, factor float64) {
	for i, v := range x {
		var e float64
		if t.beyondAnchors {
			e = math.Exp(float64(v) - t.max)
		} else {
			e = expAnchored(float64(v), t.anchor)
		}
		dst[i] = F(e / t.sum * factor)
	}
}

func fill[F Float](dst []F, v float64) {
	f := F(v)
	for i := range dst {
		dst[i] = f
	}
}

func (k *kernels[F]) softmaxRow(t *rowTotal, dst, x []F, stream bool) {
	s := k.startShares(t, dst, x, stream)
	k.finishShares(&s, t, dst, x, 1, stream)
}

func (k *kernels[F]) logSoftmaxRow(t *rowTotal, dst, x []F, stream bool) {
	k.rowTotal(t, x, forLogs)
	if !ordinary(t.max) {
		fill(dst, math.NaN())
		return
	}
	k.shift(dst, x, F(t.max), t.logSum, stream)
}

func (k *kernels[F]) logSumExpRow(t *rowTotal, x []F) F {
	k.rowTotal(t, x, forTotal)
	return F(t.total)
}

// logSumExpGradRow writes g·softmax(x): NaN at the +Inf of a row that has one and 0 beside it.
func (k *kernels[F]) logSumExpGradRow(t *rowTotal, dst, x []F, g float64, stream bool) {
	s := k.startShares(t, dst, x, stream)
	if !math.IsInf(t.max, 1) {
		k.finishShares(&s, t, dst, x, g, stream)
		return
	}
	s.release()
	for i, v := range x {
		dst[i] = 0
		if math.IsInf(float64(v), 1) {
			dst[i] = F(math.NaN())
		}
	}
}

// softmaxGradRow writes y∘(g - ⟨g, y⟩), y being a softmax.
func (k *kernels[F]) softmaxGradRow(dst, y, g []F) {
	_, minusDot := k.targetSumRow(g, y, 0)
	k.mulShift(dst, y, g, minusDot)
}

// logSoftmaxGradRow writes g - exp(y)·Σg, y being a log-softmax.
func (k *kernels[F]) logSoftmaxGradRow(dst, y, g []F, stream bool) {
	sum, _ := k.targetSumRow(g, g, 0)
	anchor, low, m, ok := scaling[F](0, -sum)
	if !ok || !(y[0] <= 0) {
		for i, v := range y {
			dst[i] = F(float64(g[i]) - math.Exp(float64(v))*sum)
		}
		return
	}
	k.expScaleAdd(dst, y, g, anchor, low, F(m), 1, 0, stream)
}
