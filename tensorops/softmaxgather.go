package tensorops

// Where many rows are ignored, those that count are copied to a tile and computed there, one after
// another.

// gatherElements is the number of elements of such a tile, which stays in the nearest cache.
const gatherElements = 4096

// gathers reports whether rows of which so many are ignored are copied to tiles. Long rows are not,
// which are done one by one, nor rows side by side, of which a copy would take too long.
func (c *softmaxCall[F]) gathers(ignored int) bool {
	return ignored > (c.hi-c.lo)/8 && c.inner == 1 && c.classes > laneLabelClasses && c.o.BesideMax == nil && !c.long()
}

// gathered does all rows against labels by tiles of those that count.
func (c *softmaxCall[F]) gathered() {
	c.prepare(c.o.Weights, c.o.ZLoss)
	n, mem := c.classes, c.mem
	most := c.per * c.block
	most = max(most, gatherElements/n/most*most)
	tile := sized(&mem.tile, most*n)
	labels, up, values := sized(&mem.labels, most), sized(&mem.up, most), sized(&mem.values, most)
	part := *c
	for lo, left := c.lo, c.hi-c.lo; left > 0; {
		i := lo - c.lo
		live, rest := c.k.gatherRows(&tile[0], &c.x[lo*n], &labels[0], &c.labels[i], &up[0], &c.g[i], n, left, most)
		part.lo, part.hi, part.x, part.labels, part.g = 0, live, tile[:live*n], labels[:live], up[:live]
		var to *F
		var toValues *float64
		if c.dst != nil {
			part.dst, to = part.x, &c.dst[lo*n]
		}
		if c.values != nil {
			part.values, toValues = values[:live], &c.values[i]
		}
		part.labelBlocks()
		c.k.spreadRows(to, &tile[0], toValues, &values[0], &c.labels[i], n, left-rest)
		lo, left = lo+left-rest, rest
	}
}
