package loss

import (
	"math"
	"sync"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
	G "gorgonia.org/gorgonia"
)

const (
	// run is the number of elements of an elementwise loss that are handled as one row.
	run = 1024
	// grain is the number of elements below which a range of rows is not split further.
	grain = 1 << 14
)

// job is one execution of an operation: its operands as flat slices and, after bind, everything but the result.
type job[F float] struct {
	*op
	factors[F]
	x        [maxOperands][]F
	direct   *direct[F] // nil where the row function does the work
	upstream []F
	dir      []F

	rows  int // examples, or runs of elements
	total totals
}

// totals are the sums over all rows that the reduction needs: numerator N and denominator D and, where D depends on an
// operand, their derivatives along the direction.
type totals struct {
	n, d   float64
	dn, dd float64
	active bool // some factor of the denominator was not 0
	err    error
}

func (t *totals) add(u totals) {
	t.n += u.n
	t.d += u.d
	t.dn += u.dn
	t.dd += u.dd
	t.active = t.active || u.active
	if t.err == nil {
		t.err = u.err
	}
}

// divisor returns what a weighted sum is divided by. A denominator all of whose factors are 0 makes the whole loss 0,
// reported as divisor +Inf with zero set: no row has a part in it.
func (j *job[F]) divisor() (d float64, zero bool) {
	switch {
	case j.set.reduction != Mean || j.bare:
		return 1, false
	case j.set.normalizer != 0:
		return j.set.normalizer, false
	case j.normalized:
		return j.norm, false
	case !j.total.active:
		return math.Inf(1), true
	}
	return j.total.d, false
}

// execute runs the operation on its children's values.
func execute[F float](o *op, in []G.Value) (G.Value, error) {
	if v, ok, err := takeAdvance[F](o, in); ok {
		return v, err
	}
	j, err := bind[F](o, in)
	if err != nil {
		return nil, err
	}
	// Everything but the sum itself needs the denominator first; where it depends on an operand, the numerator too.
	// Kernels of rows take it from the marks that they want anyway.
	if o.mode != modeValue && o.set.reduction == Mean && !o.bare && !j.byRowKernels() {
		if err := j.sums(); err != nil {
			return nil, err
		}
	}
	switch o.mode {
	case modeValue, modeJVP:
		if v, ok, err := j.rowValues(); ok {
			return v, err
		}
		if v, ok, err := j.elementsInAdvance(); ok {
			return v, err
		}
		return j.values()
	default:
		if data := j.takeElements(); data != nil {
			return wrap(data, o.shape), nil
		}
		return j.gradients()
	}
}

func bind[F float](o *op, in []G.Value) (*job[F], error) {
	j := &job[F]{op: o, direct: directOf[F](o)}
	size := o.shape.TotalSize()
	j.rows = o.outer * o.inner
	if o.def.elementwise {
		j.rows = (size + run - 1) / run
	}
	var err error
	for k := range o.floats() {
		if j.x[k], err = flat[F](in[k], size); err != nil {
			return nil, faultf(ErrShape, o.def.name, "operand %d has %v", k, err)
		}
	}
	// shift: the node of a row-to-row function lacks its second operand
	shift := o.floats() - o.operands
	if err := j.factors.bind(o.spec, in[o.labelsAt()+shift:]); err != nil {
		return nil, err
	}
	if o.hasUpstream() {
		if j.upstream, err = flat[F](in[o.upstreamAt()], o.resultShape().TotalSize()); err != nil {
			return nil, faultf(ErrShape, o.def.name, "upstream gradient has %v", err)
		}
	}
	if o.hasDirection() {
		if j.dir, err = flat[F](in[o.directionAt()], size); err != nil {
			return nil, faultf(ErrShape, o.def.name, "direction has %v", err)
		}
	}
	return j, nil
}

