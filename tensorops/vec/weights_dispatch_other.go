//go:build !amd64 || purego

package vec

// The functions below are never called where generic is the only implementation.

func maskWeights[F float32 | float64](dst []F, mask []byte) (ones, bits uint32) {
	panic("unreachable: no kernels")
}

func sumWeights[F float32 | float64](lanes *[step]float64, w []F) (nonzero, odd uint32) {
	panic("unreachable: no kernels")
}

func multiply[F float32 | float64](dst, a, b []F) { panic("unreachable: no kernels") }

func divide(dst, a, b []float64) { panic("unreachable: no kernels") }
