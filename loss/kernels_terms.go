package loss

import (
	"math"
	"slices"
	"sync"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A rowCurve is a loss of two rows of numbers that is a function of what terms of their entries add
// up to.
type rowCurve struct {
	// The terms for values and the derivative by the first operand, and for that by the second.
	terms [2]tensorops.RowTerms
	// of writes the values of rows, and what the terms' derivatives by operand wrt are multiplied
	// with; a value of NaN leaves the row to the row function.
	of      func(value, slope []float64, s []tensorops.RowSum, wrt int)
	slopes  *[2]float64 // those, where they do not depend on the row; nil: they do
	swapped bool        // the terms are of (target, pred)
	goal    *mixedGoal  // what stands in the place of the target; nil: the target
}

// rowsOf makes the kernels of such a loss; of makes its curve for numbers of which those of nearly
// equal rows below least have lost too many digits.
func rowsOf(d core.Dims, of func(least float64) rowCurve) core.Kernels {
	// float32 results are rounded from float64
	return core.Kernels{F32: rowKernel[float32](of(0x1p-30), d), F64: rowKernel[float64](of(0x1p-10), d)}
}

// rowWork is the memory of a range.
type rowWork[F core.Float] struct {
	sums                []tensorops.RowSum
	value, slope        []float64
	before              []float64
	factors             []F
	x, t, dst           []F       // rows that are copied
	group               []F       // what those side by side are copied through
	mixed, wide, slopes []float64 // of mixed targets
}

var (
	rowWorks32 = sync.Pool{New: func() any { return new(rowWork[float32]) }}
	rowWorks64 = sync.Pool{New: func() any { return new(rowWork[float64]) }}
)

const (
	// rowTile is the number of entries that are computed together.
	rowTile = 8192
	// fewColumns is the number of rows side by side below which they are copied.
	fewColumns = 8
)

func rowKernel[F core.Float](p rowCurve, d core.Dims) core.Kernel[F] {
	cols, inner := d.Cols, d.Inner
	step := max(1, rowTile/cols)
	return func(r *core.Range[F]) (sum float64, ok bool) {
		pool := core.PoolOf[F](&rowWorks32, &rowWorks64)
		w := pool.Get().(*rowWork[F])
		defer pool.Put(w)
		for lo := r.Lo; lo < r.Hi; {
			hi := min(r.Hi, lo+step)
			at := r.Dims.Place(lo)
			c := rowCall[F]{rowCurve: &p, r: r, lo: lo, hi: hi, inner: inner, x: r.X[0][at:]}
			if r.X[1] != nil {
				c.t = r.X[1][at:]
			}
			if r.Dst != nil {
				c.dst = r.Dst[at:]
			}
			switch {
			case inner == 1:
				w.compute(&c)
			case inner >= fewColumns && p.goal == nil:
				c.hi = min(c.hi, (lo/inner+1)*inner)
				w.compute(&c)
			default:
				w.gathered(c)
			}
			lo = c.hi
		}
		if len(r.Left) > 1 { // found in several passes
			slices.Sort(r.Left)
			r.Left = slices.Compact(r.Left)
		}
		return 0, true
	}
}

// A rowCall is some rows of a range: x, t and dst begin with the first one.
type rowCall[F core.Float] struct {
	*rowCurve
	r         *core.Range[F]
	lo, hi    int
	inner     int
	x, t, dst []F
}

// compute computes rows.
func (w *rowWork[F]) compute(c *rowCall[F]) {
	n, cols, wrt := c.hi-c.lo, c.r.Dims.Cols, c.r.Wrt
	sums, factors := core.Fit(&w.sums, n), core.Fit(&w.factors, n)
	given := c.r.Factor[c.lo-c.r.Lo:][:n]
	x, t, dst := c.x, c.t, c.dst
	if c.swapped {
		x, t = t, x
	}
	value, slope := core.Fit(&w.value, n), core.Fit(&w.slope, n)
	if c.r.Values != nil {
		value = c.r.Values[c.lo-c.r.Lo:][:n]
	}
	var before []float64 // factors that are known before the values are
	if c.slopes != nil && dst != nil && c.terms[wrt].Loss.Scales() {
		before, slope = core.Fit(&w.before, n), nil
		for i, g := range given {
			before[i] = g * c.slopes[wrt]
		}
	}
	if dst != nil && c.inner == 1 {
		dst = dst[:n*cols]
	}
	switch {
	case !c.goal.plain(c.t == nil):
		w.goals(c, before)
	case c.inner == 1:
		tensorops.TermsOfRows(sums, dst, x, t, before, cols, &c.terms[wrt])
	default:
		tensorops.TermsOfColumns(sums, dst, x, t, before, cols, c.inner, &c.terms[wrt])
	}
	c.of(value, slope, sums, wrt)
	_, largest := normals[F]()
	whole := c.checked(value, slope, factors, dst == nil || before != nil)
	switch {
	case dst == nil || before != nil && whole:
	case c.inner > 1:
		for k := range cols {
			row := dst[k*c.inner:][:n]
			vec.Multiply(row, factors, row)
			if !vec.Within(row, F(-largest), F(largest)) {
				for i, v := range row {
					c.leaveUnless(core.Finite(float64(v)), i)
				}
			}
		}
	default:
		if before == nil {
			tensorops.ScaleRows(dst, factors, cols)
			c.leaveOverflow(dst, n)
		}
		for i := 0; i < n && !whole; i++ {
			if factors[i] == 0 {
				clear(dst[i*cols : (i+1)*cols])
			}
		}
	}
	if c.goal != nil && wrt == 1 && dst != nil {
		c.leaveZeros(n)
	}
}

// checked leaves rows of which the value or the factor of the derivative is no number to keep, which
// get 0 for both, as do rows with the factor 0. It turns slopes into factors, unless those are
// settled: then they are 1. It reports whether none is 0.
func (c *rowCall[F]) checked(value, slope []float64, factors []F, settled bool) (whole bool) {
	n := len(factors)
	given := c.r.Factor[c.lo-c.r.Lo:][:n]
	value, whole = value[:n], true
	if settled {
		for i, g := range given {
			if l := value[i]; g == 0 || l-l != 0 {
				if whole {
					for k := range factors {
						factors[k] = 1
					}
				}
				value[i], factors[i], whole = 0, 0, false
				c.leaveUnless(g == 0, i)
			}
		}
		return whole
	}
	least, largest := normals[F]()
	slope = slope[:n]
	for i, g := range given {
		l, f := value[i], g*slope[i]
		switch size := math.Abs(f); {
		case g == 0:
			l, f = 0, 0
		case l-l != 0 || f != 0 && !(size >= least && size <= largest):
			c.leaveUnless(false, i)
			l, f = 0, 0
		}
		whole = whole && f != 0
		value[i], factors[i] = l, F(f)
	}
	return whole
}

// leaveUnless leaves row i to the block function unless ok.
func (c *rowCall[F]) leaveUnless(ok bool, i int) {
	if ok {
		return
	}
	if c.r.Left = append(c.r.Left, c.lo+i); c.r.Values != nil {
		c.r.Values[c.lo-c.r.Lo+i] = 0
	}
}

// leaveOverflow leaves rows with a derivative that was beyond all numbers before it was scaled.
func (c *rowCall[F]) leaveOverflow(dst []F, n int) {
	_, largest := normals[F]()
	if cols := c.r.Dims.Cols; !vec.Within(dst, F(-largest), F(largest)) {
		for i := range n {
			c.leaveUnless(vec.Within(dst[i*cols:(i+1)*cols], F(-largest), F(largest)), i)
		}
	}
}

// normals returns the smallest and the largest normal number.
func normals[F core.Float]() (least, largest float64) {
	if core.DTypeOf[F]() == core.Float32 {
		return 0x1p-126, math.MaxFloat32
	}
	return 0x1p-1022, math.MaxFloat64
}

// gathered computes rows in copies that lie one after another.
func (w *rowWork[F]) gathered(c rowCall[F]) {
	n, cols := c.hi-c.lo, c.r.Dims.Cols
	of := func(buf *[]F, x []F) []F {
		if x == nil {
			return nil
		}
		to := core.Fit(buf, n*cols)
		packRows(to, x, &w.group, &c.r.Dims, c.lo, c.hi)
		return to
	}
	c.x, c.t, c.inner = of(&w.x, c.r.X[0]), of(&w.t, c.r.X[1]), 1
	if c.dst != nil {
		c.dst = core.Fit(&w.dst, n*cols)
	}
	w.compute(&c)
	if c.dst != nil {
		unpackRows(c.r.Dst, c.dst, &w.group, &c.r.Dims, c.lo, c.hi)
	}
}

// A mixedGoal is the target of a cross-entropy against probabilities: w·((1-ε)·t + ε/K), where K
// counts the classes whose probability is not 0, and the others get (1-ε)·w·t.
type mixedGoal struct {
	weights []float64 // w; nil: 1
	epsilon float64
}

// plain reports whether the target stands as it is.
func (g *mixedGoal) plain(labels bool) bool {
	return g == nil || g.weights == nil && g.epsilon == 0 && !labels
}

// goals computes rows one after another whose targets, which labels may stand for, are mixed, in
// float64.
func (w *rowWork[F]) goals(c *rowCall[F], before []float64) {
	n, cols, wrt := c.hi-c.lo, c.r.Dims.Cols, c.r.Wrt
	g, rest := c.goal, 1-c.goal.epsilon
	all, wide, dst := core.Fit(&w.mixed, n*cols), core.Widen(&w.wide, c.x[:n*cols]), []float64(nil)
	if c.dst != nil {
		dst = core.Fit(&w.slopes, n*cols)
	}
	for i := range n {
		x, u := wide[i*cols:][:cols], all[i*cols:][:cols]
		if c.t == nil {
			clear(u)
			if y := c.r.Labels[c.lo-c.r.Lo+i]; y >= 0 {
				u[y] = rest
			}
		} else {
			for k, v := range c.t[i*cols:][:cols] {
				u[k] = rest * float64(v)
			}
		}
		if g.epsilon > 0 {
			open := 0
			for _, p := range x {
				open += formula.Indicator(p != 0)
			}
			share := g.epsilon / float64(open)
			for k, p := range x {
				if p != 0 {
					u[k] += share
				}
			}
		}
		for k, v := range g.weights {
			u[k] *= v
		}
	}
	tensorops.TermsOfRows(w.sums, dst, wide, all, before, cols, &c.terms[wrt])
	for k, v := range dst {
		if wrt == 1 && g.weights != nil {
			v *= g.weights[k%cols]
		}
		c.dst[k] = F(v)
	}
}

// leaveZeros leaves rows with a probability of which the terms have no logarithm.
func (c *rowCall[F]) leaveZeros(n int) {
	least, largest := normals[F]()
	cols := c.r.Dims.Cols
	if vec.Within(c.x[:n*cols], F(least), F(largest)) {
		return
	}
	for i := range n {
		c.leaveUnless(vec.Within(c.x[i*cols:(i+1)*cols], F(least), F(largest)), i)
	}
}
