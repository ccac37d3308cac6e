package core

// Preference is the settings of losses of preferences and policies.
type Preference struct {
	Robust        bool
	SequenceRatio bool
	EpsilonHigh   float64
	Delta         float64
	KLEstimator   uint8
	Aggregation   uint8
	FixedLength   int
	TokenMean     bool
}

// The options of losses of preferences and policies.
var (
	OptRobust        = declare(option{name: "WithRobust", flag: func(s *Settings) *bool { return &s.Preference.Robust }})
	OptMarginNode    = declare(option{name: "WithMarginNode", operand: "margin"})
	OptKL            = declare(option{name: "WithKL", operand: "kl"})
	OptSequenceRatio = declare(option{name: "WithSequenceRatio", flag: func(s *Settings) *bool { return &s.Preference.SequenceRatio }})
	OptEpsilonHigh   = declare(option{name: "WithEpsilonHigh", number: func(s *Settings) *float64 { return &s.Preference.EpsilonHigh }, valid: isNotNegative, want: notNegative})
	OptKLEstimator   = declare(option{name: "WithKLEstimator"})
	OptAggregation   = declare(option{name: "WithAggregation"})
	OptFixedLength   = declare(option{name: "WithFixedLength", integer: func(s *Settings) *int { return &s.Preference.FixedLength }, valid: isPositive, want: "a number >= 1"})
	OptMeanTokens    = declare(option{name: "WithMean", flag: func(s *Settings) *bool { return &s.Preference.TokenMean }})
)
