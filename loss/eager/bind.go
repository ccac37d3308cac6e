package eager

import (
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// Data is what comes with the operands of one call: what the options of that name take as nodes in
// a graph. The zero value is none of it.
type Data struct {
	// Weights multiply the values, as loss.WithWeights does.
	Weights Operand
	// Mask leaves out values, as loss.WithMask does.
	Mask Operand
	// Normalizer replaces the denominator of loss.Mean, as loss.WithNormalizerNode does: a scalar.
	Normalizer Operand
	// Dispersion is the α of each element of loss.NegativeBinomial, as in loss.WithDispersion.
	Dispersion Operand
	// Bias is added to the logits of a loss that has them from a product, as loss.WithBias does.
	Bias Operand
	// Segments are the lists or sequences that items belong to, as in loss.WithSegments.
	Segments Operand
	// TieKey orders items of equal relevance, as loss.WithTieKey does.
	TieKey Operand
	// Reference and ReferenceLabels are the partners of embeddings, as in loss.WithReference.
	Reference, ReferenceLabels Operand
	// Positives say which rows belong together, as in loss.WithPositives.
	Positives Operand
	// Scale multiplies similarities, as loss.WithScaleNode does.
	Scale Operand
	// Margin is the margin of each pair, as in loss.WithMarginNode.
	Margin Operand
	// KL is the reference point of KTO, as in loss.WithKL.
	KL Operand
	// Start and End are the scores of first and last tags, as in loss.WithStart and loss.WithEnd.
	Start, End Operand
	// OldLogProb and RefLogProb are the old policy and the reference of loss.GRPO, where they are not
	// nil.
	OldLogProb, RefLogProb Operand
	// A and B are the marginals of a transport plan, as in loss.WithMarginals.
	A, B Operand
	// Upstream multiplies gradients: a scalar, or one number per value under loss.None. Default 1.
	Upstream Operand
}

// of returns what stands for the operand of an option, and the name of its field.
func (d *Data) of(o core.OptionSet) (operand *Operand, field string) {
	switch o {
	case core.OptWeights:
		return &d.Weights, "Weights"
	case core.OptMask:
		return &d.Mask, "Mask"
	case core.OptNormalizerNode:
		return &d.Normalizer, "Normalizer"
	case core.OptDispersion:
		return &d.Dispersion, "Dispersion"
	case core.OptBias:
		return &d.Bias, "Bias"
	case core.OptSegments:
		return &d.Segments, "Segments"
	case core.OptTieKey:
		return &d.TieKey, "TieKey"
	case core.OptReference:
		return &d.Reference, "Reference"
	case core.OptReferenceLabels:
		return &d.ReferenceLabels, "ReferenceLabels"
	case core.OptPositives:
		return &d.Positives, "Positives"
	case core.OptScaleNode:
		return &d.Scale, "Scale"
	case core.OptMarginNode:
		return &d.Margin, "Margin"
	case core.OptKL:
		return &d.KL, "KL"
	case core.OptStart:
		return &d.Start, "Start"
	case core.OptEnd:
		return &d.End, "End"
	case core.OptMarginalA:
		return &d.A, "A"
	case core.OptMarginalB:
		return &d.B, "B"
	case core.OptOldLogProb:
		return &d.OldLogProb, "OldLogProb"
	case core.OptRefLogProb:
		return &d.RefLogProb, "RefLogProb"
	}
	return nil, ""
}

// dataOptions are the options whose operands are fields of Data.
var dataOptions = core.OperandOptions()

// present reports whether the operand is there.
func (o *Operand) present() bool { return o.data != nil || o.err != nil }

// A binding is a loss bound to the shapes of a call, kept for the next one.
type binding struct {
	givens []core.Given // operands, weights, mask, normalizer
	none   bool
	bound  *core.Bound
}

// bind returns the loss bound to the shapes of a call: the last one where they are the same.
func (l *Loss) bind(none bool, d *Data, operands []Operand) (*core.Bound, error) {
	if last := l.last.Load(); last != nil && last.none == none && l.fits(last, d, operands) {
		return last.bound, nil
	}
	return l.bindNew(none, *d, slices.Clone(operands))
}

// bindNew binds the loss. It has copies of its arguments, so that those of ordinary calls need not
// be on the heap.
func (l *Loss) bindNew(none bool, d Data, operands []Operand) (*core.Bound, error) {
	def := l.def
	if want := len(def.Required()); len(operands) != want {
		return nil, core.Faultf(core.ErrShape, def.Name, "%d operands, want %d", len(operands), want)
	}
	k := &binding{none: none}
	for i := range operands {
		if err := l.checkOperand(&operands[i], def.Operands[i].Name); err != nil {
			return nil, err
		}
		k.givens = append(k.givens, operands[i].given)
	}
	set := l.set
	if none {
		set = l.none
	}
	for _, o := range dataOptions {
		if operand, _ := d.of(o); operand.present() && !def.Takes.Has(o) {
			name := o.OperandName()
			return nil, core.Faultf(core.ErrOption, def.Name, "%s %s no input of this loss", name, isVerb(name))
		}
	}
	given := slices.Clone(k.givens)
	for _, o := range l.optional {
		operand, _ := d.of(o)
		if k.givens = append(k.givens, operand.given); !operand.present() {
			continue
		}
		if err := l.checkOperand(operand, o.OperandName()); err != nil {
			return nil, err
		}
		set.Give(o)
		given = append(given, operand.given)
	}
	b, err := core.Bind(def, set, given)
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		option core.OptionSet
		bind   func(core.Given) error
	}{{core.OptWeights, b.BindWeights}, {core.OptMask, b.BindMask}, {core.OptNormalizerNode, b.BindNormalizer}} {
		operand, _ := d.of(o.option)
		if k.givens = append(k.givens, operand.given); !operand.present() {
			continue
		}
		if o.option == core.OptNormalizerNode {
			if err := l.checkNormalizer(none); err != nil {
				return nil, err
			}
			if none {
				continue
			}
		}
		if err := l.checkOperand(operand, o.option.OperandName()); err != nil {
			return nil, err
		}
		if err := o.bind(operand.given); err != nil {
			return nil, err
		}
	}
	for i := range k.givens {
		k.givens[i].Shape = slices.Clone(k.givens[i].Shape)
	}
	k.bound = b.Seal()
	l.last.Store(k)
	return k.bound, nil
}

