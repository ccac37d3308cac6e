package eager

import (
	"maps"
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
	// optional are the options that give operands of the loss, in the order of its declaration.
	optional []core.OptionSet
	last     atomic.Pointer[binding]
}

// newLoss checks the options of the loss of that name.
func newLoss(name string, opts []loss.Option) (*Loss, error) {
	d := core.Lookup(name)
	set, err := core.Configure(d, opts)
	if err != nil {
		return nil, err
	}
	for _, o := range set.Given.Operands() {
		_, field := new(Data).of(o)
		return nil, core.Faultf(core.ErrOption, d.Name, "%s holds a node, want Data.%s here", o.Name(), field)
	}
	if d.Node { // nothing is reduced
		set.Reduction = core.None
	}
	l := &Loss{def: d, set: set, none: set}
	for _, o := range d.Operands[len(d.Required()):] {
		l.optional = append(l.optional, o.Option)
	}
	l.none.Reduction = core.None
	if set.Has(core.OptNormalizer) {
		l.none.Normalizer = 0
	}
	return l, nil
}

// Constructors returns the constructors of this package by the names of their losses, which are
// those of package loss.
func Constructors() map[string]func(...loss.Option) (*Loss, error) { return maps.Clone(constructors) }

// Place returns the place of an operand among all of the loss, those of options included, by which
// [Loss.Gradient] and [Loss.ValueGradients] count; -1 for a name that is none.
func (l *Loss) Place(operand string) int {
	for k, o := range l.def.Operands {
		if o.Name == operand {
			return k
		}
	}
	return -1
}

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
// of the values, and returns the value, which is 0 under loss.None. It is for losses whose operands
// have shapes of their own, such as [LinearCrossEntropy]: dst has one entry for each operand, and
// after them for those that options give, such as Data.Bias. The zero Operand stands for a gradient
// that is not wanted.
func (l *Loss) ValueGradients(dst []Operand, d Data, operands ...Operand) (float64, error) {
	order := core.OrderBoth
	if l.set.Reduction == core.None {
		order = core.OrderGradient
	}
	if l.def.Linked == nil && l.def.Grouped == nil {
		return 0, core.Faultf(core.ErrOption, l.def.Name, "the operands have one shape and no product, want ValueGradient or Gradient")
	}
	if n := len(l.def.Operands); len(dst) > n {
		return 0, core.Faultf(core.ErrShape, l.def.Name, "%d gradients, want at most %d, for the operands and those of options", len(dst), n)
	}
	return l.evaluate(call{order: order, each: dst}, &d, operands)
}

// Gradient writes the gradient by operand k, counted from 0, times the upstream, to dst, which has
// that operand's shape. There is no gradient by labels. Operands that options give, such as
// Data.Bias, are counted after the others.
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
		return run[float32](l, b, &c, d, operands)
	}
	return run[float64](l, b, &c, d, operands)
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
func run[F core.Float](l *Loss, b *core.Bound, c *call, d *Data, operands []Operand) (float64, error) {
	s := getState[F]()
	defer s.put()
	r := core.Request[F]{Order: c.order, Wrt: c.wrt, Then: c.then}
	if err := s.read(l, b, c, d, operands, &r); err != nil {
		return 0, err
	}
	result, err := core.Evaluate(b, &s.in, &r)
	return float64(F(result.Value)), err
}

// read takes the inputs and results of a call.
func (s *state[F]) read(l *Loss, b *core.Bound, c *call, d *Data, operands []Operand, r *core.Request[F]) error {
	float, integer := 0, 0
	take := func(o *Operand) {
		if x, ok := o.data.([]F); ok {
			s.in.X[float] = x
			float++
		} else {
			s.in.Ints[integer] = o.ints()
			integer++
		}
	}
	for i := range operands {
		take(&operands[i])
	}
	for _, o := range l.optional {
		if operand, _ := d.of(o); operand.present() {
			take(operand)
		}
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
	if !ok && c.order != core.OrderValue {
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
	if b.Separate() {
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
	overlaps := o.overlaps(&d.Upstream)
	for _, option := range dataOptions {
		if operand, _ := d.of(option); operand.present() {
			overlaps = overlaps || o.overlaps(operand)
		}
	}
	if overlaps {
		return nil, core.Faultf(core.ErrShape, b.Def.Name, "%s overlaps an entry of Data, want memory of its own", name)
	}
	return x, nil
}
