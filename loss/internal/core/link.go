package core

import "slices"

// A Link is a map from operands to the rows that a loss reads, its logits. It is run on a few rows
// at a time, so that the logits of all of them never exist. Operands whose shape begins with N have
// a row for each row of the loss; the others are shared by all rows, and their derivatives add up
// over the calls.
//
// Operands are counted among the floating ones.
type Link[F Float] interface {
	// Apply writes the logits of the rows to z.
	Apply(z []F, r *LinkRows[F])
	// Pull writes the derivative by operand k to dst, given that by the logits: of the rows for an
	// operand that has rows, else of the whole operand, to which calls after the first add.
	Pull(k int, dst, dz []F, r *LinkRows[F])
	// Push writes the change of the logits along v, a direction in operand k.
	Push(k int, dz, v []F, r *LinkRows[F])
	// Second adds to dst, a derivative by operand then, what it changes by along v, a direction in
	// operand k, with the derivative by the logits held fixed.
	Second(then, k int, dst, dz, v []F, r *LinkRows[F])
}

// LinkRows is what a link reads.
type LinkRows[F Float] struct {
	N     int              // rows
	First bool             // of all calls of one evaluation
	X     [MaxOperands][]F // the rows of operands that have rows, otherwise the whole operand; nil for one that is not there
}

// Links holds a link for both element types.
type Links struct {
	F32 Link[float32]
	F64 Link[float64]
}

func linkOf[F Float](l *Links) Link[F] { return ofType[Link[F]](l.F32, l.F64) }

// noLogits is the link of a rank that has no class.
type noLogits[F Float] struct{}

func (noLogits[F]) Apply([]F, *LinkRows[F])                      {}
func (noLogits[F]) Pull(_ int, dst, _ []F, _ *LinkRows[F])       { clear(dst) }
func (noLogits[F]) Push(int, []F, []F, *LinkRows[F])             {}
func (noLogits[F]) Second(_, _ int, _, _, _ []F, _ *LinkRows[F]) {}

// A Linked says how the logits of a loss come about.
type Linked struct {
	// Link makes the map for dimensions and floating operands.
	Link func(d Dims, operands LinkOperands) Links
	// Of is the loss of logits and labels or a soft target.
	Of *Definition
}

// LinkOperands describes the floating operands of a loss with a link.
type LinkOperands struct {
	Width  [MaxOperands]int // the entries of a row
	option [MaxOperands]OptionSet
}

// Of returns which operand an option gave, or 0.
func (o *LinkOperands) Of(option OptionSet) int { return max(0, slices.Index(o.option[:], option)) }

// linkOperands describes the operands to a link.
func (b *Bound) linkOperands() (o LinkOperands) {
	for k := range b.Floats {
		o.Width[k], o.option[k] = b.width(k), b.Def.Operands[b.operand[k]].Option
	}
	return o
}

// Linked reports whether the loss reads its operands through a link.
func (b *Bound) Linked() bool { return b.Def.Linked != nil }

// ShapeOf returns the shape of floating operand k.
func (b *Bound) ShapeOf(k int) Shape {
	if b.Separate() {
		return b.shapes[k]
	}
	return b.Shape
}

// Separate reports whether every operand has a shape of its own, and the gradients by all of them
// come from one evaluation: with a link, and where values read groups of entries.
func (b *Bound) Separate() bool { return b.Def.Linked != nil || b.Def.Grouped != nil }

// Differentiable reports whether floating operand k has a derivative.
func (b *Bound) Differentiable(k int) bool {
	if b.Separate() {
		k = b.operand[k]
	}
	if b.grouped != nil && slices.Contains(b.grouped.Data, k) {
		return false
	}
	return !b.Def.Observed && !(k < len(b.Def.Operands) && b.Def.Operands[k].Data)
}

// FloatAt returns which floating operand the operand in place k of the declaration is, and whether
// it is one that is there and has a derivative.
func (b *Bound) FloatAt(k int) (float int, ok bool) {
	if !b.Separate() {
		return k, k >= 0 && k < b.Floats && b.Differentiable(k)
	}
	for float := range b.Floats {
		if b.operand[float] == k {
			return float, b.Differentiable(float)
		}
	}
	return 0, false
}

// hasRows reports whether floating operand k has a row for each value.
func (b *Bound) hasRows(k int) bool { return b.Def.Operands[b.operand[k]].Shape[0] == 'N' }

// width is the number of entries of one row of floating operand k.
func (b *Bound) width(k int) int { return b.shapes[k][1:].Size() }

// soft returns the position of the soft target among the floating operands, or 0 with labels.
func (b *Bound) soft() int {
	for k := range b.Floats {
		if b.Linked() && b.Def.Operands[b.operand[k]].Holds.TakesLabels() {
			return k
		}
	}
	return 0
}
