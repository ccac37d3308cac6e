package train

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
)

// Models and losses are functions of programs. What goes wrong in them is told in words of this
// package, with the place where it began and the rule that was broken.

// panicked returns the error for a value that a function has panicked with. It is called by the
// deferred function that recovered it, while the stack still has the place.
func panicked(what string, r any) error {
	cause, ok := r.(error)
	if !ok {
		cause = fmt.Errorf("%v", r)
	}
	return fmt.Errorf("%s panicked while it was built: %w%s", what, cause, panicSite())
}

// panicSite names the function and line that panicked, outside of Gorgonia and the runtime.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	raised := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			raised = true
		case raised && !strings.HasPrefix(f.Function, "runtime.") && !strings.HasPrefix(f.Function, "gorgonia.org/"):
			return fmt.Sprintf(" (in %s, %s:%d)", f.Function, filepath.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// explainLoss adds to the error of a loss function what the trainer asks of it, where it seems not
// to know.
func explainLoss(err error, batch int) error {
	text := err.Error()
	err = fmt.Errorf("building the loss for %d rows: %w", batch, err)
	switch {
	case strings.Contains(text, "same graph") || strings.Contains(text, "another graph"):
		return fmt.Errorf("%w: a loss is built in graphs of its own, from its two operands; a node that a model's function has kept "+
			"belongs to another: return what the loss needs as the model's output", err)
	case strings.Contains(text, "shape size doesn't not match"): // of a reshape
		return fmt.Errorf("%w: %s", err, manySizes)
	}
	return err
}

// explainModel does the same for a model.
func explainModel(err error, batch int) error {
	text := err.Error()
	err = fmt.Errorf("building the model for %d rows: %w", batch, err)
	switch {
	case strings.Contains(text, "same graph"):
		return fmt.Errorf("%w: a model is built in a new graph each time; a node that its function has kept belongs to another", err)
	case strings.Contains(text, "shape size doesn't not match"):
		return fmt.Errorf("%w: %s", err, manySizes)
	}
	return err
}

const manySizes = "graphs are built for several numbers of rows, which is the first dimension of the operands (Builder.Batch)"

// noNormalizer is the error of a loss that cannot be built without reduction, though it can with
// one.
func noNormalizer() error {
	return fmt.Errorf("%w: the loss fixes its own denominator, by WithNormalizer or WithNormalizerNode: leave that out, "+
		"as a trainer divides by what its batches add up to", loss.ErrOption)
}
