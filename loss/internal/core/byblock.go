package core

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// blockLen is the number of entries of a block: few enough that operands, results and what the
// mathematics keeps stay in the nearest cache.
const blockLen = 1024

// byBlocks computes a range by the block function.
func (e *evaluation[F]) byBlocks(w *work[F], lo, hi int) error {
	step := max(1, blockLen/max(1, e.Dims.Cols))
	all := e.allCount() && !(e.Normalized && e.in.Normalizer == 0)
	for a := lo; a < hi; a += step {
		b := min(a+step, hi)
		var s []float64
		if !all {
			s = w.s[:b-a]
			if err := e.factors(s, w.labels, a); err != nil {
				return err
			}
		}
		if err := e.oneBlock(w, a, b, s); err != nil {
			return err
		}
	}
	return nil
}

// factorAt returns the factor of value i; nil factors are all 1.
func factorAt(s []float64, i int) float64 {
	if s == nil {
		return 1
	}
	return s[i]
}

// oneBlock computes the values from lo up to hi, whose factors are s, by one call of the block
// function.
func (e *evaluation[F]) oneBlock(w *work[F], lo, hi int, s []float64) error {
	if e.Order.hasResult() && !e.Zeroed && !w.keep && e.task == compute {
		e.clearRows(lo, s)
	}
	b := &w.block
	e.pack(w, lo, hi, s)
	if b.Rows == 0 {
		return nil
	}
	if err := e.checkBlock(b); err != nil {
		return err
	}
	e.requestOf(w)
	if e.Set.Sharded() {
		e.besideBlock(w, b.Index)
	}
	e.block(b)
	if e.task == sumVarying {
		e.addVarying(w, s, lo)
		return nil
	}
	if e.Order.hasValue() {
		e.takeValues(w, s, lo)
	}
	if e.Order.hasResult() {
		e.storeRows(w, s, lo)
	}
	return nil
}

// pack fills the block with the rows from lo up to hi whose factor is not 0.
func (e *evaluation[F]) pack(w *work[F], lo, hi int, s []float64) {
	b := &w.block
	b.reset()
	b.Cols, b.Single, b.first = e.Dims.Cols, e.DType == Float32, lo
	b.Rows = hi - lo
	if _, counted, _ := vec.SumWeights(s); counted < len(s) {
		at, n := Fit(&w.at, len(s)+1), 0
		for i, v := range s {
			at[n] = lo + i // stays where the row counts
			n += int(1 + ifZero(math.Abs(v)))
		}
		if b.Rows = n; n == 0 {
			return
		}
		b.at = at[:n]
	}
	for k := range e.Floats {
		if e.in.X[k] != nil {
			b.X[k] = e.gather(&w.packed[k], e.in.X[k], b)
		}
	}
	if len(e.Integers) > 0 && !e.Def.Operands[e.integer[0]].Holds.TakesLabels() && !e.Lists {
		k := e.integer[0]
		b.X[k] = Fit(&w.packed[k], b.Rows)
		for i := range b.X[k] {
			b.X[k][i] = float64(e.in.Ints[0].at(b.Index(i)))
		}
	}
	if e.in.Dir != nil {
		b.Dir[e.Wrt] = e.gather(&w.packedDir[e.Wrt], e.in.Dir, b)
	}
	switch {
	case e.Lists:
		e.packLists(w)
	case e.Labels != "":
		b.Label = w.labels[:0]
		for i := range s { // in place: the row is never before its place
			if s[i] != 0 {
				b.Label = append(b.Label, w.labels[i])
			}
		}
		if e.Set.Sharded() {
			for r, y := range b.Label {
				b.Label[r] = e.inShard(y)
			}
		}
	}
}

// gather returns the entries of the block's rows in float64: the operand's own memory where it is
// that already.
func (e *evaluation[F]) gather(buf *[]float64, x []F, b *Block) []float64 {
	cols, inner := e.Dims.Cols, e.Dims.Inner
	if b.at == nil && inner == 1 {
		return Widen(buf, x[b.first*cols:(b.first+b.Rows)*cols])
	}
	dst := Fit(buf, b.Rows*cols)
	if cols == 1 {
		for r, i := range b.at {
			dst[r] = float64(x[i])
		}
		return dst
	}
	for r := range b.Rows {
		from := e.Dims.Place(b.Index(r))
		row := dst[r*cols : (r+1)*cols]
		for c := range row {
			row[c] = float64(x[from])
			from += inner
		}
	}
	return dst
}

