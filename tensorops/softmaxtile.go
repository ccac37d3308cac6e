package tensorops

import "unsafe"

// Rows whose classes lie far apart are copied to a tile, computed there and copied back: what lies
// side by side in a row of the tile is fetched together, where a group alone would take a line of
// memory from each of many pages.

// The rows of a tile, and the bytes that it has at most.
const (
	tileRows  = 64
	tileBytes = 1 << 18
)

// tile returns the number of rows of a tile, 0 where groups are as good.
func (c *softmaxCall[F]) tile() int {
	if c.o != nil && c.o.BesideMax != nil {
		return 0
	}
	var f F
	n := min(tileRows, tileBytes/(c.classes*int(unsafe.Sizeof(f)))) &^ (groupRows - 1)
	if n < 2*groupRows || c.hi-c.lo < 2*groupRows || c.inner <= n || c.classes < chunkClasses {
		return 0
	}
	return n
}

// tiles does all rows by tiles of n rows, and reports whether targets are finite and >= 0.
func (c *softmaxCall[F]) tiles(n int) (valid bool) {
	mem := memoryOf[F](c.w)
	valid = true
	for i := c.lo; i < c.hi; {
		rows := min(n, c.hi-i, c.inner-i%c.inner)
		part := *c
		part.lo, part.hi, part.inner = 0, rows, rows
		if rows%groupRows == 0 {
			part.inner = groupRows // group by group
		}
		at := place(i, c.classes, c.inner)
		part.x = sized(&mem.tile, rows*c.classes)
		c.copyTile(part.x, c.x[at:], part.inner, c.inner, rows)
		if c.dst != nil {
			part.dst = part.x
		}
		part.g = c.g[i-c.lo:][:rows]
		if c.values != nil {
			part.values = c.values[i-c.lo:][:rows]
		}
		if c.t != nil {
			part.t = sized(&mem.targetTile, rows*c.classes)
			c.copyTile(part.t, c.t[at:], part.inner, c.inner, rows)
		}
		if c.labels != nil {
			part.labels = c.labels[i-c.lo:][:rows]
		}
		switch {
		case c.divergence != nil:
			before := len(c.left)
			part.divergences()
			c.left = part.left
			for j := range c.left[before:] {
				c.left[before+j] += i
			}
		case c.target != nil:
			valid = part.targetGroups() && valid
		default:
			part.labelGroups()
		}
		if c.dst != nil {
			c.copyTile(c.dst[at:], part.dst, c.inner, part.inner, rows)
		}
		i += rows
	}
	return valid
}

// copyTile copies n elements of each class between memory whose rows side by side are those of to and
// from: groups that lie one after another where that is groupRows.
func (c *softmaxCall[F]) copyTile(dst, src []F, to, from, n int) {
	if n%groupRows == 0 {
		toStep, fromStep := groupRows, groupRows
		if to == groupRows {
			toStep *= c.classes
		}
		if from == groupRows {
			fromStep *= c.classes
		}
		c.k.copyTile(&dst[0], &src[0], to, from, toStep, fromStep, n/groupRows, c.classes)
		return
	}
	for y := range c.classes {
		copy(dst[y*to:][:n], src[y*from:])
	}
}
