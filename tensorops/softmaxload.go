package tensorops

// How the logits of a group come together.

// together reports whether row i and the n-1 after it lie side by side.
func (c *softmaxCall[F]) together(i, n int) bool { return i%c.inner+n <= c.inner }

// load copies the group of row i to group b of buf. Long rows stay where they are.
func (c *softmaxCall[F]) load(buf, src []F, i, b int) {
	if !c.lanes {
		return
	}
	buf = buf[b*c.room:][:c.room]
	n := c.count(i)
	at := place(i, c.classes, c.inner)
	switch {
	case c.straight(i):
		c.k.classes(&buf[0], &src[at], c.inner, c.classes)
	case c.inner > 1:
		for j := range n {
			at := place(i+j, c.classes, c.inner)
			for y := range c.classes {
				buf[groupRows*y+j] = src[at+y*c.inner]
			}
		}
	case c.classes == 1:
		copy(buf[:n], src[at:at+n])
	case n == groupRows && at+(groupRows-1)*c.classes+max(c.classes, 4) <= len(src):
		c.k.pack(&buf[0], &src[at], c.classes, c.classes)
	default:
		rows := sized(&c.mem.rows, groupRows*c.classes+4)
		copy(rows, src[at:at+n*c.classes])
		c.k.pack(&buf[0], &rows[0], c.classes, c.classes)
	}
}

// straight: the group of row i is loaded chunk by chunk.
func (c *softmaxCall[F]) straight(i int) bool {
	return c.inner > 1 && c.count(i) == groupRows && c.together(i, groupRows)
}

// group returns the logits of group b, which begins with row i: in memory for them, or where they are
// already those of a group against labels.
func (c *softmaxCall[F]) group(i, b int) []F {
	if c.inner == groupRows && c.t == nil && c.straight(i) {
		return c.x[place(i, c.classes, c.inner):]
	}
	return c.mem.x[b*c.room:]
}