// packLists reads the lists of the block's rows.
func (e *evaluation[F]) packLists(w *work[F]) {
	b := &w.block
	all, lists := Fit(&w.listed, b.Rows*b.Cols)[:0], Fit(&w.list, b.Rows)[:0]
	for r := range b.Rows {
		from, first := e.Dims.Place(b.Index(r)), len(all)
		for range b.Cols {
			class := e.in.Ints[0].at(from)
			if class == -1 {
				break
			}
			all = append(all, class)
			from += e.Dims.Inner
		}
		lists = append(lists, all[first:len(all):len(all)])
	}
	b.List = lists
}

// requestOf tells the block what to compute.
func (e *evaluation[F]) requestOf(w *work[F]) {
	b := &w.block
	n := b.Rows * b.Cols
	if e.task == sumVarying {
		b.Out = Fit(&w.value, b.Rows)
		if e.in.Dir != nil {
			b.Grad[e.Wrt] = Fit(&w.out, n)
		}
		return
	}
	switch e.Order {
	case OrderValue:
		b.Out = Fit(&w.value, b.Rows)
	case OrderBoth:
		b.Out = Fit(&w.value, b.Rows)
		b.Grad[e.Wrt] = Fit(&w.out, n)
	case OrderGradient, OrderTangent:
		b.Grad[e.Wrt] = Fit(&w.out, n)
	case OrderHessian:
		b.Hess[e.Then] = Fit(&w.out, n)
		if e.denominatorVaries() {
			b.Grad[e.Then] = Fit(&w.resultOf, n)
		}
	}
}

// addVarying adds the block to all totals of a denominator that depends on the target.
func (e *evaluation[F]) addVarying(w *work[F], s []float64, lo int) {
	b, t := &w.block, &w.total
	for r := range b.Rows {
		i := b.Index(r) - lo
		from, to := r*b.Cols, (r+1)*b.Cols
		factor := factorAt(s, i)
		t.n.add(factor * b.Out[r])
		t.share(factor * Dot(e.local.ClassWeights, b.X[1][from:to]))
		if v := b.Dir[e.Wrt]; v != nil {
			t.dn.add(factor * Dot(b.Grad[e.Wrt][from:to], v[from:to]))
			if e.Wrt == 1 {
				t.dd.add(factor * Dot(e.local.ClassWeights, v[from:to]))
			}
		}
	}
}

// takeValues adds the block's values, or their tangents, to the numerator and writes those of None.
func (e *evaluation[F]) takeValues(w *work[F], s []float64, lo int) {
	b := &w.block
	l := b.Out
	if e.Order == OrderTangent {
		l = Fit(&w.value, b.Rows)
		for r := range l {
			from, to := r*b.Cols, (r+1)*b.Cols
			if l[r] = Dot(b.Grad[e.Wrt][from:to], b.Dir[e.Wrt][from:to]); b.Cols == 1 {
				l[r] = b.Grad[e.Wrt][r] * b.Dir[e.Wrt][r]
			}
		}
	}
	if b.Cols == 1 && e.Dims.Inner == 1 && s != nil {
		e.takeElements(w, l, s, lo)
		return
	}
	if b.Cols == 1 && s == nil {
		w.total.n.add(Total(l))
		if e.Out != nil {
			narrow(e.Out[b.first:b.first+len(l)], l, 1)
		}
		return
	}
	for r, v := range l {
		i := b.Index(r)
		v *= factorAt(s, i-lo)
		w.total.n.add(v)
		if e.Out != nil {
			e.Out[i] = F(v)
		}
	}
}

// takeElements is takeValues of rows of one entry.
func (e *evaluation[F]) takeElements(w *work[F], l, s []float64, lo int) {
	b := &w.block
	if b.at == nil {
		for i, v := range s {
			l[i] *= v
		}
	} else {
		for r, i := range b.at {
			l[r] *= s[i-lo]
		}
	}
	w.total.n.addAll(l)
	switch {
	case e.Out == nil:
	case b.at == nil:
		narrow(e.Out[b.first:b.first+len(l)], l, 1)
	default:
		for r, i := range b.at {
			e.Out[i] = F(l[r])
		}
	}
}

