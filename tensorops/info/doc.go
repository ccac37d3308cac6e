// Package info computes the measures of information theory on finite distributions:
// self-information, entropy, cross-entropy, Kullback-Leibler and Jensen-Shannon divergence, mutual
// information and perplexity.
//
// It needs no graph. Package loss has the same measures as graph nodes with gradients, to train
// with; the functions here are for looking at distributions, for metrics and for checking a loss by
// other means.
//
// # Conventions
//
// p is the truth and q the model. Every measure is given in a [Unit]: [Nats], [Bits] or [Hartleys].
// Below, log is the logarithm of that unit.
//
//	function              value                                    range
//	SelfInformation(p)    -log p                                   [0, +Inf]
//	Entropy(p)            H(p) = -Σ p log p                        [0, log n]
//	CrossEntropy(p, q)    H(p, q) = -Σ p log q                     [0, +Inf]
//	KL(p, q)              KL(p‖q) = Σ p log(p/q)                   [0, +Inf]
//	JensenShannon(p, q)   ½KL(p‖m) + ½KL(q‖m), m = ½(p + q)        [0, log 2]
//	MutualInformation(p)  Σ p_ij log(p_ij / (r_i c_j)), r and c    [0, log min(rows, cols)]
//	                      the sums of the rows and of the columns
//	Perplexity(p, q)      e^H(p, q), H in nats                     [1, +Inf]
//
// and H(p, q) = H(p) + KL(p‖q).
//
// 0·log 0 is 0, exactly: an outcome that does not occur adds nothing. An outcome that does occur
// and that q rules out makes CrossEntropy, KL and Perplexity +Inf.
//
// # Input
//
// The elements of a distribution are finite numbers of at least 0 that sum to 1. What is not a
// distribution is an error; nothing is clipped, and nothing is normalised unasked. The sum of n
// elements may be off by
//
//	(256 + 8√n)·u,  u = 2⁻⁵³ for float64 and 2⁻²⁴ for float32
//
// which is what rounding leaves behind. The sum that a distribution was divided by was rounded n
// times, and n roundings add up to about √n·u, with 8√n·u a bound that chance exceeds too rarely to
// be seen (N. J. Higham and T. Mary, A New Approach to Probabilistic Rounding Error Analysis,
// 2019). exp(l) of a log-probability l that was rounded once has the relative error |l|·u, which
// 256u covers down to probabilities of e⁻²⁵⁶. For n = 10 the tolerance is 3.1e-14 and 1.7e-05; for
// n = 50000 it is 2.3e-13 and 1.2e-04.
//
// Within that tolerance the formulas are taken at the numbers as they are given, except that no
// result is below 0 and JensenShannon is not above log 2, whatever the rounding of the input may
// say. MutualInformation alone divides its table by the sum, because of what its marginals are made
// of.
//
// # Unnormalised input
//
// Each function but SelfInformation has a form whose name ends in Weights. It takes counts or other
// weights of at least 0, whole numbers too, and stands for the measure of the weights divided by
// their sum. Sums that overflow are no obstacle, but a positive weight whose share of the sum is
// below 2⁻¹⁰²² is an error, because float64 cannot hold it without losing digits.
//
// # Along an axis
//
// The forms whose name ends in Axis treat every line of a tensor along one axis as a distribution.
// A negative axis counts from the end. The tensors may have any rank above 0 and any layout:
// transposed, sliced, column-major. The result is a new Float64 tensor of the input's shape without
// that axis, a scalar for a vector. Lines are shared out over the cores; the result does not depend
// on how many there are. MutualInformation has forms that end in Axes: two axes make up the table.
//
// # Numbers
//
// Sums are compensated, so that their rounding error does not grow with the length. SelfInformation
// and the terms of the entropies keep their relative accuracy for probabilities near 1, and for
// those below 2⁻¹⁰²², where math.Log of Go 1.26 on amd64 does not. KL, JensenShannon and
// MutualInformation are summed in a form without cancellation: distributions that differ by δ have
// a divergence near δ², and it comes out with its leading digits right. In KL alone one part of the
// result is Σp - Σq, which is 0 on paper: where it is not, it limits what a divergence of that size
// can mean. KLWeights leaves it out.
//
// Entropies in bits are exact where all probabilities are powers of two: a fair coin has 1.
//
// # Errors
//
// Beside an error the value is NaN (a nil tensor in the forms along an axis). Each error wraps one
// of the package's Err variables and names the function, the operand and the element, or by how
// much the sum is off. Empty input, operands of different lengths and an unknown unit are errors.
// No function panics.
package info
