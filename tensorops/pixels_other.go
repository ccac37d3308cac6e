//go:build !amd64 || purego

package tensorops

func hasPixels() bool { return false }

func pixelSums(acc, x, p *float32, labels *int, stride, pstride, advance, classes, n int) {
	panic("tensorops: no kernel")
}

func pixelPull(p, slopes *float32, labels *int, pstride, classes, n int) {
	panic("tensorops: no kernel")
}
