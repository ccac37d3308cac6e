package loss_test

import (
	"maps"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func init() {
	maps.Copy(adapters, divergenceAdapters)
	exceptions = append(exceptions, exception{file: "js_divergence", cases: `^disjoint-`,
		why: "the formula written out gives NaN as the gradient of a probability of 0, which is 0 here", want: noSlopeAtZero})
}

// noSlopeAtZero puts 0 for the gradient by an entry of 0; the other results of the case stand.
func noSlopeAtZero(c *refCase) (*refCase, error) {
	output, grads := c.results()
	changed := make(map[string][]float64)
	for name, a := range grads {
		changed[name] = a.values()
		for i, v := range c.Inputs[name].values() {
			if v == 0 {
				changed[name][i] = 0
			}
		}
	}
	return c.replaced(output.values(), changed), nil
}

// perRow is the reduction of a file whose function returns a value for each row unless a case says
// otherwise.
func (b *refGraph) perRow() loss.Option {
	if len(b.c.Output.Shape) > 0 {
		return loss.WithReduction(loss.None)
	}
	return b.reduction()
}

// exp is the exponential of an input. Both are float64 for the float32 cases too: Gorgonia's
// float32 exponential would round, and the reference for float32 is the float64 computation on the
// same inputs.
func (b *refGraph) exp(name string) (*G.Node, error) {
	b.dtype = tensor.Float64
	return G.Exp(b.input(name))
}

var divergenceAdapters = map[string]reference{
	"bhattacharyya": {func(b *refGraph) (*G.Node, error) {
		return loss.Bhattacharyya(b.input("p"), b.input("q"), b.perRow())
	}, tally{2, 2, 0, 0, 0, 0}},
	"generalized_jsd": {func(b *refGraph) (*G.Node, error) {
		p, err := b.exp("log_q")
		if err != nil {
			return nil, err
		}
		t, err := b.exp("log_p")
		if err != nil {
			return nil, err
		}
		return loss.JensenShannon(p, t, loss.WithBeta(b.option("beta", 0.5)), b.perRow())
	}, tally{10, 10, 0, 0, 0, 0}},
	"generalized_kl": {func(b *refGraph) (*G.Node, error) {
		p, err := b.exp("log_q")
		if err != nil {
			return nil, err
		}
		return loss.GeneralizedKL(p, b.input("p"), b.perRow())
	}, tally{2, 2, 0, 0, 0, 0}},
	"hellinger": {func(b *refGraph) (*G.Node, error) {
		return loss.Hellinger(b.input("p"), b.input("q"), b.perRow())
	}, tally{2, 2, 0, 0, 0, 0}},
	"js_divergence": {func(b *refGraph) (*G.Node, error) {
		js, err := loss.JensenShannon(b.input("p"), b.input("q"), b.perRow())
		if err != nil || b.c.Options["base"] == "nats" {
			return js, err
		}
		if b.c.Dtype == "float32" {
			return G.Div(js, G.NewConstant(float32(math.Ln2)))
		}
		return G.Div(js, G.NewConstant(math.Ln2))
	}, tally{8, 4, 4, 0, 0, 0}},
	"kl_bernoulli": {func(b *refGraph) (*G.Node, error) {
		return loss.BernoulliKL(b.input("a"), b.input("b"), b.perRow())
	}, tally{2, 2, 0, 0, 0, 0}},
	"kl_gaussian": {func(b *refGraph) (*G.Node, error) {
		return loss.GaussianKL(b.input("m1"), b.input("s1"), b.input("m2"), b.input("s2"), b.perRow())
	}, tally{2, 2, 0, 0, 0, 0}},
	"kl_gaussian_standard": {func(b *refGraph) (*G.Node, error) {
		return loss.StandardGaussianKL(b.input("mu"), b.input("logvar"), b.perRow())
	}, tally{2, 2, 0, 0, 0, 0}},
	"tvd": {func(b *refGraph) (*G.Node, error) {
		return loss.TotalVariation(b.input("p"), b.input("q"), b.perRow())
	}, tally{2, 2, 0, 0, 0, 0}},
}
