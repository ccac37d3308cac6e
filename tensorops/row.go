package tensorops

import "math"

// rowTotal is what the exponentials of one row come down to.
type rowTotal struct {
	max    float64 // largest element; NaN or ±Inf where the row is not ordinary
	anchor float64 // Σ exp(x) = sum·2^anchor; for a huge row sum·exp(max)
	sum    float64
	huge   bool

	total  float64 // log Σ exp(x), set for forTotal
	logSum float64 // total - max, that is -log of the largest element's share, set for forLogs
}

// precision says what a total is needed for.
type precision int

const (
	forShares precision = iota // sum, to the relative accuracy of F
	forTotal                   // total, to a fraction of a unit in its last place
	forLogs                    // logSum, to a fraction of a unit in its last place, also near 0
)

// ordinary says that a row with this largest element holds no NaN, no +Inf and not only -Inf.
func ordinary(max float64) bool { return max-max == 0 }

// wideLen is the number of elements up to which float32 rows are summed in float64 from the start: the rounding
// errors of so few terms do not average out, and the time is about the same.
const wideLen = 64

// rowTotal sets t to the total of the row x. float32 rows are summed by the fast kernel first; where the bound on
// its error is not small enough for what is asked, the row is summed again in float64.
func (k *kernels[F]) rowTotal(t *rowTotal, x []F, p precision) {
	wide := len(x) <= wideLen || k.termErr == 0
	if len(x) <= blockLen {
		var m F
		if wide {
			m, t.anchor, t.sum = k.expSumWide(x)
		} else {
			m, t.anchor, t.sum = k.expSum(x)
		}
		t.max = float64(m)
		if withinAnchors(t.max) && t.sum == t.sum {
			if k.finish(t, p, wide) || p == forTotal && !wide && k.correctTop(x, t) {
				return
			}
			wide = true
		}
	}
	if !k.longTotal(t, x, p, wide) {
		k.longTotal(t, x, p, true)
	}
}

// correctTop replaces the largest element's term, which the fast kernel rounded, by its exact value, and reports
// whether the error of the total is small enough now. It is made for rows of one block.
func (k *kernels[F]) correctTop(x []F, t *rowTotal) bool {
	at := k.index(x, F(t.max))
	_, _, rounded := k.expSum(x[at : at+1])
	top := expAnchored(t.max, t.anchor)
	t.sum += top - rounded
	t.total = logOf(t.anchor, t.sum)
	share := top / t.sum
	others := k.termErr * k.termErr * min(share, 1-share) * (1 - share)
	return math.Sqrt(others+addErr32*addErr32*share*share)+termBias <= 0.09*ulp[F](t.total)
}

// addErr32 is the rounding error of the one float32 addition that a term goes through.
const addErr32 = 0x1p-24

func withinAnchors(max float64) bool { return max >= -anchorLimit && max <= anchorLimit }

// finish takes what is asked from the sum, and reports whether the sum's error admits that.
func (k *kernels[F]) finish(t *rowTotal, p precision, wide bool) bool {
	switch p {
	case forTotal:
		t.total = logOf(t.anchor, t.sum)
		if wide {
			return math.Abs(t.total) >= smallTotal
		}
		return k.sumErr(maxTop/t.sum) <= 0.09*ulp[F](t.total)
	case forLogs:
		top := expAnchored(t.max, t.anchor)
		rest := t.sum/top - 1
		if rest > 1 {
			t.logSum = math.Log(t.sum / top)
		} else if rest > 0 {
			t.logSum = math.Log1p(rest)
		}
		if wide {
			return rest > k.smallRest()
		}
		return k.sumErr(top/t.sum) <= logsTolerance*ulp[F](t.logSum)
	}
	return true
}

// logsTolerance is the error of logSum that is admitted, in units of its last place. Roundings add half a unit, or
// one and a half for elements other than the largest; the bound that is held against it is seldom reached.
const logsTolerance = 1.2

// logOf returns log(sum·2^anchor).
func logOf(anchor, sum float64) float64 { return anchor*ln2Hi + (anchor*ln2Lo + math.Log(sum)) }

// maxTop bounds the largest element's term: exp(m)·2^-anchor(m) <= 2^(1/2).
const maxTop = 1.4143

// smallTotal is the magnitude below which a total is computed from logSum: the terms that cancel in it have
// errors of 2^-39 (float32) or 2^-53 (float64).
const smallTotal = 1e-2

// smallRest is the size of the rest beside the largest term below which it is not taken as a difference.
func (k *kernels[F]) smallRest() float64 {
	if isFloat32[F]() {
		return 1e-3
	}
	return 1e-2
}

