package loss

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// Rows of few classes are computed in float64, many rows at a time: one call of an elementary function serves thousands of
// elements. The formulas are those of the row functions, which remain for what is not here.

// few is memory for a range of rows: their exponentials and logarithms, and for each row its largest element, the sum of
// the other exponentials and the logarithm of their sum, as in soft.
type few struct {
	x, t          []float64 // operands in float64
	e, log        []float64
	max, rest, l1 []float64
	top           []int // where the largest element stands first
	part          batch[float64]
}

var fewPool = sync.Pool{New: func() any { return new(few) }}

// fit returns n elements of *buf.
func fit[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, max(n, 1024))
	}
	return (*buf)[:n]
}

// softmax computes e, max, rest and l1 of logits that are divided by the temperature, which happens to b.x. Where a row is
// all -Inf, has a +Inf or a NaN, rest and l1 are NaN.
func (w *few) softmax(b *batch[float64], temperature float64) {
	rows := len(b.g)
	e := fit(&w.e, len(b.x))
	w.max, w.rest, w.l1, w.top = fit(&w.max, rows), fit(&w.rest, rows), fit(&w.l1, rows), fit(&w.top, rows)
	w.cool(b, temperature)
	for i := range rows {
		x := b.x[i*b.cols : (i+1)*b.cols]
		d := e[i*b.cols:][:len(x)]
		top := largest(x)
		at := 0
		for at < len(x)-1 && x[at] != top {
			at++
		}
		for c, v := range x {
			d[c] = v - top
		}
		d[at] = math.Inf(-1) // the first of the largest is left out of the sum
		w.max[i], w.top[i] = top, at
	}
	vec.Exp(e, e)
	for i := range rows {
		row, rest := e[i*b.cols:(i+1)*b.cols], 0.0
		for _, v := range row {
			rest += v
		}
		row[w.top[i]] = 1
		if top := w.max[i]; top-top != 0 {
			rest = math.NaN()
		}
		w.rest[i] = rest
	}
	vec.Log1p(w.l1, w.rest)
}

// cool divides b.x by the temperature, not in place where it is an operand.
func (w *few) cool(b *batch[float64], temperature float64) {
	if temperature == 1 {
		return
	}
	z := fit(&w.x, len(b.x)) // b.x itself for float32 rows
	for i, v := range b.x {
		z[i] = v / temperature
	}
	b.x = z
}

// largest returns the largest element of x, or a NaN, without a branch for each. Bits of numbers are ordered as integers are once
// those of negative numbers are turned over; NaN lies at the ends.
func largest(x []float64) float64 {
	best := int64(math.MinInt64)
	for _, v := range x {
		key := int64(math.Float64bits(v))
		key ^= int64(uint64(key>>63) >> 1)
		if key > best {
			best = key
		}
	}
	best ^= int64(uint64(best>>63) >> 1)
	return math.Float64frombits(uint64(best))
}

// others returns Σ p over the classes of row i but the one whose exponential is e.
func (w *few) others(i int, e float64) float64 {
	rest := w.rest[i]
	if e == 1 {
		return rest / (1 + rest)
	}
	return (1 + (rest - e)) / (1 + rest)
}

// labels is the cross-entropy against labels, times the weights of their classes unless those are nil.
func (w *few) labels(values, dst []float64, b *batch[float64], weights []float64, temperature float64) bool {
	w.softmax(b, temperature)
	for i, y := range b.labels {
		lo := i * b.cols
		row := w.e[lo : lo+b.cols]
		g := b.g[i]
		l, weight := 0.0, 1.0
		own := 0.0
		if y >= 0 && weights != nil {
			weight = weights[y]
		}
		if y >= 0 && g != 0 {
			own = row[y]
			l = w.max[i] - b.x[lo+y] + w.l1[i]
			if weight != 1 && l == l {
				l = times(weight, l)
			}
		} else {
			g, y = 0, -1
		}
		if values != nil {
			values[i] = l
		}
		if dst == nil {
			continue
		}
		out := dst[lo : lo+b.cols]
		if y < 0 {
			clear(out)
			continue
		}
		sum := 1 + w.rest[i]
		if temperature == 1 && weight == 1 {
			for c, e := range row {
				out[c] = g * (e / sum)
			}
		} else {
			for c, e := range row {
				out[c] = g * (weight * (e / sum) / temperature)
			}
		}
		out[y] = g * (-weight * w.others(i, own) / temperature)
	}
	return true
}

