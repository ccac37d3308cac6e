package loss_test

import (
	"fmt"
	"math"
	"slices"
)

// The rules by which this package differs from PyTorch, each written out from its definition and
// apart from the package.

// replaced returns the case with other results; gradients that are not given stay as in the file.
func (c *refCase) replaced(output []float64, grads map[string][]float64) *refCase {
	with := func(a *refArray, v []float64) *refArray {
		out := &refArray{Shape: a.Shape, Data: make([]refNumber, len(v))}
		for i, x := range v {
			out.Data[i] = refNumber(x)
		}
		return out
	}
	d := *c
	d.Output = with(c.Output, output)
	d.Grads = make(map[string]*refArray)
	for name, a := range c.Grads {
		d.Grads[name] = a
		if g, ok := grads[name]; ok {
			d.Grads[name] = with(a, g)
		}
	}
	d.Output64, d.Grads64 = d.Output, d.Grads
	return &d
}

// results are the case's results in float64.
func (c *refCase) results() (output *refArray, grads map[string]*refArray) {
	if c.Dtype == "float32" {
		return c.Output64, c.Grads64
	}
	return c.Output, c.Grads
}

// upstreams is the upstream gradient of the case's n values: of value i, where a mean divides by d
// and none does not.
func (c *refCase) upstreams(n int, d float64) []float64 {
	if c.Upstream != nil {
		return c.Upstream.values()
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = 1 / d
	}
	return out
}

// nothing is the result of a mean over nothing.
func nothing(c *refCase) (*refCase, error) {
	zeros := make(map[string][]float64)
	for name, a := range c.Grads {
		zeros[name] = make([]float64, a.size())
	}
	return c.replaced(make([]float64, c.Output.size()), zeros), nil
}

// distribution is the softmax p of a row and -log p; NaN where the row has +Inf, NaN or only -Inf.
func distribution(x []float64) (p, nll []float64) {
	top := slices.Max(x)
	sum := 0.0
	p, nll = make([]float64, len(x)), make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(v - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
		nll[i] = top - x[i] + math.Log(sum)
	}
	return p, nll
}

// crossEntropyRow is -Σ w_c·t'_c·log p_c with its derivatives by x and t. Smoothing spreads over
// the classes that are not masked; 0·log 0 is 0.
func crossEntropyRow(x, t, w []float64, eps float64) (l float64, gx, gt []float64) {
	p, nll := distribution(x)
	gx, gt = make([]float64, len(x)), make([]float64, len(x))
	open := 0.0
	for _, v := range x {
		if v != math.Inf(-1) {
			open++
		}
	}
	mass := 0.0
	for j := range x {
		a := (1 - eps) * t[j]
		if x[j] != math.Inf(-1) {
			a += eps / open
		}
		a *= w[j]
		mass += a
		if a != 0 {
			l += a * nll[j]
		}
		gx[j] = -a
		gt[j] = (1 - eps) * w[j] * nll[j]
	}
	for j := range x {
		gx[j] += mass * p[j]
	}
	if slices.ContainsFunc(p, math.IsNaN) {
		l = math.NaN()
	}
	return l, gx, gt
}

// crossEntropyRule computes a case of cross_entropy with the class axis last, without class
// weights.
func crossEntropyRule(c *refCase) (*refCase, error) {
	in, target := c.Inputs["input"], c.Inputs["target"]
	if len(in.Shape) != 2 || c.Inputs["weight"] != nil {
		return nil, fmt.Errorf("no rule for %s", c.Name)
	}
	rows, n := in.Shape[0], in.Shape[1]
	x, y := in.values(), target.values()
	eps, _ := c.Options["label_smoothing"].(float64)
	ones := slices.Repeat([]float64{1}, n)
	active := 0.0
	t := make([][]float64, rows)
	for i := range t {
		switch {
		case target.Dtype != "int":
			t[i] = y[i*n : (i+1)*n]
		case y[i] != -100:
			t[i] = make([]float64, n)
			t[i][int(y[i])] = 1
		default:
			continue
		}
		active++
	}
	up := c.upstreams(rows, active)
	var values []float64
	gx, gt := make([]float64, rows*n), make([]float64, rows*n)
	for i := range rows {
		if t[i] == nil {
			values = append(values, 0)
			continue
		}
		l, dx, dt := crossEntropyRow(x[i*n:(i+1)*n], t[i], ones, eps)
		values = append(values, l)
		for j := range n {
			gx[i*n+j], gt[i*n+j] = up[i]*dx[j], up[i]*dt[j]
		}
	}
	if len(c.Output.Shape) == 0 {
		sum := 0.0
		for _, l := range values {
			sum += l
		}
		values = []float64{sum / active}
	}
	return c.replaced(values, map[string][]float64{"input": gx, "target": gt}), nil
}

// divideByWeights turns PyTorch's mean over N rows of a soft target into the mean over Σ w·t, which
// depends on the target.
func divideByWeights(c *refCase) (*refCase, error) {
	output, grads := c.results()
	w, t := c.Inputs["weight"].values(), c.Inputs["target"].values()
	shape := c.Inputs["target"].Shape
	inner := 1
	for _, d := range shape[2:] {
		inner *= d
	}
	class := func(i int) int { return i / inner % shape[1] }
	d := 0.0
	for i, v := range t {
		d += w[class(i)] * v
	}
	ratio := float64(len(t)/shape[1]) / d
	value := output.values()[0] * ratio
	gx, gt := grads["input"].values(), grads["target"].values()
	for i := range gx {
		gx[i] *= ratio
		gt[i] = gt[i]*ratio - value/d*w[class(i)]
	}
	return c.replaced([]float64{value}, map[string][]float64{"input": gx, "target": gt}), nil
}

