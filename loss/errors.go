package loss

import (
	"errors"

	"github.com/surprisal-go/surprisal/loss/internal/core"
)

// The kinds of fault that building a loss can report, for errors.Is.
var (
	// ErrShape: an operand's shape, rank or axis does not fit, or an operand is missing or from
	// another graph.
	ErrShape = core.ErrShape
	// ErrDType: an operand's element type does not fit.
	ErrDType = core.ErrDType
	// ErrOption: an option that the loss does not take, or a value outside the option's range.
	ErrOption = core.ErrOption
	// ErrValue: data outside its domain met while the graph ran: a label out of range, a negative
	// probability, a NaN weight. The error of a TapeMachine's RunAll wraps it in a type of
	// Gorgonia's whose cause is behind a method Err, not Unwrap: [Cause] finds it.
	ErrValue = core.ErrValue
)

// Cause returns this package's error out of what a Gorgonia machine made of it, for errors.Is:
// Gorgonia's own wrapper gives its cause by a method Err that package errors does not know. Any
// other error is returned as it is.
func Cause(err error) error {
	for e := err; e != nil; {
		if f, ok := e.(*core.Fault); ok {
			return f
		}
		if w, ok := e.(interface{ Err() error }); ok {
			e = w.Err()
		} else {
			e = errors.Unwrap(e)
		}
	}
	return err
}
