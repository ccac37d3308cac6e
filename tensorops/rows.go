package tensorops

import "sync"

// LogSumExpRows writes the log-sum-exp of each row of x to dst:
//
//	dst[i] = log Σ_j exp(x[i,j])        d dst[i] / d x[i,j] = softmax(x[i])[j]
//
// x holds len(x)/cols contiguous rows of cols elements; dst has one element for each. It panics
// with "tensorops: length mismatch" when cols < 1 or the lengths do not fit.
func LogSumExpRows[F Float](dst, x []F, cols int) {
	rows := countRows(x, cols)
	mustLen(dst, rows)
	runRows(rowJob[F]{op: opLogSumExp, dst: dst, x: x, cols: cols}, rows)
}

// SoftmaxRows writes the softmax of each row of x to dst, which may be x and must not overlap it
// otherwise:
//
//	dst[i,j] = exp(x[i,j]) / Σ_k exp(x[i,k])
//
// It panics with "tensorops: length mismatch" when cols < 1 or the lengths do not fit.
func SoftmaxRows[F Float](dst, x []F, cols int) {
	rows := countRows(x, cols)
	mustLen(dst, len(x))
	runRows(rowJob[F]{op: opSoftmax, dst: dst, x: x, cols: cols}, rows)
}

// LogSoftmaxRows writes the logarithm of the softmax of each row of x to dst, which may be x and
// must not overlap it otherwise:
//
//	dst[i,j] = x[i,j] - log Σ_k exp(x[i,k])
//
// It panics with "tensorops: length mismatch" when cols < 1 or the lengths do not fit.
func LogSoftmaxRows[F Float](dst, x []F, cols int) {
	rows := countRows(x, cols)
	mustLen(dst, len(x))
	runRows(rowJob[F]{op: opLogSoftmax, dst: dst, x: x, cols: cols}, rows)
}

// LogSumExpGradRows writes the vector-Jacobian product of [LogSumExpRows]: with g[i] the gradient
// of the result by row i,
//
//	dst[i,j] = g[i]·softmax(x[i])[j]
//
// dst may be x and must not overlap it otherwise. A row with a +Inf gives NaN there and 0 beside
// it. It panics with "tensorops: length mismatch" when cols < 1 or the lengths do not fit.
func LogSumExpGradRows[F Float](dst, x, g []F, cols int) {
	rows := countRows(x, cols)
	mustLen(dst, len(x))
	mustLen(g, rows)
	runRows(rowJob[F]{op: opLogSumExpGrad, dst: dst, x: x, g: g, cols: cols}, rows)
}

// SoftmaxGradRows writes the vector-Jacobian product of [SoftmaxRows], from its result y:
//
//	dst[i,j] = y[i,j]·(g[i,j] - Σ_k g[i,k]·y[i,k])
//
// dst may be y or g and must not overlap them otherwise. It panics with "tensorops: length
// mismatch" when cols < 1 or the lengths do not fit.
func SoftmaxGradRows[F Float](dst, y, g []F, cols int) {
	rows := countRows(y, cols)
	mustLen(dst, len(y))
	mustLen(g, len(y))
	runRows(rowJob[F]{op: opSoftmaxGrad, dst: dst, x: y, g: g, cols: cols}, rows)
}

// LogSoftmaxGradRows writes the vector-Jacobian product of [LogSoftmaxRows], from its result y:
//
//	dst[i,j] = g[i,j] - exp(y[i,j])·Σ_k g[i,k]
//
// dst may be y or g and must not overlap them otherwise. It panics with "tensorops: length
// mismatch" when cols < 1 or the lengths do not fit.
func LogSoftmaxGradRows[F Float](dst, y, g []F, cols int) {
	rows := countRows(y, cols)
	mustLen(dst, len(y))
	mustLen(g, len(y))
	runRows(rowJob[F]{op: opLogSoftmaxGrad, dst: dst, x: y, g: g, cols: cols}, rows)
}

// LogSoftmaxLogitGradRows is [LogSoftmaxGradRows] from the argument x of the log-softmax instead of
// its result:
//
//	dst[i,j] = g[i,j] - softmax(x[i])[j]·Σ_k g[i,k]
//
// It keeps the digits of probabilities that the rounding of their logarithms takes away. dst may be
// x or g and must not overlap them otherwise. It panics with "tensorops: length mismatch" when cols
// < 1 or the lengths do not fit.
func LogSoftmaxLogitGradRows[F Float](dst, x, g []F, cols int) {
	rows := countRows(x, cols)
	mustLen(dst, len(x))
	mustLen(g, len(x))
	runRows(rowJob[F]{op: opLogSoftmaxLogitGrad, dst: dst, x: x, g: g, cols: cols}, rows)
}

