package loss

import (
	"iter"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/graph"
	G "gorgonia.org/gorgonia"
)

// A Func is a loss of two operands: what the model produced and what the data says. It adds the
// loss to their graph and returns its node: a scalar under [Mean] and [Sum], one value per example
// (per element for elementwise losses) under [None]. It returns an error instead of a node, and
// adds nothing, when an operand or option does not fit.
type Func func(pred, target *G.Node, opts ...Option) (*G.Node, error)

// A Law is a set of properties that a loss has whatever its data; the tests hold each loss to its
// laws.
type Law = core.Law

const (
	// ShiftInvariant: adding a constant to a row of logits changes nothing, so a gradient row sums
	// to 0.
	ShiftInvariant = core.ShiftInvariant
	// Symmetric: l(p, t) = l(t, p), and l is a function of p - t.
	Symmetric = core.Symmetric
	// NonNegative: the value is never below 0.
	NonNegative = core.NonNegative
	// ZeroAtEqual: the value is 0 where prediction and target describe the same thing.
	ZeroAtEqual = core.ZeroAtEqual
	// Convex: convex in the prediction.
	Convex = core.Convex
)

// Info describes a registered loss.
type Info struct {
	Name         string
	Family       string   // the name of its family
	Operands     []string // their names in error messages
	Pred, Target Domain   // what the first two operands hold
	Holds        []Domain // what each operand holds
	Elementwise  bool     // one value per element instead of one per example
	Options      []string // the options that the loss takes
	Node         bool     // a node, such as TokenLogProb: its values are no loss and are not reduced
	Product      bool     // the first two operands are the factors of the logits
	Grouped      bool     // a value reads more than a row: a list, an image, a sequence or the batch
	Laws         Law
	// The nearest functions of other toolkits, "" where there is none; Others lists those beyond the
	// three, with the options that reproduce them.
	Torch, Keras, Optax, Others string

	def *core.Definition
}

// Call adds the loss to the graph of its operands, which are in the order of Operands, and returns
// its node.
func (i Info) Call(operands []*G.Node, opts ...Option) (*G.Node, error) {
	if i.def == nil {
		return nil, core.Faultf(ErrOption, i.Name, "not a registered loss; Losses and Describe return those")
	}
	if len(operands) != len(i.Operands) {
		return nil, core.Faultf(ErrShape, i.Name, "%d operands, want %d", len(operands), len(i.Operands))
	}
	return build(i.def, opts, operands...)
}

// An entry registers a loss; each family's file lists its own.
type entry struct {
	def *core.Definition
	fn  Func
}

// families lists the losses in the order of the documentation; each family's file lists its own.
var families = []struct {
	name   string
	losses []entry
	wide   []*core.Definition // of more than two operands
}{
	{"Multi-class", multiclassLosses, []*core.Definition{&distillation, &linearCrossEntropy, &tokenLogProb, &linearTokenLogProb}},
	{"Binary and multi-label", binaryLosses, nil},
	{"Regression", regressionLosses, nil},
	{"Quantiles and tolerances", quantileLosses, nil},
	{"Relative errors", relativeLosses, nil},
	{"Robust regression", robustLosses, nil},
	{"Counts and positive amounts", countLosses, nil},
	{"Location-scale likelihoods", nil, likelihoodLosses},
	{"Similarity", directionLosses, nil},
	{"Divergences", divergenceLosses, []*core.Definition{&gaussianKL}},
	{"Overlap", overlapLosses, overlapWide},
	{"Ranking", rankingLosses, nil},
	{"Embeddings", embeddingLosses, embeddingWide},
	{"Contrastive", contrastiveLosses, contrastiveWide},
	{"Preference and policy", preferenceLosses, preferenceWide},
	{"Sequences", sequenceLosses, sequenceWide},
	{"Transport", transportLosses, transportWide},
	{"Scores and imbalance", scoreLosses, scoreWide},
	{"Survival", survivalLosses, survivalWide},
}

