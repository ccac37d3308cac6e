package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pointwise describes a loss of two numbers by its value and its derivative by the first.
type pointwise struct {
	name, formula, derivative string
	value, slope              func(g *gen, x, t, delta reg.VecVirtual, k *pointConsts) reg.VecVirtual
}

// pointConsts are the constants of all of them.
type pointConsts struct {
	exp *expConsts
	log *logConsts
}

var pointwiseLosses = []pointwise{
	{"squared", "(x[i] - t[i])²", "2·(x[i] - t[i])", squaredValue, squaredSlope},
	{"absolute", "|x[i] - t[i]|", "sign(x[i] - t[i])", absoluteValue, absoluteSlope},
	{"huber", "c·(a - c/2), a = |x[i] - t[i]|, c = min(a, delta)", "min(max(x[i] - t[i], -delta), delta)", huberValue, huberSlope},
	{"binary", "|x|·q + log1p(exp(-|x|)), q = 1-t for x > 0, else t", "sigmoid(x[i]) - t[i]", binaryValue, binarySlope},
}

// pointwise emits the sum of the values and the scaled derivatives of a loss.
func (g *gen) pointwise(l pointwise) {
	g = g.inFloat64()
	consts := func() (delta reg.VecVirtual, k *pointConsts) {
		if l.name == "huber" {
			delta = g.param("delta")
		}
		k = &pointConsts{log: g.logConsts()}
		if l.name == "binary" {
			low := g.vec()
			VMOVUPD(g.constant(-708), low) // exp(-708) is above 2^-1022
			k.exp = g.expConsts(g.zero(), low)
		}
		return delta, k
	}
	g.text(l.name+"Sum", "func(x, t []F, delta float64) (sum float64)", "returns Σ "+l.formula+".")
	delta, k := consts()
	a := g.newAccumulators(1)
	// Behind the end x and t are 0, which gives 0 but for the binary loss: there x is so large that it does.
	fill := 0.0
	if l.name == "binary" {
		fill = math.Inf(-1)
	}
	g.reduceRow([]string{"x", "t"}, []float64{fill, 0}, a, func(v []reg.VecVirtual, h int) {
		VADDPD(l.value(g, v[0], v[1], delta, k), a.acc[0][h], a.acc[0][h])
	})

	g.text(l.name+"Grad", "func(dst, x, t []F, factor, delta float64, stream bool)", "writes factor·("+l.derivative+").")
	factor := g.param("factor")
	delta, k = consts()
	g.mapRow(1, true, []string{"x", "t"}, func(v [][]reg.VecVirtual) []reg.VecVirtual {
		d := l.slope(g, v[0][0], v[1][0], delta, k)
		VMULPD(factor, d, d)
		return []reg.VecVirtual{d}
	})
}

func difference(g *gen, x, t reg.VecVirtual) reg.VecVirtual {
	VSUBPD(t, x, x)
	return x
}

// magnitude clears the sign of v.
func magnitude(g *gen, v reg.VecVirtual) reg.VecVirtual {
	VANDPD(bitsConstant(math.MaxInt64, 8), v, v)
	return v
}

func squaredValue(g *gen, x, t, _ reg.VecVirtual, _ *pointConsts) reg.VecVirtual {
	e := difference(g, x, t)
	VMULPD(e, e, e)
	return e
}

func squaredSlope(g *gen, x, t, _ reg.VecVirtual, _ *pointConsts) reg.VecVirtual {
	e := difference(g, x, t)
	VADDPD(e, e, e)
	return e
}

func absoluteValue(g *gen, x, t, _ reg.VecVirtual, _ *pointConsts) reg.VecVirtual {
	return magnitude(g, difference(g, x, t))
}

// absoluteSlope is ±1 with the sign of the difference, 0 for 0 and NaN for NaN.
func absoluteSlope(g *gen, x, t, _ reg.VecVirtual, _ *pointConsts) reg.VecVirtual {
	e := difference(g, x, t)
	zero := g.zero()
	up := g.maskedConstant(greater, e, zero, 1)
	down := g.maskedConstant(less, e, zero, 1)
	nan := g.maskedConstant(unordered, e, zero, math.NaN())
	VSUBPD(down, up, up)
	VORPD(nan, up, up)
	return up
}

func huberValue(g *gen, x, t, delta reg.VecVirtual, _ *pointConsts) reg.VecVirtual {
	a := magnitude(g, difference(g, x, t))
	c := g.vec()
	VMINPD(a, delta, c) // NaN comes through
	VFNMADD231PD(g.constant(0.5), c, a)
	VMULPD(c, a, a)
	return a
}

func huberSlope(g *gen, x, t, delta reg.VecVirtual, _ *pointConsts) reg.VecVirtual {
	e := difference(g, x, t)
	low := g.zero()
	VSUBPD(delta, low, low)
	VMAXPD(e, low, e)
	VMINPD(e, delta, e)
	return e
}

// binaryParts returns |x|, q and z = exp(-|x|).
func binaryParts(g *gen, x, t reg.VecVirtual, k *pointConsts) (a, q, z reg.VecVirtual) {
	q = g.vec() // 1 - t where x > 0, else t
	VMOVUPD(g.constant(1), q)
	VSUBPD(t, q, q)
	g.blendGreater(x, q, t)
	q = t
	a = magnitude(g, x)
	neg := g.vec()
	VORPD(bitsConstant(1<<63, 8), a, neg)
	z = g.exp([]reg.VecVirtual{neg}, k.exp)[0]
	return a, q, z
}

func binaryValue(g *gen, x, t, _ reg.VecVirtual, k *pointConsts) reg.VecVirtual {
	a, q, z := binaryParts(g, x, t, k)
	g.clearWhereZero(q, a) // ±Inf on the right side costs nothing
	l := g.log1p(z, k.log)
	VFMADD231PD(q, a, l)
	return l
}

// binarySlope is ±(q - z/(1+z)), + for x > 0: exact where the sigmoid is near the target.
func binarySlope(g *gen, x, t, _ reg.VecVirtual, k *pointConsts) reg.VecVirtual {
	flip := g.notGreater(x)
	_, q, z := binaryParts(g, x, t, k)
	den := g.vec()
	VADDPD(g.constant(1), z, den)
	VDIVPD(den, z, z)
	VSUBPD(z, q, q)
	VXORPD(flip, q, q)
	return q
}

// blendGreater sets the lanes of dst to those of v where x > 0.
func (g *gen) blendGreater(x, v, dst reg.VecVirtual) {
	if g.is512() {
		k := K()
		VCMPPD(Imm(greater), g.zero(), x, k)
		VMOVAPD(v, k, dst)
		return
	}
	m := g.vec()
	VCMPPD(Imm(greater), g.constant(0), x, m)
	VBLENDVPD(m, v, dst, dst)
}

// notGreater returns the sign bit in the lanes where x > 0 does not hold.
func (g *gen) notGreater(x reg.VecVirtual) reg.VecVirtual {
	r := g.vec()
	const notGreater = 10 // comparison predicate, true for NaN
	if g.is512() {
		k := K()
		VCMPPD(Imm(notGreater), g.zero(), x, k)
		VMOVUPD_Z(bitsConstant(1<<63, 8), k, r)
		return r
	}
	VCMPPD(Imm(notGreater), g.constant(0), x, r)
	VANDPD(bitsConstant(1<<63, 8), r, r)
	return r
}
