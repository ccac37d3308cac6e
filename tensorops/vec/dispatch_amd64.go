//go:build amd64 && !purego

package vec

import "golang.org/x/sys/cpu"

func available() []Level {
	x, all := &cpu.X86, []Level{Generic}
	if x.HasAVX && x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		all = append(all, AVX2)
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
			all = append(all, AVX512)
		}
	}
	return all
}

// evaluate calls the assembly for slices of equal length, a multiple of width and not empty. The calls
// are direct, so that the slices do not escape.
func evaluate(f function, dst, x []float64) {
	d, s, n := &dst[0], &x[0], len(x)
	if active == AVX512 {
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
	if active == AVX512 {
		widenAVX512(&dst[0], &x[0], len(x))
		return
	}
	widenAVX2(&dst[0], &x[0], len(x))
}

func narrow(dst []float32, x []float64, scale float64) {
	if active == AVX512 {
		narrowAVX512(&dst[0], &x[0], scale, len(x))
		return
	}
	narrowAVX2(&dst[0], &x[0], scale, len(x))
}

func within[F float32 | float64](x []F, lo, hi F) bool {
	switch x := any(x).(type) {
	case []float32:
		if active == AVX512 {
			return within32AVX512(&x[0], len(x), float32(lo), float32(hi))
		}
		return within32AVX2(&x[0], len(x), float32(lo), float32(hi))
	case []float64:
		if active == AVX512 {
			return within64AVX512(&x[0], len(x), float64(lo), float64(hi))
		}
		return within64AVX2(&x[0], len(x), float64(lo), float64(hi))
	}
	panic("unreachable: F is float32 or float64")
}