// checkNormalizer refuses a normalizer where the options have no place for it.
func (l *Loss) checkNormalizer(none bool) error {
	switch {
	case l.set.Has(core.OptNormalizer):
		return core.Faultf(core.ErrOption, l.def.Name, "WithNormalizer and Data.Normalizer exclude each other")
	case l.set.Reduction != core.Mean:
		return core.Faultf(core.ErrOption, l.def.Name,
			"a normalizer replaces the denominator of Mean, reduction is %v", l.set.Reduction)
	}
	return nil
}

// checkOperand reports what was wrong with an operand when it was made.
func (l *Loss) checkOperand(o *Operand, name string) error {
	verb := "has"
	if core.Plural(name) {
		verb = "have"
	}
	switch {
	case o.err != nil:
		return core.Faultf(core.ErrShape, l.def.Name, "%s %s %v", name, verb, o.err)
	case o.data == nil:
		return core.Faultf(core.ErrShape, l.def.Name, "%s is missing", name)
	}
	return nil
}

// isVerb is "are" for operands in the plural, else "is".
func isVerb(name string) string {
	if core.Plural(name) {
		return "are"
	}
	return "is"
}

// fits reports whether a call has the shapes and types of the binding.
func (l *Loss) fits(k *binding, d *Data, operands []Operand) bool {
	n := len(operands)
	if len(k.givens) != n+len(l.optional)+3 {
		return false
	}
	for i := range operands {
		if !same(&k.givens[i], &operands[i]) {
			return false
		}
	}
	for i, o := range l.optional {
		if operand, _ := d.of(o); !same(&k.givens[n+i], operand) {
			return false
		}
	}
	n += len(l.optional)
	return same(&k.givens[n], &d.Weights) && same(&k.givens[n+1], &d.Mask) && same(&k.givens[n+2], &d.Normalizer)
}

func same(g *core.Given, o *Operand) bool {
	return o.err == nil && g.DType == o.given.DType && g.Shape.Equal(o.given.Shape)
}
