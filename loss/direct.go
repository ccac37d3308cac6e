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
	// both is grad for the prediction that also returns the values of the rows; may be nil.
	both func(values []float64, dst, x, t []F, cols int, labels []int, g []float64)
	// For elementwise losses: the sum of the values, and the same with g·∂l/∂pred of every element. The sum is NaN where a target
	// lies outside its domain. The derivative by the target is that by the prediction with the other sign, where
	// mirrored says so.
	sum      func(x, t []F) float64
	each     func(dst, x, t []F, g float64) float64
	mirrored bool
}

// A fast makes the kernels of a loss for both dtypes, or none where they do not know a setting.
type fast struct {
	f32 func(s *spec) *direct[float32]
	f64 func(s *spec) *direct[float64]
}

const (
	// directLen is the number of classes, or of elements, up to which losses go through float64: they are rounded once then, and
	// kernels would not be much faster on so few.
	directLen = 128
	// directChunk is the number of elements whose target is checked in one go.
	directChunk = 1 << 14
)

// directOf returns the kernels that an operation may use, or nil.
func directOf[F float](o *op) *direct[F] {
	if o.bare || o.mode != modeValue && o.mode != modeGrad || o.coupled() {
		return nil
	}
	if o.def.elementwise {
		if o.set.reduction == None || o.weighted || o.hasMask() || o.shape.TotalSize() <= directLen {
			return nil
		}
	} else if o.inner != 1 || o.classes <= directLen {
		return nil
	}
	var kernels any
	switch any(F(0)).(type) {
	case float32:
		if f := o.def.fast.f32; f != nil {
			kernels = f(o.spec)
		}
	case float64:
		if f := o.def.fast.f64; f != nil {
			kernels = f(o.spec)
		}
	}
	d, _ := kernels.(*direct[F])
	return d
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

// directGradients writes the derivative by operand k with the kernels, and reports whether they know it. Soft targets have
// been checked with the value.
func (j *job[F]) directGradients(out []F, d float64) (done bool, err error) {
	if j.def.elementwise {
		return j.elementGradients(out, d), nil
	}
	if j.direct.grad[j.k] == nil {
		return false, nil
	}
	m := marksPool.Get().(*marks)
	defer marksPool.Put(m)
	if err := j.mark(m, 1/d); err != nil {
		return true, err
	}
	j.direct.grad[j.k](out, j.x[0], j.x[1], j.classes, m.labels, m.g)
	return true, nil
}

// mark fills in every row's label, -1 for one that does not count, and its factor: s times the upstream times scale.
func (j *job[F]) mark(m *marks, scale float64) error {
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
			if s *= scale; j.upstream != nil {
				s *= j.upstreamOf(i)
			}
			if j.factors.labels != nil {
				m.labels[i] = j.factors.labels(i)
			}
		}
		m.g[i] = s
	}
	return nil
}

// marks are the labels, factors and values of all rows.
type marks struct {
	labels    []int
	g, values []float64
}

var marksPool = sync.Pool{New: func() any { return new(marks) }}

func (m *marks) grow(n int) {
	if cap(m.g) < n {
		m.g, m.values, m.labels = make([]float64, n), make([]float64, n), make([]int, n)
	}
	m.g, m.values, m.labels = m.g[:n], m.values[:n], m.labels[:n]
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
			both: func(values []float64, dst, x, _ []F, cols int, labels []int, g []float64) {
				tensorops.CrossEntropyGradRows(values, dst, x, cols, labels, g, o)
			},
		}
	}
	return &direct[F]{
		value: func(x, t []F, _ int) float64 { return tensorops.SoftCrossEntropyRow(x, t, o) },
		grad: [2]func(dst, x, t []F, cols int, labels []int, g []float64){
			func(dst, x, t []F, cols int, _ []int, g []float64) {
				tensorops.SoftCrossEntropyGradRows(nil, dst, x, t, cols, g, o)
			}},
		both: func(values []float64, dst, x, t []F, cols int, _ []int, g []float64) {
			tensorops.SoftCrossEntropyGradRows(values, dst, x, t, cols, g, o)
		},
	}
}

// klDirect is the divergence from a target of probabilities at temperature 1. Its gradient by the logits is that of the
// cross-entropy.
func klDirect[F float](s *spec) *direct[F] {
	if s.set.logTarget || s.set.targetLogits || s.set.temperature != 1 {
		return nil
	}
	return &direct[F]{
		value: func(x, t []F, _ int) float64 { return tensorops.KLRow(x, t) },
		grad: [2]func(dst, x, t []F, cols int, labels []int, g []float64){
			func(dst, x, t []F, cols int, _ []int, g []float64) {
				tensorops.SoftCrossEntropyGradRows(nil, dst, x, t, cols, g, nil)
			},
			func(dst, x, t []F, cols int, _ []int, g []float64) {
				tensorops.KLTargetGradRows(dst, x, t, cols, g)
			}},
	}
}

func entropyDirect[F float](*spec) *direct[F] {
	return &direct[F]{
		value: func(x, _ []F, _ int) float64 { return tensorops.EntropyRow(x) },
		grad: [2]func(dst, x, t []F, cols int, labels []int, g []float64){
			func(dst, x, _ []F, cols int, _ []int, g []float64) { tensorops.EntropyGradRows(nil, dst, x, cols, g) }},
	}
}
