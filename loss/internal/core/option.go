package core

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// An OptionSet is a set of options.
type OptionSet [2]uint64

// An option is one row of the table: its name and, where it sets a number, a list or a switch, the
// field and the range.
type option struct {
	name    string
	number  func(s *Settings) *float64
	integer func(s *Settings) *int
	list    func(s *Settings) *[]float64
	flag    func(s *Settings) *bool
	valid   func(v float64) bool
	want    string // the range in words
	length  int    // of a list; 0: any but 0
	operand string // the name of the operand that it gives
}

// optionTable has the options in the order of their declaration.
var optionTable []option

// declare adds a row to the table.
func declare(o option) (set OptionSet) {
	i := len(optionTable)
	optionTable = append(optionTable, o)
	set[i/64] = 1 << (i % 64)
	return set
}

const (
	positive    = "a finite number > 0"
	notNegative = "a finite number >= 0"
	anyFinite   = "a finite number"
	unit        = "a number in [0, 1]"
	insideUnit  = "a number in (0, 1)"
)

func isPositive(v float64) bool    { return v > 0 && Finite(v) }
func isNotNegative(v float64) bool { return v >= 0 && Finite(v) }
func isUnit(v float64) bool        { return v >= 0 && v <= 1 }
func isInsideUnit(v float64) bool  { return v > 0 && v < 1 }

// The options of the mechanism and those that several families share. Options of one family are
// declared in the files option_*.go.
var (
	OptReduction       = declare(option{name: "WithReduction"})
	OptAxis            = declare(option{name: "WithAxis"})
	OptIgnoreIndex     = declare(option{name: "WithIgnoreIndex"})
	OptWeights         = declare(option{name: "WithWeights", operand: "weights"})
	OptMask            = declare(option{name: "WithMask", operand: "mask"})
	OptClassWeights    = declare(option{name: "WithClassWeights", list: func(s *Settings) *[]float64 { return &s.ClassWeights }, valid: isNotNegative, want: notNegative})
	OptPosWeight       = declare(option{name: "WithPosWeight", list: func(s *Settings) *[]float64 { return &s.PosWeight }, valid: isNotNegative, want: notNegative})
	OptNormalizer      = declare(option{name: "WithNormalizer", number: func(s *Settings) *float64 { return &s.Normalizer }, valid: isPositive, want: positive})
	OptNormalizerNode  = declare(option{name: "WithNormalizerNode", operand: "normalizer"})
	OptLabelSmoothing  = declare(option{name: "WithLabelSmoothing", number: func(s *Settings) *float64 { return &s.Smoothing }, valid: isUnit, want: unit})
	OptTemperature     = declare(option{name: "WithTemperature", number: func(s *Settings) *float64 { return &s.Temperature }, valid: isPositive, want: positive})
	OptSoftcap         = declare(option{name: "WithSoftcap", number: func(s *Settings) *float64 { return &s.Softcap }, valid: isPositive, want: positive})
	OptZLoss           = declare(option{name: "WithZLoss", number: func(s *Settings) *float64 { return &s.ZLoss }, valid: isNotNegative, want: notNegative})
	OptLogPrior        = declare(option{name: "WithLogPrior", list: func(s *Settings) *[]float64 { return &s.LogPrior }, valid: isLogPrior, want: "a number below +Inf"})
	OptDelta           = declare(option{name: "WithDelta", number: func(s *Settings) *float64 { return &s.Delta }, valid: isPositive, want: positive})
	OptBeta            = declare(option{name: "WithBeta", number: func(s *Settings) *float64 { return &s.Beta }, valid: isNotNegative, want: notNegative})
	OptGamma           = declare(option{name: "WithGamma", number: func(s *Settings) *float64 { return &s.Gamma }, valid: isNotNegative, want: notNegative})
	OptAlpha           = declare(option{name: "WithAlpha", number: func(s *Settings) *float64 { return &s.Alpha }, valid: Finite, want: anyFinite})
	OptDispersion      = declare(option{name: "WithDispersion", operand: "dispersion"})
	OptEpsilon         = declare(option{name: "WithEpsilon", number: func(s *Settings) *float64 { return &s.Epsilon }, valid: Finite, want: anyFinite})
	OptQ               = declare(option{name: "WithQ", number: func(s *Settings) *float64 { return &s.Q }, valid: func(v float64) bool { return v > 0 && v <= 1 }, want: "a number in (0, 1]"})
	OptMargin          = declare(option{name: "WithMargin", number: func(s *Settings) *float64 { return &s.Margin }, valid: Finite, want: anyFinite})
	OptScale           = declare(option{name: "WithScale", number: func(s *Settings) *float64 { return &s.Scale }, valid: isPositive, want: positive})
	OptPower           = declare(option{name: "WithPower", number: func(s *Settings) *float64 { return &s.Power }, valid: func(v float64) bool { return v > math.Inf(-1) }, want: "a number above -Inf"})
	OptQuantile        = declare(option{name: "WithQuantile", number: func(s *Settings) *float64 { return &s.Quantile }, valid: isUnit, want: unit})
	OptTau             = declare(option{name: "WithTau", number: func(s *Settings) *float64 { return &s.Tau }, valid: isInsideUnit, want: insideUnit})
	OptFull            = declare(option{name: "WithFull", flag: func(s *Settings) *bool { return &s.Full }})
	OptLogTarget       = declare(option{name: "WithLogTarget", flag: func(s *Settings) *bool { return &s.LogTarget }})
	OptTargetLogits    = declare(option{name: "WithTargetLogits", flag: func(s *Settings) *bool { return &s.TargetLogits }})
	OptBias            = declare(option{name: "WithBias", operand: "bias"})
	OptSquared         = declare(option{name: "WithSquared", flag: func(s *Settings) *bool { return &s.Squared }})
	OptTopK            = declare(option{name: "WithTopK", integer: func(s *Settings) *int { return &s.TopK }, valid: isPositive, want: "a number >= 1"})
	OptIterations      = declare(option{name: "WithIterations", integer: func(s *Settings) *int { return &s.Iterations }, valid: isNotNegative, want: "a number >= 0"})
	OptSegments        = declare(option{name: "WithSegments", operand: "segments"})
	OptBufferReuse     = declare(option{name: "WithBufferReuse", flag: func(s *Settings) *bool { return &s.Reuse }})
	OptUncheckedValues = declare(option{name: "WithUncheckedValues", flag: func(s *Settings) *bool { return &s.Unchecked }})
)

