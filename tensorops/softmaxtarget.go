package tensorops

import "math"

// targetGroups does all rows against targets, and reports whether the targets are finite and >= 0.
func (c *softmaxCall[F]) targetGroups() bool {
	if c.long() {
		return c.longRows()
	}
	if n := c.tile(); n != 0 {
		return c.tiles(n)
	}
	c.prepare(c.target.Weights, c.target.ZLoss)
	c.valid = true
	for i := c.lo; i < c.hi; i += c.per {
		st := &c.w.stats[0]
		if !c.straight(i) {
			c.load(c.mem.x, c.x, i, 0)
		}
		c.load(c.mem.t, c.t, i, 0)
		if c.target.Curve != nil {
			c.curve(st, i)
			continue
		}
		singles := c.takeTargets(st, i)
		if singles != 0 {
			c.single(st, i, singles)
			continue
		}
		c.soft(st, i)
	}
	return c.valid
}

// noLabels are the labels of a group against targets.
var noLabels = [groupRows]int{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}

// curve does a group of targets with a curve.
func (c *softmaxCall[F]) curve(st *softmaxRows, i int) {
	n := c.count(i)
	st.up = [groupRows]float64{}
	copy(st.up[:], c.g[i-c.lo:][:n])
	st.label = noLabels
	c.exps(st, i, 0, true)
	c.curved(st, i)
	if c.values != nil {
		copy(c.values[i-c.lo:][:n], st.value[:])
	}
	if c.dst != nil {
		c.write(st, i, 0)
	}
}

// takeTargets sets up of a group, and returns a bit for each row whose target is one 1, with that
// label.
func (c *softmaxCall[F]) takeTargets(st *softmaxRows, i int) (singles int) {
	n := c.count(i)
	st.up = [groupRows]float64{}
	copy(st.up[:], c.g[i-c.lo:][:n])
	st.label = noLabels
	t, at, _ := c.targetAt(i, 0)
	next := c.classes
	if c.lanes {
		next = 1
	}
	for j := range n {
		// one look is enough for most targets that are none
		if v := t[at+j*next]; (v == 0 || v == 1) && st.up[j] != 0 {
			if y := c.oneHot(i, j); y >= 0 {
				singles |= 1 << j
				c.w.labels[j] = y
			}
		}
	}
	return singles
}

// targetAt returns where the target of row j of the group lies that begins with row i.
func (c *softmaxCall[F]) targetAt(i, j int) (t []F, at, step int) {
	if c.lanes {
		return c.mem.t, j, groupRows
	}
	return c.t, (i + j) * c.classes, 1
}

// oneHot returns the only class of a target that is not 0 if its weight is 1, else -1.
func (c *softmaxCall[F]) oneHot(i, j int) int {
	t, at, step := c.targetAt(i, j)
	label := -1
	for y := range c.classes {
		switch v := t[at+y*step]; {
		case v == 0:
		case v == 1 && label < 0:
			label = y
		default:
			return -1
		}
	}
	return label
}

// soft does a group of targets.
func (c *softmaxCall[F]) soft(st *softmaxRows, i int) {
	w, n := c.w, c.count(i)
	c.exps(st, i, 0, true)
	c.targetSums(st, i)
	hard := c.finishTargets(st)
	late := w.late[:0]
	for j := 0; hard != 0 && j < n; j++ {
		if hard>>j&1 == 0 {
			continue
		}
		r := c.readRow(i, 0, j)
		t, at, step := c.targetAt(i, j)
		for y := range r.a {
			q := float64(t[at+y*step])
			c.valid = c.valid && q >= 0 && q <= math.MaxFloat64
			r.a[y] = q
		}
		st.value[j] = r.target(c.target)
		if c.dst != nil {
			late = append(late, r.gradient(st.up[j], c.target.ZLoss)...)
		}
		st.up[j] = 0
	}
	w.late = late
	if c.values != nil {
		copy(c.values[i-c.lo:][:n], st.value[:])
	}
	if c.dst == nil {
		return
	}
	c.write(st, i, 0)
	for j := 0; hard != 0 && j < n; j++ {
		if hard>>j&1 != 0 {
			writeRow(c.dst, place(i+j, c.classes, c.inner), c.inner, late[:c.classes])
			late = late[c.classes:]
		}
	}
}