// longTotal is rowTotal for any row. It reports false where the error of float32 sums is too large.
func (k *kernels[F]) longTotal(t *rowTotal, x []F, p precision, wide bool) bool {
	s := k.sumRow(x, wide)
	*t = rowTotal{max: s.max}
	if !ordinary(s.max) {
		t.total, t.logSum = s.max, math.NaN()
		return true
	}
	if s.huge() {
		rest := hugeSum(x, s.max, k.index(x, F(s.max)))
		t.huge, t.sum, t.logSum = true, 1+rest, math.Log1p(rest)
		t.total = s.max + t.logSum
		return true
	}
	t.anchor, t.sum = s.total()
	if k.finish(t, p, wide) {
		return true
	}
	top := expAnchored(s.max, t.anchor)
	if !wide && top < 0.5*t.sum {
		return false
	}
	// The largest element is taken out of the sum, so that its rounding does not swallow the rest.
	t.logSum = math.Log1p(k.restOfTop(x, &s) * exp2(s.topAnchor-t.anchor) / top)
	t.total = s.max + t.logSum
	if wide {
		return true
	}
	err := k.sumErr(1) * s.others * exp2(s.anchor-t.anchor) / t.sum
	if p == forTotal {
		return err <= 0.09*ulp[F](t.total)
	}
	return err <= logsTolerance*ulp[F](t.logSum)
}

// restOfTop returns the sum over every element but the first of the largest, as a multiple of 2^topAnchor.
// The largest element's block is read again, in float64.
func (k *kernels[F]) restOfTop(x []F, s *expSum) float64 {
	lo, hi := s.topAt, min(s.topAt+blockLen, len(x))
	rest := newExpSum()
	rest.fold(s.anchor, s.others)
	k.addAround(&rest, x, lo, lo+k.index(x[lo:hi], F(s.max)), hi, true)
	anchor, sum := rest.total()
	return sum * exp2(anchor-s.topAnchor)
}

// sumErr bounds the relative error of a sum of the fast kernel whose largest term has the given share of it:
// independent errors of the terms add up to the root of Σ share² at most, and root(share) bounds that.
func (k *kernels[F]) sumErr(share float64) float64 {
	return k.termErr*math.Sqrt(share) + termBias
}

// termBias is the part of the terms' error that does not average out: that of the polynomial, 2^-28.3.
const termBias = 3.1e-9

// ulp returns the distance between |v| and the next larger number of type F.
func ulp[F Float](v float64) float64 {
	if isFloat32[F]() {
		e := math.Float32bits(float32(v)) >> 23 & 0xff
		return math.Float64frombits(uint64(max(e, 1)+1023-127-23) << 52)
	}
	e := math.Float64bits(v) >> 52 & 0x7ff
	return max(math.Float64frombits(e<<52)*0x1p-52, 0x1p-1074)
}

// labelLoss returns -log of the share of x[y] in the total t of the row x, with nearly the relative accuracy of F,
// also where that share is near 1.
func (k *kernels[F]) labelLoss(t *rowTotal, x []F, y int) float64 {
	if !ordinary(t.max) {
		return math.NaN()
	}
	v := float64(x[y])
	if !t.huge && withinAnchors(v) {
		t.total = logOf(t.anchor, t.sum)
		l := t.total - v
		if k.termErr == 0 || len(x) <= wideLen {
			if l > k.smallRest()*max(1, math.Abs(v)) {
				return l
			}
		} else if l > 0 && k.sumErr(maxTop/t.sum) <= 0.3*ulp[F](l) {
			return l
		}
	}
	return k.negLog(x, y)
}

// negLog returns -log of the share of x[y], from a sum over the others that leaves x[y] out.
func (k *kernels[F]) negLog(x []F, y int) float64 {
	s := k.sumOthers(x, y)
	v := float64(x[y])
	switch {
	case v != v || s.max != s.max || math.IsInf(v, 1) || math.IsInf(s.max, 1):
		return math.NaN()
	case math.IsInf(s.max, -1): // v is alone
		if math.IsInf(v, -1) {
			return math.NaN()
		}
		return 0
	}
	var rest float64 // Σ exp(x - max) over the others, at least 1
	if s.huge() {
		rest = hugeSum(x, s.max, y)
	} else {
		anchor, sum := s.total()
		rest = sum / expAnchored(s.max, anchor)
	}
	if s.max-v > 40 { // the element adds less than 2^-57 of the sum
		return (s.max - v) + math.Log(rest)
	}
	return math.Log1p(rest * math.Exp(s.max-v))
}
