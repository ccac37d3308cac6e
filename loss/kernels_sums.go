package loss

import (
	"sync"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
)

// A pointSum is a loss of rows that is a sum of elementwise losses: l = common·Σ_c w_c·f(x_c, t_c).
type pointSum struct {
	point   tensorops.Point
	x       int       // the operand that f takes for x, and has the derivative by
	weights []float64 // w; nil: 1
	common  float64
}

// kernels makes the kernels of the loss.
func (p pointSum) kernels(d core.Dims) core.Kernels {
	return core.Kernels{F32: pointSumKernel[float32](p, d), F64: pointSumKernel[float64](p, d)}
}

func pointSumKernel[F core.Float](p pointSum, d core.Dims) core.Kernel[F] {
	if !tensorops.HasPoint[F](p.point) {
		return nil
	}
	return func(r *core.Range[F]) (sum float64, ok bool) {
		if r.Dst != nil && r.Wrt != p.x {
			return 0, false
		}
		w := core.PoolOf[F](&sumWorks32, &sumWorks64).Get().(*sumWork[F])
		defer core.PoolOf[F](&sumWorks32, &sumWorks64).Put(w)
		w.pointSum, w.r = p, r
		w.sums = core.Fit(&w.sums, r.Hi-r.Lo)
		clear(w.sums)
		switch {
		case d.Inner == 1:
			w.rows(r.X[p.x], r.X[1-p.x], r.Dst, 0, r.Hi-r.Lo, r.Lo)
		default:
			for lo := r.Lo; lo < r.Hi; {
				hi := min(r.Hi, (lo/d.Inner+1)*d.Inner)
				if d.Inner >= fewBeside { // whatever is computed beside a row
					w.classes(lo, hi)
				} else {
					w.gathered(lo, hi)
				}
				lo = hi
			}
		}
		defer func() { w.r = nil }()
		for i, l := range w.sums {
			if r.Factor[i] != 0 && !core.Finite(l) {
				r.Left, w.sums[i] = append(r.Left, r.Lo+i), 0
			}
		}
		copy(r.Values, w.sums)
		return 0, true
	}
}

const (
	// sumLen is the number of elements that are computed together.
	sumLen = 4096
	// longRow is the number of classes from which a row is computed by itself.
	longRow = 256
	// fewBeside is the number of rows side by side below which they are copied.
	fewBeside = 32
)

// sumWork is the memory of a range.
type sumWork[F core.Float] struct {
	pointSum
	r         *core.Range[F]
	sums      []float64
	values, w []F
	factors   []F
	x, t, dst []F // rows that are copied
	group     []F // what those side by side are copied through
}

var (
	sumWorks32 = sync.Pool{New: func() any { return new(sumWork[float32]) }}
	sumWorks64 = sync.Pool{New: func() any { return new(sumWork[float64]) }}
)

// tile writes factor·weights to a row; nil stands for weights of 1.
func (w *sumWork[F]) tile(row []F, factor float64, weights []float64) {
	if weights == nil {
		f := F(factor)
		for c := range row {
			row[c] = f
		}
		return
	}
	for c, v := range weights {
		row[c] = F(factor * v)
	}
}

// equalFactors reports whether the factors are one number other than 0, and whether none is 0.
func equalFactors(g []float64) (same, all bool) {
	same, all = g[0] != 0, true
	for _, v := range g {
		same, all = same && v == g[0], all && v != 0
	}
	return same, all
}

// rounded is a factor as it is among weights, so that a row's derivative is the same beside others.
func rounded[F core.Float](factor float64) float64 { return float64(F(factor)) }

// weight returns what the terms of class c are multiplied with.
func (w *sumWork[F]) weight(c int) float64 {
	if w.weights == nil {
		return w.common
	}
	return w.weights[c] * w.common
}

// rows computes the rows from lo to hi of the range, of which row 0 is row first of x, t and dst.
func (w *sumWork[F]) rows(x, t, dst []F, lo, hi, first int) {
	cols := w.r.Dims.Cols
	step := max(1, sumLen/cols)
	if cols >= longRow {
		step = 1
	}
	for a := lo; a < hi; a += step {
		b := min(hi, a+step)
		from, to := (first+a)*cols, (first+b)*cols
		d := tensorops.PointData[F]{X: x[from:to], T: t[from:to]}
		if dst != nil {
			d.Dst = dst[from:to]
		}
		if step == 1 {
			w.long(&d, a)
			continue
		}
		w.short(&d, a, b)
	}
}

// long computes row i of the range.
func (w *sumWork[F]) long(d *tensorops.PointData[F], i int) {
	g := w.r.Factor[i]
	if g == 0 {
		clear(d.Dst)
		return
	}
	if w.weights != nil {
		d.W = core.Fit(&w.w, len(d.X))
		for c := range d.W {
			d.W[c] = F(w.weights[c])
		}
	}
	w.sums[i] = tensorops.PointSum(w.point, d, g*w.common) * w.common
}

