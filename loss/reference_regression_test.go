package loss_test

import (
	"maps"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
)

func init() {
	maps.Copy(adapters, regressionAdapters)
	exceptions = append(exceptions, regressionExceptions...)
}

// flag is an option that the case switches on.
func flag(name string, opt loss.Option) func(*refGraph) loss.Option {
	return func(b *refGraph) loss.Option {
		if b.c.Options[name] != true {
			return nil
		}
		return opt
	}
}

var regressionAdapters = map[string]reference{
	"charbonnier": {classified(loss.Charbonnier, number("eps2", func(v float64) loss.Option { return loss.WithEpsilon(math.Sqrt(v)) })),
		tally{2, 2, 0, 0, 0, 0}},
	"cosine_similarity": {func(b *refGraph) (*G.Node, error) {
		d, err := loss.CosineDistance(b.input("input1"), b.input("input2"), loss.WithReduction(loss.None), loss.WithEpsilon(b.option("eps", 0)), b.axis())
		if err != nil {
			return nil, err
		}
		return G.Sub(b.constant(1), d)
	}, tally{4, 4, 0, 0, 0, 0}},
	"gaussian_nll_loss": {gaussianCase, tally{17, 16, 0, 1, 0, 0}},
	"log_cosh":          {classified(loss.LogCosh), tally{10, 8, 2, 0, 0, 3}},
	"mape": {func(b *refGraph) (*G.Node, error) {
		l, err := classified(loss.MAPE)(b)
		if err != nil {
			return nil, err
		}
		return G.Mul(l, b.constant(100))
	}, tally{2, 2, 0, 0, 0, 0}},
	"msle":             {classified(loss.MSLE), tally{2, 2, 0, 0, 0, 0}},
	"poisson_nll_loss": {classified(loss.PoissonNLL, flag("full", loss.WithFull())), tally{28, 14, 0, 0, 14, 0}},
	"quantile_loss":    {classified(loss.Quantile, number("tau", loss.WithQuantile)), tally{20, 16, 4, 0, 0, 6}},
	"smooth_l1_loss":   {classified(loss.SmoothL1, number("beta", loss.WithBeta)), tally{30, 28, 2, 0, 0, 6}},
	"wing": {classified(loss.Wing, number("w", loss.WithMargin), number("eps", loss.WithEpsilon)),
		tally{2, 2, 0, 0, 0, 0}},
}

// gaussianCase builds a case of gaussian_nll_loss. A variance for each row is spread over the row
// by a product with ones.
func gaussianCase(b *refGraph) (*G.Node, error) {
	opts := []loss.Option{b.reduction(), loss.WithEpsilon(b.option("eps", 1e-6))}
	if b.c.Options["full"] == true {
		opts = append(opts, loss.WithFull())
	}
	shape, own := b.shape("input"), b.shape("var")
	if len(own) == len(shape) {
		return loss.GaussianNLL(b.input("input"), b.input("target"), b.input("var"), opts...)
	}
	ones := make([]float64, shape[1])
	for i := range ones {
		ones[i] = 1
	}
	spread, err := G.Mul(b.input("var", own[0], 1), floatLeaf(b.g, b.dtype, "ones", []int{1, shape[1]}, ones))
	if err != nil {
		return nil, err
	}
	return loss.GaussianNLL(b.input("input"), b.input("target"), spread, opts...)
}

var regressionExceptions = []exception{
	{file: "gaussian_nll_loss", cases: `^var-negative/`, why: "a negative variance", refused: loss.ErrValue},
	{file: "poisson_nll_loss", cases: `-logFalse-|^x-zero/`, why: "predictions are log-rates here, not rates",
		unsupported: true},
	{file: "log_cosh", cases: `^inf-`, why: "an error of -Inf has the limit +Inf, in PyTorch's formula NaN",
		want: logCoshRule},
	{file: "smooth_l1_loss", cases: `^inf-\{'beta': 0\.0\}/`, why: "the gradient of NaN is NaN, in PyTorch 0",
		want: absoluteRule},
	{file: "quantile_loss", cases: `^inf-`, why: "the gradient of NaN is NaN, in PyTorch that of the wrong side or 0",
		want: quantileRule},
}

// logCoshRule computes a case of log_cosh on errors of which none is finite.
func logCoshRule(c *refCase) (*refCase, error) {
	x, y, up := c.Inputs["input"].values(), c.Inputs["target"].values(), c.Upstream.values()
	values, g := make([]float64, len(x)), make([]float64, len(x))
	for i := range x {
		e := x[i] - y[i]
		values[i], g[i] = math.Abs(e), math.Tanh(e)*up[i]
	}
	return c.replaced(values, map[string][]float64{"input": g}), nil
}

// quantileRule computes a case of quantile_loss without errors of 0.
func quantileRule(c *refCase) (*refCase, error) {
	x, y, up := c.Inputs["input"].values(), c.Inputs["target"].values(), c.Upstream.values()
	values, g := make([]float64, len(x)), make([]float64, len(x))
	tau := c.Options["tau"].(float64)
	for i := range x {
		switch e := x[i] - y[i]; {
		case e > 0:
			values[i], g[i] = (1-tau)*e, (1-tau)*up[i]
		case e < 0:
			values[i], g[i] = -tau*e, -tau*up[i]
		default:
			values[i], g[i] = e, e
		}
	}
	return c.replaced(values, map[string][]float64{"input": g}), nil
}
