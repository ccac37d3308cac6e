package optim

import "math"

// Norm returns the Euclidean norm of all numbers of some gradients together. Squares are summed in
// float64, in pieces of a fixed length, so the result does not depend on the number of cores. NaN
// or infinity in any number gives NaN or +Inf.
func Norm[F float32 | float64](grads ...[]F) float64 {
	var total float64
	for _, g := range grads {
		total += sumPieces(len(g), func(i, j int) float64 { return squares(g[i:j]) })
	}
	if math.IsInf(total, 1) {
		return scaledNorm(grads)
	}
	return math.Sqrt(total)
}

// scaledNorm is the norm of finite numbers whose squares overflow.
func scaledNorm[F float32 | float64](grads [][]F) float64 {
	var top float64
	for _, g := range grads {
		for _, v := range g {
			top = max(top, math.Abs(float64(v)))
		}
	}
	if math.IsInf(top, 1) || math.IsNaN(top) {
		return top
	}
	var sum float64
	for _, g := range grads {
		for _, v := range g {
			sum += float64(v) / top * (float64(v) / top)
		}
	}
	return top * math.Sqrt(sum)
}

// ClipNorm scales gradients with the norm given by [Norm] down to limit: by limit/(norm + 1e-6)
// where that is below 1, as PyTorch's clip_grad_norm_ does, and not at all otherwise.
func ClipNorm[F float32 | float64](norm, limit float64, grads ...[]F) {
	factor := limit / (norm + 1e-6)
	if !(factor < 1) {
		return
	}
	Scale(F(factor), grads...)
}

// ClipValue moves every number of the gradients into [-limit, limit]. NaN stays NaN.
func ClipValue[F float32 | float64](limit float64, grads ...[]F) {
	l := F(limit)
	for _, g := range grads {
		inPieces(len(g), func(i, j int) {
			k := i + whole(j-i)
			if k > i {
				clampVector(g[i:k], l)
			}
			clampGeneric(g[k:j], l)
		})
	}
}
