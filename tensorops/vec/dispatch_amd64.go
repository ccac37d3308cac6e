//go:build amd64 && !purego

package vec

import "golang.org/x/sys/cpu"

func implementations() []level {
	all := []level{generic}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		all = append(all, avx2)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
			all = append(all, avx512)
		}
	}
	return all
}

// evaluate calls the assembly for slices of equal length, a multiple of width and not empty. The calls
// are direct, so that the slices do not escape.
func evaluate(f function, dst, x []float64) {
	d, s, n := &dst[0], &x[0], len(x)
	if active == avx512 {
		switch f {
		case exp:
			expAVX512(d, s, n)
		case expm1:
			expm1AVX512(d, s, n)
		case log:
			logAVX512(d, s, n)
		case log1p:
			log1pAVX512(d, s, n)
		case sqrt:
			sqrtAVX512(d, s, n)
		}
		return
	}
	switch f {
	case exp:
		expAVX2(d, s, n)
	case expm1:
		expm1AVX2(d, s, n)
	case log:
		logAVX2(d, s, n)
	case log1p:
		log1pAVX2(d, s, n)
	case sqrt:
		sqrtAVX2(d, s, n)
	}
}

func widen(dst []float64, x []float32) {
	if active == avx512 {
		widenAVX512(&dst[0], &x[0], len(x))
		return
	}
	widenAVX2(&dst[0], &x[0], len(x))
}

func narrow(dst []float32, x []float64, scale float64) {
	if active == avx512 {
		narrowAVX512(&dst[0], &x[0], scale, len(x))
		return
	}
	narrowAVX2(&dst[0], &x[0], scale, len(x))
}

func within[F float32 | float64](x []F, lo, hi F) bool {
	switch x := any(x).(type) {
	case []float32:
		if active == avx512 {
			return within32AVX512(&x[0], len(x), float32(lo), float32(hi))
		}
		return within32AVX2(&x[0], len(x), float32(lo), float32(hi))
	case []float64:
		if active == avx512 {
			return within64AVX512(&x[0], len(x), float64(lo), float64(hi))
		}
		return within64AVX2(&x[0], len(x), float64(lo), float64(hi))
	}
	panic("unreachable: F is float32 or float64")
}
