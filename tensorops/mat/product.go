package mat

import (
	"runtime"
	"sync"
	"unsafe"

	"github.com/surprisal-go/surprisal/tensorops"
)

// The blocks of a product. A block of op(B) lies in the second-level cache, and its panels, as wide
// as a tile, pass through the first level one after another for every strip of op(A), as high as a
// tile.
const (
	termsAtOnce = 512       // terms of a sum between two roundings of C: part of the result's definition
	blockBytes  = 512 << 10 // of op(B)
	packedRows  = 48        // of a transposed A, copied at once: whole tiles of every implementation
	packedFrom  = 3         // panels from which on that is faster than to read them in place
)

// Work of fewer than parallelFrom multiplications stays on one core; a piece for one core has
// pieceWork at least.
const parallelFrom, pieceWork = 1 << 18, 1 << 17

// problem is C = alpha·op(A)·op(B) + D, where C is rows × cols and D is beta·C, a bias or nothing.
type problem[F Float] struct {
	ta, tb            bool
	rows, cols, terms int
	alpha, beta       F
	a, b, c, bias     []F
	lda, ldb, ldc     int
	biasDown          bool // bias has a number for every row, otherwise one for every column
}

// product computes a problem.
type product[F Float] struct {
	problem[F]
	k *kernels[F]

	down, across int // pieces that C is cut into
	high, wide   int // rows and columns of a piece
	work         func(lo, hi int)
}

// space is the memory that one core works in.
type space[F Float] struct{ a, b, tile []F }

var (
	products32 = sync.Pool{New: func() any { return newProduct[float32]() }}
	products64 = sync.Pool{New: func() any { return newProduct[float64]() }}
	spaces32   = sync.Pool{New: func() any { return new(space[float32]) }}
	spaces64   = sync.Pool{New: func() any { return new(space[float64]) }}
)

func newProduct[F Float]() *product[F] {
	p := new(product[F])
	p.work = p.pieces // made once: a function made for every call would be an allocation
	return p
}

// pools returns the unused products and spaces for F.
func pools[F Float]() (products, spaces *sync.Pool) {
	if size[F]() == 4 {
		return &products32, &spaces32
	}
	return &products64, &spaces64
}

// solve computes a problem whose operands are known to fit, on several cores where it is large.
func (q problem[F]) solve() {
	switch {
	case q.rows == 0 || q.cols == 0:
		return
	case q.terms == 0 || q.alpha == 0:
		for i := range q.rows {
			row := q.c[i*q.ldc:][:q.cols]
			switch {
			case q.bias != nil:
				copy(row, q.bias)
			case q.beta == 0:
				clear(row)
			default:
				scale(row, q.beta)
			}
		}
		return
	case q.rows == 1 && q.tb && !q.ta:
		// A row times columns that lie side by side is those times the row, as a column.
		q.rows, q.cols, q.a, q.b, q.lda, q.ldb, q.ldc, q.biasDown = q.cols, 1, q.b, q.a, q.ldb, q.lda, 1, true
	}
	products, _ := pools[F]()
	p := products.Get().(*product[F])
	p.problem, p.k = q, active[F]()
	p.cut(runtime.GOMAXPROCS(0))
	tensorops.ParallelFor(p.down*p.across, 1, p.work)
	p.problem = problem[F]{} // keeps no operand alive
	products.Put(p)
}

// cut chooses the pieces. They have no influence on the result: each is computed as it would be
// within the whole.
//
// A piece copies what it needs of op(B), and of a transposed A, for itself. So C is cut along the
// operand that is copied alone.
func (p *product[F]) cut(cores int) {
	p.down, p.across, p.high, p.wide = 1, 1, p.rows, p.cols
	work := p.rows * p.cols * p.terms
	if cores == 1 || work < parallelFrom {
		return
	}
	count := min(4*cores, work/pieceWork)
	high, wide := p.k.rows, p.k.cols // the pieces' rows and columns are multiples of these
	switch {
	case p.ta:
		high = packedRows
	case p.dots() && !p.tb:
		wide = p.cols
	}
	strips, panels := ceil(p.rows, high), ceil(p.cols, wide)
	if p.ta {
		p.down = min(count, strips)
		p.across = min(ceil(count, p.down), panels)
	} else {
		p.across = min(count, panels)
		p.down = min(ceil(count, p.across), strips)
	}
	p.high, p.wide = ceil(strips, p.down)*high, ceil(panels, p.across)*wide
	p.down, p.across = ceil(p.rows, p.high), ceil(p.cols, p.wide)
}

// pieces computes pieces lo to hi-1.
func (p *product[F]) pieces(lo, hi int) {
	_, spaces := pools[F]()
	s := spaces.Get().(*space[F])
	for t := lo; t < hi; t++ {
		i, j := t/p.across*p.high, t%p.across*p.wide
		p.piece(s, i, min(i+p.high, p.rows), j, min(j+p.wide, p.cols))
	}
	spaces.Put(s)
}

// piece computes rows i0 to i1-1 and columns j0 to j1-1.
func (p *product[F]) piece(s *space[F], i0, i1, j0, j1 int) {
	if p.beta != 0 && p.beta != 1 {
		for i := i0; i < i1; i++ {
			scale(p.c[i*p.ldc+j0:i*p.ldc+j1], p.beta)
		}
	}
	switch {
	case p.dots():
		p.dotPiece(s, i0, i1, j0, j1)
	case p.row():
		p.rowPiece(s, j0, j1)
	default:
		terms := ceil(p.terms, ceil(p.terms, termsAtOnce))
		wide := max(1, blockBytes/(terms*p.k.cols*size[F]())) * p.k.cols
		for t := 0; t < p.terms; t += terms { // outside: the part of A for these terms stays in the cache
			for j := j0; j < j1; j += wide {
				p.tiles(s, i0, i1, block{row: t, rows: min(terms, p.terms-t), col: j, cols: min(wide, j1-j)})
			}
		}
	}
}

