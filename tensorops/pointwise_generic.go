package tensorops

import "math"

// The generic kernels for entropies.

func xlogxGeneric[F Float](t []F) (sum float64) {
	for _, v := range t {
		if v != 0 {
			sum += float64(v) * math.Log(float64(v))
		}
	}
	return sum
}

func logGapGeneric[F Float](dst, t, x []F, c, factor float64, _ bool) {
	for i, v := range t {
		if v == 0 {
			dst[i] = 0
			continue
		}
		dst[i] = F((math.Log(float64(v)) + (c - float64(x[i]))) * factor)
	}
}

func expGapGeneric[F Float](x []F, anchor, low, c float64) (sum float64) {
	for _, v := range x {
		if !(float64(v) < low) {
			sum += expAnchored(float64(v), anchor) * (c - float64(v))
		}
	}
	return sum
}

func expScaleGapGeneric[F Float](dst, x []F, anchor, low, factor, c, d float64, _ bool) {
	for i, v := range x {
		if float64(v) < low {
			dst[i] = 0
			continue
		}
		dst[i] = F(expAnchored(float64(v), anchor) * factor * ((c - float64(v)) + d))
	}
}
