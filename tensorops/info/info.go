package info

import "math"

// SelfInformation returns -log p in the unit: how surprising an event of probability p is.
//
//	i(p) = -log p        di/dp = -1/p (in nats)
//
// A certain event (p = 1) has +0, an impossible one (p = 0) +Inf. The relative error is about one
// unit in the last place for every p, and in bits a power of two gives a whole number exactly.
//
// A p outside [0, 1] or NaN is [ErrProbability], an unknown unit [ErrUnit].
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func SelfInformation(p float64, unit Unit) (float64, error) {
	const name = "SelfInformation"
	if err := checkUnit(name, unit); err != nil {
		return math.NaN(), err
	}
	if !(p >= 0 && p <= 1) {
		return math.NaN(), refuse(ErrProbability, "info.%s: p is %v, want a probability in [0, 1]", name, p)
	}
	return 0 - unit.log(p), nil
}

// Entropy returns the entropy of the distribution p in the unit: the mean self-information of its
// outcomes.
//
//	H(p) = -Σ p log p,  0·log 0 = 0
//
// It is 0 for a certain outcome and largest, log n, for n outcomes of equal probability.
//
// Errors: [ErrUnit], [ErrEmpty], [ErrProbability], [ErrSum]. Unnormalised input: [EntropyWeights].
// Along an axis: [EntropyAxis].
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func Entropy[T Float](p []T, unit Unit) (float64, error) {
	return one("Entropy", p, distribution[T](), unit, entropy[T])
}

// CrossEntropy returns the cross-entropy of the model q under the truth p in the unit: what an
// outcome of p costs on average in a code made for q.
//
//	H(p, q) = -Σ p log q = H(p) + KL(p‖q),  0·log 0 = 0
//
// It is +Inf when an outcome with p > 0 has q = 0. p and q have the same length.
//
// Errors: [ErrUnit], [ErrEmpty], [ErrShape], [ErrProbability], [ErrSum]. Unnormalised input:
// [CrossEntropyWeights]. Along an axis: [CrossEntropyAxis].
//
// Reference: T. M. Cover and J. A. Thomas, Elements of Information Theory, 2nd edition 2006,
// section 5.4.
func CrossEntropy[T Float](p, q []T, unit Unit) (float64, error) {
	return two("CrossEntropy", p, q, distribution[T](), unit, crossEntropy[T])
}

// KL returns the Kullback-Leibler divergence of the model q from the truth p in the unit, also
// called relative entropy: what using q in place of p costs on average.
//
//	KL(p‖q) = Σ p log(p/q) = H(p, q) - H(p),  0·log 0 = 0
//
// It is not symmetric. It is 0, exactly, for q = p, +Inf when an outcome with p > 0 has q = 0, and
// never negative. p and q have the same length.
//
// Errors: [ErrUnit], [ErrEmpty], [ErrShape], [ErrProbability], [ErrSum]. Unnormalised input:
// [KLWeights]. Along an axis: [KLAxis].
//
// Reference: S. Kullback and R. A. Leibler, On Information and Sufficiency, 1951.
func KL[T Float](p, q []T, unit Unit) (float64, error) {
	return two("KL", p, q, distribution[T](), unit, kl[T])
}

// JensenShannon returns the Jensen-Shannon divergence of p and q in the unit. It is the divergence,
// not its square root (the distance).
//
//	JS(p, q) = ½KL(p‖m) + ½KL(q‖m),  m = ½(p + q)
//
// It is the same both ways to the bit, finite, at most log 2 (1 bit, reached where no outcome has
// both p > 0 and q > 0), never negative, and 0, exactly, for q = p. p and q have the same length.
//
// Errors: [ErrUnit], [ErrEmpty], [ErrShape], [ErrProbability], [ErrSum]. Unnormalised input:
// [JensenShannonWeights]. Along an axis: [JensenShannonAxis].
//
// Reference: J. Lin, Divergence Measures Based on the Shannon Entropy, 1991.
func JensenShannon[T Float](p, q []T, unit Unit) (float64, error) {
	return two("JensenShannon", p, q, distribution[T](), unit, jensenShannon[T])
}

