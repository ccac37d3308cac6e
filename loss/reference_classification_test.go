package loss_test

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func init() {
	maps.Copy(adapters, classificationAdapters)
	exceptions = append(exceptions, classificationExceptions...)
}

// classified builds a case of a loss on input and target, integer or floating.
func classified(f loss.Func, opts ...func(b *refGraph) loss.Option) adapter {
	return func(b *refGraph) (*G.Node, error) {
		list := []loss.Option{b.reduction()}
		if b.c.Output != nil {
			list[0] = b.perRow()
		}
		for _, o := range opts {
			if opt := o(b); opt != nil {
				list = append(list, opt)
			}
		}
		if b.c.Inputs["target"].Dtype == "int" {
			return f(b.input("input"), b.labels("target"), list...)
		}
		return f(b.input("input"), b.input("target"), list...)
	}
}

// number is an option with the case's number of that name, absent where the case has none.
func number(name string, with func(float64) loss.Option) func(*refGraph) loss.Option {
	return func(b *refGraph) loss.Option {
		v, ok := b.c.Options[name].(float64)
		if !ok {
			return nil
		}
		return with(v)
	}
}

// weightList is the input weight as class weights.
func weightList(b *refGraph) loss.Option {
	if !b.has("weight") {
		return nil
	}
	return loss.WithClassWeights(b.list("weight"))
}

// weightEach is the input weight as a weight for each element.
func weightEach(b *refGraph) loss.Option {
	if !b.has("weight") {
		return nil
	}
	return loss.WithWeights(b.expanded("weight", "input"))
}

var classificationAdapters = map[string]reference{
	"arcface":              {angular(loss.ArcFace), tally{2, 2, 0, 0, 0, 0}},
	"cosface":              {angular(loss.CosFace), tally{2, 2, 0, 0, 0, 0}},
	"binary_cross_entropy": {classified(loss.BinaryCrossEntropyFromProb, weightEach), tally{26, 16, 8, 2, 0, 3}},
	"categorical_hinge":    {classified(loss.CategoricalHinge), tally{2, 2, 0, 0, 0, 0}},
	"cross_entropy_zloss_softcap": {classified(loss.CrossEntropy, number("z_loss", loss.WithZLoss), number("softcap", loss.WithSoftcap),
		number("label_smoothing", loss.WithLabelSmoothing)), tally{10, 10, 0, 0, 0, 5}},
	"distillation": {func(b *refGraph) (*G.Node, error) {
		student := b.input("student")
		labels := labelLeaf(b.g, tensor.Int, "labels", student.Shape()[:1], make([]int, student.Shape()[0]))
		return loss.Distillation(student, b.input("teacher"), labels, loss.WithAlpha(1),
			loss.WithTemperature(b.option("temperature", 0)))
	}, tally{6, 6, 0, 0, 0, 0}},
	"emd_ordinal_squared": {func(b *refGraph) (*G.Node, error) {
		b.dtype = tensor.Float64
		x, err := G.Log(b.input("p"))
		if err != nil {
			return nil, err
		}
		return loss.EMD(x, b.input("q"), b.perRow())
	}, tally{2, 0, 2, 0, 0, 0}},
	"evidential_mse": {func(b *refGraph) (*G.Node, error) {
		b.dtype = tensor.Float64
		evidence, err := loss.Softplus(b.input("input"))
		if err != nil {
			return nil, err
		}
		return loss.EvidentialMSE(evidence, b.labels("target"), b.perRow())
	}, tally{2, 2, 0, 0, 0, 0}},
	"generalized_cross_entropy": {classified(loss.GeneralizedCrossEntropy, number("q", loss.WithQ)),
		tally{6, 6, 0, 0, 0, 0}},
	"hinge": {classified(loss.Hinge), tally{2, 2, 0, 0, 0, 0}},
	"hinge_embedding_loss": {classified(loss.HingeEmbedding, number("margin", loss.WithMargin)),
		tally{6, 6, 0, 0, 0, 0}},
	"multi_margin_loss":               {classified(loss.MultiMargin, number("p", loss.WithPower), number("margin", loss.WithMargin), weightList), tally{24, 20, 4, 0, 0, 0}},
	"multiclass_hinge_crammer_singer": {classified(loss.MulticlassHinge), tally{2, 2, 0, 0, 0, 0}},
	"multilabel_margin_loss":          {classified(loss.MultiLabelMargin), tally{6, 6, 0, 0, 0, 0}},
	"multilabel_soft_margin_loss":     {classified(loss.MultiLabelSoftMargin, weightList), tally{12, 10, 2, 0, 0, 0}},
	"poly1_cross_entropy": {classified(loss.PolyCrossEntropy, number("epsilon", loss.WithEpsilon)),
		tally{8, 8, 0, 0, 0, 0}},
	"sigmoid_focal": {classified(loss.SigmoidFocal, number("gamma", loss.WithGamma), func(b *refGraph) loss.Option {
		if alpha := b.option("alpha", -1); alpha >= 0 {
			return loss.WithAlpha(alpha)
		}
		return nil
	}), tally{24, 20, 4, 0, 0, 6}},
	"soft_margin_loss": {classified(loss.SoftMargin), tally{8, 6, 2, 0, 0, 3}},
	"softmax_focal":    {classified(loss.SoftmaxFocal, number("gamma", loss.WithGamma)), tally{6, 6, 0, 0, 0, 0}},
	"sparsemax": {func(b *refGraph) (*G.Node, error) {
		// The gradient p - t for a target without mass is the projection itself.
		x := b.input("input")
		zeros := floatLeaf(b.g, b.dtype, "zeros", x.Shape(), make([]float64, x.Shape().TotalSize()))
		l, err := loss.Sparsemax(x, zeros, loss.WithReduction(loss.Sum))
		if err != nil {
			return nil, err
		}
		p, err := loss.Gradients(l, x)
		if err != nil {
			return nil, err
		}
		// A LispMachine adds the gradients of all scalar roots, so the loss must not be one.
		none, err := G.HadamardProd(l, b.constant(0))
		if err != nil {
			return nil, err
		}
		return G.Add(p[0], none)
	}, tally{4, 4, 0, 0, 0, 0}},
	"sparsemax_loss": {classified(loss.Sparsemax), tally{2, 2, 0, 0, 0, 0}},
	"squared_hinge":  {classified(loss.SquaredHinge), tally{2, 2, 0, 0, 0, 0}},
}

