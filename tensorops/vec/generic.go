package vec

import "math"

// evaluateGeneric computes a function element by element with package math.
func evaluateGeneric(f function, dst, x []float64) {
	switch f {
	case exp:
		for i, v := range x {
			dst[i] = math.Exp(v)
		}
	case expm1:
		for i, v := range x {
			dst[i] = math.Expm1(v)
		}
	case log:
		for i, v := range x {
			dst[i] = logarithm(v)
		}
	case log1p:
		for i, v := range x {
			dst[i] = math.Log1p(v)
		}
	case sqrt:
		for i, v := range x {
			dst[i] = math.Sqrt(v)
		}
	}
}

// logarithm is math.Log, which on some processors is wrong for subnormal numbers (Go 1.26 on amd64
// gives -709.1 for 5e-324, not -744.4): they are lifted into the normal range first.
func logarithm(x float64) float64 {
	if x > 0 && x < 0x1p-1022 {
		return math.Log(x*0x1p54) - 54*math.Ln2
	}
	return math.Log(x)
}
