package core

// Sequence is the settings of losses of sequences.
type Sequence struct {
	Blank        int
	ZeroInfinity bool
	Strict       bool
	FastEmit     float64
}

// The options of losses of sequences.
var (
	OptBlank        = declare(option{name: "WithBlank", integer: func(s *Settings) *int { return &s.Sequence.Blank }, valid: func(v float64) bool { return v >= -1 }, want: "a class, or -1 for the last"})
	OptZeroInfinity = declare(option{name: "WithZeroInfinity", flag: func(s *Settings) *bool { return &s.Sequence.ZeroInfinity }})
	OptStrict       = declare(option{name: "WithStrict", flag: func(s *Settings) *bool { return &s.Sequence.Strict }})
	OptFastEmit     = declare(option{name: "WithFastEmit", number: func(s *Settings) *float64 { return &s.Sequence.FastEmit }, valid: isNotNegative, want: notNegative})
	OptStart        = declare(option{name: "WithStart", operand: "start"})
	OptEnd          = declare(option{name: "WithEnd", operand: "end"})
)
