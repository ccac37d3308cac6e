package main

import (
	"fmt"
	"strings"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/machine"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A specimen is a loss with all that is needed to call it.
type specimen struct {
	loss.Info
	domains []loss.Domain // one for each operand
	knobs   []knob
	shapes  []operand // of a loss of groups; nil for one of rows
	call    func(in G.Nodes, opts ...loss.Option) (*G.Node, error)
}

// A knob is an option with a number, and the letter that it has in the loss's formula.
type knob struct {
	letter string
	option func(float64) loss.Option
	value  float64
}

// knobs are the defaults, except where the default hides what the loss is for: a quantile of 0.5 is
// half of MAE, a tolerance of 0.1 or an ε of 0.001 is not to be seen next to residuals of 6, a
// SmoothL1 of 1 is a Huber, a Barron of 1 is a PseudoHuber, and a smoothing of 1 is as much as
// a pixel. Table and panels say how they are set.
var knobs = map[string][]knob{
	"SoftmaxFocal":            {{"γ", loss.WithGamma, 2}},
	"PolyCrossEntropy":        {{"ε", loss.WithEpsilon, 2}},
	"GeneralizedCrossEntropy": {{"q", loss.WithQ, .7}},
	"MultiMargin":             {{"m", loss.WithMargin, 1}, {"p", loss.WithPower, 1}},
	"ArcFace":                 {{"s", loss.WithScale, 64}, {"m", loss.WithMargin, .5}},
	"CosFace":                 {{"s", loss.WithScale, 64}, {"m", loss.WithMargin, .35}},
	"Distillation":            {{"T", loss.WithTemperature, 4}, {"α", loss.WithAlpha, .5}},
	"SigmoidFocal":            {{"γ", loss.WithGamma, 2}},
	"HingeEmbedding":          {{"m", loss.WithMargin, 1}},
	"Huber":                   {{"δ", loss.WithDelta, 1}},
	"SmoothL1":                {{"β", loss.WithBeta, .5}},
	"PseudoHuber":             {{"δ", loss.WithDelta, 1}},
	"Charbonnier":             {{"ε", loss.WithEpsilon, .5}},
	"Quantile":                {{"τ", loss.WithQuantile, .8}},
	"Expectile":               {{"τ", loss.WithTau, .8}},
	"EpsilonInsensitive":      {{"ε", loss.WithEpsilon, 1}},
	"Wing":                    {{"w", loss.WithMargin, 1}, {"ε", loss.WithEpsilon, .5}},
	"Cauchy":                  {{"c", loss.WithScale, 1}},
	"GemanMcClure":            {{"c", loss.WithScale, 1}},
	"Welsch":                  {{"c", loss.WithScale, 1}},
	"Tukey":                   {{"c", loss.WithScale, 4.685}},
	"Barron":                  {{"α", loss.WithAlpha, .5}, {"c", loss.WithScale, 1}},
	"Tweedie":                 {{"p", loss.WithPower, 1.5}},
	"NegativeBinomial":        {{"α", loss.WithAlpha, 1}},
	"StudentTNLL":             {{"ν", loss.WithAlpha, 4}},
	"JensenShannon":           {{"β", loss.WithBeta, .5}},
	"Renyi":                   {{"α", loss.WithAlpha, 2}},
	"AlphaDivergence":         {{"α", loss.WithAlpha, .5}},
	"LDAM":                    {{"m", loss.WithMargin, .5}, {"s", loss.WithScale, 5}},
	"Dice":                    {{"s", loss.WithSmooth, 0}},
	"Jaccard":                 {{"s", loss.WithSmooth, 0}},
	"Tversky":                 {{"α", loss.WithAlpha, .3}, {"β", loss.WithBeta, .7}, {"s", loss.WithSmooth, 0}},
	"TripletMargin":           {{"m", loss.WithMargin, 1}},
	"Contrastive":             {{"m", loss.WithMargin, 1}},
	"ApproxNDCG":              {{"T", loss.WithTemperature, .5}},
	"Sinkhorn":                {{"ε", loss.WithEpsilon, .5}, {"threshold", loss.WithThreshold, 1e-14}},
	"SinkhornDivergence":      {{"ε", loss.WithEpsilon, .5}, {"threshold", loss.WithThreshold, 1e-14}},
}

// specimens returns all losses, family by family.
func specimens() ([]specimen, error) {
	var all []specimen
	for _, family := range loss.Families() {
		for _, name := range family.Losses {
			info, ok := loss.Describe(name)
			if !ok {
				return nil, fmt.Errorf("zoo: the family %q has no description of %s", family.Name, name)
			}
			if info.Node {
				continue // a log-probability or a distance
			}
			shapes, err := groups(info)
			if err != nil {
				return nil, err
			}
			s := specimen{Info: info, domains: info.Holds, knobs: knobs[name], shapes: shapes}
			s.call = func(in G.Nodes, opts ...loss.Option) (*G.Node, error) { return info.Call(in, opts...) }
			all = append(all, s)
		}
	}
	return all, nil
}

// settings says how the knobs are set: "s = 64, m = 0.5".
func (s *specimen) settings() string {
	var parts []string
	for _, k := range s.knobs {
		parts = append(parts, fmt.Sprintf("%s = %v", k.letter, k.value))
	}
	return strings.Join(parts, ", ")
}

// build adds the loss to the graph of its operands.
func (s *specimen) build(in G.Nodes, opts ...loss.Option) (*G.Node, error) {
	for _, k := range s.knobs {
		opts = append(opts, k.option(k.value))
	}
	if s.Name == "LDAM" { // which has to know how frequent the classes are
		opts = append(opts, loss.WithCounts([]float64{100, 30, 10, 3, 1}[:in[0].Shape()[1]]))
	}
	return s.call(in, opts...)
}

// evaluate returns the loss of the operands under the reduction show, and the gradient by operand
// wrt of the loss under the reduction cost.
func (s *specimen) evaluate(operands []*tensor.Dense, show, cost loss.Reduction, wrt int) (value, gradient []float64, err error) {
	g := G.NewGraph()
	in := make(G.Nodes, len(operands))
	for k, t := range operands {
		in[k] = G.NodeFromAny(g, t, G.WithName(s.Operands[k]))
	}
	shown, err := s.build(in, loss.WithReduction(show))
	if err != nil {
		return nil, nil, err
	}
	summed, err := s.build(in, loss.WithReduction(cost))
	if err != nil {
		return nil, nil, err
	}
	slopes, err := loss.Gradients(summed, in[wrt])
	if err != nil {
		return nil, nil, err
	}
	var v, d G.Value
	G.Read(shown, &v)
	G.Read(slopes[0], &d)
	m, err := machine.New(g)
	if err != nil {
		return nil, nil, err
	}
	defer m.Close()
	if err := m.RunAll(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.Name, loss.Cause(err))
	}
	return numbers(v), numbers(d), nil
}

func numbers(v G.Value) []float64 {
	if x, ok := v.Data().(float64); ok {
		return []float64{x}
	}
	return v.Data().([]float64)
}

// operand is a tensor of n rows for operand k: its entries lie row by row in x, as integers where
// the domain has them.
func (s *specimen) operand(k, n int, x []float64) *tensor.Dense {
	shape := tensor.Shape{n, len(x) / n}
	labels := s.isLabels(k)
	switch {
	case s.Family == "Overlap" && !labels:
		shape = tensor.Shape{n, 1, len(x) / n} // images of one class
	case s.Family == "Overlap":
	case s.Elementwise || labels || s.domains[k] == loss.SignFlags || s.domains[k] == loss.SoftFlags:
		shape = tensor.Shape{len(x)}
	}
	if !labels && s.domains[k] != loss.ClassLists {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
	}
	classes := make([]int, len(x))
	for i, c := range x {
		classes[i] = int(c)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(classes))
}

// isLabels says whether operand k holds one class for each row. Losses that take labels or
// distributions get labels.
func (s *specimen) isLabels(k int) bool {
	return s.domains[k] == loss.Labels || s.domains[k] == loss.LabelsOrSoft
}
