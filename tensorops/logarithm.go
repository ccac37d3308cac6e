package tensorops

import "math"

// logOf returns log(sum·2^anchor) for a sum that is a normal number.
func logOf(anchor, sum float64) float64 {
	return anchor*ln2Hi + (anchor*ln2Lo + shortLog(sum))
}

// shortLog is log v of a normal v > 0, to 2^-52 of the larger of 1 and |log v|. [math.Log] divides,
// and takes five times as long: much for a row of a few hundred elements.
//
//	v = 2^e·m    c the middle of m's interval among shortLogLen    log v = e·ln 2 + log c + log1p(m/c - 1)
func shortLog(v float64) float64 {
	bits := math.Float64bits(v)
	entry := &shortLogs[bits>>(52-shortLogBits)&(shortLogLen-1)]
	e := float64(int(bits>>52) - 1023)
	r := math.Float64frombits(bits&(1<<52-1)|1023<<52)*entry.inverse - 1
	// The series; its next term is below 2^-58, because |r| <= 2^-8.
	r2 := r * r
	series := r2*((-1.0/2+r*(1.0/3))+r2*((-1.0/4+r*(1.0/5))-r2*(1.0/6))) + r
	return e*math.Ln2 + (entry.log + series)
}

const (
	shortLogBits = 7
	shortLogLen  = 1 << shortLogBits
)

// shortLogs hold 1/c and -log of that for the middle c of each interval.
var shortLogs = func() (t [shortLogLen]struct{ inverse, log float64 }) {
	for i := range t {
		t[i].inverse = shortLogLen / (shortLogLen + float64(i) + 0.5)
		t[i].log = -math.Log(t[i].inverse)
	}
	return t
}()

// expm1 is exp(v) - 1 for v <= 0. [math.Expm1] takes three times as long as [math.Exp], which is as
// good where nothing cancels.
func expm1(v float64) float64 {
	if v < -0.7 {
		return math.Exp(v) - 1
	}
	return math.Expm1(v)
}
