package core

import (
	"fmt"
	"math"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops/vec"
)

// A Domain describes the entries of an operand.
type Domain uint8

const (
	// Real: any number.
	Real Domain = iota
	// Logits: unnormalised log-probabilities, any number; -Inf is probability 0.
	Logits
	// LogProbabilities: logarithms of probabilities, -Inf allowed.
	LogProbabilities
	// Probabilities: numbers >= 0.
	Probabilities
	// UnitInterval: numbers in [0, 1], each a probability of its own.
	UnitInterval
	// Labels: integer classes.
	Labels
	// LabelsOrSoft: integer classes, or finite numbers >= 0 in the prediction's dtype and shape.
	LabelsOrSoft
	// SoftTargets: finite numbers >= 0.
	SoftTargets
	// Counts: finite numbers >= 0 that are counted or measured.
	Counts
	// Positive: finite numbers > 0.
	Positive
	// Signs: -1 or +1.
	Signs
	// Cosines: numbers in [-1, 1], with 1e-4 for the rounding of a product of unit vectors.
	Cosines
	// Variances: predicted numbers >= 0.
	Variances
	// Scales: predicted numbers > 0, such as standard deviations.
	Scales
	// ClassLists: a list of different classes along the class axis, ended by -1 unless it holds
	// them all.
	ClassLists
	// FiniteReal: finite numbers.
	FiniteReal
	// NonPositive: predicted numbers <= 0.
	NonPositive
	// Identifiers: integers that say which examples belong together.
	Identifiers
	// Lengths: integers >= 0.
	Lengths
	// Flags: 0 or 1, as integers or in the dtype of the first operand.
	Flags
	// SignFlags: -1 or 1, as integers or in the dtype of the first operand.
	SignFlags
	// SoftFlags: 0 or 1 as integers, or numbers in [0, 1] in the dtype of the first operand.
	SoftFlags
	// Relations: numbers >= 0 that say how far two examples belong together, as Bool, as integers or
	// in the dtype of the first operand.
	Relations
)

// String names the domain in words.
func (d Domain) String() string {
	switch d {
	case Real:
		return "real numbers"
	case Logits:
		return "logits"
	case LogProbabilities:
		return "log-probabilities"
	case Probabilities, Variances:
		return "numbers >= 0"
	case UnitInterval, SoftFlags:
		return "numbers in [0, 1]"
	case Labels:
		return "integer labels"
	case LabelsOrSoft:
		return "integer labels or numbers >= 0"
	case SoftTargets, Counts, Relations:
		return "finite numbers >= 0"
	case Positive:
		return "finite numbers > 0"
	case Signs:
		return "-1 or +1"
	case Scales:
		return "numbers > 0"
	case Cosines:
		return "numbers in [-1, 1]"
	case ClassLists:
		return "lists of classes, each ended by -1"
	case FiniteReal:
		return "finite numbers"
	case NonPositive:
		return "numbers <= 0"
	case Identifiers:
		return "integers"
	case Lengths:
		return "integers >= 0"
	case Flags:
		return "0 or 1"
	case SignFlags:
		return "-1 or 1"
	}
	return fmt.Sprintf("Domain(%d)", uint8(d))
}

func (d Domain) TakesLabels() bool { return d == Labels || d == LabelsOrSoft }

// integer reports whether an operand is of an integer type.
func (d Domain) integer() bool { return d == Labels || d == Identifiers || d == Lengths }

// maybeInteger reports whether an operand may be of an integer type.
func (d Domain) maybeInteger() bool { return d == LabelsOrSoft || d.numeric() }

// numeric reports whether the integers of an operand are read as numbers.
func (d Domain) numeric() bool {
	return d == Flags || d == SignFlags || d == SoftFlags || d == Relations
}

// takes reports whether an operand may be of an integer type t, or of Bool.
func (d Domain) takes(t DType) bool {
	return d.maybeInteger() && t.IsInteger() || d == Relations && t == Bool
}

// soft is the domain of a floating target.
func (d Domain) soft() Domain {
	if d == LabelsOrSoft {
		return SoftTargets
	}
	return d
}

// Checked reports whether a domain excludes any number, so that its entries are checked.
func (d Domain) Checked() bool {
	return d == Probabilities || d == UnitInterval || d >= SoftTargets && d != Identifiers
}

// Holds reports whether v lies in the domain. A NaN lies in the domains of predictions: it makes
// the row's value NaN.
func (d Domain) Holds(v float64) bool {
	switch d {
	case Probabilities, Variances:
		return !(v < 0)
	case Scales:
		return !(v <= 0)
	case UnitInterval:
		return !(v < 0 || v > 1)
	case SoftFlags:
		return v >= 0 && v <= 1
	case SoftTargets, Counts, Relations:
		return v >= 0 && Finite(v)
	case Positive:
		return v > 0 && Finite(v)
	case Signs, SignFlags:
		return v == 1 || v == -1
	case Flags:
		return v == 0 || v == 1
	case FiniteReal:
		return Finite(v)
	case NonPositive:
		return !(v > 0)
	case Lengths:
		return v >= 0
	case Cosines:
		return !(math.Abs(v) > 1+1e-4)
	}
	return true
}

// HoldsAll reports whether every entry lies in the domain.
func (d Domain) HoldsAll(x []float64) bool { return HoldsAll(d, x) }

// HoldsAll is the method for either element type.
func HoldsAll[F Float](d Domain, x []F) bool {
	least, largest := limits[F]()
	switch d {
	case SoftTargets, Counts, Relations:
		return vec.Within(x, 0, largest)
	case Positive:
		return vec.Within(x, least, largest)
	case FiniteReal:
		return vec.Within(x, -largest, largest)
	case UnitInterval: // what is within the bounds needs no look at each entry, which may be a NaN
		if vec.Within(x, 0, 1) {
			return true
		}
	case Probabilities, Variances:
		if vec.Within(x, 0, largest) {
			return true
		}
	case Scales:
		if vec.Within(x, least, largest) {
			return true
		}
	case NonPositive:
		if vec.Within(x, -largest, 0) {
			return true
		}
	case Cosines:
		if vec.Within(x, -1, 1) {
			return true
		}
	case Signs, SignFlags:
		others := uint64(0) // the bits beside the sign that are not those of 1
		for _, v := range x {
			others |= (math.Float64bits(float64(v)) ^ 0x3ff0000000000000) << 1
		}
		return others == 0
	}
	for _, v := range x {
		if !d.Holds(float64(v)) {
			return false
		}
	}
	return true
}

// limits returns the smallest number above 0 and the largest finite one.
func limits[F Float]() (least, largest F) {
	if DTypeOf[F]() == Float32 {
		tiny, huge := float32(math.SmallestNonzeroFloat32), float32(math.MaxFloat32)
		return F(tiny), F(huge)
	}
	tiny, huge := math.SmallestNonzeroFloat64, math.MaxFloat64
	return F(tiny), F(huge)
}

// Finite reports whether v is neither infinite nor NaN.
func Finite(v float64) bool { return v-v == 0 }

// Plural reports whether an operand's name is a plural.
func Plural(name string) bool {
	return strings.HasSuffix(name, "s") && name != "bias" && !strings.HasSuffix(name, "ss")
}