// span returns where row i lies in the operands: its first element, its length and the distance of its elements.
func (j *job[F]) span(i int) (at, n, stride int) {
	if j.def.elementwise {
		at = i * run
		return at, min(run, len(j.x[0])-at), 1
	}
	return i/j.inner*j.classes*j.inner + i%j.inner, j.classes, j.inner
}

// each calls f for every row, ranges of rows in parallel, and returns the sums of what f returns, added in an
// order that does not depend on the number of cores. f gets a row whose operands are loaded.
func (j *job[F]) each(f func(i int, r *row) totals) totals {
	_, n, _ := j.span(0)
	step := max(1, grain/n)
	parts := make([]totals, (j.rows+step-1)/step)
	tensorops.ParallelFor(j.rows, step, func(lo, hi int) {
		r := rowPool.Get().(*row)
		defer rowPool.Put(r)
		part := &parts[lo/step]
		for i := lo; i < hi && part.err == nil; i++ {
			part.add(f(i, r))
		}
		r.release()
	})
	var all totals
	for _, p := range parts {
		all.add(p)
	}
	return all
}

var rowPool = sync.Pool{New: func() any { return new(row) }}

// release drops what the row points to, but keeps its scratch memory.
func (r *row) release() { *r = row{scratch: r.scratch, list: r.list[:0]} }

// load points the row at example i.
func (j *job[F]) load(r *row, i int) {
	at, n, stride := j.span(i)
	*r = row{scratch: r.scratch, list: r.list[:0], at: at, label: -1}
	for k := range j.floats() {
		r.x[k] = fetch(r, j.x[k], at, n, stride)
	}
	if j.factors.labels != nil {
		r.label = j.factors.labels(i)
	}
	if j.lists {
		for c := range n {
			class := j.factors.listed(at + c*stride)
			if class == -1 {
				break
			}
			r.list = append(r.list, class)
		}
	}
	if j.dir != nil {
		r.dir[j.k] = fetch(r, j.dir, at, n, stride)
	}
}

// fetch returns n entries in float64: the memory itself where it is float64 in one piece, because rows are read only.
func fetch[F float](r *row, data []F, at, n, stride int) []float64 {
	if d, ok := any(data).([]float64); ok && stride == 1 {
		return d[at : at+n : at+n]
	}
	b := r.buf(n)
	if d, ok := any(data).([]float32); ok && stride == 1 {
		vec.Widen(b, d[at:at+n])
		return b
	}
	for i := range b {
		b[i] = float64(data[at+i*stride])
	}
	return b
}

// store writes factor·g to consecutive entries.
func store[F float](out []F, g []float64, factor float64) {
	if o, ok := any(out).([]float32); ok {
		vec.Narrow(o, g, factor)
		return
	}
	for i, v := range g {
		out[i] = F(factor * v)
	}
}

// sums computes the totals that derivatives need before the first row.
func (j *job[F]) sums() error {
	if j.set.normalizer != 0 || j.normalized {
		return nil
	}
	if n, ok := j.plain(); ok {
		j.total = totals{d: float64(n), active: n > 0}
		return nil
	}
	j.total = j.each(func(i int, r *row) totals {
		if !j.coupled() {
			return j.denominator(i)
		}
		return j.coupledRow(i, r)
	})
	return j.total.err
}

// coupledRow is the part of row i in all four totals.
func (j *job[F]) coupledRow(i int, r *row) totals {
	s, err := j.factor(i)
	if s == 0 || err != nil {
		return totals{err: err}
	}
	j.load(r, i)
	if err := j.check(r, i, s); err != nil {
		return totals{err: err}
	}
	if j.dir != nil {
		r.grad[j.k] = r.buf(len(r.x[0]))
	}
	l := j.fn(r)
	t := j.part(s, j.share(r))
	t.n = s * l
	if j.dir != nil {
		t.dn = s * dot(r.grad[j.k], r.dir[j.k])
		if j.k == 1 {
			t.dd = s * dot(j.set.classWeights, r.dir[1])
		}
	}
	return t
}

