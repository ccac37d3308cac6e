package core

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// Given is what is known of an operand before its data.
type Given struct {
	Shape Shape
	DType DType
}

// Bound is a definition bound to settings, dtypes and shapes. It never changes after [Bind] and the
// functions that add weights, a mask and a normalizer, and may be used by any number of goroutines.
type Bound struct {
	Def   *Definition
	Set   Settings
	DType DType
	Dims  Dims
	// Shape is the shape of the floating operands; Values that of the values of the loss.
	Shape, Values Shape
	Floats        int // floating operands
	Domain        [MaxOperands]Domain
	Labels        DType // of the first integer operand; "" without one
	Lists         bool  // the integer operand holds lists of classes in the shape of the operands
	// Integers describes the integer operands, in the order of their declaration.
	Integers    []Given
	Weighted    bool
	WeightShape Shape
	MaskType    DType // "" without a mask
	MaskShape   Shape
	Normalized  bool
	// IsMap marks a node that maps rows to rows. It is treated as the derivative of ⟨a, f(x)⟩ by a,
	// its second operand.
	IsMap bool
	// Numerator makes Sum the numerator of Mean, where the two differ.
	Numerator bool

	operand [MaxOperands]int   // where operands have separate shapes: the places of the floating ones
	shapes  [MaxOperands]Shape // and their shapes
	integer [MaxOperands]int   // the places of the integer operands
	grouped *grouped

	block   BlockFunc
	links   Links
	kernels Kernels
	text    string
	alike   [2][2]float64          // what must be the same on every rank, and in every shard
	given   []Given                // what was bound
	places  []int                  // where it is declared
	whole   *atomic.Pointer[Bound] // the same of the rows of all ranks, where they are gathered
	local   *Settings              // with lists of classes that are the shard's
	part    BlockFunc              // what rows come to in the shard
}

// Bind checks the settings and the operands of a loss, in the order of its declaration.
func Bind(d *Definition, set Settings, operands []Given) (*Bound, error) {
	b := &Bound{Def: d, Set: set, given: operands}
	if b.Separate() {
		if err := b.bindLetters(operands); err != nil {
			return nil, err
		}
		return b, b.checkSettings()
	}
	if err := b.bindFirst(operands[0]); err != nil {
		return nil, err
	}
	b.Floats = 1
	b.Domain[0] = d.holds(&set, 0)
	for k := 1; k < len(operands); k++ {
		holds := d.Operands[k].Holds
		if holds == ClassLists || holds.TakesLabels() && (operands[k].DType.IsInteger() || k > 1) {
			if err := b.bindLabels(k, operands[k]); err != nil {
				return nil, err
			}
			continue
		}
		if holds.maybeInteger() && operands[k].DType.IsInteger() {
			if err := b.bindFlags(k, operands[k]); err != nil {
				return nil, err
			}
			continue
		}
		if err := b.bindFloat(k, operands[k]); err != nil {
			return nil, err
		}
		b.Domain[k] = d.holds(&set, k).soft()
		b.Floats++
	}
	if b.Labels == "" && set.Has(OptIgnoreIndex) {
		return nil, Faultf(ErrOption, d.Name, "WithIgnoreIndex needs integer labels, %s has dtype %v", d.Operands[1].Name, operands[1].DType)
	}
	return b, b.checkSettings()
}

// checkSettings checks the settings whose range depends on the operands.
func (b *Bound) checkSettings() error {
	d, set := b.Def, &b.Set
	for _, list := range []struct {
		o      OptionSet
		w      []float64
		single bool
	}{{OptClassWeights, set.ClassWeights, false}, {OptPosWeight, set.PosWeight, true}, {OptLogPrior, set.LogPrior, false}, {OptCounts, set.Score.Counts, false}} {
		if set.Sharded() {
			if n, want := len(list.w), set.Shard.First+b.Dims.Classes; n != 0 && n < want {
				return Faultf(ErrOption, d.Name, "%s has %d entries, want at least %d, one for each class of all ranks", list.o.row().name, n, want)
			}
			continue
		}
		if n := len(list.w); n != 0 && n != b.Dims.Classes && !(list.single && n == 1) {
			return Faultf(ErrOption, d.Name, "%s has %d entries, want %d, one for each class", list.o.row().name, n, b.Dims.Classes)
		}
	}
	if d.Check != nil {
		if err := d.Check(set); err != nil {
			return Faultf(ErrOption, d.Name, "%v", err)
		}
	}
	return b.checkSpread()
}

