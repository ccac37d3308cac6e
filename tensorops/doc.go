// Package tensorops computes log-sum-exp, softmax and their relatives over the rows of a batch: the
// operations that classification losses spend their time in.
//
// # Two levels
//
// The tensor forms [LogSumExp], [Softmax] and [LogSoftmax] take a [gorgonia.org/tensor.Dense] of
// float32 or float64 of any rank, any axis and any layout, and return errors. The row forms
// ([LogSumExpRows], [SoftmaxRows], [LogSoftmaxRows] and the gradients beside them) take slices of
// contiguous rows and panic with "tensorops: length mismatch" where the lengths do not fit, as the
// functions of gonum do.
//
// [CrossEntropyRows], [SoftCrossEntropyRows], [KLRows] and [EntropyRows] give values of losses,
// their Grad forms the gradients, without one-hot targets or probabilities in memory; each has a
// form for a single row, to be called from within other loops. [PointSum] computes the elementwise
// losses over a range, with weights, values and derivatives as they are wanted, in one pass;
// [BinaryCrossEntropySum], [SquaredErrorSum] and the other sums and their Grad forms share such
// ranges among the cores. None of them allocates.
//
// [LabelSoftmaxRows] and [TargetSoftmaxRows] are the cross-entropy, the divergence and functions of
// -log p with every option (temperature, softcap, smoothing, class weights, z-loss), of ranges of
// rows of any axis, on the caller's core.
//
// # Implementations
//
// On amd64 the inner loops are assembly for AVX2 with FMA or for AVX-512, whichever the processor
// has; their results are the same to the bit. Everywhere else, and under the build tag purego, they
// are Go. What an implementation has to provide is written down in kernel.go.
//
// Rows are shared among up to GOMAXPROCS cores by [ParallelFor], small work stays on the caller's.
// Results do not depend on how many cores there are, to the bit. Results of 16 MiB or more are
// written past the caches.
//
// # Numbers
//
// Sums are kept in float64 whatever the element type is; those of float32 exponentials are formed
// in float32 over eight elements and then added in float64. Where an estimate of what that does to
// the result is too large, the elements around the largest are summed again in float64, and all of
// the row where that is not enough; rows of up to 64 elements are from the start. Exponentials that
// are themselves a result are good to one unit in the last place. Errors of float32 results, in
// units of the last place (half a unit is the rounding), for 1 to 10^7 elements:
//
//	log-sum-exp 0.6    softmax 4    log-softmax 2 or 1e-7    cross-entropy, KL, entropy 1
//
// Rows of up to 128 classes that go by [LabelSoftmaxRows] or [TargetSoftmaxRows] are computed in
// float64 throughout, and so are longer ones with options or along another axis: their float32
// gradients are within 0.5001 units, but for differences of terms that cancel. Values are good to a
// relative 1e-12, under a softcap to 1e-11 of its logits. Of more than 512 classes against labels
// under a softcap both are within 1 unit, for logits up to 100.
//
// A KL divergence that is smaller than that is within 1e-14 of its cross-entropy.
//
// The estimate takes the errors of different elements for independent. In long rows of a few values
// many times over they are not: there a log-sum-exp may be off by 2 units, and a cross-entropy, a
// divergence or an entropy by 6. Rows of one value are summed in float64.
//
// Of the elementwise losses of float32 numbers, [GemanMcClure], [Welsch], [Tukey], [Barron],
// [Wing], [MSLE], [Tweedie], [NegativeBinomial], [BinaryCrossEntropyFromProb], [BernoulliKL] and
// [SigmoidFocal] with an exponent other than 2 are computed in float64 and rounded once, but for
// parameters that make them another loss. The others are computed in float32: their values are
// within 6 units in the last place of the larger of the numbers that they are the difference of,
// and their derivatives within 4; [SigmoidFocal] within 10, and 0 where its base u is below 2^-44.
// A weight, the weight of the positive class and label smoothing add one unit each. Terms are added
// in float32 four at a time, then in float64.
//
// [TermsOfRows] and [TermsOfColumns] compute in float64 and round derivatives once, but for
// [RootTerms] of float32 numbers, whose terms are within 8 units and whose derivatives within 2.
//
// float64 results are within a relative 1e-12 or an absolute 1e-14, softmax within 4 units (in Go
// code, which subtracts the maximum first, up to a unit more for each unit of the difference). -log
// p keeps its relative accuracy where p is near 1: the log-softmax of {40, 0, 0} begins with
// -8.5e-18, not with 0. A result smaller in magnitude than 2·2^-126 (float64: 2·2^-1022) may be
// returned as 0; no denormal numbers slow the loops down.
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
