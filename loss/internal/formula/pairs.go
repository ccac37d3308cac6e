package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/mat"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A PairKind is a function of two points.
type PairKind uint8

const (
	Products         PairKind = iota // ⟨a, b⟩
	SquaredDistances                 // ‖a - b‖²
	Distances                        // ‖a - b‖, with derivative 0 where it is 0
)

const (
	// tileEntries is the number of pairs whose numbers exist at once, in rows of A: they stay in
	// the cache, and memory does not grow with the square of the batch.
	tileEntries = 1 << 16
	// singleEntries is that of rows in float32, where the products are most of the work: the more
	// rows, the less often they copy B.
	singleEntries = 1 << 18
	// singleProducts is the number of products from which those of float32 operands are computed in
	// float32. An entry of k products of unit vectors is within k·2^-24 of the exact one, and
	// measured within 2^-22.
	singleProducts = 1 << 20
)

// Pairs are the numbers S_ij of the pairs of a point of A and a point of B, with their derivatives.
// A loss is a function of them; it gets them by rows, one for each point of A.
type Pairs struct {
	A, B *Points // the same for the pairs of one set
	Kind PairKind
	// Scale multiplies products.
	Scale float64
	// Factor are the factors of the rows in the derivatives.
	Factor []float64

	g              *core.Group
	single         bool // the products are computed in float32
	first, second  bool // derivatives by the pairs are requested, of first and of second order
	rows32         bool // the rows are given in float32
	a32, b32       []float32
	s, ds, k, dk   []float64
	buf            []float64
	s32, k32, w32  []float32
	wb32           []float32
	saved          []float64
	row            func(r *PairRow)
	lo, rows, step int
}

// A PairRow is a row of pairs.
type PairRow struct {
	I     int       // of A
	S, DS []float64 // the numbers, and their change along the direction; nil: 0
	// G and DG receive the derivative of the loss by the numbers, and its change along the
	// direction. G may be written in any case, DG is nil unless it is requested.
	G, DG []float64
	Buf   [3][]float64 // for the function
	// S32 holds the numbers instead of S, and receives the derivative, where that is not nil; there
	// is one Buf then.
	S32 []float32
}

// InFloat32 makes EachRow give rows in float32 where the products are computed in float32.
func (p *Pairs) InFloat32() { p.rows32 = p.single }

// NewPairs returns the pairs of points of a and b, whose operands are of dtype float32 or not.
func NewPairs(g *core.Group, kind PairKind, a, b *Points, float32 bool) *Pairs {
	p := &Pairs{A: a, B: b, Kind: kind, Scale: 1, g: g, second: g.Second()}
	if len(g.Factor) == a.N {
		p.Factor = g.Factor
	}
	p.first = a.W != nil || b.W != nil
	p.single = float32 && kind == Products && !p.second && a.length != nil && b.length != nil && a.N*b.N*a.D >= singleProducts
	if p.single {
		p.a32 = p.narrow(a.U)
		if p.b32 = p.a32; b != a {
			p.b32 = p.narrow(b.U)
		}
	}
	return p
}

func (p *Pairs) narrow(x []float64) []float32 {
	dst := p.g.Singles(len(x))
	vec.Narrow(dst, x, 1)
	return dst
}

// EachRow calls f for every row of an anchor of the group, in parallel, and takes the derivatives
// that it writes. Those of rows whose factor is 0 count as 0.
func (p *Pairs) EachRow(f func(r *PairRow)) {
	p.row = f
	entries := tileEntries
	if p.rows32 {
		entries = singleEntries
	}
	p.rows = min(p.A.N, max(16, entries/p.B.N))
	if p.rows32 {
		p.takeSingle(p.rows * p.B.N)
		p.buf = p.g.Buf(p.rows * p.B.N)
	} else {
		p.take(p.rows)
		p.buf = p.g.Buf(3 * p.rows * p.B.N)
	}
	first, last := 0, p.A.N
	if p.g.Part() {
		first, last = p.g.Anchors()
	}
	for p.lo = first; p.lo < last; p.lo += p.rows {
		n := min(p.rows, last-p.lo)
		p.fill(n)
		p.step = max(1, 4096/p.B.N)
		tensorops.ParallelFor(n, p.step, p.eachOf)
		if !p.rows32 {
			p.narrowRows(n)
		}
		p.pull(n)
	}
}

