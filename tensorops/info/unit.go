package info

import (
	"math"
	"strconv"
)

// A Unit is the unit of information: the base of the logarithm. The zero value is [Nats].
type Unit int

// The units. 1 nat = 1/ln 2 bits = 1/ln 10 hartleys.
const (
	Nats     Unit = iota // base e
	Bits                 // base 2, also called shannons
	Hartleys             // base 10, also called dits or bans
)

// String returns the unit's name in lower case, or Unit(n) for a value that is no unit.
func (u Unit) String() string {
	switch u {
	case Nats:
		return "nats"
	case Bits:
		return "bits"
	case Hartleys:
		return "hartleys"
	}
	return "Unit(" + strconv.Itoa(int(u)) + ")"
}

func (u Unit) valid() bool { return u >= Nats && u <= Hartleys }

// log returns the logarithm of x >= 0 in the unit, within about one unit in the last place, also
// for subnormal x. It is exact for powers of two in bits, and a whole number for the float64 next
// to a power of ten in hartleys.
func (u Unit) log(x float64) float64 {
	switch u {
	case Bits:
		return math.Log2(x)
	case Hartleys:
		l := ln(x) / math.Ln10
		if k := math.Round(l); math.Abs(l-k) < 1e-13 && x == math.Pow10(int(k)) {
			return k
		}
		return l
	}
	return ln(x)
}

// ln returns the natural logarithm of x >= 0. The amd64 assembly of math.Log takes subnormal
// numbers for normal ones: it gives -709.09 for 5e-324, not -744.44.
func ln(x float64) float64 {
	if x < minNormal {
		return math.Log(x*0x1p54) - 54*math.Ln2
	}
	return math.Log(x)
}

// log1p returns log(1+x) in the unit.
func (u Unit) log1p(x float64) float64 { return u.fromNats(math.Log1p(x)) }

// fromNats converts an amount of information from nats.
func (u Unit) fromNats(x float64) float64 {
	switch u {
	case Bits:
		return x / math.Ln2
	case Hartleys:
		return x / math.Ln10
	}
	return x
}

// minNormal is the smallest positive float64 that has all its digits.
const minNormal = 0x1p-1022
