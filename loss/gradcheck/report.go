package gradcheck

import (
	"fmt"
	"math"
	"slices"
)

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
	// Kink: the one-sided slopes differ. The element passes if the analytic derivative lies between
	// them.
	Kink
	// NotDeterministic: a second run gave other bits.
	NotDeterministic
	// InputMutated: the run wrote to the input.
	InputMutated
	// Unresolved: the differences do not settle on a derivative: an infinite slope, an infinite
	// input, a jump.
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

// MarshalText is String, for JSON.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// An Element is the comparison of one derivative.
type Element struct {
	Pass      Pass
	Order     int    // 1, or 2 for a Hessian-vector product
	Direction int    // the number of the random direction, -1 for a plain coordinate
	Input     string // empty for a derivative along a direction over all inputs
	Index     []int  // coordinates in the input, nil along a direction
	Analytic  float64
	Numeric   float64
	Abs       float64 // |Analytic - Numeric|
	Rel       float64 // Abs divided by the larger magnitude of the two
	Tol       float64 // what Abs may be
	Lo, Hi    float64 // the subgradient interval of a kink
	Verdict   Verdict
	Note      string
}

// Failed reports whether the element speaks against the gradient: every verdict but OK, and a Kink
// whose analytic derivative lies outside the interval.
func (e *Element) Failed() bool {
	switch e.Verdict {
	case OK:
		return false
	case Kink:
		return !e.Inside()
	}
	return true
}

// Inside reports whether the analytic derivative at a kink lies in the subgradient interval.
func (e *Element) Inside() bool { return e.Analytic >= e.Lo-e.Tol && e.Analytic <= e.Hi+e.Tol }

// A Finding is a fault that is not the comparison of one derivative.
type Finding struct {
	Kind Verdict
	Pass string // the pass it is about, empty for the function itself
	Text string
}

// A Value is the comparison of one entry of the result with a reference.
type Value struct {
	Index     []int
	Got, Want float64
	Ulps      float64 // distance in units in the last place of Want, in the dtype of the check
}

// An Agreement says how far the gradients of two passes are apart.
type Agreement struct {
	A, B  Pass
	Input string
	Index []int   // where they are furthest apart
	Diff  float64 // there, relative to the largest element of the input's gradient
}

// A Summary is what one pass gave for one input.
type Summary struct {
	Pass    Pass
	Order   int
	Input   string
	Checked int
	Failed  int
	Count   map[Verdict]int
	MaxRel  float64 // the largest relative error
	// Resolution is the smallest error that would have been seen in every element, relative to the
	// largest numeric derivative of the input.
	Resolution float64
	Causes     []string // likely causes of what failed
}

// A Report is the outcome of a check.
type Report struct {
	DType      string
	Shape      []int // of the result
	Mode       string
	Seed       uint64
	Skipped    int // elements or directions that the time budget did not reach
	Elements   []Element
	Findings   []Finding
	Summaries  []Summary
	Values     []Value // with a reference
	Agreements []Agreement
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

// Failures returns the elements that failed, in the order of the check.
func (r *Report) Failures() []Element {
	var failed []Element
	for i := range r.Elements {
		if r.Elements[i].Failed() {
			failed = append(failed, r.Elements[i])
		}
	}
	return failed
}

// Worst returns the k worst elements: those that failed before those that passed, and each by error
// over tolerance.
func (r *Report) Worst(k int) []Element {
	order := slices.Clone(r.Elements)
	slices.SortStableFunc(order, func(a, b Element) int {
		x, y := a.badness(), b.badness()
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return order[:min(max(k, 0), len(order))]
}

// badness orders elements from harmless to bad.
func (e *Element) badness() float64 {
	b := e.Abs / e.Tol
	if math.IsNaN(b) {
		b = 0
	}
	switch {
	case !e.Failed():
		return math.Min(b, 1)
	case e.Verdict == Wrong || e.Verdict == Zero:
		return 1 + math.Min(b, math.MaxFloat64/2)
	}
	return math.Inf(1)
}

func (r *Report) find(kind Verdict, pass, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{kind, pass, fmt.Sprintf(format, args...)})
}

// summarize fills Summaries from Elements.
func (r *Report) summarize() {
	type key struct {
		pass  Pass
		order int
		input string
	}
	at := make(map[key]int)
	var widest, most []float64
	for i := range r.Elements {
		e := &r.Elements[i]
		k := key{e.Pass, e.Order, e.Input}
		n, ok := at[k]
		if !ok {
			n = len(r.Summaries)
			at[k] = n
			r.Summaries = append(r.Summaries,
				Summary{Pass: e.Pass, Order: e.Order, Input: e.Input, Count: make(map[Verdict]int)})
			widest, most = append(widest, 0), append(most, 0)
		}
		s := &r.Summaries[n]
		s.Checked++
		s.Count[e.Verdict]++
		s.Failed += count(e.Failed())
		if e.Rel > s.MaxRel {
			s.MaxRel = e.Rel
		}
		if finite(e.Tol) {
			widest[n] = math.Max(widest[n], e.Tol)
		}
		if finite(e.Numeric) {
			most[n] = math.Max(most[n], math.Abs(e.Numeric))
		}
	}
	for n := range r.Summaries {
		if most[n] > 0 {
			r.Summaries[n].Resolution = widest[n] / most[n]
		}
	}
}
