package machine

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
)

// config is the folded options.
type config struct {
	needed    bool // run only what is asked for
	outputs   G.Nodes
	bindAll   bool
	bind      G.Nodes // inputs whose gradient nodes Gorgonia knows
	given     []pair  // gradients of which only the caller knows
	reuse     bool
	inference bool
}

// pair is an input and the node that computes its gradient.
type pair struct{ input, gradient *G.Node }

// An Option changes what [New] makes.
type Option func(*config) error

func configure(opts []Option) (*config, error) {
	c := new(config)
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o(c); err != nil {
			return nil, fmt.Errorf("machine.New: %w: %w", ErrOption, err)
		}
	}
	return c, nil
}

// WithOutputs restricts the machine to what is asked for: the given nodes, whose Node.Value can be
// read after a run, the Read statements of the graph, and the gradients that are bound. Nodes that
// none of these needs are not run and keep the value that they have. Given without nodes it leaves
// the Read statements and the bound gradients.
//
// By default every node of the graph is run, as on a TapeMachine. The difference is large in
// training: gorgonia.Grad also builds the derivative by the network's input, which costs as much as
// that by the first weight and is read by nobody.
func WithOutputs(nodes ...*G.Node) Option {
	return func(c *config) error {
		if i := slices.Index(nodes, nil); i >= 0 {
			return fmt.Errorf("output %d is nil", i)
		}
		c.needed = true
		c.outputs = append(c.outputs, nodes...)
		return nil
	}
}

// WithGradients binds the gradients that gorgonia.Grad or gorgonia.Backpropagate built for the
// given inputs, or for all inputs that have one: after a run Node.Grad returns the gradient and
// gorgonia.NodesToValueGrads gives a solver what it needs. It is what gorgonia.BindDualValues is to
// a TapeMachine, and as there each run adds to the gradient until a solver's step sets it to 0.
// Gradients are added after the last operation: a run that fails adds nothing.
//
// An input without a gradient is an error of New, so Grad comes before New.
func WithGradients(inputs ...*G.Node) Option {
	return func(c *config) error {
		if i := slices.Index(inputs, nil); i >= 0 {
			return fmt.Errorf("the input %d whose gradient is to be bound is nil", i)
		}
		c.bindAll = c.bindAll || len(inputs) == 0
		c.bind = append(c.bind, inputs...)
		return nil
	}
}

// WithGradientNodes is [WithGradients] for gradients that Gorgonia does not know about, such as
// those of loss.Gradients: gradients[i] is the gradient by inputs[i].
func WithGradientNodes(inputs, gradients G.Nodes) Option {
	return func(c *config) error {
		if len(inputs) != len(gradients) {
			return fmt.Errorf("%d gradients for %d inputs", len(gradients), len(inputs))
		}
		for i, in := range inputs {
			switch g := gradients[i]; {
			case in == nil:
				return fmt.Errorf("input %d is nil", i)
			case g == nil:
				return fmt.Errorf("the gradient by %v is nil", in)
			case !in.Shape().Eq(g.Shape()) || in.Dtype() != g.Dtype():
				return fmt.Errorf("the gradient by %v has shape %v and dtype %v, want %v and %v", in, g.Shape(),
					g.Dtype(), in.Shape(), in.Dtype())
			default:
				c.given = append(c.given, pair{in, g})
			}
		}
		return nil
	}
}

// WithBufferReuse keeps the memory of the results of matrix products and elementwise operations of
// two operands from run to run, which saves the allocation and its page faults. The value of such a
// node is then overwritten by the next run: do not bind it to an input, and copy what shall last
// (gorgonia.Read copies). Losses have an option of the same name for their own results.
func WithBufferReuse() Option {
	return func(c *config) error {
		c.reuse = true
		return nil
	}
}

// WithEvalMode runs dropout, batch normalisation and whatever else has two modes as for evaluation.
// The default is training, as on a TapeMachine. The mode is set at the start of each run, so a
// machine for training and one for evaluation may run the same graph in turn.
func WithEvalMode() Option {
	return func(c *config) error {
		c.inference = true
		return nil
	}
}
