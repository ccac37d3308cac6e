// Package tensorops computes log-sum-exp, softmax and their relatives over the rows of a batch: the
// operations that classification losses spend their time in.
//
// # Two levels
//
// The tensor forms [LogSumExp], [Softmax] and [LogSoftmax] take a [gorgonia.org/tensor.Dense] of float32 or
// float64 of any rank, any axis and any layout, and return errors. The row forms ([LogSumExpRows],
// [SoftmaxRows], [LogSoftmaxRows] and the gradients beside them) take slices of contiguous rows and panic
// with "tensorops: length mismatch" where the lengths do not fit, as the functions of gonum do.
//
// # Numbers
//
// Sums are accumulated in float64 whatever the element type is, and a result is rounded once. -log p keeps
// its relative accuracy where p is near 1: the log-softmax of {40, 0, 0} begins with -8.5e-18, not with 0.
// A float32 result smaller in magnitude than 2·2^-126 (in float64 2·2^-1022) may be returned as 0.
//
// Rows are shared among the processor's cores. Results do not depend on how many there are, to the bit.
//
// # Corners
//
// An element of -Inf is a class that cannot occur: its probability is exactly 0.
//
//	the row has               LogSumExp   its gradient                 Softmax, LogSoftmax
//	a NaN                     NaN         NaN                          NaN in the whole row
//	a +Inf (and no NaN)       +Inf        NaN at the +Inf, 0 elsewhere NaN in the whole row
//	nothing but -Inf          -Inf        NaN                          NaN in the whole row
//
// Other rows are never touched by what one row holds.
package tensorops
