package tensorops

import "math"

// The generic kernels for entropies and for losses of two numbers.

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

func squaredSum[F Float](x, t []F, _ float64) (sum float64) {
	for i, v := range x {
		e := float64(v) - float64(t[i])
		sum += e * e
	}
	return sum
}

func squaredGrad[F Float](dst, x, t []F, factor, _ float64, _ bool) {
	for i, v := range x {
		dst[i] = F(2 * (float64(v) - float64(t[i])) * factor)
	}
}

func absoluteSum[F Float](x, t []F, _ float64) (sum float64) {
	for i, v := range x {
		sum += math.Abs(float64(v) - float64(t[i]))
	}
	return sum
}

func absoluteGrad[F Float](dst, x, t []F, factor, _ float64, _ bool) {
	for i, v := range x {
		slope := float64(v) - float64(t[i])
		switch {
		case slope > 0:
			slope = 1
		case slope < 0:
			slope = -1
		}
		dst[i] = F(slope * factor)
	}
}

func huberSum[F Float](x, t []F, delta float64) (sum float64) {
	for i, v := range x {
		a := math.Abs(float64(v) - float64(t[i]))
		c := min(a, delta)
		sum += c * (a - c/2)
	}
	return sum
}

func huberGrad[F Float](dst, x, t []F, factor, delta float64, _ bool) {
	for i, v := range x {
		dst[i] = F(max(min(float64(v)-float64(t[i]), delta), -delta) * factor)
	}
}

// binaryParts returns |x|, the cost q of a unit of it on the wrong side, and exp(-|x|).
func binaryParts(x, t float64) (a, q, z float64) {
	a, q = math.Abs(x), t
	if x > 0 {
		q = 1 - t
	}
	return a, q, math.Exp(-a)
}

func binarySum[F Float](x, t []F, _ float64) (sum float64) {
	for i, v := range x {
		a, q, z := binaryParts(float64(v), float64(t[i]))
		if q != 0 { // an infinite logit on the right side costs nothing
			sum += a * q
		}
		sum += math.Log1p(z)
	}
	return sum
}

func binaryGrad[F Float](dst, x, t []F, factor, _ float64, _ bool) {
	for i, v := range x {
		_, q, z := binaryParts(float64(v), float64(t[i]))
		slope := q - z/(1+z)
		if !(v > 0) {
			slope = -slope
		}
		dst[i] = F(slope * factor)
	}
}
