package vectest

import (
	"math"
	"math/big"
	"sync"
)

// BigExp returns eˣ with the precision of x, wrong by at most one unit in the last place. It is a
// reference for tests: Taylor's series of a reduced argument, in integers.
func BigExp(x *big.Float) *big.Float {
	prec := x.Prec()
	z := new(big.Float).SetPrec(prec)
	size := x.MantExp(nil)
	switch {
	case x.Sign() == 0:
		return z.SetInt64(1)
	case x.IsInf() || size > 31: // beyond the exponents of big.Float
		if x.Sign() > 0 {
			z.SetInf(false)
		}
		return z
	}
	// x = k·log 2 + r, and eʳ is the square, taken halvings times, of the series at r/2^halvings
	halvings := uint(math.Sqrt(float64(prec))) + 1
	bits := fractionBits(prec + halvings + uint(max(size, 0)))
	r, _ := new(big.Float).SetMantExp(x, int(bits)).Int(nil)
	k, log2 := new(big.Int), ln2(bits)
	k.DivMod(r, log2, r)
	r.Rsh(r, halvings)
	sum := new(big.Int).Lsh(big.NewInt(1), bits)
	term, product, n := new(big.Int).Set(sum), new(big.Int), new(big.Int)
	for i := int64(1); term.Sign() > 0; i++ {
		product.Mul(term, r)
		term.Quo(term.Rsh(product, bits), n.SetInt64(i))
		sum.Add(sum, term)
	}
	for range halvings {
		product.Mul(sum, sum)
		sum.Rsh(product, bits)
	}
	return z.SetMantExp(z.SetInt(sum), int(k.Int64())-int(bits))
}

// BigLog returns the natural logarithm of x with the precision of x, wrong by at most one unit in
// the last place, and panics for x < 0. It is a reference for tests: Halley's iteration on [BigExp].
func BigLog(x *big.Float) *big.Float {
	prec := x.Prec()
	z := new(big.Float).SetPrec(prec)
	switch {
	case x.Sign() < 0:
		panic("vectest: logarithm of a negative number")
	case x.Sign() == 0:
		return z.SetInf(true)
	case x.IsInf():
		return z.SetInf(false)
	}
	// x = m·2^k with m in [√½, √2): nothing cancels in log m + k·log 2
	m := new(big.Float)
	k := x.MantExp(m)
	if f, _ := m.Float64(); f < math.Sqrt2/2 {
		m.SetMantExp(m, 1)
		k--
	}
	gap := new(big.Float).Sub(m, big.NewFloat(1))
	if k == 0 && gap.Sign() == 0 {
		return z
	}
	wide := prec + 32
	if k == 0 {
		wide += uint(-gap.MantExp(nil)) // the leading digits of log m are 0
	}
	f, _ := m.Float64()
	y := new(big.Float).SetPrec(wide).SetFloat64(math.Log(f))
	difference, sum := new(big.Float).SetPrec(wide), new(big.Float).SetPrec(wide)
	for good := uint(50); good < wide; good *= 3 { // y += 2(m-eʸ)/(m+eʸ) has three times the digits
		e := new(big.Float).SetPrec(wide).SetInt64(1)
		if y.Sign() != 0 {
			e = BigExp(y)
		}
		difference.Sub(m, e)
		sum.Add(m, e)
		y.Add(y, difference.Quo(difference.SetMantExp(difference, 1), sum))
	}
	if k != 0 {
		bits := fractionBits(wide)
		log2 := new(big.Float).SetPrec(wide).SetInt(ln2(bits))
		log2.SetMantExp(log2, -int(bits))
		y.Add(y, log2.Mul(log2, new(big.Float).SetInt64(int64(k))))
	}
	return z.Set(y)
}

// fractionBits returns the digits behind the point of the integers that n digits are computed with:
// a multiple of 64, with some to spare for rounding.
func fractionBits(n uint) uint { return (n + 20 + 63) &^ 63 }

var logarithms = struct {
	sync.Mutex
	of map[uint]*big.Int
}{of: make(map[uint]*big.Int)}

// ln2 returns log 2 · 2^bits = Σ 2^bits/(n·2ⁿ), and keeps it.
func ln2(bits uint) *big.Int {
	logarithms.Lock()
	defer logarithms.Unlock()
	sum := logarithms.of[bits]
	if sum == nil {
		sum = new(big.Int)
		power, term, n := new(big.Int).Lsh(big.NewInt(1), bits+32), new(big.Int), new(big.Int)
		for i := int64(1); power.Sign() > 0; i++ {
			power.Rsh(power, 1)
			sum.Add(sum, term.Quo(power, n.SetInt64(i)))
		}
		sum.Rsh(sum, 32)
		logarithms.of[bits] = sum
	}
	return sum
}
