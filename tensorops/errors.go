package tensorops

import "errors"

var (
	// ErrShape is wrapped by every error about ranks, axes, shapes, empty and masked tensors and
	// overlapping memory.
	ErrShape = errors.New("shape mismatch")
	// ErrDType is wrapped by every error about element types.
	ErrDType = errors.New("unsupported dtype")
)

const errLength = "tensorops: length mismatch"
