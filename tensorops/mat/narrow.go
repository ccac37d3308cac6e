package mat

// A product of few rows or columns would leave most lanes of a tile empty, or copy more than it
// multiplies. Where the terms of a sum lie side by side, the lanes hold terms instead; where those
// of a single row do not, they hold its columns.

// Up to narrow columns, and up to low rows where op(B) lies as it is needed, a product is computed
// as scalar products.
const narrow, low = 16, 4

// dots reports whether p is computed as scalar products of rows of A and columns of op(B).
func (p *product[F]) dots() bool {
	return !p.ta && (p.cols <= narrow || p.tb && p.rows <= low)
}

// dotPiece computes rows i0 to i1-1 and columns j0 to j1-1. A sum has a fixed number of lanes,
// which are added at its end.
func (p *product[F]) dotPiece(s *space[F], i0, i1, j0, j1 int) {
	es := size[F]()
	b, ldb := p.b, p.ldb
	if !p.tb && (p.cols > 1 || p.ldb > 1) {
		ldb = p.terms
		b = aligned(&s.b, p.cols*ldb)
		p.k.transposed(b, ldb, p.b, p.ldb, p.terms, p.cols)
	}
	rows := max(p.k.rows, 16<<10/(p.terms*es)) // rows of A that stay in the first-level cache
	groups := ceil(j1-j0, len(p.k.dots))
	for i := i0; i < i1; i += rows {
		for g := range groups {
			j, next := j0+g*(j1-j0)/groups, j0+(g+1)*(j1-j0)/groups
			p.dotTiles(i, min(i+rows, i1), b[j*ldb:], ldb, j, next-j)
		}
	}
}

// dotTiles computes rows i0 to i1-1 of cols columns from column j on, whose terms lie in the rows
// of b.
func (p *product[F]) dotTiles(i0, i1 int, b []F, ldb, j, cols int) {
	es := size[F]()
	for _, kernel := range [2]dots[F]{p.k.dots[cols-1], p.k.single[cols-1]} {
		tiles := (i1 - i0) / kernel.rows
		if tiles == 0 {
			continue
		}
		d, ldd := p.addend(0, i0, j)
		kernel.run(tiles, p.terms, &p.a[i0*p.lda], p.lda*es, &b[0], ldb*es, &p.c[i0*p.ldc+j], p.ldc*es, d, ldd*es, p.alpha)
		i0 += tiles * kernel.rows
	}
}

// row reports whether p is computed as a sum of rows of B.
func (p *product[F]) row() bool { return p.rows == 1 && !p.tb }

// rowPiece computes columns j0 to j1-1 of the only row.
func (p *product[F]) rowPiece(s *space[F], j0, j1 int) {
	es := size[F]()
	c := p.c[j0:j1]
	switch {
	case p.beta != 0:
	case p.bias != nil:
		copy(c, p.bias[j0:j1])
	default:
		clear(c)
	}
	x, xs := p.a, 1
	if p.ta {
		xs = p.lda
	}
	if p.alpha != 1 {
		x = aligned(&s.a, p.terms)
		for t := range x {
			x[t] = p.alpha * p.a[t*xs]
		}
		xs = 1
	}
	t := 0
	for i, rows := range [2]int{8, 1} {
		for ; t+rows <= p.terms; t += rows {
			p.k.addRows[1-i](len(c), &c[0], &x[t*xs], xs*es, &p.b[t*p.ldb+j0], p.ldb*es)
		}
	}
}
