//go:build amd64 && !purego

package tensorops

import "github.com/surprisal-go/surprisal/tensorops/vec"

func hasPixels() bool { return vec.Active() != vec.Generic }

func pixelSums(acc, x, p *float32, labels *int, stride, pstride, advance, classes, n int) {
	overlapSumsF32AVX2(acc, x, p, labels, stride, pstride, advance, classes, n)
}

func pixelPull(p, slopes *float32, labels *int, pstride, classes, n int) {
	overlapPullF32AVX2(p, slopes, labels, pstride, classes, n)
}
