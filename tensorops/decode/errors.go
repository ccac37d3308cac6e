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

// fail returns an error of the function name.
func fail(kind error, name, format string, args ...any) error {
	return &tensorops.Fault{Kind: kind, Message: "decode." + name + ": " + fmt.Sprintf(format, args...)}
}
