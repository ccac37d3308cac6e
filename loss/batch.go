package loss

import (
	"slices"
	"sync"

	G "gorgonia.org/gorgonia"
)

// A batch is all rows of an operation as kernels see them: logits, soft targets, and for each row its label, -1 where it does
// not count, and its factor. Rows with the factor 0 are not read: their value and gradient are 0.
type batch[F float] struct {
	x, t   []F
	cols   int
	labels []int
	g      []float64
}

// marks are the labels, factors and values of all rows.
type marks struct {
	labels       []int
	s, g, values []float64 // s: the factor before reduction and upstream
}

var marksPool = sync.Pool{New: func() any { return new(marks) }}

func (m *marks) grow(n int) {
	if cap(m.g) < n {
		all := make([]float64, 3*n)
		m.s, m.g, m.values, m.labels = all[:n:n], all[n:2*n:2*n], all[2*n:], make([]int, n)
	}
	m.s, m.g, m.values, m.labels = m.s[:n], m.g[:n], m.values[:n], m.labels[:n]
}

// batchOf is the batch with the factors g.
func (j *job[F]) batchOf(m *marks, g []float64) *batch[F] {
	return &batch[F]{x: j.x[0], t: j.x[1], cols: j.classes, labels: m.labels, g: g}
}

// mark fills in every row's label and factor and returns the sums for the denominator.
func (j *job[F]) mark(m *marks) (all totals, err error) {
	m.grow(j.rows)
	if j.uniform() {
		fill(m.s, 1)
		for i := range m.labels {
			m.labels[i] = -1
		}
		return totals{d: float64(j.rows), active: true}, nil
	}
	w := j.set.classWeights
	easy := j.factors.labels != nil && j.mask == nil && j.weights == nil
	ignore := j.set.ignore
	for i := range m.s {
		label, s := -1, 1.0
		if easy {
			switch label = j.factors.labels(i); {
			case slices.Contains(ignore, label):
				label, s = -1, 0
			case uint(label) >= uint(j.classes):
				_, err := j.factor(i)
				return all, err
			}
		} else {
			if s, err = j.factor(i); err != nil {
				return all, err
			}
			if s != 0 && j.factors.labels != nil {
				label = j.factors.labels(i)
			}
		}
		m.labels[i], m.s[i] = label, s
		if w != nil && label >= 0 {
			s *= w[label]
		}
		all.d += s
		all.active = all.active || s != 0
	}
	return all, nil
}

// rowValues computes the value by the kernels, and the gradient in advance where it is wanted. ok is false where the row
// functions must do it.
func (j *job[F]) rowValues() (v G.Value, ok bool, err error) {
	if j.mode != modeValue || j.direct == nil || j.direct.values == nil || j.normalized && j.norm == 0 {
		return nil, false, nil
	}
	m := marksPool.Get().(*marks)
	defer marksPool.Put(m)
	if j.total, err = j.mark(m); err != nil {
		return nil, true, err
	}
	d, zero := j.divisor()
	ahead := j.startAdvance(d, zero)
	var valid bool
	if ahead != nil {
		for i, s := range m.s {
			m.g[i] = s / d
		}
		valid = j.direct.grad[0](m.values, ahead, j.batchOf(m, m.g))
	} else {
		valid = j.direct.values(m.values, j.batchOf(m, m.s))
	}
	if !valid && j.domain[1] == SoftTargets {
		return nil, false, nil
	}
	if floor := j.direct.careful; floor > 0 {
		if err := j.carefully(m, floor); err != nil {
			return nil, true, err
		}
	}
	if j.set.reduction == None {
		out := make([]F, j.rows)
		for i, l := range m.values {
			if s := m.s[i]; s != 0 {
				out[i] = F(s * l)
			}
		}
		return wrap(out, j.outShape), true, nil
	}
	total := 0.0
	for i, l := range m.values {
		if s := m.s[i]; s != 0 {
			total += s * l
		}
	}
	if ahead != nil {
		j.ahead.ready = true
	}
	if zero || d == 0 && total == 0 && !j.total.active {
		return wrap([]F{0}, nil), true, nil
	}
	return wrap([]F{F(total / d)}, nil), true, nil
}

// carefully computes the values below floor again by the row function, which keeps the digits of small ones.
func (j *job[F]) carefully(m *marks, floor float64) error {
	var r *row
	for i, s := range m.s {
		if s == 0 || !(m.values[i] < floor) {
			continue
		}
		if r == nil {
			r = rowPool.Get().(*row)
			defer rowPool.Put(r)
			defer r.release()
		}
		j.load(r, i)
		if err := j.check(r, i, s); err != nil {
			return err
		}
		m.values[i] = j.fn(r)
	}
	return nil
}

// byRowKernels reports that the operation is a derivative that the kernels of rows know.
func (j *job[F]) byRowKernels() bool {
	return j.mode == modeGrad && !j.def.elementwise && j.direct != nil && j.direct.grad[j.k] != nil
}

// rowGradients writes the derivative by operand k with the kernels, and reports whether every target lies in its domain: else the
// row functions say which does not.
func (j *job[F]) rowGradients(out []F) (valid bool, err error) {
	m := marksPool.Get().(*marks)
	defer marksPool.Put(m)
	if j.total, err = j.mark(m); err != nil {
		return false, err
	}
	d, zero := j.divisor()
	if zero {
		clear(out)
		return true, nil
	}
	for i, s := range m.s {
		if s != 0 {
			if j.normalized && j.norm == 0 {
				return false, j.check(new(row), i, s)
			}
			s = j.upstreamOf(i) * s / d
		}
		m.g[i] = s
	}
	return j.direct.grad[j.k](nil, out, j.batchOf(m, m.g)) || j.domain[1] != SoftTargets, nil
}
