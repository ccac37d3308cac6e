package gradcheck

import (
	"fmt"
	"strings"
)

// String is the report for people: a line per pass and input, the worst elements, and the findings.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "gradcheck: %s, result %s, %s, seed %d\n", r.DType, indexText(r.Shape), r.Mode, r.Seed)
	for _, f := range r.Findings {
		if f.Pass == "" {
			fmt.Fprintf(&b, "%v: %s\n", f.Kind, f.Text)
		} else {
			fmt.Fprintf(&b, "%v (%s): %s\n", f.Kind, f.Pass, f.Text)
		}
	}
	for i := range r.Elements {
		if e := &r.Elements[i]; e.Failed() {
			fmt.Fprintf(&b, "%v order %d %s%s: analytic %v numeric %v rel %.3g abs %.3g tol %.3g %v %s\n", e.Pass, e.Order, e.Input, indexText(e.Index), e.Analytic, e.Numeric, e.Rel, e.Abs, e.Tol, e.Verdict, e.Note)
		}
	}
	return b.String()
}