// angular builds a case of arcface or cosface, which start from embeddings and class directions.
func angular(f loss.Func) adapter {
	return func(b *refGraph) (*G.Node, error) {
		b.dtype = tensor.Float64
		emb, err := unitRows(b.input("emb"))
		if err != nil {
			return nil, err
		}
		w, err := unitRows(b.input("W"))
		if err != nil {
			return nil, err
		}
		t, err := G.Transpose(w)
		if err != nil {
			return nil, err
		}
		cosines, err := G.Mul(emb, t)
		if err != nil {
			return nil, err
		}
		return f(cosines, b.labels("labels"), loss.WithScale(b.option("s", 0)), loss.WithMargin(b.option("m", 0)))
	}
}

// constant is a scalar of the case's dtype.
func (b *refGraph) constant(v float64) *G.Node {
	if b.dtype == tensor.Float32 {
		return G.NewConstant(float32(v))
	}
	return G.NewConstant(v)
}

// unitRows divides the rows of a matrix by their norms.
func unitRows(x *G.Node) (*G.Node, error) {
	squares, err := G.Square(x)
	if err != nil {
		return nil, err
	}
	sum, err := G.Sum(squares, 1)
	if err != nil {
		return nil, err
	}
	norm, err := G.Sqrt(sum)
	if err != nil {
		return nil, err
	}
	return G.BroadcastHadamardDiv(x, norm, nil, []byte{1})
}

