package tensorops

import "math"

// A target is what a loss must know of a row's target t: whether it is one class, and its sums with
// the row.
type target struct {
	label int     // the only class that is not 0, where its weight is 1; else -1
	valid bool    // every weight is finite and >= 0
	mass  float64 // Σ t
	gap   float64 // Σ t·(max - x), max being the largest element of x
	own   float64 // Σ t·log t, where it was asked for
}

// oneHot returns the index of the only element of t that is not 0 if that is a 1, and -1 otherwise.
// Most other targets show with their first element that they are none.
func (k *kernels[F]) oneHot(t []F) int {
	if len(t) == 0 || t[0] != 0 && t[0] != 1 {
		return -1
	}
	y := k.index(t, 1)
	if y < 0 || !k.allZero(t[:y]) || !k.allZero(t[y+1:]) {
		return -1
	}
	return y
}

// allZero reports whether t is 0 throughout.
func (k *kernels[F]) allZero(t []F) bool {
	for lo := 0; lo < len(t); lo += blockLen {
		part := t[lo:min(lo+blockLen, len(t))]
		if sum, _, signs := k.targetSum(part, part, 0); sum != 0 || signs != 0 && !zeros(part) {
			return false
		}
	}
	return true
}

// zeros is allZero, one by one.
func zeros[F Float](t []F) bool {
	for _, v := range t {
		if v != 0 {
			return false
		}
	}
	return true
}

// target reads the target t of the row x, whose largest element is max: once, with own twice while
// it is in the nearest cache.
func (k *kernels[F]) target(t, x []F, max float64, own bool) target {
	s := target{label: -1, valid: true}
	for lo := 0; lo < len(t); lo += blockLen {
		hi := min(lo+blockLen, len(t))
		sum, gap, signs := k.targetSum(t[lo:hi], x[lo:hi], max)
		// -0 is a weight, and the sum of finite weights may be infinite.
		if (signs != 0 || sum-sum != 0) && !finiteWeights(t[lo:hi]) {
			s.valid = false
		}
		s.mass, s.gap = s.mass+sum, s.gap+gap
		if own {
			s.own += k.xlogx(t[lo:hi])
		}
	}
	return s
}

// validWeights reports whether every weight of t is finite and >= 0.
func (k *kernels[F]) validWeights(t []F) bool {
	s := k.target(t, t, 0, false)
	return s.valid
}

// finiteWeights is validWeights, one by one.
func finiteWeights[F Float](t []F) bool {
	for _, v := range t {
		if !(v >= 0 && v-v == 0) {
			return false
		}
	}
	return true
}

func (k *kernels[F]) softCrossEntropyRow(total *rowTotal, x, t []F, o *CrossEntropyOptions) (l float64, valid bool) {
	if y := k.oneHot(t); y >= 0 {
		return k.crossEntropyRow(total, x, y, o), true
	}
	if !o.plain() {
		return generalCrossEntropy(nil, x, t, -1, 0, o), k.validWeights(t)
	}
	k.rowTotal(total, x, forShares)
	s := k.target(t, x, total.max, false)
	if l, _, ok := k.softValue(total, &s, x, o.smoothing()); ok {
		return l, s.valid
	}
	return generalCrossEntropy(nil, x, t, -1, 0, o), s.valid
}

func (k *kernels[F]) softCrossEntropyGradRow(total *rowTotal, dst, x, t []F, g float64, o *CrossEntropyOptions, stream bool) (l float64, valid bool) {
	if y := k.oneHot(t); y >= 0 {
		return k.crossEntropyGradRow(total, dst, x, y, g, o, stream), true
	}
	if !o.plain() {
		valid = k.validWeights(t) // before dst, which may be t, is written
		return generalCrossEntropy(dst, x, t, -1, g, o), valid
	}
	eps := o.smoothing()
	kept := k.startSoft(total, dst, x, t, eps, stream)
	s := k.target(t, x, total.max, false)
	l, mass, ok := k.softValue(total, &s, x, eps)
	if !k.finishSoft(&kept, total, dst, x, t, mass, g, eps, stream) || !ok {
		return generalCrossEntropy(dst, x, t, -1, g, o), s.valid
	}
	return l, s.valid
}

// softValue returns the value for the total of x and what is known of the target, and Σ t'. ok is
// false for rows that need the general form.
func (k *kernels[F]) softValue(total *rowTotal, s *target, x []F, eps float64) (l, mass float64, ok bool) {
	if !ordinary(total.max) {
		return math.NaN(), 0, true
	}
	if total.beyondAnchors {
		return 0, 0, false
	}
	mass = (1 - eps) * s.mass
	known := (1 - eps) * s.gap
	if eps > 0 {
		all, count := k.gapSumRow(x, total.max)
		if int(count) != len(x) {
			return 0, 0, false
		}
		mass += eps
		known += eps * all / count
	}
	l = known + mass*(logOf(total.anchor, total.sum)-total.max)
	if k.accurate(total, len(x), mass, l) {
		return l, mass, true
	}
	var exact rowTotal
	k.totalInFloat64(&exact, x, forLogs)
	return known + mass*exact.logSum, mass, true
}

