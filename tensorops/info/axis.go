package info

import "gorgonia.org/tensor"

// EntropyAxis returns the [Entropy] of every line of p along the axis, as a Float64 tensor of p's
// shape without that axis. p is Float32 or Float64, of any rank above 0 and any layout.
//
// Errors: those of [Entropy], naming the element by its coordinates, [ErrAxis], [ErrDType], and
// [ErrShape] for a nil tensor.
func EntropyAxis(p *tensor.Dense, axis int, unit Unit) (*tensor.Dense, error) {
	return lines("EntropyAxis", input{}, unit, axis, func(x []vec[float64]) float64 {
		return entropy(x[0], unit)
	}, operand{"p", p})
}

// CrossEntropyAxis returns the [CrossEntropy] of every line of p and q along the axis, as a Float64
// tensor of their shape without that axis. p and q have the same shape and dtype, Float32 or
// Float64; their layouts may differ.
//
// Errors: those of [CrossEntropy] and [EntropyAxis].
func CrossEntropyAxis(p, q *tensor.Dense, axis int, unit Unit) (*tensor.Dense, error) {
	return pairs("CrossEntropyAxis", input{}, unit, axis, crossEntropy[float64], p, q)
}

// KLAxis returns the [KL] divergence of every line of p and q along the axis. Operands, result and
// errors as [CrossEntropyAxis].
func KLAxis(p, q *tensor.Dense, axis int, unit Unit) (*tensor.Dense, error) {
	return pairs("KLAxis", input{}, unit, axis, kl[float64], p, q)
}

// JensenShannonAxis returns the [JensenShannon] divergence of every line of p and q along the axis.
// Operands, result and errors as [CrossEntropyAxis].
func JensenShannonAxis(p, q *tensor.Dense, axis int, unit Unit) (*tensor.Dense, error) {
	return pairs("JensenShannonAxis", input{}, unit, axis, jensenShannon[float64], p, q)
}

// PerplexityAxis returns the [Perplexity] of every line of p and q along the axis. Operands, result
// and errors as [CrossEntropyAxis].
func PerplexityAxis(p, q *tensor.Dense, axis int) (*tensor.Dense, error) {
	return pairs("PerplexityAxis", input{}, Nats, axis, perplexity[float64], p, q)
}

// MutualInformationAxes returns the [MutualInformation] of every table that two axes of joint make
// up, as a Float64 tensor of joint's shape without the two axes: a scalar for a matrix. joint is
// Float32 or Float64, of any rank above 1 and any layout. Either axis may be the rows.
//
// Errors: those of [MutualInformation] and [EntropyAxis]; the same axis twice is [ErrAxis].
func MutualInformationAxes(joint *tensor.Dense, rows, cols int, unit Unit) (*tensor.Dense, error) {
	return tables("MutualInformationAxes", input{}, unit, rows, cols, joint)
}

// EntropyWeightsAxis returns the [EntropyWeights] of every line of p along the axis, as
// [EntropyAxis] does for distributions. p may also be Int, Int64, Int32 or Uint8.
//
// Errors: those of [EntropyWeights] and [EntropyAxis].
func EntropyWeightsAxis(p *tensor.Dense, axis int, unit Unit) (*tensor.Dense, error) {
	return lines("EntropyWeightsAxis", counts, unit, axis, func(x []vec[float64]) float64 {
		return entropy(x[0], unit)
	}, operand{"p", p})
}

// CrossEntropyWeightsAxis returns the [CrossEntropyWeights] of every line of p and q along the
// axis, as [CrossEntropyAxis] does for distributions. p and q may also be Int, Int64, Int32 or
// Uint8.
//
// Errors: those of [CrossEntropyWeights] and [EntropyAxis].
func CrossEntropyWeightsAxis(p, q *tensor.Dense, axis int, unit Unit) (*tensor.Dense, error) {
	return pairs("CrossEntropyWeightsAxis", counts, unit, axis, crossEntropy[float64], p, q)
}

// KLWeightsAxis returns the [KLWeights] divergence of every line of p and q along the axis.
// Operands, result and errors as [CrossEntropyWeightsAxis].
func KLWeightsAxis(p, q *tensor.Dense, axis int, unit Unit) (*tensor.Dense, error) {
	return pairs("KLWeightsAxis", counts, unit, axis, kl[float64], p, q)
}

// JensenShannonWeightsAxis returns the [JensenShannonWeights] divergence of every line of p and q
// along the axis. Operands, result and errors as [CrossEntropyWeightsAxis].
func JensenShannonWeightsAxis(p, q *tensor.Dense, axis int, unit Unit) (*tensor.Dense, error) {
	return pairs("JensenShannonWeightsAxis", counts, unit, axis, jensenShannon[float64], p, q)
}

// PerplexityWeightsAxis returns the [PerplexityWeights] of every line of p and q along the axis.
// Operands, result and errors as [CrossEntropyWeightsAxis].
func PerplexityWeightsAxis(p, q *tensor.Dense, axis int) (*tensor.Dense, error) {
	return pairs("PerplexityWeightsAxis", counts, Nats, axis, perplexity[float64], p, q)
}

// MutualInformationWeightsAxes returns the [MutualInformationWeights] of every contingency table
// that two axes of joint make up, as [MutualInformationAxes] does for distributions. joint may also
// be Int, Int64, Int32 or Uint8.
//
// Errors: those of [MutualInformationWeights] and [MutualInformationAxes].
func MutualInformationWeightsAxes(joint *tensor.Dense, rows, cols int, unit Unit) (*tensor.Dense, error) {
	return tables("MutualInformationWeightsAxes", counts, unit, rows, cols, joint)
}
