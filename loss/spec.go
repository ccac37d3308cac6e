package loss

import (
	"fmt"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A definition is a loss without its data: what the public function of that name builds nodes from.
type definition struct {
	name     string
	takes    knob
	defaults settings
	pred     Domain
	target   Domain
	extra    []Domain // of the operands after pred and target, as in GaussianNLL
	names    []string // of the operands in errors; the domains' own names without it
	// elementwise losses have one value per element, the others one per example with the class axis removed.
	elementwise bool
	// rows makes the row function; classes is the length of the class axis and inner the number of elements
	// between two neighbours on it.
	rows func(s *settings, classes, inner int) rowFunc
	// fast makes the kernels, for the losses that have them.
	fast fast
	// careful is the value below which the row function computes it, because kernels lose its digits; 0 for none.
	careful float64
	// retarget gives the target's domain where the settings change it; may be nil.
	retarget func(s *settings) Domain
	// check refuses combinations of settings; may be nil.
	check func(s *settings, target Domain, classes int) error
	// multilabel losses have a target of its own for every class: under class weights a row counts with their mean.
	multilabel bool
	// observed values are there to be looked at: they have no derivative.
	observed bool
	laws     Law
	// the nearest functions of other toolkits, for the documentation
	torch, keras, optax string
}

// A spec is a definition bound to dtypes and shapes; it never changes, and everything in it but ahead is part of the
// identity of the operations that share it.
type spec struct {
	def      *definition
	set      settings
	dtype    tensor.Dtype
	shape    tensor.Shape // of every floating operand
	outShape tensor.Shape
	// the operand as outer × classes × inner; for elementwise losses the split tells the class of an element
	outer, classes, inner int
	operands              int // floating operands
	domain                [maxOperands]Domain
	labels                tensor.Dtype // zero value without integer labels
	lists                 bool         // the labels are lists of classes in the shape of the operands
	mask                  tensor.Dtype // zero value without a mask
	weighted, normalized  bool
	// bare specs have no reduction and no upstream: they are the derivative of a row-to-row node
	bare bool
	fn   rowFunc
	text string
	// kernels is the *direct of the dtype, nil where there is none
	kernels any
	ahead   *advance // shared by the operations of a spec that keeps memory; no part of its identity
}

func (s *spec) hasLabels() bool { return s.labels != tensor.Dtype{} }
func (s *spec) hasMask() bool   { return s.mask != tensor.Dtype{} }

// positions of the operands in the list of children
func (s *spec) labelsAt() int  { return s.operands }
func (s *spec) weightsAt() int { return s.labelsAt() + count(s.hasLabels()) }
func (s *spec) maskAt() int    { return s.weightsAt() + count(s.weighted) }
func (s *spec) normAt() int    { return s.maskAt() + count(s.hasMask()) }
func (s *spec) base() int      { return s.normAt() + count(s.normalized) }

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// coupled specs have a denominator that depends on a differentiable operand: the soft target under class weights.
func (s *spec) coupled() bool {
	return s.set.reduction == Mean && s.set.classWeights != nil && !s.hasLabels() && !s.def.multilabel && !s.normalized && s.set.normalizer == 0 && !s.bare
}

// resultShape is the shape of the loss: scalar unless the reduction is None.
func (s *spec) resultShape() tensor.Shape {
	if s.set.reduction == None {
		return s.outShape
	}
	return tensor.ScalarShape()
}

// splitAxis writes a shape as outer × n × inner around an axis that may count from the end.
func splitAxis(shape tensor.Shape, axis int) (outer, n, inner int, out tensor.Shape, ok bool) {
	if axis < 0 {
		axis += len(shape)
	}
	if axis < 0 || axis >= len(shape) {
		return 0, 0, 0, nil, false
	}
	outer, inner = 1, 1
	for i, d := range shape {
		switch {
		case i < axis:
			outer *= d
		case i > axis:
			inner *= d
		}
		if i != axis {
			out = append(out, d)
		}
	}
	return outer, shape[axis], inner, out, true
}

// build checks the operands of a two-operand loss and adds its node to their graph.
func (d *definition) build(pred, target *G.Node, opts []Option) (*G.Node, error) {
	return d.assemble(opts, pred, target)
}

// assemble is build for the operands pred, target and d.extra.
func (d *definition) assemble(opts []Option, nodes ...*G.Node) (*G.Node, error) {
	set, err := configure(d.name, d.takes, d.defaults, opts)
	if err != nil {
		return nil, err
	}
	s := &spec{def: d, set: set, operands: 1}
	s.domain[0] = d.pred
	first := nodes[0]
	if err := s.bindFirst(d.operandName(0), first); err != nil {
		return nil, err
	}
	for k, n := range nodes[1:] {
		if err := s.sameGraph(first, n, d.operandName(k+1)); err != nil {
			return nil, err
		}
		if i := slices.Index(nodes[:k+1], n); i >= 0 {
			return nil, faultf(ErrShape, d.name, "%s and %s are the same node", d.operandName(i), d.operandName(k+1))
		}
	}
	s.operands = len(nodes)
	if last := s.operands - 1; d.labelled(last, nodes[last].Dtype()) {
		if err := s.bindLabels(d.operandName(last), nodes[last]); err != nil {
			return nil, err
		}
		s.operands = last
	}
	for k := 1; k < s.operands; k++ {
		if s.domain[k] = d.target.soft(); k > 1 {
			s.domain[k] = d.extra[k-2]
		} else if d.retarget != nil {
			s.domain[1] = d.retarget(&s.set)
		}
		if err := s.checkFloat(k, nodes[k]); err != nil {
			return nil, err
		}
	}
	return s.finish(first, nodes)
}

// labelled reports whether operand k, of the dtype and the last one, is integer labels or lists of them.
func (d *definition) labelled(k int, dt tensor.Dtype) bool {
	domain := d.target
	if k > 1 {
		domain = d.extra[k-2]
	}
	return domain == ClassLists || domain.takesLabels() && (isInteger(dt) || k > 1)
}

// bindLabels checks the integer operand.
func (s *spec) bindLabels(name string, n *G.Node) error {
	d := s.def
	if name == d.target.targetName() && d.target.takesLabels() {
		name = "labels" // also where the target may be floating
	}
	if s.labels = n.Dtype(); !isInteger(s.labels) {
		return faultf(ErrDType, d.name, "%s %s dtype %v, want Int, Int64, Int32 or Uint8", name, has(name), s.labels)
	}
	want := s.outShape
	if s.lists = d.target == ClassLists; s.lists {
		want = s.shape
	}
	if !sameShape(n.Shape(), want) {
		return faultf(ErrShape, d.name, "%s %s shape %s, want %s to match %s %s", name, has(name),
			shapeText(n.Shape()), shapeText(want), d.operandName(0), shapeText(s.shape))
	}
	return nil
}

// has is the verb for an operand's name.
func has(name string) string {
	if plural(name) {
		return "have"
	}
	return "has"
}

func plural(name string) bool {
	return name == "labels" || name == "lists" || name == "weights" || strings.HasSuffix(name, "ogits") || name == "cosines"
}

// labelShape is the shape of the integer operand.
func (s *spec) labelShape() tensor.Shape {
	if s.lists {
		return s.shape
	}
	return s.outShape
}

// operandName is the name of operand k in error messages.
func (d *definition) operandName(k int) string {
	switch {
	case d.names != nil:
		return d.names[k]
	case k == 0:
		return d.pred.predName()
	}
	return d.target.targetName()
}

// checkFloat checks a floating operand after the first, or reports one of a dtype that the loss cannot take.
func (s *spec) checkFloat(k int, n *G.Node) error {
	d := s.def
	name, first := d.operandName(k), d.operandName(0)
	if k == 1 && d.target == Labels {
		return faultf(ErrDType, d.name, "labels have dtype %v, want Int, Int64, Int32 or Uint8", n.Dtype())
	}
	if n.Dtype() != s.dtype {
		or := ""
		if k == 1 && d.target.takesLabels() {
			or = ", or Int, Int64, Int32 or Uint8 labels"
		}
		return faultf(ErrDType, d.name, "%s has dtype %v, want %v like %s%s", name, n.Dtype(), s.dtype, first, or)
	}
	if !sameShape(n.Shape(), s.shape) {
		return faultf(ErrShape, d.name, "%s has shape %s, want %s to match %s", name, shapeText(n.Shape()), shapeText(s.shape), first)
	}
	if k == 1 && s.set.given&knobIgnoreIndex != 0 && !s.hasLabels() {
		return faultf(ErrOption, d.name, "WithIgnoreIndex needs integer labels, %s has dtype %v", name, n.Dtype())
	}
	return nil
}

// bindFirst takes dtype, shape and axis from the first operand.
func (s *spec) bindFirst(name string, n *G.Node) error {
	d := s.def
	if n == nil {
		return faultf(ErrShape, d.name, "%s is nil", name)
	}
	s.dtype, s.shape = n.Dtype(), n.Shape().Clone()
	if s.dtype != tensor.Float64 && s.dtype != tensor.Float32 {
		return faultf(ErrDType, d.name, "%s %s dtype %v, want float32 or float64", name, has(name), s.dtype)
	}
	if s.shape.TotalSize() == 0 {
		return faultf(ErrShape, d.name, "%s %s shape %s, want no empty axis", name, has(name), shapeText(s.shape))
	}
	if d.elementwise && len(s.shape) == 0 {
		s.outer, s.classes, s.inner = 1, 1, 1
		return nil
	}
	var ok bool
	if s.outer, s.classes, s.inner, s.outShape, ok = splitAxis(s.shape, s.set.axis); !ok {
		if len(s.shape) == 0 {
			return faultf(ErrShape, d.name, "%s is a scalar, want at least a class axis", name)
		}
		return faultf(ErrOption, d.name, "WithAxis is %d, want an axis of %s %s", s.set.axis, name, shapeText(s.shape))
	}
	if d.elementwise {
		s.outShape = s.shape
	}
	return nil
}

func (s *spec) sameGraph(first, n *G.Node, name string) error {
	if n == nil {
		return faultf(ErrShape, s.def.name, "%s is nil", name)
	}
	if n.Graph() != first.Graph() {
		verb := "belongs"
		if plural(name) {
			verb = "belong"
		}
		return faultf(ErrShape, s.def.name, "%s %s to another graph than %s", name, verb, s.def.operandName(0))
	}
	return nil
}

// finish checks the settings that depend on shapes and the node-valued options, and applies the operation.
func (s *spec) finish(first *G.Node, kids G.Nodes) (*G.Node, error) {
	d, name := s.def, s.def.name
	target := s.domain[1]
	if s.hasLabels() {
		target = Labels
	}
	for _, list := range []struct {
		option string
		w      []float64
		single bool
	}{{"WithClassWeights", s.set.classWeights, false}, {"WithPosWeight", s.set.posWeight, true}} {
		if n := len(list.w); n != 0 && n != s.classes && !(list.single && n == 1) {
			return nil, faultf(ErrOption, name, "%s has %d entries, want %d, one for each class", list.option, n, s.classes)
		}
	}
	if d.check != nil {
		if err := d.check(&s.set, target, s.classes); err != nil {
			return nil, faultf(ErrOption, name, "%v", err)
		}
	}
	nodes := s.set.nodes
	if w := nodes.weights; w != nil {
		if err := s.sameGraph(first, w, "weights"); err != nil {
			return nil, err
		}
		if w.Dtype() != s.dtype {
			return nil, faultf(ErrDType, name, "weights have dtype %v, want %v like %s", w.Dtype(), s.dtype, d.operandName(0))
		}
		if err := s.perValue("weights", w); err != nil {
			return nil, err
		}
		s.weighted = true
		kids = append(kids, w)
	}
	if m := nodes.mask; m != nil {
		if err := s.sameGraph(first, m, "mask"); err != nil {
			return nil, err
		}
		if t := m.Dtype(); t != tensor.Bool && t != tensor.Uint8 && t != s.dtype {
			return nil, faultf(ErrDType, name, "mask has dtype %v, want Bool, Uint8 or %v like %s", t, s.dtype, d.operandName(0))
		}
		if err := s.perValue("mask", m); err != nil {
			return nil, err
		}
		s.mask = m.Dtype()
		kids = append(kids, m)
	}
	if n := nodes.normalizer; n != nil {
		if err := s.sameGraph(first, n, "normalizer"); err != nil {
			return nil, err
		}
		if n.Dtype() != s.dtype {
			return nil, faultf(ErrDType, name, "normalizer has dtype %v, want %v like %s", n.Dtype(), s.dtype, d.operandName(0))
		}
		if !n.Shape().IsScalar() {
			return nil, faultf(ErrShape, name, "normalizer has shape %s, want ()", shapeText(n.Shape()))
		}
		s.normalized = true
		kids = append(kids, n)
	}
	s.seal()
	return apply(newOp(s, plan{}), kids)
}

// perValue checks that a weight or mask has one entry per value of the loss.
func (s *spec) perValue(what string, n *G.Node) error {
	if !sameShape(n.Shape(), s.outShape) {
		return faultf(ErrShape, s.def.name, "%s %s shape %s, want %s to match %s %s", what, has(what), shapeText(n.Shape()),
			shapeText(s.outShape), s.def.operandName(0), shapeText(s.shape))
	}
	return nil
}

// seal fixes the row function and the text that identifies the spec.
func (s *spec) seal() {
	if s.set.unchecked {
		s.domain = [maxOperands]Domain{}
	}
	s.fn = s.def.rows(&s.set, s.classes, s.inner)
	if s.dtype == tensor.Float32 {
		s.kernels = kernelsOf(s, s.def.fast.f32)
	} else {
		s.kernels = kernelsOf(s, s.def.fast.f64)
	}
	kinds := ""
	if s.hasLabels() {
		kinds += " labels=" + s.labels.String()
	}
	if s.hasMask() {
		kinds += " mask=" + s.mask.String()
	}
	s.text = fmt.Sprintf("loss.%s %s %v %v/%d·%d·%d operands=%d weights=%t normalizer=%t bare=%t%s", s.def.name, s.set.text(),
		s.dtype, []int(s.shape), s.outer, s.classes, s.inner, s.operands, s.weighted, s.normalized, s.bare, kinds)
}

func sameShape(a, b tensor.Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func isInteger(t tensor.Dtype) bool {
	return t == tensor.Int || t == tensor.Int64 || t == tensor.Int32 || t == tensor.Uint8
}

// one builds a node of a single operand: the values of each row under no reduction.
func (d *definition) one(x *G.Node, opts []Option) (*G.Node, error) {
	set, err := configure(d.name, d.takes, d.defaults, opts)
	if err != nil {
		return nil, err
	}
	set.reduction = None
	s := &spec{def: d, set: set, operands: 1}
	s.domain[0] = d.pred
	if err := s.bindFirst(d.operandName(0), x); err != nil {
		return nil, err
	}
	s.seal()
	return apply(newOp(s, plan{}), G.Nodes{x})
}
