package core

import "github.com/surprisal-go/surprisal/tensorops"

// A Range is what a kernel computes: the values from Lo up to Hi, of rows or of elements, and with
// Dst one derivative. Rows and elements differ in how factors are given, because a float64 factor
// for each element would cost more than the loss.
type Range[F Float] struct {
	Dims   Dims
	Lo, Hi int
	X      [MaxOperands][]F // the whole operands

	// Rows: entry 0 belongs to row Lo. A row with the factor 0 is not read; its value and
	// derivative are 0.
	Labels []int     // the label, -1 where there is none
	Factor []float64 // what the derivative is multiplied with
	Values []float64 // receives the loss; nil: not requested
	Left   []int     // the kernel appends rows that it leaves to the block function; their values are 0

	// Of classes that are spread over ranks: Max and Rest of a row over those of other ranks, as a
	// RowPart has them, and the class weight of a label among these, for which the number of classes
	// stands. With Rests these and Values receive Max and Rest alone.
	BesideMax, BesideRest, BesideWeight []float64
	Rests                               []float64

	// Elements: entry 0 belongs to element Lo. An element with the weight 0 is not read.
	W     []F     // the weights; nil: 1
	Scale float64 // what weighted derivatives are multiplied with
	Out   []F     // receives the weighted loss; nil: not requested

	Wrt int // the operand that the derivative is taken by
	Dst []F // receives the derivative, in the layout of the whole operand; nil: not requested

	Point tensorops.PointData[F] // memory for the kernel's use, which its stack is spared
}

// A Kernel computes a range on the operands' own memory. It returns the sum of the weighted values
// of elements, which is not finite where an element needs the block function, and ok = false where
// the block function must do the whole range: at a derivative that the kernel lacks, or a target
// outside its domain. Beside ok = false a sum of NaN means that some rows alone are the reason, so
// that the others are offered again.
type Kernel[F Float] func(r *Range[F]) (sum float64, ok bool)

// Kernels holds the kernel of a loss for both element types; nil: none.
type Kernels struct {
	F32 Kernel[float32]
	F64 Kernel[float64]
}

// kernelOf returns the kernel for F, or nil.
func kernelOf[F Float](k *Kernels) Kernel[F] {
	return ofType[Kernel[F]](k.F32, k.F64)
}

// ofType returns the one of two values that has type T.
func ofType[T any](f32, f64 any) T {
	if f, ok := f32.(T); ok {
		return f
	}
	return f64.(T)
}
