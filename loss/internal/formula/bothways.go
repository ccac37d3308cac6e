package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/mat"
	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// BothWays are as many points in A as in B with the logits of their pairs, the products times
// Scale, for losses of all rows and all columns.
type BothWays struct {
	Scale float64

	g      *core.Group
	n      int
	pairs  *Pairs
	single [2]*singlePoints // in the place of pairs
	e32    []float32        // exponentials
	e      []float64
}

// singleScale is the largest scale with which exponentials are computed in float32: of numbers
// within twice as much of each other none vanishes.
const singleScale = 43

// NewBothWays returns the pairs of the rows of d entries of a and b, divided by their lengths, which
// are of dtype float32 or not.
func NewBothWays(g *core.Group, a, b Matrix, d int, scale float64, float32 bool) *BothWays {
	p := &BothWays{Scale: scale, g: g, n: len(a.X) / d}
	if float32 && math.Abs(scale) <= singleScale && p.n*p.n*d >= singleProducts {
		p.single = [2]*singlePoints{singlePointsOf(g, a, d), singlePointsOf(g, b, d)}
		return p
	}
	p.pairs = NewPairs(g, Products, PointsOf(g, a, d, true), PointsOf(g, b, d, true), float32)
	p.pairs.Scale, p.pairs.Factor = scale, nil
	return p
}

// CrossEntropy computes the cross-entropy of the diagonal by rows and by columns, from one
// exponential of each pair: no logit is further than 2·|Scale| from another, which must not
// underflow. It writes values and the derivatives with those factors, of first order, and, where
// scale is not nil, the derivative by the scale, for each row.
func (p *BothWays) CrossEntropy(values, factors [2][]float64, scale []float64) {
	n := p.n
	p.products()
	step := max(1, 1<<13/n)
	part := p.g.Zeros((n + step - 1) / step * n)
	own := p.g.Buf(n)
	rest, per := [2][]float64{p.g.Buf(n), p.g.Zeros(n)}, [2][]float64{p.g.Buf(n), p.g.Buf(n)} // sums without the diagonal
	tensorops.ParallelFor(n, step, func(lo, hi int) {
		p.exponentials(lo, hi, own, rest[0], part[lo/step*n:][:n])
	})
	for at := 0; at < len(part); at += n {
		AddTo(rest[1], part[at:at+n])
	}
	for k := range 2 {
		for i, s := range rest[k] {
			values[k][i] = math.Log1p(s / own[i])
			per[k][i] = factors[k][i] / (s + own[i])
		}
	}
	tensorops.ParallelFor(n, step, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f, h := per[0][i], per[1]
			p.factors(i, f, h, -f*rest[0][i]-h[i]*rest[1][i])
		}
	})
	p.finish(scale)
}

// products computes the logits.
func (p *BothWays) products() {
	n := p.n
	if p.pairs == nil {
		p.e32 = p.g.Singles(n * n)
		d := p.single[0].d
		mat.Gemm(false, true, n, n, d, float32(p.Scale), p.single[0].u, d, p.single[1].u, d, 0, p.e32, n)
		return
	}
	p.e = p.g.Buf(n * n)
	p.pairs.k, p.pairs.s = p.e, p.e
	if p.pairs.single {
		p.pairs.takeSingle(n * n)
	}
	p.pairs.fill(n)
}

// exponentials replaces the logits of the rows from lo up to hi by exponentials, those in the
// diagonal by 0. It writes these and the sums of the others, which it adds to columns.
func (p *BothWays) exponentials(lo, hi int, own, rest, columns []float64) {
	n, anchor := p.n, math.Abs(p.Scale)
	for i := lo; i < hi; i++ {
		if p.pairs == nil {
			row, anchor := p.e32[i*n:(i+1)*n], float32(anchor)
			own[i], row[i] = math.Exp(float64(row[i])-float64(anchor)), float32(math.Inf(-1))
			rest[i] = tensorops.ExpLess(row, row, anchor)
			continue
		}
		row := p.e[i*n : (i+1)*n]
		for j := range row {
			row[j] -= anchor
		}
		vec.Exp(row, row)
		own[i], row[i] = row[i], 0
		rest[i] = addRow(columns, row)
	}
	if p.pairs == nil {
		tensorops.AddColumns(columns, p.e32[lo*n:hi*n])
	}
}

