package tensorops

import "errors"

var (
	// ErrShape is wrapped by every error about ranks, axes, shapes, empty and masked tensors and
	// overlapping memory.
	ErrShape = errors.New("shape mismatch")
	// ErrDType is wrapped by every error about element types.
	ErrDType = errors.New("unsupported dtype")
)

// A Fault is an error whose text is the message alone, without that of its kind, which errors.Is
// finds.
type Fault struct {
	Kind    error // such as [ErrShape]
	Message string
}

func (f *Fault) Error() string { return f.Message }

// Unwrap returns the kind.
func (f *Fault) Unwrap() error { return f.Kind }

const errLength = "tensorops: length mismatch"