// part is a row's part in the denominator.
func (j *job[F]) part(s, share float64) totals { return totals{d: s * share, active: s*share != 0} }

// sum adds in four chains, which is four times as fast and no less accurate than one.
func sum(x []float64) float64 {
	var a, b, c, d float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		y := x[i : i+4 : i+4]
		a += y[0]
		b += y[1]
		c += y[2]
		d += y[3]
	}
	for ; i < len(x); i++ {
		a += x[i]
	}
	return (a + b) + (c + d)
}

func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s, t, u, v float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		x, y := a[i:i+4:i+4], b[i:i+4:i+4]
		s += x[0] * y[0]
		t += x[1] * y[1]
		u += x[2] * y[2]
		v += x[3] * y[3]
	}
	for ; i < len(a); i++ {
		s += a[i] * b[i]
	}
	return (s + t) + (u + v)
}

// values computes the loss, or its directional derivative.
func (j *job[F]) values() (G.Value, error) {
	var out []F
	if j.set.reduction == None {
		out = make([]F, j.outShape.TotalSize())
	}
	one := j.valueRow
	if j.def.elementwise {
		one = j.valueRun
	}
	var all totals
	direct := false
	if j.direct != nil && j.def.elementwise && !(j.normalized && j.norm == 0) {
		all.n, direct = j.directSum()
		all.d, all.active = float64(j.shape.TotalSize()), true
	}
	if !direct {
		all = j.each(func(i int, r *row) totals { return one(i, r, out) })
	}
	if all.err != nil {
		return nil, all.err
	}
	if out != nil {
		return wrap(out, j.outShape), nil
	}
	if j.mode == modeValue {
		j.total = all
	}
	d, zero := j.divisor()
	if zero || d == 0 && all.n == 0 && !all.active {
		return wrap([]F{0}, nil), nil
	}
	result := all.n / d
	if j.mode == modeJVP && j.coupled() {
		result = (all.n - j.total.n/j.total.d*j.total.dd) / d
	}
	return wrap([]F{F(result)}, nil), nil
}

// valueRow is one example of values: its part in the sums, or its entry of out.
func (j *job[F]) valueRow(i int, r *row, out []F) totals {
	s, err := j.factor(i)
	if s == 0 || err != nil {
		return totals{err: err}
	}
	j.load(r, i)
	if err := j.check(r, i, s); err != nil {
		return totals{err: err}
	}
	t := j.part(s, j.share(r))
	if j.mode == modeJVP {
		r.grad[j.k] = r.buf(len(r.x[0]))
	}
	l := j.fn(r)
	if j.mode == modeJVP {
		l = dot(r.grad[j.k], r.dir[j.k])
	}
	t.n = s * l
	if out != nil {
		out[i] = F(t.n)
	}
	return t
}

// valueRun is valueRow for a run of elements.
func (j *job[F]) valueRun(i int, r *row, out []F) totals {
	j.load(r, i)
	l := r.buf(len(r.x[0]))
	if j.mode == modeJVP {
		r.grad[j.k] = l
	} else {
		r.out = l
	}
	j.fn(r)
	var t totals
	if j.uniform() {
		if err := j.checkRun(r); err != nil {
			return totals{err: err}
		}
		if j.mode == modeJVP {
			for e, v := range r.dir[j.k] {
				l[e] *= v
			}
		}
		if out != nil {
			store(out[r.at:r.at+len(l)], l, 1)
		}
		return totals{n: sum(l), d: float64(len(l)), active: true}
	}
	for e, v := range l {
		s, err := j.factor(r.at + e)
		if err == nil && s != 0 {
			err = j.checkAt(r, e)
		}
		if err != nil {
			return totals{err: err}
		}
		if s == 0 {
			continue
		}
		if j.mode == modeJVP {
			v *= r.dir[j.k][e]
		}
		v *= s
		t.n += v
		t.d += s
		t.active = true
		if out != nil {
			out[r.at+e] = F(v)
		}
	}
	return t
}
