package core

// Overlap is the settings of losses of overlapping sets.
type Overlap struct {
	Smooth       float64
	Semimetric   bool
	MultiLabel   bool
	NoBackground bool
	PresentOnly  bool
	Pooled       bool
}

// The options of losses of overlapping sets.
var (
	OptSmooth      = declare(option{name: "WithSmooth", number: func(s *Settings) *float64 { return &s.Overlap.Smooth }, valid: isNotNegative, want: notNegative})
	OptSemimetric  = declare(option{name: "WithSemimetric", flag: func(s *Settings) *bool { return &s.Overlap.Semimetric }})
	OptMultiLabel  = declare(option{name: "WithMultiLabel", flag: func(s *Settings) *bool { return &s.Overlap.MultiLabel }})
	OptBackground  = declare(option{name: "WithBackground"})
	OptPresentOnly = declare(option{name: "WithPresentOnly", flag: func(s *Settings) *bool { return &s.Overlap.PresentOnly }})
	OptPooled      = declare(option{name: "WithPooled", flag: func(s *Settings) *bool { return &s.Overlap.Pooled }})
)
