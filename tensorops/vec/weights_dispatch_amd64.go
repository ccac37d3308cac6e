//go:build amd64 && !purego

package vec

// The functions below take slices of equal length, a multiple of step and not empty.

func maskWeights[F float32 | float64](dst []F, mask []byte) (ones, bits uint32) {
	switch dst := any(dst).(type) {
	case []float32:
		if active == AVX512 {
			return maskWeightsF32AVX512(&dst[0], &mask[0], len(mask))
		}
		return maskWeightsF32AVX2(&dst[0], &mask[0], len(mask))
	case []float64:
		if active == AVX512 {
			return maskWeightsF64AVX512(&dst[0], &mask[0], len(mask))
		}
		return maskWeightsF64AVX2(&dst[0], &mask[0], len(mask))
	}
	panic("unreachable: F is float32 or float64")
}

func sumWeights[F float32 | float64](lanes *[step]float64, w []F) (nonzero, odd uint32) {
	switch w := any(w).(type) {
	case []float32:
		if active == AVX512 {
			return sumWeightsF32AVX512(&lanes[0], &w[0], len(w))
		}
		return sumWeightsF32AVX2(&lanes[0], &w[0], len(w))
	case []float64:
		if active == AVX512 {
			return sumWeightsF64AVX512(&lanes[0], &w[0], len(w))
		}
		return sumWeightsF64AVX2(&lanes[0], &w[0], len(w))
	}
	panic("unreachable: F is float32 or float64")
}

func multiply[F float32 | float64](dst, a, b []F) {
	switch dst := any(dst).(type) {
	case []float32:
		a, b := any(a).([]float32), any(b).([]float32)
		if active == AVX512 {
			multiplyF32AVX512(&dst[0], &a[0], &b[0], len(dst))
			return
		}
		multiplyF32AVX2(&dst[0], &a[0], &b[0], len(dst))
	case []float64:
		a, b := any(a).([]float64), any(b).([]float64)
		if active == AVX512 {
			multiplyF64AVX512(&dst[0], &a[0], &b[0], len(dst))
			return
		}
		multiplyF64AVX2(&dst[0], &a[0], &b[0], len(dst))
	}
}

func divide(dst, a, b []float64) {
	if active == AVX512 {
		divideF64AVX512(&dst[0], &a[0], &b[0], len(dst))
		return
	}
	divideF64AVX2(&dst[0], &a[0], &b[0], len(dst))
}
