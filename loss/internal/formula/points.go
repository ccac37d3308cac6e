package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/tensorops"
)

// unitFloor is the least length that a vector is divided by. A vector of zeros stays one.
const unitFloor = 1e-8

// A Matrix is an operand of rows: its entries, the direction in it (nil: 0) and the memory of the
// requested derivatives (nil: not requested).
type Matrix struct{ X, V, Grad, Hess []float64 }

// MatrixOf returns the operand in a place of a group.
func MatrixOf(g *core.Group, place int) Matrix {
	return Matrix{g.X[place], g.Dir[place], g.Grad[place], g.Hess[place]}
}

// Points are the rows of a matrix as a loss reads them: as they are, or divided by their lengths.
type Points struct {
	N, D  int
	U, DU []float64 // the points, and their change along the direction; nil: 0
	// W and DW are the derivative of the loss by the points, and its change along the direction:
	// sums that begin at 0; nil: not requested.
	W, DW []float64

	m      Matrix
	length []float64 // what the rows were divided by, 0 for rows of zeros; nil: nothing
	free   []bool    // that is the length of the row, which moves with it
}

// PointsOf returns the rows of d entries of a matrix, divided by their lengths where unit is set.
func PointsOf(g *core.Group, m Matrix, d int, unit bool) *Points {
	p := &Points{N: len(m.X) / d, D: d, U: m.X, DU: m.V, m: m}
	if unit {
		p.normalise(g, unitFloor, 0)
	}
	p.request(g)
	return p
}

// request takes memory for what is requested.
func (p *Points) request(g *core.Group) {
	if p.m.Grad != nil || p.m.Hess != nil {
		p.W = g.Zeros(len(p.U))
	}
	if p.m.Hess != nil {
		p.DW = g.Zeros(len(p.U))
	}
}

// normalise divides the rows by √(their squared length + add), or by floor where that is less.
func (p *Points) normalise(g *core.Group, floor, add float64) {
	p.U, p.length, p.free = g.Buf(len(p.m.X)), g.Buf(p.N), make([]bool, p.N)
	for i := range p.N {
		x, u := p.m.X[i*p.D:(i+1)*p.D], p.U[i*p.D:(i+1)*p.D]
		n, free := divisor(Length(x), floor, add)
		if p.length[i], p.free[i] = n, free; n != 0 {
			tensorops.Quotients(u, x, n)
		} else {
			clear(u)
		}
	}
	if v := p.m.V; v != nil {
		p.DU = g.Buf(len(v))
		for i := range p.N {
			lo, hi := i*p.D, (i+1)*p.D
			p.project(i, p.DU[lo:hi], v[lo:hi])
		}
	}
}

// divisor returns what a row of length n is divided by, 0 for a row of zeros, and whether that moves
// with the row.
func divisor(n, floor, add float64) (d float64, free bool) {
	if add != 0 {
		n = math.Hypot(n, math.Sqrt(add))
	}
	if n != 0 && n <= floor {
		return floor, false
	}
	return n, n != 0
}

// Length returns the Euclidean length of x, which neither overflows nor underflows on the way.
func Length(x []float64) float64 {
	if s := core.Dot(x, x); s > 1e-280 && s < 1e280 {
		return math.Sqrt(s)
	}
	largest := 0.0
	for _, v := range x {
		largest = max(largest, math.Abs(v))
	}
	if largest == 0 || !core.Finite(largest) {
		return largest
	}
	s := 0.0
	for _, v := range x {
		s += (v / largest) * (v / largest)
	}
	return largest * math.Sqrt(s)
}

// project writes (w - ⟨u, w⟩·u)/length for row i: how the point moves when its row moves along w,
// and the derivative by the row when w is that by the point. dst may be w.
func (p *Points) project(i int, dst, w []float64) {
	n, u := p.length[i], p.U[i*p.D:(i+1)*p.D]
	along := 0.0
	if p.free[i] {
		along = core.Dot(u, w)
	}
	if n == 0 {
		clear(dst)
		return
	}
	tensorops.RestQuotients(dst, w, u, along, n)
}

// Finish writes the derivatives by the matrix.
func (p *Points) Finish() {
	switch {
	case p.W == nil:
		return
	case p.length == nil:
		copy(p.m.Grad, p.W)
		copy(p.m.Hess, p.DW)
		return
	}
	for i := range p.N {
		lo, hi := i*p.D, (i+1)*p.D
		idle := vanishes(p.W[lo:hi]) // the row may hold NaN then
		if g := p.m.Grad; g != nil && idle {
			clear(g[lo:hi])
		} else if g != nil {
			p.project(i, g[lo:hi], p.W[lo:hi])
		}
		if h := p.m.Hess; h != nil && idle && vanishes(p.DW[lo:hi]) {
			clear(h[lo:hi])
		} else if h != nil {
			p.project(i, h[lo:hi], p.DW[lo:hi])
			if v := p.m.V; v != nil && p.free[i] {
				p.curve(h[lo:hi], lo, hi, p.length[i], v[lo:hi])
			}
		}
	}
}