// short computes the rows from a to b of the range together. Where their factors differ, and under
// class weights, the derivatives are multiplied with these afterwards.
func (w *sumWork[F]) short(d *tensorops.PointData[F], a, b int) {
	g, cols := w.r.Factor[a:b], w.r.Dims.Cols
	same, all := equalFactors(g)
	same = same && w.weights == nil
	if d.Values = core.Fit(&w.values, len(d.X)); w.weights != nil || !all {
		d.W = core.Fit(&w.w, len(d.X))
		for i, v := range g {
			w.tile(d.W[i*cols:][:cols], float64(formula.Indicator(v != 0)), w.weights)
		}
	}
	one := 1.0
	if same {
		one = rounded[F](g[0] * w.common)
	}
	tensorops.PointSum(w.point, d, one)
	sums := w.sums[a:b]
	tensorops.RowTotals(sums, d.Values, cols)
	formula.Scale(sums, w.common)
	if same || d.Dst == nil {
		return
	}
	factors := core.Fit(&w.factors, len(g))
	for i, v := range g {
		factors[i] = F(v * w.common)
	}
	tensorops.ScaleRows(d.Dst, factors, cols)
}

// classes computes the rows from lo to hi, which lie side by side, class by class.
func (w *sumWork[F]) classes(lo, hi int) {
	r, n := w.r, hi-lo
	g, sums := r.Factor[lo-r.Lo:][:n], w.sums[lo-r.Lo:][:n]
	same, all := equalFactors(g)
	values, at := core.Fit(&w.values, n), r.Dims.Place(lo)
	if !same {
		w.w = core.Fit(&w.w, n)
	}
	for c := range r.Dims.Cols {
		weight := w.weight(c)
		d := tensorops.PointData[F]{X: r.X[w.pointSum.x][at:][:n], T: r.X[1-w.pointSum.x][at:][:n], Values: values}
		var dst []F
		if r.Dst != nil {
			dst = r.Dst[at:][:n]
		}
		if d.Dst = dst; !same {
			d.Dst = nil
			if !all {
				d.W = w.w
				for i, v := range g {
					d.W[i] = F(formula.Indicator(v != 0))
				}
			}
		}
		tensorops.PointSum(w.point, &d, rounded[F](g[0]*weight))
		for i, v := range values {
			sums[i] += weight * float64(v)
		}
		if !same && dst != nil {
			d.W = w.w
			for i, v := range g {
				d.W[i] = F(v * weight)
			}
			d.Values, d.Dst = nil, dst
			tensorops.PointSum(w.point, &d, 1)
		}
		at += r.Dims.Inner
	}
}

// gathered computes the rows from lo to hi in copies that lie one after another.
func (w *sumWork[F]) gathered(lo, hi int) {
	r, cols := w.r, w.r.Dims.Cols
	step := max(1, sumLen/cols)
	for a := lo; a < hi; a += step {
		n := min(step, hi-a)
		x, t := core.Fit(&w.x, n*cols), core.Fit(&w.t, n*cols)
		var dst []F
		if r.Dst != nil {
			dst = core.Fit(&w.dst, n*cols)
		}
		packRows(x, r.X[w.pointSum.x], &w.group, &r.Dims, a, a+n)
		packRows(t, r.X[1-w.pointSum.x], &w.group, &r.Dims, a, a+n)
		w.rows(x, t, dst, a-r.Lo, a-r.Lo+n, r.Lo-a)
		if dst != nil {
			unpackRows(r.Dst, dst, &w.group, &r.Dims, a, a+n)
		}
	}
}

// gaussianKernels are those of StandardGaussianKL, whose derivative by the mean is the mean.
func gaussianKernels(_ *core.Settings, d core.Dims) core.Kernels {
	p := pointSum{point: tensorops.Point{Loss: tensorops.StandardGaussian}, x: 1, common: 1}
	return core.Kernels{F32: withMean(pointSumKernel[float32](p, d)), F64: withMean(pointSumKernel[float64](p, d))}
}

func withMean[F core.Float](k core.Kernel[F]) core.Kernel[F] {
	return func(r *core.Range[F]) (sum float64, ok bool) {
		if r.Dst == nil || r.Wrt != 0 {
			return k(r)
		}
		values := *r
		values.Dst = nil
		if sum, ok = k(&values); !ok {
			return sum, ok
		}
		if r.Dims.Inner == 1 {
			for i, g := range r.Factor {
				at := (r.Lo + i) * r.Dims.Cols
				scaledRow(r.Dst[at:][:r.Dims.Cols], r.X[0][at:], F(g))
			}
			return sum, true
		}
		for lo := r.Lo; lo < r.Hi; {
			hi, g := lo+1, r.Factor[lo-r.Lo]
			for hi < r.Hi && hi%r.Dims.Inner != 0 && r.Factor[hi-r.Lo] == g {
				hi++
			}
			at := r.Dims.Place(lo)
			for range r.Dims.Cols {
				scaledRow(r.Dst[at:][:hi-lo], r.X[0][at:], F(g))
				at += r.Dims.Inner
			}
			lo = hi
		}
		return sum, true
	}
}

// scaledRow writes g·x, and 0 for a g of 0 whatever x is.
func scaledRow[F core.Float](dst, x []F, g F) {
	if g == 0 {
		clear(dst)
		return
	}
	for i, v := range x[:len(dst)] {
		dst[i] = g * v
	}
}
