package loss_test

import (
	"math"

	"github.com/surprisal-go/surprisal/loss"
)

// vectorsOf are rows of three entries in the shape (n, 3), with no zeros and no ties.
func vectorsOf(name string, n int, seed float64) groupInput {
	in := groupInput{name: name, shape: []int{n, 3}, masked: everyRow(3)}
	for i := range 3 * n {
		in.x = append(in.x, math.Round(1024*1.5*math.Sin(seed+1.7*float64(i)*(1+seed/7)))/1024)
	}
	return in
}

// problemsOf adds a problem for each list of options.
func problemsOf(p groupProblem, options map[string][]loss.Option) {
	for title, opts := range options {
		p.title, p.opts = title, opts
		groupProblems = append(groupProblems, p)
	}
}

func init() {
	x, y, z := vectorsOf("x", 5, 0.3), vectorsOf("y", 5, 1.1), vectorsOf("z", 5, 2.3)
	one := func(in groupInput) groupInput {
		in.x, in.shape, in.masked = in.x[:3], []int{3}, nil
		return in
	}
	problemsOf(groupProblem{loss: "PairwiseDistance", inputs: []groupInput{x, y}, node: true}, map[string][]loss.Option{
		"plain": nil, "power 1": {loss.WithPower(1)}, "power 1.5": {loss.WithPower(1.5), loss.WithEpsilon(0)},
		"power 3": {loss.WithPower(3)},
		"largest": {loss.WithPower(math.Inf(1))}})
	triples := groupProblem{loss: "TripletMargin", inputs: []groupInput{x, y, z}, mask: []int{5}, weights: []int{5}}
	problemsOf(triples, map[string][]loss.Option{"plain": {loss.WithMargin(2)}, "swap": {loss.WithSwap(), loss.WithMargin(3)},
		"soft": {loss.WithSoft()}, "soft swap": {loss.WithSoft(), loss.WithSwap(), loss.WithMargin(0.5)},
		"squared": {loss.WithDistance(loss.DistanceSquared), loss.WithMargin(5)},
		"cosine":  {loss.WithDistance(loss.DistanceCosine), loss.WithSoft()},
		"power":   {loss.WithPower(3), loss.WithSoft()}})
	problemsOf(groupProblem{loss: "TripletMargin", inputs: []groupInput{one(x), one(y), one(z)}},
		map[string][]loss.Option{"one": {loss.WithMargin(4)}})
	for title, flags := range map[string]groupInput{"integers": {ints: []int{1, -1, -1, 1, -1}}, "numbers": {x: []float64{1, -1, 1, -1, -1}}} {
		flags.name, flags.shape, flags.data, flags.masked = "similar", []int{5}, true, everyRow(1)
		problemsOf(groupProblem{loss: "CosineEmbedding", inputs: []groupInput{x, z, flags}, mask: []int{5}, weights: []int{5}},
			map[string][]loss.Option{title: nil, title + ", margin": {loss.WithMargin(-0.75)}})
	}
	for title, flags := range map[string]groupInput{"integers": {ints: []int{1, 0, 0, 1, 0}}, "numbers": {x: []float64{1, 0.25, 0, 0.75, 0}}} {
		flags.name, flags.shape, flags.data, flags.masked = "similar", []int{5}, true, everyRow(1)
		problemsOf(groupProblem{loss: "Contrastive", inputs: []groupInput{x, y, flags}, mask: []int{5}, weights: []int{5}},
			map[string][]loss.Option{title: nil, title + ", margin": {loss.WithMargin(3)}})
	}
	problemsOf(groupProblem{loss: "Alignment", inputs: []groupInput{x, y}, mask: []int{5}, weights: []int{5}},
		map[string][]loss.Option{"plain": nil, "power 1": {loss.WithPower(1)}, "power 3": {loss.WithPower(3)}})
}
