package core

import (
	"errors"
	"fmt"
)

// The kinds of error; package loss documents them.
var (
	ErrShape  = errors.New("shape mismatch")
	ErrDType  = errors.New("dtype mismatch")
	ErrOption = errors.New("invalid option")
	ErrValue  = errors.New("value outside its domain")
)

// A Fault is an error of one of the kinds above whose text is the message alone.
type Fault struct {
	kind error
	text string
}

func (f *Fault) Error() string { return f.text }

// Unwrap returns the kind of the fault.
func (f *Fault) Unwrap() error { return f.kind }

// Faultf returns a Fault of a kind whose message begins with "loss.name: ".
func Faultf(kind error, name, format string, args ...any) error {
	return &Fault{kind, "loss." + name + ": " + fmt.Sprintf(format, args...)}
}

// hasVerb is "have" for operands in the plural, else "has".
func hasVerb(name string) string {
	if Plural(name) {
		return "have"
	}
	return "has"
}
