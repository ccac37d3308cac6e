package info

import (
	"errors"
	"fmt"

	"github.com/surprisal-go/surprisal/tensorops"
)

// The reasons for refusing input, for errors.Is.
var (
	// ErrUnit: the unit is none of Nats, Bits and Hartleys.
	ErrUnit = errors.New("info: unknown unit")
	// ErrEmpty: an operand has no elements.
	ErrEmpty = errors.New("info: no elements")
	// ErrShape: lengths or shapes do not go together, or a tensor is nil.
	ErrShape = errors.New("info: shapes do not match")
	// ErrDType: a tensor's dtype is not supported, or differs from the other operand's.
	ErrDType = errors.New("info: unsupported dtype")
	// ErrAxis: an axis is out of range, or the same axis is given twice.
	ErrAxis = errors.New("info: axis out of range")
	// ErrProbability: an element is negative, NaN or infinite, or no probability for another
	// reason.
	ErrProbability = errors.New("info: not a probability")
	// ErrSum: the elements do not sum to 1, or weights sum to 0.
	ErrSum = errors.New("info: not normalised")
)

func refuse(reason error, format string, args ...any) error {
	return &tensorops.Fault{Kind: reason, Message: fmt.Sprintf(format, args...)}
}

// A fault is an error of one operand before the caller's name for its elements is known.
type fault struct {
	index  int // of the element, or -1 for the operand as a whole
	text   string
	reason error
}

// in completes the fault to the error of function name; where is the operand with the element's
// position.
func (f *fault) in(name, where string) error {
	return refuse(f.reason, "info.%s: %s %s", name, where, f.text)
}

// at is the position of the fault in a slice called operand.
func (f *fault) at(operand string) string {
	if f.index < 0 {
		return operand
	}
	return fmt.Sprintf("%s[%d]", operand, f.index)
}

func checkUnit(name string, unit Unit) error {
	if !unit.valid() {
		return refuse(ErrUnit, "info.%s: unit is %v, want Nats, Bits or Hartleys", name, unit)
	}
	return nil
}