// The sets that whole families take.
var (
	ReduceOptions = Options(OptReduction, OptWeights, OptMask, OptNormalizer, OptNormalizerNode)
	RowOptions    = Options(ReduceOptions, OptAxis)
	ClassOptions  = Options(RowOptions, OptIgnoreIndex, OptClassWeights)
	commonOptions = Options(OptBufferReuse, OptUncheckedValues) // taken by every loss and node
)

// isLogPrior excludes NaN and +Inf.
func isLogPrior(v float64) bool { return v < math.Inf(1) }

// Options returns the union of sets.
func Options(sets ...OptionSet) (all OptionSet) {
	for _, o := range sets {
		for i, w := range o {
			all[i] |= w
		}
	}
	return all
}

// Without returns the options of o that are not in p.
func (o OptionSet) Without(p OptionSet) OptionSet {
	for i, w := range p {
		o[i] &^= w
	}
	return o
}

// Has reports whether o has one of the options of p.
func (o OptionSet) Has(p OptionSet) bool { return o[0]&p[0] != 0 || o[1]&p[1] != 0 }

// None reports whether the set is empty.
func (o OptionSet) None() bool { return o == OptionSet{} }

// row returns the table's row of a single option.
func (o OptionSet) row() *option {
	for w, b := range o {
		if b != 0 {
			return &optionTable[64*w+bits.TrailingZeros64(b)]
		}
	}
	return &option{name: "no option"}
}

