package loss

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"
)

// The kinds of fault that building a loss can report, for errors.Is.
var (
	// ErrShape: an operand's shape, rank or axis does not fit, or an operand is missing or from another graph.
	ErrShape = errors.New("shape mismatch")
	// ErrDType: an operand's element type does not fit.
	ErrDType = errors.New("dtype mismatch")
	// ErrOption: an option that the loss does not take, or a value outside the option's range.
	ErrOption = errors.New("invalid option")
	// ErrValue: data outside its domain met while the graph ran: a label out of range, a negative probability, a NaN weight.
	// The error of a TapeMachine's RunAll wraps it in a type of Gorgonia's whose cause is behind a method Err, not Unwrap:
	// [Cause] finds it.
	ErrValue = errors.New("value outside its domain")
)

// Cause returns this package's error out of what a Gorgonia machine made of it, for errors.Is: Gorgonia's own wrapper gives its
// cause by a method Err that package errors does not know. Any other error is returned as it is.
func Cause(err error) error {
	for e := err; e != nil; {
		if f, ok := e.(*fault); ok {
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

// fault is an error of one of the kinds above whose text is the message alone.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

func faultf(kind error, name, format string, args ...any) error {
	return &fault{kind, "loss." + name + ": " + fmt.Sprintf(format, args...)}
}

// shapeText prints a shape as the documentation writes it: (64, 10), (64) and () for a scalar.
func shapeText(s tensor.Shape) string {
	text := "("
	for i, d := range s {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(d)
	}
	return text + ")"
}
