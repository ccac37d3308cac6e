package loss

import (
	"math"
	"sync"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
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
	at, kept, places []int
	packed           [2][]F
	out              []F
	factors, losses  []float64
	wide             [2][]float64
	numbers          tileNumbers
}

// A tileFunc computes a tile: the values and the derivative, in full. It reports false where a row
// is the block function's.
type tileFunc[F core.Float] func(t *tile[F]) bool

var (
	tiles32 = sync.Pool{New: func() any { return new(tile[float32]) }}
	tiles64 = sync.Pool{New: func() any { return new(tile[float64]) }}
)

const (
	// tileLen is the number of entries of a tile: few enough that all of it stays in the nearest
	// cache, in float64 too.
	tileLen = 2048
	// tileBeside is the least number of rows of a tile whose classes lie apart.
	tileBeside = 16
)

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
			step = max(step, tileBeside)
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
		t.places = core.Fit(&t.places, t.rows)
		t.labels, t.factor = core.Fit(&t.kept, t.rows), core.Fit(&t.factors, t.rows)
		for i, at := range t.at {
			t.places[i], t.labels[i], t.factor[i] = r.Dims.Place(lo+at), labels[at], factor[at]
		}
		for k := range t.x {
			if t.x[k] = nil; r.X[k] != nil {
				t.x[k] = core.Fit(&t.packed[k], n)
				t.pack(t.x[k], r.X[k], r.Dims.Inner)
			}
		}
		if r.Dst != nil {
			t.dst = core.Fit(&t.out, n)
		}
		t.values = core.Fit(&t.losses, t.rows)
	}
	if soft {
		t.labels = nil
	}
	return own
}

// pack copies the rows at places to dst.
func (t *tile[F]) pack(dst, x []F, inner int) {
	if inner == 1 {
		for i, p := range t.places {
			copy(dst[i*t.cols:][:t.cols], x[p:])
		}
		return
	}
	for c := range t.cols {
		x, to := x[c*inner:], c
		for _, p := range t.places {
			dst[to] = x[p]
			to += t.cols
		}
	}
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
	inner, next := r.Dims.Inner, 0
	for i := range hi - lo {
		if next < t.rows && t.at[next] == i {
			next++
			continue
		}
		at := r.Dims.Place(lo + i)
		for range t.cols {
			r.Dst[at] = 0
			at += inner
		}
	}
	if inner == 1 {
		for i, p := range t.places {
			copy(r.Dst[p:][:t.cols], t.dst[i*t.cols:])
		}
		return
	}
	for c := range t.cols {
		dst, from := r.Dst[c*inner:], c
		for _, p := range t.places {
			dst[p] = t.dst[from]
			from += t.cols
		}
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
	for i := range mass {
		if t.labels != nil {
			mass[i] = weights[t.labels[i]]
		} else {
			mass[i] = 0
			for c, v := range t.row(t.x[1], i) {
				mass[i] += weights[c] * float64(v)
			}
		}
		factor[i] = mass[i] * t.factor[i]
	}
	t.factor = factor
	return mass
}

// row returns row i of an array of the tile.
func (t *tile[F]) row(x []F, i int) []F { return x[i*t.cols:][:t.cols:t.cols] }

// inFloat64 returns operand k in float64: its own memory where it is that already.
func (t *tile[F]) inFloat64(k int) []float64 {
	switch x := any(t.x[k]).(type) {
	case []float64:
		return x
	case []float32:
		wide := core.Fit(&t.wide[k], len(x))
		vec.Widen(wide, x)
		return wide
	}
	return nil
}

// narrowTo writes factor·x to dst.
func narrowTo[F core.Float](dst []F, x []float64, factor float64) {
	switch d := any(dst).(type) {
	case []float32:
		vec.Narrow(d, x, factor)
	case []float64:
		formula.Blend(d, x, x, factor, 0)
	}
}
