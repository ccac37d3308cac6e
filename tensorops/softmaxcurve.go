package tensorops

// bend applies the curve to the values of the first groups, which are -log p, and takes its slope
// into the factors.
func (c *softmaxCall[F]) bend(groups int) {
	w := c.w
	nll, value, slope := w.nll[:groups*groupRows], w.bent[:groups*groupRows], w.slopes[:groups*groupRows]
	for b := range groups {
		copy(nll[b*groupRows:], w.stats[b].value[:])
	}
	c.o.Curve(value, slope, nll)
	for b := range groups {
		st, at := &w.stats[b], b*groupRows
		if c.o.Weights != nil {
			c.weigh(st, value[at:], slope[at:])
		}
		c.k.bend(&st.others[0], &value[at], &slope[at])
	}
}

// weigh multiplies what a curve makes of the rows of a group by the class weights of their labels.
func (c *softmaxCall[F]) weigh(st *softmaxRows, value, slope []float64) {
	for j, y := range st.label {
		if y >= 0 {
			weight := c.o.Weights[y]
			value[j], slope[j] = times(weight, value[j]), times(weight, slope[j])
		}
	}
}
