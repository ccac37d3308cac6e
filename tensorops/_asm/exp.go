package main

import (
	"math"
	"math/big"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The exponential, with a table of 2^(j/m) for j from 0 to m-1:
//
//	n = rint(x·m·log2 e)    r = x - n·ln 2/m    exp(x)·2^-anchor = exp(r)·2^((n mod m)/m)·2^(⌊n/m⌋ - anchor)
//
// x·m·log2 e + (1.5·2^23 - m·anchor) leaves n - m·anchor in its low bits (1.5·2^52 for float64).
// Shifted so that ⌊n/m⌋ comes to the exponent, they are added to the bits of the table's entry j =
// n mod m, which has j subtracted where the shift puts n mod m.
type powers struct {
	entries uint // a power of 2; as many as a register holds on AVX2

	// The polynomial for exp(r), |r| <= ln 2/(2·entries): minimax fits of the relative error with
	// c0 = c1 = 1.
	coefs []float64
}

var (
	powers32   = &powers{8, []float64{0.500064492225647, 0.1666685789823532}}                                                                                                                     // 2^-25.2
	powers64   = &powers{4, []float64{0.5000000000000007, 0.1666666666669586, 0.041666666666109436, 0.008333333130480921, 0.0013888890103366635, 0.00019845510923022913, 2.4795691412222898e-05}} // 2^-57.7
	powersWide = &powers{4, []float64{0.49999999998379885, 0.16666666091096177, 0.041666673469271547, 0.008335550793481526, 0.001388417568533196}}                                                // float32 elements in float64: 2^-42.3
)

// bits is log2 of the number of entries.
func (p *powers) bits() int { return big.NewInt(int64(p.entries)).BitLen() - 1 }

// entry returns 2^(j/entries), rounded to elem, and the relative error of that.
func (p *powers) entry(j uint, elem string) (rounded, lost float64) {
	exact := new(big.Float).SetPrec(200).SetMantExp(big.NewFloat(1), int(j)) // 2^j, of which the root is taken
	for range p.bits() {
		exact.Sqrt(exact)
	}
	rounded, _ = exact.Float64()
	if elem == "F32" {
		f, _ := exact.Float32()
		rounded = float64(f)
	}
	ratio := new(big.Float).SetPrec(200).Quo(exact, big.NewFloat(rounded))
	lost, _ = ratio.Sub(ratio, big.NewFloat(1)).Float64()
	return rounded, lost
}

// tables returns the constants that a register is looked up in: the entries as described, and what
// their rounding lost.
func (p *powers) tables(elem string) (entries, lost Mem) {
	bytes, places := size(elem), 52-p.bits()
	if elem == "F32" {
		places = 23 - p.bits()
	}
	entries = table("powers"+elem, bytes, 64/bytes, func(i int) uint64 {
		j := uint(i) % p.entries
		v, _ := p.entry(j, elem)
		return numberBits(v, elem) - uint64(j)<<places
	})
	lost = table("powers"+elem+"lost", bytes, 64/bytes, func(i int) uint64 {
		_, l := p.entry(uint(i)%p.entries, elem)
		return numberBits(l, elem)
	})
	return entries, lost
}

// numberBits are the bits of v as a number of type elem.
func numberBits(v float64, elem string) uint64 {
	if elem == "F32" {
		return uint64(math.Float32bits(float32(v)))
	}
	return math.Float64bits(v)
}

// expConsts are the constants of exp and the two numbers it is called with: exp(x)·2^-anchor for x
// >= low, 0 for x < low, NaN for NaN.
type expConsts struct {
	*powers
	log2e, hi, lo, one Op
	coefs              []Op // c2 and up
	table, lost        Op
	magic, low         reg.VecVirtual
}

// expConsts loads the constants. anchor and low are registers full of the number; anchor is used
// up.
func (g *gen) expConsts(anchor, low reg.VecVirtual) *expConsts {
	switch {
	case g.wide():
		return g.expConstsOf(powersWide, anchor, low)
	case g.comp == "F32":
		return g.expConstsOf(powers32, anchor, low)
	}
	return g.expConstsOf(powers64, anchor, low)
}

// expConstsOf is expConsts with a choice of digits.
func (g *gen) expConstsOf(p *powers, anchor, low reg.VecVirtual) *expConsts {
	// ln 2 = hi + lo with hi rounded to comp. With fused multiply-adds x - n·hi needs no spare bits
	// in hi.
	hi, lo, magic := math.Ln2, 2.3190468138462996e-17, 0x1.8p52
	if g.comp == "F32" {
		hi, magic = float64(float32(math.Ln2)), 0x1.8p23
		lo = math.Ln2 - hi
	}
	m := float64(p.entries)
	c := &expConsts{powers: p, log2e: g.held(m * math.Log2E), hi: g.held(hi / m), one: g.held(1), low: low}
	for _, v := range p.coefs {
		coef := Op(g.constant(v))
		if len(p.coefs) <= 2 { // registers
			coef = g.held(v)
		}
		c.coefs = append(c.coefs, coef)
	}
	entries, lost := p.tables(g.comp)
	c.table = g.heldAt(entries)
	if !g.wide() { // neither would change a float32
		c.lo, c.lost = g.held(lo/m), g.heldAt(lost)
	}
	g.mul(g.constant(-m), anchor, anchor)
	g.add(g.constant(magic), anchor, anchor)
	c.magic = anchor
	return c
}

// scaleBy makes exp return factor·exp(x)·2^-anchor for a float64 factor in memory, 1 to 4 in
// magnitude: the products with the table's entries take their place, with what their own rounding
// loses. It is made for float32.
func (g *gen) scaleBy(c *expConsts, factor Op) {
	fours := make([]reg.VecVirtual, 0, 2)
	losts := make([]reg.VecVirtual, 0, 2)
	exact := c.inFloat64()
	for at := 0; at < int(c.entries); at += g.vecBytes() / 8 {
		f, lost, back := g.vec(), g.vec(), g.vec()
		entries, rest := g.narrow(), g.narrow()
		VBROADCASTSD(factor, f)
		VMULPD(exact.Offset(8*at), f, f)
		g.narrowTo(f, entries)
		VCVTPS2PD(entries, back)
		VSUBPD(back, f, lost)
		VDIVPD(back, lost, lost)
		g.narrowTo(lost, rest)
		fours, losts = append(fours, entries), append(losts, rest)
	}
	table, lost := g.joined(fours), g.joined(losts)
	VPSUBD(c.places(), table, table)
	c.table, c.lost = table, lost
	if !g.is512() { // registers
		for _, p := range []*Op{&c.table, &c.lost} {
			m := AllocLocal(32)
			VMOVUPS(*p, m)
			*p = m
		}
	}
}

// joined returns a register with 8 float32 numbers, twice for AVX-512, from one register of half
// its size or two.
func (g *gen) joined(parts []reg.VecVirtual) reg.VecVirtual {
	v := g.vec()
	if g.is512() {
		VINSERTF64X4(Imm(1), parts[0], parts[0].AsZ(), v)
		return v
	}
	VINSERTF128(Imm(1), parts[1], parts[0].AsY(), v)
	return v
}

// inFloat64 returns the constant with the 8 powers of 2 that are not rounded to float32.
func (p *powers) inFloat64() Mem {
	return table("exactpowers", 8, int(p.entries), func(i int) uint64 {
		v, _ := p.entry(uint(i), "F64")
		return math.Float64bits(v)
	})
}

// places returns the constant with what is subtracted from the bits of the float32 entries.
func (p *powers) places() Mem {
	return table("places", 4, 16, func(i int) uint64 { return uint64(uint(i)%p.entries) << (23 - p.bits()) })
}

const notLess = 5 // comparison predicate NLT_US: also true for NaN

// exp replaces each of xs by exp(x)·2^-anchor, 0 below low. The steps of all are interleaved.
func (g *gen) exp(xs []reg.VecVirtual, c *expConsts) []reg.VecVirtual {
	keep := make([]reg.Register, len(xs))
	for i, x := range xs {
		if g.is512() {
			keep[i] = K()
			f(g, VCMPPS, VCMPPD)(Imm(notLess), c.low, x, keep[i])
			continue
		}
		keep[i] = g.vec()
		f(g, VCMPPS, VCMPPD)(Imm(notLess), c.low, x, keep[i])
		f(g, VMAXPS, VMAXPD)(x, c.low, x)
	}
	return g.expKept(xs, keep, c)
}

// expKept is exp for lanes that keep names; nil stands for all, none of which is below low then.
func (g *gen) expKept(xs []reg.VecVirtual, keep []reg.Register, c *expConsts) []reg.VecVirtual {
	s := g.reduce(xs, c)
	p := g.polynomial(xs, c.coefs)
	for i, r := range xs {
		g.fma213(c.one, r, p[i])
	}
	// exp(r)·2^(...) = s + s·(r·p + what s has lost): the sum is rounded once.
	for i, r := range xs {
		if c.lost == nil {
			g.mul(r, p[i], p[i])
			continue
		}
		g.fma213(g.lookUp(c.lost, s[i].index), r, p[i])
	}
	for i := range xs {
		switch {
		case keep == nil:
			g.fma213(s[i].power, s[i].power, p[i])
		case g.is512():
			f(g, VFMADD213PS_Z, VFMADD213PD_Z)(s[i].power, s[i].power, keep[i], p[i])
		default:
			g.fma213(s[i].power, s[i].power, p[i])
			VANDPS(keep[i], p[i], p[i])
		}
	}
	return p
}

// scale is the power of 2 that belongs to an element, and the register that its entry was looked up
// by.
type scale struct{ power, index reg.VecVirtual }

// reduce replaces each of xs by r and returns the powers of 2.
func (g *gen) reduce(xs []reg.VecVirtual, c *expConsts) []scale {
	t, n, s := make([]reg.VecVirtual, len(xs)), make([]reg.VecVirtual, len(xs)), make([]scale, len(xs))
	for i, x := range xs {
		t[i] = g.vec()
		VMOVAPS(c.magic, t[i])
		f(g, VFMADD231PS, VFMADD231PD)(c.log2e, x, t[i])
	}
	for i := range xs {
		n[i] = g.vec()
		g.sub(t[i], c.magic, n[i])
	}
	for i, x := range xs {
		g.fnma231(c.hi, n[i], x)
	}
	if c.lo != nil {
		for i, x := range xs {
			g.fnma231(c.lo, n[i], x)
		}
	}
	for i := range xs {
		s[i] = g.power(t[i], c)
	}
	return s
}

// power returns 2^(n/m - anchor) for the low bits n - m·anchor of t.
func (g *gen) power(t reg.VecVirtual, c *expConsts) scale {
	index, s := t, g.vec()
	if g.comp == "F32" {
		s = g.lookUp(c.table, index)
		shifted := g.vec()
		VPSLLD(Imm(uint64(23-c.bits())), t, shifted)
		VPADDD(shifted, s, s)
		return scale{s, index}
	}
	if !g.is512() {
		// AVX2 looks up halves of numbers: of entry j those at 2j and 2j+1.
		index = g.vec()
		VPSHUFD(Imm(0xa0), t, index)
		VPADDD(index, index, index)
		VPOR(bitsConstant(1<<32, 8), index, index)
	}
	s = g.lookUp(c.table, index)
	shifted := g.vec()
	VPSLLQ(Imm(uint64(52-c.bits())), t, shifted)
	VPADDQ(shifted, s, s)
	return scale{s, index}
}

// lookUp returns the entries of the table that the low bits of index name.
func (g *gen) lookUp(table Op, index reg.VecVirtual) reg.VecVirtual {
	v := g.vec()
	if g.comp == "F64" && g.is512() {
		VPERMPD(table, index, v)
	} else {
		VPERMPS(table, index, v)
	}
	return v
}

// polynomial returns Σ coefs[k]·r^k for each of rs.
func (g *gen) polynomial(rs []reg.VecVirtual, coefs []Op) []reg.VecVirtual {
	p := make([]reg.VecVirtual, len(rs))
	last := len(coefs) - 1
	for i := range rs {
		p[i] = g.vec()
		VMOVUPS(coefs[last], p[i])
	}
	for d := last - 1; d >= 0; d-- {
		for i, r := range rs {
			g.fma213Constant(coefs[d], r, p[i])
		}
	}
	return p
}

// fma213Constant is fma213 for a constant that may lie in memory, which AVX-512 reads one number
// of: 64 bytes might cross a line of the cache.
func (g *gen) fma213Constant(c Op, b, dst reg.VecVirtual) {
	if _, memory := c.(Mem); memory && g.is512() {
		f(g, VFMADD213PS_BCST, VFMADD213PD_BCST)(c, b, dst)
		return
	}
	g.fma213(c, b, dst)
}
