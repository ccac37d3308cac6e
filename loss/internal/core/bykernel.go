package core

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// rowsByKernel computes a range of rows by the kernel, and what the kernel leaves by the block
// function.
func (e *evaluation[F]) rowsByKernel(w *work[F], lo, hi int) error {
	n := hi - lo
	s, labels := w.s[:n], w.labels[:n]
	if e.Labels == "" || e.Lists {
		for i := range labels {
			labels[i] = -1
		}
	}
	if e.counted {
		labels = e.in.Ints[0].from(lo, labels)
		for i := range s {
			s[i] = 1
		}
	} else if err := e.factors(s, labels, lo); err != nil {
		return err
	}
	k := &w.kernel
	*k = Range[F]{}
	k.Dims, k.Lo, k.Hi, k.X, k.Wrt, k.Labels, k.Factor, k.Left = e.Dims, lo, hi, e.in.X, e.Wrt, labels, s, w.left[:0]
	e.besideOf(w, k, lo)
	if e.Order.hasValue() {
		k.Values = Fit(&w.values, n)
	}
	done, why := true, 0.0
	var left []int // by values without derivatives, where those of rows that count are 0
	if e.Order.hasResult() {
		k.Factor, k.Dst = Fit(&w.g, n), e.Dst
		vanished := e.gradientFactors(k.Factor, s, lo)
		if vanished && k.Values != nil {
			values := *k
			values.Factor, values.Dst, k.Values = s, nil, nil
			why, done = e.kernel(&values)
			left = values.Left
		}
	}
	if done {
		why, done = e.kernel(k)
	}
	switch {
	case !done && why != why && n > 1: // the rows beside the one that is the reason are computed as ever
		for i := lo; i < hi; i++ {
			if err := e.rowsByKernel(w, i, i+1); err != nil {
				return err
			}
		}
		return nil
	case !done:
		return e.refused(w, lo, hi)
	}
	if w.left = k.Left; left != nil {
		w.left = left
	}
	if e.Order.hasValue() {
		// the values of rows that do not count are 0, so that they may be added
		for i := 0; e.Weighted && i < n; i++ {
			if s[i] != 1 {
				w.values[i] *= s[i]
			}
		}
		w.total.n.add(Total(w.values))
		if e.Out != nil {
			narrow(e.Out[lo:hi], w.values, 1)
		}
	}
	if len(w.left) > 0 {
		return e.leftRows(w, w.left)
	}
	return nil
}

