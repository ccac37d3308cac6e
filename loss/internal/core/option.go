package core

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// An OptionSet is a set of options.
type OptionSet uint64

// The options, in the order of the table below.
const (
	OptReduction OptionSet = 1 << iota
	OptAxis
	OptIgnoreIndex
	OptWeights
	OptMask
	OptClassWeights
	OptPosWeight
	OptNormalizer
	OptNormalizerNode
	OptLabelSmoothing
	OptTemperature
	OptSoftcap
	OptZLoss
	OptDelta
	OptBeta
	OptGamma
	OptAlpha
	OptEpsilon
	OptQ
	OptMargin
	OptScale
	OptPower
	OptQuantile
	OptTau
	OptFull
	OptLogTarget
	OptTargetLogits
	OptBias
	OptBufferReuse
	OptUncheckedValues
)

// The sets that whole families take.
const (
	ReduceOptions = OptReduction | OptWeights | OptMask | OptNormalizer | OptNormalizerNode
	RowOptions    = ReduceOptions | OptAxis
	ClassOptions  = RowOptions | OptIgnoreIndex | OptClassWeights
	commonOptions = OptBufferReuse | OptUncheckedValues // taken by every loss and node
)

// An option is one row of the table: its name and, where it sets a number, a list or a switch, the
// field and the range.
type option struct {
	name   string
	number func(s *Settings) *float64
	list   func(s *Settings) *[]float64
	flag   func(s *Settings) *bool
	valid  func(v float64) bool
	want   string // the range in words
}

const (
	positive    = "a finite number > 0"
	notNegative = "a finite number >= 0"
	anyFinite   = "a finite number"
)

func isPositive(v float64) bool    { return v > 0 && Finite(v) }
func isNotNegative(v float64) bool { return v >= 0 && Finite(v) }
func isUnit(v float64) bool        { return v >= 0 && v <= 1 }
func isInsideUnit(v float64) bool  { return v > 0 && v < 1 }

var optionTable = [...]option{
	{name: "WithReduction"},
	{name: "WithAxis"},
	{name: "WithIgnoreIndex"},
	{name: "WithWeights"},
	{name: "WithMask"},
	{name: "WithClassWeights", list: func(s *Settings) *[]float64 { return &s.ClassWeights }},
	{name: "WithPosWeight", list: func(s *Settings) *[]float64 { return &s.PosWeight }},
	{name: "WithNormalizer", number: func(s *Settings) *float64 { return &s.Normalizer }, valid: isPositive, want: positive},
	{name: "WithNormalizerNode"},
	{name: "WithLabelSmoothing", number: func(s *Settings) *float64 { return &s.Smoothing }, valid: isUnit, want: "a number in [0, 1]"},
	{name: "WithTemperature", number: func(s *Settings) *float64 { return &s.Temperature }, valid: isPositive, want: positive},
	{name: "WithSoftcap", number: func(s *Settings) *float64 { return &s.Softcap }, valid: isPositive, want: positive},
	{name: "WithZLoss", number: func(s *Settings) *float64 { return &s.ZLoss }, valid: isNotNegative, want: notNegative},
	{name: "WithDelta", number: func(s *Settings) *float64 { return &s.Delta }, valid: isPositive, want: positive},
	{name: "WithBeta", number: func(s *Settings) *float64 { return &s.Beta }, valid: isNotNegative, want: notNegative},
	{name: "WithGamma", number: func(s *Settings) *float64 { return &s.Gamma }, valid: isNotNegative, want: notNegative},
	{name: "WithAlpha", number: func(s *Settings) *float64 { return &s.Alpha }, valid: Finite, want: anyFinite},
	{name: "WithEpsilon", number: func(s *Settings) *float64 { return &s.Epsilon }, valid: Finite, want: anyFinite},
	{name: "WithQ", number: func(s *Settings) *float64 { return &s.Q }, valid: func(v float64) bool { return v > 0 && v <= 1 }, want: "a number in (0, 1]"},
	{name: "WithMargin", number: func(s *Settings) *float64 { return &s.Margin }, valid: Finite, want: anyFinite},
	{name: "WithScale", number: func(s *Settings) *float64 { return &s.Scale }, valid: isPositive, want: positive},
	{name: "WithPower", number: func(s *Settings) *float64 { return &s.Power }, valid: Finite, want: anyFinite},
	{name: "WithQuantile", number: func(s *Settings) *float64 { return &s.Quantile }, valid: isInsideUnit, want: "a number in (0, 1)"},
	{name: "WithTau", number: func(s *Settings) *float64 { return &s.Tau }, valid: isInsideUnit, want: "a number in (0, 1)"},
	{name: "WithFull", flag: func(s *Settings) *bool { return &s.Full }},
	{name: "WithLogTarget", flag: func(s *Settings) *bool { return &s.LogTarget }},
	{name: "WithTargetLogits", flag: func(s *Settings) *bool { return &s.TargetLogits }},
	{name: "WithBias"},
	{name: "WithBufferReuse", flag: func(s *Settings) *bool { return &s.Reuse }},
	{name: "WithUncheckedValues", flag: func(s *Settings) *bool { return &s.Unchecked }},
}

