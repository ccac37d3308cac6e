package tensorops

import "math"

// Rows of which some classes are elsewhere: the sum of their exponentials is known, and a label may be among
// them. The kernels know nothing of it: it is one more term of the sum over the classes beside the
// label.

// isBeside reports whether the label of row j of the group that begins with row i is elsewhere.
func (c *softmaxCall[F]) isBeside(i, j int) bool {
	return c.o.BesideMax != nil && c.labels[i-c.lo+j] == c.classes
}

// hideBeside puts a class in the place of labels that are elsewhere.
func (c *softmaxCall[F]) hideBeside(labels []int) {
	if c.o.BesideMax == nil {
		return
	}
	for j, y := range labels {
		if y == c.classes {
			labels[j] = 0
		}
	}
}

// showBeside sets what is known of rows whose label is elsewhere.
func (c *softmaxCall[F]) showBeside(st *softmaxRows, i int) {
	if c.o.BesideMax == nil {
		return
	}
	for j := range c.count(i) {
		if c.isBeside(i, j) {
			st.label[j], st.weight[j] = -1, c.o.BesideWeight[i-c.lo+j]
		}
	}
}

// finishBeside is finishLabels of such rows.
func (c *softmaxCall[F]) finishBeside(st *softmaxRows, i int) (hard int) {
	n, numbers := c.count(i), &c.w.numbers
	for j := range n {
		if st.up[j] != 0 {
			at := i - c.lo + j
			st.others[j] += math.Exp(c.o.BesideMax[at]) * (1 + c.o.BesideRest[at])
		}
	}
	hard = c.k.finish(&st.others[0], &numbers.keep)
	for j := range n {
		if !c.isBeside(i, j) || st.up[j] == 0 {
			continue
		}
		hard &^= 1 << j
		st.value[j], st.add[j] = 0, 0
		total := st.others[j]
		if !(total >= 0x1p-990 && total <= 0x1p990) {
			hard |= 1 << j
			continue
		}
		st.factor[j] = st.up[j] * numbers.scale * (st.weight[j] + 2*numbers.zloss*shortLog(total)) / total
	}
	return hard
}

// expSums writes the sums of all rows.
func (c *softmaxCall[F]) expSums(largest, rest []float64) {
	c.prepare(nil, 0)
	st := &c.w.stats[0]
	for j := range st.label {
		st.label[j] = -1
	}
	for i := c.lo; i < c.hi; i += c.per {
		if !c.straight(i) {
			c.load(c.mem.x, c.x, i, 0)
		}
		c.exps(st, i, 0, true)
		for j := range c.count(i) {
			total := st.others[j]
			if total >= 0x1p-990 && total <= 0x1p990 {
				largest[i-c.lo+j], rest[i-c.lo+j] = math.Log(total), 0
			} else {
				largest[i-c.lo+j], rest[i-c.lo+j] = c.readRow(i, 0, j).sums()
			}
		}
	}
}