// block is a part of op(B).
type block struct{ row, rows, col, cols int }

// tiles adds the products with one block of op(B) to rows i0 to i1-1.
func (p *product[F]) tiles(s *space[F], i0, i1 int, b block) {
	k, es := p.k, size[F]()
	full, panels := b.cols/k.cols, ceil(b.cols, k.cols)
	strips := ceil(i1-i0, k.rows)
	// Where there is one strip, the panels are used once: whole ones stay where they are, unless
	// their rows are so far apart that the processor does not fetch them ahead.
	whole := 0
	if strips == 1 && !p.tb && p.ldb*es <= 4096 {
		whole = full
	}
	packed := aligned(&s.b, (panels-whole)*k.cols*b.rows)
	p.packB(packed, block{row: b.row, rows: b.rows, col: b.col + whole*k.cols, cols: b.cols - whole*k.cols})
	packA := p.ta && panels >= packedFrom
	// Strips of equal height avoid a last one that is so low that its sums wait for each other.
	strip := func(n int) int { return i0 + n*(i1-i0)/strips }
	if packA {
		strip = func(n int) int { return min(i0+n*k.rows, i1) }
	}
	for n := range strips {
		i, next := strip(n), strip(n+1)
		var t tile[F]
		switch group := packedRows / k.rows; {
		case packA:
			if n%group == 0 {
				p.packA(aligned(&s.a, packedRows*b.rows+k.cols), i, strip(min(n+group, strips)), b)
			}
			t.a, t.rs, t.cs = &aligned(&s.a, packedRows*b.rows+k.cols)[n%group*k.rows*b.rows], es, k.rows*es
		case p.ta:
			t.a, t.rs, t.cs = &p.a[b.row*p.lda+i], es, p.lda*es
		default:
			t.a, t.rs, t.cs = &p.a[i*p.lda+b.row], p.lda*es, es
		}
		t.i, t.j, t.rows = i, b.col, next-i
		if whole > 0 {
			t.b, t.bs, t.next = &p.b[b.row*p.ldb+b.col], p.ldb*es, (k.cols-b.rows*p.ldb)*es
			p.panels(t, whole, b)
		}
		t.j += whole * k.cols
		t.bs, t.next = k.cols*es, 0
		if full > whole {
			t.b = &packed[0]
			p.panels(t, full-whole, b)
		}
		if rest := b.cols - full*k.cols; rest > 0 {
			t.j = b.col + full*k.cols
			t.b = &packed[(full-whole)*k.cols*b.rows]
			p.edge(s, t, rest, b)
		}
	}
}

// tile is a part of C with its operands: a strip and a panel, or the first of several.
type tile[F Float] struct {
	i, j, rows int
	a, b       *F
	rs, cs     int // strides of a in bytes
	bs, next   int // that of b, and from the end of a panel to the beginning of the next
}

// panels computes n whole tiles that lie side by side.
func (p *product[F]) panels(t tile[F], n int, b block) {
	es := size[F]()
	d, ldd := p.addend(b.row, t.i, t.j)
	p.k.tile[1][t.rows](n, b.rows, t.a, t.rs, t.cs, t.b, t.bs, t.next, &p.c[t.i*p.ldc+t.j], p.ldc*es, d, ldd*es, p.alpha)
}

// edge computes a tile of fewer columns.
func (p *product[F]) edge(s *space[F], t tile[F], cols int, b block) {
	k, es := p.k, size[F]()
	run, width := k.tile[1][t.rows], k.cols
	if cols <= k.cols/2 {
		run, width = k.tile[0][t.rows], k.cols/2
	}
	c := &p.c[t.i*p.ldc+t.j]
	d, ldd := p.addend(b.row, t.i, t.j)
	if cols == width {
		run(1, b.rows, t.a, t.rs, t.cs, t.b, t.bs, 0, c, p.ldc*es, d, ldd*es, p.alpha)
		return
	}
	// The last columns do not fill a register: they are computed elsewhere.
	e, lde := aligned(&s.tile, k.rows*k.cols), width*es
	into := &e[0]
	for r := 0; r < t.rows && d != nil; r++ {
		copy(e[r*width:][:cols], unsafe.Slice(at(d, r*ldd*es), cols))
	}
	if d != nil {
		d = into
	} else {
		lde = 0
	}
	run(1, b.rows, t.a, t.rs, t.cs, t.b, t.bs, 0, into, width*es, d, lde, p.alpha)
	for r := range t.rows {
		copy(p.c[(t.i+r)*p.ldc+t.j:][:cols], e[r*width:])
	}
}

// addend returns what is added at (i, j) with the terms from term t on, and the distance of its
// rows.
func (p *product[F]) addend(t, i, j int) (d *F, ldd int) {
	switch {
	case t > 0 || p.beta != 0:
		return &p.c[i*p.ldc+j], p.ldc
	case p.bias == nil:
		return nil, 0
	case p.biasDown:
		return &p.bias[i], 1
	}
	return &p.bias[j], 0
}

func scale[F Float](x []F, factor F) {
	for i := range x {
		x[i] *= factor
	}
}

func ceil(a, b int) int { return (a + b - 1) / b }

// aligned returns n numbers of *s, which grows as needed, from a cache line's beginning on.
func aligned[F Float](s *[]F, n int) []F {
	line := 64 / size[F]()
	if len(*s) < n+line {
		*s = make([]F, n+line)
	}
	skip := int(-uintptr(unsafe.Pointer(&(*s)[0]))%64) / size[F]()
	return (*s)[skip : skip+n]
}
