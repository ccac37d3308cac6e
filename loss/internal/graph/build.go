package graph

import (
	"slices"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	G "gorgonia.org/gorgonia"
)

// Build checks the operands of a loss and adds its node to their graph.
func Build(d *core.Definition, set core.Settings, nodes ...*G.Node) (*G.Node, error) {
	b, kids, err := bind(d, set, nodes)
	if err != nil {
		return nil, err
	}
	return Apply(newOp(b.Seal(), derivative{}, nil), kids...)
}

// BuildMap adds a node that maps rows to rows: its mathematics is that of ⟨a, f(x)⟩.
func BuildMap(d *core.Definition, set core.Settings, x *G.Node) (*G.Node, error) {
	b, kids, err := bind(d, set, G.Nodes{x})
	if err != nil {
		return nil, err
	}
	b.IsMap, b.Floats = true, 2
	return Apply(newOp(b.Seal(), derivative{order: core.OrderGradient, wrt: 1}, nil), kids...)
}

// BuildOf adds a node with the operands of another loss's node: another definition on the same
// settings.
func BuildOf(d *core.Definition, b *core.Bound, kids G.Nodes) (*G.Node, error) {
	other := *b
	other.Def = d
	return Apply(newOp(other.Seal(), derivative{}, nil), kids...)
}

// Parts adds the two numbers of Mean of a loss to the graph of its operands.
func Parts(b *core.Bound, kids G.Nodes) (numerator, denominator *G.Node, err error) {
	sum, mean := *b, *b
	sum.Set.Reduction, mean.Set.Reduction = core.Sum, core.Mean
	sum.Numerator = !b.Normalized && b.Set.Normalizer == 0
	if numerator, err = Apply(newOp(sum.Seal(), derivative{}, nil), kids...); err != nil {
		return nil, nil, err
	}
	denominator, err = Apply(newOp(mean.Seal(), derivative{order: core.OrderDenominator}, nil), kids...)
	return numerator, denominator, err
}

// bind binds a loss to nodes and returns the children of its operation.
func bind(d *core.Definition, set core.Settings, nodes G.Nodes) (*core.Bound, G.Nodes, error) {
	names := make([]string, len(nodes), core.MaxPlaces)
	for k := range names {
		names[k] = d.Operands[k].Name
	}
	for _, o := range d.Operands[len(nodes):] {
		if n, ok := set.Operand(o.Option).(*G.Node); ok {
			nodes, names = append(slices.Clip(nodes), n), append(names, o.Name)
		}
	}
	given := make([]core.Given, len(nodes))
	for k, n := range nodes {
		name := names[k]
		if err := sameGraph(d, nodes[0], n, name); err != nil {
			return nil, nil, err
		}
		if i := slices.Index(nodes[:k], n); i >= 0 {
			return nil, nil, core.Faultf(core.ErrShape, d.Name, "%s and %s are the same node", names[i], name)
		}
		given[k] = Given(n)
	}
	b, err := core.Bind(d, set, given)
	if err != nil {
		return nil, nil, err
	}
	kids := slices.Clone(nodes)
	if b.Separate() { // integers come after all floating operands
		slices.SortStableFunc(kids, func(m, n *G.Node) int {
			return count(Given(m).DType.IsWhole()) - count(Given(n).DType.IsWhole())
		})
	}
	for _, option := range []struct {
		name string
		from core.OptionSet
		bind func(core.Given) error
	}{{"weights", core.OptWeights, b.BindWeights}, {"mask", core.OptMask, b.BindMask}, {"normalizer", core.OptNormalizerNode, b.BindNormalizer}} {
		n, ok := set.Operand(option.from).(*G.Node)
		if !ok {
			continue
		}
		if err := sameGraph(d, nodes[0], n, option.name); err != nil {
			return nil, nil, err
		}
		if err := option.bind(Given(n)); err != nil {
			return nil, nil, err
		}
		kids = append(kids, n)
	}
	return b, kids, nil
}

// sameGraph checks that a node exists and belongs to the first operand's graph. A constant belongs
// to none until it is used.
func sameGraph(d *core.Definition, first, n *G.Node, name string) error {
	if n == nil {
		return core.Faultf(core.ErrShape, d.Name, "%s is nil", name)
	}
	_, constant := n.Op().(interface{ Value() G.Value })
	if n.Graph() != first.Graph() && !(constant && n.Graph() == nil) {
		verb := "belongs"
		if core.Plural(name) {
			verb = "belong"
		}
		return core.Faultf(core.ErrShape, d.Name, "%s %s to another graph than %s", name, verb, d.Operands[0].Name)
	}
	return nil
}
