package core

import (
	"fmt"
	"slices"
	"strings"
)

// Float is the element type of floating operands.
type Float interface{ float32 | float64 }

// A DType names an element type.
type DType string

// The element types that operands may have.
const (
	Float32 DType = "float32"
	Float64 DType = "float64"
	Int     DType = "int"
	Int64   DType = "int64"
	Int32   DType = "int32"
	Uint8   DType = "uint8"
	Bool    DType = "bool"
)

// IsInteger reports whether labels may have the type.
func (t DType) IsInteger() bool { return t == Int || t == Int64 || t == Int32 || t == Uint8 }

// IsFloat reports whether floating operands may have the type.
func (t DType) IsFloat() bool { return t == Float32 || t == Float64 }

// IsWhole reports whether a type holds whole numbers, with Bool for 0 and 1.
func (t DType) IsWhole() bool { return t.IsInteger() || t == Bool }

// DTypeOf returns the DType of F.
func DTypeOf[F Float]() DType {
	var z F
	if _, ok := any(z).(float32); ok {
		return Float32
	}
	return Float64
}

// A Shape lists the lengths of axes; nil is a scalar.
type Shape []int

// Size returns the number of elements.
func (s Shape) Size() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Equal reports whether both shapes have the same axes.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// String prints the shape as the documentation writes it: (64, 10), (64) and () for a scalar.
func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('(')
	for i, d := range s {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, d)
	}
	b.WriteByte(')')
	return b.String()
}

// coordinates words the position of value i of a tensor of this shape.
func (s Shape) coordinates(i int) string {
	if len(s) == 0 {
		return "the only row"
	}
	at := make(Shape, len(s))
	for a := len(at) - 1; a >= 0; a-- {
		at[a] = i % s[a]
		i /= s[a]
	}
	if len(at) == 1 {
		return fmt.Sprint("row ", at[0])
	}
	return "row " + at.String()
}
