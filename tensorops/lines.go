package tensorops

import (
	"sync"
	"unsafe"

	"gorgonia.org/tensor"
)

// runDense runs a row operation along an axis of x. dd and xd are the memory of dst and x, from
// their first elements on. Only shapes and strides are trusted: a Dense's own flags call
// column-major tensors ordinary.
func runDense[F Float](op rowOp, dst, x *tensor.Dense, dd, xd []F, axis int) {
	shape, xs, ds := x.Shape(), stridesOf(x), stridesOf(dst)
	reduces := op == opLogSumExp
	inPlace := !reduces && &dd[0] == &xd[0] && equal(xs, ds)
	if !inPlace && overlap(dd, xd) {
		xd, xs = copied(x, xd), packed(shape)
	}
	last := axis == len(shape)-1
	if last && rowMajor(shape, xs, len(shape)) && rowMajor(dst.Shape(), ds, len(ds)) {
		n := shape.TotalSize()
		rows := n / shape[axis]
		out := rows
		if !reduces {
			out = n
		}
		runRows(rowJob[F]{op: op, dst: dd[:out], x: xd[:n], cols: shape[axis]}, rows)
		return
	}
	pool := poolOf[F](&lines32, &lines64)
	j := pool.Get().(*lineJob[F])
	*j = lineJob[F]{op: op, dst: dd, x: xd, shape: shape, xs: xs, ds: ds, axis: axis, reduces: reduces}
	rows := shape.TotalSize() / shape[axis]
	if grain := max(tileLines, chunkLen/shape[axis]); rows*shape[axis] >= serialLen {
		parallel(rows, grain, j)
	} else {
		j.run(0, rows)
	}
	*j = lineJob[F]{}
	pool.Put(j)
}

// stridesOf returns the strides of t. Where all axes but one have length 1, a Dense may have one
// stride or none.
func stridesOf(t *tensor.Dense) []int {
	strides := t.Strides()
	if len(strides) == t.Dims() {
		return strides
	}
	step := 1
	if len(strides) > 0 {
		step = strides[0]
	}
	out := make([]int, t.Dims())
	for i := range out {
		out[i] = step
	}
	return out
}

// rowMajor reports whether the strides are those of a row-major tensor; axes of length 1 may have
// any.
func rowMajor(shape, strides []int, rank int) bool {
	want := 1
	for i := rank - 1; i >= 0; i-- {
		if shape[i] != 1 && strides[i] != want {
			return false
		}
		want *= shape[i]
	}
	return true
}

func overlap[F Float](a, b []F) bool {
	size := unsafe.Sizeof(a[0])
	p, q := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))
	return p < q+uintptr(len(b))*size && q < p+uintptr(len(a))*size
}

// packed returns the strides of a row-major tensor.
func packed(shape tensor.Shape) []int {
	n, strides := 1, make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = n
		n *= shape[i]
	}
	return strides
}

// offset returns where element i, counted row-major over all axes but skip, begins in memory.
func offset(i int, shape, strides []int, skip int) int {
	at := 0
	for d := len(shape) - 1; d >= 0; d-- {
		if d != skip {
			at += i % shape[d] * strides[d]
			i /= shape[d]
		}
	}
	return at
}

// lineJob is an operation along an axis of tensors that are not both row-major with that axis last.
type lineJob[F Float] struct {
	op            rowOp
	dst, x        []F
	shape, xs, ds []int
	axis          int
	reduces       bool
}

// tileLines lines are gathered together: neighbours in memory are mostly neighbours in the other
// axes.
const tileLines = 16

// run handles lines lo to hi. Lines whose elements are not adjacent are gathered into contiguous
// rows and the result is scattered.
func (j *lineJob[F]) run(lo, hi int) {
	n := j.shape[j.axis]
	buf := poolOf[F](&buffers32, &buffers64)
	b := buf.Get().(*[]F)
	tile := min(hi-lo, max(1, min(tileLines, (1<<20)/n)))
	if cap(*b) < tile*n+tile {
		*b = make([]F, tile*n+tile)
	}
	rows, sums := (*b)[:tile*n], (*b)[tile*n:tile*n+tile]
	for ; lo < hi; lo += tile {
		m := min(tile, hi-lo)
		j.gather(rows, lo, m, n)
		job := rowJob[F]{op: j.op, dst: rows[:m*n], x: rows[:m*n], cols: n}
		if j.reduces {
			job.dst = sums[:m]
		}
		job.run(0, m)
		j.scatter(job.dst, lo, m, n)
	}
	buf.Put(b)
}

func (j *lineJob[F]) gather(rows []F, line, m, n int) {
	step := j.xs[j.axis]
	for l := range m {
		at := offset(line+l, j.shape, j.xs, j.axis)
		row := rows[l*n : l*n+n]
		for i := range row {
			row[i] = j.x[at+i*step]
		}
	}
}

func (j *lineJob[F]) scatter(rows []F, line, m, n int) {
	if j.reduces {
		for l, v := range rows {
			j.dst[j.reducedOffset(line+l)] = v
		}
		return
	}
	step := j.ds[j.axis]
	for l := range m {
		at := offset(line+l, j.shape, j.ds, j.axis)
		for i, v := range rows[l*n : l*n+n] {
			j.dst[at+i*step] = v
		}
	}
}

// reducedOffset is offset in a dst that lacks the axis.
func (j *lineJob[F]) reducedOffset(i int) int {
	at, s := 0, len(j.ds)-1
	for d := len(j.shape) - 1; d >= 0; d-- {
		if d != j.axis {
			at += i % j.shape[d] * j.ds[s]
			i /= j.shape[d]
			s--
		}
	}
	return at
}

var (
	lines32   = sync.Pool{New: func() any { return new(lineJob[float32]) }}
	lines64   = sync.Pool{New: func() any { return new(lineJob[float64]) }}
	buffers32 = sync.Pool{New: func() any { return new([]float32) }}
	buffers64 = sync.Pool{New: func() any { return new([]float64) }}
)