// row returns the table's row of a single option.
func (o OptionSet) row() *option {
	for i := range optionTable {
		if o == 1<<i {
			return &optionTable[i]
		}
	}
	return &option{name: fmt.Sprintf("OptionSet(%d)", o)}
}

// Names lists the options of a set in the order of their declaration.
func (o OptionSet) Names() []string {
	var out []string
	for i := range optionTable {
		if o&(1<<i) != 0 {
			out = append(out, optionTable[i].name)
		}
	}
	return out
}

// Number sets a number that must lie in the option's range.
func (o OptionSet) Number(s *Settings, v float64) error {
	r := o.row()
	if math.IsNaN(v) || !r.valid(v) {
		return fmt.Errorf("%s is %v, want %s", r.name, v, r.want)
	}
	s.Given |= o
	*r.number(s) = v
	return nil
}

// List sets a list of numbers, each finite and not negative; the caller passes a copy.
func (o OptionSet) List(s *Settings, v []float64) error {
	r := o.row()
	if len(v) == 0 {
		return fmt.Errorf("%s is empty", r.name)
	}
	for i, w := range v {
		if !isNotNegative(w) {
			return fmt.Errorf("%s has %v at index %d, want a finite number >= 0", r.name, w, i)
		}
	}
	s.Given |= o
	*r.list(s) = v
	return nil
}

// Flag sets a switch.
func (o OptionSet) Flag(s *Settings) error {
	s.Given |= o
	*o.row().flag(s) = true
	return nil
}

// Handle sets one of the operands that come with an option: the weights, the mask, the normalizer
// or a bias. Its type is the face's.
func (o OptionSet) Handle(s *Settings, handle any, missing bool) error {
	if missing {
		return fmt.Errorf("%s is nil", o.row().name)
	}
	s.Given |= o
	switch o {
	case OptWeights:
		s.Weights = handle
	case OptMask:
		s.Mask = handle
	case OptNormalizerNode:
		s.NormalizerNode = handle
	case OptBias:
		s.Bias = handle
	}
	return nil
}

// Operand returns the handle of an operand of the loss that an option gives, or nil.
func (s *Settings) Operand(o OptionSet) any {
	if o == OptBias {
		return s.Bias
	}
	return nil
}

// Settings is the whole configuration of a loss. All of it but the handles is part of the identity
// of an operation.
type Settings struct {
	Reduction    Reduction
	Axis         int
	Ignore       []int
	ClassWeights []float64
	PosWeight    []float64
	Normalizer   float64
	Smoothing    float64
	Temperature  float64
	Softcap      float64
	ZLoss        float64
	Delta        float64
	Beta         float64
	Gamma        float64
	Alpha        float64
	Epsilon      float64
	Q            float64
	Margin       float64
	Scale        float64
	Power        float64
	Quantile     float64
	Tau          float64
	Full         bool
	LogTarget    bool
	TargetLogits bool
	Reuse        bool
	Unchecked    bool

	Given                               OptionSet // the options that were given
	Weights, Mask, NormalizerNode, Bias any       // handles of operands, nil without
}

// Has reports whether one of the options was given.
func (s *Settings) Has(o OptionSet) bool { return s.Given&o != 0 }

// text prints every setting that is data.
func (s Settings) text() string {
	s.Weights, s.Mask, s.NormalizerNode, s.Bias = nil, nil, nil, nil
	return fmt.Sprintf("%+v", s)
}

// A Reduction combines the values of a loss.
type Reduction uint8

const (
	// Mean divides the weighted sum by the sum of the active weights. It is the default.
	Mean Reduction = iota
	// Sum adds the weighted values.
	Sum
	// None keeps one value per example, or per element for elementwise losses.
	None
)

// String returns "Mean", "Sum" or "None".
func (r Reduction) String() string {
	switch r {
	case Mean:
		return "Mean"
	case Sum:
		return "Sum"
	case None:
		return "None"
	}
	return fmt.Sprintf("Reduction(%d)", uint8(r))
}

// Configure applies opts to the defaults of a loss and refuses what it does not take.
func Configure[O ~func(*Settings) error](d *Definition, opts []O) (Settings, error) {
	s := d.Defaults
	if s.Axis == 0 {
		s.Axis = -1
	}
	s.Ignore = slices.Clone(s.Ignore)
	for i, opt := range opts {
		if opt == nil {
			return s, Faultf(ErrOption, d.Name, "option %d is nil", i)
		}
		if err := opt(&s); err != nil {
			return s, Faultf(ErrOption, d.Name, "%v", err)
		}
	}
	if foreign := s.Given &^ (d.Takes | commonOptions); foreign != 0 {
		have := "no options"
		if d.Takes != 0 {
			have = strings.Join(d.Takes.Names(), ", ")
		}
		return s, Faultf(ErrOption, d.Name, "%s is not an option of this loss, which takes %s",
			strings.Join(foreign.Names(), ", "), have)
	}
	if s.Has(OptNormalizer|OptNormalizerNode) && s.Reduction != Mean {
		return s, Faultf(ErrOption, d.Name, "a normalizer replaces the denominator of Mean, reduction is %v", s.Reduction)
	}
	if s.Has(OptNormalizer) && s.Has(OptNormalizerNode) {
		return s, Faultf(ErrOption, d.Name, "WithNormalizer and WithNormalizerNode exclude each other")
	}
	return s, nil
}
