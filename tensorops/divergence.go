package tensorops

import "math"

// KLRow returns the Kullback-Leibler divergence of softmax(x) from the distribution t,
//
//	Σ_c t_c·(log t_c - log softmax(x)_c)        d/dx_j = (Σ t)·p_j - t_j        d/dt_j = log t_j + 1 - log p_j
//
// where 0·log 0 = 0. t has one weight >= 0 for each class. A class with t > 0 and a logit of -Inf
// makes it +Inf; a row with a NaN, a +Inf or nothing but -Inf is NaN. It panics with "tensorops:
// length mismatch".
//
// The gradient by x is that of [SoftCrossEntropyRow]; [KLGradRow] returns it with the value.
func KLRow[F Float](x, t []F) float64 {
	mustLen(t, len(x))
	kl, _ := active[F]().klRow(new(rowTotal), nil, x, t, 0, false)
	return kl
}

// KLGradRow writes g times the gradient of [KLRow] by x to dst and returns the value. dst may be x
// or t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func KLGradRow[F Float](dst, x, t []F, g float64) float64 {
	mustLen(t, len(x))
	mustLen(dst, len(x))
	kl, _ := active[F]().klRow(new(rowTotal), dst, x, t, g, false)
	return kl
}

// KLTargetGradRow writes g times the gradient of [KLRow] by the target, log t + 1 - log softmax(x),
// and 0 where t = 0. dst may be x or t and must not overlap them otherwise. It panics with
// "tensorops: length mismatch".
func KLTargetGradRow[F Float](dst, x, t []F, g float64) {
	mustLen(t, len(x))
	mustLen(dst, len(x))
	active[F]().klTargetGradRow(dst, x, t, g, false)
}

// EntropyRow returns the entropy of softmax(x) in nats,
//
//	H = -Σ p_c·log p_c        dH/dx_j = -p_j·(log p_j + H)
//
// A class with a logit of -Inf adds 0. A row with a NaN, a +Inf or nothing but -Inf is NaN.
func EntropyRow[F Float](x []F) float64 {
	_, h := active[F]().entropy(x)
	return h
}

// EntropyGradRow writes g times the gradient of [EntropyRow] to dst and returns the value. dst may
// be x and must not overlap it otherwise. It panics with "tensorops: length mismatch".
func EntropyGradRow[F Float](dst, x []F, g float64) float64 {
	mustLen(dst, len(x))
	return active[F]().entropyGradRow(dst, x, g, false)
}

// KLRows writes [KLRow] of each row of x and t to values. Where g is not nil, a row with a g of 0
// is not read and its value is 0. It reports whether every weight that it read is finite and >= 0;
// where one is not, its row's value means nothing. It panics with "tensorops: length mismatch".
func KLRows[F Float](values []float64, x, t []F, cols int, g []float64) (valid bool) {
	rows := countRows(x, cols)
	mustLen(t, len(x))
	mustLen(values, rows)
	if g != nil {
		mustLen(g, rows)
	}
	return runRows(rowJob[F]{op: opKL, x: x, g: t, cols: cols, values: values, scale: g}, rows)
}

// KLGradRows writes [KLGradRow] of each row of x and t with its factor g[i] to the row of dst, and
// the value to values, which may be nil. A row with a g of 0 is not read: its gradient row and
// value are 0. It reports what [KLRows] does. dst may be x or t and must not overlap them
// otherwise. It panics with "tensorops: length mismatch".
func KLGradRows[F Float](values []float64, dst, x, t []F, cols int, g []float64) (valid bool) {
	rows := countRows(x, cols)
	mustLen(t, len(x))
	mustLen(dst, len(x))
	mustLen(g, rows)
	if values != nil {
		mustLen(values, rows)
	}
	return runRows(rowJob[F]{op: opKLGrad, dst: dst, x: x, g: t, cols: cols, values: values, scale: g}, rows)
}

// KLTargetGradRows writes [KLTargetGradRow] of each row with its factor g[i] to the row of dst. A
// row with a g of 0 is not read: its gradient row is 0. It panics with "tensorops: length
// mismatch".
func KLTargetGradRows[F Float](dst, x, t []F, cols int, g []float64) {
	rows := countRows(x, cols)
	mustLen(t, len(x))
	mustLen(dst, len(x))
	mustLen(g, rows)
	runRows(rowJob[F]{op: opKLTargetGrad, dst: dst, x: x, g: t, cols: cols, scale: g}, rows)
}