// startSoft is startShares for a gradient that finishSoft writes. dst may be t, which is read once
// more.
func (k *kernels[F]) startSoft(total *rowTotal, dst, x, t []F, eps float64, stream bool) (s storedRow[F]) {
	if eps > 0 || len(t) == 0 || &dst[0] == &t[0] {
		k.rowTotal(total, x, forShares)
		return s
	}
	return k.startShares(total, dst, x, stream)
}

// finishSoft writes g·(mass·softmax(x) - t'), t' being the target after smoothing by eps. It
// reports false, and has changed nothing but a dst that is neither x nor t, for rows and factors
// that the kernels are not made for.
func (k *kernels[F]) finishSoft(s *storedRow[F], total *rowTotal, dst, x, t []F, mass, g, eps float64, stream bool) bool {
	defer s.release()
	if !ordinary(total.max) {
		fill(dst, math.NaN())
		return true
	}
	f := g * mass / total.sum
	if s.buf == nil || !(math.Abs(f) >= 0x1p-100 && math.Abs(f) < 2) {
		// Terms below 2^minExponent were not kept; a factor of 2 would make them count.
		anchor, low, m, ok := scaling[F](total.anchor, f)
		if ok = ok && !total.beyondAnchors; ok {
			k.expScaleAdd(dst, x, t, anchor, low, F(m), F(-g*(1-eps)), F(-g*eps/float64(len(x))), stream)
		}
		return ok
	}
	minExponent, _ := exponents[F]()
	for b, lo := 0, 0; lo < len(x); b, lo = b+1, lo+blockLen {
		hi, part := min(lo+blockLen, len(x)), f
		if s.anchors != nil {
			part *= exp2(s.anchors[b] - total.anchor)
		}
		if part == 0 {
			clear(s.buf[lo:hi]) // the terms of a block of only -Inf are NaN
		}
		// what expScaleAdd would take for 0, as in scaleTerms
		low := exp2(minExponent - float64(int(math.Float64bits(part)>>52&0x7ff)-1023))
		k.scaleAdd(dst[lo:hi], s.buf[lo:hi], t[lo:hi], F(part), F(low), F(-g), stream)
	}
	return true
}

// klRow returns the divergence. With a dst it also writes g times the gradient by x, which is that
// of the cross-entropy.
func (k *kernels[F]) klRow(total *rowTotal, dst, x, t []F, g float64, stream bool) (kl float64, valid bool) {
	if y := k.oneHot(t); y >= 0 {
		if dst == nil {
			return k.crossEntropyRow(total, x, y, nil), true
		}
		return k.crossEntropyGradRow(total, dst, x, y, g, nil, stream), true
	}
	var kept storedRow[F]
	if dst != nil {
		kept = k.startSoft(total, dst, x, t, 0, stream)
	} else {
		k.rowTotal(total, x, forShares)
	}
	s := k.target(t, x, total.max, true)
	kl = k.divergence(total, &s, x, t)
	if dst != nil && !k.finishSoft(&kept, total, dst, x, t, s.mass, g, 0, stream) {
		generalCrossEntropy(dst, x, t, -1, g, nil)
	}
	return kl, s.valid
}

// logSoftmaxPullRow writes g - softmax(x)·Σg.
func (k *kernels[F]) logSoftmaxPullRow(total *rowTotal, dst, x, g []F, stream bool) {
	kept := k.startSoft(total, dst, x, g, 0, stream)
	sum, _ := k.targetSumRow(g, g, 0)
	if !k.finishSoft(&kept, total, dst, x, g, sum, -1, 0, stream) {
		generalCrossEntropy(dst, x, g, -1, -1, nil)
	}
}

// divergence returns Σ t·(log t - log p) for the total of x and the target's sums.
func (k *kernels[F]) divergence(total *rowTotal, s *target, x, t []F) float64 {
	if !ordinary(total.max) {
		return math.NaN()
	}
	if !total.beyondAnchors {
		cross := s.mass*(logOf(total.anchor, total.sum)-total.max) + s.gap
		// The entropy of t cancels in the difference: what is left must keep enough digits.
		if kl := s.own + cross; kl > 0.01*cross && k.accurate(total, len(x), s.mass, kl) {
			return kl
		}
	}
	buf := scratch(len(x))
	defer scratchRows.Put(buf)
	z := *buf
	for i, v := range x {
		z[i] = float64(v)
	}
	var exact rowTotal
	active[float64]().rowTotal(&exact, z, forLogs)
	kl := 0.0
	for i, v := range t {
		if v != 0 {
			kl += float64(v) * (math.Log(float64(v)) + ((exact.max - z[i]) + exact.logSum))
		}
	}
	return kl
}