func init() {
	for _, f := range families {
		for _, e := range f.losses {
			core.Register(e.def)
		}
		for _, d := range f.wide {
			core.Register(d)
		}
	}
}

// A Family is a group of losses with the same kind of target.
type Family struct {
	Name   string
	Losses []string // names; those of two operands first
}

// Families returns the losses by family, in the order of the documentation.
func Families() []Family {
	var out []Family
	for _, f := range families {
		if len(f.losses)+len(f.wide) == 0 {
			continue
		}
		family := Family{Name: f.name}
		for _, e := range f.losses {
			family.Losses = append(family.Losses, e.def.Name)
		}
		for _, d := range f.wide {
			family.Losses = append(family.Losses, d.Name)
		}
		out = append(out, family)
	}
	return out
}

// All yields the name and function of every loss of two operands.
func All() iter.Seq2[string, Func] {
	return func(yield func(string, Func) bool) {
		for _, f := range families {
			for _, e := range f.losses {
				if !yield(e.def.Name, e.fn) {
					return
				}
			}
		}
	}
}

// Lookup returns the loss of two operands of that name, which is the name of its function.
func Lookup(name string) (Func, bool) {
	for n, f := range All() {
		if n == name {
			return f, true
		}
	}
	return nil, false
}

// Losses yields every registered loss, of any number of operands, in the order of the
// documentation.
func Losses() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		for _, f := range families {
			for _, e := range f.losses {
				if !yield(info(e.def, f.name)) {
					return
				}
			}
			for _, d := range f.wide {
				if !yield(info(d, f.name)) {
					return
				}
			}
		}
	}
}

// Describe returns what is known about the loss of that name, of any number of operands.
func Describe(name string) (Info, bool) {
	for _, f := range families {
		for _, e := range f.losses {
			if e.def.Name == name {
				return info(e.def, f.name), true
			}
		}
		for _, d := range f.wide {
			if d.Name == name {
				return info(d, f.name), true
			}
		}
	}
	return Info{}, false
}

// info describes a loss.
func info(d *core.Definition, family string) Info {
	info := Info{Name: d.Name, Family: family, Pred: d.Operands[0].Holds, Elementwise: d.Elementwise(), Node: d.Node, Product: d.Linked != nil, Grouped: d.Grouped != nil,
		Options: d.OptionNames(), Laws: d.Laws, Torch: d.Torch, Keras: d.Keras, Optax: d.Optax, Others: d.Others, def: d}
	if len(d.Operands) > 1 {
		info.Target = d.Operands[1].Holds
	}
	for _, o := range d.Required() {
		info.Operands, info.Holds = append(info.Operands, o.Name), append(info.Holds, o.Holds)
	}
	return info
}

// build configures a loss and adds its node to the graph of its operands.
func build(d *core.Definition, opts []Option, operands ...*G.Node) (*G.Node, error) {
	set, err := core.Configure(d, opts)
	if err != nil {
		return nil, err
	}
	return graph.Build(d, set, operands...)
}

// buildNode adds a node of one operand: the value of each row or element, under no reduction.
func buildNode(d *core.Definition, opts []Option, x *G.Node) (*G.Node, error) {
	return buildValues(d, opts, x)
}

// buildValues adds a node of several operands: the value of each row, under no reduction.
func buildValues(d *core.Definition, opts []Option, operands ...*G.Node) (*G.Node, error) {
	set, err := core.Configure(d, opts)
	if err != nil {
		return nil, err
	}
	set.Reduction = None
	return graph.Build(d, set, operands...)
}

// buildMap adds a node that maps rows to rows.
func buildMap(d *core.Definition, opts []Option, x *G.Node) (*G.Node, error) {
	set, err := core.Configure(d, opts)
	if err != nil {
		return nil, err
	}
	return graph.BuildMap(d, set, x)
}
