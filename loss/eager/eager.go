package eager

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// A Loss is a loss with its options. It is safe for concurrent use.
type Loss struct {
	def  *core.Definition
	set  core.Settings
	none core.Settings // the same without a reduction
	last atomic.Pointer[binding]
}

// Data is what comes with the operands of one call. The zero value is none of it.
type Data struct {
	// Weights multiply the values, as loss.WithWeights does.
	Weights Operand
	// Mask leaves out values, as loss.WithMask does.
	Mask Operand
	// Normalizer replaces the denominator of loss.Mean, as loss.WithNormalizerNode does: a scalar.
	Normalizer Operand
	// Bias is added to the logits of a loss that has them from a product, as loss.WithBias does.
	Bias Operand
	// Upstream multiplies gradients: a scalar, or one number per value under loss.None. Default 1.
	Upstream Operand
}

// A binding is a loss bound to the shapes of a call, kept for the next one.
type binding struct {
	givens []core.Given // operands, weights, mask, normalizer
	none   bool
	bound  *core.Bound
}

// newLoss checks the options of the loss of that name.
func newLoss(name string, opts []loss.Option) (*Loss, error) {
	d := core.Lookup(name)
	set, err := core.Configure(d, opts)
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		option core.OptionSet
		use    string
	}{{core.OptBias, "Data.Bias"}, {core.OptWeights, "Data.Weights"}, {core.OptMask, "Data.Mask"}, {core.OptNormalizerNode, "Data.Normalizer"}} {
		if set.Has(o.option) {
			return nil, core.Faultf(core.ErrOption, d.Name, "%s holds a node, want %s here", o.option.Names()[0], o.use)
		}
	}
	l := &Loss{def: d, set: set, none: set}
	l.none.Reduction = core.None
	if set.Has(core.OptNormalizer) {
		l.none.Normalizer = 0
	}
	return l, nil
}

// Constructors returns the constructors of this package by the names of their losses, which are
// those of package loss.
func Constructors() map[string]func(...loss.Option) (*Loss, error) { return maps.Clone(constructors) }

// Name returns the name of the loss.
func (l *Loss) Name() string { return l.def.Name }

// Value returns the loss of operands under loss.Mean or loss.Sum, rounded to their element type.
// Under loss.None it is an error of kind loss.ErrOption: [Loss.Values] is for that.
func (l *Loss) Value(d Data, operands ...Operand) (float64, error) {
	if l.set.Reduction == core.None {
		return 0, core.Faultf(core.ErrOption, l.def.Name, "reduction is None, want Mean or Sum for Value; Values writes one number per example")
	}
	return l.evaluate(call{order: core.OrderValue}, &d, operands)
}

// Values writes the values of the examples, or of the elements for elementwise losses, times their
// weights, to dst, whatever the reduction. dst has the shape that the loss has under loss.None.
func (l *Loss) Values(dst Operand, d Data, operands ...Operand) error {
	_, err := l.evaluate(call{order: core.OrderValue, values: &dst, none: true}, &d, operands)
	return err
}

// ValueGradient writes the gradient by the first operand, times the upstream, to dst, which has
// that operand's shape, and returns the value. Under loss.None the value is 0: [Loss.Values] gives
// the values.
func (l *Loss) ValueGradient(dst Operand, d Data, operands ...Operand) (float64, error) {
	order := core.OrderBoth
	if l.set.Reduction == core.None {
		order = core.OrderGradient
	}
	return l.evaluate(call{order: order, dst: &dst}, &d, operands)
}

// ValueGradients writes the gradients by several operands, times the upstream, from one computation
// of the logits, and returns the value, which is 0 under loss.None. It is for losses that have
// their logits from a product, such as [LinearCrossEntropy]: dst has one entry for each operand,
// and one after them for Data.Bias. The zero Operand stands for a gradient that is not wanted.
func (l *Loss) ValueGradients(dst []Operand, d Data, operands ...Operand) (float64, error) {
	order := core.OrderBoth
	if l.set.Reduction == core.None {
		order = core.OrderGradient
	}
	if l.def.Linked == nil {
		return 0, core.Faultf(core.ErrOption, l.def.Name, "the loss has no product of operands, want ValueGradient or Gradient")
	}
	if len(dst) > len(operands)+1 {
		return 0, core.Faultf(core.ErrShape, l.def.Name, "%d gradients, want at most %d, for the operands and the bias", len(dst), len(operands)+1)
	}
	return l.evaluate(call{order: order, each: dst}, &d, operands)
}

// Gradient writes the gradient by operand k, counted from 0, times the upstream, to dst, which has
// that operand's shape. There is no gradient by labels. Data.Bias counts as the operand after the
// last.
func (l *Loss) Gradient(k int, dst Operand, d Data, operands ...Operand) error {
	_, err := l.evaluate(call{order: core.OrderGradient, wrt: k, dst: &dst}, &d, operands)
	return err
}

