//go:build amd64 && !purego

package tensorops

import "github.com/surprisal-go/surprisal/tensorops/vec"

func hasPixels() bool { return vec.Active() != vec.Generic }

func pixelSums(acc, x, e *float32, labels *int, stride, classes, n int) {
	overlapSumsF32AVX2(acc, x, e, labels, stride, classes, n)
}

func pixelGrad(dst, x, e, slopes *float32, labels *int, dstride, stride, classes, n int) {
	overlapGradF32AVX2(dst, x, e, slopes, labels, dstride, stride, classes, n)
}