// Names lists the options of a set in the order of their declaration.
func (o OptionSet) Names() []string {
	var out []string
	for i := range optionTable {
		if name := optionTable[i].name; name != optionTable[i].operand && o[i/64]&(1<<(i%64)) != 0 && !slices.Contains(out, name) {
			out = append(out, name)
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
	s.Give(o)
	*r.number(s) = v
	return nil
}

// Integer sets a whole number that must lie in the option's range.
func (o OptionSet) Integer(s *Settings, v int) error {
	r := o.row()
	if !r.valid(float64(v)) {
		return fmt.Errorf("%s is %d, want %s", r.name, v, r.want)
	}
	s.Give(o)
	*r.integer(s) = v
	return nil
}

// List sets a list of numbers, each in the option's range; the caller passes a copy.
func (o OptionSet) List(s *Settings, v []float64) error {
	r := o.row()
	switch {
	case r.length != 0 && len(v) != r.length:
		return fmt.Errorf("%s has %d entries, want %d", r.name, len(v), r.length)
	case len(v) == 0:
		return fmt.Errorf("%s is empty", r.name)
	}
	for i, w := range v {
		if math.IsNaN(w) || !r.valid(w) {
			return fmt.Errorf("%s has %v at index %d, want %s", r.name, w, i, r.want)
		}
	}
	s.Give(o)
	*r.list(s) = v
	return nil
}

// Flag sets a switch.
func (o OptionSet) Flag(s *Settings) error {
	s.Give(o)
	*o.row().flag(s) = true
	return nil
}

// Choice sets one of the n values of an enumeration, which follow each other from 0.
func Choice[T ~uint8](s *Settings, o OptionSet, at *T, v T, n int) error {
	if int(v) >= n {
		return fmt.Errorf("%s is %d, want one of the %d constants", o.row().name, v, n)
	}
	s.Give(o)
	*at = v
	return nil
}

// Operand sets an operand that comes with an option: the weights, the mask, the normalizer or an
// operand of the loss. Its type is the face's.
func (o OptionSet) Operand(s *Settings, handle any, missing bool) error {
	r := o.row()
	if missing {
		return fmt.Errorf("%s is nil", r.name)
	}
	s.Give(o)
	handles := make(map[OptionSet]any, len(s.operands)+1)
	maps.Copy(handles, s.operands)
	handles[o] = handle
	s.operands = handles
	return nil
}

// Operands lists the options of a set that give an operand, in the order of their declaration.
func (o OptionSet) Operands() []OptionSet {
	var out []OptionSet
	for i, r := range optionTable {
		var one OptionSet
		one[i/64] = 1 << (i % 64)
		if r.operand != "" && o.Has(one) {
			out = append(out, one)
		}
	}
	return out
}

// OperandOptions lists all options that give an operand, in the order of their declaration.
func OperandOptions() []OptionSet { return OptionSet{1<<64 - 1, 1<<64 - 1}.Operands() }

// OperandName returns the name of the operand that a single option gives.
func (o OptionSet) OperandName() string { return o.row().operand }

// Name returns the name of a single option.
func (o OptionSet) Name() string { return o.row().name }

// Operand returns the handle of the operand that an option gives, or nil.
func (s *Settings) Operand(o OptionSet) any { return s.operands[o] }

// Give records that an option was given.
func (s *Settings) Give(o OptionSet) error {
	s.Given = Options(s.Given, o)
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
	LogPrior     []float64
	Squared      bool
	TopK         int
	Iterations   int
	Reuse        bool
	Unchecked    bool

	Comm  comm.Comm // the values are spread over its ranks; nil: they are not
	Shard Shard

	Overlap    Overlap
	Ranking    Ranking
	Embedding  Embedding
	Preference Preference
	Sequence   Sequence
	Transport  Transport
	Score      Score

	Given    OptionSet         // the options that were given
	operands map[OptionSet]any // handles of the operands that options give
}

// Has reports whether one of the options was given.
func (s *Settings) Has(o OptionSet) bool { return s.Given.Has(o) }

// text prints every setting that is data.
func (s Settings) text() string {
	s.operands, s.Comm, s.Shard = nil, nil, Shard{}
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
	takes := Options(d.Takes, commonOptions)
	if d.Takes.Has(OptReduction) {
		takes = Options(takes, OptComm)
	}
	if foreign := s.Given.Without(takes); !foreign.None() {
		have := "no options"
		if !d.Takes.None() {
			have = strings.Join(d.Takes.Names(), ", ")
		}
		return s, Faultf(ErrOption, d.Name, "%s is not an option of this loss, which takes %s",
			strings.Join(foreign.Names(), ", "), have)
	}
	if missing := d.Requires.Without(s.Given); !missing.None() {
		return s, Faultf(ErrOption, d.Name, "%s is missing, which has no default", missing.row().name)
	}
	if s.Has(Options(OptNormalizer, OptNormalizerNode)) && s.Reduction != Mean {
		return s, Faultf(ErrOption, d.Name, "a normalizer replaces the denominator of Mean, reduction is %v", s.Reduction)
	}
	if s.Has(OptNormalizer) && s.Has(OptNormalizerNode) {
		return s, Faultf(ErrOption, d.Name, "WithNormalizer and WithNormalizerNode exclude each other")
	}
	return s, nil
}
