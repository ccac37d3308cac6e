package core

// MaxOperands is the largest number of floating operands of a loss, and that of integer operands.
const MaxOperands = 5

// MaxPlaces is the largest number of operands of a loss.
const MaxPlaces = 2 * MaxOperands

// An Operand declares one input of a loss.
//
// Shape names its axes by letters, separated by spaces. A letter stands for the same length
// wherever it occurs; "*" stands for any number of axes, the same ones in every operand. "C" is the
// class axis: WithAxis moves it. Operands of a loss with a link have letters alone: N for the
// values, C for the classes. With groups, "N|N T" is one of two shapes. Operands that an option gives
// come last.
type Operand struct {
	Name  string
	Holds Domain
	Shape string
	// Option is the option that gives the operand; none: it is always there.
	Option OptionSet
	// Data has no derivative.
	Data bool
}

// A BlockFunc is the mathematics of a loss: it writes the values of a block's rows to Out and the
// derivatives that the block requests, each in full.
type BlockFunc func(b *Block)

// A RowFunc is the mathematics of one row, a block of one: it returns the value and writes the
// requested derivatives.
type RowFunc func(r *Block) float64

// A FastFunc is the mathematics of many rows at a time: it writes the values and, if grad is not
// nil, the derivative by operand wrt. Rows whose value is NaN are left to the row function.
type FastFunc func(b *Block, wrt int, value, grad []float64)

// A Law is a set of properties that a loss has whatever its data; package loss documents them.
type Law uint16

// The laws.
const (
	ShiftInvariant Law = 1 << iota
	Symmetric
	NonNegative
	ZeroAtEqual
	Convex
)

// A Definition is a loss without data.
type Definition struct {
	Name     string
	Operands []Operand
	Takes    OptionSet
	Requires OptionSet // options without a default
	Defaults Settings
	// Target says what the target holds where that depends on the settings; nil: what is declared.
	Target func(s *Settings) Domain
	// Check refuses combinations of settings; nil: none.
	Check func(s *Settings) error
	// Block makes the mathematics for settings and dimensions; Row does for losses that read a row
	// at a time, and Group for those whose values read groups of entries, which Grouped describes.
	// One of the three is set.
	Block func(s *Settings, d Dims) BlockFunc
	Row   func(s *Settings, d Dims) RowFunc
	// Fast makes what stands beside Row; nil, also as its result: nothing does.
	Fast  func(s *Settings, d Dims) FastFunc
	Group func(s *Settings, d *GroupDims) GroupFunc
	Parts func(s *Settings, d *GroupDims) PartsFunc // of groups; nil: every value has 1
	// GroupKernel makes the fast form of groups with one value each; nil: there is none.
	GroupKernel func(s *Settings, d *GroupDims) GroupKernels
	// Bind refuses settings that do not fit the dimensions of groups, with an error of kind ErrOption
	// or a Fault of its own; nil: none.
	Bind    func(s *Settings, d *GroupDims) error
	Grouped func(s *Settings) Grouping
	// Part makes what writes, in PartOf, what a row comes to in a shard of its classes; nil: the loss
	// takes no WithShard.
	Part func(s *Settings, d Dims) RowFunc
	// Kernel makes the fast form, for the losses that have one.
	Kernel func(s *Settings, d Dims) Kernels
	// Linked says how the logits come about that Block, Row and Kernel read; nil: they are the
	// first operand.
	Linked *Linked
	// Node marks a node whose values are no loss.
	Node bool
	// MultiLabel losses have a target for every class: under class weights a row has their mean as
	// its share in the denominator, where other losses have the weight of the label, or Σ w·t for a
	// soft target.
	MultiLabel bool
	// Observed values have no derivative.
	Observed bool
	Laws     Law
	// The nearest functions of other toolkits, for the documentation. Others names toolkits and the
	// options that reproduce them: "rax softmax_loss: WithPairSum; MONAI DiceLoss".
	Torch, Keras, Optax, Others string
}

// Elementwise reports whether a loss has one value per element.
func (d *Definition) Elementwise() bool { return d.Operands[0].Shape == "*" && d.Grouped == nil }

// holds returns what operand k holds under the settings.
func (d *Definition) holds(s *Settings, k int) Domain {
	if k == 1 && d.Target != nil {
		return d.Target(s)
	}
	return d.Operands[k].Holds
}

// Dims are the dimensions of a bound loss. Value i of Rows has Cols entries in each operand; entry
// c of it lies at i/Inner·Cols·Inner + i%Inner + c·Inner. Elementwise losses have Cols 1, and the
// class of element i, for options with one number per class, is i/Stride mod Classes.
type Dims struct {
	Rows, Cols, Inner int
	Classes, Stride   int
}

// Place returns where entry 0 of row i lies.
func (d *Dims) Place(i int) int {
	if d.Inner == 1 {
		return i * d.Cols
	}
	return i/d.Inner*d.Cols*d.Inner + i%d.Inner
}

// Class returns the class of element i.
func (d *Dims) Class(i int) int { return i / d.Stride % d.Classes }

// rows is the block function of a loss that reads a row at a time.
func (d *Definition) rows(s *Settings, dims Dims) BlockFunc {
	row := d.Row(s, dims)
	if d.Fast != nil {
		if fast := d.Fast(s, dims); fast != nil {
			return FastRows(row, fast)
		}
	}
	return EachRow(row)
}

// Required returns the operands that are always there; those that options give come after them.
func (d *Definition) Required() []Operand {
	for k, o := range d.Operands {
		if !o.Option.None() {
			return d.Operands[:k]
		}
	}
	return d.Operands
}

// OptionNames lists the options of a loss in the order of their declaration, those that every loss
// takes included last.
func (d *Definition) OptionNames() []string { return d.Takes.Names() }

var registry = map[string]*Definition{}

// Register adds a loss under its name. It is called while packages are initialised.
func Register(d *Definition) { registry[d.Name] = d }

// Lookup returns the loss of that name, or nil.
func Lookup(name string) *Definition { return registry[name] }
