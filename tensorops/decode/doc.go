// Package decode finds the best output of a sequence model and the best assignment of a transport
// problem: Viterbi paths, labellings and alignments of connectionist temporal classification, and
// the plans of entropic optimal transport.
//
// It needs no graph and computes no gradients: these functions are for what comes after training.
// Package loss has the losses that such models are trained by.
//
// # Input
//
// Operands are slices of float32 or float64, row after row, with their shape beside them. For a
// tensor x of three axes the shape is [3]int(x.Shape()). All sums and recursions are in float64.
// Lengths count what belongs to a row: nil means everything. Elements beyond a length are never
// read.
//
// An element of -Inf rules out a class, a tag or a transition. NaN and +Inf are errors, and so are
// shapes with an empty axis.
//
// # Results
//
// Results do not depend on the number of cores, to the bit. Every function resolves ties by a rule
// that it states, so that equal input gives equal output.
//
// Each error wraps one of the package's Err variables and names the function, the operand and the
// element. No function panics.
package decode
