package decode

import (
	"errors"
	"fmt"

	"github.com/surprisal-go/surprisal/tensorops"
)

// The kinds of fault, for errors.Is.
var (
	// ErrShape: a shape, or a number of elements, does not fit.
	ErrShape = tensorops.ErrShape
	// ErrOption: an option that the function does not take, or a setting outside its range.
	ErrOption = errors.New("decode: option")
	// ErrValue: an element outside its domain: a NaN, a label, a tag or a length out of range,
	// weights that do not sum to 1.
	ErrValue = errors.New("decode: value")
	// ErrNotConverged: an iteration ended before its result was as accurate as asked.
	ErrNotConverged = errors.New("decode: not converged")
)

// fault is an error with a message of its own that is one of the kinds to errors.Is.
type fault struct {
	message string
	kind    error
}

func (f *fault) Error() string { return f.message }
func (f *fault) Unwrap() error { return f.kind }

// fail returns an error of the function name.
func fail(kind error, name, format string, args ...any) error {
	return &fault{"decode." + name + ": " + fmt.Sprintf(format, args...), kind}
}
