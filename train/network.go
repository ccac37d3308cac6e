package train

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	G "gorgonia.org/gorgonia"
)

// Nodes are nodes of a graph by name.
type Nodes map[string]*G.Node

// A Network is a [Model] with any number of inputs and outputs. It gets the nodes of its inputs by
// name, with the shapes and types that a Model's input has, and returns those of its outputs, each
// with one row for each row of the batch. Everything else that a Model has to keep to holds for it.
type Network func(b *Builder, in Nodes) (out Nodes, err error)

// OutputName is the name of the output of a [Model].
const OutputName = "output"

// network returns the model as a network of one input and one output; nil for nil.
func (m Model) network() Network {
	if m == nil {
		return nil
	}
	return func(b *Builder, in Nodes) (Nodes, error) {
		out, err := m(b, in[data.InputName])
		return Nodes{OutputName: out}, err
	}
}

// FitNamed is [Fit] for records with any number of inputs and targets, which the network and the
// objective get by name.
//
//	species := func(b *train.Builder, in train.Nodes) (train.Nodes, error) { ... }
//	res, err := train.FitNamed(ctx, species, train.Objective{
//		{Output: "species", Target: "species", Loss: loss.CrossEntropy},
//		{Output: "height", Target: "height", Loss: loss.Huber, Factor: 0.1},
//	}, ds, train.Config{Epochs: 50, Optimizer: optim.Adam(1e-3)})
//
// The loss is that of the objective, and each of its terms is shown by its name beside it: in the
// history, with the progress, in TensorBoard, and for EarlyStop and Checkpoint to watch.
// Config.Metrics compare the output and the target of the first term, and those of [On] others.
// Config.ValidationRecords takes the place of Validation.
//
// An input that no output depends on, a target that no term and no metric uses and an output of
// which that is true are errors. Leave inputs and targets out by [data.Frame.Select]; an output
// that is only predicted is a term without a loss.
func FitNamed(ctx context.Context, model Network, objective Objective, ds data.Records, cfg Config) (*Result, error) {
	return fitAs(ctx, "FitNamed", model, objective, ds, cfg)
}

// checkUse returns an error for an input, a target or an output that has no use.
func (pr *program) checkUse() error {
	reached := make(map[*G.Node]bool)
	for n := range loss.Walk(pr.roots()...) {
		reached[n] = true
	}
	for _, c := range pr.in {
		if !reached[c.node] {
			return fmt.Errorf("no output of the model depends on the input %q: use it, or leave it out by data.Frame.Select", c.name)
		}
	}
	usedOut, usedTarget := make(map[string]bool), make(map[string]bool)
	for _, t := range pr.terms {
		for name, uses := range t.outputs {
			usedOut[name] = usedOut[name] || uses
		}
		for name, uses := range t.targets {
			usedTarget[name] = usedTarget[name] || uses
		}
	}
	for _, name := range pr.predicted {
		usedOut[name] = true
	}
	for _, v := range pr.views {
		usedOut[v.output], usedTarget[v.target] = true, true
	}
	for _, c := range pr.targets {
		if !usedTarget[c.name] {
			return fmt.Errorf("no term and no metric uses the target %q; leave it out by data.Frame.Select", c.name)
		}
	}
	for _, name := range pr.outputs {
		if !usedOut[name] {
			return fmt.Errorf("no term and no metric uses the output %q; for one that is only predicted add a term {Output: %q} without a loss", name, name)
		}
	}
	return nil
}

// checkInputs returns an error where the inputs of a dataset lack one of those that are wanted.
// Further ones are left alone.
func checkInputs(name string, have, want map[string]data.Field) error {
	for _, in := range slices.Sorted(maps.Keys(want)) {
		got, ok := have[in]
		switch {
		case !ok:
			return fmt.Errorf("%s has no %s, only %q", name, data.Label(data.InputName, in), slices.Sorted(maps.Keys(have)))
		case got.Equal(want[in]):
		case in == data.InputName:
			return fmt.Errorf("%s has inputs %v, want %v", name, got, want[in])
		default:
			return fmt.Errorf("%s has %s %v, want %v", name, data.Label(data.InputName, in), got, want[in])
		}
	}
	return nil
}