var classificationExceptions = []exception{
	{file: "binary_cross_entropy", cases: `^weighted-mean/`, why: "the mean divides by the weights, not by N", want: scaledBy(func(c *refCase) float64 {
		w := expand(c.Inputs["weight"], c.Inputs["input"].Shape)
		return float64(len(w)) / sum(w)
	})},
	{file: "binary_cross_entropy", cases: `^basic-.*/float64`, hessian: binaryProbHessian,
		why: "PyTorch adds 1e-12 to p(1-p) in the second derivative"},
	{file: "binary_cross_entropy", cases: `^extreme-`, want: binaryProbRule,
		why: "log and 1/p are exact, where PyTorch stops at -100 and 1e12"},
	{file: "binary_cross_entropy", cases: `^out-of-range/`, why: "a probability of 1.5", refused: loss.ErrValue},
	{file: "binary_cross_entropy", cases: `^shape-mismatch/`, why: "(2, 1) against (2)", refused: loss.ErrShape},
	{file: "emd_ordinal_squared", cases: `.`,
		why: "the softmax of log p is p over its sum, and the gradient goes through it", want: emdRule},
	{file: "multi_margin_loss", cases: `^mean-p[12]-w/`, why: "the mean divides by the weights of the labels, not by N", want: scaledBy(func(c *refCase) float64 {
		w, d := c.Inputs["weight"].values(), 0.0
		for _, y := range c.Inputs["target"].values() {
			d += w[int(y)]
		}
		return float64(c.Inputs["target"].size()) / d
	})},
	{file: "multilabel_soft_margin_loss", cases: `^mean-w/`, why: "the mean divides by the mean weight, not by 1", want: scaledBy(func(c *refCase) float64 {
		w := c.Inputs["weight"].values()
		return float64(len(w)) / sum(w)
	})},
	{file: "sigmoid_focal", cases: `^extreme-g0\.5-`, want: limitGradient(0),
		why: "the gradient at p = 0 and 1 on the right side is its limit 0, the formula written out gives NaN"},
	{file: "soft_margin_loss", cases: `^extreme/`, want: softMarginRule, why: "log(1 + e^10000) is 10000, not +Inf"},
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// scaledBy is a case whose results are those of the file times a factor.
func scaledBy(factor func(*refCase) float64) func(*refCase) (*refCase, error) {
	return func(c *refCase) (*refCase, error) {
		output, grads := c.results()
		k := factor(c)
		scaled := func(a *refArray) []float64 {
			v := a.values()
			for i := range v {
				v[i] *= k
			}
			return v
		}
		changed := make(map[string][]float64)
		for name, a := range grads {
			changed[name] = scaled(a)
		}
		return c.replaced(scaled(output), changed), nil
	}
}

// emdRule computes a case of emd_ordinal_squared for p divided by its sum, which the file's p is
// but for rounding.
func emdRule(c *refCase) (*refCase, error) {
	shape := c.Inputs["p"].Shape
	rows, n := shape[0], shape[1]
	p, q := c.Inputs["p"].values(), c.Inputs["q"].values()
	up := c.upstreams(rows, float64(rows))
	output, _ := c.results()
	values, gp, gq := make([]float64, rows), make([]float64, rows*n), make([]float64, rows*n)
	for i := range rows {
		row := p[i*n : (i+1)*n]
		mass := sum(row)
		for k := range n {
			d := sum(row[:k+1])/mass - sum(q[i*n:i*n+k+1])
			values[i] += d * d
			for j := range n {
				// ∂d/∂p_j = ([j <= k] - Σ_{i<=k} p_i/mass)/mass
				slope := -sum(row[:k+1]) / mass
				if j <= k {
					slope++
					gq[i*n+j] -= 2 * d * up[i]
				}
				gp[i*n+j] += 2 * d * slope / mass * up[i]
			}
		}
		if want := output.values()[i]; math.Abs(values[i]-want) > 1e-6 {
			return nil, fmt.Errorf("row %d is %v by the rule, %v in the file", i, values[i], want)
		}
	}
	return c.replaced(values, map[string][]float64{"p": gp, "q": slices.Clone(gq)}), nil
}

// binaryProbHessian is u·((1-y)/(1-p)² + y/p²)·v.
func binaryProbHessian(c *refCase) *refArray {
	p, y, v := c.Inputs["input"].values(), c.Inputs["target"].values(), c.HVP["v"].values()
	up := c.upstreams(len(p), meanSize(c))
	out := &refArray{Shape: c.Inputs["input"].Shape}
	for i := range p {
		out.Data = append(out.Data, refNumber(up[i]*((1-y[i])/(1-p[i])/(1-p[i])+y[i]/p[i]/p[i])*v[i]))
	}
	return out
}

// meanSize is what a mean over elements divides by, 1 for a sum.
func meanSize(c *refCase) float64 {
	if c.Options["reduction"] == "mean" {
		return float64(c.Inputs["input"].size())
	}
	return 1
}

// binaryProbRule computes a case of binary_cross_entropy with targets in [0, 1], 0·Inf = 0.
func binaryProbRule(c *refCase) (*refCase, error) {
	p, y := c.Inputs["input"].values(), c.Inputs["target"].values()
	d := meanSize(c)
	up := c.upstreams(len(p), d)
	part := func(weight, of float64) float64 {
		if weight == 0 {
			return 0
		}
		return weight * of
	}
	values, g := make([]float64, len(p)), make([]float64, len(p))
	for i := range p {
		if c.Dtype == "float32" {
			p[i], y[i] = float64(float32(p[i])), float64(float32(y[i]))
		}
		values[i] = -part(y[i], math.Log(p[i])) - part(1-y[i], math.Log1p(-p[i]))
		g[i] = up[i] * (part(1-y[i], 1/(1-p[i])) - part(y[i], 1/p[i]))
	}
	if len(c.Output.Shape) == 0 {
		values = []float64{sum(values) / d}
	}
	return c.replaced(values, map[string][]float64{"input": g}), nil
}

// limitGradient puts the limit for each gradient that the file has as NaN.
func limitGradient(limit float64) func(*refCase) (*refCase, error) {
	return func(c *refCase) (*refCase, error) {
		output, grads := c.results()
		g := grads["input"].values()
		for i, v := range g {
			if v != v {
				g[i] = limit
			}
		}
		return c.replaced(output.values(), map[string][]float64{"input": g}), nil
	}
}

// softMarginRule computes a case of soft_margin_loss.
func softMarginRule(c *refCase) (*refCase, error) {
	x, y := c.Inputs["input"].values(), c.Inputs["target"].values()
	up := c.upstreams(len(x), 1)
	values, g := make([]float64, len(x)), make([]float64, len(x))
	for i := range x {
		m := x[i] * y[i]
		values[i] = math.Max(0, -m) + math.Log1p(math.Exp(-math.Abs(m)))
		g[i] = -y[i] * up[i] / (1 + math.Exp(m))
	}
	return c.replaced(values, map[string][]float64{"input": g}), nil
}
