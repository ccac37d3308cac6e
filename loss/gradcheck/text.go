package gradcheck

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
)

// worstShown is the number of elements that the text of a report shows.
const worstShown = 8

// String is the report for people: the outcome, a line per pass and input with likely causes, the
// findings and, where something failed, the worst elements.
func (r *Report) String() string {
	var b strings.Builder
	outcome := "ok"
	if !r.OK() {
		outcome = "FAILED"
	}
	fmt.Fprintf(&b, "gradcheck %s: %s, result %s, %s, seed %d\n", outcome, r.DType, shapeName(r.Shape), r.Mode, r.Seed)
	if r.Skipped > 0 {
		fmt.Fprintf(&b, "the time budget left %d unchecked\n", r.Skipped)
	}
	for i := range r.Summaries {
		r.Summaries[i].write(&b)
	}
	for _, f := range r.Findings {
		if f.Pass == "" {
			fmt.Fprintf(&b, "%v: %s\n", f.Kind, f.Text)
		} else {
			fmt.Fprintf(&b, "%v (%s): %s\n", f.Kind, f.Pass, f.Text)
		}
	}
	r.writeValues(&b)
	for _, a := range r.Agreements {
		fmt.Fprintf(&b, "%v and %v agree on %s within %.2g of its largest element\n", a.A, a.B, a.Input, a.Diff)
	}
	r.writeWorst(&b)
	return b.String()
}

func (s *Summary) write(b *strings.Builder) {
	what := "∂/∂" + s.Input
	switch {
	case s.Input == "":
		what = "directions"
	case s.Order == 2:
		what = "H·v by " + s.Input
	}
	fmt.Fprintf(b, "%v %s: %d checked", s.Pass, what, s.Checked)
	for v := OK; v <= Unresolved; v++ {
		if n := s.Count[v]; n > 0 {
			fmt.Fprintf(b, ", %d %v", n, v)
		}
	}
	if s.Failed == 0 {
		fmt.Fprintf(b, "; largest relative error %.2g, faults from %.2g on are seen", s.MaxRel, s.Resolution)
	}
	b.WriteString("\n")
	for _, c := range s.Causes {
		fmt.Fprintf(b, "  likely: %s\n", c)
	}
}

func (r *Report) writeValues(b *strings.Builder) {
	if len(r.Values) == 0 {
		return
	}
	worst := 0.0
	for _, v := range r.Values {
		if v.Ulps > worst || math.IsNaN(v.Ulps) {
			worst = v.Ulps
		}
	}
	fmt.Fprintf(b, "values: %d compared with the reference, at most %.3g ulp apart\n", len(r.Values), worst)
}

func (r *Report) writeWorst(b *strings.Builder) {
	if len(r.Failures()) == 0 {
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "element\tanalytic\tnumeric\trelative\tabsolute\ttolerance\tverdict")
	for _, e := range r.Worst(worstShown) {
		if !e.Failed() {
			break
		}
		fmt.Fprintf(w, "%s\t%.8g\t%.8g\t%.2g\t%.2g\t%.2g\t%s\n", e.place(), e.Analytic, e.Numeric, e.Rel, e.Abs,
			e.Tol, e.outcome())
	}
	w.Flush()
	if n := len(r.Failures()) - worstShown; n > 0 {
		fmt.Fprintf(b, "and %d more\n", n)
	}
}

// place names the element.
func (e *Element) place() string {
	switch {
	case e.Input == "":
		return fmt.Sprintf("%v direction %d", e.Pass, e.Direction)
	case e.Order == 2:
		return fmt.Sprintf("%v H·v%d %s%s", e.Pass, e.Direction, e.Input, coordinates(e.Index))
	}
	return fmt.Sprintf("%v %s%s", e.Pass, e.Input, coordinates(e.Index))
}

// coordinates is empty for a scalar.
func coordinates(index []int) string {
	if len(index) == 0 {
		return ""
	}
	return indexText(index)
}

func shapeName(shape []int) string {
	if len(shape) == 0 {
		return "a scalar"
	}
	return indexText(shape)
}

func (e *Element) outcome() string {
	text := e.Verdict.String()
	if e.Verdict == Kink {
		where := "inside"
		if !e.Inside() {
			where = "outside"
		}
		text = fmt.Sprintf("kink, %s [%.6g, %.6g]", where, e.Lo, e.Hi)
	}
	if e.Note != "" {
		text += ": " + e.Note
	}
	return text
}

