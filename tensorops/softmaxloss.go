package tensorops

import "sync"

// LabelSoftmax describes a softmax loss against class labels, of rows of classes in any layout: the
// cross-entropy with its options, or a function of it.
//
// With z = Scale·x, or Scale·c·tanh(x/c) under a Softcap of c, p = softmax(z), y the label, K the
// number of classes whose logit is not -Inf, w the class weights (1 by default), ε the Smoothing
// and ζ the ZLoss,
//
//	a_j = w_j·((1-ε)·[j = y] + ε/K)
//	l = Σ_j a_j·(-log p_j) + ζ·(log Σ exp z)²
//	dl/dz_j = (Σ_c a_c)·p_j - a_j + 2ζ·(log Σ exp z)·p_j
//
// and with a Curve φ, which goes together with Scale, Softcap and Weights only,
//
//	l = w_y·φ(-log p_y)        dl/dz_j = w_y·φ'(-log p_y)·(p_j - [j = y])
//
// -log p keeps its relative accuracy where p is near 1. A class with a_j = 0 adds 0, also where its
// -log p is +Inf. A logit of -Inf masks its class, with a Softcap too: its probability is 0, and it
// gets no smoothing mass. A row with a NaN, with a +Inf that no Softcap limits, or with nothing but
// -Inf is NaN.
type LabelSoftmax struct {
	Classes, Inner int       // element c of row i lies at (i/Inner)·Classes·Inner + i%Inner + c·Inner
	Scale          float64   // factor of the logits, the inverse of a temperature; > 0
	Softcap        float64   // c > 0, or 0 for none
	Smoothing      float64   // ε, 0 to 1
	ZLoss          float64   // ζ, 0 or more
	Weights        []float64 // w, one for each class; nil stands for all 1

	// Curve writes φ and φ' of each element of nll. nil stands for none.
	Curve func(value, slope, nll []float64)

	// Of each row, from lo on, Σ exp z over classes that are not in x is exp(BesideMax)·(1 +
	// BesideRest); nil stands for none. Classes is then the label of rows whose label is among these,
	// of the class weight BesideWeight: their value is 0. There is no Curve and no Smoothing.
	BesideMax, BesideRest, BesideWeight []float64
}

// TargetSoftmax describes a softmax loss against soft targets t >= 0, which have the layout of the
// logits.
//
// With z, p, K, w, ε and ζ as for [LabelSoftmax] and t'_j = (1-ε)·t_j + ε/K,
//
//	a_j = w_j·t'_j
//	l = Σ_j a_j·(-log p_j) + ζ·(log Σ exp z)²              with KL: Σ_j a_j·(log t'_j - log p_j) + ..
//	dl/dz_j = (Σ_c a_c)·p_j - a_j + 2ζ·(log Σ exp z)·p_j
//	dl/dt_j = (1-ε)·w_j·(-log p_j)                         with KL: (1-ε)·w_j·(log t'_j + 1 - log p_j), 0 where t'_j = 0
//
// 0·log 0 is 0. A target of one 1 and zeros gives the numbers of the label, to the bit.
type TargetSoftmax struct {
	Classes, Inner int       // as for LabelSoftmax
	Scale          float64   // factor of the logits, the inverse of a temperature; > 0
	Softcap        float64   // c > 0, or 0 for none
	Smoothing      float64   // ε, 0 to 1
	ZLoss          float64   // ζ, 0 or more
	Weights        []float64 // w, one for each class; nil stands for all 1
	KL             bool      // the divergence from the target instead of the cross-entropy
	Wrt            int       // what the gradient is by: 0 the logits, 1 the targets

	// Curve is φ of the loss Σ_j a_j·φ(-log p_j), nil stands for the identity: it writes φ and φ' of
	// each element of nll, with u = 1 - p. It takes no Softcap, Smoothing,
	// ZLoss or KL, and has the gradient by the logits alone. Rows that kernels have no way for count
	// as not valid.
	Curve func(value, slope, nll, u []float64)
}

// LabelSoftmaxRows writes the losses of rows lo to hi-1 to values and g times their gradients by
// the logits to dst. labels, g and values have hi-lo elements, for those rows; x and dst are whole
// tensors. values or dst may be nil; dst may be x and must not overlap it otherwise. Values are not
// multiplied by g.
//
// A row with a negative label or a g of 0 is not read: its value is 0 and its part of dst is 0.
// What a row comes to does not depend on the others, nor on lo and hi, to the bit. The caller's
// core does all the work.
//
// It panics with "tensorops: length mismatch" and "tensorops: label out of range".
func LabelSoftmaxRows[F Float](values []float64, dst, x []F, lo, hi int, labels []int, g []float64, o *LabelSoftmax) {
	checkLayout(values, dst, x, lo, hi, g, o.Classes, o.Inner, o.Weights)
	mustLen(labels, hi-lo)
	most := o.Classes
	if o.BesideMax != nil {
		mustLen(o.BesideMax, hi-lo)
		mustLen(o.BesideRest, hi-lo)
		mustLen(o.BesideWeight, hi-lo)
		most++
	}
	ignored := 0
	for _, y := range labels {
		if uint(y) < uint(most) {
			continue
		}
		if y >= 0 {
			panic(errLabel)
		}
		ignored++
	}
	w := softmaxPool.Get().(*softmaxWork)
	defer softmaxPool.Put(w)
	// A single class has no loss, whatever rounding leaves of it.
	if k := active[F]().softmax; k != nil && !(o.Classes == 1 && o.Smoothing != 0) {
		c := softmaxCall[F]{k: k, w: w, values: values, dst: dst, x: x, lo: lo, hi: hi, labels: labels, g: g,
			classes: o.Classes, inner: o.Inner, scale: o.Scale, softcap: o.Softcap, smoothing: o.Smoothing, o: o}
		if c.gathers(ignored) {
			c.gathered()
		} else {
			c.labelGroups()
		}
		return
	}
	for i := lo; i < hi; i++ {
		labelRow(w, values, dst, x, i, lo, labels[i-lo], g[i-lo], o)
	}
}

