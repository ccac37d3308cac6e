package info

// EntropyWeights returns the [Entropy] of weights divided by their sum: of word counts, for
// instance.
//
// Errors: [ErrUnit], [ErrEmpty], [ErrProbability] for a weight that is negative, NaN or infinite,
// or so small that its share of the sum is below 2⁻¹⁰²², and [ErrSum] when all weights are 0.
func EntropyWeights[T Weight](p []T, unit Unit) (float64, error) {
	return one("EntropyWeights", p, counts, unit, entropy[T])
}

// CrossEntropyWeights returns the [CrossEntropy] of weights, each operand divided by its own sum.
// Errors as [EntropyWeights], and [ErrShape].
func CrossEntropyWeights[T Weight](p, q []T, unit Unit) (float64, error) {
	return two("CrossEntropyWeights", p, q, counts, unit, crossEntropy[T])
}

// KLWeights returns the [KL] divergence of weights, each operand divided by its own sum. Errors as
// [EntropyWeights], and [ErrShape].
func KLWeights[T Weight](p, q []T, unit Unit) (float64, error) {
	return two("KLWeights", p, q, counts, unit, kl[T])
}

// JensenShannonWeights returns the [JensenShannon] divergence of weights, each operand divided by
// its own sum. Errors as [EntropyWeights], and [ErrShape].
func JensenShannonWeights[T Weight](p, q []T, unit Unit) (float64, error) {
	return two("JensenShannonWeights", p, q, counts, unit, jensenShannon[T])
}

// MutualInformationWeights returns the [MutualInformation] of a contingency table: how often each
// pair was counted, row by row, with cols columns. Errors as [EntropyWeights], and [ErrShape] when
// cols is not positive or does not divide len(joint).
func MutualInformationWeights[T Weight](joint []T, cols int, unit Unit) (float64, error) {
	return table("MutualInformationWeights", joint, cols, counts, unit)
}

// PerplexityWeights returns the [Perplexity] of weights, each operand divided by its own sum.
// Errors as [EntropyWeights], and [ErrShape].
func PerplexityWeights[T Weight](p, q []T) (float64, error) {
	return two("PerplexityWeights", p, q, counts, Nats, perplexity[T])
}
