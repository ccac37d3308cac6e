package core

import (
	"unsafe"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// linkBytes is the memory of the logits that exist at once: as much as pays for reading a shared
// operand again, and no more.
const linkBytes = 32 << 20

// linkRows is the least number of rows that a link gets at once, and divides the others.
const linkRows = 16

// linked is the working memory of the evaluation of a loss with a link.
type linked[F Float] struct {
	s, g, values []float64 // of all values: factors, factors of the derivative; of the chunk: values
	labels       []int
	at           []int // the values that count
	label        []int // of the chunk
	factor, up   []float64
	z, dz        []F // logits, and their derivative or change
	rows         [MaxOperands][]F
	out          [MaxOperands][]F
	dir          []F
	link         LinkRows[F]
}

// chunks computes what is requested of a loss with a link, some rows after others.
func (e *evaluation[F]) chunks() (all totals) {
	l := &e.chunk
	n := e.Dims.Rows
	s, labels := fit(&l.s, n), fit(&l.labels, n)
	if all.err = e.factors(s, labels, 0); all.err != nil {
		return all
	}
	dst := e.derivatives()
	g := fit(&l.g, n)
	at := fit(&l.at, n)[:0]
	for i, v := range s {
		g[i] = 0
		if v != 0 {
			g[i] = e.upstream(i) * v / e.scale
		}
		if e.Order.hasValue() && v != 0 || !e.Order.hasValue() && g[i] != 0 {
			at = append(at, i)
		}
	}
	if len(at) < n {
		clear(e.Out)
		for k, d := range dst {
			if d != nil && e.hasRows(k) {
				clear(d)
			}
		}
	}
	if len(at) == 0 {
		for _, d := range dst {
			clear(d)
		}
		return all
	}
	per := max(linkRows, linkBytes/int(unsafe.Sizeof(F(0)))/e.Dims.Cols/e.logits()/linkRows*linkRows)
	for a := 0; a < len(at); a += per {
		b := min(a+per, len(at))
		if all.err = e.linkedRows(&all, at[a:b], &dst, a == 0); all.err != nil {
			return all
		}
	}
	return all
}

// logits is how many numbers there are at once for each logit.
func (e *evaluation[F]) logits() int {
	if e.Order == OrderHessian || e.Order == OrderTangent {
		return 2
	}
	return 1
}

// derivatives returns where the derivative by each operand goes.
func (e *evaluation[F]) derivatives() (dst [MaxOperands][]F) {
	if e.Each != nil {
		dst = *e.Each
	}
	switch e.Order {
	case OrderGradient, OrderBoth:
		if e.Dst != nil {
			dst[e.Wrt] = e.Dst
		}
	case OrderHessian:
		dst[e.Then] = e.Dst
	}
	return dst
}

// linkedRows computes the rows at.
func (e *evaluation[F]) linkedRows(all *totals, at []int, dst *[MaxOperands][]F, first bool) error {
	l, n, cols := &e.chunk, len(at), e.Dims.Cols
	link := linkOf[F](&e.links)
	r := &l.link
	*r = LinkRows[F]{N: n, First: first}
	for k := range e.Floats {
		if r.X[k] = e.in.X[k]; e.hasRows(k) {
			r.X[k] = rowsOf(&l.rows[k], e.in.X[k], at, e.width(k))
		}
	}
	target := e.soft()
	if err := e.checkTarget(r.X[target], target, at); err != nil {
		return err
	}
	label, factor, up := fit(&l.label, n), fit(&l.factor, n), fit(&l.up, n)
	for i, v := range at {
		factor[i], up[i], label[i] = l.s[v], l.g[v], -1
		if e.Labels != "" {
			label[i] = l.labels[v]
		}
	}
	z := fit(&l.z, n*cols)
	link.Apply(z, r)
	values := fit(&l.values, n)
	var dz []F
	if e.logits() == 2 {
		dz = fit(&l.dz, n*cols)
		v := e.in.Dir
		if e.hasRows(e.Wrt) {
			v = rowsOf(&l.dir, v, at, e.width(e.Wrt))
		}
		link.Push(e.Wrt, dz, v, r)
		e.logitBlocks(z, dz, target)
		for k, d := range dst {
			if d != nil {
				to := e.rowsTo(k, d, at)
				link.Pull(k, to, dz, r)
				link.Second(k, e.Wrt, to, z, v, r)
				e.store(k, d, to, at)
			}
		}
	} else {
		e.logitGradients(z, target)
		for k, d := range dst {
			if d != nil {
				to := e.rowsTo(k, d, at)
				link.Pull(k, to, z, r)
				e.store(k, d, to, at)
			}
		}
	}
	if e.Order.hasValue() {
		for i, v := range values {
			v *= factor[i]
			all.n.add(v)
			if e.Out != nil {
				e.Out[at[i]] = F(v)
			}
		}
	}
	return nil
}

// checkTarget checks a soft target's rows.
func (e *evaluation[F]) checkTarget(t []F, k int, at []int) error {
	d := e.Domain[k]
	if k == 0 || !d.Checked() {
		return nil
	}
	for i, v := range t {
		if !d.Holds(float64(v)) {
			return Faultf(ErrValue, e.Def.Name, "%s is %v at %s class %d, want %v", e.OperandName(k), v,
				e.Values.coordinates(at[i/e.Dims.Cols]), i%e.Dims.Cols, d)
		}
	}
	return nil
}

// logitGradients computes the values of the chunk and writes the derivatives by its logits over
// those.
func (e *evaluation[F]) logitGradients(z []F, target int) {
	if p := paths.Load(); p != nil {
		if e.kernel == nil {
			p.block.Add(1)
		} else {
			p.kernel.Add(1)
		}
	}
	if e.kernel == nil {
		e.logitBlocks(z, nil, target)
		return
	}
	l := &e.chunk
	n := l.link.N
	dims := Dims{Rows: n, Cols: e.Dims.Cols, Inner: 1, Classes: e.Dims.Cols, Stride: 1}
	tensorops.ParallelFor(n, dims.step(), func(lo, hi int) {
		k := Range[F]{Dims: dims, Lo: lo, Hi: hi, Labels: l.label[lo:hi], Factor: l.factor[lo:hi]}
		if k.X[0] = z; target != 0 {
			k.X[1] = l.link.X[target]
		}
		values := l.values[lo:hi]
		switch e.Order {
		case OrderValue:
			k.Values = values
		case OrderGradient:
			k.Factor, k.Dst = l.up[lo:hi], z
		default:
			k.Values = values
			if vanish(l.up[lo:hi]) { // a factor that is 0 for its value counts
				e.kernel(&k)
				k.Values = nil
			}
			k.Factor, k.Dst = l.up[lo:hi], z
		}
		e.kernel(&k)
	})
}

// vanish reports whether a factor is 0.
func vanish(g []float64) bool {
	for _, v := range g {
		if v == 0 {
			return true
		}
	}
	return false
}

// logitBlocks computes the chunk by the block function: the values, and with dz, the change of the
// logits, the tangents of the rows or the derivatives of second order, which are written over it.
// The derivatives by the logits, where they are wanted, are written over those.
func (e *evaluation[F]) logitBlocks(z, dz []F, target int) {
	l, cols := &e.chunk, e.Dims.Cols
	step := max(1, blockLen/cols)
	tensorops.ParallelFor(l.link.N, step, func(lo, hi int) {
		w := getWork[F](hi - lo)
		defer w.put()
		b := &w.block
		n, from, to := hi-lo, lo*cols, hi*cols
		*b = Block{Rows: n, Cols: cols, scratch: b.scratch, row: b.row, first: lo}
		b.X[0] = widen(&w.packed[0], z[from:to])
		if target != 0 {
			b.X[1] = widen(&w.packed[1], l.link.X[target][from:to])
		}
		if e.Labels != "" {
			b.Label = l.label[lo:hi]
		}
		b.Out = l.values[lo:hi]
		if e.Order != OrderValue {
			b.Grad[0] = fit(&w.out, n*cols)
		}
		if dz != nil {
			b.Dir[0] = widen(&w.packedDir[0], dz[from:to])
			if e.Order == OrderHessian {
				b.Hess[0] = fit(&w.resultOf, n*cols)
			}
		}
		e.block(b)
		for i := range n {
			row := b.Grad[0]
			switch {
			case e.Order == OrderValue:
				continue
			case e.Order == OrderTangent:
				l.values[lo+i] = Dot(row[i*cols:(i+1)*cols], b.Dir[0][i*cols:(i+1)*cols])
				continue
			case e.Order == OrderHessian:
				narrow(dz[from+i*cols:][:cols], b.Hess[0][i*cols:(i+1)*cols], l.up[lo+i])
			}
			narrow(z[from+i*cols:][:cols], row[i*cols:(i+1)*cols], l.up[lo+i])
		}
	})
}

// widen returns x in float64, in memory that the block function may keep.
func widen[F Float](buf *[]float64, x []F) []float64 {
	if d, ok := any(x).([]float64); ok {
		return d
	}
	dst := fit(buf, len(x))
	vec.Widen(dst, any(x).([]float32))
	return dst
}

// consecutive reports whether rows lie one after another.
func consecutive(at []int) bool { return at[len(at)-1]-at[0] == len(at)-1 }

// rowsOf returns the rows at of x: its own memory where they lie one after another.
func rowsOf[F Float](buf *[]F, x []F, at []int, width int) []F {
	if consecutive(at) {
		return x[at[0]*width : (at[0]+len(at))*width]
	}
	dst := fit(buf, len(at)*width)
	for i, from := range at {
		copy(dst[i*width:(i+1)*width], x[from*width:])
	}
	return dst
}

// rowsTo returns memory for the chunk's part of the derivative by operand k.
func (e *evaluation[F]) rowsTo(k int, dst []F, at []int) []F {
	switch {
	case !e.hasRows(k):
		return dst
	case consecutive(at):
		return dst[at[0]*e.width(k) : (at[0]+len(at))*e.width(k)]
	}
	return fit(&e.chunk.out[k], len(at)*e.width(k))
}

// store writes the rows of the derivative by operand k to their places, where they are not there
// already.
func (e *evaluation[F]) store(k int, dst, rows []F, at []int) {
	if !e.hasRows(k) || consecutive(at) {
		return
	}
	width := e.width(k)
	for i, to := range at {
		copy(dst[to*width:(to+1)*width], rows[i*width:(i+1)*width])
	}
}
