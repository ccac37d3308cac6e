package gradcheck

import "fmt"

// A Verdict is the outcome for one element of a gradient, or the kind of a finding.
type Verdict uint8

const (
	// OK: the analytic derivative lies within the tolerance of the numeric one.
	OK Verdict = iota
	// Wrong: it does not.
	Wrong
	// Missing: the pass gave no gradient for the input.
	Missing
	// Zero: the analytic derivative is exactly 0 and the numeric one is not.
	Zero
	// NaN: the analytic derivative, or the function itself, is NaN or infinite.
	NaN
	// Shape: the gradient does not have the input's shape.
	Shape
	// DType: the gradient does not have the input's dtype.
	DType
	// Kink: the one-sided slopes differ. The element passes if the analytic derivative lies between them.
	Kink
	// NotDeterministic: a second run gave other bits.
	NotDeterministic
	// InputMutated: the run wrote to the input.
	InputMutated
	// Unresolved: the differences do not settle on a derivative: an infinite slope, an infinite input, a jump.
	Unresolved
)

var verdictNames = [...]string{"ok", "wrong", "missing", "zero", "NaN", "shape", "dtype", "kink", "not deterministic", "input mutated", "unresolved"}

// String returns the verdict in words.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// An Element is the comparison of one derivative.
type Element struct {
	Pass      Pass
	Order     int    // 1, or 2 for a Hessian-vector product
	Direction int    // the number of the random direction, -1 for a coordinate
	Input     string // empty for a derivative along a direction over all inputs
	Index     []int  // coordinates in the input, nil along a direction
	Analytic  float64
	Numeric   float64
	Abs, Rel  float64 // |analytic - numeric|, and that divided by the larger of the two
	Tol       float64 // what Abs may be
	Lo, Hi    float64 // the subgradient interval of a kink
	Verdict   Verdict
	Note      string
}

// Failed reports whether the element speaks against the gradient.
func (e *Element) Failed() bool {
	switch e.Verdict {
	case OK:
		return false
	case Kink:
		return !(e.Analytic >= e.Lo-e.Tol && e.Analytic <= e.Hi+e.Tol)
	}
	return true
}

// A Finding is a fault that is not the comparison of one derivative.
type Finding struct {
	Kind Verdict
	Pass string // the pass it is about, empty for the function itself
	Text string
}

// A Report is the outcome of a check.
type Report struct {
	DType    string
	Shape    []int // of the result
	Mode     string
	Seed     uint64
	Skipped  int // elements that the time budget did not reach
	Elements []Element
	Findings []Finding
}

// OK reports whether nothing speaks against the gradient.
func (r *Report) OK() bool {
	if len(r.Findings) > 0 {
		return false
	}
	for i := range r.Elements {
		if r.Elements[i].Failed() {
			return false
		}
	}
	return true
}

func (r *Report) find(kind Verdict, pass, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{kind, pass, fmt.Sprintf(format, args...)})
}
