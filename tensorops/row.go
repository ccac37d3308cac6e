package tensorops

import "math"

// rowTotal is the sum of the exponentials of one row. Reused for the next row, its anchor serves as
// the initial guess.
type rowTotal struct {
	max    float64 // largest element; NaN or ±Inf where the row is not ordinary
	anchor float64 // Σ exp(x) = sum·2^anchor; for a row beyond the anchors sum·exp(max)
	sum    float64
	err    float64 // estimate of the sum's relative error, 0 where it is as good as float64
	known  bool    // anchor belongs to an ordinary row within the anchors

	beyondAnchors bool // the row was summed by sumBeyondAnchors

	// Set by the fast kernel.
	at       int     // first index of the block with the largest element
	others   expSum  // sum of the other blocks: max, anchor, others
	admitted float64 // largest err that accurateEnough admits
	refined  bool    // err is the estimate for this row, not the one for the worst row
	resummed bool    // resumTop was called

	total  float64 // log Σ exp(x), set for forTotal
	logSum float64 // total - max, that is -log of the largest element's share, set for forLogs
}

// precision is the purpose of a total.
type precision int

const (
	forShares precision = iota // sum, to the relative accuracy of F
	forTotal                   // total, to a fraction of a unit in its last place
	forLogs                    // logSum, to a fraction of a unit in its last place, also near 0
)

// ordinary reports whether a row with this largest element holds no NaN, no +Inf and not only -Inf.
func ordinary(max float64) bool { return max-max == 0 }

// float64Len is the number of elements up to which float32 rows are summed in float64 from the
// start: the rounding errors of so few terms do not average out, and the time is about the same.
const float64Len = 64

// fastSum reports whether rows of n elements are summed by the fast kernel first.
func (k *kernels[F]) fastSum(n int) bool { return k.termErr != 0 && n > float64Len }

// rowTotal sets t to the total of the row x. The fast kernel sums float32 rows first. If the bound
// on its error is too large for the precision, the elements around the largest are summed again in
// float64; if that does not suffice, all elements are.
func (k *kernels[F]) rowTotal(t *rowTotal, x []F, p precision) {
	if k.fastSum(len(x)) {
		if k.fastTotal(t, x) {
			if k.accurateEnough(t, p) {
				return
			}
			if k.refineError(t, len(x)); t.err <= t.admitted {
				return
			}
			k.resumTop(t, x)
			if k.accurateEnough(t, p) {
				return
			}
		}
	} else if len(x) <= blockLen {
		max, anchor, sum := k.expSumWide(x, t.next())
		if t.set(float64(max), anchor, sum) && k.finish(t, p) {
			return
		}
	}
	k.totalInFloat64(t, x, p)
}

// nearlyEqual reports whether the n elements of a row are nearly the same: then the errors of their
// terms are, too, and do not average out.
func nearlyEqual(t *rowTotal, n int) bool { return t.sum > 0.9*float64(n)*topBound(t) }

// next prepares t for another row and returns a guess at its anchor: the previous row's anchor, or
// NaN. The bits of the total do not depend on it.
func (t *rowTotal) next() float64 {
	guess := math.NaN()
	if t.known {
		guess = t.anchor - guessBelow
	}
	t.err, t.at = 0, 0
	t.beyondAnchors, t.known, t.refined, t.resummed = false, false, false, false
	return guess
}

// set stores the results of a kernel for a row of one block, and reports whether the row is
// ordinary and within the anchors.
func (t *rowTotal) set(max, anchor, sum float64) bool {
	t.max = max
	if !withinAnchors(max) || sum != sum {
		return false
	}
	t.anchor, t.sum = ownAnchor(max, anchor, sum)
	t.known = true
	return true
}

// fastTotal sets t to the total by the fast kernel. ok is false for a row that is not ordinary or
// beyond the anchors.
func (k *kernels[F]) fastTotal(t *rowTotal, x []F) (ok bool) {
	guess := t.next()
	if len(x) <= blockLen {
		max, anchor, sum := k.expSum(x, guess)
		if !t.set(float64(max), anchor, sum) {
			return false
		}
	} else {
		s := k.sumRow(x, false)
		if !ordinary(s.max) || s.beyondAnchors() {
			return false
		}
		t.at, t.max = s.topAt, s.max
		t.others = expSum{max: s.othersMax, anchor: s.anchor, others: s.others}
		t.anchor, t.sum = s.total()
		t.known = true
	}
	t.err = k.sumErr(len(x), 1)
	return !nearlyEqual(t, len(x))
}

// refineError estimates the error from the share of the largest element. Few rows of one block need
// it.
func (k *kernels[F]) refineError(t *rowTotal, n int) {
	if t.err != 0 && !t.refined {
		t.err = k.sumErr(n, min(1, topBound(t)/t.sum))
		t.refined = true
	}
}