// leftRows computes the rows, in ascending order, that a kernel has left to the block function.
func (e *evaluation[F]) leftRows(w *work[F], rows []int) error {
	if p := paths.Load(); p != nil {
		p.mended.Add(1)
	}
	w.keep = true // what the kernel has written stays
	defer func() { w.keep = false }()
	step := max(1, blockLen/max(1, e.Dims.Cols))
	for len(rows) > 0 {
		lo, n := rows[0], 0
		hi := min(lo+step, rows[len(rows)-1]+1)
		s := w.s[:hi-lo]
		if err := e.factors(s, w.labels, lo); err != nil {
			return err
		}
		for i := range s {
			if n < len(rows) && rows[n] == lo+i {
				n++
			} else {
				s[i] = 0
			}
		}
		if err := e.oneBlock(w, lo, hi, s); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// gradientFactors writes what the derivatives of rows with the factors s are multiplied with. It
// reports whether one is 0 although the row's value counts.
func (e *evaluation[F]) gradientFactors(g, s []float64, lo int) (vanished bool) {
	if e.Set.Reduction == None && e.in.Upstream != nil {
		for i, u := range e.in.Upstream[lo : lo+len(s)] {
			v := s[i]
			if v != 0 {
				v = float64(u) * v / e.scale
				vanished = vanished || v == 0
			}
			g[i] = v
		}
		return vanished
	}
	up := e.upstream(lo)
	one := up / e.scale
	g = g[:len(s)]
	if !e.Weighted { // factors are 0 or 1
		bits := math.Float64bits(one)
		for i, v := range s {
			g[i] = math.Float64frombits(bits &^ uint64(ifZero(v)))
		}
		return one == 0
	}
	for i, v := range s {
		switch v {
		case 1:
			v = one
		case 0:
		default:
			v = up * v / e.scale
			vanished = vanished || v == 0
		}
		g[i] = v
	}
	return vanished || one == 0
}

// refused computes a range by the block function that the kernel has refused.
func (e *evaluation[F]) refused(w *work[F], lo, hi int) error {
	if p := paths.Load(); p != nil {
		p.refused.Add(1)
	}
	return e.byBlocks(w, lo, hi)
}

// elementsByKernel computes a range of elements by the kernel. Where weights or a mask have one
// entry per row, neighbouring rows of one factor are a call.
func (e *evaluation[F]) elementsByKernel(w *work[F], lo, hi int) error {
	per := e.elementsPerFactor()
	var one, next [1]float64
	if err := e.factors(next[:], nil, lo); err != nil {
		return err
	}
	for a := lo; a < hi; {
		one = next
		b := min(hi, (a/per+1)*per)
		for ; b < hi; b = min(hi, b+per) {
			if err := e.factors(next[:], nil, b); err != nil {
				return err
			}
			if next != one {
				break
			}
		}
		if one[0] == 0 {
			if e.Order.hasResult() {
				clear(e.Dst[a:b])
			}
			if e.Out != nil {
				clear(e.Out[a:b])
			}
		} else if err := e.elements(w, a, b, one[0]); err != nil {
			return err
		}
		a = b
	}
	return nil
}

// elementsPerFactor is the number of elements that share a factor, 0 where each may have its own.
func (e *evaluation[F]) elementsPerFactor() int {
	shape := e.WeightShape
	switch {
	case e.Weighted && e.MaskType != "" && !e.WeightShape.Equal(e.MaskShape):
		return 0
	case e.MaskType != "":
		shape = e.MaskShape
	case !e.Weighted:
		return 0
	}
	if !e.perRow(shape) || e.perElement(shape) {
		return 0
	}
	return e.Dims.Rows / shape[0]
}

// perElement reports whether weights or a mask of a shape have one entry for each element, as those
// of rows of a single element have.
func (e *evaluation[F]) perElement(shape Shape) bool {
	return shape.Equal(e.Values) || e.perRow(shape) && shape[0] == e.Dims.Rows
}

// elements computes elements, with a factor that all of them have.
func (e *evaluation[F]) elements(w *work[F], lo, hi int, factor float64) error {
	weights, ok := e.elementWeights(w, lo, hi, factor)
	if !ok {
		return e.refused(w, lo, hi)
	}
	k := &w.kernel
	*k = Range[F]{}
	k.Dims = e.Dims
	k.X = e.in.X
	k.Lo, k.Hi, k.W, k.Wrt, k.Scale = lo, hi, weights, e.Wrt, 1
	if e.Out != nil {
		k.Out = e.Out[lo:hi]
	}
	common := factor // of the sum, where the weights do not have it
	if weights != nil {
		common = 1
	}
	if e.Order.hasResult() {
		if e.Set.Reduction == None && e.in.Upstream != nil {
			return e.elementsUpstream(w, weights, factor, common)
		}
		k.Scale, k.Dst = e.upstream(0)/e.scale*common, e.Dst
	}
	sum, ok := e.kernel(k)
	if !ok || !Finite(sum) {
		return e.mend(w, lo, hi, weights, factor, common)
	}
	w.total.n.add(sum * common)
	return nil
}

// elementsUpstream computes the prepared elements where each value has an upstream: one more factor,
// of the derivative alone.
func (e *evaluation[F]) elementsUpstream(w *work[F], weights []F, factor, common float64) error {
	k, ok, sum := &w.kernel, true, 0.0
	if e.Order == OrderBoth {
		if sum, ok = e.kernel(k); !ok || !Finite(sum) {
			return e.mend(w, k.Lo, k.Hi, weights, factor, common)
		}
	}
	k.Out, k.W, k.Dst = nil, e.timesUpstream(w, weights, k.Lo, k.Hi, factor), e.Dst
	total, ok := e.kernel(k)
	if !ok || !Finite(total) {
		return e.mend(w, k.Lo, k.Hi, weights, factor, common)
	}
	if e.Order != OrderBoth {
		sum = total
	}
	w.total.n.add(sum * common)
	return nil
}

// elementWeights returns the weights of elements, nil where they are all the same; a factor other
// than 1 is among them where values are requested. ok is false where a mask or weight is no valid
// one.
func (e *evaluation[F]) elementWeights(w *work[F], lo, hi int, factor float64) (weights []F, ok bool) {
	if e.elementsPerFactor() != 0 || e.allCount() {
		if factor == 1 || e.Out == nil {
			return nil, true
		}
		weights = Fit(&w.weights, hi-lo)
		for i := range weights {
			weights[i] = F(factor)
		}
		return weights, true
	}
	if e.MaskType == "" && e.perElement(e.WeightShape) {
		return e.in.Weights[lo:hi], true
	}
	weights = Fit(&w.weights, hi-lo)
	switch {
	case !e.perElement(e.MaskShape):
		copy(weights, e.in.Weights[lo:hi])
	case e.in.MaskF != nil:
		for i, m := range e.in.MaskF[lo:hi] {
			if m != 0 && m != 1 {
				return nil, false
			}
			weights[i] = m
		}
	default:
		if _, valid := vec.MaskWeights(weights, e.in.Mask[lo:hi]); !valid {
			return nil, false
		}
	}
	switch {
	case e.Weighted && !e.perElement(e.WeightShape):
		return weights, e.timesRows(weights, e.WeightShape, lo)
	case !e.perElement(e.MaskShape):
		return weights, e.timesRows(weights, e.MaskShape, lo)
	case e.Weighted:
		vec.Multiply(weights, weights, e.in.Weights[lo:hi])
	}
	return weights, true
}

// timesRows multiplies the weights of elements from lo on by what their rows have, weights or a
// mask of the shape, and reports whether that is valid. A weight of 0 stays 0.
func (e *evaluation[F]) timesRows(weights []F, shape Shape, lo int) bool {
	per := e.Dims.Rows / shape[0]
	for a := 0; a < len(weights); {
		row := (lo + a) / per
		b := min(len(weights), (row+1)*per-lo)
		var f F
		if e.MaskType == "" || !e.MaskShape.Equal(shape) {
			f = e.in.Weights[row]
		} else {
			f = F(e.in.maskAt(row))
		}
		if !Finite(float64(f)) || e.MaskShape.Equal(shape) && f != 0 && f != 1 {
			return false
		}
		for i, v := range weights[a:b] {
			if f == 0 {
				v = 0
			}
			if v != 0 {
				v *= f
			}
			weights[a+i] = v
		}
		a = b
	}
	return true
}

// timesUpstream returns the weights times the upstream of each value.
func (e *evaluation[F]) timesUpstream(w *work[F], weights []F, lo, hi int, factor float64) []F {
	up := e.in.Upstream[lo:hi]
	if weights != nil {
		dst := Fit(&w.elements, hi-lo)
		vec.Multiply(dst, weights, up)
		return dst
	}
	if factor == 1 {
		return up
	}
	dst := Fit(&w.elements, hi-lo)
	for i, u := range up {
		dst[i] = F(factor) * u
	}
	return dst
}

// mend computes elements whose kernel's sum is not finite or that it has left: those that are the
// reason by the block function, the others as the kernel has, with the weights and the common
// factor of the whole range. The result of an element does not depend on the others.
func (e *evaluation[F]) mend(w *work[F], lo, hi int, weights []F, factor, common float64) error {
	n := hi - lo
	s := Fit(&w.s, n)
	if err := e.factors(s, nil, lo); err != nil {
		return err
	}
	k := &w.kernel
	*k = Range[F]{Dims: e.Dims, Lo: lo, Hi: hi, X: e.in.X, W: Fit(&w.mended, n), Wrt: e.Wrt, Scale: 1, Out: Fit(&w.elements, n)}
	for i, v := range s {
		if k.W[i] = 0; v != 0 {
			k.W[i] = 1
		}
	}
	if _, ok := e.kernel(k); !ok {
		return e.refused(w, lo, hi)
	}
	if p := paths.Load(); p != nil {
		p.mended.Add(1)
	}
	hard := Fit(&w.values, n) // the factors of the elements for the block function, 0 for the others
	for i, v := range k.Out {
		hard[i] = 0
		switch {
		case s[i] != 0 && !Finite(float64(v)):
			hard[i] = s[i]
			k.W[i] = 0
		case weights != nil:
			k.W[i] = weights[i]
		}
	}
	k.Out = nil
	if e.Out != nil {
		k.Out = e.Out[lo:hi]
	}
	if e.Order.hasResult() {
		k.Dst = e.Dst
		if e.Set.Reduction == None && e.in.Upstream != nil {
			if e.Order == OrderBoth {
				values := *k
				values.Dst, k.Out = nil, nil
				e.kernel(&values)
			}
			if weights == nil && factor != 1 {
				for i := range k.W {
					k.W[i] *= F(factor)
				}
			}
			vec.Multiply(k.W, k.W, e.in.Upstream[lo:hi])
			k.Out = nil
		} else {
			k.Scale = e.upstream(0) / e.scale * common
		}
	}
	total, _ := e.kernel(k)
	w.total.n.add(total * common)
	w.keep = true // what the kernel has written stays
	defer func() { w.keep = false }()
	for a := 0; a < n; a += blockLen {
		b := min(a+blockLen, n)
		if err := e.oneBlock(w, lo+a, lo+b, hard[a:b]); err != nil {
			return err
		}
	}
	return nil
}