// vanishes reports whether all entries are 0.
func vanishes(x []float64) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}

// curve adds what the projection of w changes by when the row moves along v.
func (p *Points) curve(dst []float64, lo, hi int, n float64, v []float64) {
	u, du, w := p.U[lo:hi], p.DU[lo:hi], p.W[lo:hi]
	along, turned, grown := core.Dot(u, w), core.Dot(du, w), core.Dot(u, v)
	for k := range dst {
		dst[k] -= (du[k]*along + u[k]*turned + (w[k]-along*u[k])*grown/n) / n
	}
}

// Stacked returns the rows of two operands, one below the other. The function it returns writes the
// derivatives to their places.
func Stacked(g *core.Group, x, y int) (m Matrix, split func()) {
	a, b := MatrixOf(g, x), MatrixOf(g, y)
	n := len(a.X)
	stack := func(p, q []float64) []float64 {
		if p == nil && q == nil {
			return nil
		}
		s := g.Zeros(2 * n)
		copy(s, p)
		copy(s[n:], q)
		return s
	}
	m = Matrix{X: stack(a.X, b.X), V: stack(a.V, b.V)}
	if a.Grad != nil || b.Grad != nil {
		m.Grad = g.Buf(2 * n)
	}
	if a.Hess != nil || b.Hess != nil {
		m.Hess = g.Buf(2 * n)
	}
	return m, func() {
		copy(a.Grad, m.Grad)
		copy(a.Hess, m.Hess)
		if b.Grad != nil {
			copy(b.Grad, m.Grad[n:])
		}
		if b.Hess != nil {
			copy(b.Hess, m.Hess[n:])
		}
	}
}

// ScaledPoints returns the rows of a matrix divided by √(their squared length + add).
func ScaledPoints(g *core.Group, m Matrix, d int, add float64) *Points {
	p := &Points{N: len(m.X) / d, D: d, m: m}
	p.normalise(g, 0, add)
	p.request(g)
	return p
}

// FeaturesOf returns the columns of a matrix of d columns as rows, less their means. The function
// it returns adds the derivatives to those by the matrix.
func FeaturesOf(g *core.Group, m Matrix, d int) (features Matrix, back func()) {
	n := len(m.X) / d
	centred := func(x []float64) []float64 {
		if x == nil {
			return nil
		}
		dst := g.Buf(len(x))
		for c := range d {
			row := dst[c*n : (c+1)*n]
			for i := range row {
				row[i] = x[i*d+c]
			}
			centre(row)
		}
		return dst
	}
	features = Matrix{X: centred(m.X), V: centred(m.V)}
	if m.Grad != nil {
		features.Grad = g.Buf(len(m.X))
	}
	if m.Hess != nil {
		features.Hess = g.Buf(len(m.X))
	}
	return features, func() {
		for _, to := range [2]struct{ dst, src []float64 }{{m.Grad, features.Grad}, {m.Hess, features.Hess}} {
			for c := 0; c < d && to.dst != nil; c++ {
				row := to.src[c*n : (c+1)*n]
				centre(row)
				for i, v := range row {
					to.dst[i*d+c] += v
				}
			}
		}
	}
}

// centre subtracts the mean of x from its entries. Equal entries become 0.
func centre(x []float64) {
	shift := x[0]
	for range 2 {
		sum := 0.0
		for i := range x {
			x[i] -= shift
			sum += x[i]
		}
		shift = sum / float64(len(x))
	}
	for i := range x {
		x[i] -= shift
	}
}

// MeanSquare returns a·Σ (x - y)² of operands 0 and 1 and writes f times its derivatives.
func MeanSquare(g *core.Group, a, f float64) (v float64) {
	x, y := g.X[0], g.X[1]
	for i, u := range x {
		v += (u - y[i]) * (u - y[i])
	}
	for k, sign := range [2]float64{1, -1} {
		for i := range g.Grad[k] {
			g.Grad[k][i] = 2 * sign * a * f * (x[i] - y[i])
		}
		if h := g.Hess[k]; h != nil {
			clear(h)
			difference(h, g.Dir[0], g.Dir[1])
			Scale(h, 2*sign*a*f)
		}
	}
	return a * v
}