// factors multiplies each entry of row i by f + h of its column, and sets that in the diagonal:
// these are the derivatives by the products.
func (p *BothWays) factors(i int, f float64, h []float64, own float64) {
	lo, hi := i*p.n, (i+1)*p.n
	if p.pairs == nil {
		tensorops.ScaleColumns(p.e32[lo:hi], h, f)
		p.e32[lo+i] = float32(own)
		return
	}
	row := p.e[lo:hi]
	for j, h := range h {
		row[j] *= f + h
	}
	row[i] = own
}

// finish writes the derivatives by the matrices, and by the scale: Σ_j dl/dz_ij·c_ij is the product
// of row i of A with the derivative by it, over the scale.
func (p *BothWays) finish(scale []float64) {
	if p.pairs != nil {
		a, b := p.pairs.A, p.pairs.B
		if scale != nil && a.W == nil {
			a.W = p.g.Zeros(len(a.U))
		}
		p.pairs.first = a.W != nil || b.W != nil
		p.pairs.narrowRows(p.n)
		p.pairs.pull(p.n)
		for i := range scale {
			lo, hi := i*a.D, (i+1)*a.D
			scale[i] = core.Dot(a.U[lo:hi], a.W[lo:hi]) / p.Scale
		}
		p.pairs.Finish()
		return
	}
	for k, q := range p.single {
		if q.m.Grad == nil && (k == 1 || scale == nil) {
			continue
		}
		w, d := p.g.Singles(len(q.u)), q.d
		mat.Gemm(k == 1, false, p.n, d, p.n, float32(p.Scale), p.e32, p.n, p.single[1-k].u, d, 0, w, d)
		along := p.g.Buf(p.n)
		q.finish(w, along)
		for i := range scale {
			if k == 0 {
				scale[i] = along[i] / p.Scale
			}
		}
	}
}

// addRow adds row to sums and returns the sum of its entries, in four chains.
func addRow(sums, row []float64) float64 {
	sums = sums[:len(row)]
	var s, t, u, v float64
	i := 0
	for ; i+4 <= len(row); i += 4 {
		x, y := row[i:i+4:i+4], sums[i:i+4:i+4]
		s += x[0]
		t += x[1]
		u += x[2]
		v += x[3]
		y[0] += x[0]
		y[1] += x[1]
		y[2] += x[2]
		y[3] += x[3]
	}
	for ; i < len(row); i++ {
		s += row[i]
		sums[i] += row[i]
	}
	return (s + t) + (u + v)
}

// singlePoints are rows divided by their lengths, in float32.
type singlePoints struct {
	m      Matrix
	d      int
	u      []float32
	length []float64 // what the rows were divided by, 0 for rows of zeros
	free   []bool    // that is the length of the row, which moves with it
}

// pointStep is the number of entries of points that are worth a call in parallel.
const pointStep = 1 << 14

func singlePointsOf(g *core.Group, m Matrix, d int) *singlePoints {
	n := len(m.X) / d
	p := &singlePoints{m, d, g.Singles(len(m.X)), g.Buf(n), make([]bool, n)}
	tensorops.ParallelFor(n, max(1, pointStep/d), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			x, u := p.m.X[i*d:(i+1)*d], p.u[i*d:(i+1)*d]
			squares, _, _ := tensorops.DotProducts(x, x) // of float32 numbers, which float64 holds
			if p.length[i], p.free[i] = divisor(math.Sqrt(squares), unitFloor, 0); p.length[i] == 0 {
				clear(u)
				continue
			}
			vec.Narrow(u, x, 1/p.length[i])
		}
	})
	return p
}

// finish writes the derivatives by the matrix, w being those by the points, which it overwrites, and
// the products of both.
func (p *singlePoints) finish(w []float32, along []float64) {
	d := p.d
	tensorops.ParallelFor(len(along), max(1, pointStep/d), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			u, w := p.u[i*d:(i+1)*d], w[i*d:(i+1)*d]
			var size float64
			if _, along[i], size = tensorops.DotProducts(u, w); p.m.Grad == nil {
				continue
			}
			grad, n, turn := p.m.Grad[i*d:(i+1)*d], p.length[i], along[i]
			if n == 0 || size == 0 { // the row may hold NaN where w is 0
				clear(grad)
				continue
			}
			if !p.free[i] {
				turn = 0
			}
			tensorops.Combine(w, w, u, 1/n, -turn/n)
			vec.Widen(grad, w)
		}
	})
}
