package tensorops

import "sync/atomic"

// CrossEntropyRows writes [CrossEntropyRow] of each row of x and its label to values. A negative
// label marks its row as ignored: the row is not read and its value is 0.
//
// x holds len(labels) contiguous rows of cols elements. The rows are shared among cores; the values
// do not depend on how many there are. It panics with "tensorops: length mismatch" when cols < 1 or
// the lengths do not fit, and with "tensorops: label out of range" for a label that is cols or
// more.
func CrossEntropyRows[F Float](values []float64, x []F, cols int, labels []int, o *CrossEntropyOptions) {
	rows := checkLabels(x, cols, labels, o)
	mustLen(values, rows)
	runRows(rowJob[F]{op: opCrossEntropy, x: x, cols: cols, labels: labels, values: values, o: o}, rows)
}

// CrossEntropyGradRows writes [CrossEntropyGradRow] of each row of x, its label and its factor g[i]
// to the row of dst, and the value to values, which may be nil. A row with a negative label or a g
// of 0 is not read: its gradient row and value are 0.
//
// dst may be x and must not overlap it otherwise. A large dst is written past the caches. It panics
// as [CrossEntropyRows] does.
func CrossEntropyGradRows[F Float](values []float64, dst, x []F, cols int, labels []int, g []float64, o *CrossEntropyOptions) {
	rows := checkLabels(x, cols, labels, o)
	mustLen(dst, len(x))
	mustLen(g, rows)
	if values != nil {
		mustLen(values, rows)
	}
	runRows(rowJob[F]{op: opCrossEntropyGrad, dst: dst, x: x, cols: cols, labels: labels, values: values, scale: g, o: o}, rows)
}

// SoftCrossEntropyRows writes [SoftCrossEntropyRow] of each row of x and t to values. Where g is
// not nil, a row with a g of 0 is not read and its value is 0. It reports whether every weight that
// it read is finite and >= 0; where one is not, its row's value means nothing. It panics with
// "tensorops: length mismatch".
func SoftCrossEntropyRows[F Float](values []float64, x, t []F, cols int, g []float64, o *CrossEntropyOptions) (valid bool) {
	rows := countRows(x, cols)
	mustLen(t, len(x))
	mustLen(values, rows)
	if g != nil {
		mustLen(g, rows)
	}
	o.check(cols)
	return runRows(rowJob[F]{op: opSoftCrossEntropy, x: x, g: t, cols: cols, values: values, scale: g, o: o}, rows)
}

// SoftCrossEntropyGradRows writes [SoftCrossEntropyGradRow] of each row of x and t with its factor
// g[i] to the row of dst, and the value to values, which may be nil. A row with a g of 0 is not
// read: its gradient row and value are 0. It reports what [SoftCrossEntropyRows] does. dst may be x
// or t and must not overlap them otherwise. It panics with "tensorops: length mismatch".
func SoftCrossEntropyGradRows[F Float](values []float64, dst, x, t []F, cols int, g []float64, o *CrossEntropyOptions) (valid bool) {
	rows := countRows(x, cols)
	mustLen(t, len(x))
	mustLen(dst, len(x))
	mustLen(g, rows)
	if values != nil {
		mustLen(values, rows)
	}
	o.check(cols)
	return runRows(rowJob[F]{op: opSoftCrossEntropyGrad, dst: dst, x: x, g: t, cols: cols, values: values, scale: g, o: o}, rows)
}

func checkLabels[F Float](x []F, cols int, labels []int, o *CrossEntropyOptions) (rows int) {
	rows = countRows(x, cols)
	if len(labels) != rows {
		panic(errLength)
	}
	for _, y := range labels {
		if y >= cols {
			panic(errLabel)
		}
	}
	o.check(cols)
	return rows
}

// runLoss runs one row of a loss. Rows that count for nothing are not read.
func (j *rowJob[F]) runLoss(k *kernels[F], total *rowTotal, i int, x, dst, t []F) {
	skip := j.scale != nil && j.scale[i] == 0 || j.labels != nil && j.labels[i] < 0
	l, valid := 0.0, true
	switch {
	case skip:
		clear(dst)
	case j.op == opCrossEntropy:
		l = k.crossEntropyRow(total, x, j.labels[i], j.o)
	case j.op == opCrossEntropyGrad:
		l = k.crossEntropyGradRow(total, dst, x, j.labels[i], j.scale[i], j.o, j.stream)
	case j.op == opSoftCrossEntropy:
		l, valid = k.softCrossEntropyRow(total, x, t, j.o)
	case j.op == opSoftCrossEntropyGrad:
		l, valid = k.softCrossEntropyGradRow(total, dst, x, t, j.scale[i], j.o, j.stream)
	case j.op == opKL:
		l, valid = k.klRow(total, nil, x, t, 0, false)
	case j.op == opKLGrad:
		l, valid = k.klRow(total, dst, x, t, j.scale[i], j.stream)
	case j.op == opKLTargetGrad:
		k.klTargetGradRow(dst, x, t, j.scale[i], j.stream)
	case j.op == opEntropy:
		_, l = k.entropy(x)
	case j.op == opEntropyGrad:
		l = k.entropyGradRow(dst, x, j.scale[i], j.stream)
	}
	if !valid {
		atomic.StoreUint32(&j.invalid, 1)
	}
	if j.values != nil {
		j.values[i] = l
	}
}
