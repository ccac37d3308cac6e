package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/gradcheck"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The problem of a loss: so many examples (elements, for elementwise losses) of so many classes.
const (
	examples = 4
	classes  = 5
)

// problem draws operands from the loss's domains. Losses of the same domains get the same numbers.
func (s *specimen) problem() []*tensor.Dense {
	r := rand.New(rand.NewPCG(2, 7))
	cols := classes
	if s.Elementwise {
		cols = 1
	}
	operands := make([]*tensor.Dense, len(s.domains))
	for k, d := range s.domains {
		if s.shapes != nil {
			operands[k] = s.shapes[k].draw(r, d, s.Operands[k] == "thresholds")
			continue
		}
		var x []float64
		for range examples {
			if s.isLabels(k) {
				x = append(x, float64(r.IntN(classes)))
			} else {
				x = append(x, sample(r, d, cols)...)
			}
		}
		operands[k] = s.operand(k, examples, x)
	}
	return operands
}

// sample draws one row of n entries of a domain.
func sample(r *rand.Rand, d loss.Domain, n int) []float64 {
	x := make([]float64, n)
	total := 0.
	for i := range x {
		switch d {
		case loss.UnitInterval, loss.SoftFlags:
			x[i] = .05 + .9*r.Float64()
		case loss.Cosines:
			x[i] = -.8 + 1.6*r.Float64()
		case loss.Signs, loss.SignFlags:
			x[i] = float64(2*r.IntN(2) - 1)
		case loss.NonPositive:
			x[i] = -.1 - 2*r.Float64()
		case loss.Counts:
			x[i] = float64(r.IntN(6))
		case loss.Positive, loss.Scales, loss.Variances, loss.Probabilities, loss.SoftTargets, loss.LogProbabilities:
			x[i] = math.Exp(.7 * r.NormFloat64())
		default:
			x[i] = 1.5 * r.NormFloat64()
		}
		total += x[i]
	}
	switch d {
	case loss.Probabilities, loss.SoftTargets, loss.LogProbabilities: // of one distribution
		for i := range x {
			if x[i] /= total; d == loss.LogProbabilities {
				x[i] = math.Log(x[i])
			}
		}
	case loss.ClassLists:
		length := 1 + r.IntN(n-1)
		for i, c := range r.Perm(n) {
			if x[i] = float64(c); i >= length {
				x[i] = -1
			}
		}
	}
	return x
}

// A row is what the table says of a loss.
type row struct {
	value, gradient float64
	second          float64 // the largest error of a Hessian-vector product, as a part of its largest element
	curvature       float64 // that element
	checked, failed int     // elements of gradients and products; 0, 0: not to be compared
}

// holdsConstant are the losses that have a part of themselves for a constant in their derivatives,
// so that no difference of values is one: the paces of Circle, and GRPO's own log-probabilities
// where it is not told those of the policy that wrote the sequences.
var holdsConstant = map[string]bool{"Circle": true, "GRPO": true}

// measure evaluates the loss on its problem and checks its derivatives by every floating operand.
func (s *specimen) measure() (row, error) {
	var m row
	operands := s.problem()
	value, gradient, err := s.evaluate(operands, loss.Mean, loss.Mean, 0)
	if err != nil {
		return m, err
	}
	m.value = value[0]
	for _, d := range gradient {
		m.gradient = math.Hypot(m.gradient, d)
	}
	if holdsConstant[s.Name] {
		return m, nil
	}
	inputs := make([]gradcheck.Input, len(operands))
	for k, t := range operands {
		inputs[k] = gradcheck.Input{Name: s.Operands[k], Value: t, Data: s.domains[k] == loss.Signs || s.domains[k] == loss.SignFlags || s.shapes != nil && s.shapes[k].data}
	}
	report, err := gradcheck.Check(func(_ *G.ExprGraph, _ tensor.Dtype, in G.Nodes) (*G.Node, error) { return s.build(in) },
		inputs, gradcheck.WithPasses(gradcheck.Reverse), gradcheck.WithSecondOrder(3))
	if err != nil {
		return m, fmt.Errorf("%s: %w", s.Name, err)
	}
	for _, e := range report.Elements {
		if m.checked++; e.Failed() {
			m.failed++
		}
		if e.Order == 2 {
			m.second, m.curvature = math.Max(m.second, e.Abs), math.Max(m.curvature, math.Abs(e.Analytic))
		}
	}
	if m.failed += len(report.Findings); m.curvature > 0 {
		m.second /= m.curvature
	}
	return m, nil
}

const legend = `All losses on one small problem each: %d examples of %d classes (elements, where a loss is elementwise), or a few
images, lists, embeddings or sequences, drawn from what the operands may be. Losses of the same operands have the
same problem, so that their figures can be compared.

   value      the mean over the examples
   gradient   the norm of the gradient by the first operand, which the model produced
   2nd order  the largest difference between a Hessian-vector product, by all operands, and differences of gradients,
              as a part of the product's largest element; 0 where both are 0: the loss has no curvature there
   checked    how many elements of gradients and products agree with differences; - where a part of the loss is a
              constant in its derivatives by definition, so that differences are others
   laws       convex in the prediction; >= 0; 0 if equal: prediction and target; symmetric in them;
              shift: adding a constant to all logits of an example changes nothing
`

var laws = []struct {
	law  loss.Law
	name string
}{{loss.Convex, "convex"}, {loss.NonNegative, ">= 0"}, {loss.ZeroAtEqual, "0 if equal"}, {loss.Symmetric, "symmetric"}, {loss.ShiftInvariant, "shift"}}

// table writes a line for each loss.
func table(w io.Writer, all []specimen) error {
	fmt.Fprintf(w, legend, examples, classes)
	family, worst, where, checked, failed := "", 0., "", 0, 0
	for i := range all {
		s := &all[i]
		m, err := s.measure()
		if err != nil {
			return err
		}
		if s.Family != family {
			family = s.Family
			fmt.Fprintf(w, "\n%-49s  %9s  %9s  %9s  %7s  %s\n", family, "value", "gradient", "2nd order", "checked", "laws")
		}
		var kept []string
		for _, l := range laws {
			if s.Laws&l.law != 0 {
				kept = append(kept, l.name)
			}
		}
		agree, second := fmt.Sprint(m.checked), short(m.second)
		switch {
		case m.failed > 0:
			agree = fmt.Sprintf("%d WRONG", m.failed)
		case m.checked == 0:
			agree, second = "-", "-"
		}
		line := fmt.Sprintf("   %s  %9.5f  %9.5f  %9s  %7s  %s", pad(s.Name, s.settings(), 46), m.value, m.gradient, second, agree,
			strings.Join(kept, ", "))
		fmt.Fprintln(w, strings.TrimRight(line, " "))
		if checked, failed = checked+m.checked, failed+m.failed; m.second > worst {
			worst, where = m.second, s.Name
		}
	}
	_, err := fmt.Fprintf(w, "\n%d losses, %d derivatives checked, %d wrong; the largest second-order error is %s (%s)\n", len(all), checked, failed,
		short(worst), where)
	return err
}

// pad sets name to the left and note to the right of a column.
func pad(name, note string, width int) string {
	return name + strings.Repeat(" ", max(1, width-utf8.RuneCountInString(name+note))) + note
}

// short writes a small number.
func short(x float64) string {
	if x == 0 {
		return "0"
	}
	return fmt.Sprintf("%.0e", x)
}