// resumTop replaces the terms around the largest element by their values in float64: the error of
// the largest weighs most.
func (k *kernels[F]) resumTop(t *rowTotal, x []F) {
	t.refined, t.resummed = true, true
	block := x[t.at:min(t.at+blockLen, len(x))]
	sum, groupLen := k.expSum, groupLen
	if len(x) > blockLen {
		sum, groupLen = k.expSumLong, 2*groupLen
	}
	group := aroundIndex(block, k.index(block, F(t.max)), groupLen)
	_, anchor, rounded := sum(group, t.anchor)
	_, anchor64, better := k.expSumWide(group, t.anchor)
	t.sum += better*exp2(anchor64-t.anchor) - rounded*exp2(anchor-t.anchor)
	share := expAnchored(t.max, t.anchor) / t.sum
	// No other element's share is larger, nor are those of all others together.
	rest := 1 - share
	t.err = k.sumErr(len(x), min(share, rest)*rest)
}

// aroundIndex returns the elements of a block that a fast kernel takes together with the one at
// index i.
func aroundIndex[F Float](block []F, i, taken int) []F {
	if i >= len(block)&^(taken-1) {
		taken = groupLen
	}
	lo := i &^ (taken - 1)
	return block[lo:min(lo+taken, len(block))]
}

// groupLen is the number of elements that the fast kernel takes at once. The kernel for long rows
// takes twice as many, except for the last elements.
const groupLen = 64

// withinBlocks is withinAnchors for a block of a longer row: one below -anchorLimit may count
// beside a largest element that is not.
func withinBlocks(max float64) bool { return max >= -anchorLimit-2048 && max <= anchorLimit }

func withinAnchors(max float64) bool { return max >= -anchorLimit && max <= anchorLimit }

// accurateEnough sets the logarithms that the precision calls for, and reports whether the error of
// the sum admits them.
func (k *kernels[F]) accurateEnough(t *rowTotal, p precision) bool {
	switch p {
	case forTotal:
		t.total = logOf(t.anchor, t.sum)
		t.admitted = totalTolerance * ulp[F](t.total)
	case forLogs:
		if !t.largeLogSum() {
			k.setLogSum(t)
		}
		t.admitted = logsTolerance * ulp[F](t.logSum)
	default:
		t.admitted = sharesTolerance
	}
	return t.err <= t.admitted
}

// finish is accurateEnough for a sum in float64, which only cancellation harms.
func (k *kernels[F]) finish(t *rowTotal, p precision) bool {
	switch p {
	case forTotal:
		t.total = logOf(t.anchor, t.sum)
		return math.Abs(t.total) >= smallTotal
	case forLogs:
		return t.largeLogSum() || k.setLogSum(t) > k.smallRest()
	}
	return true
}

// largeLogSum sets logSum as the difference that it is, and reports whether it is large enough for
// that: the two terms that cancel, anchor·ln 2 and max, do so exactly.
func (t *rowTotal) largeLogSum() bool {
	t.logSum = (t.anchor*ln2Hi - t.max) + (t.anchor*ln2Lo + shortLog(t.sum))
	return t.logSum > 0.1
}

// setLogSum sets the logarithm of the sum over the largest term, and returns how much more than
// that the sum is.
func (k *kernels[F]) setLogSum(t *rowTotal) (rest float64) {
	top := expAnchored(t.max, t.anchor)
	rest = t.sum/top - 1
	switch {
	case rest > 1:
		t.logSum = logOf(0, t.sum/top)
	case rest > 0:
		t.logSum = math.Log1p(rest)
	}
	return rest
}

const (
	// sharesTolerance is the relative error of the sum that is admitted where shares are computed
	// from it: a unit in the last place of a float32 is 2^-24 to 2^-23 of it, and exponential,
	// factor and product add two more.
	sharesTolerance = 1.3e-7

	// totalTolerance is the error of a total that is admitted, in units of its last place. Its
	// rounding adds half a unit, and the estimate that is held against it is seldom reached.
	totalTolerance = 0.115

	// logsTolerance is the error of logSum that is admitted, in units of its last place. Roundings
	// add half a unit, or one and a half for elements other than the largest; the bound that is
	// held against it is seldom reached.
	logsTolerance = 1.2
)

// topBound bounds the largest element's term exp(max)·2^-anchor from above, by less than 3 %.
func topBound(t *rowTotal) float64 {
	f := t.max - t.anchor*math.Ln2 // within ln 2 / 2 of 0
	return 1 + f*(1+0.6*f)
}

// smallTotal is the magnitude below which a total is computed from logSum: the terms that cancel in
// it have errors of 2^-39 (float32) or 2^-53 (float64).
const smallTotal = 1e-2

// smallRest is the size of the rest beside the largest term below which it is not taken as a
// difference.
func (k *kernels[F]) smallRest() float64 {
	if isFloat32[F]() {
		return 1e-3
	}
	return 1e-2
}

