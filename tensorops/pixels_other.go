//go:build !amd64 || purego

package tensorops

func hasPixels() bool { return false }

func pixelSums(acc, x, e *float32, labels *int, stride, classes, n int) {
	panic("tensorops: no kernel")
}

func pixelGrad(dst, x, e, slopes *float32, labels *int, dstride, stride, classes, n int) {
	panic("tensorops: no kernel")
}
