package train

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
)

// wrongOp is an operation of Gorgonia that computes something else than it says.
type wrongOp struct {
	name string // the function that makes it
	what string
	lisp bool // right in Fit, wrong on a LispMachine or by gorgonia.Grad
}

// wrongOps are those of Gorgonia v0.9.18, by the name of their Go type, or of their function for
// operations of numbers.
var wrongOps = map[string]wrongOp{
	"softmaxOp":           {name: "SoftMax", what: "Gorgonia's SoftMax takes the row maximum from the whole tensor and its logarithm changes it in place; return logits, or use loss.Softmax or loss.LogSoftmax"},
	"sparsemaxOp":         {name: "Sparsemax", what: "Gorgonia's Sparsemax is wrong on axis 0"},
	"dropoutOp":           {name: "Dropout", what: "Gorgonia's Dropout scales gradients by 1/p; use Builder.Dropout"},
	"randomOp":            {name: "Random", what: "a random operation of Gorgonia draws from a source that no seed of this package reaches; use Builder.Dropout for dropout"},
	"ctcLossOp":           {name: "CTCLoss", what: "Gorgonia's CTCLoss does not divide its mean gradient and fails on padded steps"},
	"byIndicesOp":         {name: "ByIndices", what: "Gorgonia's ByIndices has a wrong gradient on axis 1; use Builder.Embedding to look up rows"},
	"BatchNormOp":         {name: "BatchNorm", what: "Gorgonia's BatchNorm keeps statistics that a checkpoint does not hold and a padded batch disturbs; use Builder.BatchNorm"},
	"avgPoolOp":           {name: "AveragePool2D", what: "Gorgonia's AveragePool2D has a wrong gradient; use Builder.MeanPool2D"},
	"globalAveragePoolOp": {name: "GlobalAveragePool2D", what: "Gorgonia's GlobalAveragePool2D has no gradient; take the Mean along axes 2 and 3"},
	"atOp":                {name: "At", what: "Gorgonia's At has no gradient; use Slice"},
	"log2":                {name: "Log2", what: "Gorgonia's Log2 has a wrong gradient by gorgonia.Grad; Fit's is right", lisp: true},
	"invSqrt":             {name: "InverseSqrt", what: "Gorgonia's InverseSqrt has a wrong gradient by gorgonia.Grad; Fit's is right", lisp: true},
	"maxBetween":          {name: "MaxBetween", what: "Gorgonia's MaxBetween has a wrong gradient on a LispMachine", lisp: true},
	"minBetween":          {name: "MinBetween", what: "Gorgonia's MinBetween has a wrong gradient on a LispMachine", lisp: true},
}

// wrong returns what is known to be wrong about the operation of a node, nil where nothing is.
func wrong(n *G.Node) *wrongOp {
	op := n.Op()
	if op == nil {
		return nil
	}
	t := reflect.TypeOf(op)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := t.Name()
	if name == "elemUnaryOp" {
		name = fmt.Sprint(op)
	}
	if w, ok := wrongOps[name]; ok && strings.HasSuffix(t.PkgPath(), "gorgonia.org/gorgonia") {
		return &w
	}
	return nil
}

// Allow permits operations of Gorgonia that are otherwise refused because they do not compute what
// their names say, draw random numbers that no seed controls, or have no correct gradient: SoftMax,
// Sparsemax, Dropout, Random, CTCLoss, ByIndices, BatchNorm, AveragePool2D, GlobalAveragePool2D and
// At. They are named by the functions that make them, and [Lint] still reports them. Neither
// [loss.Gradients] nor Fit differentiates through Dropout, CTCLoss, AveragePool2D,
// GlobalAveragePool2D or At.
func (b *Builder) Allow(operations ...string) error {
	for _, name := range operations {
		known := false
		for _, w := range wrongOps {
			known = known || w.name == name && !w.lisp
		}
		if !known {
			return fmt.Errorf("train.Allow: %q is not refused; refused are %q", name, refused())
		}
		b.allowed = append(b.allowed, name)
	}
	return nil
}