// bindFirst takes dtype, shape and axis from the first operand.
func (b *Bound) bindFirst(g Given) error {
	d, o := b.Def, b.Def.Operands[0]
	b.DType, b.Shape = g.DType, slices.Clone(g.Shape)
	if !b.DType.IsFloat() {
		return Faultf(ErrDType, d.Name, "%s %s dtype %v, want float32 or float64", o.Name, hasVerb(o.Name), b.DType)
	}
	if b.Shape.Size() == 0 && !b.emptyShard() {
		return Faultf(ErrShape, d.Name, "%s %s shape %s, want no empty axis", o.Name, hasVerb(o.Name), b.Shape)
	}
	elementwise := d.Elementwise()
	if len(b.Shape) == 0 {
		if !elementwise {
			return Faultf(ErrShape, d.Name, "%s is a scalar, want at least a class axis", o.Name)
		}
		b.Dims = Dims{1, 1, 1, 1, 1}
		return nil
	}
	axis := b.Set.Axis
	if axis < 0 {
		axis += len(b.Shape)
	}
	if axis < 0 || axis >= len(b.Shape) {
		return Faultf(ErrOption, d.Name, "WithAxis is %d, want an axis of %s %s", b.Set.Axis, o.Name, b.Shape)
	}
	classes, inner := b.Shape[axis], b.Shape[axis+1:].Size()
	if elementwise {
		b.Values = b.Shape
		b.Dims = Dims{Rows: b.Shape.Size(), Cols: 1, Inner: 1, Classes: classes, Stride: inner}
		return nil
	}
	b.Values = slices.Delete(slices.Clone(b.Shape), axis, axis+1)
	b.Dims = Dims{Rows: b.Values.Size(), Cols: classes, Inner: inner, Classes: classes, Stride: inner}
	return nil
}

// emptyShard reports whether the class axis alone is empty, of a rank that has no class.
func (b *Bound) emptyShard() bool {
	axis := b.Set.Axis
	if axis < 0 {
		axis += len(b.Shape)
	}
	return b.Set.Sharded() && axis >= 0 && axis < len(b.Shape) && b.Shape[axis] == 0 &&
		slices.Delete(slices.Clone(b.Shape), axis, axis+1).Size() != 0
}

// wantShape is the shape of operand k, unified with the letters of the first operand.
func (b *Bound) wantShape(k int) Shape {
	if shape := b.Def.Operands[k].Shape; shape == "*" && !b.Def.Elementwise() {
		return b.Values
	}
	return b.Shape
}

// bindLabels checks an integer operand.
func (b *Bound) bindLabels(k int, g Given) error {
	d, name := b.Def, b.Def.Operands[k].Name
	if d.Operands[k].Holds == LabelsOrSoft {
		name = "labels" // also where the target may be floating
	}
	if b.Labels = g.DType; !b.Labels.IsInteger() {
		return Faultf(ErrDType, d.Name, "%s %s dtype %v, want Int, Int64, Int32 or Uint8", name, hasVerb(name), b.Labels)
	}
	want := b.Values
	if b.Lists = d.Operands[k].Holds == ClassLists; b.Lists {
		want = b.Shape
	}
	b.Integers, b.integer[0] = []Given{{want, g.DType}}, k
	if !g.Shape.Equal(want) {
		return Faultf(ErrShape, d.Name, "%s %s shape %s, want %s to match %s %s", name, hasVerb(name),
			g.Shape, want, d.Operands[0].Name, b.Shape)
	}
	return nil
}

// bindFlags checks flags or signs of an integer type, which the mathematics reads as numbers. They
// come after the floating operands.
func (b *Bound) bindFlags(k int, g Given) error {
	d, o := b.Def, b.Def.Operands[k]
	b.Integers, b.integer[0], b.Domain[k] = []Given{{b.Shape, g.DType}}, k, o.Holds
	if !g.Shape.Equal(b.Shape) {
		return Faultf(ErrShape, d.Name, "%s %s shape %s, want %s to match %s", o.Name, hasVerb(o.Name), g.Shape, b.Shape, d.Operands[0].Name)
	}
	return nil
}

// bindFloat checks a floating operand after the first.
func (b *Bound) bindFloat(k int, g Given) error {
	d, o, first := b.Def, b.Def.Operands[k], b.Def.Operands[0].Name
	if o.Holds == Labels {
		return Faultf(ErrDType, d.Name, "labels have dtype %v, want Int, Int64, Int32 or Uint8", g.DType)
	}
	if g.DType != b.DType {
		or := ""
		if o.Holds.TakesLabels() {
			or = ", or Int, Int64, Int32 or Uint8 labels"
		} else if o.Holds.maybeInteger() {
			or = ", or Int, Int64, Int32 or Uint8"
		}
		return Faultf(ErrDType, d.Name, "%s has dtype %v, want %v like %s%s", o.Name, g.DType, b.DType, first, or)
	}
	if want := b.wantShape(k); !g.Shape.Equal(want) {
		return Faultf(ErrShape, d.Name, "%s has shape %s, want %s to match %s", o.Name, g.Shape, want, first)
	}
	return nil
}

// BindWeights adds weights: one per value, or for elementwise losses one per entry of the first
// axis.
func (b *Bound) BindWeights(g Given) error {
	if g.DType != b.DType {
		return Faultf(ErrDType, b.Def.Name, "weights have dtype %v, want %v like %s", g.DType, b.DType, b.Def.Operands[0].Name)
	}
	if err := b.perValue("weights", g.Shape); err != nil {
		return err
	}
	b.Weighted, b.WeightShape = true, g.Shape
	return nil
}

