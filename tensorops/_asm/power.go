package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The exponential of float32 elements in float64, by powers of 2 and without a table:
//
//	y = z·log2 e    n = rint(y)    exp z = 2^(y-n)·2^n
//
// y + 1.5·2^52 leaves n in its low bits, which are added to the exponent of 2^(y-n). A table would
// save three steps of the polynomial and cost six of looking up.

// pow2Wide and pow2Full are the coefficients of r, r² .. in 2^r for |r| <= 1/2, minimax fits of the
// relative error with c0 = 1: to 2^-43.6 and to 2^-55.6. pow2Short is for long rows, to 2^-28.5.
var (
	pow2Short = []float64{0.6931472149680908, 0.24022652782880335, 0.05550310550862438, 0.009617692973575058, 0.0013406643960188385,
		0.00015594678104340442}
	pow2Wide = []float64{0.6931471805585505, 0.24022650695813708, 0.05550410873971297, 0.009618129159172541, 0.0013333547331355713,
		0.00015403456036382687, 1.5258493120577333e-05, 1.3255182851974167e-06, 9.16810943360765e-08}
	pow2Full = []float64{0.6931471805599453, 0.24022650695910072, 0.055504108664821736, 0.009618129107628562, 0.0013333558146381738,
		0.00015403530393171837, 1.5252733864844674e-05, 1.321548700340512e-06, 1.0178047531353698e-07, 7.054814837687912e-09,
		4.4572392883260876e-10, 2.5855237221584718e-11}
)

// A pow2 is a power of 2 of numbers within ±1000.
type pow2 struct {
	*gen
	magic reg.VecVirtual
	coefs []Op
}

func (g *gen) newPow2(coefs []float64) *pow2 {
	magic := g.vec()
	g.set(g.constant(0x1.8p52), magic)
	return (&pow2{gen: g, magic: magic}).with(coefs)
}

// with returns p with other coefficients.
func (p *pow2) with(coefs []float64) *pow2 {
	q := &pow2{gen: p.gen, magic: p.magic}
	for _, c := range coefs {
		q.coefs = append(q.coefs, p.constant(c))
	}
	return q
}

// of returns 2^(c·x) for each of xs, which are used up. The steps of all are interleaved.
func (p *pow2) of(xs []reg.VecVirtual, c Op) []reg.VecVirtual {
	g := p.gen
	t, e := make([]reg.VecVirtual, len(xs)), make([]reg.VecVirtual, len(xs))
	for i, x := range xs {
		t[i] = g.vec()
		VMOVAPD(p.magic, t[i])
		VFMADD231PD(c, x, t[i])
	}
	for i := range xs {
		e[i] = g.vec()
		VSUBPD(p.magic, t[i], e[i])
	}
	for i, x := range xs {
		VFMSUB132PD(c, e[i], x)
	}
	for i := range xs {
		VPSLLQ(Imm(52), t[i], t[i])
	}
	last := len(p.coefs) - 1
	for i := range xs {
		g.set(p.coefs[last], e[i])
	}
	for d := last - 1; d >= 0; d-- {
		for i, x := range xs {
			g.fma213Constant(p.coefs[d], x, e[i])
		}
	}
	for i, x := range xs {
		g.fma213(g.constant(1), x, e[i])
	}
	for i := range xs {
		VPADDQ(t[i], e[i], e[i])
	}
	return e
}