func refused() (names []string) {
	for _, w := range wrongOps {
		if !w.lisp {
			names = append(names, w.name)
		}
	}
	slices.Sort(names)
	return names
}

// buildSound builds a model of which everything is known to be right: no operation that is not, and
// no leaf whose numbers are drawn anew for every graph. Those would be others in training,
// evaluation and after loading.
func buildSound(model Network, inputs map[string]data.Field, params *paramSet, batch int, training bool) (*forward, error) {
	f, err := build(model, inputs, params, batch, training)
	if err != nil {
		return nil, err
	}
	own := f.own()
	for n := range loss.Walk(f.roots()...) {
		if w := wrong(n); w != nil && !w.lisp && !slices.Contains(f.allowed, w.name) {
			return nil, fmt.Errorf("the model uses %v: %s; Builder.Allow(%q) takes it as it is", n.Op(), w.what, w.name)
		}
	}
	foreign := f.foreign(own)
	if len(foreign) == 0 {
		return f, nil
	}
	for _, n := range foreign {
		if n.Op() == nil && n.Value() == nil {
			return nil, fmt.Errorf("the model has a leaf %s without a value: only the trainer's inputs are filled", leafText(n))
		}
	}
	again, err := build(model, inputs, params.with(params.list), batch, training)
	if err != nil {
		return nil, fmt.Errorf("building the model once more: %w", err)
	}
	second := again.foreign(again.own())
	for i, n := range foreign {
		if i >= len(second) || !sameLeaf(n, second[i]) {
			return nil, fmt.Errorf("the model has a leaf %s that is no parameter and is not the same each time the model is built: "+
				"make it by Builder.Param, which trains and saves it, or give it the same numbers each time", leafText(n))
		}
	}
	return f, nil
}

// own returns the leaves that the trainer makes: parameters, the inputs and the patterns of
// dropout.
func (f *forward) own() map[*G.Node]string {
	leaves := make(map[*G.Node]string)
	for _, c := range f.in {
		leaves[c.node] = "input"
	}
	for _, n := range f.leaves {
		leaves[n] = "parameter"
	}
	for _, n := range f.noises {
		leaves[n.node] = "mask"
	}
	if f.present != nil {
		leaves[f.present.node] = "mask"
	}
	return leaves
}

// foreign returns the other leaves and the constants that the outputs depend on, in the order in
// which it does.
func (f *forward) foreign(own map[*G.Node]string) (found G.Nodes) {
	for n, operands := range loss.Walk(f.roots()...) {
		if len(operands) == 0 && own[n] == "" {
			found = append(found, n)
		}
	}
	return found
}

func leafText(n *G.Node) string { return fmt.Sprintf("%q of shape %v", n.Name(), n.Shape()) }

// sameLeaf reports whether two leaves hold the same numbers. NaN is the same as NaN: what matters
// is what a graph computes from them.
func sameLeaf(a, b *G.Node) bool {
	va, vb := leafValue(a), leafValue(b)
	if va == nil || vb == nil {
		return va == nil && vb == nil
	}
	if !va.Shape().Eq(vb.Shape()) || va.Dtype() != vb.Dtype() {
		return false
	}
	switch x := va.Data().(type) {
	case []float32:
		return slices.EqualFunc(x, vb.Data().([]float32), same)
	case []float64:
		return slices.EqualFunc(x, vb.Data().([]float64), same)
	default:
		return reflect.DeepEqual(x, vb.Data())
	}
}

func same[F float32 | float64](a, b F) bool { return a == b || a != a && b != b }

func leafValue(n *G.Node) G.Value {
	if c, ok := n.Op().(interface{ Value() G.Value }); ok {
		return c.Value()
	}
	return n.Value()
}
