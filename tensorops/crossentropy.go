package tensorops

import "math"

// CrossEntropyOptions change the cross-entropy of a row. nil, and the zero value, change nothing.
//
// With p = softmax(Scale·x), w the class weights and t' the target after smoothing,
//
//	l = Σ_c w_c t'_c (-log p_c)        dl/dx_j = Scale·((Σ_c w_c t'_c)·p_j - w_j t'_j)
//	t' = (1-ε)·t + ε/K on the K classes that are not masked, that is not -Inf; 0 on the others
//
// A class with w_c t'_c = 0 adds 0, also where its -log p is +Inf.
type CrossEntropyOptions struct {
	Smoothing float64   // ε, 0 to 1, default 0
	Weights   []float64 // w, one for each class; nil stands for all 1
	Scale     float64   // factor on the logits, the inverse of a temperature; 0 stands for 1
}

const errLabel = "tensorops: label out of range"

// plain reports whether no option but smoothing is set.
func (o *CrossEntropyOptions) plain() bool {
	return o == nil || o.Weights == nil && (o.Scale == 0 || o.Scale == 1)
}

func (o *CrossEntropyOptions) smoothing() float64 {
	if o == nil {
		return 0
	}
	return o.Smoothing
}

func (o *CrossEntropyOptions) check(cols int) {
	if o != nil && o.Weights != nil && len(o.Weights) != cols {
		panic(errLength)
	}
}

// CrossEntropyRow returns the cross-entropy of the logits x against a class label: -log
// softmax(x)[label] without options. It keeps its relative accuracy where that probability is near
// 1, is +Inf for a label whose logit is -Inf, and NaN for a row with a NaN, a +Inf or nothing but
// -Inf.
//
// It panics with "tensorops: label out of range", and with "tensorops: length mismatch" for class
// weights of another length than x.
func CrossEntropyRow[F Float](x []F, label int, o *CrossEntropyOptions) float64 {
	o.check(len(x))
	if uint(label) >= uint(len(x)) {
		panic(errLabel)
	}
	return active[F]().crossEntropyRow(new(rowTotal), x, label, o)
}

// CrossEntropyGradRow writes g times the gradient of [CrossEntropyRow] to dst and returns the
// value, from one reading of x where the row fits into the cache. dst may be x and must not overlap
// it otherwise.
//
// Without options dst = g·(softmax(x) - onehot); the label's element is -g·Σ of the other
// probabilities, which keeps its relative accuracy. It panics as CrossEntropyRow does.
func CrossEntropyGradRow[F Float](dst, x []F, label int, g float64, o *CrossEntropyOptions) float64 {
	o.check(len(x))
	mustLen(dst, len(x))
	if uint(label) >= uint(len(x)) {
		panic(errLabel)
	}
	return active[F]().crossEntropyGradRow(new(rowTotal), dst, x, label, g, o, false)
}

// SoftCrossEntropyRow returns the cross-entropy of the logits x against the target t, which has one
// weight >= 0 for each class. A target of one 1 and zeros gives the number of [CrossEntropyRow], to
// the bit. It panics with "tensorops: length mismatch".
func SoftCrossEntropyRow[F Float](x, t []F, o *CrossEntropyOptions) float64 {
	o.check(len(x))
	mustLen(t, len(x))
	l, _ := active[F]().softCrossEntropyRow(new(rowTotal), x, t, o)
	return l
}

// SoftCrossEntropyGradRow writes g times the gradient of [SoftCrossEntropyRow] by x to dst and
// returns the value. dst may be x or t and must not overlap them otherwise. It panics with
// "tensorops: length mismatch".
func SoftCrossEntropyGradRow[F Float](dst, x, t []F, g float64, o *CrossEntropyOptions) float64 {
	o.check(len(x))
	mustLen(t, len(x))
	mustLen(dst, len(x))
	l, _ := active[F]().softCrossEntropyGradRow(new(rowTotal), dst, x, t, g, o, false)
	return l
}

func (k *kernels[F]) crossEntropyRow(t *rowTotal, x []F, y int, o *CrossEntropyOptions) float64 {
	eps := o.smoothing()
	if !o.plain() {
		return generalCrossEntropy(nil, x, nil, y, 0, o)
	}
	k.rowTotal(t, x, forShares)
	l := k.labelLoss(t, x, y)
	if eps == 0 {
		return l
	}
	if l, ok := k.smoothed(x, t, l, eps); ok {
		return l
	}
	return generalCrossEntropy(nil, x, nil, y, 0, o)
}

// smoothed returns the smoothed value for the total t and the value l without smoothing. ok is
// false for a row with masked classes, and where the total is not accurate enough.
func (k *kernels[F]) smoothed(x []F, t *rowTotal, l, eps float64) (smooth float64, ok bool) {
	if !ordinary(t.max) {
		return math.NaN(), true
	}
	if t.beyondAnchors || math.IsInf(l, 0) {
		return 0, false
	}
	gap, count := k.gapSumRow(x, t.max)
	if int(count) != len(x) {
		return 0, false
	}
	smooth = (1-eps)*l + eps*(logOf(t.anchor, t.sum)-t.max+gap/count)
	return smooth, k.accurate(t, len(x), eps, smooth)
}

// accurate reports whether a multiple of the logarithm of the sum of t, a row of n elements, keeps
// enough digits in l.
func (k *kernels[F]) accurate(t *rowTotal, n int, factor, l float64) bool {
	if t.err == 0 {
		return l > max(1, factor)*k.smallRest()*max(1, math.Abs(t.max))
	}
	admitted := lossTolerance * ulp[F](l)
	if l > 0 && t.err*factor > admitted {
		k.refineError(t, n)
	}
	return l > 0 && t.err*factor <= admitted
}

func (k *kernels[F]) gapSumRow(x []F, c float64) (gap, count float64) {
	for lo := 0; lo < len(x); lo += blockLen {
		g, n := k.gapSum(x[lo:min(lo+blockLen, len(x))], c)
		gap, count = gap+g, count+n
	}
	return gap, count
}

// targetSumRow is targetSum of a whole row.
func (k *kernels[F]) targetSumRow(t, x []F, c float64) (sum, gap float64) {
	for lo := 0; lo < len(x); lo += blockLen {
		hi := min(lo+blockLen, len(x))
		s, g, _ := k.targetSum(t[lo:hi], x[lo:hi], c)
		sum, gap = sum+s, gap+g
	}
	return sum, gap
}

func (k *kernels[F]) crossEntropyGradRow(t *rowTotal, dst, x []F, y int, g float64, o *CrossEntropyOptions, stream bool) float64 {
	eps := o.smoothing()
	if !o.plain() {
		return generalCrossEntropy(dst, x, nil, y, g, o)
	}
	if eps == 0 {
		s := k.startShares(t, dst, x, stream)
		l := k.labelLoss(t, x, y)
		k.finishShares(&s, t, dst, x, g, stream)
		if l == l {
			dst[y] = F(g * expm1(-l))
		}
		return l
	}
	k.rowTotal(t, x, forShares)
	l := k.labelLoss(t, x, y)
	if !ordinary(t.max) {
		fill(dst, math.NaN())
		return l
	}
	smooth, ok := k.smoothed(x, t, l, eps)
	anchor, low, m, scaled := scaling[F](t.anchor, g/t.sum)
	if !ok || !scaled {
		return generalCrossEntropy(dst, x, nil, y, g, o)
	}
	share := eps / float64(len(x))
	k.expScale(dst, x, anchor, low, m, F(-g*share), stream)
	dst[y] = F(g * (expm1(-l) + (eps - share)))
	return smooth
}
