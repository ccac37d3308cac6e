//go:build !amd64 || purego

package vec

func available() []Level { return []Level{Generic} }

// The functions below are never called where Generic is the only level.

func evaluate(f function, dst, x []float64) { evaluateGeneric(f, dst, x) }

func widen(dst []float64, x []float32) {
	for i, v := range x {
		dst[i] = float64(v)
	}
}

func narrow(dst []float32, x []float64, scale float64) {
	for i, v := range x {
		dst[i] = float32(scale * v)
	}
}

func within[F float32 | float64](x []F, lo, hi F) bool {
	for _, v := range x {
		if !(v >= lo && v <= hi) {
			return false
		}
	}
	return true
}
