package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/surprisal-go/surprisal/train/data"
	"gorgonia.org/tensor"
)

// A Summary lists the inputs, the parameters and the outputs of a model.
type Summary struct {
	Inputs, Params, Outputs []SummaryEntry

	Size  int          // numbers in all parameters
	DType tensor.Dtype // of parameters and outputs
}

// A SummaryEntry is a line of a [Summary].
type SummaryEntry struct {
	Name  string
	Shape []int // of one example for inputs and outputs
	Size  int   // the product of Shape
	State bool  // a parameter that no optimizer moves, such as a running average
}

// Summarize builds a model as [Fit] would for a dataset with the given spec, in float32, and
// returns what it is made of.
//
//	s, err := train.Summarize(model, ds.Spec())
//	fmt.Print(s)
func Summarize(model Model, spec data.Spec) (*Summary, error) {
	return summarize("Summarize", model.network(), spec.Fields(), newParamSet(tensor.Float32, 0))
}

// SummarizeNamed is [Summarize] for a network and the fields of its records.
func SummarizeNamed(model Network, fields data.Fields) (*Summary, error) {
	return summarize("SummarizeNamed", model, fields, newParamSet(tensor.Float32, 0))
}

// Summary returns what the model is made of.
func (n *Net) Summary() (*Summary, error) {
	if n.params == nil {
		return nil, fmt.Errorf("train.Summary: %w", errNoModel)
	}
	n.predictors.building.Lock()
	defer n.predictors.building.Unlock()
	return summarize("Summary", n.model, n.about.fields, n.params)
}

func summarize(fn string, model Network, fields data.Fields, params *paramSet) (*Summary, error) {
	fail := func(err error) (*Summary, error) { return nil, fmt.Errorf("train.%s: %w", fn, err) }
	if model == nil {
		return fail(errors.New("model is nil"))
	}
	if err := fields.Check(); err != nil {
		return fail(err)
	}
	f, err := build(model, fields.Inputs, params, 1, false)
	if err != nil {
		return fail(err)
	}
	s := &Summary{DType: params.dtype}
	for _, c := range f.in {
		s.Inputs = append(s.Inputs, SummaryEntry{Name: c.name, Shape: slices.Clone(c.field.Shape), Size: c.field.Size()})
	}
	for _, a := range f.used {
		s.Params = append(s.Params, SummaryEntry{a.Name, slices.Clone(a.Shape), a.Size(), params.states[a.Name]})
		s.Size += a.Size()
	}
	for _, name := range f.outputs {
		n := f.out[name]
		s.Outputs = append(s.Outputs, SummaryEntry{Name: name, Shape: slices.Clone(n.Shape()[1:]), Size: n.Shape().TotalSize()})
	}
	return s, nil
}

// String returns a table with a line for each entry, and the sum.
func (s *Summary) String() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	line := func(role string, e SummaryEntry) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", role, e.Name, strings.ReplaceAll(fmt.Sprint(e.Shape), " ", ", "), e.Size)
	}
	for _, e := range s.Inputs {
		line("input", e)
	}
	for _, e := range s.Params {
		role := "parameter"
		if e.State {
			role = "state"
		}
		line(role, e)
	}
	for _, e := range s.Outputs {
		line("output", e)
	}
	w.Flush()
	fmt.Fprintf(&text, "%d numbers of %v in %d parameters\n", s.Size, s.DType, len(s.Params))
	return text.String()
}
