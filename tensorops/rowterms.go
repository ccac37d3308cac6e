package tensorops

import (
	"math"
	"sync"
	"unsafe"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// RowLoss is a loss of two rows of numbers x and t that is a function of Σ f(x, t), Σ x and Σ t.
type RowLoss uint8

// The losses by their terms f, with P the parameters in [RowTerms] and the derivatives that
// [TermsOfRows] and [TermsOfColumns] write. A term whose numbers are outside their domain, or of which the
// kernel would lose digits, is NaN.
const (
	// AbsoluteTerms are |x - t| for x, t >= 0, with the derivatives sign(x - t) and sign(t - x).
	AbsoluteTerms RowLoss = iota
	// RootTerms are (√x - √t)² for x, t >= 0; √(t/x) and √(x/t), 0 where x or t is 0.
	RootTerms
	// SquareTerms are (x - t)²/x for x, t >= 0; (t/x)² and t/x. Two numbers that are 0 add nothing.
	SquareTerms
	// PowerTerms are t·(x/t)^P0 for x, t >= 0; f/x and f/t. Those where t is 0 and P0 < 1, or x is 0 and
	// P0 > 0, are 0 with the derivatives 0.
	PowerTerms
	// QuotientTerms are t·log((P0·t + P1)/x) for x, t >= 0, and 0 for t = 0; (P2·x - t)/x and
	// log((P0·t + P1)/x) + P2. The latter is 0 for t = 0 unless P3 is not 0; then x counts as 2^-1022
	// where it is less.
	QuotientTerms
	// LogTerms are t·(log t - x) for t >= 0, and 0 for t = 0; t and log t - x + 1.
	LogTerms
	// LogTargetTerms are e^t·(t - x), and 0 for e^t = 0; e^t and e^t·(t - x + 1).
	LogTargetTerms
	// MixedTerms are P0·t·log(t/m) + P1·x·log(x/m) with m = P0·t + P1·x for x, t >= 0; P1·log(x/m) and
	// P0·log(t/m). Numbers that are 0 add nothing and have the derivative 0.
	MixedTerms
	rowLosses
)

// RowTerms is a loss of rows, and the operand that derivatives are taken by: 0 for x, 1 for t.
type RowTerms struct {
	Loss RowLoss
	P    [4]float64
	Wrt  int
}

// Scales reports whether derivatives are multiplied with the factors that [TermsOfRows] and
// [TermsOfColumns] take, before they are rounded; those of RootTerms are not.
func (l RowLoss) Scales() bool { return l != RootTerms }

// RowSum is what a row adds up to in float64: f, x, t and, of RootTerms alone, √(x·t).
type RowSum struct{ Terms, X, T, Products float64 }

const (
	// rowChunk is the number of rows that one call of a kernel gets.
	rowChunk = 64
	// columnStep divides the number of rows side by side that kernels take.
	columnStep = 8
)

// rowRun is the memory of a call.
type rowRun[F Float] struct {
	lanes     [rowChunk * 4 * columnStep]float64
	factors   [rowChunk * columnStep]float64
	last      [columnStep]float64
	row       []F // a row of results, with room behind it
	x, t, dst []F // columns beside whole steps
	sums      [columnStep]RowSum
}

var (
	rowRuns32 = sync.Pool{New: func() any { return new(rowRun[float32]) }}
	rowRuns64 = sync.Pool{New: func() any { return new(rowRun[float64]) }}
)

// rowCall is what a kernel is called with: distances in bytes.
type rowCall struct {
	full, rest, rows, step, next, which int
}

// lanesOf is the number of elements of a register, and of the lanes of a sum.
func lanesOf[F Float](l RowLoss) int {
	if l == RootTerms && isFloat32[F]() {
		return 8
	}
	return 4
}

// sumsOf is the number of sums that a kernel leaves.
func sumsOf(l RowLoss) int {
	if l == RootTerms {
		return 4
	}
	return 3
}

// params are the parameters as the kernels take them.
func (l *RowTerms) params() (p [4]float64) {
	mask := func(set bool) float64 {
		if set {
			return math.Float64frombits(math.MaxUint64)
		}
		return 0
	}
	p = l.P
	switch l.Loss {
	case PowerTerms:
		p[0], p[1], p[2] = -l.P[0], mask(l.P[0] < 1), mask(l.P[0] > 0)
	case QuotientTerms:
		p[3] = mask(l.P[3] != 0)
	}
	return p
}

// TermsOfRows computes len(sums) rows of cols elements that lie one after another. It writes what
// they add up to and, unless dst is nil, the derivative, which overlaps no other slice, times the
// factor of its row; nil stands for factors of 1. What is written for a row depends on that row alone.
// Where a number has a sign although none is below 0, the sum of x is NaN.
func TermsOfRows[F Float](sums []RowSum, dst, x, t []F, factors []float64, cols int, l *RowTerms) {
	if vec.Active() == vec.Generic {
		for i := range sums {
			sums[i] = l.generic(factorAt(factors, i, l.Loss), i*cols, cols, 1, floatsOf(dst), floatsOf(x), floatsOf(t))
		}
		return
	}
	pool := poolOf[F](&rowRuns32, &rowRuns64)
	r := pool.Get().(*rowRun[F])
	defer pool.Put(r)
	lanes, each, bytes := lanesOf[F](l.Loss), sumsOf(l.Loss), int(unsafe.Sizeof(x[0]))
	p := l.params()
	c := rowCall{full: cols / lanes, rest: cols % lanes * bytes, step: lanes * bytes, next: cols * bytes}
	if dst != nil {
		c.which = 1 + l.Wrt
	}
	apart := min(len(sums), reaching(cols, lanes)) // the last rows, of which what lies behind stays
	if dst == nil {
		apart = 0
	}
	for lo := 0; lo < len(sums); {
		to := pointerAt(dst, lo*cols)
		c.rows = min(rowChunk, len(sums)-apart-lo)
		if c.rows == 0 {
			c.rows = apart
			r.row = fit(r.row, apart*cols+columnStep)
			to = &r.row[0]
		}
		if l.Loss.Scales() && dst != nil {
			r.repeat(factors, lo, c.rows)
		}
		rowTerms(l.Loss, &r.lanes[0], to, &x[lo*cols], &t[lo*cols], &p[0], &r.factors[0], &c)
		rowLanes(&sums[lo].Terms, &r.lanes[0], 8*each, lanes/8, c.rows)
		if lo += c.rows; lo == len(sums) && apart > 0 {
			copy(dst[(lo-apart)*cols:lo*cols], r.row)
		}
	}
}

// repeat writes the factors of n rows from row lo on, each once for each lane.
func (r *rowRun[F]) repeat(factors []float64, lo, n int) {
	if factors == nil {
		for i := range r.factors[:4*n] {
			r.factors[i] = 1
		}
		return
	}
	for i, f := range factors[lo : lo+n] {
		to := r.factors[4*i:][:4]
		to[0], to[1], to[2], to[3] = f, f, f, f
	}
}

// reaching is the number of rows before an end whose last register reaches behind it.
func reaching(cols, lanes int) int {
	rest := cols % lanes
	if rest == 0 {
		return 0
	}
	return (lanes - rest + cols - 1) / cols
}

// TermsOfColumns is TermsOfRows for rows side by side: row i has its elements at i, inner+i,
// 2·inner+i and so on.
func TermsOfColumns[F Float](sums []RowSum, dst, x, t []F, factors []float64, cols, inner int, l *RowTerms) {
	if vec.Active() == vec.Generic {
		for i := range sums {
			sums[i] = l.generic(factorAt(factors, i, l.Loss), i, cols, inner, floatsOf(dst), floatsOf(x), floatsOf(t))
		}
		return
	}
	pool := poolOf[F](&rowRuns32, &rowRuns64)
	r := pool.Get().(*rowRun[F])
	defer pool.Put(r)
	n := len(sums) &^ (columnStep - 1)
	r.columns(sums[:n], dst, x, t, factors, cols, inner, l)
	left := len(sums) - n
	if left == 0 {
		return
	}
	r.x, r.t, r.dst = fit(r.x, cols*columnStep), fit(r.t, cols*columnStep), fit(r.dst, cols*columnStep)
	for c := range cols {
		for i := range columnStep {
			at := c*inner + n + min(i, left-1)
			r.x[c*columnStep+i], r.t[c*columnStep+i] = x[at], t[at]
		}
	}
	to := r.dst
	if dst == nil {
		to = nil
	}
	for i := range left {
		r.last[i] = factorAt(factors, n+i, l.Loss)
	}
	r.columns(r.sums[:], to, r.x, r.t, r.last[:], cols, columnStep, l)
	copy(sums[n:], r.sums[:])
	for c := 0; c < cols && dst != nil; c++ {
		copy(dst[c*inner+n:][:left], r.dst[c*columnStep:])
	}
}

// columns computes whole steps of columns.
func (r *rowRun[F]) columns(sums []RowSum, dst, x, t []F, factors []float64, cols, inner int, l *RowTerms) {
	var f F
	lanes, each, bytes := lanesOf[F](l.Loss), sumsOf(l.Loss), int(unsafe.Sizeof(f))
	p := l.params()
	c := rowCall{full: cols, step: inner * bytes, next: lanes * bytes}
	if dst != nil {
		c.which = 1 + l.Wrt
	}
	for lo := 0; lo < len(sums); {
		c.rows = min(rowChunk, (len(sums)-lo)/lanes)
		for i := range c.rows * lanes {
			r.factors[i] = factorAt(factors, lo+i, l.Loss)
		}
		rowTerms(l.Loss, &r.lanes[0], pointerAt(dst, lo), &x[lo], &t[lo], &p[0], &r.factors[0], &c)
		for i := range c.rows * lanes {
			s := r.lanes[i/lanes*each*lanes+i%lanes:]
			sums[lo+i] = RowSum{Terms: s[0], X: s[lanes], T: s[2*lanes]}
			if each > 3 {
				sums[lo+i].Products = s[3*lanes]
			}
		}
		lo += c.rows * lanes
	}
}

// factorAt is the factor of row i.
func factorAt(factors []float64, i int, l RowLoss) float64 {
	if factors == nil || !l.Scales() {
		return 1
	}
	return factors[i]
}

// pointerAt is the address of element i, nil for no slice.
func pointerAt[F Float](s []F, i int) *F {
	if s == nil {
		return nil
	}
	return &s[i]
}

// fit returns n elements, in the memory of s where that is enough.
func fit[F Float](s []F, n int) []F {
	if cap(s) < n {
		return make([]F, n)
	}
	return s[:n]
}

// ScaleRows multiplies each row of cols elements by its factor.
func ScaleRows[F Float](x, factors []F, cols int) {
	rows := len(factors)
	if rows == 0 {
		return
	}
	if vec.Active() == vec.Generic {
		scaleEach(x[:rows*cols], factors, cols)
		return
	}
	lanes := 32 / int(unsafe.Sizeof(x[0]))
	x = x[:rows*cols]
	scaleRows(&x[0], &factors[0], cols/lanes, cols%lanes*int(unsafe.Sizeof(x[0])), rows)
}

func scaleEach[F Float](x, factors []F, cols int) {
	for i, f := range factors {
		row := x[i*cols : (i+1)*cols]
		for c := range row {
			row[c] *= f
		}
	}
}

// RowTotals writes the float64 sum of each row of cols elements.
func RowTotals[F Float](sums []float64, x []F, cols int) {
	if len(sums) == 0 {
		return
	}
	if vec.Active() == vec.Generic {
		for i := range sums {
			sums[i] = 0
			for _, v := range x[i*cols : (i+1)*cols] {
				sums[i] += float64(v)
			}
		}
		return
	}
	x = x[:len(sums)*cols]
	rowTotals(&sums[0], &x[0], cols/4, cols%4*int(unsafe.Sizeof(x[0])), len(sums))
}
