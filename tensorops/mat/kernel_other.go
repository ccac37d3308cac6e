//go:build !amd64 || purego

package mat

func archImplementations() []implementation { return nil }
