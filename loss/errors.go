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
	ErrValue = errors.New("value outside its domain")
)

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
