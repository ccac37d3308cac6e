package tensorops

import "math"

// writeShares writes dst[i] = factor·exp(x[i]) / (sum·2^anchor), the total being that of an ordinary row.
func (k *kernels[F]) writeShares(dst, x []F, t rowTotal, factor float64, stream bool) {
	f := factor / t.sum
	if t.huge || f == 0 || math.IsInf(f, 0) || f != f {
		writeSharesSlow(dst, x, t, factor)
		return
	}
	// f = m·2^e with 1 <= |m| < 2. The power goes into the anchor, so that the factor is a normal number of
	// type F, and what comes out below 2^minExponent·|m| is 0.
	m, e := math.Frexp(f)
	m, e = 2*m, e-1
	minExponent, maxExponent := exponents[F]()
	power := min(float64(e), maxExponent)
	m *= exp2(float64(e) - power)
	anchor := t.anchor - power
	k.expScale(dst, x, F(anchor), lowest[F]((anchor+minExponent)*math.Ln2), F(m), stream)
}

// writeSharesSlow is writeShares for what the kernels are not made for: elements beyond the anchors, and factors
// that are 0, infinite or NaN.
func writeSharesSlow[F Float](dst, x []F, t rowTotal, factor float64) {
	for i, v := range x {
		var e float64
		if t.huge {
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

func (k *kernels[F]) softmaxRow(dst, x []F, stream bool) {
	t := k.rowTotal(x, forShares)
	if !ordinary(t.max) {
		fill(dst, math.NaN())
		return
	}
	k.writeShares(dst, x, t, 1, stream)
}

func (k *kernels[F]) logSoftmaxRow(dst, x []F, stream bool) {
	t := k.rowTotal(x, forLogs)
	if !ordinary(t.max) {
		fill(dst, math.NaN())
		return
	}
	k.shift(dst, x, F(t.max), t.logSum, stream)
}

func (k *kernels[F]) logSumExpRow(x []F) F {
	if len(x) == 0 {
		return F(math.Inf(-1))
	}
	t := k.rowTotal(x, forTotal)
	if !ordinary(t.max) {
		return F(t.max)
	}
	return F(t.max + t.logSum)
}

// logSumExpGradRow writes g·softmax(x): NaN at the +Inf of a row that has one and 0 beside it.
func (k *kernels[F]) logSumExpGradRow(dst, x []F, g float64, stream bool) {
	t := k.rowTotal(x, forShares)
	switch {
	case math.IsInf(t.max, 1):
		for i, v := range x {
			dst[i] = 0
			if math.IsInf(float64(v), 1) {
				dst[i] = F(math.NaN())
			}
		}
	case !ordinary(t.max):
		fill(dst, math.NaN())
	default:
		k.writeShares(dst, x, t, g, stream)
	}
}

// softmaxGradRow writes y∘(g - ⟨g, y⟩), y being a softmax.
func (k *kernels[F]) softmaxGradRow(dst, y, g []F) {
	dot := 0.0
	for i, v := range y {
		dot += float64(v) * float64(g[i])
	}
	for i, v := range y {
		dst[i] = F(float64(v) * (float64(g[i]) - dot))
	}
}

// logSoftmaxGradRow writes g - exp(y)·Σg, y being a log-softmax.
func (k *kernels[F]) logSoftmaxGradRow(dst, y, g []F) {
	sum := 0.0
	for _, v := range g {
		sum += float64(v)
	}
	for i, v := range y {
		dst[i] = F(float64(g[i]) - math.Exp(float64(v))*sum)
	}
}