// All calls f once with all rows as one.
func (p *Pairs) All(f func(r *PairRow)) {
	p.lo = 0
	p.take(p.A.N)
	p.fill(p.A.N)
	f(&PairRow{S: p.s, DS: p.ds, G: p.k, DG: p.dk})
	p.narrowRows(p.A.N)
	p.pull(p.A.N)
}

// take takes memory for n rows.
func (p *Pairs) take(n int) {
	n *= p.B.N
	p.s, p.k = p.g.Buf(n), p.g.Buf(n)
	if p.second {
		p.ds, p.dk = p.g.Buf(n), p.g.Buf(n)
	}
	if p.single {
		p.takeSingle(n)
	}
}

// takeSingle takes memory for n products in float32.
func (p *Pairs) takeSingle(n int) {
	p.s32 = p.g.Singles(n)
	p.k32 = p.s32
	if p.first {
		p.w32 = p.g.Singles(len(p.A.U))
		p.wb32 = p.g.Singles(len(p.B.U))
	}
}

// productSingle computes n rows of products in float32.
func (p *Pairs) productSingle(n int) {
	d, m := p.A.D, p.B.N
	mat.Gemm(false, true, n, m, d, float32(p.Scale), p.a32[p.lo*d:(p.lo+n)*d], d, p.b32, d, 0, p.s32, m)
}

// narrowRows rounds the derivatives by n rows where those of the points are computed in float32.
func (p *Pairs) narrowRows(n int) {
	if p.single && p.first {
		tensorops.ParallelFor(n*p.B.N, 1<<14, func(lo, hi int) { vec.Narrow(p.k32[lo:hi], p.k[lo:hi], 1) })
	}
}

func (p *Pairs) eachOf(lo, hi int) {
	m := p.B.N
	for i := lo; i < hi; i++ {
		if p.rows32 {
			r := PairRow{I: p.lo + i, S32: p.s32[i*m : (i+1)*m]}
			r.Buf[0] = p.buf[i*m : (i+1)*m]
			if p.row(&r); p.idle(r.I) {
				clear(r.S32)
			}
			continue
		}
		r := PairRow{I: p.lo + i, S: p.s[i*m : (i+1)*m], G: p.k[i*m : (i+1)*m]}
		for k := range r.Buf {
			r.Buf[k] = p.buf[(3*i+k)*m : (3*i+k+1)*m]
		}
		if p.second {
			r.DS, r.DG = p.ds[i*m:(i+1)*m], p.dk[i*m:(i+1)*m]
		}
		p.row(&r)
		if p.idle(r.I) {
			clear(r.G)
			clear(r.DG)
		}
	}
}

// fill computes n rows.
func (p *Pairs) fill(n int) {
	a, b, d, m := p.A, p.B, p.A.D, p.B.N
	from, to := p.lo*d, (p.lo+n)*d
	switch {
	case p.Kind != Products:
		p.fillDistances(n)
	case p.single:
		if p.productSingle(n); p.rows32 {
			return
		}
		tensorops.ParallelFor(n*m, 1<<14, func(lo, hi int) { vec.Widen(p.s[lo:hi], p.s32[lo:hi]) })
	default:
		mat.Gemm(false, true, n, m, d, p.Scale, a.U[from:to], d, b.U, d, 0, p.s, m)
		if !p.second {
			break
		}
		clear(p.ds)
		if a.DU != nil {
			mat.Gemm(false, true, n, m, d, p.Scale, a.DU[from:to], d, b.U, d, 0, p.ds, m)
		}
		if b.DU != nil {
			mat.Gemm(false, true, n, m, d, p.Scale, a.U[from:to], d, b.DU, d, 1, p.ds, m)
		}
	}
}

