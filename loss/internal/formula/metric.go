package formula

import (
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// A MetricKind is a distance of two vectors.
type MetricKind uint8

const (
	L2      MetricKind = iota // ‖x - y + ε‖_p, of any power p
	Squared                   // ‖x - y + ε‖²
	Cosine                    // 1 - cos, where the cosine with a vector of zeros is 0
)

// A Metric measures the distance of two vectors.
type Metric struct {
	Kind           MetricKind
	Power, Epsilon float64
}

// A Gap is the distance D of the vectors x and y and its change DD along the direction.
type Gap struct {
	D, DD float64
	// grad is the derivative by x and y without the factor scale, hess its change along the
	// direction. Those by y are nil where they are those by x with the other sign.
	grad, hess [2][]float64
	scale      float64
}

// A Term is a multiple of a vector; nil: 0.
type Term struct {
	F float64
	X []float64
}

// Grad returns f times the derivative of the distance by x (side 0) or y (side 1).
func (a *Gap) Grad(side int, f float64) Term { return termOf(&a.grad, side, f*a.scale) }

// Hess returns f times the change of that derivative along the direction.
func (a *Gap) Hess(side int, f float64) Term { return termOf(&a.hess, side, f) }

func termOf(of *[2][]float64, side int, f float64) Term {
	if x := of[side]; x != nil {
		return Term{f, x}
	}
	return Term{-f, of[0]}
}

// Combine writes the sum of terms to dst.
func Combine(dst []float64, terms ...Term) {
	if len(terms) == 2 && terms[0].F != 0 && terms[1].F != 0 {
		s, t := terms[0], terms[1]
		y := t.X[:len(dst)]
		for i, v := range s.X[:len(dst)] {
			dst[i] = s.F*v + t.F*y[i]
		}
		return
	}
	clear(dst)
	for _, t := range terms {
		if t.F == 0 {
			continue
		}
		for i, v := range t.X[:len(dst)] {
			dst[i] += t.F * v
		}
	}
}

// Between returns the distance of the operands in two places of a group.
func (m *Metric) Between(g *core.Group, x, y int) Gap {
	if m.Kind == Cosine {
		return cosineGap(g, x, y)
	}
	n, second := len(g.X[x]), g.Second()
	e, v := g.Buf(n), []float64(nil)
	sum := residualsTo(e, g.X[x], g.X[y], m.Epsilon)
	if second {
		v = difference(g.Zeros(n), g.Dir[x], g.Dir[y])
	}
	gap := Gap{grad: [2][]float64{e}, scale: 1}
	if second {
		gap.hess[0] = g.Zeros(n)
	}
	switch {
	case m.Kind == Squared:
		for i, r := range e {
			gap.D += r * r
			e[i] = 2 * r
		}
		for i := range gap.hess[0] {
			gap.hess[0][i] = 2 * v[i]
		}
	case m.Power == 2:
		if gap.D = math.Sqrt(sum); !(sum > 1e-280 && sum < 1e280) {
			gap.D = Length(e)
		}
		gap.scale = over(1, gap.D)
		if second {
			along := core.Dot(e, v) * gap.scale * gap.scale
			for i, w := range v {
				gap.hess[0][i] = gap.scale * (w - along*e[i])
			}
		}
	default:
		m.power(&gap, e, v)
	}
	if slices.Equal(g.X[x], g.X[y]) { // a constant by convention
		clear(e)
		clear(gap.hess[0])
	}
	if second {
		gap.DD = gap.scale * core.Dot(e, v)
	}
	return gap
}

// residualsTo writes a - b + eps to e and returns the sum of its squares, in four chains.
func residualsTo(e, a, b []float64, eps float64) float64 {
	a, b = a[:len(e)], b[:len(e)]
	var s, t, u, v float64
	i := 0
	for ; i+4 <= len(e); i += 4 {
		x, y, to := a[i:i+4:i+4], b[i:i+4:i+4], e[i:i+4:i+4]
		p, q, r, w := x[0]-y[0]+eps, x[1]-y[1]+eps, x[2]-y[2]+eps, x[3]-y[3]+eps
		to[0], to[1], to[2], to[3] = p, q, r, w
		s += p * p
		t += q * q
		u += r * r
		v += w * w
	}
	for ; i < len(e); i++ {
		e[i] = a[i] - b[i] + eps
		s += e[i] * e[i]
	}
	return (s + t) + (u + v)
}

// power computes the gap ‖e‖_p and writes its derivative over e.
func (m *Metric) power(gap *Gap, e, v []float64) {
	p, largest := m.Power, 0.0
	for _, r := range e {
		largest = max(largest, math.Abs(r))
	}
	sum, ties := 0.0, 0.0
	for _, r := range e {
		if r = math.Abs(r); r == largest {
			ties++
		}
		if !math.IsInf(p, 1) && largest > 0 {
			sum += math.Pow(r/largest, p)
		}
	}
	gap.D = largest
	if !math.IsInf(p, 1) && largest > 0 {
		gap.D *= math.Pow(sum, 1/p)
	}
	for i, r := range e {
		size := math.Abs(r)
		switch {
		case math.IsInf(p, 1) && size == largest && largest > 0:
			e[i] = Sign(r) / ties
		case math.IsInf(p, 1), r == 0:
			e[i] = 0
		default:
			e[i] = Sign(r) * math.Pow(size/gap.D, p-1)
		}
		if v != nil && p > 1 && !math.IsInf(p, 1) && gap.D > 0 {
			gap.hess[0][i] = Times(math.Pow(size/gap.D, p-2), v[i])
		}
	}
	if v == nil || p == 1 || math.IsInf(p, 1) || gap.D == 0 {
		return
	}
	along := core.Dot(e, v)
	for i, u := range e {
		gap.hess[0][i] = (p - 1) * (gap.hess[0][i] - along*u) / gap.D
	}
}

// difference adds v - w to dst, where either may be nil.
func difference(dst, v, w []float64) []float64 {
	for i, a := range v {
		dst[i] += a
	}
	for i, b := range w {
		dst[i] -= b
	}
	return dst
}

// cosineGap is the gap 1 - ⟨u, w⟩ of the unit vectors u and w, as ‖u - w‖²/2 where both are of
// length 1: that is exact where they are near.
func cosineGap(g *core.Group, x, y int) (gap Gap) {
	gap.scale = 1
	n := len(g.X[x])
	var p [2]*Points
	for k, place := range [2]int{x, y} {
		m := Matrix{X: g.X[place], V: g.Dir[place], Grad: g.Buf(n)}
		gap.grad[k] = m.Grad
		if g.Second() {
			m.Hess = g.Buf(n)
			gap.hess[k] = m.Hess
		}
		p[k] = PointsOf(g, m, n, true)
	}
	near := 0.0
	if p[0].free[0] && p[1].free[0] {
		near = 1
		gap.D = squaredDistance(p[0].U, p[1].U) / 2
	} else {
		gap.D = 1 - core.Dot(p[0].U, p[1].U)
	}
	for k := range p {
		a, b := p[k], p[1-k]
		for i := range n {
			a.W[i] = near*a.U[i] - b.U[i]
		}
		if a.DW != nil {
			difference(a.DW, nil, b.DU)
			if near == 1 {
				difference(a.DW, a.DU, nil)
			}
		}
		a.Finish()
		if v := a.m.V; v != nil {
			gap.DD += core.Dot(gap.grad[k], v)
		}
	}
	return gap
}

// PowerOfDistance returns ‖u - w‖^α of two points and adds f times its derivatives: with e = u - w,
// d its length and k = α·d^(α-2), the first is k·e, and along a change v of e that of second order
// is k·(v + (α-2)·e·⟨e, v⟩/d²).
func PowerOfDistance(g *core.Group, a, b *Points, alpha, f float64) float64 {
	d := Distance(a.U, b.U)
	k := alpha
	switch {
	case alpha != 2 && d == 0:
		k = 0
	case alpha != 2:
		k *= math.Pow(d, alpha-2)
	}
	e := difference(g.Zeros(len(a.U)), a.U, b.U)
	v, bend := g.Zeros(len(e)), 0.0
	if g.Second() {
		difference(v, a.DU, b.DU)
		bend = (alpha - 2) * over(core.Dot(e, v), d*d)
	}
	for side, p := range [2]*Points{a, b} {
		by := f * k * float64(1-2*side)
		for i := range p.W {
			p.W[i] += by * e[i]
		}
		for i := range p.DW {
			p.DW[i] += by * (v[i] + bend*e[i])
		}
	}
	return math.Pow(d, alpha)
}