// MutualInformation returns the mutual information of two variables in the unit: what one tells
// about the other. joint is their table of joint probabilities, row by row, with cols columns.
//
//	I = Σ p_ij log(p_ij / (r_i c_j)) = H(r) + H(c) - H(p),  r_i = Σ_j p_ij,  c_j = Σ_i p_ij
//
// It is the KL divergence of the joint distribution from the product of its marginals: 0 for
// independent variables, never negative. A sum that is off 1 within the tolerance is divided out.
// It allocates one row.
//
// Errors: [ErrUnit], [ErrEmpty], [ErrProbability], [ErrSum], and [ErrShape] when cols is not
// positive or does not divide len(joint). Unnormalised input: [MutualInformationWeights]. In a
// tensor: [MutualInformationAxes].
//
// Reference: C. E. Shannon, A Mathematical Theory of Communication, 1948.
func MutualInformation[T Float](joint []T, cols int, unit Unit) (float64, error) {
	return table("MutualInformation", joint, cols, distribution[T](), unit)
}

// Perplexity returns the perplexity of the model q under the truth p: the exponential of the
// cross-entropy in nats.
//
//	PP(p, q) = e^H(p, q),  H in nats
//
// It is the number of equally likely outcomes among which a guess would be as hard. Perplexity(p,
// p) is that of a distribution by itself: n for n outcomes of equal probability. It is +Inf when an
// outcome with p > 0 has q = 0. p and q have the same length.
//
// Errors: [ErrEmpty], [ErrShape], [ErrProbability], [ErrSum]. Unnormalised input:
// [PerplexityWeights]. Along an axis: [PerplexityAxis].
//
// Reference: F. Jelinek, R. L. Mercer, L. R. Bahl and J. K. Baker, Perplexity: a Measure of the
// Difficulty of Speech Recognition Tasks, 1977.
func Perplexity[T Float](p, q []T) (float64, error) {
	return two("Perplexity", p, q, distribution[T](), Nats, perplexity[T])
}

// one checks the operand of a measure of one distribution and evaluates it.
func one[T Weight](name string, p []T, in input, unit Unit, f func(vec[T], Unit) float64) (float64, error) {
	if err := checkUnit(name, unit); err != nil {
		return math.NaN(), err
	}
	v, bad := read(p, in)
	if bad != nil {
		return math.NaN(), bad.in(name, bad.at("p"))
	}
	return f(v, unit), nil
}

// two checks the operands of a measure of two distributions and evaluates it.
func two[T Weight](name string, p, q []T, in input, unit Unit, f func(p, q vec[T], u Unit) float64) (float64, error) {
	if err := checkUnit(name, unit); err != nil {
		return math.NaN(), err
	}
	v, bad := read(p, in)
	if bad != nil {
		return math.NaN(), bad.in(name, bad.at("p"))
	}
	if len(q) != len(p) {
		return math.NaN(), refuse(ErrShape, "info.%s: q has %d elements, want %d to match p", name, len(q), len(p))
	}
	w, bad := read(q, in)
	if bad != nil {
		return math.NaN(), bad.in(name, bad.at("q"))
	}
	return f(v, w, unit), nil
}

// table checks a joint table and evaluates its mutual information.
func table[T Weight](name string, joint []T, cols int, in input, unit Unit) (float64, error) {
	if err := checkUnit(name, unit); err != nil {
		return math.NaN(), err
	}
	if n := len(joint); n > 0 && (cols < 1 || n%cols != 0) {
		return math.NaN(), refuse(ErrShape, "info.%s: cols is %d, want a positive divisor of the %d elements of joint",
			name, cols, n)
	}
	v, bad := read(joint, in)
	if bad != nil {
		return math.NaN(), bad.in(name, bad.at("joint"))
	}
	return mutualInformation(v, cols, unit), nil
}