// soft is the cross-entropy against soft targets, or with kl the divergence.
func (w *few) soft(values, dst []float64, b *batch[float64], temperature float64, kl bool) bool {
	w.softmax(b, temperature)
	if kl {
		vec.Log(fit(&w.log, len(b.t)), b.t)
		w.log = w.log[:len(b.t)]
	}
	valid := true
	for i, g := range b.g {
		lo, hi := i*b.cols, (i+1)*b.cols
		x, t, row := b.x[lo:hi], b.t[lo:hi], w.e[lo:hi]
		l, mass := 0.0, 0.0
		if g != 0 {
			base := w.max[i]
			l1 := w.l1[i]
			for c, q := range t {
				if q == 0 {
					continue
				}
				valid = valid && q > 0 && q <= math.MaxFloat64
				nll := base - x[c] + l1
				if kl {
					nll += w.log[lo+c]
				}
				l += q * nll
				mass += q
			}
			if l1 != l1 {
				l = l1
			}
		}
		if values != nil {
			values[i] = l
		}
		if dst == nil {
			continue
		}
		out := dst[lo:hi]
		if g == 0 {
			clear(out)
			continue
		}
		sum := 1 + w.rest[i]
		for c, e := range row {
			d := mass*(e/sum) - t[c]
			if t[c] == mass {
				d = -mass * w.others(i, e)
			}
			if temperature != 1 {
				d /= temperature
			}
			out[c] = g * d
		}
	}
	return valid
}

// crossEntropyFew is the cross-entropy without softcap, z-loss and smoothing, for soft targets without class weights.
func crossEntropyFew(s *spec) fewFunc {
	set := &s.set
	if set.softcap != 0 || set.zloss != 0 || set.smoothing != 0 || set.classWeights != nil && !s.hasLabels() {
		return nil
	}
	if s.hasLabels() {
		return func(w *few, values, dst []float64, b *batch[float64]) bool {
			return w.labels(values, dst, b, set.classWeights, set.temperature)
		}
	}
	return func(w *few, values, dst []float64, b *batch[float64]) bool {
		return w.soft(values, dst, b, set.temperature, false)
	}
}

// klFew is the divergence from targets of probabilities.
func klFew(s *spec) fewFunc {
	if s.set.logTarget || s.set.targetLogits {
		return nil
	}
	return func(w *few, values, dst []float64, b *batch[float64]) bool {
		return w.soft(values, dst, b, s.set.temperature, true)
	}
}

// A fewFunc writes the values of a range of rows and their gradients by the logits, to what is not nil. It
// reports whether the targets lie in their domain. dst may be w.e.
type fewFunc func(w *few, values, dst []float64, b *batch[float64]) (valid bool)

// fewDirect makes kernels of f for operands of any dtype: each result is rounded once.
func fewDirect[F float](f fewFunc) *direct[F] {
	d := new(direct[F])
	d.values = func(values []float64, b *batch[F]) bool { return inFloat64(values, nil, b, f) }
	d.grad[0] = func(values []float64, dst []F, b *batch[F]) bool { return inFloat64(values, dst, b, f) }
	return d
}

// inFloat64 runs f on ranges of the rows in float64.
func inFloat64[F float](values []float64, dst []F, b *batch[F], f fewFunc) (valid bool) {
	rows := len(b.g)
	step := max(1, grain/b.cols)
	if rows <= step {
		return rangeInFloat64(values, dst, b, 0, rows, f)
	}
	var invalid atomic.Bool
	tensorops.ParallelFor(rows, step, func(lo, hi int) {
		if !rangeInFloat64(values, dst, b, lo, hi, f) {
			invalid.Store(true)
		}
	})
	return !invalid.Load()
}

// rangeInFloat64 runs f on the rows from first up to end.
func rangeInFloat64[F float](values []float64, dst []F, b *batch[F], first, end int, f fewFunc) (valid bool) {
	w := fewPool.Get().(*few)
	defer fewPool.Put(w)
	lo, hi := first*b.cols, end*b.cols
	part := &w.part
	*part = batch[float64]{x: inWide(&w.x, b.x[lo:hi]), cols: b.cols, labels: b.labels[first:end], g: b.g[first:end]}
	if b.t != nil {
		part.t = inWide(&w.t, b.t[lo:hi])
	}
	var to []float64
	if values != nil {
		values = values[first:end]
	}
	if d, ok := any(dst).([]float64); ok && dst != nil {
		to = d[lo:hi]
	} else if dst != nil {
		to = fit(&w.e, hi-lo)
	}
	valid = f(w, values, to, part)
	if narrow, ok := any(dst).([]float32); ok && dst != nil {
		vec.Narrow(narrow[lo:hi], to, 1)
	}
	*part = batch[float64]{} // the operands' memory is not to be kept
	return valid
}

// inWide returns x in float64, in *buf where that takes memory.
func inWide[F float](buf *[]float64, x []F) []float64 {
	switch x := any(x).(type) {
	case []float64:
		return x
	case []float32:
		z := fit(buf, len(x))
		vec.Widen(z, x)
		return z
	}
	panic("unreachable: float is float32 or float64")
}