// nllRule computes a case of nll_loss with class weights: -w_y·q_y with 0·Inf = 0.
func nllRule(c *refCase) (*refCase, error) {
	q, y, w := c.Inputs["input"].values(), c.Inputs["target"].values(), c.Inputs["weight"].values()
	n := c.Inputs["input"].Shape[1]
	up := c.Upstream.values()
	values, g := make([]float64, len(y)), make([]float64, len(q))
	for i, label := range y {
		k := int(label)
		if w[k] != 0 {
			values[i] = -w[k] * q[i*n+k]
			g[i*n+k] = -w[k] * up[i]
		}
	}
	return c.replaced(values, map[string][]float64{"input": g}), nil
}

// klRule computes an elementwise case of kl_div.
func klRule(c *refCase) (*refCase, error) {
	q, t := c.Inputs["input"].values(), c.Inputs["target"].values()
	up := c.Upstream.values()
	values, gq, gt := make([]float64, len(q)), make([]float64, len(q)), make([]float64, len(q))
	for i := range q {
		p, log, slope := t[i], math.Log(t[i]), 1.0
		if c.Options["log_target"] == true {
			p, log = math.Exp(t[i]), t[i]
			slope = p
		}
		switch {
		case q[i] != q[i] || p != p:
			values[i], gq[i], gt[i] = math.NaN(), math.NaN(), math.NaN()
		case p != 0:
			values[i] = p * (log - q[i])
			gq[i] = -p * up[i]
			gt[i] = slope * (log - q[i] + 1) * up[i]
		}
	}
	return c.replaced(values, map[string][]float64{"input": gq, "target": gt}), nil
}

// binaryRule computes a case of bce_with_logits whose logits are not finite, with targets of 0 and
// 1.
func binaryRule(c *refCase) (*refCase, error) {
	x, y, up := c.Inputs["input"].values(), c.Inputs["target"].values(), c.Upstream.values()
	values, g := make([]float64, len(x)), make([]float64, len(x))
	for i := range x {
		yes := 0.0
		switch {
		case x[i] != x[i]:
			yes = math.NaN()
		case x[i] > 0:
			yes = 1
		}
		g[i] = (yes - y[i]) * up[i]
		if yes != y[i] {
			values[i] = math.Inf(1)
		}
		if yes != yes {
			values[i] = yes
		}
	}
	return c.replaced(values, map[string][]float64{"input": g}), nil
}

// absoluteRule computes a case of l1_loss.
func absoluteRule(c *refCase) (*refCase, error) {
	x, y, up := c.Inputs["input"].values(), c.Inputs["target"].values(), c.Upstream.values()
	values, g := make([]float64, len(x)), make([]float64, len(x))
	for i := range x {
		e := x[i] - y[i]
		values[i] = math.Abs(e)
		switch {
		case e > 0:
			g[i] = up[i]
		case e < 0:
			g[i] = -up[i]
		default:
			g[i] = e
		}
	}
	return c.replaced(values, map[string][]float64{"input": g}), nil
}

// entropyRule computes a case of entropy in nats.
func entropyRule(c *refCase) (*refCase, error) {
	p, n, up := c.Inputs["p"].values(), c.Inputs["p"].Shape[1], c.Upstream.values()
	values, g := make([]float64, len(up)), make([]float64, len(p))
	for i, v := range p {
		if v != 0 {
			values[i/n] -= v * math.Log(v)
			g[i] = -(math.Log(v) + 1) * up[i/n]
		}
	}
	return c.replaced(values, map[string][]float64{"p": g}), nil
}

// entropyLogitsRule computes a case of entropy_from_logits: dH/dx_j = -p_j·(log p_j + H).
func entropyLogitsRule(c *refCase) (*refCase, error) {
	x, n, up := c.Inputs["logits"].values(), c.Inputs["logits"].Shape[1], c.Upstream.values()
	values, g := make([]float64, len(up)), make([]float64, len(x))
	for i := range values {
		p, _ := distribution(x[i*n : (i+1)*n])
		for _, v := range p {
			if v != 0 {
				values[i] -= v * math.Log(v)
			}
		}
		for j, v := range p {
			if v != 0 {
				g[i*n+j] = -v * (math.Log(v) + values[i]) * up[i]
			}
		}
	}
	return c.replaced(values, map[string][]float64{"logits": g}), nil
}

// logSumExpRule computes the gradients of a case of logsumexp, whose values stand.
func logSumExpRule(c *refCase) (*refCase, error) {
	x, n, up := c.Inputs["input"].values(), c.Inputs["input"].Shape[1], c.Upstream.values()
	output, _ := c.results()
	g := make([]float64, len(x))
	for i := range up {
		p, _ := distribution(x[i*n : (i+1)*n])
		for j, v := range p {
			g[i*n+j] = v * up[i]
		}
	}
	return c.replaced(output.values(), map[string][]float64{"input": g}), nil
}

// softplusRule computes a case of softplus without a threshold.
func softplusRule(c *refCase) (*refCase, error) {
	x, up := c.Inputs["input"].values(), c.Upstream.values()
	values, g := make([]float64, len(x)), make([]float64, len(x))
	for i, v := range x {
		values[i] = math.Max(v, 0) + math.Log1p(math.Exp(-math.Abs(v)))
		g[i] = up[i] / (1 + math.Exp(-v))
	}
	return c.replaced(values, map[string][]float64{"input": g}), nil
}
