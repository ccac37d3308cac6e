package gradcheck

import (
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// flatten appends the entries of a floating value to dst in row-major order, whatever its layout.
func flatten(v G.Value, dst []float64) ([]float64, error) {
	if v == nil {
		return nil, fmt.Errorf("has no value")
	}
	switch d := v.Data().(type) {
	case float64:
		return append(dst, d), nil
	case float32:
		return append(dst, float64(d)), nil
	case []float64:
		return gather(v, d, dst)
	case []float32:
		return gather(v, d, dst)
	}
	return nil, fmt.Errorf("has dtype %v, want float32 or float64", v.Dtype())
}

func gather[F float32 | float64](v G.Value, data []F, dst []float64) ([]float64, error) {
	dense, ok := v.(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("is a %T, want a dense tensor", v)
	}
	shape, strides := dense.Shape(), dense.Strides()
	n := shape.TotalSize()
	if contiguous(shape, strides) {
		if len(data) < n {
			return nil, fmt.Errorf("has %d entries of memory, want %d", len(data), n)
		}
		if d, ok := any(data).([]float64); ok {
			return append(dst, d[:n]...), nil
		}
		for _, x := range data[:n] {
			dst = append(dst, float64(x))
		}
		return dst, nil
	}
	if len(shape) != len(strides) {
		return nil, fmt.Errorf("has shape %s with strides %v", shapeText(shape), strides)
	}
	index := make([]int, len(shape))
	for range n {
		at := 0
		for a, x := range index {
			at += x * strides[a]
		}
		dst = append(dst, float64(data[at]))
		for a := len(index) - 1; a >= 0; a-- {
			if index[a]++; index[a] < shape[a] {
				break
			}
			index[a] = 0
		}
	}
	return dst, nil
}

func contiguous(shape tensor.Shape, strides []int) bool {
	if len(shape) == 1 && len(strides) == 1 {
		return shape[0] == 1 || strides[0] == 1
	}
	if len(shape) != len(strides) {
		return false
	}
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && strides[i] != step {
			return false
		}
		step *= shape[i]
	}
	return true
}

var hashSeed = maphash.MakeSeed()

// fingerprint identifies the memory of a value to the bit.
func fingerprint(v G.Value) uint64 {
	if v == nil {
		return 0
	}
	switch d := v.Data().(type) {
	case []float64:
		h := uint64(len(d))
		for _, x := range d {
			h = (h ^ math.Float64bits(x)) * 0x9e3779b97f4a7c15
			h ^= h >> 29
		}
		return h
	case []float32:
		h := uint64(len(d))
		for _, x := range d {
			h = (h ^ uint64(math.Float32bits(x))) * 0x9e3779b97f4a7c15
			h ^= h >> 29
		}
		return h
	case float64:
		return math.Float64bits(d)
	case float32:
		return uint64(math.Float32bits(d))
	default:
		return maphash.String(hashSeed, fmt.Sprint(d))
	}
}

// sameBits compares two results; NaN equals NaN.
func sameBits(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i, x := range a {
		if !sameBit(x, b[i]) {
			return false
		}
	}
	return true
}

func sameBit(x, y float64) bool {
	return math.Float64bits(x) == math.Float64bits(y) || math.IsNaN(x) && math.IsNaN(y)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// indexOf returns the coordinates of the row-major entry i.
func indexOf(i int, shape tensor.Shape) []int {
	at := make([]int, len(shape))
	for a := len(at) - 1; a >= 0; a-- {
		at[a] = i % shape[a]
		i /= shape[a]
	}
	return at
}

func indexText(index []int) string {
	parts := make([]string, len(index))
	for i, x := range index {
		parts[i] = strconv.Itoa(x)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func shapeText(s tensor.Shape) string { return indexText(s) }
