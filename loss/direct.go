package loss

import (
	"math"
	"sync"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A direct is a loss in kernels that work on the operands' own memory, for rows that lie in one piece. It says the
// same as the loss's row function, which remains for every other layout, option and derivative.
type direct[F float] struct {
	// value returns the value of one row, given its soft target or its label.
	value func(x, t []F, label int) float64
	// grad writes g[i]·∂l/∂x_k of row i to dst. Rows with g[i] = 0 are not read: their gradient is 0.
	grad [2]func(dst, x, t []F, cols int, labels []int, g []float64)
}

// A fast makes the kernels of a loss for both dtypes, or none where they do not know a setting.
type fast struct {
	f32 func(s *spec) *direct[float32]
	f64 func(s *spec) *direct[float64]
}

// directLen is the number of classes up to which rows go through float64: they are rounded once then, and kernels would not
// be faster on so few.
const directLen = 128

// directOf returns the kernels that a job may use, or nil.
func directOf[F float](o *op) *direct[F] {
	if o.inner != 1 || o.classes <= directLen || o.def.elementwise || o.bare || o.mode != modeValue && o.mode != modeGrad || o.coupled() {
		return nil
	}
	switch d := any(new(direct[F])).(type) {
	case *direct[float32]:
		if f := o.def.fast.f32; f != nil {
			d = f(o.spec)
			return any(d).(*direct[F])
		}
	case *direct[float64]:
		if f := o.def.fast.f64; f != nil {
			d = f(o.spec)
			return any(d).(*direct[F])
		}
	}
	return nil
}

// directValue is the value of row i by the kernels. A soft target is checked while it is on its way into the cache.
func (j *job[F]) directValue(i int) (value, share float64, err error) {
	c := j.classes
	var t []F
	label, share := -1, 1.0
	if j.factors.labels != nil {
		label = j.factors.labels(i)
		if w := j.set.classWeights; w != nil {
			share = w[label]
		}
	}
	if j.operands == 2 {
		t = j.x[1][i*c : (i+1)*c]
		if j.domain[1] == SoftTargets && !vec.Within(t, 0, largest[F]()) {
			var r row
			j.load(&r, i)
			if err := j.check(&r, i, 1); err != nil {
				return 0, 0, err
			}
		}
	}
	return j.direct.value(j.x[0][i*c:(i+1)*c], t, label), share, nil
}

func largest[F float]() F {
	if _, ok := any(F(0)).(float32); ok {
		x := math.MaxFloat32
		return F(x)
	}
	x := math.MaxFloat64
	return F(x)
}

// directGradients writes the derivative by operand k with the kernels. Soft targets have been checked with the value.
func (j *job[F]) directGradients(out []F, d float64) error {
	m := marksPool.Get().(*marks)
	defer marksPool.Put(m)
	m.grow(j.rows)
	for i := range j.rows {
		s, err := j.factor(i)
		if err != nil {
			return err
		}
		if m.labels[i] = -1; s != 0 {
			if j.normalized && j.norm == 0 {
				return j.check(new(row), i, s)
			}
			s *= j.upstreamOf(i) / d
			if j.factors.labels != nil {
				m.labels[i] = j.factors.labels(i)
			}
		}
		m.g[i] = s
	}
	j.direct.grad[j.k](out, j.x[0], j.x[1], j.classes, m.labels, m.g)
	return nil
}

// marks are the labels and factors of all rows.
type marks struct {
	labels []int
	g      []float64
}

var marksPool = sync.Pool{New: func() any { return new(marks) }}

func (m *marks) grow(n int) {
	if cap(m.g) < n {
		m.g, m.labels = make([]float64, n), make([]int, n)
	}
	m.g, m.labels = m.g[:n], m.labels[:n]
}

// crossEntropyDirect is the cross-entropy without softcap and z-loss.
func crossEntropyDirect[F float](s *spec) *direct[F] {
	if s.set.softcap != 0 || s.set.zloss != 0 {
		return nil
	}
	var o *tensorops.CrossEntropyOptions
	if s.set.smoothing != 0 || s.set.classWeights != nil || s.set.temperature != 1 {
		o = &tensorops.CrossEntropyOptions{Smoothing: s.set.smoothing, Weights: s.set.classWeights, Scale: 1 / s.set.temperature}
	}
	if s.hasLabels() {
		return &direct[F]{
			value: func(x, _ []F, label int) float64 { return tensorops.CrossEntropyRow(x, label, o) },
			grad: [2]func(dst, x, t []F, cols int, labels []int, g []float64){
				func(dst, x, _ []F, cols int, labels []int, g []float64) {
					tensorops.CrossEntropyGradRows(nil, dst, x, cols, labels, g, o)
				}},
		}
	}
	return &direct[F]{
		value: func(x, t []F, _ int) float64 { return tensorops.SoftCrossEntropyRow(x, t, o) },
		grad: [2]func(dst, x, t []F, cols int, labels []int, g []float64){
			func(dst, x, t []F, cols int, _ []int, g []float64) {
				tensorops.SoftCrossEntropyGradRows(nil, dst, x, t, cols, g, o)
			}},
	}
}
