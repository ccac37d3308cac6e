// Package vec evaluates elementary functions over slices of float64, several elements at a time
// where the processor can.
//
// It is what losses are computed with: a block of a thousand elements stays in the nearest cache
// while one function after the other runs over it. On amd64 the functions use AVX-512 or AVX2 with
// FMA, whichever the processor has, with the same bits from both; elsewhere, and under the build
// tag purego, they call package math. The [Level] in use is one for this package, tensorops, mat
// and optim; the environment variable SURPRISAL_LEVEL lowers it.
//
// Results are within 2 units in the last place of the exact value over the whole range, with the
// special values of package math (NaN stays NaN, Exp(-Inf) = 0, Log(0) = -Inf, Log of a negative
// number NaN); the tests hold them to it.
//
// dst and x must have the same length and be the same slice or not overlap; other lengths panic.
package vec

// width is the number of elements that the kernels' loops advance by.
const width = 8

// function is one of the elementary functions.
type function uint8

const (
	exp function = iota
	expm1
	log
	log1p
	sqrt
)

// Exp writes e^x[i] to dst[i].
func Exp(dst, x []float64) { apply(exp, dst, x) }

// Expm1 writes e^x[i] - 1 to dst[i], accurate near 0.
func Expm1(dst, x []float64) { apply(expm1, dst, x) }

// Log writes the natural logarithm of x[i] to dst[i].
func Log(dst, x []float64) { apply(log, dst, x) }

// Log1p writes log(1 + x[i]) to dst[i], accurate near 0.
func Log1p(dst, x []float64) { apply(log1p, dst, x) }

// Sqrt writes the square root of x[i], exact to the rounding, to dst[i].
func Sqrt(dst, x []float64) { apply(sqrt, dst, x) }

func apply(f function, dst, x []float64) {
	if len(dst) != len(x) {
		panic("vec: length mismatch")
	}
	if active == Generic {
		evaluateGeneric(f, dst, x)
		return
	}
	whole := len(x) &^ (width - 1)
	if whole > 0 {
		evaluate(f, dst[:whole], x[:whole])
	}
	if whole < len(x) {
		// the rest goes through a full vector, so an element's bits do not depend on where it
		// stands
		var buf [width]float64
		n := copy(buf[:], x[whole:])
		evaluate(f, buf[:], buf[:])
		copy(dst[whole:], buf[:n])
	}
}

// Widen writes x[i] to dst[i].
func Widen(dst []float64, x []float32) {
	if len(dst) != len(x) {
		panic("vec: length mismatch")
	}
	whole := len(x) &^ (width - 1)
	if active == Generic {
		whole = 0
	} else if whole > 0 {
		widen(dst[:whole], x[:whole])
	}
	for i := whole; i < len(x); i++ {
		dst[i] = float64(x[i])
	}
}

// Narrow writes scale·x[i], rounded to float64 and then to float32, to dst[i].
func Narrow(dst []float32, x []float64, scale float64) {
	if len(dst) != len(x) {
		panic("vec: length mismatch")
	}
	whole := len(x) &^ (width - 1)
	if active == Generic {
		whole = 0
	} else if whole > 0 {
		narrow(dst[:whole], x[:whole], scale)
	}
	for i := whole; i < len(x); i++ {
		dst[i] = float32(scale * x[i])
	}
}

// Within reports whether lo <= x[i] <= hi for every element; a NaN is not within.
func Within[F float32 | float64](x []F, lo, hi F) bool {
	whole := len(x) &^ 15
	if active == Generic {
		whole = 0
	} else if whole > 0 && !within(x[:whole], lo, hi) {
		return false
	}
	for _, v := range x[whole:] {
		if !(v >= lo && v <= hi) {
			return false
		}
	}
	return true
}