// BindMask adds a mask of the shapes that weights have.
func (b *Bound) BindMask(g Given) error {
	if t := g.DType; t != Bool && t != Uint8 && t != b.DType {
		return Faultf(ErrDType, b.Def.Name, "mask has dtype %v, want Bool, Uint8 or %v like %s", t, b.DType, b.Def.Operands[0].Name)
	}
	if err := b.perValue("mask", g.Shape); err != nil {
		return err
	}
	b.MaskType, b.MaskShape = g.DType, g.Shape
	return nil
}

// BindNormalizer adds a denominator that is data.
func (b *Bound) BindNormalizer(g Given) error {
	if g.DType != b.DType {
		return Faultf(ErrDType, b.Def.Name, "normalizer has dtype %v, want %v like %s", g.DType, b.DType, b.Def.Operands[0].Name)
	}
	if len(g.Shape) != 0 {
		return Faultf(ErrShape, b.Def.Name, "normalizer has shape %s, want ()", g.Shape)
	}
	b.Normalized = true
	return nil
}

// perValue checks that a weight or mask has one entry per value, or one per row of an elementwise
// loss.
func (b *Bound) perValue(what string, s Shape) error {
	if b.grouped != nil {
		return b.grouped.perValue(b, what, s)
	}
	if s.Equal(b.Values) || b.perRow(s) {
		return nil
	}
	or := ""
	if b.Def.Elementwise() && len(b.Values) > 1 {
		or = fmt.Sprintf(" or %s", b.Values[:1])
	}
	return Faultf(ErrShape, b.Def.Name, "%s %s shape %s, want %s%s to match %s %s", what, hasVerb(what), s,
		b.Values, or, b.Def.Operands[0].Name, b.Shape)
}

// perRow reports whether a shape is that of one entry per entry of the first axis of an elementwise
// loss.
func (b *Bound) perRow(s Shape) bool {
	return b.Def.Elementwise() && len(b.Values) > 1 && len(s) == 1 && s[0] == b.Values[0]
}

// Seal makes the block function, the kernels and the identity. It is called once, after the
// operands of options.
func (b *Bound) Seal() *Bound {
	if b.Set.Unchecked {
		b.Domain = [MaxOperands]Domain{}
	}
	d := b.Def
	if b.grouped != nil {
		b.grouped = b.grouped.sealed(b)
	}
	if b.Linked() {
		if b.links = (Links{noLogits[float32]{}, noLogits[float64]{}}); b.Dims.Cols > 0 {
			b.links = d.Linked.Link(b.Dims, b.linkOperands())
		}
		d = d.Linked.Of
	}
	b.local = b.localSettings()
	switch {
	case b.grouped != nil:
	case d.Row != nil:
		b.block = d.rows(b.local, b.Dims)
	default:
		b.block = d.Block(b.local, b.Dims)
	}
	b.kernels = Kernels{}
	if d.Kernel != nil && !(b.Set.Sharded() && (b.Labels == "" || b.Set.Smoothing != 0 || b.Set.LogPrior != nil || b.Dims.Cols == 0)) {
		b.kernels = d.Kernel(b.local, b.Dims)
	}
	if b.Set.Sharded() {
		b.part = EachRow(d.Part(b.local, b.Dims))
	}
	var t strings.Builder
	fmt.Fprintf(&t, "loss.%s %s %v %v %v operands=%d map=%t", b.Def.Name, b.Set.text(), b.DType, b.Shape, b.Dims, b.Floats, b.IsMap)
	fmt.Fprintf(&t, " integers=%v weights=%t%v mask=%s%v normalizer=%t", b.Integers, b.Weighted, b.WeightShape, b.MaskType, b.MaskShape, b.Normalized)
	if b.Separate() {
		fmt.Fprintf(&t, " shapes=%v numerator=%t", b.shapes, b.Numerator)
	}
	if c := b.Set.Comm; c != nil {
		fmt.Fprintf(&t, " comm=%d/%d %p", c.Rank(), c.Size(), c)
	}
	if s := b.Set.Shard; s.Comm != nil {
		fmt.Fprintf(&t, " shard=%d %d/%d %p", s.First, s.Comm.Rank(), s.Comm.Size(), s.Comm)
	}
	b.text = t.String()
	b.sealRanks()
	b.whole = new(atomic.Pointer[Bound])
	return b
}

// Text identifies the bound loss: two that differ in anything have different texts.
func (b *Bound) Text() string { return b.text }

// Result returns the shape of the loss: scalar unless the reduction is None.
func (b *Bound) Result() Shape {
	if b.Set.Reduction == None {
		return b.Values
	}
	return nil
}

// OperandName returns the name of floating operand k in error messages.
func (b *Bound) OperandName(k int) string {
	if b.Separate() {
		k = b.operand[k]
	}
	return b.Def.Operands[k].Name
}

// IntegerName returns the name of integer operand k in error messages.
func (b *Bound) IntegerName(k int) string {
	o := &b.Def.Operands[b.integer[k]]
	if o.Holds == LabelsOrSoft {
		return "labels" // also where the target may be floating
	}
	return o.Name
}
