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
	target int  // which floating operand is the soft target; 0: there are labels
	varies bool // the denominator depends on the target

	// of all values
	s, g   []float64 // factors, and those of the derivative
	labels []int
	at     []int // the values that count

	// of the rows at hand
	label         []int
	factor, up    []float64
	values, moved []float64 // the losses, and what they change by along the direction
	z, dz         []F       // logits, and their derivative or change
	rows, out     [MaxOperands][]F
	dir           []F
	link          LinkRows[F]
}

// isTarget reports whether floating operand k is the soft target, which is not the link's.
func (l *linked[F]) isTarget(k int) bool { return k > 0 && k == l.target }

// startLinked finds the factors of all rows and, where the denominator depends on the target, what
// it changes by along the direction.
func (e *evaluation[F]) startLinked(t *totals) error {
	l := &e.chunk
	n := e.Dims.Rows
	s, labels := Fit(&l.s, n), Fit(&l.labels, n)
	if err := e.factors(s, labels, 0); err != nil {
		return err
	}
	l.target = e.soft()
	if l.varies = l.target != 0 && e.denominatorVaries(); l.varies {
		e.sumTarget(t, s)
	}
	return nil
}

// chunks computes what is requested of a loss with a link.
func (e *evaluation[F]) chunks(all *totals) {
	*all = e.eachChunk()
	if e.Order == OrderValue || e.soft() == 0 || !e.denominatorVaries() {
		return
	}
	moved := e.join(totals{n: e.stages.n, dn: e.stages.dn, err: all.err})
	if moved.err != nil {
		all.err = moved.err
		return
	}
	e.stages.n, e.stages.dn = moved.n, moved.dn
	if d := e.derivatives()[e.chunk.target]; d != nil {
		e.addTargetVariation(d, e.chunk.at)
	}
}

// eachChunk computes what is requested, some rows after others.
func (e *evaluation[F]) eachChunk() (all totals) {
	l := &e.chunk
	n := e.Dims.Rows
	s := l.s
	dst := e.derivatives()
	g := Fit(&l.g, n)
	at := Fit(&l.at, n)[:0]
	defer func() { l.at = at }()
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
	numbers := e.logits()
	if l.target != 0 && !consecutive(at) { // copies of rows of the target, and of its derivative
		numbers++
		if dst[l.target] != nil {
			numbers++
		}
	}
	per := max(linkRows, linkBytes/int(unsafe.Sizeof(F(0)))/e.mostCols()/numbers/linkRows*linkRows)
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
	target := l.target
	fault := e.checkTarget(r.X[target], target, at)
	if fault != nil && !e.Set.Sharded() {
		return fault
	}
	label, factor, up := Fit(&l.label, n), Fit(&l.factor, n), Fit(&l.up, n)
	for i, v := range at {
		factor[i], up[i], label[i] = l.s[v], l.g[v], -1
		if e.Labels != "" {
			label[i] = l.labels[v]
		}
	}
	z := Fit(&l.z, n*cols)
	link.Apply(z, r)
	var byTarget []F
	if d := dst[target]; l.isTarget(target) && d != nil {
		byTarget = e.rowsTo(target, d, at)
	}
	dz, second := z, e.logits() == 2
	var v []F
	if second {
		dz, v = Fit(&l.dz, n*cols), e.in.Dir
		if e.hasRows(e.Wrt) {
			v = rowsOf(&l.dir, v, at, e.width(e.Wrt))
		}
		if !l.isTarget(e.Wrt) {
			link.Push(e.Wrt, dz, v, r)
		}
	}
	if e.Set.Sharded() {
		if err := e.shardLogits(z, dz, v, fault); err != nil {
			return err
		}
	}
	if second {
		e.logitBlocks(z, dz, v, byTarget)
	} else {
		e.logitGradients(z, byTarget)
	}
	for k, d := range dst {
		switch {
		case d == nil:
		case l.isTarget(k):
			e.store(k, d, byTarget, at)
		default:
			to := e.rowsTo(k, d, at)
			link.Pull(k, to, dz, r)
			if second && !l.isTarget(e.Wrt) {
				link.Second(k, e.Wrt, to, z, v, r)
			}
			if e.Set.Sharded() && e.hasRows(k) {
				if err := e.sumShards(to); err != nil {
					return err
				}
			}
			e.store(k, d, to, at)
		}
	}
	e.addValues(all, at)
	return nil
}

