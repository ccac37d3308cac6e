package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A Finding is a likely mistake in a model or its data.
type Finding struct {
	Node string // the node, by name or operation
	What string
}

// String returns the node and the finding.
func (f Finding) String() string { return f.Node + ": " + f.What }

// Lint builds a model as [Fit] would for a dataset with the given spec, with its loss unless lossFn
// is nil, and reports likely mistakes:
//
//	leaves without a name, which Gorgonia merges because it cannot tell them apart
//	leaves that are not parameters
//	parameters on which the loss does not depend
//	operations of Gorgonia that are known to be wrong
//	probabilities in a loss that takes logits or log-probabilities
//	a softmax that is applied twice, or over a single class
//
// A model that cannot be built at all is an error. [LintData] also examines numbers.
//
// Fit reports these findings once, by an event of kind [Warning], which Config.Logger and
// Config.Progress show. It refuses leaves whose numbers differ from graph to graph, and the
// operations that [Builder.Allow] lists.
func Lint(model Model, lossFn loss.Func, spec data.Spec) ([]Finding, error) {
	return lint("Lint", model.network(), objectiveOf(lossFn), spec.Fields())
}

// LintNamed is [Lint] for a network, its objective and the fields of its records.
func LintNamed(model Network, objective Objective, fields data.Fields) ([]Finding, error) {
	return lint("LintNamed", model, objective, fields)
}

func lint(name string, model Network, objective Objective, fields data.Fields) (found []Finding, err error) {
	defer func() {
		if err != nil {
			found, err = nil, fmt.Errorf("train.%s: %w", name, err)
		}
	}()
	if model == nil {
		return nil, errors.New("model is nil")
	}
	if err := fields.Check(); err != nil {
		return nil, err
	}
	if err := objective.check(); err != nil {
		return nil, err
	}
	// The batch size is one that no dimension of a model is likely to have.
	f, err := build(model, fields.Inputs, newParamSet(tensor.Float32, 0), 37, true)
	if err != nil {
		return nil, err
	}
	pr := &program{forward: f}
	if _, err := pr.addLoss(purpose{objective: objective, fields: fields}); err != nil && !objective.lossless() {
		return nil, err
	}
	return pr.lint(), nil
}

// lint returns what is suspicious in the graph of a model and its loss.
func (pr *program) lint() (found []Finding) {
	roots := pr.roots()
	for i, t := range pr.terms {
		if i == 0 {
			roots = nil
		}
		roots = append(roots, t.node)
	}
	leaves := pr.own()
	used := make(map[*G.Node]bool)
	for n, operands := range loss.Walk(roots...) {
		used[n] = true
		found = append(found, pr.lintNode(n, leaves)...)
		found = append(found, lintOperand(n, operands)...)
	}
	if len(pr.terms) == 0 {
		for _, n := range pr.leaves {
			if !used[n] {
				found = append(found, Finding{n.Name(), "the output does not depend on this parameter"})
			}
		}
		return found
	}
	reach := make(map[*G.Node]bool)
	for _, root := range roots {
		maps.Copy(reach, differentiable(root))
	}
	for _, n := range pr.leaves {
		if !reach[n] {
			found = append(found, Finding{n.Name(), "the loss does not depend on this parameter, or only through operations without a gradient: it never changes"})
		}
	}
	return found
}

// own returns the leaves that the trainer fills: those of the model, the targets and the weights.
func (pr *program) own() map[*G.Node]string {
	leaves := pr.forward.own()
	for _, c := range pr.targets {
		leaves[c.node] = data.TargetName
	}
	for _, w := range pr.weights {
		leaves[w.node] = weightsName
	}
	return leaves
}

func (pr *program) lintNode(n *G.Node, leaves map[*G.Node]string) []Finding {
	if w := wrong(n); w != nil {
		return []Finding{{fmt.Sprint(n.Op()), w.what}}
	}
	if n.Op() != nil {
		return nil
	}
	if leaves[n] != "" {
		return nil
	}
	text := leafText(n)
	if !named(n) {
		return []Finding{{text, "a leaf without a name of its own: Gorgonia merges it with every other of its shape"}}
	}
	if n.Value() == nil {
		return []Finding{{text, "a leaf without a value: only the trainer's inputs are filled"}}
	}
	return []Finding{{text, "a leaf that is no parameter: it is neither trained nor saved"}}
}

// named reports whether a leaf's name was given: Gorgonia numbers or leaves out the others.
func named(n *G.Node) bool { return n.Name() != "" && !strings.HasPrefix(n.Name(), "%!") }

// differentiable returns the nodes that a node depends on through operations with a gradient.
func differentiable(root *G.Node) map[*G.Node]bool {
	reach := map[*G.Node]bool{root: true}
	var order G.Nodes
	operands := make(map[*G.Node]G.Nodes)
	for n, in := range loss.Walk(root) {
		order, operands[n] = append(order, n), in
	}
	for _, n := range slices.Backward(order) {
		op, ok := n.Op().(G.SDOp)
		in := operands[n]
		if !reach[n] || !ok || len(in) == 0 {
			continue
		}
		for i, d := range op.DiffWRT(len(in)) {
			if d && i < len(in) {
				reach[in[i]] = true
			}
		}
	}
	return reach
}