// pull adds the derivatives of n rows to those by the points.
func (p *Pairs) pull(n int) {
	if !p.first {
		return
	}
	a, b, d, m := p.A, p.B, p.A.D, p.B.N
	from, to := p.lo*d, (p.lo+n)*d
	u := a.U[from:to]
	if a != b {
		u = p.withoutIdle(n, u)
		p.saveIdle(n)
	}
	switch {
	case p.Kind != Products:
		p.pullDistances(n)
	case p.single:
		if a.W != nil {
			mat.Gemm(false, false, n, d, m, float32(p.Scale), p.k32, m, p.b32, d, 0, p.w32, d)
			addSingle(a.W[from:to], p.w32)
		}
		if b.W != nil {
			mat.Gemm(true, false, m, d, n, float32(p.Scale), p.k32, m, p.a32[from:to], d, 0, p.wb32, d)
			addSingle(b.W, p.wb32)
		}
	default:
		p.pullProducts(n, a.W, b.W, p.k, u, b.U)
		if !p.second {
			break
		}
		p.pullProducts(n, a.DW, b.DW, p.dk, u, b.U)
		var du []float64
		if a.DU != nil {
			du = a.DU[from:to]
		}
		p.pullProducts(n, a.DW, b.DW, p.k, du, b.DU)
	}
	if a != b {
		p.restoreIdle(n)
	}
}

// pullProducts adds K·V to wa and Kᵀ·U to wb, where they are requested and U and V are there.
func (p *Pairs) pullProducts(n int, wa, wb, k, u, v []float64) {
	d, m := p.A.D, p.B.N
	if wa != nil && v != nil {
		mat.Gemm(false, false, n, d, m, p.Scale, k, m, v, d, 1, wa[p.lo*d:(p.lo+n)*d], d)
	}
	if wb != nil && u != nil {
		mat.Gemm(true, false, m, d, n, p.Scale, k, m, u, d, 1, wb, d)
	}
}

func addSingle(dst []float64, src []float32) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] += float64(v)
	}
}

// idle reports whether row i has no part in a derivative.
func (p *Pairs) idle(i int) bool { return p.Factor != nil && p.Factor[i] == 0 }

// withoutIdle returns the n points u with zeros for idle ones that are not finite, as 0·NaN is NaN.
func (p *Pairs) withoutIdle(n int, u []float64) []float64 {
	d := p.A.D
	kept := true
	for i := range n {
		if !p.idle(p.lo + i) {
			continue
		}
		if core.Finite(core.Dot(u[i*d:(i+1)*d], u[i*d:(i+1)*d])) {
			continue
		}
		if kept {
			kept, u = false, append(p.g.Buf(len(u))[:0], u...)
		}
		clear(u[i*d : (i+1)*d])
		if p.single {
			clear(p.a32[(p.lo+i)*d : (p.lo+i+1)*d])
		}
	}
	return u
}

// saveIdle keeps the derivatives by idle points among n rows, to which a product may add 0·NaN.
func (p *Pairs) saveIdle(n int) {
	p.saved = p.saved[:0]
	for _, w := range [2][]float64{p.A.W, p.A.DW} {
		for i := p.lo; w != nil && i < p.lo+n; i++ {
			if p.idle(i) {
				p.saved = append(p.saved, w[i*p.A.D:(i+1)*p.A.D]...)
			}
		}
	}
}

// restoreIdle puts back what saveIdle has kept.
func (p *Pairs) restoreIdle(n int) {
	saved := p.saved
	for _, w := range [2][]float64{p.A.W, p.A.DW} {
		for i := p.lo; w != nil && i < p.lo+n; i++ {
			if p.idle(i) {
				saved = saved[copy(w[i*p.A.D:(i+1)*p.A.D], saved):]
			}
		}
	}
}

// Distance returns ‖a - b‖, which neither overflows nor underflows on the way.
func Distance(a, b []float64) float64 {
	s := squaredDistance(a, b)
	if s > 1e-280 && s < 1e280 {
		return math.Sqrt(s)
	}
	largest := 0.0
	for i, v := range a {
		largest = max(largest, math.Abs(v-b[i]))
	}
	if largest == 0 || !core.Finite(largest) {
		return largest
	}
	s = 0
	for i, v := range a {
		e := (v - b[i]) / largest
		s += e * e
	}
	return largest * math.Sqrt(s)
}

