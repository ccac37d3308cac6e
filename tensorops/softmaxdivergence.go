package tensorops

import (
	"math"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// RowContent says how the entries of a row give a distribution.
type RowContent uint8

const (
	LogitEntries       RowContent = iota // logits: their softmax
	LogEntries                           // logarithms of it
	ProbabilityEntries                   // the distribution itself
)

// SoftmaxDivergence describes the Kullback-Leibler divergence of rows b from rows a, of which one is
// a softmax at least,
//
//	l = Σ_c a_c·(log a_c - log b_c)
//
// and with labels y, class weights w (1 by default) and the softmax p of b's logits as they are,
//
//	w_y·(Share·l + LabelShare·(-log p_y))
//
// A does not have ProbabilityEntries, and B has LogitEntries where there are labels.
type SoftmaxDivergence struct {
	Classes, Inner int     // as for LabelSoftmax
	Scale          float64 // factor of logits, the inverse of a temperature; > 0
	A, B           RowContent
	ByB            bool // the gradient is by b's entries instead of a's

	Share, LabelShare float64   // with labels
	Weights           []float64 // w; nil stands for all 1
}

// SoftmaxDivergenceRows is [LabelSoftmaxRows] for divergences; labels may be nil. dst must not overlap
// a or b. Rows that are not finite are left to the caller and appended to left: their value is 0, and
// their part of dst too.
//
// ok is false where kernels do not exist: then it does nothing.
func SoftmaxDivergenceRows[F Float](values []float64, dst, a, b []F, lo, hi int, labels []int, g []float64,
	left []int, o *SoftmaxDivergence) (rows []int, ok bool) {
	checkLayout(values, dst, a, lo, hi, g, o.Classes, o.Inner, o.Weights)
	mustLen(b, len(a))
	if labels != nil {
		mustLen(labels, hi-lo)
		for _, y := range labels {
			if y >= o.Classes {
				panic(errLabel)
			}
		}
	}
	k := active[F]().softmax
	if k == nil || !(o.Scale <= 0x1p100) { // what takes the place of exponentials of 0 would count
		return left, false
	}
	w := softmaxPool.Get().(*softmaxWork)
	defer softmaxPool.Put(w)
	w.single = LabelSoftmax{Classes: o.Classes, Inner: o.Inner, Weights: o.Weights}
	c := softmaxCall[F]{k: k, w: w, values: values, dst: dst, x: a, t: b, lo: lo, hi: hi, labels: labels, g: g,
		classes: o.Classes, inner: o.Inner, scale: o.Scale, divergence: o, o: &w.single, left: left}
	c.divergences()
	return c.left, true
}

// pairWork is memory for groups of rows of two operands.
type pairWork struct {
	a, b, terms, labels softmaxRows // sums over what follows
	ea, eb, products    []float64   // exponentials of both, and a·(log a - log b) but for what all entries of a row share
	own, logs           []float64   // exponentials of b without the scale, logarithms of b
}

// divergences does all rows.
func (c *softmaxCall[F]) divergences() {
	if n := c.tile(); n != 0 {
		c.tiles(n)
		return
	}
	c.groups()
	p := &c.w.pair
	for _, buf := range []*[]float64{&p.ea, &p.eb, &p.products, &p.own, &p.logs} {
		sized(buf, c.room)
	}
	p.a.label, p.b.label, p.terms.label = noLabels, noLabels, noLabels
	c.w.numbers = softmaxNumbers{keep: 1, scale: c.divergence.LabelShare}
	if isFloat32[F]() {
		c.w.numbers.floor = 0x1p-850 // as in prepare
	}
	for i := c.lo; i < c.hi; i += c.per {
		c.pair(i)
	}
}

// pair does the group that begins with row i.
func (c *softmaxCall[F]) pair(i int) {
	o, p, n := c.divergence, &c.w.pair, c.count(i)
	a, b, m := c.mem.x, c.mem.t, groupRows*c.classes
	if c.lanes {
		c.load(a, c.x, i, 0)
		c.load(b, c.t, i, 0)
	} else {
		a, b, m = c.x[i*c.classes:], c.t[i*c.classes:], n*c.classes
	}
	scaleA, scaleB := c.scale, c.scale
	if o.A == LogEntries {
		scaleA = 1
	}
	c.k.expFull(&p.ea[0], &a[0], m, scaleA)
	c.sums(&p.a, p.ea, n)
	switch o.B {
	case LogitEntries:
		c.k.expFull(&p.eb[0], &b[0], m, c.scale)
		c.sums(&p.b, p.eb, n)
	case LogEntries:
		scaleB = 1
	}
	if o.B == ProbabilityEntries {
		logs, wide := p.logs[:m], widened(p.own, a[:m])
		vec.Log(logs, widened(logs, b[:m]))
		active[float64]().softmax.gaps(&p.products[0], &p.ea[0], &wide[0], &logs[0], m, scaleA, 1)
	} else {
		c.k.gaps(&p.products[0], &p.ea[0], &a[0], &b[0], m, scaleA, scaleB)
	}
	c.sums(&p.terms, p.products, n)

	st := &c.w.stats[0]
	st.up, st.label = [groupRows]float64{}, noLabels
	copy(st.up[:], c.g[i-c.lo:][:n])
	hard := 0
	if c.labels != nil {
		c.takeLabels(&p.labels, i)
		c.k.exp(&p.own[0], &b[0], m, 1)
		c.sums(&p.labels, p.own, n)
		hard = c.k.finish(&p.labels.others[0], &c.w.numbers.keep)
		st.up, st.label, st.atLabel = p.labels.up, p.labels.label, p.labels.atLabel
	}
	near := c.finishPair(st, i, hard)
	late := c.w.late[:0]
	for j := 0; near>>j != 0; j++ {
		if near>>j&1 != 0 {
			late = c.nearRow(late, st, i, j, a, b)
		}
	}
	c.w.late = late
	if c.values != nil {
		copy(c.values[i-c.lo:][:n], st.value[:])
	}
	if c.dst != nil {
		c.storePair(st, i, b[:m])
		for j := 0; near>>j != 0; j++ {
			if near>>j&1 != 0 {
				writeRow(c.dst, place(i+j, c.classes, c.inner), c.inner, late[:c.classes])
				late = late[c.classes:]
			}
		}
	}
}

// widened returns the numbers of x, in buf or in their own memory.
func widened[F Float](buf []float64, x []F) []float64 {
	if wide, ok := any(x).([]float64); ok {
		return wide
	}
	vec.Widen(buf[:len(x)], any(x).([]float32))
	return buf[:len(x)]
}

// sums sums each row of the numbers e of a group of n rows.
func (c *softmaxCall[F]) sums(st *softmaxRows, e []float64, n int) {
	switch {
	case !c.lanes && c.classes > pieceClasses:
		c.sumPieces(st, e[:c.classes])
		return
	case !c.lanes:
		c.k.rowSum(&st.others[0], &e[0], c.classes, n)
		return
	}
	w := c.w
	st.own, w.sum, w.lost = [groupRows]float64{}, [groupRows]float64{}, [groupRows]float64{}
	for from := 0; from < c.classes; from += chunkClasses {
		first := from
		if st != &w.pair.labels {
			first = -1
		}
		st.others = [groupRows]float64{}
		c.k.laneSum(&st.others[0], &e[from*groupRows], first, min(chunkClasses, c.classes-from))
		if c.classes <= chunkClasses {
			return
		}
		for j, v := range st.others {
			w.sum[j], w.lost[j] = addLost(w.sum[j], w.lost[j], v)
		}
	}
	for j, v := range w.sum {
		st.others[j] = v + w.lost[j]
	}
}

// finishPair sets values and factors of a group, but for rows that it leaves, those with a bit in hard
// among them, and rows whose value loses digits, which have a bit in near. With A and B the sums of exponentials, T that of the products and M = Σ a,
//
//	l = T/A + log B - log A, with A = 1 and M for it where a is given by logarithms, and B = 1 where b is
func (c *softmaxCall[F]) finishPair(st *softmaxRows, i, hard int) (near int) {
	o, p := c.divergence, &c.w.pair
	least := 0x1p-3 // of the terms, that a value must have
	if isFloat32[F]() {
		least = 0x1p-20
	}
	logits := o.A == LogitEntries && o.B == LogitEntries
	for j, up := range st.up {
		st.value[j], st.factor[j], st.add[j] = 0, 0, 0
		if up == 0 {
			continue
		}
		a, b := p.a.others[j], p.b.others[j]
		inv, mass, shift := c.sharesOf(a, b)
		if o.B != LogitEntries {
			b = a
		}
		part, moved := p.terms.others[j]*inv, mass*shift
		l, size := part+moved, 1+math.Abs(part)+math.Abs(moved)
		known := a >= 0x1p-400 && a <= 0x1p500 && b >= 0x1p-400 && b <= 0x1p500 && hard>>j&1 == 0 && size <= math.MaxFloat64
		// what rounding the entries of a distribution does to its mass counts in small values
		if !known || !(l >= least*size) || !logits && l <= 0x1p-10 {
			if st.up[j], st.label[j] = 0, -1; known {
				near |= 1 << j
			} else {
				c.left = append(c.left, i+j)
			}
			continue
		}
		g := up
		if st.value[j] = l; c.labels != nil {
			share := p.labels.weight[j] * o.Share
			st.value[j] = share*l + o.LabelShare*p.labels.value[j]
			g *= share
		}
		switch {
		case o.ByB && o.B == LogitEntries:
			st.factor[j], st.add[j] = g*c.scale*mass/b, -g*c.scale*inv
		case o.ByB:
			st.factor[j] = -g * inv
		case o.A == LogitEntries:
			st.factor[j] = g * c.scale * inv
			st.add[j] = st.factor[j] * (shift - l)
		default:
			st.factor[j], st.add[j] = g, g*(shift+1)
		}
	}
	return near
}

// sharesOf returns, for sums a and b of exponentials, what those of a are multiplied with, Σ a, and
// what is to be added to differences of the entries.
func (c *softmaxCall[F]) sharesOf(a, b float64) (inv, mass, shift float64) {
	switch o := c.divergence; {
	case o.A != LogitEntries:
		return 1, a, shortLog(b)
	case o.B == LogitEntries:
		return 1 / a, 1, shortLog(b / a)
	}
	return 1 / a, 1, -shortLog(a)
}

// farShift bounds what is added to the differences of entries of near rows. Where it is more, entries
// are taken from the largest of their row, which leaves them the digits of their distance to it.
const farShift = 8

// largest returns the place of the largest of n numbers from at on, step apart.
func largest(e []float64, at, step, n int) int {
	m := at
	for k := at; k < at+n*step; k += step {
		if e[k] > e[m] {
			m = k
		}
	}
	return m
}

// nearRow computes row j of the group that begins with row i and has the entries a and b, class by
// class. Its value goes to st and its gradient is appended to late, where there is one. The terms
// a·log(a/b) - a + b are >= 0; what the masses of both rows miss 1 by is added apart.
func (c *softmaxCall[F]) nearRow(late []float64, st *softmaxRows, i, j int, a, b []F) []float64 {
	o, p, r := c.divergence, &c.w.pair, &c.w.row
	at, step := j*c.classes, 1
	if c.lanes {
		at, step = j, groupRows
	}
	inv, _, shift := c.sharesOf(p.a.others[j], p.b.others[j])
	if o.A == o.B {
		shift = math.Log(p.b.others[j] / p.a.others[j]) // 0 of equal rows
	}
	topA, topB, far := 0.0, 0.0, math.Abs(shift) > farShift
	if far {
		shift = 0
		if o.A == LogitEntries {
			m := largest(p.ea, at, step, c.classes)
			topA, shift = float64(a[m])*c.scale, -math.Log(p.a.others[j]/p.ea[m])
		}
		if o.B == LogitEntries {
			m := largest(p.eb, at, step, c.classes)
			topB, shift = float64(b[m])*c.scale, shift+math.Log(p.b.others[j]/p.eb[m])
		}
	}
	t, q, d := sized(&r.buf[0], c.classes), sized(&r.buf[1], c.classes), sized(&r.buf[2], c.classes)
	overA, lostA, overB, lostB := -1.0, 0.0, -1.0, 0.0 // Σ a - 1 and Σ b - 1
	for y := range t {
		k := at + y*step
		x, z := float64(a[k]), float64(b[k])
		t[y] = p.ea[k] * inv
		switch {
		case o.A != LogitEntries:
			q[y], d[y] = p.eb[k]/p.b.others[j], x-z*c.scale+shift
			overA, lostA = addLost(overA, lostA, t[y])
		case o.B == LogitEntries:
			q[y], d[y] = p.eb[k]/p.b.others[j], (x-z)*c.scale+shift
		case o.B == LogEntries:
			q[y], d[y] = z, x*c.scale-z+shift
		default:
			q[y], d[y] = z, x*c.scale-p.logs[k]+shift
		}
		if far {
			if o.A == LogitEntries {
				x *= c.scale
			}
			switch o.B {
			case LogitEntries:
				z *= c.scale
			case ProbabilityEntries:
				z = p.logs[k]
			}
			d[y] = (x - topA) - (z - topB) + shift
		}
	}
	if o.B == LogEntries {
		vec.Exp(q, q)
	}
	over, missing := 0.0, 0.0
	if o.A != LogitEntries {
		over = overA + lostA
	}
	if o.B != LogitEntries {
		for _, v := range q {
			overB, lostB = addLost(overB, lostB, v)
		}
		missing = overB + lostB
	}
	mean, near, top := 0.0, 0.0, 0
	excess := sized(&r.buf[3], c.classes) // of small d
	for y, d := range d {
		mean += t[y] * d
		if math.Abs(d) <= 0.5 {
			even, odd := excessParts(d)
			excess[y] = even + odd
			near += t[y] * (even - odd)
		} else {
			near += t[y]*d + (q[y] - t[y])
		}
		if t[y] > t[top] {
			top = y
		}
	}
	l := mean
	switch miss, off := max(math.Abs(over), math.Abs(missing)), over-missing; {
	case !(miss <= 0.5):
	case miss <= 0x1p-48 || miss <= 0x1p-22 && near <= 0x1p10*math.Abs(off):
		l = near // distributions but for the rounding of their entries
	default:
		l = near + off
	}
	g, own := c.g[i-c.lo+j], 0.0
	if st.value[j] = l; c.labels != nil {
		share := p.labels.weight[j] * o.Share
		st.value[j] = share*l + o.LabelShare*p.labels.value[j]
		g *= share
		own = p.labels.factor[j]
	}
	if c.dst == nil {
		return late
	}
	from := len(late)
	switch {
	case !o.ByB && o.A == LogitEntries:
		for y, t := range t {
			late = append(late, g*c.scale*(t*(d[y]-mean)))
		}
		return late
	case !o.ByB:
		for y, t := range t {
			late = append(late, g*(t*(d[y]+1)))
		}
		return late
	case o.B == LogEntries:
		for _, t := range t {
			late = append(late, -g*t)
		}
		return late
	case o.B != LogitEntries:
		for y, t := range t {
			late = append(late, -g*(t/q[y]))
		}
		return late
	}
	restT, restQ := 0.0, 0.0 // of the classes beside the largest, from which its difference is taken
	for y, t := range t {
		if y != top {
			restT, restQ = restT+t, restQ+q[y]
		}
	}
	for y, t := range t {
		v := over * q[y]
		switch {
		case y == top:
			v = restT*q[y] - t*restQ
		case math.Abs(d[y]) <= 0.5:
			v -= q[y] * (d[y] + excess[y])
		default:
			v -= t - q[y]
		}
		late = append(late, g*c.scale*v)
	}
	if c.labels != nil {
		for y := range t {
			late[from+y] += own * p.own[at+y*step]
		}
		late[from+p.labels.label[j]] += p.labels.atLabel[j]
	}
	return late
}

// storePair writes the gradients of a group, b being the entries of b.
func (c *softmaxCall[F]) storePair(st *softmaxRows, i int, b []F) {
	o, p, n := c.divergence, &c.w.pair, c.count(i)
	c.kind = gradTwo
	switch {
	case !o.ByB:
		c.store(st, i, &p.products[0], &p.ea[0], nil, nil, nil)
		return
	case o.B == ProbabilityEntries:
		for at, e := range p.ea[:len(b)] {
			if e != 0 {
				p.ea[at] = e / float64(b[at])
			}
		}
		fallthrough
	case o.B == LogEntries:
		c.kind = gradPlain
		c.store(st, i, &p.ea[0], nil, nil, nil, nil)
		return
	case c.labels == nil:
		c.store(st, i, &p.eb[0], &p.ea[0], nil, nil, nil)
		return
	}
	// The sum of both parts, in float64, and then that of the label's part and it.
	k := active[float64]().softmax
	if c.lanes {
		k.laneGrad[gradTwo](&p.products[0], &p.eb[0], &p.ea[0], nil, nil, nil, &st.others[0], groupRows, c.classes)
	} else {
		k.rowGrad[gradTwo](&p.products[0], &p.eb[0], &p.ea[0], nil, nil, nil, &st.others[0], c.classes, n)
	}
	for j, y := range st.label {
		st.factor[j], st.add[j] = 1, p.labels.factor[j]
		if y >= 0 {
			st.atLabel[j] += p.products[c.index(j, y)]
		}
	}
	c.store(st, i, &p.products[0], &p.own[0], nil, nil, nil)
	c.storeLabels(st, i, 0)
}
