package core

import (
	"errors"
	"fmt"

	"github.com/surprisal-go/surprisal/tensorops"
)

// The kinds of error; package loss documents them.
var (
	ErrShape  = errors.New("shape mismatch")
	ErrDType  = errors.New("dtype mismatch")
	ErrOption = errors.New("invalid option")
	ErrValue  = errors.New("value outside its domain")
)

// A Fault is an error of package loss, of one of the kinds above.
type Fault struct{ tensorops.Fault }

// Faultf returns a Fault of a kind whose message begins with "loss.name: ".
func Faultf(kind error, name, format string, args ...any) error {
	return &Fault{tensorops.Fault{Kind: kind, Message: "loss." + name + ": " + fmt.Sprintf(format, args...)}}
}

// hasVerb is "have" for operands in the plural, else "has".
func hasVerb(name string) string {
	if Plural(name) {
		return "have"
	}
	return "has"
}
