package core

// Score is the settings of scoring rules, survival models and losses for imbalanced classes.
type Score struct {
	BinaryTasks bool
	Fair        bool
	Levels      []float64
	Efron       bool
	Gammas      []float64
	Clip        float64
	Counts      []float64
}

// The options of scoring rules, survival models and losses for imbalanced classes.
var (
	OptBinaryTasks = declare(option{name: "WithBinaryTasks", flag: func(s *Settings) *bool { return &s.Score.BinaryTasks }})
	OptFair        = declare(option{name: "WithFair", flag: func(s *Settings) *bool { return &s.Score.Fair }})
	OptLevels      = declare(option{name: "WithLevels", list: func(s *Settings) *[]float64 { return &s.Score.Levels }, valid: isInsideUnit, want: insideUnit})
	OptEfron       = declare(option{name: "WithEfron", flag: func(s *Settings) *bool { return &s.Score.Efron }})
	OptGammas      = declare(option{name: "WithGammas", list: func(s *Settings) *[]float64 { return &s.Score.Gammas }, valid: isNotNegative, want: notNegative, length: 2})
	OptClip        = declare(option{name: "WithClip", number: func(s *Settings) *float64 { return &s.Score.Clip }, valid: func(v float64) bool { return v >= 0 && v < 1 }, want: "a number in [0, 1)"})
	OptCounts      = declare(option{name: "WithCounts", list: func(s *Settings) *[]float64 { return &s.Score.Counts }, valid: isPositive, want: positive})
)