// targetSums sets mass, gap and signs, and with KL the entropies.
func (c *softmaxCall[F]) targetSums(st *softmaxRows, i int) {
	w, k := c.w, c.k
	kl := c.target.KL
	if c.lanes {
		t := &c.mem.t[0]
		if c.softcap != 0 {
			k.laneTargetCapped(&st.others[0], t, &w.z[0], &w.k[0], &w.b[0], c.classes)
		} else {
			k.laneTarget(&st.others[0], t, &c.mem.x[0], &w.k[0], &w.b[0], c.classes)
		}
		if kl {
			k.laneEntropy(&w.entropy[0], t, c.classes)
		}
		return
	}
	for j := range c.count(i) {
		at := (i + j) * c.classes
		if c.softcap != 0 {
			st.mass[j], st.gap[j], st.signs[j] = k.rowTargetCapped(&c.t[at], &w.z[j*c.classes], &w.k[0], &w.b[0], c.classes)
		} else {
			st.mass[j], st.gap[j], st.signs[j] = k.rowTarget(&c.t[at], &c.x[at], &w.k[0], &w.b[0], c.classes)
		}
		if kl {
			w.entropy[j] = active[F]().xlogx(c.t[at : at+c.classes])
		}
	}
}

// cancels is the share of the terms that a loss is the difference of below which it has lost too
// many digits.
const cancels = 0x1p-14

// finishTargets sets values and factors of a group. It returns a bit for each row that needs the row
// function.
func (c *softmaxCall[F]) finishTargets(st *softmaxRows) (hard int) {
	limit := cancels
	if c.softcap != 0 && isFloat32[F]() {
		limit = 0x1p-4 // the softcap's logits have fewer digits
	}
	var entropy *float64
	if c.target.KL {
		entropy = &c.w.entropy[0]
	}
	return c.k.finishTargets(&st.others[0], &c.w.numbers.keep, entropy, limit)
}

// single does a group in which the targets of some rows are one 1: those as labels, then the
// others.
func (c *softmaxCall[F]) single(st *softmaxRows, i, singles int) {
	n, others := c.count(i), 0
	for j := range n {
		if singles>>j&1 == 0 {
			c.w.labels[j] = -1
			if st.up[j] != 0 {
				others |= 1 << j
			}
		}
	}
	if others == 0 {
		c.labelled(i, n, c.w.labels[:n])
		return
	}
	if !c.lanes { // dst may be x, which is read row by row
		for j := range n {
			one := *c
			if one.lo, one.hi = i+j, i+j+1; singles>>j&1 != 0 {
				c.labelled(i+j, 1, c.w.labels[j:j+1])
				continue
			}
			one.g = c.g[i+j-c.lo:][:1]
			if c.values != nil {
				one.values = c.values[i+j-c.lo:][:1]
			}
			one.takeTargets(st, i+j)
			one.soft(st, i+j)
			c.valid = one.valid
		}
		return
	}
	// The group is still in memory when the labels' rows are done; what those came to is kept
	// beside it.
	c.labelled(i, n, c.w.labels[:n])
	var values [groupRows]float64
	if c.values != nil {
		copy(values[:], c.values[i-c.lo:][:n])
	}
	kept := sized(&c.w.kept, groupRows*c.classes)
	for j := range n {
		for y := 0; c.dst != nil && y < c.classes; y++ {
			kept[j*c.classes+y] = float64(c.dst[place(i+j, c.classes, c.inner)+y*c.inner])
		}
	}
	c.takeTargets(st, i)
	for j := range n {
		if singles>>j&1 != 0 {
			st.up[j] = 0
		}
	}
	c.loaded = true
	c.soft(st, i)
	c.loaded = false
	for j := range n {
		if singles>>j&1 == 0 {
			continue
		}
		if c.values != nil {
			c.values[i-c.lo+j] = values[j]
		}
		if c.dst != nil {
			writeRow(c.dst, place(i+j, c.classes, c.inner), c.inner, kept[j*c.classes:][:c.classes])
		}
	}
}

// labelled does n rows from row i on against labels.
func (c *softmaxCall[F]) labelled(i, n int, labels []int) {
	w := c.w
	w.single = LabelSoftmax{Classes: c.classes, Inner: c.inner, Scale: c.scale, Softcap: c.softcap,
		Smoothing: c.smoothing, ZLoss: c.target.ZLoss, Weights: c.target.Weights}
	sub := *c
	sub.o, sub.target, sub.t, sub.labels = &w.single, nil, nil, labels
	sub.lo, sub.hi, sub.g = i, i+n, c.g[i-c.lo:][:n]
	if c.values != nil {
		sub.values = c.values[i-c.lo:][:n]
	}
	sub.labelGroups()
	c.prepare(c.target.Weights, c.target.ZLoss)
}