// squaredDistance returns Σ (a - b)², in two chains.
func squaredDistance(a, b []float64) float64 {
	b = b[:len(a)]
	var s, t float64
	i := 0
	for ; i+2 <= len(a); i += 2 {
		d, e := a[i]-b[i], a[i+1]-b[i+1]
		s += d * d
		t += e * e
	}
	if i < len(a) {
		s += (a[i] - b[i]) * (a[i] - b[i])
	}
	return s + t
}

// fillDistances computes n rows of distances.
func (p *Pairs) fillDistances(n int) {
	a, b, d, m := p.A, p.B, p.A.D, p.B.N
	tensorops.ParallelFor(n, max(1, 1<<14/(m*d)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			x := a.U[(p.lo+i)*d : (p.lo+i+1)*d]
			for j := range m {
				y := b.U[j*d : (j+1)*d]
				s := 0.0
				if p.Kind == Distances {
					s = Distance(x, y)
				} else {
					s = squaredDistance(x, y)
				}
				p.s[i*m+j] = s
				if !p.second {
					continue
				}
				t := 0.0
				for k := range x {
					t += (x[k] - y[k]) * p.moved(i, j, k)
				}
				if p.ds[i*m+j] = 2 * t; p.Kind == Distances {
					p.ds[i*m+j] = over(t, s)
				}
			}
		}
	})
}

// moved returns the change of entry k of a - b, for row i of the tile and point j.
func (p *Pairs) moved(i, j, k int) (e float64) {
	if u := p.A.DU; u != nil {
		e = u[(p.lo+i)*p.A.D+k]
	}
	if u := p.B.DU; u != nil {
		e -= u[j*p.A.D+k]
	}
	return e
}

// over returns x/d, and 0 for d = 0.
func over(x, d float64) float64 {
	if d == 0 {
		return 0
	}
	return x / d
}

// pullDistances adds the derivatives of n rows of distances: with e = a - b, that of ‖e‖² by e is
// 2·e and that of ‖e‖ is e/‖e‖, so that the derivative by a is k·e with k = 2·∂l/∂S or ∂l/∂S/S.
func (p *Pairs) pullDistances(n int) {
	a, b, d, m := p.A, p.B, p.A.D, p.B.N
	for i, g := range p.k[:n*m] {
		if p.Kind == SquaredDistances {
			if p.k[i] = 2 * g; p.second {
				p.dk[i] *= 2
			}
			continue
		}
		if p.k[i] = over(g, p.s[i]); p.second {
			p.dk[i] = over(p.dk[i]-p.k[i]*p.ds[i], p.s[i])
		}
	}
	add := func(i, j, at int, w, dw []float64, sign float64) {
		x, y := a.U[(p.lo+i)*d:(p.lo+i+1)*d], b.U[j*d:(j+1)*d]
		if k := sign * p.k[i*m+j]; k != 0 {
			for c := range x {
				w[at*d+c] += k * (x[c] - y[c])
			}
			for c := range x {
				if dw != nil {
					dw[at*d+c] += k * p.moved(i, j, c)
				}
			}
		}
		if dw == nil {
			return
		}
		if k := sign * p.dk[i*m+j]; k != 0 {
			for c := range x {
				dw[at*d+c] += k * (x[c] - y[c])
			}
		}
	}
	if a.W != nil {
		tensorops.ParallelFor(n, max(1, 1<<14/(m*d)), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				for j := range m {
					add(i, j, p.lo+i, a.W, a.DW, 1)
				}
			}
		})
	}
	if b.W != nil {
		tensorops.ParallelFor(m, max(1, 1<<14/(n*d)), func(lo, hi int) {
			for j := lo; j < hi; j++ {
				for i := range n {
					add(i, j, j, b.W, b.DW, -1)
				}
			}
		})
	}
}

// Finish writes the derivatives by the matrices of the points.
func (p *Pairs) Finish() {
	p.A.Finish()
	if p.B != p.A {
		p.B.Finish()
	}
}
