package tensorops

// longClasses is the number of classes from which rows without options are summed in float32 first,
// and read twice: the exponentials of such rows are worth more than the reading.
const longClasses = 320

// long reports whether this call's rows go by the functions of single rows that have no options.
func (c *softmaxCall[F]) long() bool {
	if c.inner != 1 || c.classes < longClasses || c.scale != 1 || c.softcap != 0 || c.smoothing != 0 {
		return false
	}
	if c.target != nil {
		return c.target.ZLoss == 0 && c.target.Weights == nil && c.target.Curve == nil
	}
	return c.o.ZLoss == 0 && c.o.Curve == nil && c.o.BesideMax == nil
}

// longRows does all rows one by one, and reports whether targets are finite and >= 0.
func (c *softmaxCall[F]) longRows() (valid bool) {
	k := active[F]()
	stream := len(c.dst) > 0 && streams[F](len(c.dst), c.classes)
	var total rowTotal
	valid = true
	for i := c.lo; i < c.hi; i++ {
		a, b := i*c.classes, (i+1)*c.classes
		var dst []F
		if c.dst != nil {
			dst = c.dst[a:b]
		}
		l, g, ok := 0.0, c.g[i-c.lo], true
		switch {
		case g == 0 || c.target == nil && c.labels[i-c.lo] < 0:
			clear(dst)
		case c.target == nil:
			l = c.longLabel(k, &total, dst, c.x[a:b], c.labels[i-c.lo], g, stream)
		case c.target.KL:
			l, ok = k.klRow(&total, dst, c.x[a:b], c.t[a:b], g, stream)
		case dst != nil:
			l, ok = k.softCrossEntropyGradRow(&total, dst, c.x[a:b], c.t[a:b], g, nil, stream)
		default:
			l, ok = k.softCrossEntropyRow(&total, c.x[a:b], c.t[a:b], nil)
		}
		valid = valid && ok
		if c.values != nil {
			c.values[i-c.lo] = l
		}
	}
	if stream {
		k.fence()
	}
	return valid
}

// longLabel is the cross-entropy of a row against a label, times the weight of its class.
func (c *softmaxCall[F]) longLabel(k *kernels[F], total *rowTotal, dst, x []F, y int, g float64, stream bool) float64 {
	weight := 1.0
	if c.o.Weights != nil {
		weight = c.o.Weights[y]
	}
	switch {
	case weight == 0:
		return weightedLabel(k, dst, x, y, g, weight)
	case dst == nil:
		return weight * k.crossEntropyRow(total, x, y, nil)
	}
	return weight * k.crossEntropyGradRow(total, dst, x, y, g*weight, nil, stream)
}

// pieceClasses is the number of classes from which the exponentials of a row are summed piece by
// piece, and what the additions of pieces round off is kept. Such a row is a group by itself.
const pieceClasses = 1024

// sumPieces is rowSum of a row of many classes.
func (c *softmaxCall[F]) sumPieces(st *softmaxRows, e []float64) {
	y, own := st.label[0], 0.0
	if y >= 0 {
		own, e[y] = e[y], 0
	}
	st.label[0] = -1
	sum, lost := 0.0, 0.0
	for from := 0; from < len(e); from += pieceClasses {
		c.k.rowSum(&st.others[0], &e[from], min(pieceClasses, len(e)-from), 1)
		sum, lost = addLost(sum, lost, st.others[0])
	}
	st.label[0], st.own[0], st.others[0] = y, own, sum+lost
}

// addLost adds v to sum, and what that rounds off to lost.
func addLost(sum, lost, v float64) (nextSum, nextLost float64) {
	next := sum + v
	moved := next - sum
	return next, lost + ((sum - (next - moved)) + (v - moved))
}
