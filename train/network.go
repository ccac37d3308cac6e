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

// Nodes are graph nodes by name.
type Nodes map[string]*G.Node

// A Network is a [Model] with any number of inputs and outputs. It takes the nodes of its inputs by
// name, with the shapes and types of a Model's input, and returns its outputs by name, each with
// one row per row of the batch. All other rules for a Model apply.
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
// objective take by name.
//
//	species := func(b *train.Builder, in train.Nodes) (train.Nodes, error) { ... }
//	res, err := train.FitNamed(ctx, species, train.Objective{
//		{Output: "species", Target: "species", Loss: loss.CrossEntropy},
//		{Output: "height", Target: "height", Loss: loss.Huber, Factor: 0.1},
//	}, ds, train.Config{Epochs: 50, Optimizer: optim.Adam(1e-3)})
//
// The loss is that of the objective. Each of its terms is reported beside it under its own name: in
// the history, in the progress, in TensorBoard, and to EarlyStop and Checkpoint. Config.Metrics
// compare the output and the target of the first term; [On] makes them compare others.
// Config.ValidationRecords replaces Validation.
//
// An input on which no output depends is an error, and so is a target or an output that no term or
// metric uses. [data.Frame.Select] leaves out inputs and targets; an output that is only predicted
// is a term without a loss.
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
