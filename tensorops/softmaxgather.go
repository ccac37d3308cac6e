package tensorops

// Where many rows are ignored, those that count are copied to a tile and computed there, one after
// another.

// gatherElements is the number of elements of such a tile, which stays in the nearer caches.
const gatherElements = 8192

// gathers reports whether rows of which so many are ignored are copied to tiles. Long rows are not,
// which are done one by one, nor rows side by side, of which a copy would take too long.
func (c *softmaxCall[F]) gathers(ignored int) bool {
	return ignored > (c.hi-c.lo)/8 && c.inner == 1 && c.classes > laneLabelClasses && c.o.BesideMax == nil && !c.long()
}

// gathered does all rows against labels by tiles of those that count.
func (c *softmaxCall[F]) gathered() {
	mem, n := memoryOf[F](c.w), c.classes
	most := max(groupRows, gatherElements/n)
	part := *c
	tile := sized(&mem.tile, most*n)
	labels, up, values := sized(&mem.labels, most), sized(&mem.up, most), sized(&mem.values, most)
	for lo := c.lo; lo < c.hi; lo += most {
		rows, i := min(most, c.hi-lo), lo-c.lo
		live := c.k.gatherRows(&tile[0], &c.x[lo*n], &labels[0], &c.labels[i], &up[0], &c.g[i], n, rows)
		part.lo, part.hi, part.x, part.labels, part.g = 0, live, tile[:live*n], labels[:live], up[:live]
		var to *F
		var toValues *float64
		if c.dst != nil {
			part.dst, to = part.x, &c.dst[lo*n]
		}
		if c.values != nil {
			part.values, toValues = values[:live], &c.values[i]
		}
		part.labelGroups()
		c.k.spreadRows(to, &tile[0], toValues, &values[0], &c.labels[i], n, rows)
	}
}