// totalInFloat64 is rowTotal for any row, in float64.
func (k *kernels[F]) totalInFloat64(t *rowTotal, x []F, p precision) {
	s := k.sumRow(x, true)
	*t = rowTotal{max: s.max}
	if !ordinary(s.max) {
		t.total, t.logSum = s.max, math.NaN()
		return
	}
	if s.beyondAnchors() {
		rest := sumBeyondAnchors(x, s.max, k.index(x, F(s.max)))
		t.beyondAnchors, t.sum, t.logSum = true, 1+rest, math.Log1p(rest)
		t.total = s.max + t.logSum
		return
	}
	t.anchor, t.sum = s.total()
	t.known = true
	if k.finish(t, p) {
		return
	}
	// The largest element is taken out of the sum, so that its rounding does not swallow the rest.
	top := expAnchored(s.max, t.anchor)
	t.logSum = math.Log1p(k.restOfTop(x, &s) * exp2(s.topAnchor-t.anchor) / top)
	t.total = s.max + t.logSum
}

// restOfTop returns the sum over every element but the first of the largest, as a multiple of
// 2^topAnchor. The largest element's block is read again, in float64.
func (k *kernels[F]) restOfTop(x []F, s *expSum) float64 {
	lo, hi := s.topAt, min(s.topAt+blockLen, len(x))
	rest := newExpSum()
	rest.fold(s.anchor, s.others)
	k.addAround(&rest, x, lo, lo+k.index(x[lo:hi], F(s.max)), hi, true)
	anchor, sum := rest.total()
	return sum * exp2(anchor-s.topAnchor)
}

// sumErr estimates the relative error of a sum of the fast kernel over n elements, of which the
// largest has the given share: independent errors of the terms add up to the root of Σ share² at
// most, and root(share) bounds that.
func (k *kernels[F]) sumErr(n int, share float64) float64 {
	err := k.termErr
	if share != 1 {
		err *= math.Sqrt(share)
	}
	if n > blockLen {
		err *= 1.5
	}
	return err + termBias
}

// termBias is the part of the terms' error that does not average out: mostly that of ln 2, 2^-28.4
// times the distance of the elements that count from the largest.
const termBias = 8e-9

// ulp returns the distance between |v| and the next larger number of type F.
func ulp[F Float](v float64) float64 {
	if isFloat32[F]() {
		e := math.Float32bits(float32(v)) >> 23 & 0xff
		return math.Float64frombits(uint64(max(e, 1)+1023-127-23) << 52)
	}
	e := math.Float64bits(v) >> 52 & 0x7ff
	return max(math.Float64frombits(e<<52)*0x1p-52, 0x1p-1074)
}

// labelLoss returns -log of the share of x[y] in the total t of the row x, with nearly the relative
// accuracy of F, also where that share is near 1.
func (k *kernels[F]) labelLoss(t *rowTotal, x []F, y int) float64 {
	if !ordinary(t.max) {
		return math.NaN()
	}
	v := float64(x[y])
	if !t.beyondAnchors && withinAnchors(v) {
		l := logOf(t.anchor, t.sum) - v
		if k.accurate(t, len(x), 1, l) {
			return l
		}
		if t.err != 0 {
			if !t.resummed && l > smallLoss {
				k.resumTop(t, x)
				if l = logOf(t.anchor, t.sum) - v; k.accurate(t, len(x), 1, l) {
					return l
				}
			}
			if l, ok := k.fastNegLog(t, x, y); ok {
				return l
			}
		}
	}
	return k.negLog(x, y)
}

// lossTolerance is the error of a loss that is admitted, in units of its last place as a number of
// type F, to which the caller may round it.
const lossTolerance = 0.4

// smallLoss is the loss below which a correction of the sum does not help, because termBias alone
// is more than is admitted.
const smallLoss = 0.25

// fastNegLog is negLog from sums of the fast kernel, for a label that has most of the sum of a row
// of several blocks: only the terms beside it in its own block are summed once more. ok is false
// where the estimate of the error does not admit that.
func (k *kernels[F]) fastNegLog(t *rowTotal, x []F, y int) (l float64, ok bool) {
	hi := min(t.at+blockLen, len(x))
	if len(x) <= blockLen || float64(x[y]) != t.max || y < t.at || y >= hi {
		return 0, false
	}
	s := newExpSum()
	s.max, s.anchor, s.others = t.others.max, t.others.anchor, t.others.others
	k.addAround(&s, x, t.at, y, hi, false)
	if !ordinary(s.max) {
		return 0, false
	}
	anchor, sum := s.total()
	rest := rowTotal{max: s.max}
	rest.anchor, rest.sum = ownAnchor(s.max, anchor, sum)
	if nearlyEqual(&rest, len(x)-1) {
		return 0, false
	}
	l = math.Log1p(rest.sum / expAnchored(t.max, rest.anchor))
	return l, k.sumErr(len(x), min(1, topBound(&rest)/rest.sum))*l <= lossTolerance*ulp[F](l)
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
	if s.beyondAnchors() {
		rest = sumBeyondAnchors(x, s.max, y)
	} else {
		anchor, sum := s.total()
		rest = sum / expAnchored(s.max, anchor)
	}
	if s.max-v > 40 { // the element adds less than 2^-57 of the sum
		return (s.max - v) + math.Log(rest)
	}
	return math.Log1p(rest * math.Exp(s.max-v))
}
