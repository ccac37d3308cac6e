package loss

import "github.com/surprisal-go/surprisal/loss/internal/core"

// A Domain describes the entries of an operand. Its String names the numbers that it holds.
type Domain = core.Domain

const (
	// Real: any number.
	Real = core.Real
	// Logits: unnormalised log-probabilities, any number; -Inf is probability 0.
	Logits = core.Logits
	// LogProbabilities: logarithms of probabilities, -Inf allowed.
	LogProbabilities = core.LogProbabilities
	// Probabilities: numbers >= 0.
	Probabilities = core.Probabilities
	// UnitInterval: numbers in [0, 1], each a probability of its own.
	UnitInterval = core.UnitInterval
	// Labels: integer classes.
	Labels = core.Labels
	// LabelsOrSoft: integer classes, or finite numbers >= 0 in the prediction's dtype and shape.
	LabelsOrSoft = core.LabelsOrSoft
	// SoftTargets: finite numbers >= 0.
	SoftTargets = core.SoftTargets
	// Counts: finite numbers >= 0 that are counted or measured.
	Counts = core.Counts
	// Positive: finite numbers > 0.
	Positive = core.Positive
	// Signs: -1 or +1.
	Signs = core.Signs
	// Cosines: numbers in [-1, 1], with 1e-4 for the rounding of a product of unit vectors.
	Cosines = core.Cosines
	// Variances: predicted numbers >= 0.
	Variances = core.Variances
	// Scales: predicted numbers > 0, such as standard deviations.
	Scales = core.Scales
	// ClassLists: a list of different classes along the class axis, ended by -1 unless it holds
	// them all.
	ClassLists = core.ClassLists
	// FiniteReal: finite numbers.
	FiniteReal = core.FiniteReal
	// NonPositive: predicted numbers <= 0.
	NonPositive = core.NonPositive
	// Identifiers: integers that say which examples belong together.
	Identifiers = core.Identifiers
	// Lengths: integers >= 0.
	Lengths = core.Lengths
	// Flags: 0 or 1, as integers or in the dtype of the first operand.
	Flags = core.Flags
	// SignFlags: -1 or 1, as integers or in the dtype of the first operand.
	SignFlags = core.SignFlags
	// SoftFlags: 0 or 1 as integers, or numbers in [0, 1] in the dtype of the first operand.
	SoftFlags = core.SoftFlags
	// Relations: numbers >= 0 that say how far two examples belong together, as Bool, as integers or
	// in the dtype of the first operand.
	Relations = core.Relations
)