// HessianVector writes the product of the Hessian by the first operand with a direction, times the
// upstream, to dst. direction and dst have the first operand's shape.
func (l *Loss) HessianVector(dst, direction Operand, d Data, operands ...Operand) error {
	_, err := l.evaluate(call{order: core.OrderHessian, dst: &dst, direction: &direction}, &d, operands)
	return err
}

// Derivatives writes the first and second derivative of the weighted values by each entry of the
// first operand, without a reduction: the gradient, and the diagonal of the Hessian. first and
// second have the first operand's shape.
//
// The diagonal of an elementwise loss takes one product with the Hessian; losses of rows take one
// for each class.
func (l *Loss) Derivatives(first, second Operand, d Data, operands ...Operand) error {
	if _, err := l.evaluate(call{order: core.OrderGradient, dst: &first, none: true}, &d, operands); err != nil {
		return err
	}
	return l.diagonal(&second, &d, operands)
}

// A call says what an evaluation computes.
type call struct {
	order     core.Order
	wrt, then int
	dst       *Operand
	values    *Operand
	direction *Operand
	each      []Operand // where the gradients by operands go
	none      bool      // no reduction, whatever the option says
}

// evaluate runs a call in the element type of its operands.
func (l *Loss) evaluate(c call, d *Data, operands []Operand) (float64, error) {
	b, err := l.bind(c.none, d, operands)
	if err != nil {
		return 0, err
	}
	if b.DType == core.Float32 {
		return run[float32](b, &c, d, operands)
	}
	return run[float64](b, &c, d, operands)
}

