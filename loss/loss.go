package loss

import (
	"iter"
	"slices"

	G "gorgonia.org/gorgonia"
)

// A Func is a loss of two operands: what the model produced and what the data says. It adds the loss to their graph and
// returns its node: a scalar under [Mean] and [Sum], one value per example (per element for elementwise losses)
// under [None]. It returns an error instead of a node, and adds nothing, when an operand or option does not fit.
type Func func(pred, target *G.Node, opts ...Option) (*G.Node, error)

// A Law is a set of properties that a loss has whatever its data; the tests hold each loss to its laws.
type Law uint16

const (
	// ShiftInvariant: adding a constant to a row of logits changes nothing, so a gradient row sums to 0.
	ShiftInvariant Law = 1 << iota
	// Symmetric: l(p, t) = l(t, p), and l is a function of p - t.
	Symmetric
	// NonNegative: the value is never below 0.
	NonNegative
	// ZeroAtEqual: the value is 0 where prediction and target describe the same thing.
	ZeroAtEqual
	// Convex: convex in the prediction.
	Convex
)

// Info describes a registered loss.
type Info struct {
	Name         string
	Pred, Target Domain   // what the operands hold
	Elementwise  bool     // one value per element instead of one per example
	Options      []string // the options that the loss takes
	Laws         Law
	// The nearest functions of other toolkits, "" where there is none.
	Torch, Keras, Optax string
}

// An entry registers a loss; each family's file lists its own.
type entry struct {
	def *definition
	fn  Func
}

// registry lists the losses in the order of the documentation.
var registry = slices.Concat(multiclassLosses, binaryLosses, regressionLosses, divergenceLosses)

// All yields the name and function of every registered loss.
func All() iter.Seq2[string, Func] {
	return func(yield func(string, Func) bool) {
		for _, e := range registry {
			if !yield(e.def.name, e.fn) {
				return
			}
		}
	}
}

// Lookup returns the loss of that name, which is the name of its function.
func Lookup(name string) (Func, bool) {
	for n, f := range All() {
		if n == name {
			return f, true
		}
	}
	return nil, false
}

// Describe returns what is known about the loss of that name.
func Describe(name string) (Info, bool) {
	for _, e := range registry {
		if d := e.def; d.name == name {
			return Info{d.name, d.pred, d.target, d.elementwise, d.takes.names(), d.laws, d.torch, d.keras, d.optax}, true
		}
	}
	return Info{}, false
}
