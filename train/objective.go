package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	G "gorgonia.org/gorgonia"
)

// An Objective is the sum of terms that [FitNamed] minimises, each multiplied by its factor:
//
//	l = Σ_k f_k·l_k
//
// Each term is a mean with its own denominator. Over several batches, such as those of an epoch or
// an evaluation, the numerators and the denominators of each term are summed separately, and the
// loss is the sum of the quotients. Config.Accumulate needs a single quotient and is refused for
// several terms.
type Objective []Term

// A Term is one loss of an [Objective]. It has either a Loss, of one output and one target, or a
// function Build, of any outputs and targets:
//
//	{Name: "divergence", Build: func(out, _ train.Nodes, opts ...loss.Option) (*G.Node, error) {
//		return loss.StandardGaussianKL(out["mean"], out["logvar"], opts...)
//	}}
//
// Both receive row weights and reduction as options, which they must pass on. A term with neither
// names an output that is only predicted and measured.
type Term struct {
	Name   string  // in the history and in errors; "" means the name of the output, or the term's number
	Factor float64 // 0 means 1

	// Output and Target name the operands of Loss. With Build they may be empty; a Target then weights
	// the elements of the loss by its mask.
	Output, Target string
	Loss           loss.Func
	Build          func(out, target Nodes, opts ...loss.Option) (*G.Node, error)
}

// objectiveOf returns a loss function as an objective. Without one there is something to measure
// and nothing to minimise.
func objectiveOf(fn loss.Func) Objective {
	return Objective{{Output: OutputName, Target: data.TargetName, Loss: fn}}
}

func (t Term) lossless() bool { return t.Loss == nil && t.Build == nil }

func (t Term) factor() float64 {
	if t.Factor == 0 {
		return 1
	}
	return t.Factor
}

// label is the name of the i-th term.
func (t Term) label(i int) string {
	switch {
	case t.Name != "":
		return t.Name
	case t.Output != "":
		return t.Output
	}
	return strconv.Itoa(i)
}

// check returns an error for terms that cannot be built or told apart.
func (o Objective) check() error {
	seen := make(map[string]bool)
	for i, t := range o {
		label := t.label(i)
		switch {
		case t.Loss != nil && t.Build != nil:
			return fmt.Errorf("term %q has a Loss and a Build, want one of them", label)
		case t.Loss != nil && (t.Output == "" || t.Target == ""):
			return fmt.Errorf("term %q has the output %q and the target %q, want names for its Loss", label, t.Output, t.Target)
		case t.lossless() && t.Output == "":
			return fmt.Errorf("term %q has neither a loss nor an output", label)
		case math.IsNaN(t.Factor) || math.IsInf(t.Factor, 0):
			return fmt.Errorf("term %q has the factor %v, want a finite number", label, t.Factor)
		case t.lossless():
			continue
		case label == "loss" || strings.HasPrefix(label, "val_"):
			return fmt.Errorf("a term has the name %q, which the history uses", label)
		case seen[label]:
			return fmt.Errorf("two terms have the name %q", label)
		}
		seen[label] = true
	}
	return nil
}

// lossless reports whether nothing is minimised.
func (o Objective) lossless() bool {
	return !slices.ContainsFunc(o, func(t Term) bool { return !t.lossless() })
}

// names returns those that the terms have in a history: none where there is only one.
func (o Objective) names() (names []string) {
	for i, t := range o {
		if !t.lossless() {
			names = append(names, t.label(i))
		}
	}
	if len(names) < 2 {
		return nil
	}
	return names
}

// pair returns the output and the target that metrics compare unless they name others.
func (o Objective) pair() (output, target string) {
	for _, t := range o {
		if t.Output != "" && t.Target != "" {
			return t.Output, t.Target
		}
	}
	return "", ""
}

// compared returns the output and the target that a metric compares.
func (o Objective) compared(m metric.Metric) (output, target string) {
	if c, ok := m.(*comparison); ok {
		return c.output, c.target
	}
	return o.pair()
}

// lossOf returns the loss of an output and a target, nil where there is none.
func (o Objective) lossOf(output, target string) loss.Func {
	for _, t := range o {
		if t.Output == output && t.Target == target && t.Loss != nil {
			return t.Loss
		}
	}
	return nil
}

// On returns a metric that compares an output and a target given by name. Its own name joins the
// output's and that of m, as in "species_accuracy".
func On(output, target string, m metric.Metric) metric.Metric {
	return &comparison{m, output, target}
}

// comparison is a metric of a named output and target.
type comparison struct {
	metric.Metric
	output, target string
}

func (c *comparison) Name() string { return c.output + "_" + c.Metric.Name() }

func (c *comparison) New() metric.Metric {
	return &comparison{c.Metric.New(), c.output, c.target}
}

func (c *comparison) Merge(other metric.Metric) error {
	if o, ok := other.(*comparison); ok && o.output == c.output && o.target == c.target {
		return c.Metric.Merge(o.Metric)
	}
	return fmt.Errorf("train: cannot merge %T %q into %q", other, other.Name(), c.Name())
}

func (c *comparison) Check() error {
	switch checker, ok := c.Metric.(metric.Checker); {
	case c.Metric == nil:
		return errors.New("train.On: metric is nil")
	case ok:
		return checker.Check()
	}
	return nil
}
