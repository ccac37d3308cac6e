package tensorops

import "math"

// rowTotal is what the exponentials of one row come down to: log Σ exp(x) = max + logSum.
type rowTotal struct {
	max    float64 // largest element; NaN or ±Inf where the row is not ordinary
	logSum float64 // -log of the largest element's share of the sum, >= 0; NaN where the row is not ordinary
	anchor float64 // Σ exp(x) = sum·2^anchor; for a huge row sum·exp(max)
	sum    float64
	huge   bool
}

// precision says what a total is needed for.
type precision int

const (
	forShares precision = iota // sum, to the relative accuracy of F
	forTotal                   // max + logSum, to a fraction of a unit in its last place
	forLogs                    // logSum, to a fraction of a unit in its last place, also near 0
)

// ordinary says that a row with this largest element holds no NaN, no +Inf and not only -Inf.
func ordinary(max float64) bool { return !math.IsInf(max, 0) && max == max }

// wideLen is the number of elements up to which float32 rows are summed in float64 from the start: the rounding
// errors of so few terms do not average out, and the time is about the same.
const wideLen = 64

// rowTotal returns the total of the row x. float32 rows are summed by the fast kernel first; where the bound on
// its error is not small enough for what is asked, the row is summed again in float64.
func (k *kernels[F]) rowTotal(x []F, p precision) rowTotal {
	t, good := k.tryTotal(x, p, len(x) <= wideLen || k.termErr == 0)
	if !good {
		t, _ = k.tryTotal(x, p, true)
	}
	return t
}

func (k *kernels[F]) tryTotal(x []F, p precision, wide bool) (t rowTotal, good bool) {
	s := k.sumRow(x, wide)
	t = rowTotal{max: s.max, logSum: math.NaN()}
	if !ordinary(s.max) {
		return t, true
	}
	if s.huge() {
		rest := hugeSum(x, s.max, k.index(x, F(s.max)))
		t.huge, t.sum, t.logSum = true, 1+rest, math.Log1p(rest)
		return t, true
	}
	t.anchor, t.sum = s.total()
	if p == forShares {
		return t, true
	}
	top := expAnchored(s.max, t.anchor)
	share := top / t.sum
	t.logSum = math.Log(t.sum / top)
	enough := wide || k.sumErr(share) <= t.tolerance(p, isFloat32[F]())
	if share <= 0.5 {
		return t, enough
	}
	// One element dominates. Where logSum counts beside max, or by itself, that element is taken out of the sum.
	if p == forTotal && enough && (!wide || math.Abs(s.max) > 16) {
		return t, true
	}
	rest := k.restOfTop(x, &s)
	t.logSum = math.Log1p(rest * exp2(s.topAnchor-t.anchor) / top)
	err := k.sumErr(1) * s.others * exp2(s.anchor-t.anchor) / t.sum
	return t, wide || err <= t.tolerance(p, isFloat32[F]())
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
	if k.termErr == 0 {
		return 0
	}
	return k.termErr*math.Sqrt(share) + termBias
}

// termBias is the part of the terms' error that does not average out: that of the polynomial, 2^-28.3.
const termBias = 3.1e-9

// tolerance is the absolute error of logSum that p admits: 0.08 units in the last place of the total, 0.25 of
// logSum. Results are rounded to F afterwards, which costs half a unit more.
func (t *rowTotal) tolerance(p precision, is32 bool) float64 {
	if p == forTotal {
		return 0.08 * ulp(t.max+t.logSum, is32)
	}
	return 0.25 * ulp(t.logSum, is32)
}

// ulp returns the distance of |v| to the next larger number in float32 or float64.
func ulp(v float64, is32 bool) float64 {
	v = math.Abs(v)
	if is32 {
		f := float32(v)
		return float64(math.Nextafter32(f, math.MaxFloat32) - f)
	}
	return math.Nextafter(v, math.MaxFloat64) - v
}

// othersTotal is Σ exp(x) over every element of a row but one.
type othersTotal struct {
	max         float64 // largest of the others; NaN or ±Inf where they are not ordinary
	rel         float64 // Σ exp(x - max), at least 1
	anchor, sum float64 // Σ exp(x) = sum·2^anchor; for a huge row sum·exp(max)
	huge        bool
}

func (k *kernels[F]) others(x []F, skip int, wide bool) othersTotal {
	s := k.sumOthers(x, skip, wide)
	t := othersTotal{max: s.max}
	if !ordinary(s.max) {
		return t
	}
	if s.huge() || math.Abs(float64(x[skip])) > anchorLimit {
		t.huge = true
		t.rel = hugeSum(x, s.max, skip)
		t.sum = t.rel
		return t
	}
	t.anchor, t.sum = s.total()
	t.rel = t.sum / expAnchored(s.max, t.anchor)
	return t
}

// negLog returns -log of the share of an element v beside the others: log1p(Σ exp(others - v)).
func (t *othersTotal) negLog(v float64) float64 {
	switch {
	case v != v || t.max != t.max || math.IsInf(v, 1) || math.IsInf(t.max, 1):
		return math.NaN()
	case math.IsInf(t.max, -1):
		if math.IsInf(v, -1) {
			return math.NaN()
		}
		return 0
	case t.max-v > 40: // the element adds less than 2^-57 of the sum
		return (t.max - v) + math.Log(t.rel)
	}
	return math.Log1p(t.rel * math.Exp(t.max-v))
}

// labelTotal returns the others of x[y] and -log of the share of x[y], the latter within 0.3 units in the last
// place of F where exact is set.
func (k *kernels[F]) labelTotal(x []F, y int, exact bool) (othersTotal, float64) {
	wide := len(x) <= wideLen || k.termErr == 0
	t := k.others(x, y, wide)
	l := t.negLog(float64(x[y]))
	if wide || !exact || t.huge || !(l > 0) {
		return t, l
	}
	if k.sumErr(1/t.rel)*-math.Expm1(-l) > 0.3*ulp(l, true) {
		t = k.others(x, y, true)
		l = t.negLog(float64(x[y]))
	}
	return t, l
}