func countRows[F Float](x []F, cols int) int {
	if cols < 1 || len(x)%cols != 0 {
		panic(errLength)
	}
	return len(x) / cols
}

func mustLen[T any](x []T, n int) {
	if len(x) != n {
		panic(errLength)
	}
}

type rowOp int

const (
	opLogSumExp rowOp = iota
	opSoftmax
	opLogSoftmax
	opLogSumExpGrad
	opSoftmaxGrad
	opLogSoftmaxGrad
	opLogSoftmaxLogitGrad
	opCrossEntropy
	opCrossEntropyGrad
	opSoftCrossEntropy
	opSoftCrossEntropyGrad
	opKL
	opKLGrad
	opKLTargetGrad
	opEntropy
	opEntropyGrad
)

// rowJob is an operation on contiguous rows, ready to be cut into ranges of rows. Jobs are
// recycled, so that a call allocates nothing.
type rowJob[F Float] struct {
	op        rowOp
	dst, x, g []F // g: upstream gradient, or targets
	cols      int
	stream    bool

	// For losses: one label, value and factor of the gradient for each row.
	labels []int
	values []float64
	scale  []float64
	o      *CrossEntropyOptions

	invalid uint32 // set, atomically, once a target was outside its domain
}

func (j *rowJob[F]) run(lo, hi int) {
	k := active[F]()
	var total rowTotal
	for i := lo; i < hi; i++ {
		a, b := i*j.cols, (i+1)*j.cols
		x := j.x[a:b]
		switch j.op {
		case opLogSumExp:
			j.dst[i] = k.logSumExpRow(&total, x)
		case opSoftmax:
			k.softmaxRow(&total, j.dst[a:b], x, j.stream)
		case opLogSoftmax:
			k.logSoftmaxRow(&total, j.dst[a:b], x, j.stream)
		case opLogSumExpGrad:
			k.logSumExpGradRow(&total, j.dst[a:b], x, float64(j.g[i]), j.stream)
		case opSoftmaxGrad:
			k.softmaxGradRow(j.dst[a:b], x, j.g[a:b])
		case opLogSoftmaxGrad:
			k.logSoftmaxGradRow(j.dst[a:b], x, j.g[a:b], j.stream)
		case opLogSoftmaxLogitGrad:
			k.logSoftmaxPullRow(&total, j.dst[a:b], x, j.g[a:b], j.stream)
		default:
			var dst, t []F
			if j.dst != nil {
				dst = j.dst[a:b]
			}
			if j.g != nil {
				t = j.g[a:b]
			}
			j.runLoss(k, &total, i, x, dst, t)
		}
	}
	if j.stream {
		k.fence()
	}
}

var (
	jobs32 = sync.Pool{New: func() any { return new(rowJob[float32]) }}
	jobs64 = sync.Pool{New: func() any { return new(rowJob[float64]) }}
)

// runRows runs the job on all rows: on the caller's core where the work is small, in ranges on
// several cores where it is not. It reports whether all targets lay in their domain.
func runRows[F Float](job rowJob[F], rows int) (valid bool) {
	n := rows * job.cols
	job.stream = len(job.dst) == n && streams[F](n, job.cols)
	if n < serialLen || rows < 2 {
		job.run(0, rows)
		return job.invalid == 0
	}
	pool := poolOf[F](&jobs32, &jobs64)
	j := pool.Get().(*rowJob[F])
	*j = job
	parallel(rows, max(1, chunkLen/job.cols), j)
	valid = j.invalid == 0
	*j = rowJob[F]{}
	pool.Put(j)
	return valid
}

const (
	// serialLen is the number of elements below which one core is done before a second has started.
	serialLen = 16 << 10
	// chunkLen is about the number of elements that a core takes at once.
	chunkLen = 16 << 10
	// streamBytes is the size of a result from which it is written past the caches: less may still
	// be there when it is read next.
	streamBytes = 16 << 20
)

// streams reports whether a result of n elements in rows of cols should be written past the caches.
func streams[F Float](n, cols int) bool {
	size := 8
	if isFloat32[F]() {
		size = 4
	}
	return n*size >= streamBytes && cols*size >= 4096
}
