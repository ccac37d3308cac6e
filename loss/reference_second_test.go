package loss_test

import (
	"fmt"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

// A second describes how to build the cases in a file of the second script: the name of the loss,
// the names of its operands and options in the file, and the options that all losses share.
type second struct {
	loss     string
	operands []string
	// nodes are inputs that options take; what a case lacks is left out.
	nodes map[string]func(*G.Node) loss.Option
	// options are numbers, strings, truths or lists of the case.
	options map[string]func(v any) loss.Option
	// lists are inputs that options take as numbers.
	lists map[string]func([]float64) loss.Option
}

func numberOption(with func(float64) loss.Option) func(any) loss.Option {
	return func(v any) loss.Option { return with(v.(float64)) }
}

func integerOption(with func(int) loss.Option) func(any) loss.Option {
	return func(v any) loss.Option { return with(int(v.(float64))) }
}

// flagOption is an option that a case has where its value is true.
func flagOption(with func() loss.Option) func(any) loss.Option {
	return func(v any) loss.Option {
		if v == true {
			return with()
		}
		return nil
	}
}

func listOption(with func([]float64) loss.Option) func(any) loss.Option {
	return func(v any) loss.Option {
		var list []float64
		for _, x := range v.([]any) {
			list = append(list, x.(float64))
		}
		return with(list)
	}
}

// leaf is the leaf for an input: integer or floating.
func (b *refGraph) leaf(name string) *G.Node {
	if b.c.Inputs[name].Dtype == "int" {
		return b.labels(name)
	}
	return b.input(name)
}

// build builds a case.
func (s second) build(b *refGraph) (*G.Node, error) {
	info, ok := loss.Describe(s.loss)
	if !ok {
		return nil, fmt.Errorf("%s is not registered", s.loss)
	}
	var opts []loss.Option
	if slices.Contains(info.Options, "WithReduction") {
		opts = append(opts, b.reduction())
	}
	nodes := map[string]func(*G.Node) loss.Option{"mask": loss.WithMask, "weights": loss.WithWeights, "segments": loss.WithSegments}
	for name, with := range s.nodes {
		nodes[name] = with
	}
	for name := range b.c.Inputs {
		if with, ok := nodes[name]; ok {
			opts = append(opts, with(b.leaf(name)))
		} else if with, ok := s.lists[name]; ok {
			opts = append(opts, with(b.list(name)))
		} else if !slices.Contains(s.operands, name) {
			return nil, fmt.Errorf("no place for the input %s", name)
		}
	}
	options := map[string]func(any) loss.Option{"normalizer": numberOption(loss.WithNormalizer), "class_weights": listOption(loss.WithClassWeights)}
	for name, with := range s.options {
		options[name] = with
	}
	for name, v := range b.c.Options {
		with, ok := options[name]
		if !ok && name != "reduction" {
			return nil, fmt.Errorf("no place for the option %s", name)
		}
		if ok && v != nil {
			if o := with(v); o != nil {
				opts = append(opts, o)
			}
		}
	}
	var operands []*G.Node
	for _, name := range s.operands {
		operands = append(operands, b.leaf(name))
	}
	return info.Call(operands, opts...)
}