// addValues adds the values of the rows at, or what they change by.
func (e *evaluation[F]) addValues(all *totals, at []int) {
	l := &e.chunk
	values := l.values
	if e.Order == OrderTangent {
		values = l.moved
	}
	for i, f := range l.factor {
		if l.varies {
			e.stages.n.add(f * l.values[i])
			if e.logits() == 2 {
				e.stages.dn.add(f * l.moved[i])
			}
		}
		if e.Order.hasValue() {
			v := f * values[i]
			all.n.add(v)
			if e.Out != nil {
				e.Out[at[i]] = F(v)
			}
		}
	}
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

// logitGradients computes the values of the rows at hand and writes the derivatives by their logits
// over those, and those by the target to byTarget.
func (e *evaluation[F]) logitGradients(z, byTarget []F) {
	if p := paths.Load(); p != nil {
		if e.kernel == nil {
			p.block.Add(1)
		} else {
			p.kernel.Add(1)
		}
	}
	if e.kernel == nil {
		e.logitBlocks(z, nil, nil, byTarget)
		return
	}
	l := &e.chunk
	n := l.link.N
	Fit(&l.values, n)
	dims := Dims{Rows: n, Cols: e.Dims.Cols, Inner: 1, Classes: e.Dims.Cols, Stride: 1}
	tensorops.ParallelFor(n, dims.step(), func(lo, hi int) {
		k := Range[F]{Dims: dims, Lo: lo, Hi: hi, Labels: l.label[lo:hi], Factor: l.factor[lo:hi]}
		if k.X[0] = z; l.target != 0 {
			k.X[1] = l.link.X[l.target]
		}
		if e.Set.Sharded() {
			w := getWork[F](hi - lo)
			defer w.put()
			k.Labels = w.labels
			copy(k.Labels, l.label[lo:hi])
			e.besideOf(w, &k, lo)
		}
		if byTarget != nil {
			t := k
			t.Wrt, t.Factor, t.Dst = 1, l.up[lo:hi], byTarget
			e.kernel(&t)
		}
		values := l.values[lo:hi]
		switch {
		case e.Order == OrderValue:
			k.Values = values
		case e.Order == OrderGradient && !l.varies:
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

// logitBlocks computes the rows at hand by the block function: the values, and with dz, which holds
// the change of the logits along the direction v, what they change by or the derivatives of second
// order, which are written over it. The derivatives by the logits, where they are wanted, are
// written over those; byTarget receives the derivatives by the target.
func (e *evaluation[F]) logitBlocks(z, dz, v, byTarget []F) {
	l, cols := &e.chunk, e.Dims.Cols
	values, moved := Fit(&l.values, l.link.N), Fit(&l.moved, l.link.N)
	side := 0 // of the block's operands, that which moves
	if l.isTarget(e.Wrt) {
		side = 1
	}
	second := e.Order == OrderHessian
	tensorops.ParallelFor(l.link.N, max(1, blockLen/max(1, cols)), func(lo, hi int) {
		w := getWork[F](hi - lo)
		defer w.put()
		b := &w.block
		n, from, to := hi-lo, lo*cols, hi*cols
		*b = Block{Rows: n, Cols: cols, scratch: b.scratch.free(), row: b.row, first: lo}
		b.X[0] = Widen(&w.packed[0], z[from:to])
		if l.target != 0 {
			b.X[1] = Widen(&w.packed[1], l.link.X[l.target][from:to])
		}
		if e.Labels != "" {
			b.Label = l.label[lo:hi]
		}
		if e.Set.Sharded() {
			e.shardLabels(w, lo)
			e.besideBlock(w, func(r int) int { return lo + r })
		}
		b.Out = values[lo:hi]
		if e.Order != OrderValue {
			b.Grad[0] = Fit(&w.grad[0], n*cols)
		}
		if byTarget != nil || side == 1 && dz != nil {
			b.Grad[1] = Fit(&w.grad[1], n*cols)
		}
		if dz != nil {
			b.Dir[side] = Widen(&w.packedDir[side], [2][]F{dz, v}[side][from:to])
		}
		if second {
			b.Hess[0] = Fit(&w.out, n*cols)
			if byTarget != nil {
				b.Hess[1] = Fit(&w.resultOf, n*cols)
			}
		}
		e.block(b)
		for i := range n {
			row := func(x []float64) []float64 { return x[i*cols : (i+1)*cols] }
			if dz != nil {
				moved[lo+i] = Dot(row(b.Grad[side]), row(b.Dir[side]))
			}
			up, at := l.up[lo+i], from+i*cols
			of := &b.Grad
			if second {
				of = &b.Hess
				e.addMovedTarget(row(b.Hess[0]), row(b.Grad[0]))
				narrow(dz[at:at+cols], row(b.Hess[0]), up)
			}
			if e.Order.hasResult() {
				narrow(z[at:at+cols], row(b.Grad[0]), up)
			}
			if byTarget != nil {
				if second {
					e.addMovedTarget(row(b.Hess[1]), row(b.Grad[1]))
				}
				narrow(byTarget[at:at+cols], row(of[1]), up)
			}
		}
	})
}

// Widen returns x in float64, in memory that the block function may keep.
func Widen[F Float](buf *[]float64, x []F) []float64 {
	if d, ok := any(x).([]float64); ok {
		return d
	}
	dst := Fit(buf, len(x))
	copyWide(dst, x)
	return dst
}

// copyWide writes x to dst.
func copyWide[F Float](dst []float64, x []F) {
	if x, ok := any(x).([]float32); ok {
		vec.Widen(dst, x)
		return
	}
	copy(dst, any(x).([]float64))
}

// consecutive reports whether rows lie one after another.
func consecutive(at []int) bool { return at[len(at)-1]-at[0] == len(at)-1 }

// rowsOf returns the rows at of x: its own memory where they lie one after another.
func rowsOf[F Float](buf *[]F, x []F, at []int, width int) []F {
	if consecutive(at) {
		return x[at[0]*width : (at[0]+len(at))*width]
	}
	dst := Fit(buf, len(at)*width)
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
	return Fit(&e.chunk.out[k], len(at)*e.width(k))
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
