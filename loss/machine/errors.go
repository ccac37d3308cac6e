package machine

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"
)

// The kinds of fault that New and Run report, for errors.Is. The error of an operation is wrapped
// as it is.
var (
	// ErrOption: an option that does not fit the graph, such as a node of another graph or an input
	// without a gradient.
	ErrOption = errors.New("invalid option")
	// ErrCycle: a graph in which nodes need each other, or Set statements assign in a circle.
	ErrCycle = errors.New("cycle in the graph")
	// ErrNoValue: an input that nothing is bound to, or an operation that returned no value.
	ErrNoValue = errors.New("no value")
	// ErrPanic: an operation that panicked.
	ErrPanic = errors.New("panic")
	// ErrBusy: a run that began while another run of the same machine was under way.
	ErrBusy = errors.New("the machine is running already")
)

// An Error is a failure at one node. [errors.As] finds it in what New and Run return.
type Error struct {
	Node *G.Node // the node that cannot be computed
	Err  error   // the reason
}

// Error returns the node, as Gorgonia prints it, and the reason.
func (e *Error) Error() string { return fmt.Sprintf("machine: node %v: %v", e.Node, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// at makes an error of a node; nil stays nil.
func at(n *G.Node, err error) error {
	if err == nil {
		return nil
	}
	return &Error{n, err}
}

// panicked turns what recover returned into an error.
func panicked(r any) error {
	if err, ok := r.(error); ok {
		return fmt.Errorf("%w: %w", ErrPanic, err)
	}
	return fmt.Errorf("%w: %v", ErrPanic, r)
}
