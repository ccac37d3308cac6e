// Package core computes losses: it knows their operands, options, reductions and memory layouts,
// and nothing of graphs.
//
// A loss is a [Definition]. [Bind] checks operands and settings against it once and returns a
// [Bound]; the functions [Value], [Gradient], [ValueGradient], [HessianVector] and [Tangent]
// evaluate it on [Inputs], slices of float32 or float64 in row-major order. Six concepts carry
// every loss:
//
//	Operand    a declared input: its name, what it holds and its shape in letters
//	Block      rows, packed in float64, as the mathematics of a loss reads them; rows that do not count are left out
//	Group      entries that several values read together: a list, an image, a sequence, a batch
//	Link       a map from operands to the logits that a loss reads, some rows at a time, such as a product of matrices
//	Reduction  the factor of every value and the denominator, from weights, masks, ignored labels and class weights
//	Kernel     an optional fast form on the operands' own memory, of a range of rows or elements, or of a group
//
// Ranges of values are shared among cores and combined in order, so results do not depend on the
// number of cores.
package core
