package core

// Transport is the settings of losses of optimal transport.
type Transport struct {
	Cost      bool
	Threshold float64
}

// The options of losses of optimal transport.
var (
	OptTransportCost = declare(option{name: "WithTransportCost", flag: func(s *Settings) *bool { return &s.Transport.Cost }})
	OptThreshold     = declare(option{name: "WithThreshold", number: func(s *Settings) *float64 { return &s.Transport.Threshold }, valid: isPositive, want: positive})
	OptMarginalA     = declare(option{name: "WithMarginals", operand: "a"})
	OptMarginalB     = declare(option{name: "WithMarginals", operand: "b"})
)
