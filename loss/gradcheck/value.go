package gradcheck

import (
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops"
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
	}
	dense, ok := v.(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("is a %T, want a dense tensor", v)
	}
	if dense.Dtype() == tensor.Float32 {
		d, err := tensorops.Elements[float32](dense)
		for _, x := range d {
			dst = append(dst, float64(x))
		}
		return dst, has(err)
	}
	d, err := tensorops.Elements[float64](dense)
	return append(dst, d...), has(err)
}

// has makes a sentence of an error that says what a value is.
func has(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("has %w", err)
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