// number is a float64 whose JSON is a string where JSON has no number: "NaN", "+Inf", "-Inf".
type number float64

func (x number) MarshalJSON() ([]byte, error) {
	switch f := float64(x); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"+Inf"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Inf"`), nil
	default:
		return json.Marshal(f)
	}
}

type jsonElement struct {
	Pass      string  `json:"pass"`
	Order     int     `json:"order"`
	Direction *int    `json:"direction,omitempty"`
	Input     string  `json:"input,omitempty"`
	Index     []int   `json:"index"`
	Analytic  number  `json:"analytic"`
	Numeric   number  `json:"numeric"`
	Abs       number  `json:"abs"`
	Rel       number  `json:"rel"`
	Tol       number  `json:"tol"`
	Lo        *number `json:"lo,omitempty"`
	Hi        *number `json:"hi,omitempty"`
	Verdict   Verdict `json:"verdict"`
	Failed    bool    `json:"failed"`
	Note      string  `json:"note,omitempty"`
}

// MarshalJSON gives the element's fields in lower case; NaN and infinities are the strings "NaN",
// "+Inf" and "-Inf".
func (e Element) MarshalJSON() ([]byte, error) {
	j := jsonElement{Pass: e.Pass.String(), Order: e.Order, Input: e.Input, Index: e.Index, Analytic: number(e.Analytic),
		Numeric: number(e.Numeric), Abs: number(e.Abs), Rel: number(e.Rel), Tol: number(e.Tol), Verdict: e.Verdict, Failed: e.Failed(), Note: e.Note}
	if e.Direction >= 0 {
		j.Direction = &e.Direction
	}
	if e.Verdict == Kink {
		lo, hi := number(e.Lo), number(e.Hi)
		j.Lo, j.Hi = &lo, &hi
	}
	return json.Marshal(j)
}

// MarshalJSON gives the value's fields in lower case.
func (v Value) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Index []int  `json:"index"`
		Got   number `json:"got"`
		Want  number `json:"want"`
		Ulps  number `json:"ulps"`
	}{v.Index, number(v.Got), number(v.Want), number(v.Ulps)})
}

// MarshalJSON gives the whole report: the fields of Report in lower case, and ok.
func (r *Report) MarshalJSON() ([]byte, error) {
	type summary struct {
		Pass       string          `json:"pass"`
		Order      int             `json:"order"`
		Input      string          `json:"input,omitempty"`
		Checked    int             `json:"checked"`
		Failed     int             `json:"failed"`
		Count      map[Verdict]int `json:"count"`
		MaxRel     number          `json:"maxRel"`
		Resolution number          `json:"resolution"`
		Causes     []string        `json:"causes,omitempty"`
	}
	type finding struct {
		Kind Verdict `json:"kind"`
		Pass string  `json:"pass,omitempty"`
		Text string  `json:"text"`
	}
	type agreement struct {
		A     string `json:"a"`
		B     string `json:"b"`
		Input string `json:"input"`
		Index []int  `json:"index"`
		Diff  number `json:"diff"`
	}
	out := struct {
		OK         bool        `json:"ok"`
		DType      string      `json:"dtype"`
		Shape      []int       `json:"shape"`
		Mode       string      `json:"mode"`
		Seed       uint64      `json:"seed"`
		Skipped    int         `json:"skipped"`
		Summaries  []summary   `json:"summaries"`
		Findings   []finding   `json:"findings"`
		Elements   []Element   `json:"elements"`
		Values     []Value     `json:"values,omitempty"`
		Agreements []agreement `json:"agreements,omitempty"`
	}{OK: r.OK(), DType: r.DType, Shape: r.Shape, Mode: r.Mode, Seed: r.Seed, Skipped: r.Skipped, Elements: r.Elements, Values: r.Values}
	for _, s := range r.Summaries {
		out.Summaries = append(out.Summaries, summary{s.Pass.String(), s.Order, s.Input, s.Checked, s.Failed, s.Count, number(s.MaxRel), number(s.Resolution), s.Causes})
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, finding(f))
	}
	for _, a := range r.Agreements {
		out.Agreements = append(out.Agreements, agreement{a.A.String(), a.B.String(), a.Input, a.Index, number(a.Diff)})
	}
	return json.Marshal(out)
}