// EntropyRows writes [EntropyRow] of each row of x to values. Where g is not nil, a row with a g of
// 0 is not read and its value is 0. It panics with "tensorops: length mismatch".
func EntropyRows[F Float](values []float64, x []F, cols int, g []float64) {
	rows := countRows(x, cols)
	mustLen(values, rows)
	if g != nil {
		mustLen(g, rows)
	}
	runRows(rowJob[F]{op: opEntropy, x: x, cols: cols, values: values, scale: g}, rows)
}

// EntropyGradRows writes [EntropyGradRow] of each row of x with its factor g[i] to the row of dst,
// and the value to values, which may be nil. A row with a g of 0 is not read: its gradient row and
// value are 0. It panics with "tensorops: length mismatch".
func EntropyGradRows[F Float](values []float64, dst, x []F, cols int, g []float64) {
	rows := countRows(x, cols)
	mustLen(dst, len(x))
	mustLen(g, rows)
	if values != nil {
		mustLen(values, rows)
	}
	runRows(rowJob[F]{op: opEntropyGrad, dst: dst, x: x, cols: cols, values: values, scale: g}, rows)
}

func (k *kernels[F]) klTargetGradRow(dst, x, t []F, g float64, stream bool) {
	var total rowTotal
	k.totalInFloat64(&total, x, forLogs) // log t and log p cancel near the minimum
	if !ordinary(total.max) {
		fill(dst, math.NaN())
		return
	}
	if total.beyondAnchors {
		// beside such a maximum logSum + 1 would be lost
		for i, q := range t {
			d := 0.0
			if q != 0 {
				d = g * (math.Log(float64(q)) + 1 + total.logSum + (total.max - float64(x[i])))
			}
			dst[i] = F(d)
		}
		return
	}
	k.logGap(dst, t, x, total.max+total.logSum+1, g, stream)
}

// entropy returns the total of x, with logSum, and the entropy: logSum + Σ p·(max - x), both terms
// >= 0.
func (k *kernels[F]) entropy(x []F) (t rowTotal, h float64) {
	k.rowTotal(&t, x, forShares)
	if !ordinary(t.max) {
		return t, math.NaN()
	}
	t.logSum = logOf(t.anchor, t.sum) - t.max
	h = t.logSum + k.meanGap(x, &t)
	// What is wrong with the sum enters twice: by its logarithm and as the divisor of the gaps.
	if !t.beyondAnchors && k.accurate(&t, len(x), 1+h, h) {
		return t, h
	}
	k.totalInFloat64(&t, x, forLogs)
	return t, t.logSum + k.meanGap(x, &t)
}

// meanGap returns Σ p·(max - x).
func (k *kernels[F]) meanGap(x []F, t *rowTotal) float64 {
	sum := 0.0
	if t.beyondAnchors {
		for _, v := range x {
			if gap := t.max - float64(v); gap < 1000 {
				sum += math.Exp(-gap) * gap
			}
		}
		return sum / t.sum
	}
	low := (t.anchor - 1021) * math.Ln2
	for lo := 0; lo < len(x); lo += blockLen {
		sum += k.expGap(x[lo:min(lo+blockLen, len(x))], t.anchor, low, t.max)
	}
	return sum / t.sum
}

func (k *kernels[F]) entropyGradRow(dst, x []F, g float64, stream bool) float64 {
	t, h := k.entropy(x)
	switch {
	case !ordinary(t.max):
		fill(dst, math.NaN())
	case t.beyondAnchors:
		for i, v := range x {
			e := 0.0
			if gap := t.max - float64(v); gap < 1000 {
				e = math.Exp(-gap) / t.sum * ((gap + t.logSum) - h)
			}
			dst[i] = F(e * g)
		}
	default:
		if anchor, low, m, ok := scaling[F](t.anchor, g/t.sum); ok {
			k.expScaleGap(dst, x, float64(anchor), float64(low), m, t.max, t.logSum-h, stream)
			break
		}
		expScaleGapGeneric(dst, x, t.anchor, (t.anchor-1021)*math.Ln2, g/t.sum, t.max, t.logSum-h, false)
	}
	return h
}
