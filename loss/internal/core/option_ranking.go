package core

// Ranking is the settings of losses of lists.
type Ranking struct {
	Sigma       float64
	LinearGain  bool
	PairSum     bool
	PairWeights uint8
	EmptyLists  uint8
}

// The options of losses of lists.
var (
	OptTieKey      = declare(option{name: "WithTieKey", operand: "tieKey"})
	OptLinearGain  = declare(option{name: "WithLinearGain", flag: func(s *Settings) *bool { return &s.Ranking.LinearGain }})
	OptSigma       = declare(option{name: "WithSigma", number: func(s *Settings) *float64 { return &s.Ranking.Sigma }, valid: isPositive, want: positive})
	OptPairSum     = declare(option{name: "WithPairSum", flag: func(s *Settings) *bool { return &s.Ranking.PairSum }})
	OptPairWeights = declare(option{name: "WithPairWeights"})
	OptEmptyLists  = declare(option{name: "WithEmptyLists"})
)
