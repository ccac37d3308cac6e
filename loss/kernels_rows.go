package loss

import (
	"math"
	"sync"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A tile is some of the rows of a loss, those that count, with the classes of each one after
// another: the operands' own memory, or a copy where rows are left out or have another layout.
type tile[F core.Float] struct {
	rows, cols int
	x          [2][]F
	labels     []int     // nil for a soft target
	factor     []float64 // what the derivative is multiplied with
	values     []float64
	dst        []F // receives the derivative by operand wrt; nil: not requested
	wrt        int

	tileMemory[F]
}

// tileMemory is what a tile computes in; the arrays of numbers are the functions' own.
type tileMemory[F core.Float] struct {
	at, kept        []int
	packed          [2][]F
	out, group      []F
	factors, losses []float64
	wide            [2][]float64
	numbers         tileNumbers
}

// A tileFunc computes a tile: the values and the derivative, in full. It reports false where a row
// is the block function's.
type tileFunc[F core.Float] func(t *tile[F]) bool

var (
	tiles32 = sync.Pool{New: func() any { return new(tile[float32]) }}
	tiles64 = sync.Pool{New: func() any { return new(tile[float64]) }}
)

// tileLen is the number of entries of a tile: few enough that all of it stays in the nearest cache, in
// float64 too.
const tileLen = 2048

// tiles makes the kernels of a loss of rows that are computed tile by tile. f makes the functions
// of a tile without class weights; x and y are the domains of the operands.
func tiles(x, y core.Domain, f32 func(*core.Settings) tileFunc[float32], f64 func(*core.Settings) tileFunc[float64]) func(*core.Settings, core.Dims) core.Kernels {
	return func(s *core.Settings, d core.Dims) core.Kernels {
		if d.Cols == 1 { // a row of one class is a special case of most formulas
			return core.Kernels{}
		}
		holds := [2]core.Domain{x, y}
		return core.Kernels{F32: tileKernel(s, holds, f32(s)), F64: tileKernel(s, holds, f64(s))}
	}
}

func tileKernel[F core.Float](s *core.Settings, holds [2]core.Domain, f tileFunc[F]) core.Kernel[F] {
	weights := s.ClassWeights
	return func(r *core.Range[F]) (sum float64, ok bool) {
		if r.Dst != nil && r.Wrt == 1 && weights != nil { // they multiply targets
			return 0, false
		}
		pool := core.PoolOf[F](&tiles32, &tiles64)
		t := pool.Get().(*tile[F])
		defer func() {
			*t = tile[F]{tileMemory: t.tileMemory}
			pool.Put(t)
		}()
		t.cols, t.wrt = r.Dims.Cols, r.Wrt
		step := max(1, tileLen/t.cols)
		if r.Dims.Inner > 1 {
			step = max(step&^(tensorops.BesideRows-1), tensorops.BesideRows)
		}
		for lo := r.Lo; lo < r.Hi; lo += step {
			hi := min(r.Hi, lo+step)
			own := t.take(r, lo, hi)
			for k, d := range holds {
				if t.x[k] != nil && d.Checked() && !core.HoldsAll(d, t.x[k]) {
					return math.NaN(), false
				}
			}
			mass := t.weigh(weights)
			if t.rows > 0 && !f(t) {
				return math.NaN(), false
			}
			for i := range mass {
				t.values[i] = formula.Times(mass[i], t.values[i])
			}
			if !own {
				t.give(r, lo, hi)
			}
		}
		return 0, true
	}
}

// take makes a tile of the rows from lo to hi of a range. It reports whether the tile is their own
// memory.
func (t *tile[F]) take(r *core.Range[F], lo, hi int) (own bool) {
	labels, factor := r.Labels[lo-r.Lo:hi-r.Lo], r.Factor[lo-r.Lo:hi-r.Lo]
	soft := r.X[1] != nil
	t.at = core.Fit(&t.at, hi-lo)[:0]
	for i, g := range factor {
		if g != 0 && (soft || labels[i] >= 0) {
			t.at = append(t.at, i)
		}
	}
	t.rows = len(t.at)
	n := t.rows * t.cols
	own = t.rows == hi-lo && r.Dims.Inner == 1
	t.dst = nil
	if own {
		from, to := lo*t.cols, hi*t.cols
		for k := range t.x {
			if t.x[k] = nil; r.X[k] != nil {
				t.x[k] = r.X[k][from:to]
			}
		}
		t.labels, t.factor = labels, factor
		if r.Dst != nil {
			t.dst = r.Dst[from:to]
		}
		if t.values = core.Fit(&t.losses, t.rows); r.Values != nil {
			t.values = r.Values[lo-r.Lo : hi-r.Lo]
		}
	} else {
		t.labels, t.factor = core.Fit(&t.kept, t.rows), core.Fit(&t.factors, t.rows)
		for i, at := range t.at {
			t.labels[i], t.factor[i] = labels[at], factor[at]
		}
		for k := range t.x {
			if t.x[k] = nil; r.X[k] != nil {
				t.x[k] = t.pack(core.Fit(&t.packed[k], (hi-lo)*t.cols), r.X[k], r, lo, hi)
			}
		}
		if r.Dst != nil {
			t.dst = core.Fit(&t.out, (hi-lo)*t.cols)[:n]
		}
		t.values = core.Fit(&t.losses, t.rows)
	}
	if soft {
		t.labels = nil
	}
	return own
}

// pack copies the rows from lo to hi of a range that count to dst, and returns them.
func (t *tile[F]) pack(dst, x []F, r *core.Range[F], lo, hi int) []F {
	if r.Dims.Inner > 1 {
		packRows(dst, x, &t.group, &r.Dims, lo, hi)
		x, lo = dst, 0
	}
	for i, at := range t.at {
		copy(dst[i*t.cols:][:t.cols], x[(lo+at)*t.cols:])
	}
	return dst[:t.rows*t.cols]
}

// packRows copies the rows from lo to hi of an operand whose classes lie apart to dst, one after
// another; those side by side go through group.
func packRows[F core.Float](dst, x []F, group *[]F, d *core.Dims, lo, hi int) {
	for i := lo; i < hi; i++ {
		at, to := d.Place(i), (i-lo)*d.Cols
		if beside(d, i, hi) {
			tensorops.GatherBeside(dst[to:], core.Fit(group, tensorops.BesideRows*d.Cols), x[at:], d.Inner, d.Cols)
			i += tensorops.BesideRows - 1
			continue
		}
		for c := range d.Cols {
			dst[to+c] = x[at]
			at += d.Inner
		}
	}
}

// unpackRows is packRows turned round: it copies the rows of src to dst.
func unpackRows[F core.Float](dst, src []F, group *[]F, d *core.Dims, lo, hi int) {
	for i := lo; i < hi; i++ {
		at, from := d.Place(i), (i-lo)*d.Cols
		if beside(d, i, hi) {
			tensorops.ScatterBeside(dst[at:], core.Fit(group, tensorops.BesideRows*d.Cols), src[from:], d.Inner, d.Cols)
			i += tensorops.BesideRows - 1
			continue
		}
		for _, v := range src[from:][:d.Cols] {
			dst[at] = v
			at += d.Inner
		}
	}
}

// beside reports whether as many rows from i on as are copied together lie side by side before hi.
func beside(d *core.Dims, i, hi int) bool {
	return i+tensorops.BesideRows <= min(hi, (i/d.Inner+1)*d.Inner)
}

// give copies a tile's results to the rows from lo to hi of a range, and 0 to those that do not
// count.
func (t *tile[F]) give(r *core.Range[F], lo, hi int) {
	if r.Values != nil {
		values := r.Values[lo-r.Lo : hi-r.Lo]
		clear(values)
		for i, at := range t.at {
			values[at] = t.values[i]
		}
	}
	if r.Dst == nil {
		return
	}
	inner := r.Dims.Inner
	all := t.out[:(hi-lo)*t.cols]
	if inner == 1 {
		all = r.Dst[lo*t.cols : hi*t.cols]
	}
	// from the last row on, because rows may move within their memory
	for i, left := hi-lo-1, t.rows-1; i >= 0; i-- {
		row := all[i*t.cols:][:t.cols]
		if left >= 0 && t.at[left] == i {
			copy(row, t.dst[left*t.cols:])
			left--
		} else {
			clear(row)
		}
	}
	if inner > 1 {
		unpackRows(r.Dst, all, &t.group, &r.Dims, lo, hi)
	}
}

// weigh multiplies the factors by the class weights that the rows' targets have, and returns these;
// nil: without class weights.
func (t *tile[F]) weigh(weights []float64) (mass []float64) {
	if weights == nil {
		return nil
	}
	mass = core.Fit(&t.numbers.mass, t.rows)
	factor := core.Fit(&t.numbers.weighed, t.rows)
	if t.labels == nil && t.rows > 0 {
		tensorops.RowDots(mass, t.x[1], weights)
	}
	for i := range mass {
		if t.labels != nil {
			mass[i] = weights[t.labels[i]]
		}
		factor[i] = mass[i] * t.factor[i]
	}
	t.factor = factor
	return mass
}

// row returns row i of an array of the tile.
func (t *tile[F]) row(x []F, i int) []F { return x[i*t.cols:][:t.cols:t.cols] }

// inFloat64 returns operand k in float64: its own memory where it is that already.
func (t *tile[F]) inFloat64(k int) []float64 { return core.Widen(&t.wide[k], t.x[k]) }

// narrowTo writes factor·x to dst.
func narrowTo[F core.Float](dst []F, x []float64, factor float64) {
	switch d := any(dst).(type) {
	case []float32:
		vec.Narrow(d, x, factor)
	case []float64:
		formula.Blend(d, x, x, factor, 0)
	}
}
