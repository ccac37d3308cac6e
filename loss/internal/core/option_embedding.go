package core

// Embedding is the settings of losses of embeddings.
type Embedding struct {
	Distance uint8
	Mining   uint8
	Swap     bool
	Soft     bool
	NonZero  bool
	OneWay   bool
	Unbiased bool
	Terms    []float64
}

// The options of losses of embeddings.
var (
	OptDistance        = declare(option{name: "WithDistance"})
	OptSwap            = declare(option{name: "WithSwap", flag: func(s *Settings) *bool { return &s.Embedding.Swap }})
	OptSoft            = declare(option{name: "WithSoft", flag: func(s *Settings) *bool { return &s.Embedding.Soft }})
	OptReference       = declare(option{name: "WithReference", operand: "reference"})
	OptReferenceLabels = declare(option{name: "WithReference", operand: "referenceLabels"})
	OptMining          = declare(option{name: "WithMining"})
	OptNonZero         = declare(option{name: "WithNonZero", flag: func(s *Settings) *bool { return &s.Embedding.NonZero }})
	OptPositives       = declare(option{name: "WithPositives", operand: "positives"})
	OptScaleNode       = declare(option{name: "WithScaleNode", operand: "scale"})
	OptOneWay          = declare(option{name: "WithOneWay", flag: func(s *Settings) *bool { return &s.Embedding.OneWay }})
	OptTerms           = declare(option{name: "WithTerms", list: func(s *Settings) *[]float64 { return &s.Embedding.Terms }, valid: isNotNegative, want: notNegative, length: 3})
	OptUnbiased        = declare(option{name: "WithUnbiased", flag: func(s *Settings) *bool { return &s.Embedding.Unbiased }})
)
