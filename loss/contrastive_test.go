package loss_test

import (
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
)

// batchLabels are the labels of a batch: two classes with several examples, and one with a single
// one.
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
	views := []groupInput{vectorsOf("queries", 5, 0.3), vectorsOf("keys", 5, 1.1)}
	scale := groupInput{name: "scale", shape: []int{}, x: []float64{3}, with: loss.WithScaleNode, field: func(d *eager.Data) *eager.Operand { return &d.Scale }}
	bias := groupInput{name: "bias", shape: []int{}, x: []float64{-1.5}, with: loss.WithBias, field: func(d *eager.Data) *eager.Operand { return &d.Bias }}
	positives := groupInput{name: "positives", shape: []int{5, 5}, data: true, with: loss.WithPositives,
		field: func(d *eager.Data) *eager.Operand { return &d.Positives },
		x:     []float64{1, 0, 0, 0.5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 1},
		masked: func(i int) (at []int) {
			for k := range 5 {
				at = append(at, 5*i+k, 5*k+i)
			}
			return at
		}}
	flags := positives
	flags.ints, flags.x = make([]int, 25), nil
	for i, w := range positives.x {
		if w > 0 {
			flags.ints[i] = 1
		}
	}
	with := func(more ...groupInput) []groupInput { return append(slices.Clip(views), more...) }
	infoNCE := groupProblem{loss: "InfoNCE", inputs: views, mask: []int{5}, weights: []int{5}, whole: true}
	problemsOf(infoNCE, map[string][]loss.Option{"plain": {loss.WithTemperature(0.5)}, "scale": {loss.WithScale(400)}})
	infoNCE.inputs = with(positives, scale)
	problemsOf(infoNCE, map[string][]loss.Option{"positives and scale": nil})
	infoNCE.inputs = with(scale)
	problemsOf(infoNCE, map[string][]loss.Option{"scale node": nil})
	infoNCE.inputs = with(flags)
	problemsOf(infoNCE, map[string][]loss.Option{"flags": nil})
	oneWay := groupProblem{loss: "InfoNCE", inputs: views, mask: []int{5}, weights: []int{5}}
	problemsOf(oneWay, map[string][]loss.Option{"one way": {loss.WithOneWay(), loss.WithTemperature(0.25)}})
	more := vectorsOf("keys", 7, 1.9)
	more.masked = nil
	oneWay.inputs = []groupInput{views[0], more}
	problemsOf(oneWay, map[string][]loss.Option{"more keys": {loss.WithOneWay(), loss.WithTemperature(0.25)}})
	sigLIP := groupProblem{loss: "SigLIP", inputs: views, mask: []int{5}, weights: []int{5}}
	problemsOf(sigLIP, map[string][]loss.Option{"plain": nil, "scale": {loss.WithScale(2)}})
	sigLIP.inputs = with(positives, scale, bias)
	problemsOf(sigLIP, map[string][]loss.Option{"nodes": nil})
	sigLIP.inputs = with(bias)
	problemsOf(sigLIP, map[string][]loss.Option{"bias": nil})
	problemsOf(groupProblem{loss: "DCL", inputs: []groupInput{vectorsOf("x", 5, 0.3), vectorsOf("y", 5, 1.1)}, mask: []int{5}, weights: []int{5}},
		map[string][]loss.Option{"plain": nil, "warm": {loss.WithTemperature(1)}})
	batch := groupProblem{loss: "BatchTriplet", inputs: []groupInput{e, batchLabels}, mask: []int{6}, weights: []int{6}}
	problemsOf(batch, map[string][]loss.Option{"all": nil, "hard": {loss.WithMining(loss.MineHard)}, "semi-hard": {loss.WithMining(loss.MineSemiHard)},
		"soft":          {loss.WithSoft(), loss.WithMargin(0.5)},
		"squared":       {loss.WithDistance(loss.DistanceSquared), loss.WithSoft()},
		"cosine":        {loss.WithDistance(loss.DistanceCosine), loss.WithSoft()},
		"non-zero":      {loss.WithNonZero(), loss.WithMargin(0.25)},
		"soft non-zero": {loss.WithNonZero(), loss.WithSoft(), loss.WithMining(loss.MineHard)}})
	batch.inputs = append(batch.inputs, referenceOf()...)
	problemsOf(batch, map[string][]loss.Option{"reference": {loss.WithSoft()}})
	ids := batchLabels
	ids.shape, ids.ints = []int{5}, ids.ints[:5]
	nPairs := groupProblem{loss: "NPairs", inputs: []groupInput{vectorsOf("anchors", 5, 0.3), vectorsOf("positives", 5, 1.1), ids}, mask: []int{5}, weights: []int{5}}
	problemsOf(nPairs, map[string][]loss.Option{"labels": nil})
	shares := positives
	shares.name = "shares"
	nPairs.inputs = append(slices.Clip(nPairs.inputs), shares)
	problemsOf(nPairs, map[string][]loss.Option{"positives": nil})
	proxies := vectorsOf("proxies", 4, 2.1)
	proxies.masked = nil
	classes := groupInput{name: "labels", shape: []int{6}, ints: []int{2, 0, 2, 2, 0, 1}, masked: everyRow(1)}
	proxy := groupProblem{loss: "ProxyNCA", inputs: []groupInput{e, proxies, classes}, mask: []int{6}, weights: []int{6}}
	problemsOf(proxy, map[string][]loss.Option{"plain": nil, "scale": {loss.WithScale(4)}})
	proxy.loss, proxy.weights, proxy.whole = "ProxyAnchor", nil, true
	problemsOf(proxy, map[string][]loss.Option{"plain": {loss.WithAlpha(4)}, "margin": {loss.WithMargin(0.3), loss.WithAlpha(2)}})
	problemsOf(groupProblem{loss: "Uniformity", inputs: []groupInput{vectorsOf("x", 5, 0.3)}, mask: []int{5}, whole: true},
		map[string][]loss.Option{"plain": nil, "scale": {loss.WithScale(0.5)}})
	twoViews := groupProblem{loss: "VICReg", inputs: []groupInput{vectorsOf("x", 5, 0.3), vectorsOf("y", 5, 1.1)}, mask: []int{5}, whole: true}
	problemsOf(twoViews, map[string][]loss.Option{"plain": nil, "terms": {loss.WithTerms(1, 2, 3), loss.WithMargin(2), loss.WithEpsilon(0.01)}})
	twoViews.loss = "BarlowTwins"
	problemsOf(twoViews, map[string][]loss.Option{"plain": nil, "unbiased": {loss.WithUnbiased(), loss.WithEpsilon(0), loss.WithAlpha(0.5)}})
}
