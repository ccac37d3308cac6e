// Package weights holds named arrays of numbers, such as the parameters of a model and the memory
// of its optimizer, and keeps them in safetensors files. It reads files of half precision too.
//
// A file is written to a temporary name in the same directory, flushed to the disk and renamed, so
// that a reader never sees half of one and a crash leaves the earlier file. It carries the SHA-256
// of its contents; a file that is truncated, damaged or of another format is refused with an error
// that names the file and the fault.
//
// The package imports no graph.
package weights

import (
	"fmt"
	"slices"
	"strings"
)

// An Array is a named, dense, row-major array. Exactly one of F32 and F64 is in use.
type Array struct {
	Name  string
	Shape []int
	F32   []float32
	F64   []float64
}

// New returns an array of zeros, of float32 when single is true. Dimensions are not negative.
func New(name string, single bool, shape ...int) *Array {
	a := &Array{Name: name, Shape: slices.Clone(shape)}
	if single {
		a.F32 = make([]float32, a.Size())
	} else {
		a.F64 = make([]float64, a.Size())
	}
	return a
}

// Size returns the product of the dimensions.
func (a *Array) Size() int {
	n := 1
	for _, d := range a.Shape {
		n *= d
	}
	return n
}

// Single reports whether the numbers are float32.
func (a *Array) Single() bool { return a.F32 != nil }

// Clone returns a copy that shares no memory.
func (a *Array) Clone() *Array {
	return &Array{a.Name, slices.Clone(a.Shape), slices.Clone(a.F32), slices.Clone(a.F64)}
}

// CopyFrom overwrites the numbers of a by those of an array of the same type and shape.
func (a *Array) CopyFrom(b *Array) error {
	if b == nil {
		return fmt.Errorf("weights: array to copy to %q is nil", a.Name)
	}
	if !slices.Equal(a.Shape, b.Shape) || a.Single() != b.Single() {
		return fmt.Errorf("weights: %q is %s %v, want %s %v", b.Name, b.dtype(), b.Shape, a.dtype(), a.Shape)
	}
	if len(a.F32) != len(b.F32) || len(a.F64) != len(b.F64) {
		return fmt.Errorf("weights: %q has %d numbers, want %d for shape %v", b.Name, len(b.F32)+len(b.F64),
			len(a.F32)+len(a.F64), a.Shape)
	}
	copy(a.F32, b.F32)
	copy(a.F64, b.F64)
	return nil
}

func (a *Array) dtype() string {
	if a.Single() {
		return "float32"
	}
	return "float64"
}

// NonFinite returns the index of the first NaN or infinity, or -1.
func (a *Array) NonFinite() int {
	for i, v := range a.F32 {
		if v-v != 0 {
			return i
		}
	}
	for i, v := range a.F64 {
		if v-v != 0 {
			return i
		}
	}
	return -1
}

// WithPrefix returns the arrays whose names begin with prefix. They share their numbers with list.
func WithPrefix(list []*Array, prefix string) (part []*Array) {
	for _, a := range list {
		if strings.HasPrefix(a.Name, prefix) {
			part = append(part, a)
		}
	}
	return part
}