// bind returns the loss bound to the shapes of a call: the last one where they are the same.
func (l *Loss) bind(none bool, d *Data, operands []Operand) (*core.Bound, error) {
	if last := l.last.Load(); last != nil && last.none == none && last.fits(d, operands) {
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
	if d.Bias.data != nil || d.Bias.err != nil {
		if def.Takes&core.OptBias == 0 {
			return nil, core.Faultf(core.ErrOption, def.Name, "a bias is not an input of this loss")
		}
		if err := l.checkOperand(&d.Bias, "bias"); err != nil {
			return nil, err
		}
		set.Given |= core.OptBias
		k.givens = append(k.givens, d.Bias.given)
	}
	b, err := core.Bind(def, set, k.givens)
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		operand *Operand
		name    string
		option  core.OptionSet
		bind    func(core.Given) error
	}{{&d.Weights, "weights", core.OptWeights, b.BindWeights}, {&d.Mask, "mask", core.OptMask, b.BindMask},
		{&d.Normalizer, "normalizer", core.OptNormalizerNode, b.BindNormalizer}} {
		k.givens = append(k.givens, o.operand.given)
		if o.operand.data == nil && o.operand.err == nil {
			continue
		}
		if def.Takes&o.option == 0 {
			return nil, core.Faultf(core.ErrOption, def.Name, "%s are not an input of this loss", o.name)
		}
		if o.option == core.OptNormalizerNode {
			if err := l.checkNormalizer(none); err != nil {
				return nil, err
			}
			if none {
				continue
			}
		}
		if err := l.checkOperand(o.operand, o.name); err != nil {
			return nil, err
		}
		if err := o.bind(o.operand.given); err != nil {
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
		return core.Faultf(core.ErrOption, l.def.Name, "a normalizer replaces the denominator of Mean, reduction is %v", l.set.Reduction)
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

// fits reports whether a call has the shapes and types of the binding.
func (k *binding) fits(d *Data, operands []Operand) bool {
	n := len(operands)
	bias := d.Bias.data != nil || d.Bias.err != nil
	if bias {
		n++
	}
	if len(k.givens) != n+3 || bias && !same(&k.givens[n-1], &d.Bias) {
		return false
	}
	for i := range operands {
		if !same(&k.givens[i], &operands[i]) {
			return false
		}
	}
	return same(&k.givens[n], &d.Weights) && same(&k.givens[n+1], &d.Mask) && same(&k.givens[n+2], &d.Normalizer)
}

func same(g *core.Given, o *Operand) bool {
	return o.err == nil && g.DType == o.given.DType && g.Shape.Equal(o.given.Shape)
}

// state is what a call needs beside its operands.
type state[F core.Float] struct {
	in core.Inputs[F]
}

var (
	states32 = sync.Pool{New: func() any { return new(state[float32]) }}
	states64 = sync.Pool{New: func() any { return new(state[float64]) }}
)

func getState[F core.Float]() *state[F] {
	return core.PoolOf[F](&states32, &states64).Get().(*state[F])
}

func (s *state[F]) put() {
	s.in = core.Inputs[F]{}
	core.PoolOf[F](&states32, &states64).Put(s)
}

// run evaluates a call.
func run[F core.Float](b *core.Bound, c *call, d *Data, operands []Operand) (float64, error) {
	s := getState[F]()
	defer s.put()
	r := core.Request[F]{Order: c.order, Wrt: c.wrt, Then: c.then}
	if err := s.read(b, c, d, operands, &r); err != nil {
		return 0, err
	}
	result, err := core.Evaluate(b, &s.in, r)
	return float64(F(result.Value)), err
}

// read takes the inputs and results of a call.
func (s *state[F]) read(b *core.Bound, c *call, d *Data, operands []Operand, r *core.Request[F]) error {
	float := 0
	for i := range operands {
		if x, ok := operands[i].data.([]F); ok {
			s.in.X[float] = x
			float++
		} else {
			s.in.Labels = operands[i].ints()
		}
	}
	if x, ok := d.Bias.data.([]F); ok {
		s.in.X[float] = x
	}
	if b.Weighted {
		s.in.Weights = d.Weights.data.([]F)
	}
	if b.MaskType != "" {
		if s.in.Mask = d.Mask.bytesOf(); s.in.Mask == nil {
			s.in.MaskF = d.Mask.data.([]F)
		}
	}
	if b.Normalized {
		s.in.Normalizer = float64(d.Normalizer.data.([]F)[0])
	}
	wrt, ok := b.FloatAt(c.wrt)
	if !ok {
		return noGradient(b, c.wrt)
	}
	r.Wrt = wrt
	var err error
	if c.dst != nil {
		if r.Dst, err = output[F](b, c.dst, "dst", b.ShapeOf(wrt), operands, d); err != nil {
			return err
		}
	}
	for i := range c.each {
		if c.each[i].data == nil && c.each[i].err == nil {
			continue
		}
		k, ok := b.FloatAt(i)
		if !ok {
			return noGradient(b, i)
		}
		if r.Each == nil {
			r.Each = new([core.MaxOperands][]F)
		}
		if r.Each[k], err = output[F](b, &c.each[i], "dst", b.ShapeOf(k), operands, d); err != nil {
			return err
		}
	}
	if c.values != nil {
		if r.Out, err = output[F](b, c.values, "dst", b.Values, operands, d); err != nil {
			return err
		}
	}
	if c.direction != nil {
		if s.in.Dir, err = input[F](b, c.direction, "direction", b.Shape); err != nil {
			return err
		}
	}
	if c.order == core.OrderValue {
		if b.Set.Reduction == core.None && r.Out == nil {
			return core.Faultf(core.ErrShape, b.Def.Name, "dst is missing")
		}
		return nil
	}
	if d.Upstream.data == nil && d.Upstream.err == nil {
		return nil
	}
	s.in.Upstream, err = input[F](b, &d.Upstream, "Data.Upstream", b.Result())
	return err
}

// noGradient returns the error for there being no gradient by operand k.
func noGradient(b *core.Bound, k int) error {
	if b.Linked() {
		return core.Faultf(core.ErrShape, b.Def.Name, "operand %d has no gradient, want one that is not data", k)
	}
	return core.Faultf(core.ErrShape, b.Def.Name, "operand %d has no gradient, want one of the first %d", k, b.Floats)
}

// input returns an operand's elements if it has the dtype of the loss and the shape.
func input[F core.Float](b *core.Bound, o *Operand, name string, shape core.Shape) ([]F, error) {
	if o.err != nil {
		return nil, core.Faultf(core.ErrShape, b.Def.Name, "%s has %v", name, o.err)
	}
	x, ok := o.data.([]F)
	switch {
	case o.data == nil:
		return nil, core.Faultf(core.ErrShape, b.Def.Name, "%s is missing", name)
	case !ok:
		return nil, core.Faultf(core.ErrDType, b.Def.Name, "%s has dtype %v, want %v like %s", name, o.given.DType, b.DType, b.OperandName(0))
	case !o.given.Shape.Equal(shape):
		return nil, core.Faultf(core.ErrShape, b.Def.Name, "%s has shape %s, want %s to match %s %s", name, o.given.Shape, shape, b.OperandName(0), b.Shape)
	}
	return x, nil
}

// output is input for a result, which must share no memory with what is read.
func output[F core.Float](b *core.Bound, o *Operand, name string, shape core.Shape, operands []Operand, d *Data) ([]F, error) {
	x, err := input[F](b, o, name, shape)
	if err != nil {
		return nil, err
	}
	if o.copied {
		return nil, core.Faultf(core.ErrShape, b.Def.Name, "%s is a copy of a scalar or of a tensor not in row-major order, want memory to write to", name)
	}
	for i := range operands {
		if o.overlaps(&operands[i]) {
			return nil, core.Faultf(core.ErrShape, b.Def.Name, "%s overlaps %s, want memory of its own", name, b.OperandName(i))
		}
	}
	if o.overlaps(&d.Bias) || o.overlaps(&d.Weights) || o.overlaps(&d.Mask) || o.overlaps(&d.Upstream) {
		return nil, core.Faultf(core.ErrShape, b.Def.Name, "%s overlaps an entry of Data, want memory of its own", name)
	}
	return x, nil
}
