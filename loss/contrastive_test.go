package loss_test

import (
	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// batchLabels are the labels of a batch: two classes with several examples, and one with a single one.
var batchLabels = groupInput{name: "labels", shape: []int{6}, ints: []int{4, -7, 4, 4, -7, 9}, masked: everyRow(1)}

// referenceOf is a reference of four embeddings with labels.
func referenceOf() []groupInput {
	pair := new(referencePair)
	e := vectorsOf("reference", 4, 3.1)
	e.masked, e.with, e.field = nil, pair.with(0), func(d *eager.Data) *eager.Operand { return &d.Reference }
	return []groupInput{e, {name: "referenceLabels", shape: []int{4}, ints: []int{-7, 4, 9, 4}, with: pair.with(1),
		field: func(d *eager.Data) *eager.Operand { return &d.ReferenceLabels }}}
}

func init() {
	e := vectorsOf("embeddings", 6, 0.7)
	for name, options := range map[string]map[string][]loss.Option{
		"NTXent":          {"plain": {loss.WithTemperature(0.5)}, "cold": {loss.WithTemperature(0.1)}},
		"SupCon":          {"plain": {loss.WithTemperature(0.5)}, "cold": nil},
		"Circle":          {"plain": {loss.WithGamma(4)}, "margin": {loss.WithMargin(0.25), loss.WithGamma(2)}},
		"MultiSimilarity": {"plain": nil, "options": {loss.WithAlpha(1), loss.WithBeta(3), loss.WithMargin(0.25)}},
	} {
		p := groupProblem{loss: name, inputs: []groupInput{e, batchLabels}, mask: []int{6}, weights: []int{6}, kinks: name == "Circle"}
		problemsOf(p, options)
		p.inputs = append(p.inputs, referenceOf()...)
		problemsOf(p, map[string][]loss.Option{"reference": options["plain"]})
	}
}