// ExpSumRows writes largest and rest of rows lo to hi-1, with exp(largest)·(1 + rest) = Σ exp z and z
// as [LabelSoftmax] defines it; largest is near the largest of a row. It is -Inf where there is
// nothing but -Inf, and rest is NaN where a NaN or an unlimited +Inf is.
func ExpSumRows[F Float](largest, rest []float64, x []F, lo, hi int, o *LabelSoftmax) {
	mustLen(largest, hi-lo)
	mustLen(rest, hi-lo)
	w := softmaxPool.Get().(*softmaxWork)
	defer softmaxPool.Put(w)
	if k := active[F]().softmax; k != nil {
		c := softmaxCall[F]{k: k, w: w, x: x, lo: lo, hi: hi, classes: o.Classes, inner: o.Inner, scale: o.Scale, softcap: o.Softcap, o: o}
		c.expSums(largest, rest)
		return
	}
	for i := lo; i < hi; i++ {
		readRow(&w.row, x, place(i, o.Classes, o.Inner), o.Classes, o.Inner, o.Scale, o.Softcap)
		largest[i-lo], rest[i-lo] = w.row.sums()
	}
}

// TargetSoftmaxRows is [LabelSoftmaxRows] for soft targets t. Its gradient is by what Wrt says. It
// reports whether every target that it read is finite and >= 0; the value of a row where one is not
// means nothing.
func TargetSoftmaxRows[F Float](values []float64, dst, x, t []F, lo, hi int, g []float64, o *TargetSoftmax) (valid bool) {
	checkLayout(values, dst, x, lo, hi, g, o.Classes, o.Inner, o.Weights)
	mustLen(t, len(x))
	w := softmaxPool.Get().(*softmaxWork)
	defer softmaxPool.Put(w)
	if k := active[F]().softmax; k != nil && o.groups() {
		c := softmaxCall[F]{k: k, w: w, values: values, dst: dst, x: x, t: t, lo: lo, hi: hi, g: g,
			classes: o.Classes, inner: o.Inner, scale: o.Scale, softcap: o.Softcap, smoothing: o.Smoothing, target: o}
		return c.targetGroups()
	}
	if o.Curve != nil {
		return false
	}
	valid = true
	for i := lo; i < hi; i++ {
		valid = targetRow(w, values, dst, x, t, i, lo, g[i-lo], o) && valid
	}
	return valid
}

// groups reports whether kernels do this: not gradients by the targets, and divergences from
// targets as they are.
func (o *TargetSoftmax) groups() bool {
	return o.Wrt == 0 && !(o.Classes == 1 && o.Smoothing != 0) && (!o.KL || o.Smoothing == 0 && o.Weights == nil)
}

// checkLayout panics where lengths do not fit.
func checkLayout[F Float](values []float64, dst, x []F, lo, hi int, g []float64, classes, inner int, weights []float64) {
	if classes < 1 || inner < 1 || lo < 0 || hi < lo || len(x)%(classes*inner) != 0 || hi > len(x)/classes {
		panic(errLength)
	}
	mustLen(g, hi-lo)
	if values != nil {
		mustLen(values, hi-lo)
	}
	if dst != nil {
		mustLen(dst, len(x))
	}
	if weights != nil {
		mustLen(weights, classes)
	}
}

var softmaxPool = sync.Pool{New: func() any { return new(softmaxWork) }}

// softmaxWork is the memory of one call.
type softmaxWork struct {
	row     softmaxRow
	single  LabelSoftmax // for targets of one 1
	stats   [maxGroups]softmaxRows
	hard    [maxGroups]int // a bit for each row that needs the row function
	numbers softmaxNumbers

	nll, bent, slopes [maxGroups * groupRows]float64 // of a curve

	few struct { // of a group of fewer rows than a kernel reads
		labels [groupRows]int
		up     [groupRows]float64
	}
	sum, lost [groupRows]float64 // of exponentials, chunk by chunk
	curve     curveWork

	e, z, slope []float64 // exponentials, logits after a softcap, and its slopes
	pair        pairWork
	k, b        []float64 // one number for each class
	late, kept  []float64 // gradients of the row function, and of targets of one 1
	mem32       softmaxMemory[float32]
	mem64       softmaxMemory[float64]
	labels      [groupRows]int // of targets of one 1
	entropy     [groupRows]float64
}

// maxGroups is the number of groups that a curve is computed for at once.
const maxGroups = 16

// sized returns n elements of *buf, which grows.
func sized[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n+n/4)
	}
	return (*buf)[:n]
}

// place returns where row i begins.
func place(i, classes, inner int) int {
	if inner == 1 {
		return i * classes
	}
	return i/inner*classes*inner + i%inner
}
