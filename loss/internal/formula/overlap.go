package formula

import (
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// An Overlap describes losses of a prediction p and a target t, sets with soft edges, by two sums
// over the pixels of a class: the intersection I and the weighed errors W = α·FP + β·FN. With d =
// p - t,
//
//	plain        I = Σ p·t          W = Σ α·p·(1-t) + β·t·(1-p)
//	squared      I = Σ p·t          W = Σ α·p·d - β·t·d = Σ α·d² + (α-β)·t·d
//	semimetric   I = Σ min(p, t)    W = Σ α·max(d, 0) + β·max(-d, 0)
type Overlap struct {
	Alpha, Beta         float64
	Squared, Semimetric bool
	Sizes               bool // T is needed
}

// term returns the parts of a pixel in I and W with their derivatives by p; q is 1 - p.
func (o *Overlap) term(p, q, t float64) (i, w, di, dw float64) {
	d := p - t
	if t == 1 {
		d = -q
	}
	switch {
	case o.Squared:
		off := (o.Alpha - o.Beta) * t
		return p * t, d * (o.Alpha*d + off), t, 2*o.Alpha*d + off
	case o.Semimetric:
		over, under := (1+sign(d))/2, (1-sign(d))/2
		return min(p, t), o.Alpha*max(d, 0) + o.Beta*max(-d, 0), under, o.Alpha*over - o.Beta*under
	}
	return p * t, o.Alpha*p*(1-t) + o.Beta*t*q, t, o.Alpha*(1-t) - o.Beta*t
}

// bend is the second derivative of a pixel's part in W.
func (o *Overlap) bend() float64 {
	if o.Squared {
		return 2 * o.Alpha
	}
	return 0
}

// sign is the sign of d, 0 at 0 and NaN at NaN.
func sign(d float64) float64 {
	switch {
	case d > 0:
		return 1
	case d < 0:
		return -1
	}
	return d
}

// OverlapSums are the sums over the pixels of a class: I, W, their derivatives along the direction,
// and T = Σ t.
type OverlapSums struct{ I, W, DI, DW, T float64 }

// An OverlapSlope is the derivatives of Σ factor·loss by the sums of a class, and the derivatives
// of these along the direction.
type OverlapSlope struct{ I, W, DI, DW float64 }

// Times returns the slope of f times the loss.
func (s OverlapSlope) Times(f float64) OverlapSlope {
	return OverlapSlope{f * s.I, f * s.W, f * s.DI, f * s.DW}
}

// Group computes the losses of a group of pixels: score writes the values and the slopes of the
// classes for their sums.
func (o *Overlap) Group(x *Pixels, score func(sums []OverlapSums, slopes []OverlapSlope)) {
	if o.native(x) {
		o.nativeGroup(x, score)
		return
	}
	g, second := x.g, x.g.Second()
	parts := g.Zeros(x.blocks() * x.classes * 5)
	x.each(second, func(b *pixelBlock, at int) {
		for c := range x.classes {
			o.add((*[5]float64)(parts[(at*x.classes+c)*5:]), b, c)
		}
	})
	sums, slopes := make([]OverlapSums, x.classes), make([]OverlapSlope, x.classes)
	for i := 0; i < len(parts); i += 5 {
		s, p := &sums[i/5%x.classes], parts[i:]
		s.I, s.W, s.DI, s.DW, s.T = s.I+p[0], s.W+p[1], s.DI+p[2], s.DW+p[3], s.T+p[4]
	}
	score(sums, slopes)
	if g.Grad[0] == nil && !second {
		return
	}
	x.each(second, func(b *pixelBlock, at int) {
		for c := range x.classes {
			o.slope(b, c, slopes[c])
		}
		x.write(b)
	})
}

// add adds a block's pixels of a class to its sums.
func (o *Overlap) add(sums *[5]float64, b *pixelBlock, c int) {
	p, q, t := b.plane(b.p, c), b.plane(b.q, c), b.plane(b.t, c)
	var s, w, m float64
	switch {
	case b.dp != nil:
	case o.Squared || o.Semimetric:
		for k, v := range p {
			i, e, _, _ := o.term(v, q[k], t[k])
			s, w, m = s+i, w+e, m+t[k]
		}
		*sums = [5]float64{s, w, 0, 0, m}
		return
	default: // the terms without their derivatives
		fp, fn := 0.0, 0.0
		for k, v := range p {
			y := t[k]
			s, m = s+v*y, m+y
			fp, fn = fp+v*(1-y), fn+y*q[k]
		}
		w = o.Alpha*fp + o.Beta*fn
		*sums = [5]float64{s, w, 0, 0, m}
		return
	}
	var ds, dw float64
	for k, dp := range b.plane(b.dp, c) {
		i, e, di, de := o.term(p[k], q[k], t[k])
		s, w, m = s+i, w+e, m+t[k]
		ds, dw = ds+di*dp, dw+de*dp
	}
	*sums = [5]float64{s, w, ds, dw, m}
}

// slope writes the derivatives by p of a block's pixels of a class, and their derivatives along the
// direction.
func (o *Overlap) slope(b *pixelBlock, c int, by OverlapSlope) {
	p, q, t, u := b.plane(b.p, c), b.plane(b.q, c), b.plane(b.t, c), b.plane(b.u, c)
	if by == (OverlapSlope{}) {
		b.leave(c)
		return
	}
	if o.Squared || o.Semimetric {
		for k, v := range p {
			_, _, di, dw := o.term(v, q[k], t[k])
			u[k] = by.I*di + by.W*dw
		}
	} else {
		off, on := o.Alpha*by.W, by.I-o.Beta*by.W // where t is 0 and 1
		for k, y := range t {
			u[k] = off*(1-y) + on*y
		}
	}
	if b.dp == nil {
		return
	}
	du, dp, bend := b.plane(b.du, c), b.plane(b.dp, c), o.bend()*by.W
	for k, v := range p {
		_, _, di, dw := o.term(v, q[k], t[k])
		du[k] = by.DI*di + by.DW*dw + bend*dp[k]
	}
}

// RatioSlope returns the loss (W+e)/(m·I+W+s+e) with its slope, and the loss's derivative along the
// direction. 0/0 is 0 with no slope.
func RatioSlope(x OverlapSums, m, s, e float64) (l, dl float64, by OverlapSlope) {
	d := m*x.I + x.W + s + e
	if d == 0 {
		return 0, 0, OverlapSlope{}
	}
	l = (x.W + e) / d
	k := (m*x.I + s) / d // 1 - l
	turn := (m*x.DI + x.DW) / d
	dl = (k*x.DW - l*m*x.DI) / d
	return l, dl, OverlapSlope{I: -m * l / d, W: k / d, DI: -m * (dl - l*turn) / d, DW: (-dl - k*turn) / d}
}

// PowerSlope returns l^γ with its slope; 0 with no slope where l is not above 0.
func PowerSlope(l, dl float64, by OverlapSlope, gamma float64) (float64, OverlapSlope) {
	if gamma == 1 || l != l {
		return l, by
	}
	if l <= 0 {
		return 0, OverlapSlope{}
	}
	first := gamma * math.Pow(l, gamma-1)
	second := gamma * (gamma - 1) * math.Pow(l, gamma-2) * dl
	return math.Pow(l, gamma), OverlapSlope{I: first * by.I, W: first * by.W, DI: first*by.DI + second*by.I, DW: first*by.DW + second*by.W}
}

// TargetMass writes Σ t of each class, over the pixels that are there.
func TargetMass(g *core.Group, mass []float64) {
	clear(mass)
	if y := g.Int[1]; y != nil {
		if len(mass) == 1 {
			for _, v := range y {
				mass[0] += float64(v)
			}
			return
		}
		for _, v := range y {
			mass[v]++
		}
		return
	}
	size := blockPixels(len(mass))
	t := g.Buf(min(size, g.N) * len(mass))
	for lo := 0; lo < g.N; lo += size {
		n := min(size, g.N-lo)
		g.Read(t[:n*len(mass)], 1, lo, lo+n)
		for i, v := range t[:n*len(mass)] {
			mass[i/n] += v
		}
	}
}
