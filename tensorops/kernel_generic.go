package tensorops

import "math"

// The generic kernels: plain Go, every term in float64, one rounding at the end. They run wherever
// no assembly does, and they are what the assembly is tested against.
var (
	generic32 = genericKernels[float32]()
	generic64 = genericKernels[float64]()
)

func genericKernels[F Float]() kernels[F] {
	return kernels[F]{
		name:        "generic",
		expSum:      expSumGeneric[F],
		expSumLong:  expSumGeneric[F],
		scale:       scaleGeneric[F],
		fence:       func() {},
		expSumWide:  expSumGeneric[F],
		expScale:    expScaleGeneric[F],
		expScaleAdd: expScaleAddGeneric[F],
		shift:       shiftGeneric[F],
		mulShift:    mulShiftGeneric[F],
		targetSum:   targetSumGeneric[F],
		scaleAdd:    scaleAddGeneric[F],
		gapSum:      gapSumGeneric[F],
		xlogx:       xlogxGeneric[F],
		logGap:      logGapGeneric[F],
		expGap:      expGapGeneric[F],
		expScaleGap: expScaleGapGeneric[F],
		index:       indexGeneric[F],
	}
}

// ln2Hi + ln2Lo = ln 2 to 92 bits; ln2Hi has 36 bits, so n·ln2Hi is exact for |n| < 2^17.
const (
	ln2Hi = 0x1.62e42fefap-1
	ln2Lo = 0x1.cf79abc9e3b3ap-40
)

// expCoefs are c2 to c11 of the polynomial 1 + r + Σ c_i r^i that is within 2^-57.9 of exp(r),
// relative, for |r| <= ln 2 / 2: a minimax fit with the first two coefficients held at 1.
var expCoefs = [...]float64{
	0.5000000000000011, 0.1666666666666641, 0.041666666666529725, 0.008333333333494976, 0.0013888888943759984,
	0.00019841269505773806, 2.480149294961707e-05, 2.755758680384707e-06, 2.7630306255647857e-07, 2.500001885308334e-08,
}

// expAnchored returns exp(x)·2^-anchor for an integer anchor and |x| <= anchorLimit or x = -Inf.
// The argument is reduced by an exact multiple of ln 2, so the result is good to less than one unit
// in the last place however large x is; [math.Exp] has twice that error.
func expAnchored(x, anchor float64) float64 {
	if x < (anchor-1074)*math.Ln2 {
		return 0
	}
	n := math.RoundToEven(x * math.Log2E)
	r := (x - n*ln2Hi) - n*ln2Lo
	q := expCoefs[9]
	for i := 8; i >= 0; i-- {
		q = q*r + expCoefs[i]
	}
	return (1 + (r + r*r*q)) * exp2(n-anchor)
}

// exp2 returns 2^k for an integer k: 0 and +Inf outside the range of normal numbers.
func exp2(k float64) float64 {
	switch {
	case k < -1022:
		return 0
	case k > 1023:
		return math.Inf(1)
	}
	return math.Float64frombits(uint64(1023+int64(k)) << 52)
}

// anchorOf returns the integer nearest to m·log2 e.
func anchorOf(m float64) float64 { return math.RoundToEven(m * math.Log2E) }

func expSumGeneric[F Float](x []F, _ float64) (max F, anchor, sum float64) {
	max = F(math.Inf(-1))
	for _, v := range x {
		if v > max {
			max = v
		}
	}
	if !withinBlocks(float64(max)) {
		return max, 0, 0
	}
	anchor = anchorOf(float64(max))
	lost := 0.0 // Kahan's compensation: one rounding error for the whole sum
	for _, v := range x {
		e := expAnchored(float64(v), anchor) - lost
		t := sum + e
		lost = (t - sum) - e
		sum = t
	}
	return max, anchor, sum
}

func scaleGeneric[F Float](dst, src []F, factor, low F, _ bool) {
	for i, v := range src {
		if v < low {
			dst[i] = 0
			continue
		}
		dst[i] = v * factor
	}
}

func expScaleGeneric[F Float](dst, x []F, anchor, low F, f float64, add F, _ bool) {
	a, c := float64(anchor), float64(add)
	for i, v := range x {
		e := 0.0
		if !(v < low) {
			e = expAnchored(float64(v), a) * f
		}
		dst[i] = F(e + c)
	}
}

func expScaleAddGeneric[F Float](dst, x, t []F, anchor, low, factor, a, b F, _ bool) {
	n, f := float64(anchor), float64(factor)
	for i, v := range x {
		e := 0.0
		if !(v < low) {
			e = expAnchored(float64(v), n) * f
		}
		dst[i] = F(e + (float64(a)*float64(t[i]) + float64(b)))
	}
}

func mulShiftGeneric[F Float](dst, x, t []F, c float64) {
	for i, v := range x {
		dst[i] = F(float64(v) * (float64(t[i]) + c))
	}
}

func targetSumGeneric[F Float](t, x []F, c float64) (sum, gap float64, signs int) {
	for i, v := range t {
		if v != 0 {
			sum += float64(v)
			gap += float64(v) * (c - float64(x[i]))
		}
		if math.Signbit(float64(v)) {
			signs = 1
		}
	}
	return sum, gap, signs
}

func scaleAddGeneric[F Float](dst, src, t []F, factor, low, a F, _ bool) {
	for i, v := range src {
		e := 0.0
		if !(v < low) {
			e = float64(v) * float64(factor)
		}
		dst[i] = F(e + float64(a)*float64(t[i]))
	}
}

func gapSumGeneric[F Float](x []F, c float64) (gap, count float64) {
	for _, v := range x {
		if !math.IsInf(float64(v), -1) {
			gap += c - float64(v)
			count++
		}
	}
	return gap, count
}

func shiftGeneric[F Float](dst, x []F, a F, b float64, _ bool) {
	for i, v := range x {
		dst[i] = F((float64(v) - float64(a)) - b)
	}
}

func indexGeneric[F Float](x []F, v F) int {
	for i, w := range x {
		if w == v {
			return i
		}
	}
	return -1
}