// narrow writes factor·x to dst.
func narrow[F Float](dst []F, x []float64, factor float64) {
	if d, ok := any(dst).([]float32); ok {
		vec.Narrow(d, x, factor)
		return
	}
	for i, v := range x {
		dst[i] = F(factor * v)
	}
}

// storeRows writes the block's derivatives, times the factors of their rows, to their places.
func (e *evaluation[F]) storeRows(w *work[F], s []float64, lo int) {
	b := &w.block
	d := w.out
	if e.denominatorVaries() {
		e.addVariation(w, d)
	}
	if e.Dims.Inner == 1 && s == nil && e.Set.Reduction != None {
		narrow(e.Dst[b.first*b.Cols:(b.first+b.Rows)*b.Cols], d[:b.Rows*b.Cols], e.upstream(0)/e.scale)
		return
	}
	if b.Cols == 1 && e.Dims.Inner == 1 {
		e.storeElements(w, s, lo)
		return
	}
	for r := range b.Rows {
		i := b.Index(r)
		factor := e.upstream(i) * factorAt(s, i-lo) / e.scale
		to, row := e.Dims.Place(i), d[r*b.Cols:(r+1)*b.Cols]
		if e.Dims.Inner == 1 {
			narrow(e.Dst[to:to+b.Cols], row, factor)
			continue
		}
		for _, v := range row {
			e.Dst[to] = F(factor * v)
			to += e.Dims.Inner
		}
	}
}

// storeElements is storeRows of rows of one entry.
func (e *evaluation[F]) storeElements(w *work[F], s []float64, lo int) {
	b := &w.block
	d, factors := w.out[:b.Rows], Fit(&w.g, b.Rows)
	switch {
	case b.at != nil:
		for r, i := range b.at {
			factors[r] = s[i-lo]
		}
	case s != nil:
		copy(factors, s)
	default:
		for r := range factors {
			factors[r] = 1
		}
	}
	if e.Set.Reduction == None && e.in.Upstream != nil && !e.IsMap {
		for r := range factors {
			factors[r] *= float64(e.in.Upstream[b.Index(r)])
		}
	} else if up := e.upstream(0); up != 1 {
		for r := range factors {
			factors[r] *= up
		}
	}
	if e.scale != 1 {
		tensorops.Quotients(factors, factors, e.scale)
	}
	for r, f := range factors {
		d[r] *= f
	}
	if b.at == nil {
		narrow(e.Dst[b.first:b.first+len(d)], d, 1)
		return
	}
	for r, i := range b.at {
		e.Dst[i] = F(d[r])
	}
}

// addVariation adds what the derivatives of L = N/D have beside those of N/D with D fixed: with N'
// and D' the derivatives along the direction v in operand k,
//
//	D·∂_j L      = ∂_j N - (N/D)·∂_j D
//	D·∂_j(L')    = H_jk·v - (D'/D)·∂_j N - (N'/D - 2·N·D'/D²)·∂_j D
//
// where ∂_j D is the class weights for the target and 0 for the logits.
func (e *evaluation[F]) addVariation(w *work[F], g []float64) {
	t, weights := &e.stages, e.local.ClassWeights
	n, d, dn, dd := t.n.value(), t.d.value(), t.dn.value(), t.dd.value()
	if e.Order == OrderHessian {
		b := 0.0
		if e.Then == 1 {
			b = dn/d - 2*n*dd/(d*d)
		}
		for c := range g {
			g[c] -= dd/d*w.resultOf[c] + b*weights[c%len(weights)]
		}
		return
	}
	if e.Wrt == 1 {
		for c := range g {
			g[c] -= n / d * weights[c%len(weights)]
		}
	}
}

// clearRows writes 0 to the derivatives of rows that do not count.
func (e *evaluation[F]) clearRows(lo int, s []float64) {
	if e.Dims.Cols == 1 && e.Dims.Inner == 1 { // those that count are written later
		clear(e.Dst[lo : lo+len(s)])
		return
	}
	for i, v := range s {
		if v != 0 {
			continue
		}
		to := e.Dims.Place(lo + i)
		for range e.Dims.Cols {
			e.Dst[to] = 0
			to += e.Dims.Inner
		}
	}
}
